"""The project's own JSON (docs/formats.md): everything a graph holds, readable and writable without loss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from partition.errors import InvalidGraph, InvalidModelFile
from partition.files import write_atomically
from partition.graph import Graph, GraphBuilder

FORMAT = "mcm-partition-graph"
VERSION = 1

_TOP = {"format", "version", "name", "operations", "tensors", "shared_weights", "unknown_operators"}
_OPERATION = {"name", "op_type", "flops", "bytes_accessed", "weights", "group", "backward", "times"}
_TENSOR = {"name", "producer", "bytes", "consumers"}
_SHARED = {"name", "bytes", "users"}


def read_json(path: str | PathLike[str]) -> Graph:
    """Read a file.

    Raises
    ------
    InvalidModelFile : the file cannot be read or is not of this form (the field is named).
    InvalidGraph : its contents are not a valid graph.
    """
    return from_dict(parse_file(Path(path)), default_name=Path(path).stem)


def parse_file(path: Path) -> dict[str, Any]:
    """A JSON object from a file; raises InvalidModelFile."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InvalidModelFile(f"cannot read {str(path)!r} as JSON: {error}") from error
    if not isinstance(data, dict):
        raise InvalidModelFile(f"{str(path)!r} holds a JSON {type(data).__name__}; a model is an object")
    return data


def _refuse_constant(constant: str) -> float:
    """For ``json.loads``: NaN and Infinity are not JSON."""
    raise InvalidModelFile(f"JSON holds {constant}, which is not a number; give finite numbers only")


def from_dict(data: Mapping[str, Any], *, default_name: str = "model") -> Graph:
    """Build the graph of a parsed file; raises as :func:`read_json`."""
    _only(data, "", _TOP)
    if data.get("format", FORMAT) != FORMAT or data.get("version", VERSION) != VERSION:
        raise InvalidModelFile(
            f"format {data.get('format')!r} version {data.get('version')!r} is not {FORMAT!r} version {VERSION}"
        )
    operations, tensors = _objects(data, "operations", required=True), _objects(data, "tensors")
    builder = GraphBuilder(_get(data, "name", str, "", default_name))
    outputs: dict[str, dict[str, float]] = {}
    inputs: dict[str, list[str]] = {}
    weights: dict[str, dict[str, float]] = {}
    names = {_get(row, "name", str, f"operations[{i}]") for i, row in enumerate(operations)}
    for i, row in enumerate(tensors):
        where = f"tensors[{i}]"
        _only(row, where, _TENSOR)
        producer = _operation(_get(row, "producer", str, where), names, f"{where}.producer")
        name = _get(
            row, "name", str, where, producer if producer not in outputs else f"{producer}:{len(outputs[producer])}"
        )
        if name in outputs.setdefault(producer, {}):
            raise InvalidGraph(f"{where}: tensor {name!r} appears twice; names must be unique")
        outputs[producer][name] = _get(row, "bytes", float, where)
        for k, consumer in enumerate(_names(row, "consumers", where)):
            inputs.setdefault(_operation(consumer, names, f"{where}.consumers[{k}]"), []).append(name)
    for i, row in enumerate(_objects(data, "shared_weights")):
        where = f"shared_weights[{i}]"
        _only(row, where, _SHARED)
        name, size = _get(row, "name", str, where), _get(row, "bytes", float, where)
        for k, user in enumerate(_names(row, "users", where)):
            weights.setdefault(_operation(user, names, f"{where}.users[{k}]"), {})[f"shared::{name}"] = size
    for i, row in enumerate(operations):
        _add_operation(builder, row, f"operations[{i}]", outputs, inputs, weights)
    return builder.build()


def _add_operation(
    builder: GraphBuilder,
    row: Mapping[str, Any],
    where: str,
    outputs: Mapping[str, Mapping[str, float]],
    inputs: Mapping[str, list[str]],
    weights: Mapping[str, Mapping[str, float]],
) -> None:
    _only(row, where, _OPERATION)
    name = row["name"]
    times = row.get("times", {})
    if not isinstance(times, dict):
        raise InvalidModelFile(f"{where}.times must be an object of chip kind -> seconds")
    group = row.get("group")
    if group is not None and (isinstance(group, bool) or not isinstance(group, int | str)):
        raise InvalidModelFile(f"{where}.group is {group!r}; it must be a whole number or text")
    private = _get(row, "weights", float, where, 0.0)
    builder.operation(
        name,
        _get(row, "op_type", str, where, "Op"),
        inputs=inputs.get(name, []),
        outputs=outputs.get(name, {}),
        flops=_get(row, "flops", float, where, 0.0),
        bytes_accessed=_get(row, "bytes_accessed", float, where) if "bytes_accessed" in row else None,
        weights={**({f"{name}::weights": private} if private else {}), **weights.get(name, {})},
        group=group,
        backward=_get(row, "backward", bool, where, False),
        times={kind: _get(times, kind, float, f"{where}.times") for kind in times},
    )


