"""The project's own JSON (docs/formats.md): everything a graph holds, readable and writable without loss."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from partition.arrays import BoolArray, FloatArray, IntArray
from partition.errors import InvalidGraph, InvalidModelFile
from partition.files import write_atomically
from partition.problem.graph import SOURCE_KINDS, Graph, HeldWeights
from partition.problem.hardware import MOST_KINDS
from partition.readers import json_fields as field
from partition.text import shown

FORMAT = "mcm-partition-graph"
VERSION = 1

_TOP = frozenset({"format", "version", "name", "operations", "tensors", "shared_weights", "unknown_operators",
                  "least_shared_weights", "guessed"})  # fmt: skip
_OPERATION = frozenset({"name", "op_type", "flops", "bytes_accessed", "weights", "group", "backward", "times",
                        "least_weights", "view"})  # fmt: skip
_TENSOR = frozenset({"name", "producer", "bytes", "consumers"})
_SHARED = frozenset({"name", "bytes", "users"})


def read_json(source: str | PathLike[str]) -> Graph:
    """Read a file, or the JSON text itself.

    Parameters
    ----------
    source : path of a file; a text that starts with ``{`` is taken as the JSON itself.

    Raises
    ------
    InvalidModelFile : it cannot be read or is not of this form (the field is named: ``operations[3].flops``).
    InvalidGraph : its contents are not a valid graph.
    """
    if isinstance(source, str) and source.lstrip().startswith("{"):
        return from_dict(field.parse_text(source, "the text"))
    return from_dict(field.parse_file(Path(source)), default_name=Path(source).stem)


def from_dict(data: Mapping[str, Any], *, default_name: str = "model") -> Graph:
    """Build the graph of a parsed file; raises as :func:`read_json`."""
    field.only(data, "", _TOP)
    told, version = data.get("format", FORMAT), data.get("version", VERSION)
    if told != FORMAT or version != VERSION:
        raise InvalidModelFile(f"format {shown(told)} version {shown(version)} is not {FORMAT!r} version {VERSION}")
    operations = field.objects(data, "operations", required=True)
    tensors, shared = field.objects(data, "tensors"), field.objects(data, "shared_weights")
    least_shared = field.objects(data, "least_shared_weights")
    for key, rows, known in (
        ("operations", operations, _OPERATION),
        ("tensors", tensors, _TENSOR),
        ("shared_weights", shared, _SHARED),
        ("least_shared_weights", least_shared, _SHARED),
    ):
        for i, row in enumerate(rows):
            field.only(row, f"{key}[{i}]", known)

    names = _unique_names(operations, "operations")
    index = {name: v for v, name in enumerate(names)}
    producer = _producers(tensors, index)
    tensor_bytes = field.amounts(tensors, "tensors", "bytes")
    consumer_ptr, consumers = _references(tensors, "tensors", "consumers", index)
    held = _held("", operations, shared, index)

    op_types = [field.text(row, "op_type", f"operations[{v}]", "Op") for v, row in enumerate(operations)]
    traffic = held.weights.copy()
    np.add.at(traffic, producer, tensor_bytes)
    np.add.at(traffic, consumers, np.repeat(tensor_bytes, np.diff(consumer_ptr)))
    np.add.at(traffic, held.shared_users, np.repeat(held.shared_bytes, np.diff(held.shared_ptr)))
    views = _flags(operations, "view")
    traffic[views | np.array([kind in SOURCE_KINDS for kind in op_types], dtype=bool)] = 0.0
    stated = np.array(["bytes_accessed" in row for row in operations], dtype=bool)
    return Graph(
        name=field.text(data, "name", "", default_name),
        names=tuple(names),
        op_types=tuple(op_types),
        flops=field.amounts(operations, "operations", "flops", 0.0),
        bytes_accessed=np.where(stated, field.amounts(operations, "operations", "bytes_accessed", 0.0), traffic),
        weights=held.weights,
        tensor_names=tuple(_tensor_names(tensors, producer.tolist(), names)),
        tensor_bytes=tensor_bytes,
        producer=producer,
        consumer_ptr=consumer_ptr,
        consumers=consumers,
        shared_names=held.shared_names,
        shared_bytes=held.shared_bytes,
        shared_ptr=held.shared_ptr,
        shared_users=held.shared_users,
        group=_groups(operations),
        backward=_flags(operations, "backward"),
        profiled_times=_times(operations),
        unknown_operators=tuple(field.texts(data, "unknown_operators", "")),
        guessed=tuple(field.texts(data, "guessed", "")),
        least=_held("least_", operations, least_shared, index) if "least_shared_weights" in data else None,
        views=views,
    )


def _held(
    prefix: str, operations: list[dict[str, Any]], shared: list[dict[str, Any]], index: Mapping[str, int]
) -> HeldWeights:
    """The weights that the fields ``<prefix>weights`` and ``<prefix>shared_weights`` state."""
    what = f"{prefix}shared_weights"
    ptr, users = _references(shared, what, "users", index)
    return HeldWeights(
        weights=field.amounts(operations, "operations", f"{prefix}weights", 0.0),
        shared_names=tuple(_unique_names(shared, what)),
        shared_bytes=field.amounts(shared, what, "bytes"),
        shared_ptr=ptr,
        shared_users=users,
    )


def _unique_names(rows: list[dict[str, Any]], what: str) -> list[str]:
    names = [field.text(row, "name", f"{what}[{i}]") for i, row in enumerate(rows)]
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if first.setdefault(name, i) != i:
            raise InvalidGraph(f"{what}[{i}].name is {name!r}, as {what}[{first[name]}] is named; names must be unique")
    return names


def _producers(rows: list[dict[str, Any]], index: Mapping[str, int]) -> IntArray:
    named = [field.text(row, "producer", f"tensors[{i}]") for i, row in enumerate(rows)]
    return np.array([_position(name, index, f"tensors[{i}].producer") for i, name in enumerate(named)], dtype=np.int64)


def _tensor_names(rows: list[dict[str, Any]], producer: list[int], names: list[str]) -> list[str]:
    """Given names; by default the producer's, with ``:1``, ``:2`` behind it for its further tensors."""
    of_producer: dict[int, int] = {}
    result: list[str] = []
    for i, (row, u) in enumerate(zip(rows, producer, strict=True)):
        k = of_producer.get(u, 0)
        of_producer[u] = k + 1
        result.append(field.text(row, "name", f"tensors[{i}]", f"{names[u]}:{k}" if k else names[u]))
    return result


def _references(rows: list[dict[str, Any]], what: str, key: str, index: Mapping[str, int]) -> tuple[IntArray, IntArray]:
    """CSR of the operations that field ``key`` of each row names."""
    lists = []
    for i, row in enumerate(rows):
        named = field.texts(row, key, f"{what}[{i}]")
        positions = [_position(name, index, f"{what}[{i}].{key}[{k}]") for k, name in enumerate(named)]
        positions.sort()
        twice = next((v for v, w in pairwise(positions) if v == w), None)
        if twice is not None:
            name = next(name for name in named if index[name] == twice)
            raise InvalidGraph(f"{what}[{i}].{key} names operation {name!r} twice; name it once")
        lists.append(positions)
    ptr = np.concatenate([[0], np.cumsum([len(positions) for positions in lists])]).astype(np.int64)
    return ptr, np.array([v for positions in lists for v in positions], dtype=np.int64)


def _position(name: str, index: Mapping[str, int], where: str) -> int:
    if name not in index:
        raise InvalidGraph(f"{where} names operation {name!r}, which does not exist; add it to operations")
    return index[name]


def _groups(rows: list[dict[str, Any]]) -> IntArray:
    """(n,) group numbers as given; groups named by text are numbered after the largest."""
    given = [row.get("group") for row in rows]
    for v, group in enumerate(given):
        number = isinstance(group, int) and not isinstance(group, bool) and 0 <= group < 2**31
        if group is not None and not number and not isinstance(group, str):
            raise InvalidModelFile(f"operations[{v}].group is {shown(group)}; it must be a whole number >= 0 or text")
    following = 1 + max((group for group in given if isinstance(group, int)), default=-1)
    named = dict.fromkeys(group for group in given if isinstance(group, str))
    number_of: dict[Any, int] = {None: -1, **{name: following + k for k, name in enumerate(named)}}
    return np.array([number_of.get(group, group) for group in given], dtype=np.int64)


def _flags(rows: list[dict[str, Any]], key: str) -> BoolArray:
    """(n,) a flag that is False by default."""
    return np.array([field.flag(row, key, f"operations[{v}]", False) for v, row in enumerate(rows)], dtype=bool)


def _times(rows: list[dict[str, Any]]) -> dict[str, FloatArray]:
    """Chip kind -> (n,) seconds, NaN where none is given, infinity for null."""
    times: dict[str, FloatArray] = {}
    for v, row in enumerate(rows):
        profile = row.get("times", {})
        if not isinstance(profile, dict):
            raise InvalidModelFile(
                f"operations[{v}].times is {shown(profile)}; it must be an object of chip kind -> seconds"
            )
        for kind in profile:
            if kind not in times:
                if len(times) == MOST_KINDS:
                    raise InvalidModelFile(
                        f"operations[{v}].times names {shown(kind)} after {MOST_KINDS} other kinds of chips; a package "
                        f"has at most {MOST_KINDS} kinds"
                    )
                times[kind] = np.full(len(rows), np.nan)
            seconds = times[kind]
            cannot = profile[kind] is None
            seconds[v] = np.inf if cannot else field.amount(profile, kind, f"operations[{v}].times")
    return times


def write_json(graph: Graph, path: str | PathLike[str] | None = None) -> str:
    """The graph as JSON text, one operation or tensor a line; also written to ``path`` if given (atomically).

    The text depends on the graph alone, so equal graphs give equal files.
    """
    lines = []
    for key, value in to_dict(graph).items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n  ".join(json.dumps(row, allow_nan=False) for row in value)
            lines.append(f" {json.dumps(key)}: [\n  {rows}\n ]")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value, allow_nan=False)}")
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    if path is not None:
        write_atomically(path, text)
    return text


