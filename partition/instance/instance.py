"""The solver's view of a graph on a package: contracted nodes, merged tensors, times in units of the trivial bound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from partition.arrays import BoolArray, FloatArray, IntArray, sums
from partition.instance.features import Feature, features_of
from partition.order import components, topological_order
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.problem.problem import Problem

BEYOND = 2.0
"""What a transfer counts for at most that takes longer than the largest period of interest, in such periods."""

LEAST_UNIT = 1e-150
"""Least unit of time, relative to the largest time there is."""

ROUNDING = 1e-9
"""Relative allowance when a node's time is compared with a period."""


@dataclass(frozen=True, eq=False)
class Instance:
    """What the formulation, the windows and the bounds work on. Everything lost by the contraction is without loss.

    Operations that must or may as well share a chip form one *node*: colocation groups, strongly connected
    components that these create, and inputs or constants read by a single operation.

    Attributes
    ----------
    graph, hardware : where it comes from.
    unit : seconds (or the file's unit) that 1.0 stands for; every time below is in this unit.
    node_of : (n,) operation -> node.
    time : (K, N) of each node on each chip kind; 0 where the kind does not support it.
    supported : (K, N) bool, whether the kind can run the node.
    weights : (N,) bytes of private weights.
    replicable : (N,) bool.
    source, tau, relayable : (M,) node that produces, transfer time and whether it may be relayed, per tensor.
    reader_ptr, readers : CSR, the nodes other than the source that read each tensor.
    reader_constrains : for each reader, whether its edge is bound by the acyclic and triangle rules.
    members : (m,) graph tensor -> the row that stands for it, or -1 where no other node reads it.
    edges : (E, 2) unique pairs (source node, reader node) that must not go back in the order of the chips.
    shared_bytes, shared_ptr, shared_nodes : CSR of the weights that several nodes use.
    legal : the package that decides what may be replicated, where ``hardware`` is only a part of it.
    """

    graph: Graph
    hardware: Hardware
    unit: float
    node_of: IntArray
    time: FloatArray
    supported: BoolArray
    weights: FloatArray
    replicable: BoolArray
    source: IntArray
    tau: FloatArray
    relayable: BoolArray
    reader_ptr: IntArray
    readers: IntArray
    reader_constrains: BoolArray
    members: IntArray
    edges: IntArray
    shared_bytes: FloatArray
    shared_ptr: IntArray
    shared_nodes: IntArray
    legal: Hardware | None = None

    @property
    def nodes(self) -> int:
        """Number of nodes ``N``."""
        return int(self.time.shape[1])

    @property
    def tensors(self) -> int:
        """Number of tensors ``M`` that another node reads."""
        return len(self.source)

    @property
    def chips(self) -> int:
        """Number of chips ``C``."""
        return self.hardware.chips

    @cached_property
    def problem(self) -> Problem:
        """The graph on the package."""
        return Problem.of(self.graph, self.hardware)

    def within(self, period: float) -> Instance:
        """The same for all placements of at most this period, in units of the instance.

        A kind on which a node alone takes longer does not support it; a tensor that takes longer cannot move, and its
        time is cut down to twice the period. So sums, and differences of sums, lose no digits to what cannot be.
        """
        supported = self.supported & (self.time <= period * (1 + ROUNDING))
        return replace(
            self,
            supported=supported,
            time=np.where(supported, self.time, 0.0),
            tau=np.minimum(self.tau, BEYOND * period),
        )

    @cached_property
    def forward_only(self) -> bool:
        """Whether every tensor can only move to the same or a later chip."""
        return self.hardware.interconnect.topology == "chain" or (
            self.hardware.rules.acyclic and bool(self.reader_constrains.all())
        )

    @property
    def links_carry_cuts(self) -> bool:
        """Whether the link behind a chip carries all that crosses from it and those before it to those behind it."""
        return self.hardware.links > 0 and self.forward_only

    @cached_property
    def fastest(self) -> FloatArray:
        """(N,) time of each node on the kind of the package that runs it fastest."""
        return np.asarray(np.where(self.supported, self.time, np.inf)[self.problem.present].min(axis=0))

    @cached_property
    def features(self) -> frozenset[Feature]:
        """What the question contains, for engines to look up in what they cover."""
        return features_of(self)

    @cached_property
    def longest(self) -> float:
        """A period that no placement exceeds: every chip runs all nodes, receives and sends every tensor."""
        return float(self.time.max(axis=0).sum() + 2 * self.tau.sum()) or 1.0

    @cached_property
    def energy(self) -> FloatArray:
        """(K, N) joules of each node on each chip kind."""
        return np.stack([sums(self.node_of, row, self.nodes) for row in self.problem.energy])

    @cached_property
    def triangle_by_relays(self) -> bool:
        """Whether relays satisfy the triangle rule at no cost to the period, so that the MILP may leave it out.

        With overlapped transfers on a forward-only chain or ring, a relay adds to a chip's receive and send only
        what the links beside the chip carry anyway. So where every tensor may be relayed, relaying each
        chip by chip joins neighbours only, and the period stays as it is.
        """
        hw = self.hardware
        free = not (hw.serial or hw.rules.dynamic_memory)  # buffers of a relay take room
        return hw.rules.triangle and free and hw.in_line and self.forward_only and bool(self.relayable.all())

    @cached_property
    def representatives(self) -> IntArray:
        """(N,) the operation of each node that takes longest."""
        work = self.problem.times.min(axis=0)
        order = np.lexsort((np.arange(self.graph.n), -work, self.node_of))
        return np.asarray(order[np.searchsorted(self.node_of[order], np.arange(self.nodes))])

    @cached_property
    def all_weights(self) -> FloatArray:
        """(N,) bytes of the private and shared weights that each node uses."""
        weight = np.repeat(np.arange(len(self.shared_bytes)), np.diff(self.shared_ptr))
        return self.weights + sums(self.shared_nodes, self.shared_bytes[weight], self.nodes)

    @cached_property
    def moved_bytes(self) -> FloatArray:
        """(M,) bytes of the graph tensors that each row stands for."""
        inside = self.members >= 0
        return sums(self.members[inside], self.graph.tensor_bytes[inside], self.tensors)

    @cached_property
    def footprints(self) -> FloatArray:
        """(N,) most bytes of tensors that one operation of each node reads and writes."""
        found = np.zeros(self.nodes)
        np.maximum.at(found, self.node_of, self._touched_bytes)
        return found

    @cached_property
    def _touched_bytes(self) -> FloatArray:
        graph = self.graph
        reads = np.unique(np.stack([graph.consumers, graph.edge_tensor]), axis=1)
        read = np.bincount(reads[0], weights=graph.tensor_bytes[reads[1]], minlength=graph.n)
        return np.asarray(read + np.bincount(graph.producer, weights=graph.tensor_bytes, minlength=graph.n))

    def touched_tensors(self, node: int) -> list[tuple[int, float]]:
        """(graph tensor, bytes) that the operation of largest footprint of a node reads or writes."""
        graph = self.graph
        members = np.flatnonzero(self.node_of == node)
        v = members[np.argmax(self._touched_bytes[members])]
        touched = np.concatenate([graph.edge_tensor[graph.consumers == v], np.flatnonzero(graph.producer == v)])
        touched = np.unique(touched)
        return list(zip(touched.tolist(), graph.tensor_bytes[touched].tolist(), strict=True))

    def tensor_readers(self, t: int) -> IntArray:
        """Nodes that read tensor ``t``."""
        return self.readers[self.reader_ptr[t] : self.reader_ptr[t + 1]]

    def chip_of_nodes(self, placement: Placement) -> IntArray:
        """(N,) home chip of every node under a placement that keeps each node together."""
        chip = np.empty(self.nodes, dtype=np.int64)
        chip[self.node_of] = placement.assignment
        return chip

    def lift(self, chip: IntArray, replicas: list[tuple[int, int]], relays: list[tuple[int, int]]) -> Placement:
        """The placement of operations and graph tensors for one of nodes and rows."""
        members_of_node = [(v, c) for node, c in replicas for v in np.flatnonzero(self.node_of == node)]
        members_of_row = [(t, c) for row, c in relays for t in np.flatnonzero(self.members == row)]
        return Placement(
            chip[self.node_of],
            np.array(members_of_node, dtype=np.int64).reshape(-1, 2),
            np.array(members_of_row, dtype=np.int64).reshape(-1, 2),
        )


