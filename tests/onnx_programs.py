"""Pieces of small ONNX models, and what is read of them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from partition import Graph

F, I64, B, S = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING
MS, ML = "com.microsoft", "ai.onnx.ml"


def vi(name: str, kind: int, shape: list[object] | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def const(name: str, value: object, kind: type = np.int64) -> TensorProto:
    return numpy_helper.from_array(np.array(value, dtype=kind), name)


def weight(name: str, *shape: int, kind: type = np.float32) -> TensorProto:
    return numpy_helper.from_array(np.ones(shape, dtype=kind), name)


def node(op: str, inputs: str, outputs: str, **attributes: object) -> onnx.NodeProto:
    """A node; ``-`` stands for an input or output left out."""
    read, made = ([name.strip("-") for name in names.split()] for names in (inputs, outputs))
    return helper.make_node(op, read, made, attributes.pop("name", op.lower()), **attributes)


def model(nodes: list, inputs: list, outputs: list, weights: list = (), **more: object) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(weights), value_info=list(more.get("info", ())))
    opsets = [
        helper.make_opsetid("", int(more.get("opset", 17))),
        helper.make_opsetid(MS, 1),
        helper.make_opsetid(ML, 3),
    ]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def flops(graph: Graph, name: str) -> float:
    return float(graph.flops[graph.index[name]])


def size(graph: Graph, tensor: str) -> float:
    return float(graph.tensor_bytes[graph.tensor_names.index(tensor)])
