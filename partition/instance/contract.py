"""From a graph on a package to the instance that the solver works on: nodes, merged tensors, a unit of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partition.arrays import BoolArray, FloatArray, IntArray, sums
from partition.instance.instance import Instance
from partition.order import components, topological_order
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.problem import Problem

LEAST_UNIT = 1e-150
"""Least unit of time, relative to the largest time there is."""


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
    may_replicate = problem.replicable if legal is None else Problem.of(graph, legal).replicable
    node_of = _nodes(problem)
    count = int(node_of.max()) + 1
    time = np.stack([sums(node_of, row, count) for row in problem.times])
    unit = _unit(problem, time, unit)
    rows = _tensor_rows(problem, node_of, problem.transfer_times / unit, apart)
    held = _weights(graph, node_of, count)
    instance = Instance(
        graph=graph,
        hardware=hardware,
        unit=unit,
        node_of=node_of,
        time=np.where(np.isfinite(time), time, 0.0) / unit,
        supported=np.isfinite(time),
        weights=held.private,
        replicable=np.bincount(node_of[~may_replicate], minlength=count) == 0,
        source=rows.source,
        tau=rows.tau,
        relayable=rows.relayable,
        reader_ptr=rows.reader_ptr,
        readers=rows.readers,
        reader_constrains=rows.reader_constrains,
        members=rows.members,
        edges=_edges(hardware, rows),
        before=_before(graph, node_of),
        shared_bytes=held.shared_bytes,
        shared_ptr=held.shared_ptr,
        shared_nodes=held.shared_nodes,
        legal=legal,
    )
    _ = instance.problem  # which the instance keeps from now on
    return instance


def _unit(problem: Problem, time: FloatArray, wanted: float | None) -> float:
    """What 1.0 stands for: the trivial bound of the nodes' times (K, N), unless something else is wanted.

    Where that is nothing, or so little that other figures counted in it overflow, it is the largest time there is.
    """
    fastest = time[problem.present].min(axis=0)
    unit = float(max(fastest.sum() / problem.hardware.chips, fastest.max())) if wanted is None else wanted
    largest = float(max(time[np.isfinite(time)].max(initial=0.0), problem.transfer_times.max(initial=0.0)))
    return (largest or 1.0) if unit <= LEAST_UNIT * largest else unit


@dataclass(frozen=True, eq=False)
class _Held:
    """Weights of nodes: as of :class:`Instance`, where weights that one node alone uses are private."""

    private: FloatArray
    shared_bytes: FloatArray
    shared_ptr: IntArray
    shared_nodes: IntArray


def _weights(graph: Graph, node_of: IntArray, count: int) -> _Held:
    row = np.repeat(np.arange(len(graph.shared_names)), np.diff(graph.shared_ptr))
    shared = np.unique(np.stack([row, node_of[graph.shared_users]]), axis=1)
    users = np.bincount(shared[0], minlength=len(graph.shared_names))
    private = sums(node_of, graph.weights, count)
    only = users[shared[0]] == 1
    np.add.at(private, shared[1][only], graph.shared_bytes[shared[0][only]])
    kept = np.flatnonzero(users > 1)
    return _Held(
        private,
        graph.shared_bytes[kept],
        np.concatenate([[0], np.cumsum(users[kept])]).astype(np.int64),
        shared[1][~only],
    )


def _bound(hardware: Hardware, constrains: BoolArray) -> BoolArray:
    """Which edges must not go back: the constraining ones under the acyclic rule, and all of them on a chain."""
    if hardware.interconnect.topology == "chain":
        return np.ones_like(constrains)
    return constrains if hardware.rules.acyclic else np.zeros_like(constrains)


def _before(graph: Graph, node_of: IntArray) -> IntArray:
    """(B, 2) pairs of nodes with a cut between them."""
    if graph.limits is None:
        return np.zeros((0, 2), dtype=np.int64)
    return np.asarray(np.unique(node_of[graph.limits.before], axis=0))


def _edges(hardware: Hardware, rows: _TensorRows) -> IntArray:
    """(E, 2) unique pairs (source, reader) that must not go back."""
    tensor = np.repeat(np.arange(len(rows.source)), np.diff(rows.reader_ptr))
    pairs = np.stack([rows.source[tensor], rows.readers], axis=1)
    return np.asarray(np.unique(pairs[_bound(hardware, rows.reader_constrains)], axis=0))


def _nodes(problem: Problem) -> IntArray:
    """(n,) node of each operation, numbered along a topological order of the nodes."""
    graph, hardware = problem.graph, problem.hardware
    links = [_group_links(graph)]
    if _free_sources_may_move(graph, hardware):
        links.append(_free_source_links(problem))
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


def _free_source_links(problem: Problem) -> IntArray:
    """Pairs that tie operations without inputs, time or weights to their only consumer (or, unread, to anything).

    Only those that take the same energy on every kind, and where live tensors count, only those whose tensors are all
    read: beside their reader they take least.
    """
    graph = problem.graph
    pairs = np.unique(np.stack([graph.edge_source, graph.consumers]), axis=1)
    count = np.bincount(pairs[0], minlength=graph.n)
    target = np.full(graph.n, -1)
    target[pairs[0]] = pairs[1]
    times, energy = problem.times[problem.present], problem.energy[problem.present]
    free = (np.bincount(graph.consumers, minlength=graph.n) == 0) & (times.max(axis=0) == 0) & (graph.weights == 0)
    free &= np.ptp(energy, axis=0) == 0
    free &= graph.group < 0
    free[graph.shared_users] = False
    if graph.limits is not None:
        free[graph.limits.before] = False
        if graph.limits.reference is not None:
            free[graph.limits.reference >= 0] = False
    if problem.hardware.rules.dynamic_memory:
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


@dataclass(frozen=True, eq=False)
class _TensorRows:
    """Tensors that leave their node: as of :class:`Instance`."""

    source: IntArray
    tau: FloatArray
    relayable: BoolArray
    reader_ptr: IntArray
    readers: IntArray
    reader_constrains: BoolArray
    members: IntArray


def _tensor_rows(problem: Problem, node_of: IntArray, tau: FloatArray, apart: bool) -> _TensorRows:
    """One row per tensor that leaves its node, equal ones merged where that loses nothing."""
    graph, hardware, may_relay = problem.graph, problem.hardware, problem.relayable
    source_of_edge, reader_of_edge = node_of[graph.edge_source], node_of[graph.consumers]
    outside = source_of_edge != reader_of_edge
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
    return _TensorRows(
        source=node_of[graph.producer[kept]] if kept else np.zeros(0, np.int64),
        tau=sums(members[inside], tau[inside], len(kept)),
        relayable=may_relay[kept] if kept else np.zeros(0, bool),
        reader_ptr=np.concatenate([[0], np.cumsum([len(r) for r in lists])]).astype(np.int64),
        readers=np.array([w for r in lists for w, _ in r], dtype=np.int64),
        reader_constrains=np.array([b for r in lists for _, b in r], dtype=bool),
        members=members,
    )
