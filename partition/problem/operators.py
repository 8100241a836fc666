"""What one ONNX operator costs: FLOPs and SRAM traffic from the shapes of its operands, never from their data.

``FLOPS`` and ``TRAFFIC`` are the two tables of formulas; ``docs/onnx.md`` is the same in prose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from partition.problem import operator_formulas as of
from partition.problem.extension_operators import FORMULAS
from partition.problem.operator_call import Call, Formula, TensorSpec


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
            return OperatorCost(float(flops(call)), float(TRAFFIC.get(op_type, of.everything)(call)), True)
        except (ArithmeticError, LookupError, ValueError, TypeError):
            pass  # the operands do not fit the operator: a reader's guess at an unknown shape, or a malformed node
    return OperatorCost(float(sum(t.size for t in call.outputs if t)), of.everything(call), False)


def _table(*entries: tuple[str, Formula]) -> Mapping[str, Formula]:
    return MappingProxyType({name: formula for names, formula in entries for name in names.split()})


FLOPS: Mapping[str, Formula] = _table(
    # data movement and metadata
    ("Reshape Squeeze Unsqueeze Flatten Identity Shape Size Dropout Constant BitCast", of.free),
    ("Gather GatherElements GatherND Slice Split Concat Transpose Expand Tile Pad Compress CenterCropPad", of.free),
    ("DepthToSpace SpaceToDepth ReverseSequence Trilu ConstantOfShape EyeLike OneHot MaxUnpool", of.free),
    ("SequenceConstruct SequenceEmpty SequenceInsert SequenceErase SequenceAt SequenceLength", of.free),
    ("ConcatFromSequence SplitToSequence Optional OptionalGetElement OptionalHasElement QLinearConcat", of.free),
    ("Scatter ScatterElements ScatterND TensorScatter", of.scatter),
    # one elementary function per output element
    ("Add Sub Mul Div Pow Mod And Or Xor Not Where BitShift BitwiseAnd BitwiseOr BitwiseXor", of.per_output(1)),
    ("Equal Greater GreaterOrEqual Less LessOrEqual IsInf IsNaN Cast CastLike Abs Neg Sign", of.per_output(1)),
    ("Round Sqrt Reciprocal Exp Log Erf Sin Cos Tan Asin Acos Atan Sinh Cosh Tanh Asinh Acosh Atanh", of.per_output(1)),
    ("Relu Range RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli", of.per_output(1)),
    ("Ceil Floor CumSum CumProd BitwiseNot", of.per_output(1)),
    ("Sum Max Min Mean", of.variadic),
    # activations: the steps of their definition
    ("Clip LeakyRelu PRelu ThresholdedRelu Shrink DequantizeLinear", of.per_output(2)),
    ("Softplus Softsign QuantizeLinear DynamicQuantizeLinear QLinearLeakyRelu", of.per_output(3)),
    ("Sigmoid HardSigmoid Elu Celu Selu QLinearAdd QLinearMul QLinearSigmoid", of.per_output(4)),
    ("Gelu QuickGelu HardSwish Swish Mish SwiGLU", of.per_output(5)),
    ("BiasGelu FastGelu", of.per_output(8)),
    ("Softmax QLinearSoftmax", of.per_output(5)),
    ("LogSoftmax", of.per_output(6)),
    ("SoftmaxCrossEntropyLoss", of.per_input(7)),
    ("NegativeLogLikelihoodLoss", of.per_input(1)),
    ("Hardmax", of.per_output(2)),
    ("HannWindow HammingWindow BlackmanWindow MelWeightMatrix AffineGrid Multinomial", of.per_output(4)),
    ("RotaryEmbedding", of.per_output(3)),
    # reductions and sorts
    ("ReduceSum ReduceMax ReduceMin ReduceMean ReduceProd ReduceLogSum ArgMax ArgMin NonZero Col2Im", of.per_input(1)),
    ("GlobalAveragePool GlobalMaxPool QLinearGlobalAveragePool", of.per_input(1)),
    ("ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp GlobalLpPool", of.per_input(2)),
    ("LpNormalization", of.per_input(3)),
    ("TopK", of.log_of(1.0, of.kept)),
    ("Unique", of.log_of(1.0, lambda call: call.input().size)),
    # products
    ("MatMul MatMulInteger FusedMatMul MatMulInteger16 TransposeMatMul FusedMatMulActivation", of.matmul),
    ("QLinearMatMul QGemm MatMulIntegerToFloat DynamicQuantizeMatMul", of.quantised_matmul),
    ("Gemm FusedGemm", of.gemm),
    ("MatMulNBits MatMulBnb4", of.packed_matmul),
    ("Conv FusedConv NhwcConv NhwcFusedConv", of.convolution(1, 2)),
    ("ConvInteger", of.convolution(1, 99)),
    ("QLinearConv", of.convolution(3, 8)),
    ("ConvTranspose ConvTransposeWithDynamicPads", of.transposed_convolution),
    ("DeformConv", of.deformable_convolution),
    ("Einsum", of.einsum),
    ("Det", of.determinant),
    ("DFT", of.fourier),
    # attention and recurrence
    ("Attention DecoderMaskedSelfAttention", of.attention(4)),
    ("QAttention", of.attention(8)),
    ("DecoderMaskedMultiHeadAttention", of.attention(5)),
    ("MultiHeadAttention", of.attention(6)),
    ("GroupQueryAttention", of.attention(3)),
    ("LSTM", of.recurrent(18)),
    ("GRU", of.recurrent(14)),
    ("RNN", of.recurrent(1)),
    # normalisation
    ("BatchNormalization", of.per_input(2)),
    ("InstanceNormalization GroupNormalization MeanVarianceNormalization", of.normalisation(6, 1, 2)),
    ("LayerNormalization", of.normalisation(6, 1, 2)),
    ("RMSNormalization SimplifiedLayerNormalization", of.normalisation(4, 1)),
    ("SkipLayerNormalization", of.normalisation(6, 1, 2, 3, 4)),
    ("SkipSimplifiedLayerNormalization", of.normalisation(4, 1, 2, 3)),
    ("EmbedLayerNormalization QEmbedLayerNormalization", of.embed_normalisation),
    ("LRN", of.local_response),
    # pooling and sampling
    ("MaxPool AveragePool QLinearAveragePool NhwcMaxPool MaxpoolWithMask", of.pool(1)),
    ("LpPool", of.pool(2)),
    ("MaxRoiPool", of.per_input(1)),
    ("RoiAlign", of.roi_align),
    ("Resize Upsample", of.resize),
    ("GridSample", of.grid_sample),
    *FORMULAS.items(),
)

TRAFFIC: Mapping[str, Formula] = _table(  # every other operator: all inputs read, all outputs written
    ("Reshape Squeeze Unsqueeze Flatten Identity Shape Size Dropout Constant BitCast", of.free),
    ("SequenceConstruct SequenceEmpty SequenceInsert SequenceErase SequenceAt SequenceLength", of.free),
    ("Optional OptionalGetElement OptionalHasElement", of.free),
    ("Gather GatherElements GatherND Slice Split Compress GatherBlockQuantized TorchEmbedding", of.part_of_first),
    ("EmbedLayerNormalization", of.embedding_rows),
)


METADATA = frozenset(name for name, formula in TRAFFIC.items() if formula is of.free)
"""Operators that move nothing."""


def covered_operators() -> list[str]:
    """Names of the operators with a formula of their own, sorted."""
    return sorted(FLOPS)
