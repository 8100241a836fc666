"""Every ideal (down-set) of the nodes that matter, as bits.

The nodes of an ideal in topological order are a chain of ideals, so each ideal is made once: of the one without its
last node (no duplicates to look for). Taken node by node, what has been left out stays out. So a tensor with its
producer inside and a reader left out is known to cross the ideal's end. Where more crosses than a link carries, the
ideal is dropped, with all that would have been made of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milp import budget
from milp.ideals.leaving_out import KeptTransfers
from milp.tolerances import ROUNDING
from partition.arrays import BoolArray, FloatArray
from partition.instance.instance import Instance
from partition.stopping import Stop

CHUNK = 2048
"""Ideals unpacked from bits to numbers at a time."""

SETTLE = 32
"""Nodes after which ideals that can grow no more are put aside."""


@dataclass(frozen=True, eq=False)
class Crossing:
    """What may cross the end of an ideal: tensors between kept nodes, none of them backwards, up to ``most``."""

    tensors: KeptTransfers
    most: float


class Kept:
    """The nodes that make up ideals, and the order among them, also through nodes left out.

    Attributes
    ----------
    node : (N,) bool.
    nodes : the kept ones; ideals are sets of positions in it, as bits.
    place : (N,) these, or -1.
    loose : (N,) bool, nodes left out that blocks are charged for all the same.
    producers, consumers : per node, its nearest kept ancestors and descendants, as bits.
    """

    def __init__(self, instance: Instance, node: BoolArray, loose: BoolArray | None = None) -> None:
        self.node, self.nodes = node, np.flatnonzero(node)
        self.loose = np.zeros(len(node), dtype=bool) if loose is None else loose & ~node
        self.place = np.full(instance.nodes, -1)
        self.place[self.nodes] = np.arange(len(self.nodes))
        at = self.place.tolist()
        self.producers = [0] * instance.nodes
        self.consumers = [0] * instance.nodes
        edges = instance.edges  # nodes are numbered topologically
        for u, w in edges[np.argsort(edges[:, 1], kind="stable")].tolist():
            self.producers[w] |= (1 << at[u]) if at[u] >= 0 else self.producers[u]
        for u, w in edges[np.argsort(-edges[:, 0], kind="stable")].tolist():
            self.consumers[u] |= (1 << at[w]) if at[w] >= 0 else self.consumers[w]

    def enumerate(self, limit: int, stop: Stop, crossing: Crossing | None = None) -> NDArray[np.uint64] | None:
        """(I, words) every ideal as bits over positions, without those that ``crossing`` forbids.

        Returns
        -------
        None if there are more than ``limit``.
        """
        return _Growth(self, crossing).run(limit, stop)

    def sums(self, words: NDArray[np.uint64], amounts: FloatArray) -> FloatArray:
        """(I, ...) sum of ``amounts`` (kept nodes, ...) over each ideal."""
        parts = [
            member(words[begin : begin + CHUNK])[:, : len(self.nodes)].astype(np.float64) @ amounts
            for begin in range(0, len(words), CHUNK)
        ]
        return np.concatenate(parts)


class _Growth:
    """Ideals of the nodes taken so far: those that may still grow, a column each, and others put aside."""

    def __init__(self, kept: Kept, crossing: Crossing | None) -> None:
        self.count = len(kept.nodes)
        self.width = (self.count + 63) // 64
        self.producers = [kept.producers[v] for v in kept.nodes.tolist()]
        self.crossing = crossing
        self.reads: list[list[tuple[float, int]]] = [[] for _ in range(self.count)]
        if crossing is not None:
            self._reads(kept, crossing.tensors)
        self.words = np.zeros((self.width, 1024), dtype=np.uint64)
        self.cut = np.zeros(1024)
        self.size = 1
        self.aside: list[NDArray[np.uint64]] = []

    def _reads(self, kept: Kept, tensors: KeptTransfers) -> None:
        """Per node, for each tensor it reads: what the tensor takes, and its producer with all readers before."""
        before: dict[int, int] = {}
        reader, row = kept.place[tensors.reader], tensors.row
        for i in np.lexsort((row, reader)).tolist():
            t = int(row[i])
            known = before.get(t, 1 << int(kept.place[tensors.source[t]]))
            if not tensors.both_ways[t]:
                self.reads[reader[i]].append((float(tensors.tau[t]), known))
            before[t] = known | (1 << int(reader[i]))

    def run(self, limit: int, stop: Stop) -> NDArray[np.uint64] | None:
        found = 0
        taken = 0
        # Nodes without producers first: left out or not, they keep no ideal from growing later.
        for turn, i in enumerate(sorted(range(self.count), key=lambda i: self.producers[i] != 0)):
            taken |= 1 << i
            self._take(i)
            if self.crossing is not None:
                self._drop()
            if turn % SETTLE == SETTLE - 1:
                found += self._settle(taken)
            stop.charge(budget.LOOK_AT_IDEAL * self.size)
            if found + self.size > limit or stop():
                return None
        stop.charge(budget.IDEAL * (found + self.size))
        return np.concatenate([*self.aside, self.words[:, : self.size].T])

    def _take(self, i: int) -> None:
        """Add node ``i`` to the ideals that hold its producers; to the others what must cross them without it."""
        size = self.size
        grown = np.flatnonzero(self._holds(self.producers[i]))
        cut = self.cut[grown].copy()
        for tau, before in self.reads[i]:
            self.cut[:size] += tau * self._holds(before)
        total = size + len(grown)
        if total > len(self.cut):
            room = max(2 * len(self.cut), total)
            words = np.empty((self.width, room), dtype=np.uint64)
            words[:, :size] = self.words[:, :size]
            self.words, self.cut = words, np.concatenate([self.cut[:size], np.empty(room - size)])
        self.words[:, size:total] = self.words[:, grown]
        self.words[i // 64, size:total] |= np.uint64(1 << (i % 64))
        self.cut[size:total] = cut
        self.size = total

    def _holds(self, mask: int) -> BoolArray:
        """(size,) which ideals hold all of ``mask``."""
        holds = np.ones(self.size, dtype=bool)
        for w in range(self.width):
            part = mask >> (64 * w) & 0xFFFF_FFFF_FFFF_FFFF
            if part:
                holds &= (self.words[w, : self.size] & np.uint64(part)) == np.uint64(part)
        return holds

    def _keep(self, which: BoolArray) -> None:
        kept = np.flatnonzero(which)
        self.words[:, : len(kept)] = self.words[:, kept]
        self.cut[: len(kept)] = self.cut[kept]
        self.size = len(kept)

    def _drop(self) -> None:
        assert self.crossing is not None
        fits = self.cut[: self.size] <= self.crossing.most * (1 + ROUNDING)
        if not fits.all():
            self._keep(fits)

    def _settle(self, taken: int) -> int:
        """Put aside the ideals that no node still to come can join; how many."""
        grows = np.zeros(self.size, dtype=bool)
        for i, producers in enumerate(self.producers):
            if not taken >> i & 1 and producers & taken == producers:
                grows |= self._holds(producers)
        if 4 * int(grows.sum()) > 3 * self.size:
            return 0
        self.aside.append(self.words[:, : self.size][:, ~grows].T)
        before = self.size
        self._keep(grows)
        return before - self.size


def bits(mask: int) -> list[int]:
    """Positions of the bits that are set."""
    found = []
    while mask:
        lowest = mask & -mask
        found.append(lowest.bit_length() - 1)
        mask ^= lowest
    return found


def member(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """(I, 64 x words) 0 or 1 for every bit."""
    return np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1, bitorder="little")
