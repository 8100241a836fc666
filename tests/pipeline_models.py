"""Small ONNX models to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH = 64
"""Of the layers of :func:`layers`."""


def weight(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.random.default_rng(0).random(shape, dtype=np.float32), name)


def value(name: str, shape: list[Any], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def saved(
    path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: list[Any], opset: int = 18
) -> Path:
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10), str(path))
    return path


def layers(path: Path, rows: int = 4) -> Path:
    """Four products in a line; the first result is read again by the last, and is an output of the model."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array((rng.standard_normal((WIDTH, WIDTH)) / 8).astype(np.float32), f"w{i}") for i in range(4)
    ]
    nodes = [helper.make_node("MatMul", [f"h{i}", f"w{i}"], [f"h{i + 1}"], name=f"layer{i}") for i in range(4)]
    nodes.append(helper.make_node("Add", ["h4", "h1"], ["y"], name="skip"))
    ends = [value("h0", [rows, WIDTH])], [value("y", [rows, WIDTH]), value("h1", [rows, WIDTH])]
    return saved(path, nodes, *ends, weights)


def small_model(folder: Path) -> Path:
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
    return saved(folder / "small.onnx", nodes, inputs, [value("y", [])], weights)
