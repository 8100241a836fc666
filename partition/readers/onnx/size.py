"""How large an ONNX file becomes once it is parsed or its functions are inlined, found out before that is done."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from onnx import FunctionProto, ModelProto, NodeProto

from partition.errors import InvalidModelFile
from partition.readers.onnx.walk import all_nodes

MOST_FIELDS = 2**24
"""Most fields of a parsed model: over a million operations. A field takes 2 bytes of a file, up to 200 of memory."""

MOST_NODES = 2**20
"""Most nodes of a model whose functions are inlined."""

MOST_CALLS = 100
"""Most functions that call one another in turn."""

_PACKED = 8
"""Bytes of a packed list of numbers that weigh as much as one field."""


def check_fields(path: Path, where: str) -> None:
    """Refuse a file of more than :data:`MOST_FIELDS` fields; weights count as one field, whatever their size."""
    if path.stat().st_size <= 2 * MOST_FIELDS:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        count_fields(content, where)


def count_fields(content: mmap.mmap | bytes, where: str, at_most: int = MOST_FIELDS) -> int:
    """Number of fields of a serialised model, without parsing it: a walk over tags and lengths.

    Raises
    ------
    InvalidModelFile : there are more than ``at_most``, or tags and lengths make no sense.
    """
    count = 0
    stack = [(0, len(content), _fields(ModelProto.DESCRIPTOR))]
    while stack:
        at, end, known = stack.pop()
        while at < end:
            tag, at = _varint(content, at, where)
            count += 1
            if count > at_most:
                raise InvalidModelFile(f"{where} has over {at_most} fields, more than any model; it is refused unread")
            match tag & 7:
                case 0:
                    _, at = _varint(content, at, where)
                case 1:
                    at += 8
                case 2:
                    size, at = _varint(content, at, where)
                    kind = known.get(tag >> 3)
                    if kind is _NUMBERS:
                        count += size // _PACKED
                    elif kind is not None:
                        stack.append((at, at + size, _fields(kind)))
                    at += size
                case 5:
                    at += 4
                case _:  # groups, which ONNX has never used
                    raise InvalidModelFile(f"{where} is not a readable ONNX model; export it again")
            if at > end:
                raise InvalidModelFile(f"{where} is corrupt or truncated; export it again")
    return count


_NUMBERS = object()


@cache
def _fields(message: Any) -> dict[int, Any]:
    """For a message's descriptor: number of each field that holds messages -> their descriptor, or numbers."""
    kinds = {f.number: _NUMBERS if f.type in (f.TYPE_INT64, f.TYPE_UINT64) else f.message_type for f in message.fields}
    return {number: kind for number, kind in kinds.items() if kind is not None}


def _varint(content: mmap.mmap | bytes, at: int, where: str) -> tuple[int, int]:
    value = shift = 0
    try:
        while True:
            byte = content[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, at
            shift += 7
            if shift > 63:
                raise IndexError
    except IndexError:
        raise InvalidModelFile(f"{where} is corrupt or truncated; export it again") from None


def check_inlined(model: ModelProto, where: str) -> None:
    """Refuse functions that call themselves or one another too deeply, or would become more than :data:`MOST_NODES`.

    Thirty functions that each call the next one twice are a file of 2 kB and a billion nodes.
    """
    functions = {(f.domain, f.name, _overload(f)): f for f in model.functions}
    called = {
        key: [k for n in all_nodes(f.node) if (k := (n.domain, n.op_type, _overload(n))) in functions]
        for key, f in functions.items()
    }
    weight: dict[_Key, int] = {}
    depth: dict[_Key, int] = {}
    try:
        for key in TopologicalSorter(called).static_order():
            weight[key] = _weight(functions[key].node) + sum(weight[k] for k in called[key])
            depth[key] = 1 + max((depth[k] for k in called[key]), default=0)
            if weight[key] > MOST_NODES or depth[key] > MOST_CALLS:
                break
        else:
            calls = [(n.domain, n.op_type, _overload(n)) for n in all_nodes(model.graph.node)]
            if sum(weight.get(call, 1) for call in calls) <= MOST_NODES:
                return
    except CycleError as error:
        name = error.args[1][0][1]
        raise InvalidModelFile(f"function {name!r} of {where} calls itself; export the model again") from None
    raise InvalidModelFile(
        f"the functions of {where} call one another over {MOST_CALLS} deep, or become over {MOST_NODES} nodes where "
        "they are called; export the model without them"
    )


def _weight(nodes: Sequence[NodeProto]) -> int:
    """Number of nodes; 2 kB of constants weigh as much as one."""
    return sum(1 for _ in all_nodes(nodes)) + sum(int(node.ByteSize()) for node in nodes) // 2048


_Key = tuple[str, str, str]


def _overload(message: NodeProto | FunctionProto) -> str:
    return str(getattr(message, "overload", ""))  # since ONNX 1.16
