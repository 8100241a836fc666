"""What one ONNX operator costs: FLOPs and SRAM traffic from the shapes of its operands, never from their data.

``FLOPS`` and ``TRAFFIC`` are the two tables; ``docs/onnx.md`` is the same in prose. A multiply-add counts 2, every
other elementary function (add, compare, exp, erf, tanh, sqrt, cast, ...) counts 1, whatever the number type.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from partition.problem.extension_operators import FORMULAS


@dataclass(frozen=True)
class TensorSpec:
    """Shape and number type of a tensor.

    Attributes
    ----------
    shape : extent of each dimension; ``()`` for a scalar.
    itemsize : bytes of one element; below 1 for packed types (int4: 0.5).
    """

    shape: tuple[int, ...]
    itemsize: float

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> float:
        """Bytes in memory; packed types fill their last byte."""
        return float(math.ceil(self.size * self.itemsize))


@dataclass(frozen=True)
class OperatorCost:
    """The cost of one run of an operator.

    Attributes
    ----------
    flops : arithmetic operations, a multiply-add counting 2.
    bytes_accessed : bytes read from and written to SRAM.
    known : False where the documented default was used.
    """

    flops: float
    bytes_accessed: float
    known: bool


def operator_cost(
    op_type: str,
    inputs: Sequence[TensorSpec | None],
    outputs: Sequence[TensorSpec | None],
    attributes: Mapping[str, Any] = MappingProxyType({}),
) -> OperatorCost:
    """FLOPs and traffic of an ONNX operator (domains ``ai.onnx``, ``ai.onnx.ml`` and ``com.microsoft``).

    Parameters
    ----------
    op_type : ONNX's name of the operator.
    inputs : operands in ONNX's order, weights included; None for an optional input that is absent.
    outputs : results in ONNX's order; None for one that is not wanted.
    attributes : ONNX's attributes as Python values (strings may be bytes); absent ones take ONNX's default.

    Returns
    -------
    OperatorCost
        For an operator outside the table, or operands its formula cannot use (missing, wrong rank): 1 FLOP per
        output element, every input read and every output written, ``known=False``.
    """
    call = Call(tuple(inputs), tuple(outputs), attributes)
    flops = FLOPS.get(op_type)
    if flops is not None:
        try:
            return OperatorCost(float(flops(call)), float(TRAFFIC.get(op_type, _everything)(call)), True)
        except (ArithmeticError, LookupError, ValueError, TypeError):
            pass  # the operands do not fit the operator: a reader's guess at an unknown shape, or a malformed node
    return OperatorCost(float(sum(t.size for t in call.outputs if t)), _everything(call), False)


@dataclass(frozen=True)
class Call:
    """One use of an operator, as the formulas see it; see :func:`operator_cost`."""

    inputs: tuple[TensorSpec | None, ...]
    outputs: tuple[TensorSpec | None, ...]
    attributes: Mapping[str, Any]

    def has(self, i: int) -> bool:
        return i < len(self.inputs) and self.inputs[i] is not None

    def input(self, i: int = 0) -> TensorSpec:
        spec = self.inputs[i]
        if spec is None:
            raise LookupError(i)
        return spec

    def output(self, i: int = 0) -> TensorSpec:
        spec = self.outputs[i]
        if spec is None:
            raise LookupError(i)
        return spec

    @property
    def read(self) -> float:
        return sum(t.bytes for t in self.inputs if t)

    @property
    def written(self) -> float:
        return sum(t.bytes for t in self.outputs if t)

    def text(self, name: str, default: str) -> str:
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)


Formula = Callable[[Call], float]


# --- Element by element -------------------------------------------------------------------------------------------


def _per_output(count: float) -> Formula:
    return lambda call: count * call.output().size


def _per_input(count: float) -> Formula:
    return lambda call: count * call.input().size


def _none(call: Call) -> float:
    return 0.0


def _variadic(call: Call) -> float:
    """Sum, Max, ...: one step fewer than operands, at least one (Mean divides)."""
    return max(1, sum(1 for t in call.inputs if t) - 1) * call.output().size


def _log_of(count: float, length: Callable[[Call], int]) -> Formula:
    """A sort or heap: ``count * log2(length)`` steps per input element."""
    return lambda call: count * call.input().size * math.ceil(math.log2(max(2, length(call))))


def _kept(call: Call) -> int:
    """TopK's k, from its output."""
    return call.output().shape[int(call.attributes.get("axis", -1))]


