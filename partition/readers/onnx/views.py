"""Nodes whose result is their operand's own memory: another shape of it, a part of it, or other strides.

Nothing is computed, moved or issued for them, as for the views of PyTorch. What a compiler knows for certain decides:
attributes, constants and who reads the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from onnx import NodeProto

from partition.problem.operators import METADATA
from partition.readers.onnx.shapes import STANDARD_DOMAINS, GraphScope

SHAPES = frozenset({"Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"})
"""Operators that return the bytes of their first input under another shape."""

LOOKUPS = frozenset({"Gather", "GatherElements", "GatherND", "Slice"})
"""Operators that return a part of their first input."""

PRODUCTS = frozenset({"MatMul", "Gemm", "Einsum", "MatMulInteger"})
"""Operators that read operands along any strides; onnxruntime and XLA fold transposes into them."""

NEUTRAL = {"Mul": 1, "Div": 1, "Pow": 1, "Add": 0, "Sub": 0}
"""Arithmetic -> the operand that changes nothing. Exporters write it, and compilers drop it."""

Readers = Mapping[str, Sequence[NodeProto]]
"""Tensor -> the nodes that read it; empty for one that leaves the graph."""


def is_view(node: NodeProto, scope: GraphScope) -> bool:
    """Whether a node whose results are known to ``scope`` moves nothing, whoever reads them."""
    if node.domain not in STANDARD_DOMAINS or not node.input or not node.output:
        return False
    kind = node.op_type
    if kind in METADATA:
        idle = kind not in ("Shape", "Size") and sum(map(bool, node.output)) == 1
        return idle and scope.is_deterministic(node)  # a Dropout of training does something
    if kind == "Gather":
        return _is_spaced(scope, node)
    if kind == "Slice":
        return all(scope.certain_value(name) is not None for name in node.input[1:] if name)
    if kind == "Split":
        return not any(node.input[1:]) or scope.certain_value(node.input[1]) is not None
    if kind in ("Cast", "CastLike"):
        types = [scope.type(name) for name in (node.input[0], node.output[0])]
        kinds = {found.tensor_type.elem_type for found in types if found is not None}
        return None not in types and len(kinds) == 1
    return False


def changes_nothing(node: NodeProto, scope: GraphScope) -> bool:
    """Whether an operand is known to be all ones (or zeros), and the result has the shape of the other one.

    For nodes outside of bodies: what a loop carries has other values later.
    """
    if node.op_type not in NEUTRAL or node.domain not in STANDARD_DOMAINS or len(node.input) != 2:
        return False
    specs = [scope.spec(name) for name in (*node.input, node.output[0])]
    for i in (1, 0) if node.op_type in ("Mul", "Add") else (1,):
        value = scope.certain_value(node.input[i])
        if value is None or not value.size or value.dtype.kind not in "iuf":
            continue
        if specs[1 - i] == specs[2] and (value == NEUTRAL[node.op_type]).all():
            return True
    return False


def _is_spaced(scope: GraphScope, node: NodeProto) -> bool:
    """Whether a lookup takes known places at equal distances, so that strides tell where they are."""
    places = scope.certain_value(node.input[1])
    if places is None or places.ndim > 1:
        return False
    return places.size < 3 or len(set(np.diff(places).tolist())) == 1


def is_read_along_strides(node: NodeProto, scope: GraphScope, readers: Readers) -> bool:
    """Whether a node transposes, and products and lookups alone read the result: they need no copy in the new order.

    The results of all readers are known to ``scope``.
    """
    spec = scope.spec(node.input[0]) if node.op_type == "Transpose" and node.domain in STANDARD_DOMAINS else None
    if spec is None:
        return False
    rank = len(spec.shape)
    given = next((list(a.ints) for a in node.attribute if a.name == "perm"), list(range(rank))[::-1])
    if sorted(given) != list(range(rank)):
        return False
    strides = np.cumprod([1, *spec.shape[::-1]])[:-1][::-1]
    whole = as_strided(np.zeros(1, np.int8), spec.shape, strides)
    return _reads_along(node.output[0], whole.transpose(given), scope, readers)


def _reads_along(tensor: str, strided: NDArray[Any] | None, scope: GraphScope, readers: Readers) -> bool:
    """Whether lookups, or products while strides can tell the shape, alone read ``tensor``; through views of it too."""
    found = readers.get(tensor, ())
    for reader in found:
        if reader.domain not in STANDARD_DOMAINS or (reader.op_type in LOOKUPS and reader.input[0] != tensor):
            return False
        if reader.op_type in SHAPES and reader.input[0] == tensor:
            spec = scope.spec(reader.output[0])
            shaped = _reshaped(strided, spec.shape) if spec is not None else None
            if not _reads_along(reader.output[0], shaped, scope, readers):
                return False
        elif reader.op_type in PRODUCTS:
            if strided is None:
                return False
        elif reader.op_type not in LOOKUPS:
            return False
        elif is_view(reader, scope) and not _reads_along(reader.output[0], strided, scope, readers):
            return False  # it copies nothing itself
    return bool(found)


def _reshaped(strided: NDArray[Any] | None, shape: tuple[int, ...]) -> NDArray[Any] | None:
    """The same memory under another shape; None where strides cannot tell it."""
    if strided is None:
        return None
    try:
        return np.reshape(strided, shape, copy=False)
    except ValueError:
        return None
