"""Sequences of tensors: what they hold, as far as it can be followed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, TypeProto, helper

from partition.readers.onnx.types import Shaped, extents_of, of_shape, stacked, static_spec


@dataclass(frozen=True)
class Elements:
    """What a sequence holds: ``parts`` in order, or only the ``total`` in bytes where the order cannot be followed.

    An optional tensor is held alike; ``optional`` tells it from a sequence of one.
    """

    parts: tuple[Shaped, ...] | None
    total: float | None = None
    optional: bool = False

    @property
    def bytes(self) -> float | None:
        """Bytes of all elements; None if they are not known."""
        if self.parts is None:
            return self.total
        specs = [part.spec for part in self.parts]
        return None if any(spec is None for spec in specs) else sum(spec.bytes for spec in specs if spec is not None)


def follow(
    node: NodeProto,
    sequences: Sequence[Elements | None],
    tensors: Sequence[Shaped],
    value: Callable[[str], NDArray[Any] | None],
) -> Elements | TypeProto | None:
    """The sequence that the node yields, or the type of the element that it takes out; None for every other node.

    Parameters
    ----------
    sequences, tensors : the node's inputs, as the one and as the other.
    value : of an input, where it is known.
    """

    def position(i: int, count: int) -> int | None:
        if len(node.input) <= i or not node.input[i]:
            return count
        at = value(node.input[i])
        if at is None or at.size != 1:
            return None
        k = int(at.reshape(-1)[0])
        return k + count if k < 0 else k

    first = sequences[0] if sequences else None
    match node.op_type:
        case "SequenceEmpty":
            return Elements(())
        case "SequenceConstruct":
            return Elements(tuple(tensors))
        case "SplitToSequence":
            return _split(node, tensors[0], value)
        case "ZipMap" if tensors[0].spec is not None:  # a number and a key for each
            return Elements(None, tensors[0].spec.bytes + 8.0 * tensors[0].spec.size)
        case "SequenceInsert" if first is not None and len(tensors) > 1:
            total = None if first.bytes is None or tensors[1].spec is None else first.bytes + tensors[1].spec.bytes
            parts = first.parts
            k = None if parts is None else position(2, len(parts))
            if parts is None or k is None:
                return Elements(None, total)
            return Elements((*parts[:k], tensors[1], *parts[k:]))
        case "SequenceErase" if first is not None:
            k = None if first.parts is None else position(1, len(first.parts) - 1)
            if first.parts is None or k is None:
                return Elements(None, first.bytes)
            return Elements((*first.parts[:k], *first.parts[k + 1 :]))
        case "SequenceAt" if first is not None and first.parts:
            k = position(1, len(first.parts))
            return first.parts[k].type if k is not None and 0 <= k < len(first.parts) else None
        case "ConcatFromSequence" if first is not None and first.parts:
            return _joined(node, first.parts)
        case "Optional" if first is None and tensors and tensors[0].spec is not None:
            return Elements((tensors[0],), optional=True)
        case "OptionalGetElement" if first is not None and first.optional and first.parts:
            return first.parts[0].type
        case "OptionalHasElement":
            return helper.make_tensor_type_proto(TensorProto.BOOL, [])
        case "Identity" | "Optional" | "OptionalGetElement" if first is not None:
            return first
    return None


def _joined(node: NodeProto, parts: Sequence[Shaped]) -> TypeProto | None:
    """The type of all elements one behind the other, or along an axis of their own; None where one is not known."""
    attributes = {a.name: a.i for a in node.attribute}
    shapes, axis = [extents_of(part.type) for part in parts], attributes.get("axis", 0)
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes) or len({len(shape) for shape in known}) != 1:
        return None
    merged = [extents[0] if len(set(extents)) == 1 else None for extents in zip(*known, strict=True)]
    if attributes.get("new_axis", 0):
        return stacked(of_shape(parts[0].type, merged), len(parts), axis)
    if not -len(merged) <= axis < len(merged):
        return None
    lengths = [shape[axis] for shape in known]
    merged[axis] = None if None in lengths else sum(length for length in lengths if length is not None)
    return of_shape(parts[0].type, merged)


def _split(node: NodeProto, whole: Shaped, value: Callable[[str], NDArray[Any] | None]) -> Elements:
    """The pieces of a SplitToSequence; without a list of lengths one for each slice, or of equal length."""
    attributes = {a.name: a.i for a in node.attribute}
    shape, axis = extents_of(whole.type), attributes.get("axis", 0)
    total = None if whole.spec is None else whole.spec.bytes
    if shape is None or not -len(shape) <= axis < len(shape) or shape[axis] is None:
        return Elements(None, total)
    extent, keep = shape[axis] or 0, True
    if len(node.input) > 1 and node.input[1]:
        given = value(node.input[1])
        if given is None or (given.ndim == 0 and int(given) < 1):
            return Elements(None, total)
        step = int(given) if given.ndim == 0 else 0
        lengths = [min(step, extent - at) for at in range(0, extent, step)] if step else given.tolist()
    else:
        lengths, keep = [1] * extent, bool(attributes.get("keepdims", 1))
    if len(lengths) > MOST_PARTS:
        return Elements(None, total)
    at = axis % len(shape)
    parts = []
    for length in lengths:
        found = of_shape(whole.type, [*shape[:at], *([length] if keep else []), *shape[at + 1 :]])
        parts.append(Shaped(found, static_spec(found)))
    return Elements(tuple(parts))


MOST_PARTS = 1024
"""Elements of a sequence that are followed one by one."""
