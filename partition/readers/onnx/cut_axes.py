"""Along which axes a node of an ONNX model can be computed in parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from onnx import NodeProto, TensorProto

from partition.problem.constants import Constants
from partition.problem.cut_axis import DIRECTIONS, CutAxis, HandedState
from partition.readers import cut_axes as of
from partition.readers.cut_axes import CutOperand, Sliding
from partition.readers.onnx.attention_axes import attention_axes, group_query_axes, multi_head_axes
from partition.readers.onnx.node_operands import NodeOperands
from partition.readers.onnx.shapes import STANDARD_DOMAINS, GraphScope

DOMAINS = STANDARD_DOMAINS | {"com.microsoft"}

SUMMABLE = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16})
"""Types that the operator ``Sum``, which joins summands, takes."""


def cut_axes_of(
    node: NodeProto, scope: GraphScope, constants: Constants, attributes: Mapping[str, Any]
) -> tuple[CutAxis, ...]:
    """The axes of one node; none where the operator has no rule, or a shape is not known."""
    rule = _RULES.get(node.op_type) if node.domain in DOMAINS else None
    if rule is None:
        return ()

    def operand(name: str) -> CutOperand | None:
        spec = scope.spec(name) if name else None
        if spec is None:
            return None
        weight = constants[name].bytes if name in constants else None
        return CutOperand(name, spec.shape, weight, times=list(node.input).count(name))

    inputs, outputs = [operand(name) for name in node.input], [operand(name) for name in node.output]
    missing = [a for a, b in zip(node.input, inputs, strict=True) if a and b is None]
    missing += [a for a, b in zip(node.output, outputs, strict=True) if a and b is None]
    if missing:
        return ()
    made = scope.type(node.output[0])
    summable = made is None or made.tensor_type.elem_type in SUMMABLE
    try:
        found = rule(NodeOperands(node, scope, inputs, outputs, attributes))
        return tuple(axis for axis in found if summable or not axis.sums)
    except (LookupError, ValueError, TypeError, ArithmeticError):
        return ()  # operands that do not fit the operator


def _elementwise(call: NodeOperands) -> list[CutAxis]:
    return of.elementwise(call.given, call.made) if len(call.results) == 1 else []


def _softmax(call: NodeOperands) -> list[CutAxis]:
    axis = int(call.get("axis", -1))
    older = any(o.version < 13 for o in call.scope.opsets if o.domain in STANDARD_DOMAINS)
    if older:  # flattened from the axis on
        axis = int(call.get("axis", 1)) % len(call.made.shape)
        return of.elementwise(call.given, call.made, range(axis, len(call.made.shape)))
    return of.elementwise(call.given, call.made, [axis])


def _layer_norm(call: NodeOperands) -> list[CutAxis]:
    if len(call.results) != 1:
        return []
    first = int(call.get("axis", -1)) % len(call.made.shape)
    return of.elementwise(call.given, call.made, range(first, len(call.made.shape)))


def _reshape(call: NodeOperands) -> list[CutAxis]:
    if call.node.op_type == "Squeeze" and call.axes(1) is None:
        return []  # a part of extent 1 would lose its axis
    return of.reshaped(call.needed(0), call.made)


def _transpose(call: NodeOperands) -> list[CutAxis]:
    rank = len(call.made.shape)
    return of.moved(call.needed(0), call.made, call.get("perm", list(range(rank))[::-1]))


def _expand(call: NodeOperands) -> list[CutAxis]:
    return of.elementwise([call.needed(0)], call.made)


def _matmul(call: NodeOperands) -> list[CutAxis]:
    turned = ("transA", "transB", "transBatchA", "transBatchB")
    if call.node.op_type == "FusedMatMul" and any(call.get(k, 0) for k in turned):
        return []
    return of.product(call.needed(0), call.needed(1), call.made)


def _matmul_integer(call: NodeOperands) -> list[CutAxis]:
    found = of.product(call.needed(0), call.needed(1), call.made)
    return [axis for axis in found if not axis.sums and _with_scale(call, axis, 1, [3])]


def _quantised_matmul(call: NodeOperands) -> list[CutAxis]:
    found = of.product(call.needed(0), call.needed(3), call.made)
    return [axis for axis in found if not axis.sums and _with_scale(call, axis, 3, [4, 5])]


def _with_scale(call: NodeOperands, axis: CutAxis, weight: int, figures: list[int]) -> bool:
    """Whether every part may have all figures: they are one number each, or the axis is not that of the weights."""
    few = all(operand is None or len(operand.shape) < 1 or operand.shape == (1,) for operand in map(call.read, figures))
    name = call.needed(weight).name
    return few or (name not in axis.weights and name not in axis.reads)


def _gemm(call: NodeOperands) -> list[CutAxis]:
    a, b, made, added = call.needed(0), call.needed(1), call.made, call.read(2)
    rows, inner = (1, 0) if call.get("transA", 0) else (0, 1)
    into, columns = (1, 0) if call.get("transB", 0) else (0, 1)
    found = of.cut_axis(
        made.shape[0], [(a, rows, 1), of.broadcast_along(added, -2, made.shape[0])], [(made, 0, 1)], word="rows"
    )
    places = [(b, columns, 1), of.broadcast_along(added, -1, made.shape[1])]
    found += of.cut_axis(made.shape[1], places, [(made, 1, 1)], word="columns")
    if added is not None and any(o.version < 11 for o in call.scope.opsets if o.domain in STANDARD_DOMAINS):
        return found  # what is added cannot be left out
    return found + of.cut_axis(a.shape[inner], [(a, inner, 1), (b, into, 1)], [], word="inner elements", once=[added])


def _sliding(call: NodeOperands, kernel: list[int]) -> list[Sliding]:
    """How a convolution moves; empty where its pads are not told by numbers."""
    d = len(kernel)
    mode, pads = call.text("auto_pad", "NOTSET"), list(call.get("pads", [0] * (2 * d)))
    if mode == "VALID":
        pads = [0] * (2 * d)
    elif mode != "NOTSET":
        return []
    strides, dilations = list(call.get("strides", [1] * d)), list(call.get("dilations", [1] * d))
    return [Sliding(kernel[i], strides[i], dilations[i], int(pads[i]), int(pads[d + i])) for i in range(d)]


def _convolution(weight: int, along: tuple[int, ...], scales: tuple[int, ...] = ()) -> Callable[..., list[CutAxis]]:
    """``along`` : positions of what has a figure a channel; ``scales`` : those of them that cannot be summed apart."""

    def rule(call: NodeOperands) -> list[CutAxis]:
        if call.node.op_type == "FusedConv" and call.read(3) is not None:
            return []  # it adds a tensor of the shape of its result
        w = call.needed(weight)
        figures = [operand for operand in map(call.read, along) if operand is not None]
        found = of.convolution(
            call.needed(0), w, call.made, figures, group=int(call.get("group", 1)),
            sliding=_sliding(call, list(w.shape[2:])) if call.node.op_type == "Conv" else (),
        )  # fmt: skip
        return [axis for axis in found if not (axis.sums and (scales or call.node.op_type != "Conv"))]

    return rule


def _transposed_convolution(call: NodeOperands) -> list[CutAxis]:
    figures = [operand for operand in [call.read(2)] if operand is not None]
    group = int(call.get("group", 1))
    return of.convolution(call.needed(0), call.needed(1), call.made, figures, group=group, transposed=True)


def _gather(call: NodeOperands) -> list[CutAxis]:
    table = call.needed(0)
    return of.lookup(table, call.needed(1), call.made, int(call.get("axis", 0)) % len(table.shape))


def _concat(call: NodeOperands) -> list[CutAxis]:
    return of.joined(call.given, call.made, int(call.attributes["axis"]))


def _split(call: NodeOperands) -> list[CutAxis]:
    data, found = call.needed(0), []
    for own in range(len(data.shape)):
        if own != int(call.get("axis", 0)) % len(data.shape):
            found += of.cut_axis(data.shape[own], [(data, own, 1)], [(result, own, 1) for result in call.results])
    return found


def _slice(call: NodeOperands) -> list[CutAxis]:
    starts = call.get("starts", None) or call.value(1)
    axes = call.get("axes", None) or call.value(3)
    if starts is None:
        return []
    rank = len(call.made.shape)
    cut = {axis % rank for axis in (axes if axes is not None else range(len(starts)))}
    return of.moved(call.needed(0), call.made, [None if i in cut else i for i in range(rank)])


def _reduce(call: NodeOperands) -> list[CutAxis]:
    data = call.needed(0)
    axes = call.axes(1)
    if axes is None and (len(call.inputs) > 1 or call.get("noop_with_empty_axes", 0)):
        return []
    return of.reduced(data, call.made, axes if axes is not None else range(len(data.shape)))


def _batch_norm(call: NodeOperands) -> list[CutAxis]:
    return of.per_channel(call.needed(0), call.made, call.given[1:], space=True) if len(call.results) == 1 else []


def _pooling(call: NodeOperands) -> list[CutAxis]:
    return of.per_channel(call.needed(0), call.made, call.given[1:], space=False) if len(call.results) == 1 else []


def _group_norm(call: NodeOperands) -> list[CutAxis]:
    x = call.needed(0)
    return of.cut_axis(x.shape[0], [(x, 0, 1)], [(call.made, 0, 1)], word="inputs of a batch")


def _resize(call: NodeOperands) -> list[CutAxis]:
    x, made = call.needed(0), call.made
    found: list[CutAxis] = []
    if call.attributes.get("axes") or len(x.shape) < 3 or call.node.op_type != "Resize":
        return found
    for axis, extent in enumerate(x.shape[:2]):
        if made.shape[axis] == extent:  # the sizes are constants of all axes, so the writer states them anew
            found += of.cut_axis(extent, [(x, axis, 1)], [(made, axis, 1)], word="channels")
    return found


def _recurrent(states: int) -> Callable[..., list[CutAxis]]:
    """``states`` : inputs (from position 5 on) that are initial states, and results behind the first."""

    def rule(call: NodeOperands) -> list[CutAxis]:
        if call.get("layout", 0):
            return []
        x, made = call.needed(0), call.outputs
        first = [operand for operand in map(call.read, range(5, 5 + states)) if operand is not None]
        places = [(x, 1, 1), *((operand, 1, 1) for operand in first)]
        lengths = call.read(4)
        if lengths is not None:
            places.append((lengths, 0, 1))
        results = [(result, 2 if i == 0 else 1, 1) for i, result in enumerate(made) if result is not None]
        found = of.cut_axis(x.shape[1], places, results, word="inputs of a batch")
        if call.text("direction", "forward") == "bidirectional":
            return found + _directions(call)
        return found + (_steps(call, states) if lengths is None else [])

    return rule


def _directions(call: NodeOperands) -> list[CutAxis]:
    """Both ways of a recurrent operator; with figures for its activations there is no telling which are whose."""
    if call.get("activation_alpha", None) or call.get("activation_beta", None):
        return []
    each = [operand for i, operand in enumerate(call.inputs) if i not in (0, 4) and operand is not None]
    results = [(result, 1 if i == 0 else 0, 1) for i, result in enumerate(call.outputs) if result is not None]
    return of.cut_axis(2, [(operand, 0, 1) for operand in each], results, word=DIRECTIONS)


def _steps(call: NodeOperands, states: int) -> list[CutAxis]:
    """The sequence of a recurrent operator of one direction: each part hands its states to the next."""
    x, hidden = call.needed(0), call.needed(2).shape[-1]
    spec = call.scope.spec(x.name)
    size = x.shape[1] * hidden * spec.bytes / math.prod(x.shape) if spec is not None else 0.0
    carries = []
    for i in range(states):
        made, initial = call.outputs[1 + i] if len(call.outputs) > 1 + i else None, call.read(5 + i)
        carries.append(HandedState(1 + i, 5 + i, size, made.name if made else "", initial.name if initial else ""))
    turned = call.text("direction", "forward") == "reverse"
    whole = [(call.outputs[0], 0, 1)] if call.outputs[0] is not None else []
    return of.cut_axis(x.shape[0], [(x, 0, 1)], whole, word="steps", carries=tuple(carries), turned=turned)


_ELEMENTWISE = (
    "Add", "Sub", "Mul", "Div", "Pow", "Mod", "And", "Or", "Xor", "Not", "Where", "Equal", "Greater",
    "GreaterOrEqual", "Less", "LessOrEqual", "IsInf", "IsNaN", "Cast", "CastLike", "Abs", "Neg", "Sign",
    "Round", "Sqrt", "Reciprocal", "Exp", "Log", "Erf", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh",
    "Cosh", "Tanh", "Relu", "Ceil", "Floor", "Sum", "Max", "Min", "Mean", "Clip", "LeakyRelu", "PRelu",
    "ThresholdedRelu", "Shrink", "Softplus", "Softsign", "Sigmoid", "HardSigmoid", "Elu", "Celu", "Selu",
    "Gelu", "QuickGelu", "FastGelu", "BiasGelu", "HardSwish", "Swish", "Mish", "Identity", "Dropout",
)  # fmt: skip

_RULES: Mapping[str, Callable[[NodeOperands], list[CutAxis]]] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), _softmax),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"), _layer_norm),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshape),
    "Transpose": _transpose,
    "Expand": _expand,
    **dict.fromkeys(("MatMul", "FusedMatMul"), _matmul),
    "MatMulInteger": _matmul_integer,
    "QLinearMatMul": _quantised_matmul,
    "Gemm": _gemm,
    "Conv": _convolution(1, (2,)),
    "ConvInteger": _convolution(1, (3,), (3,)),
    "QLinearConv": _convolution(3, (4, 5, 8), (4, 5)),
    "FusedConv": _convolution(1, (2,), (3,)),
    "ConvTranspose": _transposed_convolution,
    "Gather": _gather,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    **dict.fromkeys(
        ["ReduceSum", "ReduceMax", "ReduceMin", "ReduceMean", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare"],
        _reduce,
    ),
    **dict.fromkeys(("BatchNormalization",), _batch_norm),
    **dict.fromkeys(
        [
            "InstanceNormalization",
            "MaxPool",
            "AveragePool",
            "LpPool",
            "GlobalAveragePool",
            "GlobalMaxPool",
            "GlobalLpPool",
        ],
        _pooling,
    ),
    "GroupNormalization": _group_norm,
    "Resize": _resize,
    "LSTM": _recurrent(2),
    "GRU": _recurrent(1),
    "RNN": _recurrent(1),
    "Attention": attention_axes,
    "MultiHeadAttention": multi_head_axes,
    "GroupQueryAttention": group_query_axes,
}
"""Operator -> its rule."""