def contract(
    graph: Graph, hardware: Hardware, *, unit: float | None = None, legal: Hardware | None = None, apart: bool = False
) -> Instance:
    """Reduce a graph on a package to what the solver needs.

    Parameters
    ----------
    unit : of time, instead of the trivial bound.
    legal : the package that decides what may be replicated, where ``hardware`` is a part of it.
    apart : keep equal tensors apart for the latency, on which relays by different chips tell even with overlapped
        transfers.
    """
    problem = Problem.of(graph, hardware)
    present = problem.present
    node_of = _nodes(graph, hardware, problem.times[present])
    count = int(node_of.max()) + 1
    may_replicate = problem.replicable if legal is None else Problem.of(graph, legal).replicable
    time = np.stack([np.bincount(node_of, weights=row, minlength=count) for row in problem.times])
    replicable_nodes = np.bincount(node_of[~may_replicate], minlength=count) == 0

    fastest = time[present].min(axis=0)
    unit = float(max(fastest.sum() / hardware.chips, fastest.max())) if unit is None else unit
    tau = problem.transfer_times
    largest = float(max(time[np.isfinite(time)].max(initial=0.0), tau.max(initial=0.0)))
    if unit <= LEAST_UNIT * largest:  # nothing, or so little that other figures counted in it overflow
        unit = largest or 1.0
    rows = _tensor_rows(graph, hardware, node_of, tau / unit, apart)

    tensor = np.repeat(np.arange(len(rows.source)), np.diff(rows.reader_ptr))
    bound = _bound(hardware, rows.reader_constrains)
    edges = np.unique(np.stack([rows.source[tensor], rows.readers], axis=1)[bound], axis=0)

    shared_row = np.repeat(np.arange(len(graph.shared_names)), np.diff(graph.shared_ptr))
    shared = np.unique(np.stack([shared_row, node_of[graph.shared_users]]), axis=1)
    users = np.bincount(shared[0], minlength=len(graph.shared_names))
    weights = sums(node_of, graph.weights, count)
    only = users[shared[0]] == 1
    np.add.at(weights, shared[1][only], graph.shared_bytes[shared[0][only]])
    kept = np.flatnonzero(users > 1)
    renumber = np.cumsum(users > 1) - 1
    instance = Instance(
        graph=graph,
        hardware=hardware,
        unit=unit,
        node_of=node_of,
        time=np.where(np.isfinite(time), time, 0.0) / unit,
        supported=np.isfinite(time),
        weights=weights,
        replicable=replicable_nodes,
        source=rows.source,
        tau=rows.tau,
        relayable=rows.relayable,
        reader_ptr=rows.reader_ptr,
        readers=rows.readers,
        reader_constrains=rows.reader_constrains,
        members=rows.members,
        edges=edges,
        shared_bytes=graph.shared_bytes[kept],
        shared_ptr=np.concatenate([[0], np.cumsum(users[kept])]).astype(np.int64),
        shared_nodes=shared[1][~only][np.argsort(renumber[shared[0][~only]], kind="stable")],
        legal=legal,
    )
    assert instance.problem is problem  # which the instance keeps from now on
    return instance


