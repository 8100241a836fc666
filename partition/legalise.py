"""What makes a model fit the triangle rule: which operations may be replicated, which tensors relayed."""

from __future__ import annotations

import numpy as np

from partition.graph import BoolArray, Graph, IntArray
from partition.hardware import Hardware
from partition.placement import Placement

SHARE = 0.01
"""Largest share of a chip's fair part of the time, and of its SRAM, that a replica may take."""

CLOSURE_LIMIT = 64
"""Most operations (itself and its ancestors) that one replica may bring along."""


def replicable(graph: Graph, hardware: Hardware) -> BoolArray:
    """(n,) bool, the operations that may run on several chips (docs/problem.md, *Replicable*).

    They are cheap, have small inputs and are closed under producers, so that a replica together with its
    ancestors needs nothing from another chip. The attention mask of a transformer is the typical case.
    """
    result = np.zeros(graph.n, dtype=bool)
    if not hardware.replication_allowed or hardware.chips == 1:
        return result
    for v in _cheap_source_closed(graph, hardware):
        result[v] = True
    return _wanted_by_several(graph, result)


def relayable(graph: Graph, hardware: Hardware) -> BoolArray:
    """(m,) bool, the tensors that chips may forward: those read over constraining edges alone."""
    if not hardware.relays_allowed:
        return np.zeros(graph.m, dtype=bool)
    free_edges = graph.edge_tensor[~graph.edge_constrains]
    result = np.ones(graph.m, dtype=bool)
    result[free_edges] = False
    return result


def _cheap_source_closed(graph: Graph, hardware: Hardware) -> list[int]:
    times = hardware.times(graph)[np.unique(hardware.kind_array())]
    time = times.max(axis=0)
    time_limit = SHARE * float(times.min(axis=0).sum()) / hardware.chips
    sram_limit = SHARE * float(hardware.sram_bytes.min())
    produced = np.bincount(graph.producer, weights=graph.tensor_bytes, minlength=graph.n)
    memory = graph.weights + np.where(graph.is_input, produced, 0.0)
    barred = graph.backward | (graph.group >= 0)
    barred[graph.shared_users] = True
    barred |= (time > time_limit) | (memory > sram_limit)

    # Only operations fed by candidates alone are looked at: a small neighbourhood of the inputs.
    closure: dict[int, frozenset[int]] = {}
    indegree = np.bincount(graph.consumers, minlength=graph.n)
    fed = np.zeros(graph.n, dtype=np.int64)
    ready = [int(v) for v in np.flatnonzero((indegree == 0) & ~barred)]
    edges_of = np.searchsorted(np.sort(graph.edge_source), np.arange(graph.n + 1))
    by_source = np.argsort(graph.edge_source, kind="stable")
    producers: list[list[int]] = [[] for _ in range(graph.n)]
    while ready:
        v = ready.pop()
        ancestors = frozenset({v}).union(*(closure[u] for u in producers[v]))
        inside = np.fromiter(ancestors, np.int64)
        if len(inside) > CLOSURE_LIMIT or time[inside].sum() > time_limit or memory[inside].sum() > sram_limit:
            continue
        closure[v] = ancestors
        for w in graph.consumers[by_source[edges_of[v] : edges_of[v + 1]]].tolist():
            producers[w].append(v)
            fed[w] += 1
            if fed[w] == indegree[w] and not barred[w]:
                ready.append(w)
    return sorted(closure)


def _wanted_by_several(graph: Graph, candidate: BoolArray) -> BoolArray:
    """Keep the candidates with several consumers, or whose one consumer is kept."""
    pairs = np.unique(np.stack([graph.edge_source, graph.consumers]), axis=1)
    count = np.bincount(pairs[0], minlength=graph.n)
    only = np.full(graph.n, -1)
    only[pairs[0]] = pairs[1]
    kept = candidate & (count > 1)
    rank = np.empty(graph.n, dtype=np.int64)
    rank[graph.topological_order] = np.arange(graph.n)
    single = np.flatnonzero(candidate & (count == 1))
    for v in single[np.argsort(-rank[single])]:
        kept[v] = kept[only[v]]
    return kept


def close_gaps(placement: Placement, chips: int) -> Placement:
    """The placement with empty chips skipped. On identical chips this never makes it worse (docs/proof.md)."""
    occupied = np.unique(np.concatenate([placement.assignment, placement.replicas[:, 1], placement.relays[:, 1]]))
    rank = np.zeros(chips, dtype=np.int64)
    rank[occupied] = np.arange(len(occupied))
    return _renamed(placement, rank)


def _renamed(placement: Placement, rank: IntArray) -> Placement:
    replicas, relays = placement.replicas.copy(), placement.relays.copy()
    replicas[:, 1], relays[:, 1] = rank[replicas[:, 1]], rank[relays[:, 1]]
    return Placement(rank[placement.assignment], replicas, relays)


