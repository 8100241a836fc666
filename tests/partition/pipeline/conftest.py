"""The model that the tests of this folder measure."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")
import onnx
from onnx import TensorProto, helper
from pipeline_models import value, weight


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A convolution that fuses with what follows, nodes without names, a constant that is computed, a branch."""
    branch = [
        helper.make_graph([helper.make_node(op, ["r"], ["b"])], op, [], [value("b", [])]) for op in ("Exp", "Neg")
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
        helper.make_node("Mul", ["one", "two"], ["scale"], name="scale"),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("Mul", ["e", "scale"], ["f"], name="/block/Mul"),
        helper.make_node("ReduceMean", ["f"], ["r"], keepdims=0),
        helper.make_node("If", ["flag"], ["y"], name="if", then_branch=branch[0], else_branch=branch[1]),
    ]
    inputs = [value("x", ["n", 8, 32, 32]), value("flag", [], TensorProto.BOOL)]
    weights = [weight("w", 16, 8, 3, 3), weight("one", 1), weight("two", 1)]
    graph = helper.make_graph(nodes, "small", inputs, [value("y", [])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(tmp_path / "small.onnx"))
    return tmp_path / "small.onnx"
