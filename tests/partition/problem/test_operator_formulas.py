"""Costs of the operators of ONNX by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_costs import f32

from partition.problem.operator_call import TensorSpec
from partition.problem.operators import OperatorCost, operator_cost

extent = st.integers(1, 12)


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


@pytest.mark.parametrize("op_type", ["Gather", "GatherElements", "Slice"])
def test_lookups_read_only_what_they_return(op_type: str) -> None:
    table, ids, rows = f32(30_000, 16), TensorSpec((5,), 8.0), f32(5, 16)
    assert operator_cost(op_type, [table, ids], [rows]) == OperatorCost(0.0, ids.bytes + 2 * rows.bytes, True)


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
