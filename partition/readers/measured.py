"""Measured times of operations, from a CSV or JSON file, instead of the roofline."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from partition.arrays import FloatArray
from partition.errors import InvalidInput
from partition.files import LARGEST_JSON, read_bounded
from partition.problem.graph import Graph
from partition.readers.json_fields import parse_file
from partition.readers.trace_files import parsed_trace
from partition.readers.traces import Match, match, spans_of
from partition.text import shown

Times = Mapping[str, Mapping[str, float] | float]
"""Operation -> seconds, or -> kind of chip (or ``seconds`` for all) -> seconds."""

ALL_KINDS = "seconds"
"""Name of the column that holds for chips of every kind."""

SPREAD = "spread"
"""Name of a column that says how much a time varied; it is there for people."""


def read_times(path: str | PathLike[str]) -> dict[str, dict[str, float]]:
    """Operation -> kind of chip (or ``seconds`` for all) -> time, from a ``.json`` file or else CSV.

    Raises
    ------
    InvalidInput : the file cannot be read, or a line is not of the documented form; file and line are named.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        return {name: _row(name, entry, path) for name, entry in parse_file(path).items()}
    try:
        text = read_bounded(path, LARGEST_JSON).decode("utf-8-sig")
        return _from_csv(text, path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"cannot read the times file {shown(str(path), 300)}: {reason}") from error


def times_for(graph: Graph, path: str | PathLike[str]) -> tuple[Times, Match | None]:
    """Times from a table or a trace: onnxruntime's profile, torch's profiler, any Chrome trace (JSON).

    Of a trace, what was matched is told as well.

    Raises
    ------
    InvalidInput : as :func:`read_times`; or a trace that names none of the graph's operations.
    """
    spans = spans_of(parsed_trace(Path(path)))
    if spans is None:
        return dict(read_times(path)), None
    found = match(graph, spans)
    if not found.times:
        names = ", ".join(shown(name) for name, _ in found.strange[:3]) or "no event that takes time"
        raise InvalidInput(
            f"the trace {shown(str(path), 300)} names no operation of graph {graph.name!r} (it has {names}); "
            "trace this model, or let profile measure it"
        )
    return found.times, found


def _from_csv(text: str, path: Path) -> dict[str, dict[str, float]]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    if not rows.fieldnames or "operation" not in rows.fieldnames or len(rows.fieldnames) < 2:
        raise InvalidInput(
            f"{shown(str(path), 300)} needs a first line such as operation,seconds (or operation and kinds of chips)"
        )
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        name = row.pop("operation", None)
        where = f"line {rows.line_num}"
        if not name:
            raise InvalidInput(f"{shown(str(path), 300)}, {where}: no operation is named")
        if name in found:
            raise InvalidInput(f"{shown(str(path), 300)}, {where}: operation {shown(name)} comes twice")
        found[name] = {
            str(column): _seconds(value, name, f"{shown(str(path), 300)}, {where}")
            for column, value in row.items()
            if value not in (None, "") and column != SPREAD
        }
    return found


def _row(name: str, entry: Any, path: Path) -> dict[str, float]:
    where = shown(str(path), 300)
    if isinstance(entry, Mapping):
        return {str(kind): _seconds(value, name, where) for kind, value in entry.items()}
    return {ALL_KINDS: _seconds(entry, name, where)}


def _seconds(value: Any, name: str, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not (math.isfinite(number) and number >= 0):
        raise InvalidInput(f"{where}: the time of operation {shown(name)} is {shown(value)}; give seconds from 0")
    return number


def with_times(graph: Graph, times: Times, kinds: Sequence[str]) -> tuple[Graph, list[str]]:
    """The graph with measured times, and the operations (inputs aside) that have none and keep their roofline.

    Parameters
    ----------
    times : operation -> seconds, or -> kind of chip -> seconds.
    kinds : names of the package's kinds of chips.

    Raises
    ------
    InvalidInput : an operation or a kind does not exist.
    """
    strange = [name for name in times if name not in graph.index]
    if strange:
        raise InvalidInput(
            f"the times name operation {shown(strange[0])}, which graph {graph.name!r} does not have "
            f"({len(strange)} of {len(times)} are unknown); measure this version of the model"
        )
    arrays: dict[str, FloatArray] = {
        kind: np.array(graph.profiled_times.get(kind, np.full(graph.n, np.nan))) for kind in kinds
    }
    for name, entry in times.items():
        given = entry if isinstance(entry, Mapping) else {ALL_KINDS: entry}
        for kind, seconds in given.items():
            if kind != ALL_KINDS and kind not in arrays:
                raise InvalidInput(
                    f"the times name {shown(kind)} as a kind of chip; the package has {', '.join(sorted(arrays))}"
                )
            for each in arrays if kind == ALL_KINDS else (kind,):
                arrays[each][graph.index[name]] = seconds
    missing = np.flatnonzero(np.any([np.isnan(row) for row in arrays.values()], axis=0) & ~graph.is_source)
    return replace(graph, profiled_times=arrays), [graph.names[v] for v in missing.tolist()]
