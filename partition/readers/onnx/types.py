"""ONNX's types of tensors: with all extents known, with some open, and two statements about one tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from onnx import TensorProto, TypeProto, helper

from partition.problem.operator_call import TensorSpec

if TYPE_CHECKING:
    from partition.readers.onnx.sequences import Elements

_BITS = {
    "FLOAT": 32, "FLOAT16": 16, "BFLOAT16": 16, "DOUBLE": 64, "COMPLEX64": 64, "COMPLEX128": 128, "BOOL": 8,
    "INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64, "UINT8": 8, "UINT16": 16, "UINT32": 32, "UINT64": 64,
    "FLOAT8E4M3FN": 8, "FLOAT8E4M3FNUZ": 8, "FLOAT8E5M2": 8, "FLOAT8E5M2FNUZ": 8, "FLOAT8E8M0": 8,
    "INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2, "STRING": 64,
}  # fmt: skip
ITEMSIZE = {number: _BITS[name] / 8 for name, number in TensorProto.DataType.items() if name in _BITS}
"""ONNX's number of an element type -> bytes of an element."""


@dataclass(frozen=True)
class Shaped:
    """What is known of a tensor.

    Attributes
    ----------
    type : ONNX's type, an extent open where it can vary or is not known; None if there is none.
    spec : shape and item size, with a guess in place of every open extent; None where nothing is known.
    value : of a small tensor that is known for certain; None of every other.
    elements : what a sequence holds; None of every other.
    """

    type: TypeProto | None
    spec: TensorSpec | None
    value: NDArray[Any] | None = None
    elements: Elements | None = None


def extents_of(found: TypeProto | None) -> list[int | None] | None:
    """The extent of each axis, None where it is open; None where even the number of axes is unknown."""
    if found is None or not found.tensor_type.HasField("shape"):
        return None
    dims = found.tensor_type.shape.dim
    return [d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else None for d in dims]


def of_shape(found: TypeProto | None, shape: Sequence[int | None] | None) -> TypeProto:
    """The type with another shape; of floats if there is none."""
    kind = found.tensor_type.elem_type if found is not None else 0
    return helper.make_tensor_type_proto(kind or TensorProto.FLOAT, shape)


def static_spec(found: TypeProto) -> TensorSpec | None:
    """Shape and item size of a type without open dimensions; None for every other."""
    extents = extents_of(found)
    if extents is None or any(extent is None for extent in extents):
        return None
    shape = tuple(extent for extent in extents if extent is not None)
    return TensorSpec(shape, ITEMSIZE.get(found.tensor_type.elem_type, 4.0))


def agreed(declared: TypeProto, inferred: TypeProto) -> tuple[TypeProto, str]:
    """What two statements say together, ``inferred`` going before, and in words where they contradict each other."""
    stated, found = extents_of(declared), extents_of(inferred)
    kind = inferred.tensor_type.elem_type or declared.tensor_type.elem_type
    if found is None or stated is None:
        return helper.make_tensor_type_proto(kind, found if stated is None else stated), ""
    words = f"declared {_shown(stated)}, is {_shown(found)}"
    if len(stated) != len(found):
        return helper.make_tensor_type_proto(kind, found), words
    merged = [a if b is None else b for a, b in zip(stated, found, strict=True)]
    clash = any(a is not None and a != b for a, b in zip(stated, merged, strict=True))
    return helper.make_tensor_type_proto(kind, merged), words if clash else ""


def common(types: Sequence[TypeProto | None]) -> TypeProto | None:
    """The type of a tensor that is of any one of the types: extents in which they differ are open."""
    if any(found is None or not found.HasField("tensor_type") for found in types):
        return types[0] if types and all(found == types[0] for found in types) else None
    shapes = [extents_of(found) for found in types]
    axes = {None if shape is None else len(shape) for shape in shapes}
    if len(axes) > 1 or None in axes:
        return of_shape(types[0], None)
    return of_shape(
        types[0], [e[0] if len(set(e)) == 1 else None for e in zip(*(s or [] for s in shapes), strict=True)]
    )


def stacked(found: TypeProto | None, count: int | None, axis: int = 0) -> TypeProto | None:
    """The type of ``count`` values of a type (None: any number), along a new dimension."""
    extents = extents_of(found)
    if extents is None:
        return None
    place = axis if axis >= 0 else axis + len(extents) + 1
    return of_shape(found, [*extents[:place], count, *extents[place:]])


def sliced(found: TypeProto | None, axis: int) -> TypeProto | None:
    """The type without one of its dimensions."""
    extents = extents_of(found)
    if extents is None or not -len(extents) <= axis < len(extents):
        return None
    del extents[axis]
    return of_shape(found, extents)


def filled(partial: TypeProto, size: int) -> tuple[int, ...]:
    """The known extents kept, the first open one as long as it takes to reach ``size`` elements, others 1."""
    extents = extents_of(partial) or []
    given = math.prod(e for e in extents if e is not None)
    missing = max(1, math.ceil(size / given)) if given else 1
    shape = []
    for extent in extents:
        shape.append(missing if extent is None else extent)
        missing = 1 if extent is None else missing
    return tuple(shape)


def _shown(extents: Sequence[int | None]) -> str:
    return "x".join("?" if extent is None else str(extent) for extent in extents) or "a scalar"
