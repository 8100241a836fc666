"""Rules that the repair restores after it has decided: empty chips filled, replicas derived, edges shortened."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from partition.arrays import BoolArray, IntArray, any_of
from partition.heuristics.copies import readers_of
from partition.instance.instance import Instance


class Restoration:
    """Restores rules in batches of decided rows.

    Parameters
    ----------
    derived : (N,) bool, replicable nodes that go wherever they are read.
    edges : (E, 2) among the other nodes.
    """

    def __init__(self, instance: Instance, derived: BoolArray, edges: IntArray) -> None:
        self.instance, self.edges = instance, edges
        self.nodes = np.flatnonzero(~derived)
        self.derived = np.flatnonzero(derived)
        node, self.user = readers_of(instance, derived)
        self.owner = np.searchsorted(self.derived, node)

    def fill_empty_chips(self, chips: IntArray) -> None:
        """Give each empty chip of ``chips`` (B, N) before a used one the first node of the next used chip, in place.

        All ancestors of that node lie before the empty chip, so it may go there.
        """
        nodes, count = self.nodes, self.instance.chips
        slot = chips[:, nodes] + (np.arange(len(chips)) * count)[:, None]
        used = np.bincount(slot.ravel(), minlength=len(chips) * count).reshape(len(chips), count) > 0
        rows = np.flatnonzero(any_of(used[:, 1:] & ~used[:, :-1], 1))
        part = chips[np.ix_(rows, nodes)]
        for c in range(count - 1):
            some = np.flatnonzero(~any_of(part == c, 1) & any_of(part > c, 1))
            if len(some):
                after = part[some]
                rank = np.where(after > c, after * len(nodes) + np.arange(len(nodes)), count * len(nodes))
                part[some, rank.argmin(axis=1)] = c
        chips[np.ix_(rows, nodes)] = part

    def replicas(self, chips: IntArray) -> IntArray:
        """Set replicable nodes in ``chips`` to where they are first needed; rows of replicas where they are again."""
        nodes, owner, user = self.derived, self.owner, self.user
        if not len(nodes):
            return np.zeros((0, 3), dtype=np.int64)
        wanted = np.zeros((len(chips), len(nodes), self.instance.chips), dtype=bool)
        wanted[np.arange(len(chips))[:, None], owner, chips[:, user]] = True
        home = wanted.argmax(axis=2)
        chips[:, nodes] = home
        wanted[np.arange(len(chips))[:, None], np.arange(len(nodes)), home] = False
        row, which, chip = np.nonzero(wanted)
        members = [np.flatnonzero(self.instance.node_of == v) for v in nodes]
        count = np.array([len(m) for m in members])[which]
        flat = np.concatenate([members[w] for w in which]) if len(which) else np.zeros(0, np.int64)
        return np.stack([np.repeat(row, count), flat, np.repeat(chip, count)], axis=1).astype(np.int64)

    def one_chip_per_edge(self, chips: IntArray) -> IntArray:
        """The largest assignments (B, N) below the given ones in which an edge spans at most one chip, gaps closed."""
        height = chips.T.copy()
        while True:
            before = height.copy()
            for target, sources in self._sources:
                height[target] = np.minimum(height[target], height[sources].min(axis=0) + 1)
            for source, targets in self._targets:
                height[source] = np.minimum(height[source], height[targets].min(axis=0))
            if np.array_equal(height, before):
                break
        if self.instance.hardware.identical_chips and self.instance.hardware.rules.no_skipping:
            plain, row = height[self.nodes], np.arange(len(chips))
            used = np.zeros((self.instance.chips, len(chips)), dtype=bool)
            used[plain, row] = True
            height[self.nodes] = (np.cumsum(used, axis=0) - 1)[plain, row]
        return np.asarray(height.T)

    @cached_property
    def _sources(self) -> list[tuple[int, IntArray]]:
        """Nodes in topological order with the nodes they read from."""
        return _grouped(self.edges[:, ::-1])

    @cached_property
    def _targets(self) -> list[tuple[int, IntArray]]:
        """Nodes against topological order with the nodes that read them."""
        return _grouped(self.edges)[::-1]


def _grouped(pairs: IntArray) -> list[tuple[int, IntArray]]:
    """Each first of some pair, ascending, with the seconds of its pairs."""
    ordered = pairs[np.argsort(pairs[:, 0], kind="stable")]
    firsts, begin = np.unique(ordered[:, 0], return_index=True)
    return list(zip(firsts.tolist(), np.split(ordered[:, 1], begin[1:]), strict=True)) if len(pairs) else []