def _bound(hardware: Hardware, constrains: BoolArray) -> BoolArray:
    """Which edges must not go back: the constraining ones under the acyclic rule, and all of them on a chain."""
    if hardware.interconnect.topology == "chain":
        return np.ones_like(constrains)
    return constrains if hardware.rules.acyclic else np.zeros_like(constrains)


def _nodes(graph: Graph, hardware: Hardware, times: FloatArray) -> IntArray:
    """(n,) node of each operation, numbered along a topological order of the nodes."""
    links = [_group_links(graph)]
    if _free_sources_may_move(graph, hardware):
        links.append(_free_source_links(graph, hardware, times))
    label = components(graph.n, np.concatenate(links, axis=1), "weak")
    bound = _bound(hardware, graph.edge_constrains)
    if hardware.rules.acyclic or bound.any():  # a chain of one chip has the rule off at times
        quotient = np.stack([label[graph.edge_source[bound]], label[graph.consumers[bound]]])
        label = components(int(label.max()) + 1, quotient, "strong")[label]
        quotient = np.stack([label[graph.edge_source[bound]], label[graph.consumers[bound]]])
        return _renumber_topologically(label, quotient)
    return np.asarray(np.unique(label, return_inverse=True)[1], dtype=np.int64)


def _free_sources_may_move(graph: Graph, hardware: Hardware) -> bool:
    """Not where an otherwise empty chip must not be left empty: it may be of a useful kind, or relay."""
    rules = hardware.rules
    if not rules.no_skipping:
        return True
    costly = hardware.serial or rules.dynamic_memory or bool(graph.backward.any())
    relays_matter = rules.triangle and hardware.relays_allowed and costly
    return hardware.identical_chips and not relays_matter