def _scatter(call: Call) -> float:
    """Assignment is free; a reduction is one step per update."""
    return 0.0 if call.text("reduction", "none") == "none" else call.input(2).size


# --- Products -----------------------------------------------------------------------------------------------------


def _matmul(call: Call) -> float:
    transposed = bool(call.attributes.get("transA", 0))
    left = call.input().shape
    return 2.0 * call.output().size * left[-2 if transposed else -1]


def _gemm(call: Call) -> float:
    size = call.output().size
    scaled = float(call.attributes.get("alpha", 1.0)) != 1.0
    return _matmul(call) + size * ((2 if call.has(2) else 0) + scaled)


def _quantised_matmul(call: Call) -> float:
    """The product, and per output element a scaling and a rounding."""
    return _matmul(call) + _per_output(2)(call)


def _packed_matmul(call: Call) -> float:
    """MatMulNBits: every packed weight is expanded (subtract the zero point, scale) once."""
    inner, columns = int(call.attributes["K"]), int(call.attributes["N"])
    return 2.0 * call.output().size * inner + 2.0 * inner * columns


def _convolution(weight: int, bias: int) -> Formula:
    """Per output element one multiply-add for each entry of a filter, whose shape already holds the groups."""

    def flops(call: Call) -> float:
        filter_shape = call.input(weight).shape
        if len(filter_shape) < 3:
            raise ValueError("a convolution's filter has at least three dimensions")
        return call.output().size * (2.0 * math.prod(filter_shape[1:]) + call.has(bias))

    return flops


def _transposed_convolution(call: Call) -> float:
    filter_shape = call.input(1).shape
    if len(filter_shape) < 3:
        raise ValueError("a convolution's filter has at least three dimensions")
    return 2.0 * call.input().size * math.prod(filter_shape[1:]) + call.output().size * call.has(2)


def _deformable_convolution(call: Call) -> float:
    """A convolution over samples interpolated between 4 neighbours (8 steps) at each offset, for each channel."""
    kernel = math.prod(call.input(1).shape[2:])
    batch, channels, *_ = call.input().shape
    samples = batch * channels * math.prod(call.output().shape[2:]) * kernel
    return _convolution(1, 3)(call) + 8.0 * samples


def _einsum(call: Call) -> float:
    """One multiply-add per point of the whole index space; an outer product needs no adding, a sum no multiplying."""
    terms, arrow, result = call.text("equation", "").replace(" ", "").partition("->")
    extent: dict[str, int] = {}
    operands = terms.split(",")
    for i, term in enumerate(operands):
        shape = call.input(i).shape
        before, ellipsis, after = term.partition("...")
        broadcast = len(shape) - len(before) - len(after)
        if broadcast < 0 or (broadcast and not ellipsis):
            raise ValueError("the equation does not fit the shapes")
        labels = [*before, *(f"...{broadcast - j}" for j in range(broadcast)), *after]
        for label, length in zip(labels, shape, strict=True):
            extent[label] = max(extent.get(label, 1), length)
    if len(extent) > 64:
        raise ValueError("the equation has more indices than numpy could run")
    letters = [label for label in terms if label.isalpha()]
    contracted = any(label not in result if arrow else letters.count(label) > 1 for label in letters)
    return float(math.prod(extent.values()) * (len(operands) - 1 + contracted))


# --- Attention ----------------------------------------------------------------------------------------------------


