"""Operator graphs of MINOS: JSON with ``runtime``, ``size`` and ``edges`` (source, destination, transfer time).

Each edge is a tensor of its own. Its bytes are its transfer time, for links of bandwidth 1; ``size`` is the memory that
an operation needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from partition.errors import InvalidModelFile
from partition.problem.graph import Graph
from partition.readers import json_fields as field
from partition.readers.timed import Sent, timed_graph
from partition.text import shown


def looks_like_minos(data: Mapping[str, Any]) -> bool:
    """Whether an object of JSON is such a graph."""
    return "runtime" in data and "edges" in data


def from_minos(data: Mapping[str, Any], *, name: str) -> Graph:
    """The graph that a file states; raises InvalidModelFile."""
    times = _numbers(data, "runtime")
    sizes = _numbers(data, "size") if "size" in data else [0.0] * len(times)
    if len(sizes) != len(times):
        raise InvalidModelFile(f"size has {len(sizes)} numbers and runtime {len(times)}; give one for each operation")
    edges = data["edges"]
    if not isinstance(edges, list):
        raise InvalidModelFile(f"edges is {shown(edges)}; it must be a list")
    tensors = []
    for i, edge in enumerate(edges):
        if not isinstance(edge, list) or len(edge) not in (2, 3):
            raise InvalidModelFile(f"edges[{i}] is {shown(edge)}; it must be source, destination and transfer time")
        row = dict(zip(("source", "destination", "time"), edge, strict=False))
        ends = [_index(row, key, i, len(times)) for key in ("source", "destination")]
        tensors.append(Sent(f"op{ends[0]}", field.amount(row, "time", f"edges[{i}]", 0.0), [f"op{ends[1]}"]))
    own = field.text(data, "name", "", name)
    operations = [f"op{i}" for i in range(len(times))]
    return timed_graph(
        own, dict(zip(operations, times, strict=True)), tensors, dict(zip(operations, sizes, strict=True))
    )


def _numbers(data: Mapping[str, Any], key: str) -> list[float]:
    values = data[key]
    if not isinstance(values, list):
        raise InvalidModelFile(f"{key} is {shown(values)}; it must be a list of numbers")
    return [field.amount({key: value}, key, f"{key}[{i}]") for i, value in enumerate(values)]


def _index(row: Mapping[str, Any], key: str, i: int, count: int) -> int:
    value = field.amount(row, key, f"edges[{i}]")
    if value % 1 or value >= count:
        raise InvalidModelFile(f"edges[{i}] has {key} {value:g}; operations are numbered from 0 to {count - 1}")
    return int(value)
