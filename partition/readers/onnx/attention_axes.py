"""Along which axes an attention operator of an ONNX model can be computed in parts."""

from __future__ import annotations

from partition.problem.cut_axis import CutAxis
from partition.readers import cut_axes as of
from partition.readers.cut_axes import Place
from partition.readers.onnx.node_operands import NodeOperands


def _attention(call: NodeOperands) -> list[CutAxis]:
    """Opset 23: four axes with heads apart, or three with heads inside the last."""
    if len(call.results) != 1 or any(call.read(i) is not None for i in (4, 5, 6)):
        return []
    query, key, value = call.needed(0), call.needed(1), call.needed(2)
    rows = not call.get("is_causal", 0)
    if len(query.shape) == 4:
        return of.attention(query, key, value, call.made, call.read(3), rows=rows)
    return _packed_heads(call, int(call.attributes["q_num_heads"]), int(call.attributes["kv_num_heads"]), 3,
                         ("q_num_heads", "kv_num_heads"))  # fmt: skip


def multi_head_axes(call: NodeOperands) -> list[CutAxis]:
    """``MultiHeadAttention``: heads inside the last axis."""
    if len(call.results) != 1 or any(call.read(i) is not None for i in (3, 4, 6, 7)) or call.read(2) is None:
        return []
    heads = int(call.attributes["num_heads"])
    return _packed_heads(call, heads, heads, 5, ("num_heads",))


def group_query_axes(call: NodeOperands) -> list[CutAxis]:
    """``GroupQueryAttention``: heads, each of the keys with the queries that share it."""
    query, key = call.needed(0), call.needed(1)
    if key is None or (len(call.inputs) > 9 and any(call.read(i) is not None for i in range(9, len(call.inputs)))):
        return []
    heads, shared = int(call.attributes["num_heads"]), int(call.attributes["kv_num_heads"])
    found = []
    past = [(operand, 1, 1) for operand in map(call.read, (3, 4)) if operand is not None]
    places = [(query, 2, query.shape[2] // shared), (key, 2, key.shape[2] // shared)]
    places += [(call.needed(2), 2, call.needed(2).shape[2] // shared), *past]
    results = [(call.made, 2, call.made.shape[2] // shared)]
    results += [(result, 1, 1) for result in call.outputs[1:3] if result is not None]
    if heads % shared == 0 and not call.get("kv_cache_bit_width", 0):
        counts = ("num_heads", "kv_num_heads")
        found += of.cut_axis(shared, places, results, word="heads", counts=counts)
    return found


def _packed_heads(call: NodeOperands, heads: int, shared: int, mask: int, counts: tuple[str, ...]) -> list[CutAxis]:
    """Heads inside the last of three axes, and inputs of a batch."""
    query, key, value, made, bias = call.needed(0), call.needed(1), call.needed(2), call.made, call.read(mask)
    if any(len(operand.shape) != 3 for operand in (query, key, value)) or heads % shared:
        return []
    batch = query.shape[0]
    along: list[Place | None] = [(query, 0, 1), (key, 0, 1), (value, 0, 1), of.broadcast_along(bias, -4, batch)]
    found = of.cut_axis(batch, along, [(made, 0, 1)], word="inputs of a batch")
    along = [(operand, 2, operand.shape[2] // shared) for operand in (query, key, value)]
    masked = of.broadcast_along(bias, -3, heads)
    along.append(masked and (masked[0], masked[1], heads // shared))
    return found + of.cut_axis(shared, along, [(made, 2, made.shape[2] // shared)], word="heads", counts=counts)


def _packed_attention(call: NodeOperands) -> list[CutAxis]:
    """``Attention`` of com.microsoft: one weight holds the columns of queries, keys and values, one after the other."""
    weight, bias = call.needed(1), call.read(2)
    if len(call.results) != 1 or any(call.read(i) is not None for i in range(3, len(call.inputs))):
        return []
    if call.get("qkv_hidden_sizes", None) or call.get("do_rotary", 0):
        return []
    heads, made = int(call.attributes["num_heads"]), call.made
    if weight.shape[1] != 3 * made.shape[2] or made.shape[2] % heads:
        return []
    each = made.shape[2] // heads
    places = [(weight, 1, each), (bias, 0, each) if bias is not None else None]
    return of.cut_axis(heads, places, [(made, 2, each)], word="heads", counts=("num_heads",), blocks=3)


def attention_axes(call: NodeOperands) -> list[CutAxis]:
    """``Attention`` of onnxruntime or of the standard."""
    return _packed_attention(call) if call.node.domain == "com.microsoft" else _attention(call)
