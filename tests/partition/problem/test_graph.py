"""The graph: what it refuses, what it derives, and that it cannot change."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import diamond
from shared_weight import triangle_with_shared_weight

from partition.errors import InvalidGraph, InvalidInput
from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph


def altered(graph: Graph, **changes: Any) -> Graph:
    return dataclasses.replace(graph, **changes)


def test_only_edges_within_the_backward_pass_do_not_constrain() -> None:
    b = GraphBuilder()
    b.operation("f", "Op", outputs={"f": 1})
    b.operation("b1", "Op", inputs=["f"], outputs={"b1": 1}, backward=True)
    b.operation("b2", "Op", inputs=["b1"], outputs={"b2": 1}, backward=True)
    assert b.build().edge_constrains.tolist() == [True, False]


def test_inputs_and_constants_are_told_apart_from_operations() -> None:
    b = GraphBuilder()
    for kind in ("Input", "Constant", "MatMul"):
        b.operation(kind, kind)
    assert b.build().is_source.tolist() == [True, True, False]
    assert b.build().is_input.tolist() == [True, False, False]


def test_arrays_fields_and_maps_cannot_be_changed() -> None:
    g = triangle_with_shared_weight()
    for name in (
        "flops",
        "consumers",
        "group",
        "edge_source",
        "topological_order",
        "is_input",
        "is_source",
        "edge_constrains",
    ):
        with pytest.raises(ValueError, match="read-only"):
            getattr(g, name)[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        g.profiled_times["npu"][0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        g.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        g.profiled_times["other"] = np.zeros(3)  # type: ignore[index]


def test_the_caller_keeps_the_arrays_it_handed_in() -> None:
    flops = np.array([1.0, 2.0, 3.0, 4.0])
    g = altered(diamond(), flops=flops)
    flops[0] = 99
    assert g.flops[0] == 1


def test_an_empty_graph_is_refused() -> None:
    with pytest.raises(InvalidGraph, match="'nothing' has no operations"):
        GraphBuilder("nothing").build()


def test_a_cycle_is_reported_with_the_operations_on_it_and_no_others() -> None:
    b = GraphBuilder()
    b.operation("before", "Op", outputs={"s": 1})
    b.operation("a", "Op", inputs=["s", "c"], outputs={"a": 1})
    b.operation("b", "Op", inputs=["a"], outputs={"b": 1})
    b.operation("c", "Op", inputs=["b"], outputs={"c": 1})
    b.operation("after", "Op", inputs=["c"])
    with pytest.raises(InvalidGraph, match="cycle of 3 operations") as caught:
        b.build()
    message = str(caught.value)
    assert all(f"'{name}'" in message for name in "abc")
    assert "before" not in message
    assert "after" not in message


def test_a_long_cycle_is_cut_in_the_message() -> None:
    b = GraphBuilder()
    for i in range(1000):
        b.operation(f"v{i}", "Op", inputs=[f"t{(i - 1) % 1000}"], outputs={f"t{i}": 1})
    with pytest.raises(InvalidGraph, match="cycle of 1000 operations") as caught:
        b.build()
    assert len(str(caught.value)) < 400


def test_an_operation_that_reads_its_own_output_is_refused_by_name() -> None:
    b = GraphBuilder()
    b.operation("loop", "Op", inputs=["t"], outputs={"t": 1})
    with pytest.raises(InvalidGraph, match="'loop' reads its own output"):
        b.build()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
@pytest.mark.parametrize(
    ("field", "owner"), [("flops", "left"), ("bytes_accessed", "left"), ("weights", "left"), ("tensor_bytes", "l")]
)
def test_amounts_that_are_not_finite_and_nonnegative_are_refused_with_their_owner(
    field: str, owner: str, bad: float
) -> None:
    g = diamond()
    values = getattr(g, field).copy()
    values[1] = bad
    with pytest.raises(InvalidGraph, match=f"'{owner}'.*finite number >= 0"):
        altered(g, **{field: values})


@pytest.mark.parametrize("bad", [float("-inf"), -1.0])
def test_profiled_times_that_are_no_times_are_refused_with_kind_and_operation(bad: float) -> None:
    with pytest.raises(InvalidGraph, match="'right' has time on 'npu'"):
        altered(diamond(), profiled_times={"npu": [1, 2, bad, 4]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flops": [1.0]}, "flops has 1 entries, expected 4"),
        ({"op_types": ("Op",)}, "op_types has 1 entries, expected 4"),
        ({"tensor_names": ("t", "t", "r", "o")}, "two tensors are named 't'"),
        ({"producer": [0, 1, 9, 3]}, "'r' names producer 9"),
        ({"consumers": [1, 2, 3, 4]}, "consumers names an operation outside 0..3"),
        ({"consumers": [2, 1, 3, 3]}, "ascending"),
        ({"consumers": [1, 1, 3, 3]}, "free of repeats"),
        ({"consumer_ptr": [0, 2, 3, 4]}, "not a CSR structure"),
        ({"consumer_ptr": [0, 3, 2, 4, 4]}, "not a CSR structure"),
        ({"profiled_times": {"npu": [1.0]}}, "'npu' have 1 entries, expected 4"),
    ],
)
def test_arrays_that_contradict_each_other_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidGraph, match=message):
        altered(diamond(), **changes)


def test_every_refusal_counts_as_bad_input() -> None:
    assert issubclass(InvalidGraph, InvalidInput)
    assert issubclass(InvalidGraph, ValueError)


def test_building_and_ordering_take_time_in_proportion_to_the_operations() -> None:
    seconds = []
    for n in (5_000, 50_000):
        b = GraphBuilder("large")
        start = time.process_time()
        for i in range(n):
            inputs = [f"t{i - 1}", f"t{i // 2}"] if i > 1 else []
            b.operation(f"v{i}", "Op", inputs=inputs, outputs={f"t{i}": 1.0}, flops=1.0)
        g = b.build()
        assert g.topological_order[-1] == n - 1
        seconds.append(time.process_time() - start)
    assert seconds[1] < 40 * seconds[0]  # ten, and a hundred where all pairs are compared


@settings(max_examples=30)
@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=6, unique=True))
def test_any_text_may_name_an_operation(names: list[str]) -> None:
    b = GraphBuilder()
    for name in names:
        b.operation(name, "Op", outputs={f"{name} out": 1})
    g = b.build()
    assert [g.index[name] for name in names] == list(range(len(names)))
