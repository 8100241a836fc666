"""Graphs and ONNX models to cut into parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from partition import GraphBuilder
from partition.problem.graph import Graph


def two_layers(weights: float = 8.0) -> Graph:
    """Two convolutions with activations between light ends; the first takes most of the time."""
    b = GraphBuilder("two")
    b.operation("x", "Input", outputs={"x": 4})
    b.operation("heavy", "Conv", inputs=["x"], outputs={"h": 8}, flops=600.0, weights=weights)
    b.operation("act", "Relu", inputs=["h"], outputs={"a": 8}, flops=8.0)
    b.operation("light", "Conv", inputs=["a"], outputs={"y": 4}, flops=100.0, weights=2.0)
    return b.build()


onnx = pytest.importorskip("onnx")


def model_file(
    path: Path, nodes: list[object], shape: list[int], weights: dict[str, np.ndarray], opset: int = 17
) -> Path:
    """An ONNX model from ``x`` to ``y`` with float weights."""
    helper, proto = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        nodes, "m", [helper.make_tensor_value_info("x", proto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", proto.FLOAT, [f"d{i}" for i in range(len(shape))])],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def convolutions(path: Path) -> tuple[Path, list[int], str]:
    rng, node = np.random.default_rng(1), onnx.helper.make_node
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c", "s", "o", "m", "v"], ["n"], name="norm"),
        node("Relu", ["n"], ["r"], name="relu"),
        node("MaxPool", ["r"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p", "w2"], ["y"], name="last"),
    ]
    figures = {"w": (10, 3, 3, 3), "b": (10,), "s": (10,), "o": (10,), "m": (10,), "w2": (4, 10, 1, 1)}
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in figures.items()}
    weights["v"] = rng.uniform(0.5, 2, 10).astype(np.float32)
    return model_file(path, nodes, [1, 3, 8, 8], weights), [1, 3, 8, 8], "conv"