def _attention(past: int) -> Formula:
    """Scores, softmax (6 with the scaling) and weighted values; ``past`` is the index of the cached keys.

    Queries are (B, heads, S, d) or (B, S, heads * d). ``Attention`` of ``com.microsoft`` also projects: there the
    second input is the (hidden, 3 * hidden) weight.
    """

    def flops(call: Call) -> float:
        query, out = call.input(), call.output()
        projects = call.has(1) and len(call.input(1).shape) == 2
        heads = query.shape[1] if len(query.shape) == 4 else _head_count(call)
        steps = query.shape[-2] if len(query.shape) in (3, 4) else query.shape[1]
        depth = out.shape[-1] if len(out.shape) == 4 else out.shape[-1] / heads
        rows = query.shape[0] * heads * steps
        projection = 0.0
        if projects:
            columns = call.input(1).shape[1]
            projection = query.shape[0] * steps * columns * (2.0 * query.shape[-1] + call.has(2))
        return projection + rows * _key_count(call, past, steps, projects) * (4.0 * depth + 6)

    return flops


def _head_count(call: Call) -> int:
    heads = call.attributes.get("q_num_heads") or call.attributes.get("num_heads")
    if not heads:
        raise LookupError("num_heads")
    return int(heads)


def _key_count(call: Call, past: int, steps: int, projects: bool) -> int:
    """Length of the keys attended to, the cached ones included."""
    cached = call.input(past).shape[-2] if call.has(past) else 0
    if not call.has(1) or projects:  # keys come packed with the queries
        return cached + steps
    key = call.input(1).shape
    return cached + (key[1] if len(key) == 5 else key[-2])


# --- Recurrence, pooling, sampling --------------------------------------------------------------------------------


def _recurrent(element_steps: int) -> Formula:
    """X is (S, B, I) (or (B, S, I)), W (directions, gates * H, I), R (directions, gates * H, H).

    ``element_steps``: per hidden unit and time step, the activations and state updates.
    """

    def flops(call: Call) -> float:
        first, second, inputs = call.input().shape
        directions, rows, hidden = call.input(2).shape
        if call.input(1).shape[-1] != inputs:
            raise ValueError("W does not fit X")
        per_step = rows * (2.0 * (inputs + hidden) + 1 + 2 * call.has(3)) + element_steps * hidden
        return first * second * directions * per_step

    return flops


def _pool(count: float) -> Formula:
    def flops(call: Call) -> float:
        kernel = call.attributes["kernel_shape"]
        if len(kernel) >= len(call.input().shape):
            raise ValueError("the kernel has more dimensions than what it slides over")
        return count * call.output().size * float(math.prod(kernel))

    return flops


def _local_response(call: Call) -> float:
    """Square and sum over ``size`` channels, then scale, add, power, divide, multiply."""
    return call.output().size * (int(call.attributes["size"]) + 5.0)


def _resize(call: Call) -> float:
    """A multiply-add per neighbour: 1 (free) for nearest, 2 for linear, 4 for cubic, along each resized dimension."""
    neighbours = {"nearest": 0, "linear": 2, "bilinear": 2, "cubic": 4}[call.text("mode", "nearest")]
    resized = sum(a != b for a, b in zip(call.input().shape, call.output().shape, strict=True))
    return float(2 * neighbours**resized * call.output().size) if neighbours else 0.0


def _grid_sample(call: Call) -> float:
    neighbours = {"nearest": 1, "linear": 2, "bilinear": 2, "cubic": 4, "bicubic": 4}[call.text("mode", "linear")]
    return float(2 * neighbours ** (len(call.input().shape) - 2) * call.output().size)


def _roi_align(call: Call) -> float:
    samples = max(1, int(call.attributes.get("sampling_ratio", 0))) ** 2
    return 9.0 * samples * call.output().size


