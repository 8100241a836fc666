"""Files of traces as tools write them: compressed, ended early, events whole or as a beginning and an end."""

from __future__ import annotations

import gzip
import io
import json
import math
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from partition.errors import InvalidInput
from partition.files import LARGEST_JSON, read_bounded
from partition.text import shown

SUFFIXES = (".json", ".gz", ".trace")
"""Ends of the names of traces; torch and JAX compress theirs."""

COMPRESSED = b"\x1f\x8b"
"""How a gzip file begins."""

BEGINNINGS, ENDS = {"B": "E", "b": "e"}, {"E": "B", "e": "b"}
"""Phases of events that tell a beginning and an end apart: of a thread, and with an identity of their own."""


def parsed_trace(path: Path) -> Any:
    """The JSON of a file whose name may be that of a trace; None if it is none, or cannot be read.

    A writer that was ended early leaves its list open: what is whole of it counts.

    Raises
    ------
    InvalidInput : the file is compressed, and damaged or too large.
    """
    if path.suffix.lower() not in SUFFIXES:
        return None
    try:
        content = read_bounded(path, LARGEST_JSON)
    except OSError:
        return None
    if content.startswith(COMPRESSED):
        content = _unpacked(content, path)
    try:
        try:
            return json.loads(content)
        except ValueError:
            return _mended(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None


def _unpacked(content: bytes, path: Path) -> bytes:
    try:
        with gzip.open(io.BytesIO(content)) as file:
            found = file.read(LARGEST_JSON + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput(
            f"the compressed file {shown(str(path), 300)} is damaged ({error}); write it again"
        ) from error
    if len(found) > LARGEST_JSON:
        raise InvalidInput(
            f"the file {shown(str(path), 300)} unpacks to more than {LARGEST_JSON / 2**20:g} MB; trace fewer runs"
        )
    return found


def _mended(text: str) -> Any:
    """The events of a list that was left open, without the last one if that is not whole; else a ValueError."""
    begin = text.find("[") + 1
    if not begin or (text.lstrip()[:1] != "[" and '"traceEvents"' not in text[:begin]):
        raise ValueError("no list of events")
    decoder, events, i = json.JSONDecoder(), [], begin
    while (i := _skipped(text, i)) < len(text) and text[i] == "{":
        try:
            event, i = decoder.raw_decode(text, i)
        except ValueError:  # it ends within this one
            break
        events.append(event)
    return events


def _skipped(text: str, i: int) -> int:
    """The next place at or after ``i`` that is neither a comma nor white space."""
    while i < len(text) and text[i] in ", \t\r\n":
        i += 1
    return i


def whole_events(events: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    """Events of a beginning ``ts`` and a duration ``dur``: those told so, and pairs of a beginning and an end.

    Figures written as text count as figures. A beginning without an end, and an end without a beginning, are left out.
    """
    paired: list[tuple[float, Mapping[str, Any]]] = []
    for event in events:
        if not isinstance(event, Mapping):
            continue
        begin, duration = _figure(event.get("ts")), _figure(event.get("dur"))
        if event.get("ph") == "X" and begin is not None and duration is not None:
            yield {**event, "ts": begin, "dur": duration}
        elif event.get("ph") in (*BEGINNINGS, *ENDS) and begin is not None:
            paired.append((begin, event))
    running: dict[tuple[str, ...], list[tuple[float, Mapping[str, Any]]]] = defaultdict(list)
    for at, event in sorted(paired, key=lambda row: row[0]):
        phase = str(event["ph"])
        own = phase in "be"
        track = str(event.get("cat")) + str(event.get("id", event.get("id2"))) if own else str(event.get("tid"))
        stack = running[BEGINNINGS.get(phase, phase), str(event.get("pid")), track]
        if phase in BEGINNINGS:
            stack.append((at, event))
        elif stack:
            begin, first = stack.pop()
            yield {**event, **first, "ph": "X", "ts": begin, "dur": at - begin, "tid": track}


def _figure(value: Any) -> float | None:
    """A time, of a number or of the text of one; None if it is neither, or not from 0."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and 0 <= found < 1e18 else None
