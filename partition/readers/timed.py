"""Graphs of files that give each operation a time, whatever chip it runs on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from partition.errors import InvalidModelFile
from partition.files import read_bounded
from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph
from partition.problem.hardware_files import EDGE_CHIP
from partition.text import shown

LARGEST_TEXT = 2**27
"""Most bytes of a text file."""


class Sent(NamedTuple):
    """A tensor: who makes it, how many bytes it has, and who reads it."""

    producer: str
    size: float
    readers: Sequence[str]


def timed_graph(
    name: str, times: Mapping[str, float], tensors: Sequence[Sent], weights: Mapping[str, float] | None = None
) -> Graph:
    """A graph whose operations take the same time on every chip of the presets (``ringN``, ``chainN``, ...).

    The time is also the number of FLOPs, for chips of a TOML file with ``peak_flops = 1``.

    Raises
    ------
    InvalidModelFile : a tensor names an operation that does not exist, or is read by its own producer.
    """
    made: dict[str, dict[str, float]] = {operation: {} for operation in times}
    read: dict[str, list[str]] = {operation: [] for operation in times}
    for producer, size, readers in tensors:
        for operation in (producer, *readers):
            if operation not in times:
                raise InvalidModelFile(f"an edge names {shown(operation)}, which has no time; add it")
        if producer in readers:
            raise InvalidModelFile(f"{shown(producer)} depends on itself; take that edge out")
        outputs = made[producer]
        tensor = producer if not outputs else f"{producer}:{len(outputs)}"
        outputs[tensor] = size
        for operation in dict.fromkeys(readers):
            read[operation].append(tensor)
    builder = GraphBuilder(name)
    for operation, time in times.items():
        builder.operation(
            operation,
            "Op",
            inputs=read[operation],
            outputs=made[operation],
            flops=time,
            bytes_accessed=0.0,
            weights=(weights or {}).get(operation, 0.0),
            times={EDGE_CHIP.name: time},
        )
    return builder.build()


def text_of(path: Path) -> str:
    """The text of a file; raises InvalidModelFile."""
    try:
        return read_bounded(path, LARGEST_TEXT).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidModelFile(f"cannot read {shown(str(path), 300)} as text: {reason}") from error


def number(text: str, what: str) -> float:
    """A number of zero or more; a decimal comma will do. Raises InvalidModelFile, which calls it ``what``."""
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise InvalidModelFile(f"{what} is {shown(text.strip())}; it must be a number of zero or more")
    return value


def whole(text: str, what: str) -> int:
    """A whole number of zero or more; raises InvalidModelFile, which calls it ``what``."""
    value = number(text, what)
    if value % 1:
        raise InvalidModelFile(f"{what} is {shown(text.strip())}; it must be a whole number")
    return int(value)
