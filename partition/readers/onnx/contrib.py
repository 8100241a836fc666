"""Shapes of the operators of ``com.microsoft`` (ONNX Runtime), which the onnx package knows nothing of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Shape = tuple[int, ...]


def contributed_shapes(
    op_type: str, inputs: Sequence[Shape | None], attributes: Mapping[str, Any]
) -> Sequence[Shape | None]:
    """Shapes of the outputs, in order; shorter than the outputs, or with None, where they are not known."""
    rule = _RULES.get(op_type)
    if rule is None:
        return ()
    try:
        return rule(_Operands(tuple(inputs)), attributes)
    except (LookupError, TypeError, ValueError):  # absent or unusual operands
        return ()


class _Operands(tuple["Shape | None", ...]):
    """Input shapes; asking for an absent one raises LookupError."""

    def of(self, i: int) -> Shape:
        shape = self[i]
        if shape is None:
            raise LookupError(i)
        return shape

    def has(self, i: int) -> bool:
        return i < len(self) and self[i] is not None


_Rule = Callable[[_Operands, Mapping[str, Any]], Sequence["Shape | None"]]


def _like_first(inputs: _Operands, attributes: Mapping[str, Any]) -> Sequence[Shape | None]:
    return (inputs.of(0),)


def _skip_normalisation(inputs: _Operands, attributes: Mapping[str, Any]) -> Sequence[Shape | None]:
    """The result, mean and variance (of training), and the sum before normalisation."""
    shape = inputs.of(0)
    return (shape, (*shape[:-1], 1), (*shape[:-1], 1), shape)


def _product(right: int) -> _Rule:
    """A matrix product with optional transposition; ``right`` is the index of the right operand."""

    def rule(inputs: _Operands, attributes: Mapping[str, Any]) -> Sequence[Shape | None]:
        a, b = inputs.of(0), inputs.of(right)
        rows = a[-1] if attributes.get("transA") else a[-2]
        columns = b[-2] if attributes.get("transB") else b[-1]
        return ((*np.broadcast_shapes(a[:-2], b[:-2]), rows, columns),)

    return rule


def _packed_product(inputs: _Operands, attributes: Mapping[str, Any]) -> Sequence[Shape | None]:
    return ((*inputs.of(0)[:-1], int(attributes["N"])),)


def _projecting_attention(inputs: _Operands, attributes: Mapping[str, Any]) -> Sequence[Shape | None]:
    """Attention: the second input is the joint weight of queries, keys and values."""
    sizes = attributes.get("qkv_hidden_sizes")
    return ((*inputs.of(0)[:-1], int(sizes[2]) if sizes else inputs.of(1)[-1] // 3),)


def _attention(past: int) -> _Rule:
    """Attention over given keys and values; cached ones (inputs ``past`` and ``past + 1``) grow by the new."""

    def rule(inputs: _Operands, attributes: Mapping[str, Any]) -> Sequence[Shape | None]:
        query = inputs.of(0)
        if len(query) != 3 or not inputs.has(1):
            raise LookupError("packed operands")
        present = [
            (*inputs.of(i)[:-2], inputs.of(i)[-2] + query[1], inputs.of(i)[-1]) if inputs.has(i) else None
            for i in (past, past + 1)
        ]
        return (query, *present)

    return rule


def _embedding(inputs: _Operands, attributes: Mapping[str, Any]) -> Sequence[Shape | None]:
    ids = inputs.of(0)
    return ((*ids, inputs.of(2)[-1]), ids[:1], (*ids, inputs.of(2)[-1]))


_RULES: Mapping[str, _Rule] = {
    "Gelu": _like_first,
    "BiasGelu": _like_first,
    "FastGelu": _like_first,
    "QuickGelu": _like_first,
    "LayerNormalization": _like_first,
    "SimplifiedLayerNormalization": _like_first,
    "RotaryEmbedding": _like_first,
    "QLinearSigmoid": _like_first,
    "QLinearLeakyRelu": _like_first,
    "QLinearSoftmax": _like_first,
    "SkipLayerNormalization": _skip_normalisation,
    "SkipSimplifiedLayerNormalization": _skip_normalisation,
    "EmbedLayerNormalization": _embedding,
    "FusedMatMul": _product(1),
    "FusedGemm": _product(1),
    "MatMulIntegerToFloat": _product(1),
    "DynamicQuantizeMatMul": _product(1),
    "QGemm": _product(3),
    "MatMulNBits": _packed_product,
    "Attention": _projecting_attention,
    "MultiHeadAttention": _attention(6),
    "GroupQueryAttention": _attention(3),
}
