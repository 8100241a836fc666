"""Traces as measured times: what is matched, how, and what is told of the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from partition import Graph, GraphBuilder, InvalidInput
from partition.readers.measured import times_for
from partition.readers.traces import match, spans_of


def network() -> Graph:
    b = GraphBuilder("network")
    b.operation("x", "Input", outputs={"x": 4})
    for i, (name, kind) in enumerate(
        [("a/linear", "linear"), ("gelu", "gelu"), ("b/linear_1", "linear"), ("if", "If")]
    ):
        b.operation(name, kind, inputs=[f"t{i - 1}" if i else "x"], outputs={f"t{i}": 4}, flops=1)
    return b.build()


def event(name: str, begin: float, duration: float, **more: Any) -> dict[str, Any]:
    return {"ph": "X", "name": name, "ts": begin, "dur": duration, "pid": 1, "tid": 1, **more}


def kernel(name: str, kind: str, begin: int, duration: int) -> dict[str, Any]:
    return event(f"{name}_kernel_time", begin, duration, cat="Node", args={"op_name": kind})


def test_an_onnxruntime_profile_is_matched_by_name_and_medians_are_taken() -> None:
    events = [
        event("model_loading_uri", 0, 900, cat="Session"),
        *(kernel("a/linear", "linear", 1000 * i, 10 * i) for i in (1, 2, 6)),
        kernel("if", "If", 9000, 100),
        kernel("gelu", "Gelu", 9010, 50),  # in the body of the if, though an operation outside has that name
        kernel("Reorder", "ReorderInput", 9900, 40),
    ]
    spans = spans_of(events)
    assert spans is not None
    found = match(network(), spans)
    assert found.times == pytest.approx({"a/linear": 2e-5, "if": 1e-4})
    assert found.by_name == 2 and found.missing == ("gelu", "b/linear_1")
    assert found.strange == (("Reorder", pytest.approx(4e-5)),)
    assert "times 2 of 4 operations; 1 names of it are no operations, 17.4% of its time: 'Reorder'" in found.report()


def test_nameless_kernels_are_matched_in_the_order_of_their_kind() -> None:
    events = [
        e
        for run in range(3)
        for e in (
            kernel("", "linear", 100 * run, 1 + run),
            kernel("", "Gelu", 100 * run + 10, 5),
            kernel("", "linear", 100 * run + 20, 11 + run),
        )
    ]
    found = match(network(), spans_of(events) or [])
    assert found.times == pytest.approx({"a/linear": 2e-6, "gelu": 5e-6, "b/linear_1": 12e-6})
    assert found.by_name == 0 and found.by_order == 3 and "3 by the order" in found.report()


def test_a_kind_that_comes_another_number_of_times_is_not_guessed() -> None:
    found = match(network(), spans_of([kernel("", "linear", 0, 5)]) or [])
    assert not found.times and len(found.missing) == 4


def test_torch_events_count_from_the_outside_and_wrappers_are_looked_into() -> None:
    inside = [
        event("aten::linear", 10, 20, cat="cpu_op"),
        event("aten::addmm", 12, 15, cat="cpu_op"),
        event("aten::gelu", 40, 5, cat="cpu_op"),
        event("linear_1", 50, 30, cat="user_annotation"),
        event("aten::linear", 51, 20, cat="cpu_op"),
    ]
    whole = [event("ProfilerStep#1", 0, 100, cat="user_annotation"), event("PyTorch Profiler (0)", 0, 200, cat="Trace")]
    other = event("gelu", 0, 3) | {"ph": "B"}
    found = match(network(), spans_of({"traceEvents": [*whole, *inside, other]}) or [])
    assert found.times == pytest.approx({"a/linear": 2e-5, "gelu": 5e-6, "b/linear_1": 3e-5})
    assert found.by_name == 1 and found.by_order == 2


def test_what_is_no_trace_is_read_as_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"gelu": 0.5}')
    (tmp_path / "t.csv").write_text("operation,seconds,spread\ngelu,0.5,0.1\n")
    assert times_for(network(), tmp_path / "t.json") == ({"gelu": {"seconds": 0.5}}, None)
    assert times_for(network(), tmp_path / "t.csv") == ({"gelu": {"seconds": 0.5}}, None)


def test_traces_without_sense_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    strange = [
        event("gelu", 0, float("nan")), event("gelu", -1, 5), event("gelu", 0, True), {"ph": "X"}, 7, None,
        event("other", 0, 1),
    ]  # fmt: skip
    path.write_text(json.dumps({"traceEvents": strange}))
    with pytest.raises(InvalidInput, match=r"names no operation of graph 'network' .it has 'other'"):
        times_for(network(), path)
    path.write_text(json.dumps([]))
    with pytest.raises(InvalidInput, match="no event that takes time"):
        times_for(network(), path)


def test_deep_traces_take_linear_time() -> None:
    """20,000 spans within one another; a walk of each one's inside would be 200 million steps."""
    events = [event("wrapper", i, 10**6 - 2 * i) for i in range(20000)] + [event("gelu", 20000, 1)]
    assert match(network(), spans_of(events) or []).times == {"gelu": 1e-6}
