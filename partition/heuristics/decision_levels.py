"""Decision plans: an order in which nodes are placed, and for each node the earlier decisions that bound it.

In a given order, earlier decisions bound the chip of a node: its *maximal* ancestors from below, its *minimal*
descendants from above. Nodes whose bounds do not depend on one another are decided at once: a random order of a chain
of ``N`` nodes has about ``4 ln N`` such levels, the depth of a random search tree. Deciding level by level is exactly
deciding one by one with propagation after each decision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partition.arrays import FloatArray, IntArray
from partition.instance.instance import Instance

CHUNK = 4096
"""Sets of nodes whose bits are unpacked at a time."""


@dataclass(frozen=True, eq=False)
class Bounds:
    """The earlier decisions that bound the nodes of one level from one side; CSR over the nodes.

    Attributes
    ----------
    ptr : (k,) int, first entry of each of the level's nodes; every node has at least one.
    node : (p,) int, nodes decided before; ``N`` stands for a virtual node before all others, ``N + 1`` for one after.
    between : (p,) bytes of private weights of undecided nodes that must lie between the two, and the node's own.
    """

    ptr: IntArray
    node: IntArray
    between: FloatArray


@dataclass(frozen=True, eq=False)
class DecisionLevel:
    """Nodes decided at once: (k,) nodes, what bounds them from below and from above."""

    nodes: IntArray
    below: Bounds
    above: Bounds


class Precedence:
    """Ancestors and descendants of the nodes of an instance, as sets of bits."""

    def __init__(self, instance: Instance, nodes: IntArray) -> None:
        """For ``nodes`` (ascending) alone; edges from and to others are left out."""
        self.instance, self.nodes = instance, nodes
        kept = np.zeros(instance.nodes, dtype=bool)
        kept[nodes] = True
        edges = instance.edges
        self.edges = edges[kept[edges[:, 0]] & kept[edges[:, 1]]] if len(edges) else np.zeros((0, 2), np.int64)
        self.weights = np.where(kept, instance.weights, 0.0)
        bit = [1 << v for v in range(instance.nodes)]
        self.ancestors = [0] * instance.nodes
        self.descendants = [0] * instance.nodes
        # Nodes are numbered topologically where there are edges.
        for u, v in self.edges[np.argsort(self.edges[:, 1], kind="stable")].tolist():
            self.ancestors[v] |= self.ancestors[u] | bit[u]
        for u, v in self.edges[np.argsort(-self.edges[:, 0], kind="stable")].tolist():
            self.descendants[u] |= self.descendants[v] | bit[v]

    def between(self, pairs: list[tuple[int, int]]) -> FloatArray:
        """(p,) bytes of weights strictly between the two nodes of each pair; see :class:`Bounds` for virtual ones."""
        n = self.instance.nodes
        everything = (1 << n) - 1
        return self.sums_over(
            [
                (self.descendants[u] if u < n else everything) & (self.ancestors[v] if v < n else everything)
                for u, v in pairs
            ],
            self.weights,
        )

    def sums_over(self, sets: list[int], amounts: FloatArray) -> FloatArray:
        """(s,) sum of ``amounts`` (N,) over each set of nodes, given by its bits."""
        n = self.instance.nodes
        size = (n + 7) // 8
        total = np.zeros(len(sets))
        for begin in range(0, len(sets), CHUNK):
            part = sets[begin : begin + CHUNK]
            packed = np.frombuffer(b"".join(bits.to_bytes(size, "little") for bits in part), dtype=np.uint8)
            rows = np.unpackbits(packed.reshape(len(part), size), axis=1, bitorder="little")[:, :n]
            total[begin : begin + len(part)] = rows.astype(np.float64) @ amounts
        return total


def plan(precedence: Precedence, order: IntArray) -> list[DecisionLevel]:
    """The levels of deciding nodes in ``order``, a permutation of ``precedence.nodes``."""
    n = precedence.instance.nodes
    ancestors, descendants = precedence.ancestors, precedence.descendants
    decided = 0
    level = [0] * (n + 2)
    below: list[list[int]] = [[] for _ in range(n)]
    above: list[list[int]] = [[] for _ in range(n)]
    for v in order.tolist():
        earlier = ancestors[v] & decided
        while earlier:
            u = earlier.bit_length() - 1  # the last one in topological order has no descendant among the others
            below[v].append(u)
            earlier &= ~(ancestors[u] | (1 << u))
        later = descendants[v] & decided
        while later:
            u = (later & -later).bit_length() - 1
            above[v].append(u)
            later &= ~(descendants[u] | (1 << u))
        level[v] = 1 + max((level[u] for u in below[v] + above[v]), default=0)
        decided |= 1 << v
    members: list[list[int]] = [[] for _ in range(max(level, default=0))]
    for v in order.tolist():
        members[level[v] - 1].append(v)
    return [_level(precedence, nodes, below, above) for nodes in members]


def _level(precedence: Precedence, nodes: list[int], below: list[list[int]], above: list[list[int]]) -> DecisionLevel:
    n = precedence.instance.nodes
    lower = [below[v] or [n] for v in nodes]
    upper = [above[v] or [n + 1] for v in nodes]
    own = precedence.weights
    return DecisionLevel(
        np.array(nodes, dtype=np.int64),
        _bounds(
            lower, precedence.between([(u, v) for v, us in zip(nodes, lower, strict=True) for u in us]), own, nodes
        ),
        _bounds(
            upper, precedence.between([(v, u) for v, us in zip(nodes, upper, strict=True) for u in us]), own, nodes
        ),
    )


def _bounds(bounding: list[list[int]], between: FloatArray, own: FloatArray, nodes: list[int]) -> Bounds:
    counts = np.array([len(us) for us in bounding])
    return Bounds(
        np.cumsum(counts) - counts,
        np.array([u for us in bounding for u in us], dtype=np.int64),
        between + np.repeat(own[nodes], counts),
    )
