"""What a machine is measured with: a suite of operations, and transfers of several sizes between two stages."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from partition.problem.placement import Placement

if TYPE_CHECKING:
    from onnx import ModelProto

SIZES = (2**12, 2**15, 2**18, 2**20, 2**22, 2**24)
"""Bytes of the tensors that are sent to measure the link."""


def measure_link(*, sizes: Sequence[int] = SIZES, inputs: int = 40) -> tuple[list[float], list[float]]:
    """What it costs either end to move a tensor between two stages: bytes, and seconds of one end.

    A model of two operations runs whole in this process, and cut into two stages. The CPU time that the stages take
    together beyond that of the whole is the price of the cut, half of it at either end.

    Raises
    ------
    InvalidInput, StageFailed : as :func:`partition.pipeline.run`.
    """
    import onnx
    from onnx import TensorProto, helper

    from partition.pipeline.run import run
    from partition.split import split_model
    from partition.split.inputs import random_inputs
    from partition.split.running import open_session, run_session

    seconds = []
    with tempfile.TemporaryDirectory(prefix="mcm-partition-") as scratch:
        for size in sizes:
            path = Path(scratch) / f"{size}.onnx"
            nodes = [
                helper.make_node("Relu", ["x"], ["t"], name="made"),
                helper.make_node("ReduceMax", ["t"], ["y"], name="read", keepdims=0),
            ]
            ends = [
                [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
                for name, shape in (("x", [size // 4]), ("y", []))
            ]
            graph = helper.make_graph(nodes, "transfer", ends[0], ends[1])
            onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
            session = open_session(path)
            feeds, alone = random_inputs(session, {}, 0), []
            for _ in range(inputs):
                before = time.thread_time_ns()
                run_session(session, ["y"], feeds, path)
                alone.append((time.thread_time_ns() - before) / 1e9)
            split_model(path, Placement(np.array([0, 0, 1])), Path(scratch) / str(size))
            cut = run(Path(scratch) / str(size), inputs=inputs)
            together = sum(stage.load for stage in cut.stages)
            seconds.append(max(1e-7, together - float(np.median(alone))) / 2)
    return [float(size) for size in sizes], seconds


def suite(seed: int = 0) -> ModelProto:
    """A model of operations of many kinds and sizes that do not depend on one another, to calibrate a CPU with."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)
    nodes: list[Any] = []
    inputs: list[Any] = []
    weights: list[Any] = []

    def read(*shape: int) -> str:
        inputs.append(helper.make_tensor_value_info(f"x{len(inputs)}", TensorProto.FLOAT, shape))
        return f"x{len(inputs) - 1}"

    def weight(*shape: int) -> str:
        values = (rng.standard_normal(shape) / math.sqrt(math.prod(shape[1:]) or 1)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"w{len(weights)}"))
        return f"w{len(weights) - 1}"

    def add(kind: str, *names: str, **attributes: Any) -> None:
        nodes.append(helper.make_node(kind, list(names), [f"y{len(nodes)}"], name=f"{kind} {len(nodes)}", **attributes))

    for m, k, n in ((1, 256, 256), (16, 128, 512), (64, 256, 256), (128, 768, 768), (256, 512, 2048), (1, 2048, 2048)):
        add("MatMul", read(m, k), weight(k, n))
    for c, o, size, kernel, group in (
        (16, 32, 56, 3, 1),
        (64, 64, 28, 3, 1),
        (128, 256, 14, 1, 1),
        (64, 64, 56, 3, 64),
    ):
        add("Conv", read(1, c, size, size), weight(o, c // group, kernel, kernel), group=group, pads=[kernel // 2] * 4)
    for size in (2**6, 2**10, 2**14, 2**17, 2**20):
        for kind in ("Relu", "Sigmoid", "Tanh", "Sqrt", "Neg"):
            add(kind, read(size // 64, 64))
        for kind in ("Add", "Mul"):
            add(kind, read(size // 64, 64), read(size // 64, 64))
        add("Softmax", read(size // 64, 64), axis=-1)
        add("LayerNormalization", read(size // 64, 64), weight(64), weight(64))
        add("Transpose", read(size // 64, 64), perm=[1, 0])
        add("ReduceMean", read(size // 64, 64), keepdims=0)
    outputs = [helper.make_empty_tensor_value_info(node.output[0]) for node in nodes]
    outputs = onnx.shape_inference.infer_shapes(
        helper.make_model(
            helper.make_graph(nodes, "suite", inputs, outputs, weights), opset_imports=[helper.make_opsetid("", 17)]
        )
    ).graph.output
    graph = helper.make_graph(nodes, "suite", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