def _fourier(call: Call) -> float:
    """5 n log2 n for each transform of length n (real or complex numbers in the last dimension)."""
    axis = int(call.attributes.get("axis", -2))
    return 2.5 * call.output().size * math.log2(max(2, call.output().shape[axis]))


def _determinant(call: Call) -> float:
    return 2.0 / 3.0 * call.input().size * call.input().shape[-1]


def _normalisation(base: float, *affine: int) -> Formula:
    """``base`` steps per element and one for each of the ``affine`` inputs (scale, bias, skip) that is present."""
    return lambda call: call.input().size * (base + sum(call.has(i) for i in affine))


def _embed_normalisation(call: Call) -> float:
    """EmbedLayerNormalization: the word, position and segment rows are added and normalised."""
    return call.output().size * (8.0 + call.has(4))


# --- Traffic ------------------------------------------------------------------------------------------------------


def _everything(call: Call) -> float:
    return call.read + call.written


def _part_of_first(call: Call) -> float:
    """Of the first input only what is returned is read; the others (indices) in full."""
    others = sum(t.bytes for t in call.inputs[1:] if t)
    return 2.0 * call.written + others


def _embedding_rows(call: Call) -> float:
    """EmbedLayerNormalization reads ids, scale and bias in full, but only the rows of its tables it returns."""
    tables = sum(call.has(i) for i in (2, 3, 4))
    whole = sum(t.bytes for i, t in enumerate(call.inputs) if t and i not in (2, 3, 4))
    return whole + tables * call.output().bytes + call.written


# --- The tables ---------------------------------------------------------------------------------------------------


def _table(*entries: tuple[str, Formula]) -> Mapping[str, Formula]:
    return MappingProxyType({name: formula for names, formula in entries for name in names.split()})


