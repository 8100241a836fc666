"""Costs of attention, packed and quantised operators."""

import pytest
from operator_costs import f32

from partition.problem.operator_call import TensorSpec
from partition.problem.operators import operator_cost


def test_integer_and_quantised_convolutions_find_their_filter_among_the_scales() -> None:
    x, w, y = TensorSpec((1, 8, 6, 6), 1.0), TensorSpec((4, 8, 3, 3), 1.0), TensorSpec((1, 4, 4, 4), 1.0)
    scale, zero = f32(), TensorSpec((), 1.0)
    products = 2 * 4 * 4 * 4 * 8 * 9
    assert operator_cost("ConvInteger", [x, w, zero, zero], [y]).flops == products
    operands = [x, scale, zero, w, scale, zero, scale, zero]
    assert operator_cost("QLinearConv", operands, [y]).flops == products
    assert operator_cost("QLinearConv", [*operands, f32(4)], [y]).flops == products + y.size


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