def to_dict(graph: Graph) -> dict[str, Any]:
    """The graph as plain data; ``group``, ``backward``, ``view`` and ``times`` are left out where they say nothing."""
    columns = (graph.flops.tolist(), graph.bytes_accessed.tolist(), graph.weights.tolist())
    operations: list[dict[str, Any]] = [
        {"name": name, "op_type": op_type, "flops": flops, "bytes_accessed": accessed, "weights": weights}
        for name, op_type, flops, accessed, weights in zip(graph.names, graph.op_types, *columns, strict=True)
    ]
    for v in np.flatnonzero(graph.group >= 0).tolist():
        operations[v]["group"] = int(graph.group[v])
    for v in np.flatnonzero(graph.backward).tolist():
        operations[v]["backward"] = True
    for v in np.flatnonzero(graph.views).tolist():
        operations[v]["view"] = True
    least = graph.least
    if least is not None:
        for v in np.flatnonzero(least.weights).tolist():
            operations[v]["least_weights"] = float(least.weights[v])
    for kind, times in sorted(graph.profiled_times.items()):
        for v in np.flatnonzero(~np.isnan(times)).tolist():
            operations[v].setdefault("times", {})[kind] = float(times[v]) if np.isfinite(times[v]) else None
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": graph.name,
        "operations": operations,
        "tensors": [
            {"name": name, "producer": graph.names[u], "bytes": size, "consumers": consumers}
            for name, u, size, consumers in zip(
                graph.tensor_names,
                graph.producer.tolist(),
                graph.tensor_bytes.tolist(),
                _named(graph, graph.consumer_ptr, graph.consumers),
                strict=True,
            )
        ],
        "shared_weights": _shared_rows(graph, graph),
        **({"least_shared_weights": _shared_rows(graph, least)} if least is not None else {}),
        "unknown_operators": list(graph.unknown_operators),
        **({"guessed": list(graph.guessed)} if graph.guessed else {}),
    }


def _shared_rows(graph: Graph, held: Graph | HeldWeights) -> list[dict[str, Any]]:
    users = _named(graph, held.shared_ptr, held.shared_users)
    columns = zip(held.shared_names, held.shared_bytes.tolist(), users, strict=True)
    return [{"name": name, "bytes": size, "users": named} for name, size, named in columns]


def _named(graph: Graph, ptr: IntArray, operations: IntArray) -> Iterable[list[str]]:
    """The rows of a CSR structure as operation names."""
    names = [graph.names[v] for v in operations.tolist()]
    bounds = ptr.tolist()
    return (names[start:end] for start, end in pairwise(bounds))
