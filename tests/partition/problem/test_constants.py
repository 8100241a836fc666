"""What depends on constants alone is computed once: no time, no transfer, a weight of whoever reads it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from partition import (
    Graph,
    GraphBuilder,
    InvalidModelFile,
    NoSolutionInTime,
    Placement,
    Result,
    load_hardware,
    partition,
)
from partition.problem.constants import fold_constants
from partition.split import split_model, verify_parts

FLOAT, INT8, INT64 = TensorProto.FLOAT, TensorProto.INT8, TensorProto.INT64


def weight(name: str, *shape: int, kind: type = np.float32) -> TensorProto:
    values = np.random.default_rng(len(name)).integers(-9, 9, shape)
    return numpy_helper.from_array(values.astype(kind), name)


def number(name: str, value: object) -> TensorProto:
    return numpy_helper.from_array(np.array(value), name)


def saved(path: Path, nodes: list[onnx.NodeProto], weights: list[TensorProto], width: int = 16) -> Path:
    """A model of one input x and one output y, both (2, width)."""
    ends = [helper.make_tensor_value_info(name, FLOAT, [2, None if name == "y" else width]) for name in "xy"]
    graph = helper.make_graph(nodes, "constants", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return path


def node(op: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], output, **attributes)


def open_ended(name: str) -> onnx.ValueInfoProto:
    return helper.make_empty_tensor_value_info(name)


COMPUTED = {
    "dequantised": ([node("DequantizeLinear", "q s z", "c", axis=0)], 1024.0),
    "cast": ([node("Cast", "h", "c", to=FLOAT)], 1024.0),
    "transposed and scaled": ([node("Transpose", "w", "t"), node("Mul", "t half", "c")], 1024.0),
    "concatenated": ([node("Concat", "w w", "c", axis=1)], 2048.0),
    "gathered": ([node("Gather", "w rows", "g", axis=1), node("Abs", "g", "c")], 128.0),
    "filled": ([node("ConstantOfShape", "square", "c", value=number("", np.array([0.5], np.float32)))], 1024.0),
    "chosen by a constant": (
        [
            helper.make_node(
                "If", ["yes"], ["c"], "c",
                then_branch=helper.make_graph([node("Neg", "w", "a")], "a", [], [open_ended("a")]),
                else_branch=helper.make_graph([node("Abs", "w", "b")], "b", [], [open_ended("b")]),
            )
        ],
        1024.0,
    ),
}  # fmt: skip
WEIGHTS = [
    weight("q", 16, 16, kind=np.int8), weight("h", 16, 16, kind=np.float16), weight("w", 16, 16),
    number("s", np.full(16, 0.1, np.float32)), number("z", np.zeros(16, np.int8)), number("half", np.float32(0.5)),
    number("rows", np.array([0, 3])), number("square", np.array([16, 16])), number("yes", True),
]  # fmt: skip


@pytest.mark.parametrize("how", COMPUTED)
def test_what_is_computed_from_weights_is_a_weight_of_its_reader(how: str, tmp_path: Path) -> None:
    nodes, size = COMPUTED[how]
    path = saved(tmp_path / "m.onnx", [node("Relu", "x", "r"), *nodes, node("MatMul", "r c", "y")], WEIGHTS)
    graph = Graph.from_onnx(str(path))
    assert graph.names == ("x", "r", "y")
    assert graph.weights.tolist() == [0, 0, size]
    assert not graph.unknown_operators


@pytest.mark.parametrize("how", [how for how in COMPUTED if how != "filled"])
def test_a_part_holds_the_computed_constant(how: str, tmp_path: Path) -> None:
    nodes, size = COMPUTED[how]
    path = saved(tmp_path / "m.onnx", [node("Relu", "x", "r"), *nodes, node("MatMul", "r c", "y")], WEIGHTS)
    graph = Graph.from_onnx(str(path))
    split_model(path, Placement.from_names(graph, {"x": 0, "r": 0, "y": 1}, chips=2), tmp_path / "parts")
    part = onnx.load(str(tmp_path / "parts/chip_1.onnx"))
    assert [n.op_type for n in part.graph.node] == ["MatMul"]
    assert [(t.name, numpy_helper.to_array(t).nbytes) for t in part.graph.initializer] == [("c", size)]
    assert all(output.identical for output in verify_parts(path, tmp_path / "parts"))


def test_constants_reach_into_branches(tmp_path: Path) -> None:
    """Both branches read a scaled weight; one scales it again. Only what varies is charged."""
    then = helper.make_graph([node("Transpose", "c", "t"), node("MatMul", "x t", "a")], "then", [], [open_ended("a")])
    other = helper.make_graph([node("MatMul", "x c", "b")], "else", [], [open_ended("b")])
    nodes = [node("Mul", "w half", "c"), node("ReduceMax", "x", "m", keepdims=0), node("Cast", "m", "f", to=9)]
    nodes.append(node("If", "f", "y", then_branch=then, else_branch=other))
    graph = Graph.from_onnx(str(saved(tmp_path / "m.onnx", nodes, WEIGHTS)))
    v = graph.index["y"]
    assert graph.flops[v] == 2 * 2 * 16 * 16
    assert graph.weights[v] == 2 * 1024  # c, and its transpose
    assert "c" not in graph.tensor_names


def test_random_numbers_are_drawn_for_every_input(tmp_path: Path) -> None:
    nodes = [node("RandomNormalLike", "w", "c"), node("Abs", "c", "d"), node("MatMul", "x d", "y")]
    assert Graph.from_onnx(str(saved(tmp_path / "m.onnx", nodes, WEIGHTS))).names == ("x", "c", "d", "y")


def test_a_model_of_constants_alone_has_nothing_to_place(tmp_path: Path) -> None:
    graph = helper.make_graph([node("Abs", "w", "y")], "g", [], [open_ended("y")], WEIGHTS)
    onnx.save(helper.make_model(graph), str(tmp_path / "m.onnx"))
    with pytest.raises(InvalidModelFile, match="constants alone, so there is nothing to place"):
        Graph.from_onnx(str(tmp_path / "m.onnx"))


def four_times(result_bytes: float = 4000.0) -> Graph:
    """A weight of 1,000 bytes that becomes one of 4,000, read by the last of two operations."""
    b = GraphBuilder("four times")
    b.operation("x", "Input", outputs={"x": 8})
    b.operation("first", "MatMul", inputs=["x"], outputs={"h": 8}, flops=1e6, weights={"w": 500})
    b.operation("dequantise", "DequantizeLinear", outputs={"c": result_bytes}, flops=1e9, weights={"q": 1000})
    b.operation("last", "MatMul", inputs=["h", "c"], outputs={"y": 8}, flops=1e6)
    assert fold_constants(b) == ["dequantise"]
    return b.build()


def solved(graph: Graph, sram_bytes: float) -> Result:
    hw = load_hardware("ring2")
    return partition(graph, replace(hw, kinds=tuple(replace(k, sram_bytes=sram_bytes) for k in hw.kinds)), work_limit=5)


def test_a_pass_over_any_reader_folds() -> None:
    graph = four_times()
    assert graph.names == ("x", "first", "last")
    assert graph.weights.tolist() == [0, 500, 4000]
    assert graph.least is not None
    assert graph.least.weights.tolist() == [0, 500, 1000]


def test_nothing_fits_is_claimed_of_the_smaller_of_source_and_result() -> None:
    assert solved(four_times(), 4500).status == "optimal"
    with pytest.raises(NoSolutionInTime, match="none is proved impossible"):
        solved(four_times(), 3000)
    assert solved(four_times(), 900).status == "infeasible"
    assert solved(four_times(result_bytes=250.0), 600).status == "optimal"


def test_the_table_and_its_transpose_count_once_where_nothing_is_to_fit() -> None:
    b = GraphBuilder("tied")
    b.operation("x", "Input", outputs={"x": 8})
    b.operation("embed", "Gather", inputs=["x"], outputs={"h": 8}, weights={"table": 1000})
    b.operation("tie", "Transpose", outputs={"t": 1000}, weights={"table": 1000})
    b.operation("head", "MatMul", inputs=["h", "t"], outputs={"y": 8})
    fold_constants(b)
    graph = b.build()
    assert graph.least is not None
    assert (graph.least.shared_bytes.tolist(), graph.least.shared_users.tolist()) == ([1000], [1, 2])
    assert graph.weights.tolist() == [0, 1000, 1000]


def test_what_varies_is_not_folded() -> None:
    b = GraphBuilder("random")
    b.operation("x", "Input", outputs={"x": 8})
    b.operation("draw", "RandomNormal", outputs={"r": 8}, weights={"w": 4})
    b.operation("scale", "Mul", inputs=["r"], outputs={"s": 8})
    b.operation("add", "Add", inputs=["x", "s"], outputs={"y": 8})
    assert fold_constants(b, varying=["draw"]) == []


def test_least_weights_survive_a_round_trip_through_json() -> None:
    graph = four_times()
    again = Graph.from_json(graph.to_json())
    assert again.least is not None and graph.least is not None
    assert again.to_json() == graph.to_json()
    assert again.least.weights.tolist() == graph.least.weights.tolist()
    assert again.fingerprint == graph.fingerprint
    page = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    [schema] = [block for block in blocks if "$schema" in block and block["title"] == "mcm-partition graph"]
    jsonschema.validate(json.loads(graph.to_json()), schema)