def _group_links(graph: Graph) -> IntArray:
    """Pairs that tie every grouped operation to the first one of its group."""
    grouped = np.flatnonzero(graph.group >= 0)
    _, first, inverse = np.unique(graph.group[grouped], return_index=True, return_inverse=True)
    return np.stack([grouped, grouped[first[inverse]]])


def _free_source_links(graph: Graph, hardware: Hardware, times: FloatArray) -> IntArray:
    """Pairs that tie operations without inputs, time or weights to their only consumer (or, unread, to anything).

    Only those that take the same energy on every kind, and where live tensors count, only those whose tensors are all
    read: beside their reader they take least.
    """
    pairs = np.unique(np.stack([graph.edge_source, graph.consumers]), axis=1)
    count = np.bincount(pairs[0], minlength=graph.n)
    target = np.full(graph.n, -1)
    target[pairs[0]] = pairs[1]
    free = (np.bincount(graph.consumers, minlength=graph.n) == 0) & (times.max(axis=0) == 0) & (graph.weights == 0)
    kinds = [hardware.kinds[k] for k in np.unique(hardware.kind_array()).tolist()]
    energy = [graph.flops * k.flop_energy_j + graph.bytes_accessed * k.sram_energy_j_per_byte for k in kinds]
    free &= np.ptp(np.stack(energy), axis=0) == 0
    free &= graph.group < 0
    free[graph.shared_users] = False
    if hardware.rules.dynamic_memory:
        free[graph.producer[np.diff(graph.consumer_ptr) == 0]] = False
    unread = np.flatnonzero(free & (count == 0))
    target[unread] = graph.topological_order[-1]
    joined = np.flatnonzero(free & (count <= 1))
    return np.stack([joined, target[joined]])


def _renumber_topologically(label: IntArray, quotient: IntArray) -> IntArray:
    count = int(label.max()) + 1
    between = quotient[:, quotient[0] != quotient[1]]
    first_seen = np.full(count, len(label))
    np.minimum.at(first_seen, label, np.arange(len(label)))
    by_position = np.argsort(np.argsort(first_seen))  # ties in the order follow the file
    order = topological_order(count, by_position[between[0]], by_position[between[1]])
    rank = np.empty(count, dtype=np.int64)
    rank[order] = np.arange(count)
    return rank[by_position[label]]


@dataclass(frozen=True)
class _Rows:
    source: IntArray
    tau: FloatArray
    relayable: BoolArray
    reader_ptr: IntArray
    readers: IntArray
    reader_constrains: BoolArray
    members: IntArray


def _tensor_rows(graph: Graph, hardware: Hardware, node_of: IntArray, tau: FloatArray, apart: bool) -> _Rows:
    """One row per tensor that leaves its node, equal ones merged where that loses nothing."""
    source_of_edge, reader_of_edge = node_of[graph.edge_source], node_of[graph.consumers]
    outside = source_of_edge != reader_of_edge
    may_relay = Problem.of(graph, hardware).relayable
    # Relays of equal tensors may differ where they cost time and the triangle rule gives a reason to.
    costly = hardware.serial or hardware.rules.dynamic_memory or apart
    merge = not (hardware.relays_allowed and hardware.rules.triangle and costly)
    readers_of: dict[int, dict[int, bool]] = {}
    for t, w, constrains in zip(
        graph.edge_tensor[outside].tolist(),
        reader_of_edge[outside].tolist(),
        graph.edge_constrains[outside].tolist(),
        strict=True,
    ):
        known = readers_of.setdefault(t, {})
        known[w] = known.get(w, False) or constrains
    row_of: dict[tuple[object, ...], int] = {}
    members = np.full(graph.m, -1)
    kept: list[int] = []
    for t, readers in readers_of.items():
        key: tuple[object, ...] = (int(node_of[graph.producer[t]]), bool(may_relay[t]), *sorted(readers.items()))
        row = row_of.setdefault(key if merge else (t,), len(kept))
        if row == len(kept):
            kept.append(t)
        members[t] = row
    lists = [sorted(readers_of[t].items()) for t in kept]
    inside = members >= 0
    return _Rows(
        source=node_of[graph.producer[kept]] if kept else np.zeros(0, np.int64),
        tau=sums(members[inside], tau[inside], len(kept)),
        relayable=may_relay[kept] if kept else np.zeros(0, bool),
        reader_ptr=np.concatenate([[0], np.cumsum([len(r) for r in lists])]).astype(np.int64),
        readers=np.array([w for r in lists for w, _ in r], dtype=np.int64),
        reader_constrains=np.array([b for r in lists for _, b in r], dtype=bool),
        members=members,
    )
