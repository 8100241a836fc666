"""Which edges of a batch of assignments cross between chips: whole rows of small integers compared at once.

The quick path of the cost model for assignments without replicas and relays; :mod:`partition.scoring.transfers` is the
general one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partition.arrays import BoolArray, IntArray, ranks, runs
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware

PAIR_LIMIT = 64
"""Most consumers of a tensor for which all pairs are compared to find repeats; above it, they are marked."""


Chips = NDArray[np.int32]
"""Chip numbers; int8 at run time where the package is small enough."""


@dataclass(frozen=True, eq=False)
class Crossings:
    """Edges and tensors of ``B`` assignments, a row each; ``T`` tensors have consumers.

    Attributes
    ----------
    by_operation : (n, B) chip of each operation.
    target : (E, B) chip of each edge's consumer.
    first : (E, B) bool, the edge crosses and no earlier edge of its tensor ends on the same chip.
    home, farthest : (T, B) chip of the producer, and links to its farthest consumer (0: the tensor stays).
    backward : (E, B) bool, the consumer is on an earlier chip than the producer.
    """

    by_operation: Chips
    target: Chips
    first: BoolArray
    home: Chips
    farthest: Chips
    backward: BoolArray


class CrossingModel:
    """Finds crossings of one graph; immutable once built."""

    def __init__(self, graph: Graph, hardware: Hardware) -> None:
        self.graph, self.chips = graph, hardware.chips
        self.dtype: Any = np.int8 if hardware.chips <= 127 else np.int32
        degree = np.diff(graph.consumer_ptr)
        self.read = np.flatnonzero(degree)
        self.begin = graph.consumer_ptr[self.read]
        self.producer = graph.producer[self.read]
        self.several = np.flatnonzero(degree[self.read] > 1)
        many = degree[self.read[self.several]]
        self.edges = np.flatnonzero(degree[graph.edge_tensor] > 1)
        self.edges_begin = np.cumsum(many) - many
        place = ranks(graph.edge_tensor)
        place[degree[graph.edge_tensor] > PAIR_LIMIT] = 0
        later = np.repeat(np.arange(len(place)), place)
        earlier = runs(graph.consumer_ptr[graph.edge_tensor], place)
        self.later, self.earlier = later, earlier
        self.repeated, self.repeated_begin = np.unique(later, return_index=True)
        self.wide = self.read[degree[self.read] > PAIR_LIMIT]

    def find(self, assignments: IntArray) -> Crossings:
        """Crossings of ``assignments`` (B, n)."""
        by_operation: Chips = np.ascontiguousarray(assignments.T, dtype=self.dtype)
        target = by_operation[self.graph.consumers]
        distance = target - by_operation[self.graph.edge_source]
        backward = distance < 0
        if backward.any():
            distance += backward.astype(self.dtype) * self.dtype(self.chips)
        first = distance != 0
        if len(self.later):
            same = target[self.later] == target[self.earlier]
            first[self.repeated] &= ~np.logical_or.reduceat(same, self.repeated_begin, axis=0)
        for t in self.wide.tolist():
            self._mark_first(first, target, slice(*self.graph.consumer_ptr[t : t + 2]))
        home = by_operation[self.producer]
        farthest = distance[self.begin]
        if len(self.several):
            farthest[self.several] = np.maximum.reduceat(distance[self.edges], self.edges_begin, axis=0)
        return Crossings(by_operation, target, first, home, farthest, backward)

    def _mark_first(self, first: BoolArray, target: Chips, edges: slice) -> None:
        chips = target[edges].astype(np.int64)
        batch = np.broadcast_to(np.arange(chips.shape[1]), chips.shape)
        seen = np.unique(batch * self.chips + chips, return_index=True)[1]
        fresh = np.zeros(chips.size, dtype=bool)
        fresh[seen] = True
        first[edges] &= fresh.reshape(chips.shape)
