"""What a machine is measured with: a suite of operations, and transfers of several sizes between two stages."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from partition.problem.graph import Graph
from partition.problem.placement import Placement

if TYPE_CHECKING:
    from onnx import ModelProto

TRANSFERS = ((2**10, 1), (2**10, 8), (2**15, 1), (2**15, 8), (2**18, 1), (2**18, 4), (2**20, 1), (2**22, 1), (2**24, 1))
"""Bytes of a tensor, and how many such tensors cross the cut, of the models that measure the link."""


BALLAST = ("Relu", "Sigmoid", "Tanh", "Abs", "Neg", "Softplus", "Erf", "Sign")
"""Operators, in turn, of what else the two stages compute: they begin each input with caches as real stages do."""

BALLAST_NODES = 160
"""Of either stage."""

LINK_ROUNDS = 3
"""Runs of each of these models, with processes started anew, of which the median counts."""


def measure_link(
    *,
    transfers: Sequence[tuple[int, int]] = TRANSFERS,
    inputs: int = 40,
    on_progress: Callable[[str], None] | None = None,
) -> tuple[list[float], list[float], list[int]]:
    """What it costs either end to move tensors between two stages: bytes of one, seconds of one end, tensors.

    A model of two chains of small operations, and of two operations a tensor, runs whole in this process, and cut into
    two stages. The CPU time that the stages take together beyond that of the whole is the price of the cut, half of it
    at either end. ``on_progress`` is told in words what is measured.

    Raises
    ------
    InvalidInput, StageFailed : as :func:`partition.pipeline.run`.
    """
    import onnx

    from partition.pipeline.run import run
    from partition.split import split_model
    from partition.split.inputs import random_inputs
    from partition.split.running import open_session, run_session

    seconds = []
    with tempfile.TemporaryDirectory(prefix="mcm-partition-") as scratch:
        for at, (size, count) in enumerate(transfers):
            if on_progress is not None:
                on_progress(f"transfers between two processes, {at + 1} of {len(transfers)} sizes")
            path = Path(scratch) / f"{size}x{count}.onnx"
            onnx.save(sending(size, count), str(path))
            split_model(path, Placement(_halves(path)), Path(scratch) / path.stem)
            session, prices = open_session(path), []
            feeds, outputs = random_inputs(session, {}, 0), [value.name for value in session.get_outputs()]
            for _ in range(LINK_ROUNDS):
                alone = []
                for _ in range(inputs):
                    before = time.thread_time_ns()
                    run_session(session, outputs, feeds, path)
                    alone.append((time.thread_time_ns() - before) / 1e9)
                cut = run(Path(scratch) / path.stem, inputs=inputs)
                prices.append(sum(stage.load for stage in cut.stages) - float(np.median(alone)))
            seconds.append(max(1e-7, float(np.median(prices))) / 2)
    return [float(size) for size, _ in transfers], seconds, [count for _, count in transfers]


def sending(size: int, count: int) -> ModelProto:
    """A model of two halves, between which so many tensors of so many bytes are all that passes."""
    from onnx import TensorProto, helper

    def declared(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    def chain(first: str, half: str) -> list[Any]:
        names = [first, *(f"{half} {i}" for i in range(BALLAST_NODES))]
        return [
            helper.make_node(BALLAST[i % len(BALLAST)], [names[i]], [names[i + 1]], name=f"{half} chain {i}")
            for i in range(BALLAST_NODES)
        ]

    nodes, last = chain("x", "first"), f"{BALLAST_NODES - 1}"
    nodes += [helper.make_node("Relu", [f"x{i}"], [f"t{i}"], name=f"first made {i}") for i in range(count)]
    nodes += [
        helper.make_node("ReduceMax", [f"t{i}"], [f"y{i}"], name=f"second read {i}", keepdims=0) for i in range(count)
    ]
    nodes += chain("y0", "second")
    inputs = [declared("x", 64), *(declared(f"x{i}", size // 4) for i in range(count))]
    outputs = [declared(f"first {last}", 64), declared(f"second {last}"), *(declared(f"y{i}") for i in range(1, count))]
    graph = helper.make_graph(nodes, "transfer", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _halves(path: Path) -> Any:
    """(n,) the chip of each operation of such a model."""
    return np.array([1 if name.startswith("second") else 0 for name in Graph.from_onnx(str(path)).names])


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
