"""The cut between two neighbouring chips moved to where least crosses, over a region around it, by one flow.

The region is as large as the room of the chips, or a multiple of it (Sanders and Schulz, KaFFPa, 2011): whole closures
move at once, which no single move finds.
"""

from __future__ import annotations

import numpy as np

from partition.arrays import BoolArray, FloatArray, IntArray, runs
from partition.heuristics.traffic.closures import Cut
from partition.heuristics.traffic.network import Network


def move_cut(network: Network, chip: IntArray, first: int, reach: float) -> list[IntArray]:
    """Placements with the cut between chips ``first`` and ``first + 1`` at a place of least traffic that fit.

    ``reach`` : work of the region on either side, as a multiple of the other chip's room.
    """
    held, _ = network.held(chip)
    region = np.zeros(network.nodes, bool)
    for side, other in ((first, first + 1), (first + 1, first)):
        spare = max(network.limit - held[other], float(network.time[side].max()))
        region |= _around(network, chip, side, other, reach * spare)
    if not region.any():
        return []
    found = []
    for stays in _pair(network, chip, region, first).least():
        new = chip.copy()
        new[region] = np.where(stays[: region.sum()], first, first + 1)
        if network.fits(new):
            found.append(new)
    return found


def _around(network: Network, chip: IntArray, side: int, other: int, work: float) -> BoolArray:
    """(N,) nodes of one side, layer by layer from the cut, of this much work."""
    ends = chip[network.edges]
    across = (ends == side).any(axis=1) & (ends == other).any(axis=1)
    reached = np.zeros(network.nodes, bool)
    layer = np.unique(network.edges[across][ends[across] == side])
    ptr, neighbours = network.neighbours
    while len(layer) and work > 0:
        taken = layer[np.cumsum(network.time[side, layer]) <= work]
        reached[taken] = True
        work -= float(network.time[side, layer].sum())
        near = np.unique(neighbours[runs(ptr[taken], ptr[taken + 1] - ptr[taken])])
        layer = near[(chip[near] == side) & ~reached[near]]
    return reached


def _pair(network: Network, chip: IntArray, region: BoolArray, first: int) -> Cut:
    """Which nodes of the region stay on the first of two chips, the others being where they are."""
    count = int(region.sum())
    index = np.where(region, np.cumsum(region) - 1, -1)
    later = first + 1
    into, out = np.zeros(count), np.zeros(count)
    into[network.hi[region] < later] = np.inf
    out[network.lo[region] > first] = np.inf
    tail, head = network.edges.T
    fixed = region[head] & ~region[tail] & (chip[tail] >= later)
    out[index[head[fixed]]] = np.inf
    fixed = region[tail] & ~region[head] & (chip[head] <= first)
    into[index[tail[fixed]]] = np.inf
    within = region[head] & region[tail]
    edges = np.stack([index[tail[within]], index[head[within]]], axis=1)
    return _Tensors(network, chip, index, first).cut(count, edges, into, out)


class _Tensors:
    """What each tensor that touches the region pays, by an extra node for each side on which its readers may be."""

    def __init__(self, network: Network, chip: IntArray, index: IntArray, first: int) -> None:
        tensor, readers = network.tensor, network.readers
        rows = len(network.source)
        free = index[readers] >= 0
        touched = np.zeros(rows, bool)
        touched[tensor[free]] = True
        touched |= index[network.source] >= 0
        at = chip[readers]

        def some(which: BoolArray) -> BoolArray:
            found = np.zeros(rows, bool)
            found[tensor[which]] = True
            return found

        self.network, self.index, self.first = network, index, first
        self.free, self.touched = free, touched
        self.home = chip[network.source]
        self.source = index[network.source]
        self.here, self.next = some(~free & (at == first)), some(~free & (at == first + 1))
        self.beyond = some(~free & (at > first + 1))

    def cut(self, count: int, edges: IntArray, into: FloatArray, out: FloatArray) -> Cut:
        """The cut with all costs, over the region's nodes and the extra ones."""
        size, linked = self.network.size, self.network.linked
        inside_source = self.source >= 0
        before = ~inside_source & (self.home < self.first)
        crosses = self.touched & (inside_source | (self.home <= self.first))
        if linked:  # paid for each link up to the farthest reader
            far = inside_source & self.beyond
            np.add.at(out, self.source[far], size[far])  # staying is a link more
            crosses &= ~self.beyond
        already = crosses & self.next & inside_source  # a reader waits on the next chip: paid if the source stays
        np.add.at(out, self.source[already], size[already])
        late = self._aside(crosses & ~self.next)  # paid unless all readers stay
        # Received on this chip too, where a reader stays:
        early = self._aside(before & self.touched & ~self.here & (not linked))
        owned = np.flatnonzero(inside_source[late])
        held_late, held_early = self._held(late, count), self._held(early, count + len(late))
        return Cut(
            nodes=count + len(late) + len(early),
            edges=np.concatenate([edges, held_late, held_early[:, ::-1]]),
            arcs=np.stack([self.source[late[owned]], count + owned], axis=1),
            cost=size[late[owned]],
            inside=np.concatenate([into, np.where(inside_source[late], 0.0, size[late]), np.zeros(len(early))]),
            outside=np.concatenate([out, np.zeros(len(late)), size[early]]),
        )

    def _aside(self, wanted: BoolArray) -> IntArray:
        """Tensors that need a node of their own: those with a reader in the region."""
        reads = np.zeros(len(wanted), bool)
        reads[self.network.tensor[self.free]] = True
        return np.flatnonzero(wanted & reads)

    def _held(self, tensors: IntArray, first: int) -> IntArray:
        """(E, 2) pairs (reader, extra node): who holds the extra node of a tensor holds its readers.

        Extra nodes are numbered from ``first``.
        """
        number = np.full(len(self.source), -1)
        number[tensors] = first + np.arange(len(tensors))
        extra = number[self.network.tensor]
        reads = self.free & (extra >= 0)
        return np.stack([self.index[self.network.readers[reads]], extra[reads]], axis=1)