FLOPS: Mapping[str, Formula] = _table(
    # data movement and metadata
    ("Reshape Squeeze Unsqueeze Flatten Identity Shape Size Dropout Constant BitCast", _none),
    ("Gather GatherElements GatherND Slice Split Concat Transpose Expand Tile Pad Compress CenterCropPad", _none),
    ("DepthToSpace SpaceToDepth ReverseSequence Trilu ConstantOfShape EyeLike OneHot MaxUnpool", _none),
    ("SequenceConstruct SequenceEmpty SequenceInsert SequenceErase SequenceAt SequenceLength", _none),
    ("ConcatFromSequence SplitToSequence Optional OptionalGetElement OptionalHasElement QLinearConcat", _none),
    ("Scatter ScatterElements ScatterND TensorScatter", _scatter),
    # one elementary function per output element
    ("Add Sub Mul Div Pow Mod And Or Xor Not Where BitShift BitwiseAnd BitwiseOr BitwiseXor", _per_output(1)),
    ("Equal Greater GreaterOrEqual Less LessOrEqual IsInf IsNaN Cast CastLike Abs Neg Sign Ceil Floor", _per_output(1)),
    ("Round Sqrt Reciprocal Exp Log Erf Sin Cos Tan Asin Acos Atan Sinh Cosh Tanh Asinh Acosh Atanh", _per_output(1)),
    ("Relu Range RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli", _per_output(1)),
    ("CumSum CumProd BitwiseNot", _per_output(1)),
    ("Sum Max Min Mean", _variadic),
    # activations: the steps of their definition
    ("Clip LeakyRelu PRelu ThresholdedRelu Shrink DequantizeLinear", _per_output(2)),
    ("Softplus Softsign QuantizeLinear DynamicQuantizeLinear QLinearLeakyRelu", _per_output(3)),
    ("Sigmoid HardSigmoid Elu Celu Selu QLinearAdd QLinearMul QLinearSigmoid", _per_output(4)),
    ("Gelu QuickGelu HardSwish Swish Mish SwiGLU", _per_output(5)),
    ("BiasGelu FastGelu", _per_output(8)),
    ("Softmax QLinearSoftmax", _per_output(5)),
    ("LogSoftmax", _per_output(6)),
    ("SoftmaxCrossEntropyLoss", _per_input(7)),
    ("NegativeLogLikelihoodLoss", _per_input(1)),
    ("Hardmax", _per_output(2)),
    ("HannWindow HammingWindow BlackmanWindow MelWeightMatrix AffineGrid Multinomial", _per_output(4)),
    ("RotaryEmbedding", _per_output(3)),
    # reductions and sorts
    ("ReduceSum ReduceMax ReduceMin ReduceMean ReduceProd ReduceLogSum ArgMax ArgMin NonZero Col2Im", _per_input(1)),
    ("GlobalAveragePool GlobalMaxPool QLinearGlobalAveragePool", _per_input(1)),
    ("ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp GlobalLpPool", _per_input(2)),
    ("LpNormalization", _per_input(3)),
    ("TopK", _log_of(1.0, _kept)),
    ("Unique", _log_of(1.0, lambda call: call.input().size)),
    # products
    ("MatMul MatMulInteger FusedMatMul MatMulInteger16 TransposeMatMul FusedMatMulActivation", _matmul),
    ("QLinearMatMul QGemm MatMulIntegerToFloat DynamicQuantizeMatMul", _quantised_matmul),
    ("Gemm FusedGemm", _gemm),
    ("MatMulNBits MatMulBnb4", _packed_matmul),
    ("Conv FusedConv NhwcConv NhwcFusedConv", _convolution(1, 2)),
    ("ConvInteger", _convolution(1, 99)),
    ("QLinearConv", _convolution(3, 8)),
    ("ConvTranspose ConvTransposeWithDynamicPads", _transposed_convolution),
    ("DeformConv", _deformable_convolution),
    ("Einsum", _einsum),
    ("Det", _determinant),
    ("DFT", _fourier),
    # attention and recurrence
    ("Attention QAttention", _attention(4)),
    ("DecoderMaskedMultiHeadAttention", _attention(5)),
    ("MultiHeadAttention", _attention(6)),
    ("GroupQueryAttention", _attention(3)),
    ("LSTM", _recurrent(18)),
    ("GRU", _recurrent(14)),
    ("RNN", _recurrent(1)),
    # normalisation
    ("BatchNormalization", _per_input(2)),
    ("InstanceNormalization GroupNormalization MeanVarianceNormalization", _normalisation(6, 1, 2)),
    ("LayerNormalization", _normalisation(6, 1, 2)),
    ("RMSNormalization SimplifiedLayerNormalization", _normalisation(4, 1)),
    ("SkipLayerNormalization", _normalisation(6, 1, 2, 3, 4)),
    ("SkipSimplifiedLayerNormalization", _normalisation(4, 1, 2, 3)),
    ("EmbedLayerNormalization QEmbedLayerNormalization", _embed_normalisation),
    ("LRN", _local_response),
    # pooling and sampling
    ("MaxPool AveragePool QLinearAveragePool NhwcMaxPool MaxpoolWithMask", _pool(1)),
    ("LpPool", _pool(2)),
    ("MaxRoiPool", _per_input(1)),
    ("RoiAlign", _roi_align),
    ("Resize Upsample", _resize),
    ("GridSample", _grid_sample),
    *FORMULAS.items(),
)

TRAFFIC: Mapping[str, Formula] = _table(  # every other operator: all inputs read, all outputs written
    ("Reshape Squeeze Unsqueeze Flatten Identity Shape Size Dropout Constant BitCast", _none),
    ("SequenceConstruct SequenceEmpty SequenceInsert SequenceErase SequenceAt SequenceLength", _none),
    ("Optional OptionalGetElement OptionalHasElement", _none),
    ("Gather GatherElements GatherND Slice Split Compress GatherBlockQuantized", _part_of_first),
    ("EmbedLayerNormalization", _embedding_rows),
)


def covered_operators() -> list[str]:
    """Names of the operators with a formula of their own, sorted."""
    return sorted(FLOPS)
