"""Orders and connected parts of a directed graph given as arrays of edges."""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.sparse as sp

from partition.arrays import IntArray


def topological_order(n: int, source: IntArray, target: IntArray) -> IntArray:
    """Kahn's algorithm, level by level, each level by position; shorter than ``n`` if there is a cycle."""
    ptr, heads = _successors(n, source, target)
    indegree = np.bincount(heads, minlength=n).tolist()
    ready = [v for v in range(n) if indegree[v] == 0]
    order: list[int] = []
    while ready:
        order.extend(ready)
        following = []
        for v in ready:
            for w in heads[ptr[v] : ptr[v + 1]]:
                indegree[w] -= 1
                if indegree[w] == 0:
                    following.append(w)
        ready = sorted(following)
    return np.array(order, dtype=np.int64)


def components(n: int, pairs: IntArray, connection: Literal["weak", "strong"]) -> IntArray:
    """(n,) label of the weakly or strongly connected component of each of ``n`` vertices; ``pairs`` is (2, E).

    Weak components are numbered by their first vertex. A strong one has a larger number than all that it leads to.
    SciPy numbers them in the same way, but to import it takes longer than to place a small graph.
    """
    return _weak(n, pairs) if connection == "weak" else _strong(n, pairs)


def _weak(n: int, pairs: IntArray) -> IntArray:
    """Of every pair the later root is put below the earlier one, until all pairs have one root."""
    root = np.arange(n)
    while True:
        first, second = root[pairs]
        if np.array_equal(first, second):
            return np.asarray(np.unique(root, return_inverse=True)[1], dtype=np.int64)
        np.minimum.at(root, np.maximum(first, second), np.minimum(first, second))
        while not np.array_equal(root, root[root]):
            root = root[root]


def _strong(n: int, pairs: IntArray) -> IntArray:
    """Tarjan's algorithm (SIAM Journal on Computing, 1972) without recursion, from the last successor to the first."""
    ptr, heads = _successors(n, *pairs)
    left = ptr[1:]  # successors of a vertex from here on are visited
    entered, low, label = [-1] * n, [-1] * n, [-1] * n
    path: list[int] = []
    waiting: list[int] = []  # entered, and in no component yet
    clock = found = 0
    for start in range(n):
        if entered[start] < 0:
            path.append(start)
        while path:
            v = path[-1]
            if entered[v] < 0:
                entered[v] = low[v] = clock
                clock += 1
                waiting.append(v)
            if left[v] > ptr[v]:
                left[v] -= 1
                w = heads[left[v]]
                if entered[w] < 0:
                    path.append(w)
                elif label[w] < 0:
                    low[v] = min(low[v], entered[w])
                continue
            path.pop()
            if path:
                low[path[-1]] = min(low[path[-1]], low[v])
            if low[v] == entered[v]:
                while label[v] < 0:
                    label[waiting.pop()] = found
                found += 1
    return np.array(label, dtype=np.int64)


def _successors(n: int, source: IntArray, target: IntArray) -> tuple[list[int], list[int]]:
    """Pointers (n + 1) and the successors of each vertex, ascending and each once."""
    successors = sp.csr_array((np.ones(len(source), np.int8), (source, target)), shape=(n, n))
    successors.sum_duplicates()
    return successors.indptr.tolist(), successors.indices.tolist()
