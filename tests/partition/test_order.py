"""Orders and connected parts of directed graphs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from partition.order import components, topological_order
from partition.problem.builder import GraphBuilder


@pytest.mark.parametrize("connection", ["weak", "strong"])
def test_components_are_numbered_as_scipy_numbers_them(connection: str) -> None:
    """Nodes of instances are numbered by them, so another order would be another search."""
    rng = np.random.default_rng(1)
    for trial in range(400):
        n, count = int(rng.integers(1, 15)), int(rng.integers(0, 30))
        pairs = rng.integers(0, n, (2, count))
        if trial % 2:
            pairs = np.sort(pairs, axis=0)
            pairs = pairs[:, pairs[0] != pairs[1]]
        matrix = sp.csr_array((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(n, n))
        known = connected_components(matrix, directed=True, connection=connection)[1]
        assert components(n, pairs, connection).tolist() == known.tolist()  # type: ignore[arg-type]


def test_a_long_cycle_is_one_component() -> None:
    """Longer than Python's stack is deep."""
    n = 50_000
    ring = np.stack([np.arange(n), np.roll(np.arange(n), -1)])
    assert not components(n, ring, "strong").any()
    assert not components(n, ring, "weak").any()


def test_a_component_comes_behind_all_that_it_leads_to() -> None:
    pairs = np.array([[0, 1, 2, 3, 3], [1, 2, 1, 2, 4]])
    label = components(5, pairs, "strong")
    assert label[1] == label[2]
    assert (label[pairs[0]] >= label[pairs[1]]).all()


def test_an_order_is_shorter_where_there_is_a_cycle() -> None:
    assert topological_order(4, np.array([0, 1, 2]), np.array([1, 2, 1])).tolist() == [0, 3]


def ranks_and_pairs(n: int) -> st.SearchStrategy[tuple[list[int], list[tuple[int, int]]]]:
    vertex = st.integers(0, n - 1)
    return st.tuples(st.permutations(range(n)), st.lists(st.tuples(vertex, vertex), max_size=30))


@given(st.integers(1, 12).flatmap(ranks_and_pairs))
def test_topological_order_has_every_operation_once_after_its_producers(
    case: tuple[list[int], list[tuple[int, int]]],
) -> None:
    rank, pairs = case
    edges = [(u, w) for u, w in pairs if rank[u] < rank[w]]
    source, target = (np.array([e[k] for e in edges], dtype=np.int64) for k in (0, 1))
    order = topological_order(len(rank), source, target).tolist()
    assert sorted(order) == list(range(len(rank)))
    position = {v: i for i, v in enumerate(order)}
    assert all(position[u] < position[w] for u, w in edges)


def test_topological_order_breaks_ties_by_position() -> None:
    b = GraphBuilder()
    for name in "cba":
        b.operation(name, "Op")
    assert b.build().topological_order.tolist() == [0, 1, 2]
