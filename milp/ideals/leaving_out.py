"""Which nodes a program over ideals or frontiers keeps, and what the tensors of the others cost all the same.

A node that takes next to no time can be left out of a relaxation. The tensors it passes on need not be lost with it.
Let kept node ``x`` send tensor ``t`` to nodes left out that feed kept node ``y``, and let ``x`` and ``y`` be on
different chips. On every path from ``x`` to ``y`` some tensor then leaves the chip of ``x``, and some tensor reaches
the chip of ``y``. Between nested ideals one crosses. Each is at least as large as the narrowest of the path. So ``y``
reads from ``x`` a tensor as wide as the widest path. No tensor is counted for two origins: a node left out passes on
only what stems from one tensor of a kept node.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from milp.tolerances import LIGHT
from partition.arrays import BoolArray, FloatArray, IntArray
from partition.instance.instance import Instance

NOTHING = -1
"""Origin of a node left out that reads nothing of a kept node, a constant, say."""


@dataclass(frozen=True, eq=False)
class KeptTransfers:
    """Tensors between kept nodes, direct ones and what paths through nodes left out amount to.

    Attributes
    ----------
    tau : (R,) transfer times.
    source : (R,) kept nodes.
    both_ways : (R,) whether a reader may be on an earlier chip.
    direct : (R,) whether all readers read the tensor itself, not what becomes of it.
    row, reader : (P,) pairs of a row and a kept node that reads it, by row.
    """

    tau: FloatArray
    source: IntArray
    both_ways: BoolArray
    direct: BoolArray
    row: IntArray
    reader: IntArray


def light_nodes(instance: Instance) -> BoolArray:
    """(N,) nodes whose weights hardly matter."""
    if not instance.hardware.rules.memory:
        return np.ones(instance.nodes, dtype=bool)
    light = instance.weights <= LIGHT * float(instance.hardware.sram_bytes.min())
    light[instance.shared_nodes] = False
    return np.asarray(light)


def tiny_nodes(instance: Instance, limit: float) -> BoolArray:
    """(N,) light nodes whose time and outgoing transfers together stay below ``limit`` (units of the instance)."""
    sent = np.bincount(instance.source, weights=instance.tau, minlength=instance.nodes)
    return np.asarray((instance.time.max(axis=0) + sent < limit) & light_nodes(instance))


def kept_nodes(instance: Instance, limit: float) -> BoolArray:
    """(N,) nodes that matter: not replicable, and heavy, of at least ``limit`` time, or senders of joined tensors.

    A node of less time is left out if what it sends takes less than ``limit`` too or stems from one tensor alone.
    """
    left_out = (instance.time.max(axis=0) < limit) & light_nodes(instance) & ~instance.replicable
    ways = [_Way(instance, backward) for backward in (False, True)]
    changed = True
    while changed:
        changed = False
        for way in ways:
            for v in way.joining(left_out, limit):
                left_out[v] = False
                changed = True
    return np.asarray(~left_out & ~instance.replicable)


def segments(instance: Instance) -> tuple[BoolArray, list[BoolArray]]:
    """(N,) all waists, and (N,) the nodes of each stretch between two of them, heaviest first; one without waists.

    A waist is a node that is comparable with all others (replicable ones aside). With a single stretch ideals are far
    fewer than with all nodes, and what goes on there is still seen exactly.
    """
    plain = np.flatnonzero(~instance.replicable)
    place = np.full(instance.nodes, -1)
    place[plain] = np.arange(len(plain))
    edges = place[instance.edges]
    first, last = edges[(edges >= 0).all(axis=1)].T
    # Nodes are numbered topologically. All before a waist lead to it: no edge passes over it, and none of them ends.
    over = np.zeros(len(plain) + 1, dtype=np.int64)
    np.add.at(over, first + 1, 1)
    np.add.at(over, last, -1)
    ends = np.cumsum(np.bincount(first, minlength=len(plain)) == 0)
    begins = np.cumsum(np.bincount(last, minlength=len(plain)) == 0)
    ends_before = np.concatenate([[0], ends[:-1]])
    waist = (np.cumsum(over)[:-1] == 0) & (ends_before == 0) & (begins == begins[-1])
    stretch = np.cumsum(waist)
    sent = np.bincount(instance.source, weights=instance.tau, minlength=instance.nodes)[plain]
    weight = np.bincount(stretch[~waist], weights=(instance.fastest[plain] + sent)[~waist], minlength=1)
    found = []
    for s in np.argsort(-weight, kind="stable").tolist():
        if weight[s] > 0:
            nodes = np.zeros(instance.nodes, dtype=bool)
            nodes[plain[~waist & (stretch == s)]] = True
            found.append(nodes)
    waists = np.zeros(instance.nodes, dtype=bool)
    waists[plain[waist]] = True
    return waists, found


def transfers(instance: Instance, kept: BoolArray, apart: BoolArray | None = None) -> KeptTransfers:
    """The tensors between kept nodes; see the module. Paths through nodes ``apart`` (N,) are not looked at."""
    widths: dict[int, dict[int, float]] = {}
    tensor = np.repeat(np.arange(instance.tensors), np.diff(instance.reader_ptr))
    direct = kept[instance.source[tensor]] & kept[instance.readers]
    for t, w in zip(tensor[direct].tolist(), instance.readers[direct].tolist(), strict=True):
        widths.setdefault(t, {})[w] = float(instance.tau[t])
    itself = {t: frozenset(known) for t, known in widths.items()}
    both_ways = np.zeros(instance.tensors, dtype=bool)
    both_ways[tensor[~instance.reader_constrains]] = True
    both_ways |= not instance.hardware.rules.acyclic
    winding = both_ways.copy()
    for backward in (False, True):
        for t, w, width, freely in _Way(instance, backward, apart).paths(kept, both_ways):
            known = widths.setdefault(t, {})
            known[w] = max(known.get(w, 0.0), width)
            winding[t] |= freely
    tau: list[float] = []
    origin: list[int] = []
    direct_rows: list[bool] = []
    rows: list[int] = []
    readers: list[int] = []
    for t in sorted(widths):
        below = 0.0
        for level in sorted({width for width in widths[t].values() if width > 0}):  # what wider readers cost on top
            wide = sorted(w for w, width in widths[t].items() if width >= level)
            rows += [len(tau)] * len(wide)
            readers += wide
            tau.append(level - below)
            origin.append(t)
            direct_rows.append(itself.get(t, frozenset()).issuperset(wide))
            below = level
    return KeptTransfers(
        tau=np.array(tau, dtype=float),
        source=instance.source[np.array(origin, dtype=np.int64)],
        both_ways=winding[np.array(origin, dtype=np.int64)],
        direct=np.array(direct_rows, dtype=bool),
        row=np.array(rows, dtype=np.int64),
        reader=np.array(readers, dtype=np.int64),
    )


class _Way:
    """Tensors whose readers all come after their producer in the order of the nodes, or all before it."""

    def __init__(self, instance: Instance, backward: bool, apart: BoolArray | None = None) -> None:
        tensor = np.repeat(np.arange(instance.tensors), np.diff(instance.reader_ptr))
        against = (instance.readers < instance.source[tensor]) != backward
        mixed = np.bincount(tensor[against], minlength=instance.tensors) > 0
        self.tau, self.source = instance.tau.tolist(), instance.source.tolist()
        self.order = range(instance.nodes - 1, -1, -1) if backward else range(instance.nodes)
        self.made: list[list[int]] = [[] for _ in range(instance.nodes)]
        self.read: list[list[int]] = [[] for _ in range(instance.nodes)]
        for t, w in zip(tensor.tolist(), instance.readers.tolist(), strict=True):
            if not (mixed[t] or (apart is not None and apart[w])):
                self.read[w].append(t)
        for t in np.flatnonzero(~mixed).tolist():
            self.made[self.source[t]].append(t)
        self.replicable = instance.replicable.tolist()

    def joining(self, left_out: BoolArray, limit: float) -> list[int]:
        """Nodes left out that send ``limit`` or more of what does not stem from one tensor of a kept node."""
        origin: dict[int, int] = {}
        left, found = left_out.tolist(), []
        for v in self.order:
            if not left[v]:
                continue
            stems = self._stems(v, left, origin)
            if len(stems) <= 1:
                origin[v] = stems.pop() if stems else NOTHING
            elif sum(self.tau[t] for t in self.made[v]) >= limit:
                left[v] = False  # its readers are told at once
                found.append(v)
        return found

    def _stems(self, v: int, left: list[bool], origin: dict[int, int]) -> set[int]:
        """Tensors of kept nodes that reach a node left out; several where some were joined before."""
        stems: set[int] = set()
        for t in self.read[v]:
            u = self.source[t]
            if not left[u]:
                stems |= set() if self.replicable[u] else {t}
            elif u not in origin:
                return {-1, -2}  # joined before
            elif origin[u] != NOTHING:
                stems.add(origin[u])
        return stems

    def paths(self, kept: BoolArray, both_ways: BoolArray) -> list[tuple[int, int, float, bool]]:
        """(origin, kept reader, width of the widest path, whether any of it may go back) through nodes left out."""
        left = [not k and not r for k, r in zip(kept.tolist(), self.replicable, strict=True)]
        origin: dict[int, int] = {}
        width: dict[int, float] = {}
        freely: dict[int, bool] = {}
        free, is_kept, found = both_ways.tolist(), kept.tolist(), []

        def passed(t: int) -> tuple[int, float, bool] | None:
            """Origin, width and freedom of a tensor where it has one origin."""
            u = self.source[t]
            if is_kept[u]:
                return t, self.tau[t], free[t]
            return (origin[u], min(width[u], self.tau[t]), freely[u] or free[t]) if u in width else None

        for v in self.order:
            if left[v]:
                stems = self._stems(v, left, origin)
                if len(stems) <= 1:
                    origin[v] = stems.pop() if stems else NOTHING
                ways = [way for way in map(passed, self.read[v]) if way is not None]
                if origin.get(v, NOTHING) != NOTHING and ways:
                    width[v] = max(w for _, w, _ in ways)
                    freely[v] = any(f for _, _, f in ways)
            elif is_kept[v]:
                for t in self.read[v]:
                    way = passed(t)
                    if way is not None and not is_kept[self.source[t]]:
                        found.append((way[0], v, way[1], way[2]))
        return found
