"""Which neighbours must share a chip if the period is to stay within a threshold.

On a chain or ring the nodes on chips ``0..c`` form an ideal (a down-set). Every tensor that leaves it crosses the link
behind chip ``c``. Take the cheapest ideal that holds ``u`` and not its reader ``v``. If even there more crosses than a
link carries within ``T``, ``u`` and ``v`` share a chip in every placement of period ``<= T``. The cheapest ideal is a
minimum cut (a closure problem: Picard, "Maximal closure of a graph", 1976); a tensor with several readers counts once.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from milp import budget
from milp.tolerances import ROUNDING
from partition.arrays import BoolArray, FloatArray
from partition.instance.contract import contract
from partition.instance.features import ABSORBED, PERIOD_ALONE, PORTS_FOR_ROUTES, Feature, Scope, named
from partition.instance.instance import Instance
from partition.instance.orders import diverse_orders
from partition.one_thread import flows
from partition.order import components
from partition.stopping import Stop

SCOPE = Scope(
    engine="separations",
    claims="neighbours that share a chip within a period",
    covers=ABSORBED
    | named(
        "CHAIN RING OVERLAPPED SERIAL ACYCLIC NO_SKIPPING SKIPPING TRIANGLE LIMITED_MEMORY DYNAMIC_MEMORY "
        "REPLICAS RELAYS MIXED_KINDS FREE_ORDER UNSUPPORTED FREE_TRANSFERS SHARED_WEIGHTS FREE_EDGES "
        "ZERO_TIMES CUTS STREAMING STREAMING_IN_TURN"
    ),
    refuses={
        **PERIOD_ALONE,
        Feature.ROUTES: PORTS_FOR_ROUTES,
        Feature.CROSSBAR: "there are no links",
        Feature.MAIN_MEMORY: "there are no links",
        Feature.ANY_ORDER: "the chips up to a link hold no ideal",
    },
)


SCALE = 1e6
"""Integer units of flow per unit of the instance; capacities are rounded down, which keeps cuts on the safe side."""

FLOW_LIMIT = 2**30
"""Capacity of arcs that must not be cut, and above the sum of all others (SciPy's flows are 32-bit)."""

ORDERS = 4
"""Topological orders whose prefixes settle most edges before any flow is computed."""


class Separation:
    """Finds inseparable neighbours of one instance for any threshold."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.orders = [
            o for _, o in zip(range(ORDERS), diverse_orders(instance, np.random.default_rng(0)), strict=False)
        ]
        plain = ~instance.replicable
        self.edges = instance.edges[plain[instance.edges].all(axis=1)]
        tensor = np.repeat(np.arange(instance.tensors), np.diff(instance.reader_ptr))
        counted = plain[instance.source[tensor]] & plain[instance.readers]
        self.tensor, self.reader = tensor[counted], instance.readers[counted]
        self.heaviest = self._heaviest()

    def _heaviest(self) -> FloatArray:
        """(E,) time of the heaviest tensor of the first node of each edge that the second one reads."""
        inst = self.instance
        heaviest: FloatArray = np.zeros(len(self.edges))
        if len(self.edges):
            edge = self.edges[:, 0] * inst.nodes + self.edges[:, 1]  # ascending
            pair = inst.source[self.tensor] * inst.nodes + self.reader
            at = np.minimum(np.searchsorted(edge, pair), len(edge) - 1)
            on = np.flatnonzero(edge[at] == pair)
            np.maximum.at(heaviest, at[on], inst.tau[self.tensor[on]])
        return heaviest

    @staticmethod
    def applies(instance: Instance) -> bool:
        """There are links, and everything moves forward over them."""
        return (
            SCOPE.admits(instance.features)
            and instance.links_carry_cuts
            and instance.chips > 1
            and len(instance.edges) > 0
        )

    def tightened(self, threshold: float, stop: Stop, *, seconds: float) -> Instance:
        """The instance with inseparable neighbours contracted: it has every placement of period ``<= threshold``."""
        pairs = self.edges[self.inseparable(threshold, stop, stop.seconds + seconds)]
        if not len(pairs):
            return self.instance
        inst = self.instance
        label = components(inst.nodes, pairs.T, "weak")
        size = np.bincount(label)
        grouped = size[label] > 1
        group = np.where(grouped[inst.node_of], inst.graph.n + label[inst.node_of], inst.graph.group)
        return contract(replace(inst.graph, group=group), inst.hardware, unit=inst.unit, legal=inst.legal)

    def inseparable(self, threshold: float, stop: Stop, until: float) -> BoolArray:
        """(E,) whether each edge is proved not to cross between chips; False where time was up."""
        limit = threshold * (1 + ROUNDING)
        found = self.heaviest > limit
        settled = found | self._crossed_by_prefixes(limit)
        if settled.all():
            return found
        scale, network = self._network(limit)
        first, second = self.edges.T
        for e in range(len(self.edges)):
            if settled[e]:
                continue
            if stop() or stop.seconds > until:
                break
            u, v = int(first[e]), int(second[e])
            stop.charge(budget.FLOW_ARC * network.nnz)
            flow = flows().maximum_flow(network, u, v)
            if flow.flow_value > limit * scale:
                found[e] = settled[e] = True
                continue
            ideal = self._source_side(network - flow.flow, u)
            settled |= ideal[first] & ~ideal[second]
        return found

    def _crossed_by_prefixes(self, limit: float) -> BoolArray:
        """(E,) whether some prefix of an order, cheap enough for a link, separates each edge."""
        inst = self.instance
        crossed = np.zeros(len(self.edges), dtype=bool)
        for order in self.orders:
            position = np.empty(inst.nodes, dtype=np.int64)
            position[order] = np.arange(inst.nodes)
            last = np.full(inst.tensors, -1)
            np.maximum.at(last, self.tensor, position[self.reader])
            read = np.flatnonzero(last >= 0)
            made = position[inst.source[read]]
            steps: FloatArray = np.zeros(inst.nodes + 1)
            np.add.at(steps, made, inst.tau[read])
            np.subtract.at(steps, last[read], inst.tau[read])
            cheap = np.concatenate([[0], np.cumsum(steps.cumsum()[:-1] <= limit)])  # cheap cuts behind positions < i
            crossed |= cheap[position[self.edges[:, 1]]] > cheap[position[self.edges[:, 0]]]
        return crossed

    def _network(self, limit: float) -> tuple[float, sp.csr_array]:
        """Arcs whose cut costs what a link carries; nodes first, then a vertex for every tensor."""
        inst = self.instance
        tau = np.minimum(inst.tau, 2 * limit)
        tau = np.where(inst.replicable[inst.source], 0.0, tau)
        scale = min(SCALE, FLOW_LIMIT / (2 * (float(tau.sum()) + 1.0)))
        tensors = np.unique(self.tensor)
        tail = [self.edges[:, 1], inst.source[tensors], inst.nodes + self.tensor]
        head = [self.edges[:, 0], inst.nodes + tensors, self.reader]
        capacity = [
            np.full(len(self.edges), FLOW_LIMIT),
            np.floor(tau[tensors] * scale).astype(np.int64),
            np.full(len(self.tensor), FLOW_LIMIT),
        ]
        size = inst.nodes + inst.tensors
        arcs = (np.concatenate(capacity).astype(np.int32), (np.concatenate(tail), np.concatenate(head)))
        return scale, sp.csr_array(arcs, shape=(size, size))

    def _source_side(self, residual: sp.csr_array, source: int) -> BoolArray:
        """(N,) the nodes still reachable from the source: the cheapest ideal."""
        residual.data = (residual.data > 0).astype(np.int32)
        residual.eliminate_zeros()
        reached = flows().breadth_first_order(residual, source, return_predecessors=False)
        side = np.zeros(residual.shape[0], dtype=bool)
        side[reached] = True
        return np.asarray(side[: self.instance.nodes])
