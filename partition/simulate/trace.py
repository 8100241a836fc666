"""Timelines: a Gantt picture, and a file for chrome://tracing or ui.perfetto.dev."""

from __future__ import annotations

import json
from os import PathLike
from typing import TYPE_CHECKING, Any

from partition.amounts import time_text
from partition.files import write_atomically
from partition.simulate.outcome import Simulation, Span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROWS = ("chip", "receive", "send", "link")


def to_chrome_trace(simulation: Simulation, path: str | PathLike[str]) -> None:
    """Write the recorded spans in the Trace Event Format: a process per kind of resource, a thread per resource.

    Raises
    ------
    InvalidInput : the file cannot be written.
    """
    scale = 1e6 if simulation.time_unit == "s" else 1.0  # the format counts microseconds
    events: list[dict[str, Any]] = [
        {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": name}} for pid, name in enumerate(_ROWS)
    ]
    for where in sorted({span.where for span in simulation.spans}):
        pid = _ROWS.index(where[0])
        named = {"name": f"{where[0]} {where[1]}"}
        events.append({"ph": "M", "pid": pid, "tid": where[1], "name": "thread_name", "args": named})
    events += [
        {
            "ph": "X",
            "pid": _ROWS.index(span.where[0]),
            "tid": span.where[1],
            "name": f"input {span.input}" if span.what == "compute" else span.what,
            "cat": span.where[0],
            "ts": span.begin * scale,
            "dur": (span.end - span.begin) * scale,
            "args": {"input": span.input},
        }
        for span in simulation.spans
    ]
    write_atomically(path, json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}))


def gantt(simulation: Simulation, ax: Axes | None = None) -> Axes:
    """Draw compute of every chip and traffic of every busy link over time, a colour per input; returns the axes."""
    from matplotlib import colormaps
    from matplotlib import pyplot as plt
    from matplotlib.patches import Patch

    rows = sorted({_row(span) for span in simulation.spans if _row(span) is not None}, key=lambda r: (r[0], r[1]))
    place = {row: i for i, row in enumerate(rows)}
    if ax is None:
        _, ax = plt.subplots(figsize=(11, 1.2 + 0.22 * len(rows)), layout="constrained")
    colours = colormaps["tab10"]
    scale, unit = (1e3, "ms") if simulation.time_unit == "s" else (1.0, simulation.time_unit)
    for span in simulation.spans:
        row = _row(span)
        if row is not None:
            ax.broken_barh(
                [(span.begin * scale, (span.end - span.begin) * scale)],
                (place[row] - 0.4, 0.8),
                facecolors=colours(span.input % 10),
                linewidth=0,
            )
    ax.set_yticks(range(len(rows)), [f"{kind} {number}" for kind, number in rows], fontsize=7)
    ax.invert_yaxis()
    ax.set_xlabel(f"time, {unit}")
    told = (time_text(value, simulation.time_unit) for value in (simulation.period, simulation.predicted))
    ax.set_title("period {} simulated, {} predicted".format(*told), fontsize=10)
    inputs = sorted({span.input for span in simulation.spans})[:10]
    marks = [Patch(color=colours(i % 10), label=f"input {i}") for i in inputs]
    ax.legend(handles=marks, fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return ax


def _row(span: Span) -> Any:
    return span.where if span.where[0] in ("chip", "link") else None
