"""Units that share a chip within a period, since every cut between them is more than a link carries.

The units on chips ``0..c`` hold all their producers, and what leaves them crosses the link behind chip ``c``. A flow
from a unit to its reader, along tensors and against the order, is at most what such a cut carries. So a flow of the
period or more proves that both share a chip. The flow is found by SciPy; that it is one, and how much, is counted here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import maximum_flow

from partition.arrays import IntArray
from partition.replay.question import ReplayQuestion
from partition.replay.units import Units

CAPACITY = 2**30
"""Capacity of arcs that no cut has, and above that of all others together; flows are of 32 bits."""


def carried_by_links(question: ReplayQuestion) -> bool:
    """Whether all that leaves the first chips crosses the link behind them."""
    forward = question.topology == "chain" or (
        question.rules["acyclic"]
        and all(question.constrains(tensor.producer, w) for tensor in question.tensors for w in tensor.readers)
    )
    return question.in_line and forward


class FlowNetwork:
    """Arcs of tensors, against the order, and from tensors to their readers.

    Parameters
    ----------
    moved : (T,) transfer times of the units' tensors in ticks of the period.
    period : in ticks.
    """

    def __init__(self, units: Units, moved: IntArray, period: int) -> None:
        moved = moved[: len(units.tensors)]
        scale = CAPACITY / (2.0 * float(moved.sum() + period))
        self.wanted = int(np.ceil(period * scale))
        tensors = np.arange(len(units.tensors)) + units.count
        source = np.array([u for _, u, _ in units.tensors], dtype=np.int64)
        row = np.repeat(tensors, [len(readers) for _, _, readers in units.tensors])
        reader = np.array([w for _, _, readers in units.tensors for w in readers], dtype=np.int64)
        edges = np.array(units.edges, dtype=np.int64).reshape(-1, 2)
        capacity = [np.full(len(edges), CAPACITY), np.floor(moved * scale), np.full(len(row), CAPACITY)]
        size = units.count + len(tensors)
        arcs = (np.concatenate([edges[:, 1], source, row]), np.concatenate([edges[:, 0], tensors, reader]))
        values = np.concatenate(capacity).astype(np.int32)
        self.capacity = sp.csr_array((values, arcs), shape=(size, size))

    def inseparable(self, unit: int, reader: int) -> bool:
        """Whether a flow of the period or more runs from a unit to one of its readers; it is checked to be a flow."""
        flow = maximum_flow(self.capacity, unit, reader).flow
        if ((flow - self.capacity) > 0).nnz or (flow + flow.T).count_nonzero():
            return False
        balance = np.asarray(flow.sum(axis=1, dtype=np.int64)).ravel()
        amount = int(balance[unit])
        balance[[unit, reader]] = 0
        return amount >= self.wanted and not balance.any()


def proved_pairs(units: Units, network: FlowNetwork, joined: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Pairs of operations that are proved to share a chip, among those said to.

    Parameters
    ----------
    joined : operations said to share a chip, set by set.
    """
    group = {units.of[v]: i for i, members in enumerate(joined) for v in members}
    above = list(range(units.count))

    def top(v: int) -> int:
        while above[v] != v:
            v = above[v]
        return v

    pairs = []
    for u, w in units.edges:
        if u in group and group.get(w) == group[u] and top(u) != top(w) and network.inseparable(u, w):
            above[top(w)] = top(u)
            pairs.append((units.members[u][0], units.members[w][0]))
    return pairs
