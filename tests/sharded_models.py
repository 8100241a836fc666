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


# --- small models of every family that can be cut


def saved(
    path: Path,
    nodes: list[object],
    inputs: dict[str, list[int]],
    outputs: list[str],
    weights: dict[str, np.ndarray],
    opset: int = 17,
) -> Path:
    """A model of float inputs, with contributed operators of onnxruntime at hand."""
    helper, kind = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        nodes, "m",
        [helper.make_tensor_value_info(n, kind.INT64 if n == "ids" else kind.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(name, kind.FLOAT, None) for name in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 10
    onnx.save(model, path)
    return path


def figures(seed: int, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Random weights by name."""
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def node(kind: str, read: str, made: str, name: str, **attributes: object) -> object:
    """A node; names of tensors apart by blanks, ``-`` for one that is left out."""
    read_, made_ = ([("" if t == "-" else t) for t in text.split()] for text in (read, made))
    return onnx.helper.make_node(kind, read_, made_, name=name, **attributes)


def grouped(path: Path) -> Path:
    """Convolutions in groups, one a channel, with uneven pads, strides and dilation, and a transposed one in groups."""
    nodes = [
        node("Conv", "x w b", "c", "groups", group=3, pads=[1, 0, 2, 1], strides=[2, 1]),
        node("Relu", "c", "r", "relu"),
        node("Conv", "r w2", "d", "depthwise", group=6, pads=[2, 2, 2, 2], dilations=[2, 2]),
        node("ConvTranspose", "d w3 b3", "t", "up", group=2, strides=[2, 2]),
        node("Conv", "t w4 b4", "y", "last", pads=[0, 1, 1, 0]),
    ]
    weights = figures(1, w=(6, 2, 3, 3), b=(6,), w2=(6, 1, 3, 3), w3=(6, 2, 2, 2), b3=(4,), w4=(5, 4, 2, 2), b4=(5,))
    return saved(path, nodes, {"x": [2, 6, 9, 8]}, ["y"], weights)


def heads(path: Path) -> Path:
    """Attention as exporters write it out, heads apart, after projections and before an added input."""
    nodes = []
    for name in "qkv":
        nodes += [
            node("MatMul", f"x w{name}", f"p{name}", f"{name}_proj"),
            node("Add", f"p{name} b{name}", f"a{name}", f"{name}_bias"),
            node("Reshape", f"a{name} apart", f"r{name}", f"{name}_apart"),
            node("Transpose", f"r{name}", f"t{name}", f"{name}_turned",
                 perm=[0, 2, 3, 1] if name == "k" else [0, 2, 1, 3]),
        ]  # fmt: skip
    nodes += [
        node("MatMul", "tq tk", "s", "scores"), node("Mul", "s half", "h", "scaled"), node("Softmax", "h", "m", "soft"),
        node("MatMul", "m tv", "o", "context"), node("Transpose", "o", "ot", "back", perm=[0, 2, 1, 3]),
        node("Reshape", "ot together", "z", "together"), node("MatMul", "z wo", "out", "out_proj"),
        node("Add", "out x", "sum", "residual"),
        node("LayerNormalization", "sum g b", "y", "norm", axis=-1),
    ]  # fmt: skip
    weights = figures(
        2, wq=(12, 12), wk=(12, 12), wv=(12, 12), bq=(12,), bk=(12,), bv=(12,), wo=(12, 12), g=(12,), b=(12,)
    )
    weights |= {"half": np.float32(0.5).reshape(()), "apart": np.array([0, -1, 4, 3]), "together": np.array([0, 0, 12])}
    return saved(path, nodes, {"x": [2, 5, 12]}, ["y"], weights)


def feed_forward(path: Path, opset: int = 17) -> Path:
    """Two products with an activation between: the inner axis of the second is the outer one of the first."""
    nodes = [
        node("MatMul", "x w", "m", "up"), node("Add", "b m", "a", "bias"), node("Relu", "a", "r", "relu"),
        node("MatMul", "r w2", "y", "down"),
    ]  # fmt: skip
    return saved(path, nodes, {"x": [2, 5, 6]}, ["y"], figures(3, w=(6, 14), b=(14,), w2=(14, 6)), opset)


def feed_forward_of_old(path: Path) -> Path:
    """The same in an early opset, where slices have attributes."""
    return feed_forward(path, opset=9)


def gemm_of_old(path: Path) -> Path:
    """Before a layer could do without a bias."""
    return gemm(path, opset=9)


def gemm(path: Path, opset: int = 17) -> Path:
    """Layers with a bias, the weights of the first transposed."""
    nodes = [
        node("Gemm", "x w b", "g", "fc", transB=1, alpha=0.5), node("Tanh", "g", "t", "tanh"),
        node("Gemm", "t w2 b2", "y", "fc2"),
    ]  # fmt: skip
    return saved(path, nodes, {"x": [3, 4]}, ["y"], figures(4, w=(9, 4), b=(9,), w2=(9, 5), b2=(5,)), opset)


def recurrent(path: Path) -> Path:
    """A bidirectional LSTM and a GRU over a batch."""
    nodes = [
        node("LSTM", "x w r b", "l lh", "lstm", hidden_size=4, direction="bidirectional"),
        node("Transpose", "l", "lt", "turned", perm=[0, 2, 1, 3]), node("Reshape", "lt flat", "f", "flat"),
        node("GRU", "f w2 r2 - - h0", "g gh", "gru", hidden_size=3),
        node("Squeeze", "g one", "s", "squeezed"), node("MatMul", "s wo", "y", "out"),
    ]  # fmt: skip
    weights = figures(5, w=(2, 16, 3), r=(2, 16, 4), b=(2, 32), w2=(1, 9, 8), r2=(1, 9, 3), h0=(1, 4, 3), wo=(3, 5))
    weights |= {"flat": np.array([0, 0, 8]), "one": np.array([1])}
    return saved(path, nodes, {"x": [6, 4, 3]}, ["y", "lh"], weights)


def sequences(path: Path) -> Path:
    """Recurrent operators without a batch: states given and wanted, backward, of which only the last state is read."""
    nodes = [
        node("LSTM", "x w r b - h0 c0", "l lh lc", "lstm", hidden_size=4), node("Squeeze", "l one", "s", "squeezed"),
        node("GRU", "s w2 r2", "g gh", "gru", hidden_size=3, direction="reverse", linear_before_reset=1),
        node("Squeeze", "g one", "t", "flat"),
        node("RNN", "t w3 r3 - - h3", "- y", "rnn", hidden_size=2),
        node("LSTM", "t w4 r4", "z", "both", hidden_size=2, direction="bidirectional",
             activations=["Sigmoid", "Tanh", "Tanh", "Sigmoid", "Relu", "Tanh"]),
    ]  # fmt: skip
    weights = figures(
        8, w=(1, 16, 3), r=(1, 16, 4), b=(1, 32), w2=(1, 9, 4), r2=(1, 9, 3), w3=(1, 2, 3), r3=(1, 2, 2), h3=(1, 1, 2),
        w4=(2, 8, 3), r4=(2, 8, 2),
    )  # fmt: skip
    weights["one"] = np.array([1])
    states = {"h0": [1, 1, 4], "c0": [1, 1, 4]}
    return saved(path, nodes, {"x": [7, 1, 3], **states}, ["lh", "lc", "gh", "y", "z"], weights)


def embedding(path: Path) -> Path:
    """A table that is looked up and, turned, is the head: the same weight read in two ways."""
    nodes = [
        node("Gather", "table ids", "e", "embed"), node("Mul", "e e", "sq", "squared"),
        node("ReduceMean", "sq", "m", "mean", axes=[-1]), node("Sub", "e m", "d", "centred"),
        node("Transpose", "table", "tt", "turned", perm=[1, 0]), node("MatMul", "d tt", "y", "head"),
    ]  # fmt: skip
    return saved(path, nodes, {"ids": [2, 4]}, ["y"], figures(6, table=(10, 6)))


def contributed(path: Path) -> Path:
    """Attention operators of onnxruntime: all in one, by heads, and with shared keys."""
    nodes = [
        node("Attention", "x w b", "a", "packed", domain="com.microsoft", num_heads=4),
        node("MultiHeadAttention", "a x x", "m", "multi", domain="com.microsoft", num_heads=4),
        node("MatMul", "x wk", "k", "keys"),
        node("GroupQueryAttention", "m k k - - lengths total", "y past future", "shared", domain="com.microsoft",
             num_heads=4, kv_num_heads=2),
    ]  # fmt: skip
    weights = figures(7, w=(32, 96), b=(96,), wk=(32, 16))
    weights |= {"lengths": np.array([4, 4], dtype=np.int32), "total": np.array([5], dtype=np.int32)}
    return saved(path, nodes, {"x": [2, 5, 32]}, ["y"], weights)


def standard_attention(path: Path) -> Path:
    """``Attention`` of opset 23, heads apart and inside the last axis, keys shared by two queries each."""
    nodes = [
        node("Reshape", "x apart", "q", "apart"), node("Slice", "q zero two one", "kv", "keys"),
        node("Attention", "q kv kv", "a", "apart_heads"), node("Transpose", "a", "t", "turned", perm=[0, 2, 1, 3]),
        node("Reshape", "t flat", "f", "flat"),
        node("Attention", "f f f", "y", "inside", q_num_heads=4, kv_num_heads=4, is_causal=1),
    ]  # fmt: skip
    weights = {"apart": np.array([2, 4, 5, 3]), "flat": np.array([2, 5, 12]),
               "zero": np.array([0]), "two": np.array([2]), "one": np.array([1])}  # fmt: skip
    return saved(path, nodes, {"x": [2, 5, 12]}, ["y"], weights, opset=23)


def quantised(path: Path) -> Path:
    """Weights stored as bytes: dequantised, and multiplied as they are."""
    rng = np.random.default_rng(8)
    nodes = [
        node("DequantizeLinear", "w s z", "wd", "dequantised", axis=0),
        node("Conv", "x wd", "c", "conv", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r", "relu"), node("QuantizeLinear", "r qs qz", "q", "quantised"),
        node("QLinearConv", "q qs qz w2 s2 z2 os oz b2", "o", "qconv"),
        node("DequantizeLinear", "o os oz", "y", "real"),
    ]  # fmt: skip
    weights: dict[str, np.ndarray] = {
        "w": rng.integers(-9, 9, (6, 3, 3, 3)).astype(np.int8), "s": np.linspace(0.01, 0.1, 6, dtype=np.float32),
        "z": np.zeros(6, np.int8), "qs": np.float32(0.05), "qz": np.uint8(0),
        "w2": rng.integers(-9, 9, (5, 6, 1, 1)).astype(np.int8), "s2": np.linspace(0.01, 0.1, 5, dtype=np.float32),
        "z2": np.zeros(5, np.int8), "os": np.float32(0.1), "oz": np.uint8(100), "b2": np.arange(5, dtype=np.int32),
    }  # fmt: skip
    weights = {name: np.asarray(value) for name, value in weights.items()}
    return saved(path, nodes, {"x": [1, 3, 6, 6]}, ["y"], weights)


def branches(path: Path) -> Path:
    """A concatenation of branches before a pointwise convolution, which can be cut along space."""
    nodes = [
        node("Conv", "x w", "a", "left"), node("Conv", "x w2", "b", "right", pads=[1, 1, 1, 1]),
        node("Concat", "a b", "c", "both", axis=1), node("Conv", "c w3 b3", "f", "fuse"),
        node("BatchNormalization", "f s o m v", "n", "norm"), node("Clip", "n - six", "k", "clip"),
        node("MaxPool", "k", "p", "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Slice", "p zero one two", "l", "line"), node("Squeeze", "l", "q", "all_of_extent_1"),
        node("Tanh", "q", "y", "tanh"),
    ]  # fmt: skip
    weights = figures(9, w=(4, 3, 1, 1), w2=(2, 3, 3, 3), w3=(6, 6, 1, 1), b3=(6,), s=(6,), o=(6,), m=(6,))
    weights |= {"v": np.linspace(0.5, 2, 6, dtype=np.float32), "six": np.float32(6).reshape(())}
    weights |= {name: np.array([i]) for i, name in enumerate(("zero", "one", "two"))}
    return saved(path, nodes, {"x": [1, 3, 8, 8]}, ["y"], weights)


FAMILIES = (
    grouped, heads, feed_forward, feed_forward_of_old, gemm, gemm_of_old, recurrent, sequences, embedding, contributed,
    standard_attention, quantised, branches,
)  # fmt: skip
"""One model a family."""


def drawn(path: Path, seed: int = 0) -> dict[str, np.ndarray]:
    """Random inputs of a model; those named ``ids`` are small whole numbers."""
    rng, found = np.random.default_rng(seed), {}
    for value in onnx.load(path).graph.input:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        whole = value.name == "ids"
        found[value.name] = rng.integers(0, 9, shape) if whole else rng.standard_normal(shape).astype(np.float32)
    return found


def run_model(model: object, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All results of a model by name."""
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])  # type: ignore[attr-defined]
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, map(np.asarray, session.run(names, feeds)), strict=True))
