"""Orders and connected parts of a directed graph given as arrays of edges."""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from partition.arrays import IntArray


def topological_order(n: int, source: IntArray, target: IntArray) -> IntArray:
    """Kahn's algorithm, level by level, each level by position; shorter than ``n`` if there is a cycle."""
    successors = sp.csr_array((np.ones(len(source), np.int8), (source, target)), shape=(n, n))
    successors.sum_duplicates()
    ptr, heads = successors.indptr.tolist(), successors.indices.tolist()
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
    """(n,) label of the weakly or strongly connected component of each of ``n`` vertices; ``pairs`` is (2, E)."""
    adjacency = sp.csr_array((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(n, n))
    return np.asarray(connected_components(adjacency, directed=True, connection=connection)[1], dtype=np.int64)
