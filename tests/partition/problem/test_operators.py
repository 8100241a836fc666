"""Operator costs: FLOPs and traffic follow from shapes alone."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partition.problem.operator_call import TensorSpec
from partition.problem.operators import OperatorCost, covered_operators, operator_cost

extent = st.integers(1, 12)


def f32(*shape: int) -> TensorSpec:
    return TensorSpec(shape, 4.0)


def test_a_spec_knows_its_size_and_bytes() -> None:
    assert (f32(2, 3).size, f32(2, 3).bytes) == (6, 24.0)
    assert (f32().size, f32().bytes) == (1, 4.0)
    assert f32(0, 3).bytes == 0.0


def test_packed_types_fill_their_last_byte() -> None:
    assert TensorSpec((5,), 0.5).bytes == 3.0
    assert TensorSpec((4,), 0.5).bytes == 2.0


@given(batch=extent, m=extent, k=extent, n=extent)
def test_a_matrix_product_counts_two_per_multiply_add(batch: int, m: int, k: int, n: int) -> None:
    cost = operator_cost("MatMul", [f32(batch, m, k), f32(k, n)], [f32(batch, m, n)])
    assert cost == OperatorCost(2.0 * batch * m * k * n, 4.0 * (batch * m * k + k * n + batch * m * n), True)


@given(m=extent, k=extent, n=extent)
def test_einsum_matmul_and_gemm_agree_on_the_same_product(m: int, k: int, n: int) -> None:
    a, b, y = f32(m, k), f32(k, n), f32(m, n)
    plain = operator_cost("MatMul", [a, b], [y])
    assert operator_cost("Gemm", [a, b, None], [y]) == plain
    assert operator_cost("Gemm", [f32(k, m), b], [y], {"transA": 1}) == plain
    assert operator_cost("Gemm", [a, b, f32(n)], [y]).flops == plain.flops + 2 * m * n
    assert operator_cost("Einsum", [a, b], [y], {"equation": b"ik, kj -> ij"}) == plain


def test_products_with_vectors_use_the_inner_dimension() -> None:
    assert operator_cost("MatMul", [f32(7), f32(7, 3)], [f32(3)]).flops == 2 * 7 * 3
    assert operator_cost("MatMul", [f32(5, 7), f32(7)], [f32(5)]).flops == 2 * 7 * 5


def test_einsum_follows_ellipses_and_counts_plain_products_once() -> None:
    batched = operator_cost(
        "Einsum", [f32(2, 3, 4, 5), f32(2, 3, 5, 6)], [f32(2, 3, 4, 6)], {"equation": "...ij,...jk"}
    )
    assert batched.flops == 2 * (2 * 3 * 4 * 5 * 6)
    outer = operator_cost("Einsum", [f32(4), f32(6)], [f32(4, 6)], {"equation": "i,j->ij"})
    assert outer.flops == 24
    transposed = operator_cost("Einsum", [f32(4, 6)], [f32(6, 4)], {"equation": "ij->ji"})
    assert transposed.flops == 0
    summed = operator_cost("Einsum", [f32(4, 6)], [f32(4)], {"equation": "ij->i"})
    assert summed.flops == 24


def test_an_einsum_of_three_counts_pair_by_pair() -> None:
    chain = operator_cost("Einsum", [f32(64, 128), f32(128, 32), f32(32, 16)], [f32(64, 16)],
                          {"equation": "ij,jk,kl->il"})  # fmt: skip
    assert chain.flops == 2 * (64 * 128 * 32 + 64 * 32 * 16)
    scaled = operator_cost("Einsum", [f32(3, 4), f32(4), f32(4, 5)], [f32(3, 5)], {"equation": "bi,i,ij->bj"})
    assert scaled.flops == 3 * 4 + 2 * 3 * 4 * 5


@given(groups=st.sampled_from([1, 2, 4]), kernel=st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_a_convolution_counts_its_filter_per_output_element(groups: int, kernel: list[int]) -> None:
    image, out = [9] * len(kernel), [10 - k for k in kernel]
    cost = operator_cost(
        "Conv", [f32(2, 8, *image), f32(16, 8 // groups, *kernel)], [f32(2, 16, *out)], {"group": groups}
    )
    assert cost.flops == 2.0 * 2 * 16 * math.prod(out) * (8 // groups) * math.prod(kernel)


def test_integer_and_quantised_convolutions_find_their_filter_among_the_scales() -> None:
    x, w, y = TensorSpec((1, 8, 6, 6), 1.0), TensorSpec((4, 8, 3, 3), 1.0), TensorSpec((1, 4, 4, 4), 1.0)
    scale, zero = f32(), TensorSpec((), 1.0)
    products = 2 * 4 * 4 * 4 * 8 * 9
    assert operator_cost("ConvInteger", [x, w, zero, zero], [y]).flops == products
    operands = [x, scale, zero, w, scale, zero, scale, zero]
    assert operator_cost("QLinearConv", operands, [y]).flops == products
    assert operator_cost("QLinearConv", [*operands, f32(4)], [y]).flops == products + y.size


def test_a_transposed_convolution_does_the_work_of_the_convolution_it_reverses() -> None:
    small, large, w = f32(1, 6, 5, 5), f32(1, 3, 11, 11), f32(6, 3, 3, 3)
    forward = operator_cost("Conv", [large, w], [small])
    assert operator_cost("ConvTranspose", [small, w], [large]).flops == forward.flops


def test_an_lstm_counts_its_two_products_for_every_step() -> None:
    steps, batch, inputs, hidden = 10, 3, 32, 64
    x, w, r = f32(steps, batch, inputs), f32(1, 4 * hidden, inputs), f32(1, 4 * hidden, hidden)
    cost = operator_cost("LSTM", [x, w, r], [f32(steps, 1, batch, hidden)], {"hidden_size": hidden})
    products = 2 * steps * batch * 4 * hidden * (inputs + hidden)
    assert products < cost.flops < 1.2 * products
    both = operator_cost("LSTM", [x, f32(2, *w.shape[1:]), f32(2, *r.shape[1:])], [f32(steps, 2, batch, hidden)])
    assert both.flops == 2 * cost.flops


def test_attention_costs_the_same_with_heads_apart_or_together() -> None:
    apart = operator_cost("Attention", [f32(2, 4, 8, 16)] * 3, [f32(2, 4, 8, 16)])
    together = operator_cost("Attention", [f32(2, 8, 64)] * 3, [f32(2, 8, 64)], {"q_num_heads": 4, "kv_num_heads": 4})
    contributed = operator_cost("MultiHeadAttention", [f32(2, 8, 64)] * 3, [f32(2, 8, 64)], {"num_heads": 4})
    assert apart.known
    assert apart.flops == together.flops == contributed.flops
    products = 2 * 2 * (2 * 4 * 8 * 8 * 16)
    assert products < apart.flops < 1.2 * products


def test_quantised_attention_finds_its_cache_behind_the_scales() -> None:
    """``QAttention`` has scales and zero points where ``Attention`` has mask and cache."""
    operands = [f32(1, 8, 16), f32(16, 48), f32(48), f32(), f32(), None, f32(), f32()]
    plain = operator_cost("Attention", operands[:3], [f32(1, 8, 16)], {"num_heads": 2})
    assert operator_cost("QAttention", operands, [f32(1, 8, 16)], {"num_heads": 2}).flops == plain.flops


def test_packed_attention_counts_as_attention_without_padding() -> None:
    offsets = f32(2, 8)
    packed = operator_cost("PackedAttention", [f32(16, 16), f32(16, 48), f32(48), offsets], [f32(16, 16)],
                           {"num_heads": 2})  # fmt: skip
    assert packed.flops == operator_cost("Attention", [f32(2, 8, 16), f32(16, 48), f32(48)], [f32(2, 8, 16)],
                                         {"num_heads": 2}).flops  # fmt: skip


@pytest.mark.parametrize(("rule", "entry", "each"), [("linear", 2, 0), ("gated", 3, 0), ("gated_delta", 5, 2)])
def test_linear_attention_updates_and_reads_its_state_for_every_token(rule: str, entry: int, each: int) -> None:
    batch, steps, queries, heads, key, value = 2, 5, 4, 2, 8, 6
    cost = operator_cost(
        "LinearAttention", [f32(batch, steps, queries * key), f32(batch, steps, heads * key),
                            f32(batch, steps, heads * value)],
        [f32(batch, steps, queries * value)], {"q_num_heads": queries, "kv_num_heads": heads, "update_rule": rule},
    )  # fmt: skip
    update, read = heads * (key * value * entry + value * each), queries * (2 * key * value + value)
    assert (cost.flops, cost.known) == (batch * steps * (update + read), True)


def test_packed_products_of_one_operator_count_as_those_of_several() -> None:
    k, n, rows = 32, 16, 3
    one = operator_cost("MatMulNBits", [f32(rows, k)], [f32(rows, n)], {"K": k, "N": n}).flops
    qkv = operator_cost("MatMulNBitsQkv", [f32(rows, k), None, f32(k)], [f32(rows, n)] * 3,
                        {"K": k, "Nq": n, "Nkv": n})  # fmt: skip
    assert qkv.flops == 3 * one + 5 * rows * k
    mlp = operator_cost("MatMulNBitsMlp", [f32(rows, k)], [f32(rows, n)], {"K": k, "N": n})
    assert mlp.flops == 2 * one + 6 * rows * n


def test_cached_keys_are_attended_to() -> None:
    past = f32(1, 4, 24, 16)
    first = operator_cost("Attention", [f32(1, 4, 8, 16)] * 3, [f32(1, 4, 8, 16)])
    later = operator_cost("Attention", [*[f32(1, 4, 8, 16)] * 3, None, past, past], [f32(1, 4, 8, 16)])
    assert later.flops == first.flops * (8 + 24) / 8


def test_projecting_attention_adds_its_projection() -> None:
    x, w = f32(1, 8, 64), f32(64, 192)
    cost = operator_cost("Attention", [x, w, f32(192)], [x], {"num_heads": 4})
    alone = operator_cost("MultiHeadAttention", [x] * 3, [x], {"num_heads": 4})
    assert cost.flops == alone.flops + 8 * 192 * (2 * 64 + 1)


@pytest.mark.parametrize("op_type", ["Gather", "GatherElements", "Slice"])
def test_lookups_read_only_what_they_return(op_type: str) -> None:
    table, ids, rows = f32(30_000, 16), TensorSpec((5,), 8.0), f32(5, 16)
    assert operator_cost(op_type, [table, ids], [rows]) == OperatorCost(0.0, ids.bytes + 2 * rows.bytes, True)


@pytest.mark.parametrize(
    "op_type", ["Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Shape", "Size", "Dropout"]
)
def test_metadata_moves_nothing(op_type: str) -> None:
    assert operator_cost(op_type, [f32(4, 6)], [f32(24)]) == OperatorCost(0.0, 0.0, True)


@pytest.mark.parametrize("op_type", ["Transpose", "Concat", "Expand", "Tile", "Pad"])
def test_data_movement_reads_and_writes_without_arithmetic(op_type: str) -> None:
    cost = operator_cost(op_type, [f32(4, 6), f32(4, 6)], [f32(8, 6)])
    assert (cost.flops, cost.bytes_accessed) == (0.0, 4.0 * (24 + 24 + 48))


def test_reductions_count_what_they_read_and_elementwise_what_they_write() -> None:
    assert operator_cost("ReduceMean", [f32(4, 6)], [f32(4, 1)]).flops == 24
    assert operator_cost("Add", [f32(6), f32(4, 6)], [f32(4, 6)]).flops == 24
    assert operator_cost("Sum", [f32(4, 6)] * 3, [f32(4, 6)]).flops == 48
    assert operator_cost("MaxPool", [f32(1, 1, 4, 4)], [f32(1, 1, 2, 2)], {"kernel_shape": [2, 2]}).flops == 16


def test_resizing_costs_more_the_smoother_it_is() -> None:
    x, y = f32(1, 2, 4, 4), f32(1, 2, 8, 8)
    costs = [operator_cost("Resize", [x], [y], {"mode": mode}).flops for mode in (b"nearest", b"linear", b"cubic")]
    assert costs == [0.0, 2 * 4 * 128, 2 * 16 * 128]


def test_only_a_reducing_scatter_computes() -> None:
    operands = [f32(8, 4), TensorSpec((2, 1), 8.0), f32(2, 4)]
    assert operator_cost("ScatterND", operands, [f32(8, 4)]).flops == 0
    assert operator_cost("ScatterND", operands, [f32(8, 4)], {"reduction": b"add"}).flops == 8


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
