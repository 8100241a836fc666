"""ONNX models split in two."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper
from onnx_programs import I64, ML, F, vi

from partition import Graph, Placement
from partition.split import split_model

H, BF = TensorProto.FLOAT16, TensorProto.BFLOAT16


def node(op: str, inputs: str, outputs: str, **attributes: object) -> onnx.NodeProto:
    """A node that is named after its first output."""
    return helper.make_node(op, inputs.split(), outputs.split(), outputs.split()[0], **attributes)


def split(
    folder: Path, nodes: list, inputs: list, outputs: list, weights: list = (), *, last: int = 1
) -> tuple[Path, Path]:
    """A model and its parts: the ``last`` operations on a chip of their own."""
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(weights))
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(ML, 3)]
    path = folder / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), str(path))
    read = Graph.from_onnx(str(path))
    homes = {name: int(v >= read.n - last) for v, name in enumerate(read.names)}
    split_model(path, Placement.from_names(read, homes, chips=2), folder / "parts", force=True)
    return path, folder / "parts"


SIZES = ([node("Abs", "x", "a"), node("Expand", "a shape", "e"), node("ReduceMean", "e", "y")],
         [vi("x", F, [4, 12]), vi("shape", I64, [3])], [vi("y", F, None)])  # fmt: skip
