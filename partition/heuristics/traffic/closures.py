"""Closures of least cut: a set of nodes with all their producers, by one maximum flow (Picard, 1976)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from partition.arrays import BoolArray, FloatArray, IntArray
from partition.one_thread import flows

LARGEST = 2**28
"""What all finite capacities sum to at most: scipy's flows are of 32 bits."""

FORCED = 2**30
"""Capacity of what must not be cut."""


@dataclass(frozen=True, eq=False)
class Cut:
    """What a closure is chosen by.

    Attributes
    ----------
    nodes : number of nodes.
    edges : (E, 2) pairs (producer, reader): who holds the reader holds the producer.
    arcs : (A, 2) and cost (A,): paid where the first is inside and the second is not.
    inside, outside : (N,) cost of leaving a node out, and of taking it in; infinite forces it.
    """

    nodes: int
    edges: IntArray
    arcs: IntArray
    cost: FloatArray
    inside: FloatArray
    outside: FloatArray

    def least(self) -> tuple[BoolArray, BoolArray]:
        """(N,) the smallest and the largest closure of least cost, costs rounded to 28 bits."""
        total = sum(float(x[np.isfinite(x)].sum()) for x in (self.cost, self.inside, self.outside))
        scale = LARGEST / total if total > 1e-300 else 0.0
        begin, end = self.nodes, self.nodes + 1
        into, out = np.flatnonzero(self.inside), np.flatnonzero(self.outside)
        tail = [self.arcs[:, 0], self.edges[:, 1], np.full(len(into), begin), out]
        head = [self.arcs[:, 1], self.edges[:, 0], into, np.full(len(out), end)]
        paid = np.concatenate([self.cost, np.full(len(self.edges), np.inf), self.inside[into], self.outside[out]])
        capacity = np.where(np.isfinite(paid), np.rint(np.minimum(paid, total) * scale), FORCED)
        shape = (self.nodes + 2, self.nodes + 2)
        network = csr_array((capacity, (np.concatenate(tail), np.concatenate(head))), shape=shape)
        network.data = np.minimum(network.data, FORCED)
        network = network.astype(np.int32)
        left = network - flows().maximum_flow(network, begin, end).flow
        left.data = (left.data > 0).astype(np.int32)
        left.eliminate_zeros()
        smallest, rest = np.zeros(end + 1, bool), np.zeros(end + 1, bool)
        smallest[flows().breadth_first_order(left, begin, return_predecessors=False)] = True
        rest[flows().breadth_first_order(left.T.tocsr(), end, return_predecessors=False)] = True
        return smallest[: self.nodes], ~rest[: self.nodes]
