"""What makes a model fit the triangle rule: which operations may be replicated, which tensors relayed."""

from __future__ import annotations

import numpy as np

from partition.arrays import BoolArray, FloatArray, IntArray
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware

SHARE = 0.01
"""Largest share of a chip's fair part of the time, and of its SRAM, that a replica may take."""

CLOSURE_LIMIT = 64
"""Most operations (itself and its ancestors) that one replica may bring along."""


def replicable(graph: Graph, hardware: Hardware, times: FloatArray, fixed: IntArray | None = None) -> BoolArray:
    """(n,) bool, the operations that may run on several chips (docs/problem.md, *Replicable*).

    They are cheap, have small inputs and are closed under producers, so that a replica together with its
    ancestors needs nothing from another chip. The attention mask of a transformer is the typical case.

    Parameters
    ----------
    times : (k, n) of each operation on the kinds that the package has chips of.
    fixed : operations that may not be replicated, because a wish says on which chips they can be.
    """
    result = np.zeros(graph.n, dtype=bool)
    if not hardware.replication_allowed or hardware.chips == 1:
        return result
    if graph.limits is not None:
        return graph.limits.replicable
    for v in _cheap_source_closed(graph, hardware, times, fixed):
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


def _cheap_source_closed(graph: Graph, hardware: Hardware, times: FloatArray, fixed: IntArray | None) -> list[int]:
    time = times.max(axis=0)
    time_limit = SHARE * float(times.min(axis=0).sum()) / hardware.chips
    sram_limit = SHARE * float(hardware.sram_bytes.min())
    produced = np.bincount(graph.producer, weights=graph.tensor_bytes, minlength=graph.n)
    memory = graph.weights + np.where(graph.is_input, produced, 0.0)
    barred = graph.backward | (graph.group >= 0)
    barred[graph.shared_users] = True
    if fixed is not None:
        barred[fixed] = True
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
