"""Traces as tools write them: compressed, ended early, events in two halves."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from partition import GraphBuilder, InvalidInput
from partition.readers.measured import times_for
from partition.readers.trace_files import whole_events
from partition.readers.traces import spans_of


def half(phase: str, name: str, at: float, **more: Any) -> dict[str, Any]:
    return {"ph": phase, "name": name, "ts": at, "pid": 1, "tid": 1, **more}


WHOLE = [{"ph": "X", "name": "gelu", "ts": 10, "dur": 5, "pid": 1, "tid": 1}]
HALVES = [half("B", "gelu", 10), half("E", "", 15)]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"traceEvents": WHOLE, "displayTimeUnit": "ns"}).encode(),
        gzip.compress(json.dumps({"traceEvents": WHOLE}).encode(), mtime=0),
        json.dumps(WHOLE)[:-1].encode(),  # the list is left open
        json.dumps(WHOLE)[:-1].encode() + b",\n",
        json.dumps([*WHOLE, *WHOLE])[:-20].encode(),  # the last event is cut
        b'{"schemaVersion": 1, "traceEvents": ' + json.dumps(WHOLE)[:-1].encode() + b',\n{"ph": "X", "na',
        b"\xef\xbb\xbf" + json.dumps(WHOLE)[:-1].encode(),
        json.dumps([{**WHOLE[0], "ts": "10", "dur": "5.0"}]).encode(),
        json.dumps(HALVES).encode(),
        json.dumps(HALVES[::-1]).encode(),
    ],
    ids=[
        "an object",
        "compressed",
        "left open",
        "left open after a comma",
        "cut off",
        "an object cut off",
        "byte order mark",
        "figures as text",
        "halves",
        "halves turned round",
    ],
)
def test_every_form_of_a_trace_gives_its_times(content: bytes, tmp_path: Path) -> None:
    b = GraphBuilder("network")
    b.operation("gelu", "gelu", flops=1)
    path = tmp_path / ("t.json.gz" if content.startswith(b"\x1f") else "t.json")
    path.write_bytes(content)
    assert times_for(b.build(), path)[0] == {"gelu": pytest.approx(5e-6)}


def test_halves_are_paired_thread_by_thread_and_by_identity() -> None:
    """A wrapper around two operations, another thread meanwhile, and two that overlap but have identities."""
    events = [
        half("B", "outer", 0), half("B", "a", 1), half("B", "elsewhere", 1, tid=2), half("E", "a", 4),
        half("B", "b", 4), half("E", "elsewhere", 5, tid=2), half("E", "b", 9), half("E", "outer", 10),
        half("E", "stray", 11),
        half("b", "p", 20, cat="c", id=7), half("b", "q", 22, cat="c", id="8"), half("e", "p", 25, cat="c", id=7),
        half("e", "q", 29, cat="c", id="8"), half("B", "never ended", 30),
    ]  # fmt: skip
    spans = spans_of(events) or []
    assert [(s.name, round(s.seconds * 1e6)) for s in spans] == [("outer", 10), ("elsewhere", 4), ("p", 5), ("q", 7)]
    assert [(s.name, round(s.seconds * 1e6)) for s in spans[0].inner] == [("a", 3), ("b", 5)]


def test_figures_without_sense_are_no_events() -> None:
    for value in (-1, float("nan"), True, None, "soon", 1e18, 10**400):
        assert not list(whole_events([{**WHOLE[0], "dur": value}, {**WHOLE[0], "ts": value}, half("B", "x", value)]))


@pytest.mark.parametrize(
    "content", [gzip.compress(json.dumps(WHOLE).encode(), mtime=0)[:-9], b"\x1f\x8bnothing"], ids=["cut off", "no data"]
)
def test_a_damaged_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.json.gz").write_bytes(content)
    b = GraphBuilder("network")
    b.operation("gelu", "gelu", flops=1)
    with pytest.raises(InvalidInput, match=r"compressed file .* is damaged"):
        times_for(b.build(), tmp_path / "t.json.gz")
