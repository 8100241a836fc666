"""Graphs built operation by operation."""

from __future__ import annotations

import numpy as np
import pytest
from shared_weight import triangle_with_shared_weight

from partition.errors import InvalidGraph
from partition.problem.builder import GraphBuilder


def test_builder_makes_the_arrays_that_it_was_told() -> None:
    g = triangle_with_shared_weight()
    assert (g.n, g.m) == (3, 4)
    assert g.tensor_names == ("x", "h", "aux", "y")
    assert g.producer.tolist() == [0, 1, 1, 2]
    assert g.tensor_bytes.tolist() == [8, 16, 2, 4]
    edges = list(zip(g.edge_source.tolist(), g.consumers.tolist(), strict=True))
    assert edges == [(0, 1), (0, 2), (1, 2)], "each consumer reads a tensor once, tensors in order"
    assert g.edge_tensor.tolist() == [0, 0, 1]


def test_operations_may_be_added_in_any_order() -> None:
    b = GraphBuilder()
    b.operation("second", "Op", inputs=["t"])
    b.operation("first", "Op", outputs={"t": 1})
    g = b.build()
    assert g.topological_order.tolist() == [1, 0]


def test_a_weight_that_several_operations_use_is_shared_and_one_of_a_single_operation_is_not() -> None:
    g = triangle_with_shared_weight()
    assert g.shared_names == ("E",)
    assert g.shared_bytes.tolist() == [100]
    assert g.shared_users.tolist() == [1, 2]
    assert g.weights.tolist() == [0, 5, 0]


def test_traffic_defaults_to_inputs_outputs_and_weights_once_and_nothing_for_an_input() -> None:
    assert triangle_with_shared_weight().bytes_accessed.tolist() == [0, 8 + 18 + 105, 16 + 8 + 4 + 100]


def test_profiled_times_are_nan_where_none_was_given() -> None:
    times = triangle_with_shared_weight().profiled_times["npu"]
    np.testing.assert_array_equal(times, [np.nan, np.nan, 3.0])


def test_groups_are_numbered_and_free_operations_are_minus_one() -> None:
    b = GraphBuilder()
    for name, group in (("a", "blue"), ("b", None), ("c", 7), ("d", "blue")):
        b.operation(name, "Op", group=group)
    a, free, c, d = b.build().group.tolist()
    assert a == d >= 0
    assert c >= 0
    assert c != a
    assert free == -1


def test_a_tensor_that_nobody_produces_is_refused_with_its_reader() -> None:
    b = GraphBuilder()
    b.operation("reader", "Op", inputs=["ghost"])
    with pytest.raises(InvalidGraph, match="'reader' reads tensor 'ghost'"):
        b.build()


def test_a_tensor_with_two_producers_is_refused_with_both() -> None:
    b = GraphBuilder()
    b.operation("one", "Op", outputs={"t": 1})
    b.operation("two", "Op", outputs={"t": 1})
    with pytest.raises(InvalidGraph, match="'one' and 'two'"):
        b.build()


def test_a_shared_weight_of_two_sizes_is_refused() -> None:
    b = GraphBuilder()
    b.operation("one", "Op", weights={"W": 1})
    b.operation("two", "Op", weights={"W": 2})
    with pytest.raises(InvalidGraph, match="'W' is declared with 1 and with 2 bytes"):
        b.build()


def test_two_operations_of_one_name_are_refused() -> None:
    b = GraphBuilder()
    b.operation("same", "Op")
    b.operation("same", "Op")
    with pytest.raises(InvalidGraph, match="two operations are named 'same'"):
        b.build()
