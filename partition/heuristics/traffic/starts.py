"""First placements of little traffic: halves by closures of least cut along smooth directions, halved again.

A direction gives every node a place between first and last. Smooth ones, of neighbours near each other, are the
eigenvectors of the graph's Laplacian (Fiedler, 1973) and mixtures of them; another kind is a depth-first order. A
closure of least cut with a price for nodes on the wrong side of the middle then keeps the edges' direction.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix, diags

from partition.arrays import BoolArray, FloatArray, IntArray
from partition.heuristics.traffic.closures import Cut
from partition.heuristics.traffic.network import Network
from partition.instance.orders import Adjacency

DIRECTIONS = 8
"""Eigenvectors that are mixed."""

SHIFT = 1e-3
"""Added to the Laplacian's diagonal, so that it can be factored."""

HALVES = 3
"""Drawn for every split, of which the one with the least cut is taken."""

STEPS = 8
"""Closures tried until one is balanced."""

PRICES = (0.1, 0.3, 1.0)
"""What a node on the wrong side counts for at most, in mean tensors."""

SPREAD = 0.2
"""How much the sizes of tensors are drawn larger, so that starts differ."""


class Starts:
    """Draws placements of a network."""

    def __init__(self, network: Network, rng: np.random.Generator) -> None:
        self.network, self.rng = network, rng
        self.directions = smooth_directions(network, rng)
        self.arcs = np.stack([network.source[network.tensor], network.readers], axis=1)
        each = network.size / np.maximum(1, np.diff(network.ptr))
        self.cost = each[network.tensor]  # a tensor's bytes are shared by its readers: near enough for a start

    @property
    def flows(self) -> int:
        """Closures that a draw takes at most."""
        return STEPS * HALVES * (self.network.chips - 1)

    def draw(self) -> IntArray:
        """(N,) chips; edges are kept, limits nearly."""
        return self._split(np.ones(self.network.nodes, bool), range(self.network.chips))

    def _split(self, inside: BoolArray, chips: range) -> IntArray:
        chip = np.full(self.network.nodes, chips.start)
        if len(chips) == 1 or not inside.any():
            return chip
        middle = len(chips) // 2
        halves = [self._halve(inside, chips[:middle], chips[middle:]) for _ in range(HALVES)]
        front = min(halves, key=lambda half: self._crossing(half, inside))
        for half, part in ((front, chips[:middle]), (inside & ~front, chips[middle:])):
            chip[half] = self._split(half, part)[half]
        return chip

    def _crossing(self, front: BoolArray, inside: BoolArray) -> float:
        """Cost of what leaves the first half for the second."""
        u, w = self.arcs.T
        return float(self.cost[front[u] & inside[w] & ~front[w]].sum())

    def _halve(self, inside: BoolArray, front: range, back: range) -> BoolArray:
        """A closed set of nodes inside that the chips in front can take, and those at the back the rest."""
        nodes = np.flatnonzero(inside)
        time = self.network.time.mean(axis=0)[nodes]
        place = self._places(nodes)
        share, limit, whole = len(front) / (len(front) + len(back)), self.network.limit, float(time.sum())
        target = share * whole
        slack = max(0.0, min(len(front) * limit - target, len(back) * limit - (whole - target)))
        if len(front) + len(back) > 2:
            slack *= 0.5  # the next halves need some
        slack = min(slack, target)
        bound_front, bound_back = self.network.hi[nodes] < back.start, self.network.lo[nodes] >= back.start
        edges, arcs, cost = self._within(inside)
        price = float(self.rng.choice(PRICES)) * float(cost.mean() if len(cost) else 1.0)
        low, high = -1.5 * price, 1.5 * price
        best, off = np.zeros(len(nodes), bool), np.inf
        for _ in range(STEPS):
            push = price * (share - place) + (low + high) / 2
            keep = np.where(bound_front, np.inf, np.maximum(push, 0.0))
            leave = np.where(bound_back, np.inf, np.maximum(-push, 0.0))
            found = Cut(len(nodes), edges, arcs, cost, keep, leave).least()
            held = [float(time[each].sum()) for each in found]
            for each, amount in zip(found, held, strict=True):
                if abs(amount - target) < off:
                    best, off = each, abs(amount - target)
            if off <= slack:
                break
            low, high = ((low + high) / 2, high) if held[0] < target else (low, (low + high) / 2)
        order = Adjacency(len(nodes), edges).by_priority(place)
        order = order[~(bound_front | bound_back)[order]]
        half = np.zeros(len(inside), bool)
        half[nodes[_balanced(best, time, target, slack, order)]] = True
        return half

    def _within(self, inside: BoolArray) -> tuple[IntArray, IntArray, FloatArray]:
        """Edges and arcs among the nodes inside, by their numbers there, and costs drawn a little larger."""
        index = np.cumsum(inside) - 1
        edges = self.network.edges[inside[self.network.edges].all(axis=1)]
        kept = inside[self.arcs].all(axis=1)
        cost = self.cost[kept] * (1.0 + SPREAD * self.rng.random(int(kept.sum())))
        return index[edges], index[self.arcs[kept]], cost

    def _places(self, nodes: IntArray) -> FloatArray:
        """(n,) places in 0..1 along a direction drawn at random."""
        kind = int(self.rng.integers(3))
        if kind == 0 or not self.directions.shape[1]:
            order = self.network.adjacency.postorder(self.rng.permutation(self.network.nodes))
            along = np.argsort(order)[nodes].astype(np.float64)
        elif kind == 1:
            along = self.directions[nodes] @ self.rng.standard_normal(self.directions.shape[1])
        else:
            along = self.directions[nodes, int(self.rng.integers(self.directions.shape[1]))]
            along = along * float(self.rng.choice([-1.0, 1.0]))
        place = np.empty(len(nodes))
        place[np.argsort(along, kind="stable")] = (np.arange(len(nodes)) + 0.5) / len(nodes)
        return place


def _balanced(front: BoolArray, time: FloatArray, target: float, slack: float, order: IntArray) -> BoolArray:
    """A closed set made larger or smaller by the nodes of an order until its time is near the target."""
    front, held = front.copy(), float(time[front].sum())
    if held > target + slack:
        last = order[::-1][front[order[::-1]]]
        front[last[np.cumsum(time[last]) - time[last] < held - target - slack]] = False
    elif held < target - slack:
        more = order[~front[order]]
        front[more[np.cumsum(time[more]) <= target - held]] = True
    return front


def smooth_directions(network: Network, rng: np.random.Generator) -> FloatArray:
    """(N, D) eigenvectors of the least eigenvalues of the Laplacian, each weighed by its smoothness."""
    from scipy.sparse.linalg import ArpackError, eigsh  # takes long to load

    n, count = network.nodes, min(DIRECTIONS, network.nodes - 2)
    if count < 1:
        return np.zeros((n, 0))
    u, w = network.edges.T
    ends = np.concatenate([u, w]), np.concatenate([w, u])
    near = csr_matrix((np.ones(2 * len(u)), ends), shape=(n, n))
    laplacian = diags(np.asarray(near.sum(axis=1)).ravel() + SHIFT) - near
    try:
        values, vectors = eigsh(laplacian.tocsc(), k=count, sigma=0, which="LM", v0=rng.random(n), rng=rng)
    except (ArpackError, RuntimeError):  # it has not converged, or could not be factored
        return np.zeros((n, 0))
    return np.asarray(vectors / np.sqrt(np.maximum(values, SHIFT)))