def to_dict(graph: Graph) -> dict[str, Any]:
    """The graph as plain data; fields at their defaults are left out."""
    operations = []
    for v, name in enumerate(graph.names):
        row: dict[str, Any] = {
            "name": name,
            "op_type": graph.op_types[v],
            "flops": float(graph.flops[v]),
            "bytes_accessed": float(graph.bytes_accessed[v]),
            "weights": float(graph.weights[v]),
        }
        if graph.group[v] >= 0:
            row["group"] = int(graph.group[v])
        if graph.backward[v]:
            row["backward"] = True
        times = {k: float(t[v]) for k, t in graph.profiled_times.items() if not np.isnan(t[v])}
        if times:
            row["times"] = times
        operations.append(row)
    consumers = np.split(graph.consumers, graph.consumer_ptr[1:-1]) if graph.m else []
    users = np.split(graph.shared_users, graph.shared_ptr[1:-1]) if len(graph.shared_names) else []
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": graph.name,
        "operations": operations,
        "tensors": [
            {
                "name": name,
                "producer": graph.names[graph.producer[t]],
                "bytes": float(graph.tensor_bytes[t]),
                "consumers": [graph.names[v] for v in consumers[t].tolist()],
            }
            for t, name in enumerate(graph.tensor_names)
        ],
        "shared_weights": [
            {
                "name": name.removeprefix("shared::"),
                "bytes": float(graph.shared_bytes[s]),
                "users": [graph.names[v] for v in users[s].tolist()],
            }
            for s, name in enumerate(graph.shared_names)
        ],
        "unknown_operators": list(graph.unknown_operators),
    }


def write_json(graph: Graph, path: str | PathLike[str] | None = None) -> str:
    """The graph as JSON text, one operation or tensor a line; also written to ``path`` if given (atomically)."""
    data = to_dict(graph)
    lines = []
    for key, value in data.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n  ".join(json.dumps(row, allow_nan=False) for row in value)
            lines.append(f" {json.dumps(key)}: [\n  {rows}\n ]")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value, allow_nan=False)}")
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    if path is not None:
        write_atomically(path, text)
    return text


_MISSING = object()
_KIND_NAMES = {str: "text", float: "a number", bool: "true or false"}


def _get(row: Mapping[str, Any], key: str, kind: type, where: str, default: Any = _MISSING) -> Any:
    field = f"{where}.{key}" if where else key
    value = row.get(key, default)
    if value is _MISSING:
        raise InvalidModelFile(f"{field} is missing")
    accepted = (
        isinstance(value, int | float) and not isinstance(value, bool) if kind is float else isinstance(value, kind)
    )
    if not accepted:
        raise InvalidModelFile(f"{field} is {value!r}; it must be {_KIND_NAMES[kind]}")
    return float(value) if kind is float else value


def _objects(data: Mapping[str, Any], key: str, *, required: bool = False) -> list[dict[str, Any]]:
    value = data.get(key, _MISSING if required else [])
    if value is _MISSING:
        raise InvalidModelFile(f"{key} is missing")
    if not isinstance(value, list):
        raise InvalidModelFile(f"{key} is {type(value).__name__}; it must be a list")
    for i, item in enumerate(value):
        if not isinstance(item, dict):
            raise InvalidModelFile(f"{key}[{i}] is {item!r}; it must be an object")
    return value


def _names(row: Mapping[str, Any], key: str, where: str) -> list[str]:
    value = row.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidModelFile(f"{where}.{key} must be a list of operation names")
    return value


def _operation(name: str, names: set[str], where: str) -> str:
    if name not in names:
        raise InvalidGraph(f"{where} names operation {name!r}, which does not exist")
    return name


def _only(row: Mapping[str, Any], where: str, known: set[str]) -> None:
    unknown = sorted(set(row) - known)
    if unknown:
        field = f"{where}.{unknown[0]}" if where else unknown[0]
        raise InvalidModelFile(f"unknown field {field}; known are {', '.join(sorted(known))}")
