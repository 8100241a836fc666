"""The command ``simulate``: a stream of inputs played out event by event."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from partition.commands.exits import one_sentence_errors, say
from partition.commands.options import (
    InputOptions,
    answer_argument,
    json_option,
    load,
    model_argument,
    read_answer,
    source_options,
)
from partition.commands.outputs import OutputFile
from partition.errors import InvalidInput
from partition.extras import require


@click.command()
@model_argument
@answer_argument
@click.option("--inputs", default=100, show_default=True, help="Length of the stream.")
@click.option(
    "--buffers", type=float, default=math.inf, help="Inputs for which a chip can hold a tensor; all by default."
)
@click.option("--record", default=8, show_default=True, help="Inputs shown in the trace and the picture.")
@click.option("--trace", type=OutputFile(), help="Write a timeline for chrome://tracing or ui.perfetto.dev.")
@click.option("--plot", type=OutputFile(), help="Write a Gantt picture (PNG, SVG or PDF).")
@json_option
@source_options
@one_sentence_errors
def simulate(
    model: str,
    answer: str,
    inputs: int,
    buffers: float,
    record: int,
    trace: str | None,
    plot: str | None,
    as_json: bool,
    origin: InputOptions,
) -> None:
    """Play out a stream of inputs on the package, placed as ANSWER (JSON of a solve) says, event by event.

    \b
    Example:
      mcm-partition solve resnet50 --hw ring8 -o result.json
      mcm-partition simulate resnet50 result.json --hw ring8 --trace trace.json --plot gantt.png
    """
    from partition.simulate import gantt, to_chrome_trace
    from partition.simulate import simulate as play

    require("simulating" + (" and drawing" if plot else ""), "simulate", *["plot"] * bool(plot))
    graph, hardware = load(model, origin, answer)
    graph, placement, hardware = read_answer(answer, graph, hardware)
    drawn = record if trace or plot else 0
    found = play(graph, hardware, placement, inputs=inputs, buffers=buffers, record=drawn)
    if trace:
        to_chrome_trace(found, trace)
    if plot:
        _save_figure(lambda: gantt(found), plot)
    import numpy as np

    from partition.amounts import time_text

    unit = hardware.time_unit
    if as_json:
        told = {name: getattr(found, name) for name in ("predicted", "period", "error", "inputs")}
        told |= {"buffers": buffers if math.isfinite(buffers) else None, "latency": float(np.median(found.latencies))}
        told |= {"latency_alone": found.latency_alone, "waiting": found.waiting}
        click.echo(json.dumps(told | {"chip_busy": found.chip_busy.tolist(), "link_busy": found.link_busy.tolist()}))
    else:
        times = [time_text(x, unit) for x in (found.period, found.predicted, found.latency_alone, found.waiting)]
        say(
            f"period {times[0]} over {inputs} inputs, {times[1]} predicted ({100 * found.error:+.2f}%); "
            f"latency of one input alone {times[2]}, in the stream {times[3]} of waiting besides; "
            f"busiest chip {100 * found.chip_busy.max():.1f}%"
        )


def _save_figure(draw: Callable[[], Any], path: str) -> None:
    """Draw with matplotlib, without a screen, and write the picture."""
    import matplotlib

    from partition.files import write_atomically

    matplotlib.use("Agg")
    picture = io.BytesIO()
    try:
        draw().figure.savefig(picture, dpi=120, format=Path(path).suffix.lstrip(".") or None)
    except ValueError as error:
        raise InvalidInput(f"cannot write {path!r}: {error}") from error
    write_atomically(path, picture.getvalue())