def satisfy_triangle(graph: Graph, hardware: Hardware, placement: Placement) -> Placement:
    """Relay tensors chip by chip until no direct edge of the chip graph has a longer path beside it.

    Only tensors on offending edges are relayed, and each at most once, so it ends; what cannot be relayed is
    left as it is (the rule checker will say so).
    """
    if not (hardware.rules.triangle and hardware.relays_allowed):
        return placement
    tensor, chip = receives(graph, placement)
    counts = constraining(graph, placement, tensor, chip)
    may_relay = relayable(graph, hardware)
    home = placement.assignment[graph.producer]
    last = np.full(graph.m, -1)
    np.maximum.at(last, tensor, chip)
    relayed = np.zeros(graph.m, dtype=bool)
    relayed[placement.relays[:, 0]] = True
    extra = set(map(tuple, placement.relays.tolist()))
    held = set(map(tuple, placement.replicas.tolist()))
    while True:
        source = _sources(home, tensor, chip, extra)
        offending = _offending(source[counts], chip[counts], hardware.chips)
        chosen = np.unique(tensor[counts][offending[source[counts], chip[counts]]])
        chosen = chosen[may_relay[chosen] & ~relayed[chosen]]
        if not len(chosen):
            break
        relayed[chosen] = True
        for t in chosen.tolist():
            between = range(int(home[t]) + 1, int(last[t]))
            extra |= {(t, c) for c in between if (int(graph.producer[t]), c) not in held}
        pairs = np.unique(
            np.concatenate([np.stack([tensor, chip], axis=1), np.array(sorted(extra), dtype=np.int64).reshape(-1, 2)]),
            axis=0,
        )
        tensor, chip = pairs[:, 0], pairs[:, 1]
        counts = constraining(graph, placement, tensor, chip) | relayed[tensor]
    return Placement(placement.assignment, placement.replicas, np.array(sorted(extra), dtype=np.int64).reshape(-1, 2))


def receives(graph: Graph, placement: Placement) -> tuple[IntArray, IntArray]:
    """(tensor, chip) pairs, sorted: what each chip receives for its own instances (relays aside)."""
    tensor, chip, _ = _reads_elsewhere(graph, placement)
    pairs = np.unique(np.stack([tensor, chip], axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]


def constraining(graph: Graph, placement: Placement, tensor: IntArray, chip: IntArray) -> BoolArray:
    """Which of the given receives serve at least one constraining edge."""
    t, c, bound = _reads_elsewhere(graph, placement)
    width = int(max(c.max(initial=0), chip.max(initial=0))) + 1
    return np.isin(tensor * width + chip, t[bound] * width + c[bound])


def _reads_elsewhere(graph: Graph, placement: Placement) -> tuple[IntArray, IntArray, BoolArray]:
    """(tensor, chip, constrains) for every read by an instance with no instance of the producer beside it."""
    base = np.stack([np.arange(graph.n), placement.assignment], axis=1)
    instances = np.concatenate([base, placement.replicas])
    instances = instances[np.argsort(instances[:, 0], kind="stable")]
    ptr = np.searchsorted(instances[:, 0], np.arange(graph.n + 1))
    copies = (ptr[1:] - ptr[:-1])[graph.consumers]
    edge = np.repeat(np.arange(len(graph.consumers)), copies)
    offset = np.arange(len(edge)) - np.repeat(np.cumsum(copies) - copies, copies)
    chip = instances[ptr[graph.consumers[edge]] + offset, 1]
    width = int(instances[:, 1].max()) + 1
    elsewhere = ~np.isin(graph.edge_source[edge] * width + chip, instances[:, 0] * width + instances[:, 1])
    edge, chip = edge[elsewhere], chip[elsewhere]
    return graph.edge_tensor[edge], chip, graph.edge_constrains[edge]


def _sources(home: IntArray, tensor: IntArray, chip: IntArray, relays: set[tuple[int, int]]) -> IntArray:
    """(receives,) the last relay before each receiving chip, or the home."""
    source = home[tensor].copy()
    for t, c in relays:
        later = (tensor == t) & (chip > c) & (source < c)
        source[later] = c
    return source


def _offending(source: IntArray, chip: IntArray, chips: int) -> BoolArray:
    """(C, C) bool: direct edges beside which a path runs through a third chip."""
    direct = np.zeros((chips, chips), dtype=bool)
    direct[source, chip] = True
    path = direct.copy()
    for k in range(chips):
        path |= path[:, k : k + 1] & path[k : k + 1, :]
    third = ~np.eye(chips, dtype=bool)
    longer = ((path & third).astype(np.float64) @ (path & third).astype(np.float64)) > 0
    return direct & longer


def prune(graph: Graph, placement: Placement) -> Placement:
    """The placement without replicas that nobody reads on their chip and relays beyond which nobody reads."""
    readers: dict[int, list[int]] = {}
    replicated = {int(v) for v in placement.replicas[:, 0]}
    for u, w in zip(graph.edge_source.tolist(), graph.consumers.tolist(), strict=True):
        if u in replicated:
            readers.setdefault(u, []).append(w)
    rank = {int(v): i for i, v in enumerate(graph.topological_order) if int(v) in replicated}
    kept: set[tuple[int, int]] = set()
    for v, c in sorted(placement.replicas.tolist(), key=lambda pair: -rank[pair[0]]):
        if any(placement.assignment[w] == c or (w, c) in kept for w in readers.get(v, [])):
            kept.add((v, c))
    bare = Placement(placement.assignment, np.array(sorted(kept), dtype=np.int64).reshape(-1, 2))
    tensor, chip = receives(graph, bare)
    last = np.full(graph.m, -1)
    np.maximum.at(last, tensor, chip)
    useful = placement.relays[:, 1] < last[placement.relays[:, 0]]
    holds = [(int(graph.producer[t]), c) in kept for t, c in placement.relays.tolist()]
    return Placement(bare.assignment, bare.replicas, placement.relays[useful & ~np.array(holds, dtype=bool)])
