"""Operator costs: FLOPs and traffic follow from shapes alone."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_costs import f32

from partition.problem.operator_call import TensorSpec
from partition.problem.operators import OperatorCost, covered_operators, operator_cost


@pytest.mark.parametrize(
    "op_type", ["Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Shape", "Size", "Dropout"]
)
def test_metadata_moves_nothing(op_type: str) -> None:
    assert operator_cost(op_type, [f32(4, 6)], [f32(24)]) == OperatorCost(0.0, 0.0, True)


def test_an_unknown_operator_falls_to_the_documented_default() -> None:
    cost = operator_cost("Whatever", [f32(2, 3), None], [f32(4), None, f32(5)])
    assert cost == OperatorCost(9.0, 4.0 * (6 + 4 + 5), False)


@pytest.mark.parametrize(
    ("op_type", "inputs"),
    [("MatMul", [None, None]), ("Conv", [f32(8), f32(8)]), ("LSTM", [f32(3, 3)] * 3), ("Gemm", [])],
)
def test_operands_that_do_not_fit_fall_to_the_default(op_type: str, inputs: list[TensorSpec | None]) -> None:
    cost = operator_cost(op_type, inputs, [f32(8)])
    assert (cost.flops, cost.known) == (8.0, False)


@given(op_type=st.sampled_from(covered_operators()), shape=st.lists(st.integers(0, 5), max_size=5))
def test_no_operator_fails_or_goes_negative_on_strange_operands(op_type: str, shape: list[int]) -> None:
    cost = operator_cost(op_type, [f32(*shape)] * 3, [f32(*shape)])
    assert math.isfinite(cost.flops) and cost.flops >= 0
    assert math.isfinite(cost.bytes_accessed) and cost.bytes_accessed >= 0


def test_every_operator_of_transformers_cnns_and_rnns_is_covered() -> None:
    needed = (
        "MatMul Gemm Conv ConvTranspose QLinearConv QLinearMatMul MatMulInteger ConvInteger LayerNormalization "
        "Softmax LogSoftmax BatchNormalization InstanceNormalization GroupNormalization RMSNormalization "
        "SkipLayerNormalization Gelu Erf Tanh Sigmoid Relu LeakyRelu PRelu Elu Selu Clip HardSwish Add Sub Mul "
        "Div Pow Sqrt Where Cast Equal ReduceMean ReduceSum ReduceMax MaxPool AveragePool GlobalAveragePool LRN "
        "LSTM GRU RNN Resize Upsample Pad TopK Einsum CumSum ArgMax ScatterND NonZero Range Tile ConstantOfShape "
        "QuantizeLinear DequantizeLinear Slice Split Concat Transpose Expand Gather Attention"
    )
    assert set(needed.split()) <= set(covered_operators())
