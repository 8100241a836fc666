"""Along which axes operations can be computed in parts, for graphs whose reader knows no shapes: by kind alone."""

from __future__ import annotations

from collections.abc import Mapping

from partition.arrays import IntArray
from partition.problem.cut_axis import CutAxis
from partition.problem.graph import Graph

CHANNEL, COLUMN = 1, -1
"""The axis of the output that parts cut."""

BY_CHANNEL = frozenset({"Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "FusedConv"})
"""Operators whose output channels can be computed apart, each from its own part of the weights."""

BY_COLUMN = frozenset({"Gemm", "MatMul", "MatMulInteger", "QLinearMatMul", "FusedMatMul", "Gather"})
"""Operators whose last axis can be computed apart, each part from its own columns of the weights."""

ELEMENTWISE = frozenset({
    "Add", "Mul", "Sub", "Div", "Relu", "LeakyRelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu",
    "Selu", "Gelu", "FastGelu", "QuickGelu", "Softplus", "Softsign", "Mish", "Erf", "Exp", "Sqrt", "Abs", "Neg",
    "Identity", "Cast",
})  # fmt: skip
"""Operators that treat every element apart, so that they may stay in parts behind any part."""

PER_CHANNEL = frozenset({
    "BatchNormalization", "InstanceNormalization", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool",
    "GlobalMaxPool", "PRelu",
})  # fmt: skip
"""Operators that treat every channel apart, so that they may stay in parts behind parts by channel."""


def axes_by_kind(graph: Graph, reads: list[IntArray], makes: list[IntArray]) -> Mapping[str, tuple[CutAxis, ...]]:
    """Operation -> its axes, of a graph without shapes.

    An operator of ``BY_CHANNEL`` or ``BY_COLUMN`` is cut with its weights; what it gathers from is a table among them.
    What reads one tensor and works element by element, or channel by channel, can stay in parts.

    Parameters
    ----------
    reads, makes : tensors of each operation.
    """
    found: dict[str, tuple[CutAxis, ...]] = {}
    for v, kind in enumerate(graph.op_types):
        if len(makes[v]) != 1:
            continue
        size, out = float(graph.tensor_bytes[reads[v]].sum()), graph.tensor_names[makes[v][0]]
        weighs = float(graph.weights[v])
        table = kind != "Gather" or weighs > size
        if weighs > 0 and table and (kind in BY_CHANNEL or kind in BY_COLUMN):
            axis, word = (CHANNEL, "channels") if kind in BY_CHANNEL else (COLUMN, "columns")
            found[graph.names[v]] = (CutAxis(0, {}, {out: (axis, 1)}, {"": (0, 1)}, weighs, word=word),)
        elif len(reads[v]) == 1 and (kind in ELEMENTWISE or kind in PER_CHANNEL):
            read = graph.tensor_names[reads[v][0]]
            axes = (CHANNEL, COLUMN) if kind in ELEMENTWISE else (CHANNEL,)
            found[graph.names[v]] = tuple(
                CutAxis(0, {read: (axis, 1)}, {out: (axis, 1)}, {"": (0, 1)}, weighs) for axis in axes
            )
    return found
