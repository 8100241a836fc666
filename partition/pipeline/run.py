"""Run the parts of a split model as a pipeline of processes, and measure it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partition.arguments import MOST_INPUTS, number, whole
from partition.errors import InvalidInput
from partition.extras import require
from partition.pipeline.layout import Layout, lay_out, usable_cores
from partition.pipeline.outcome import PipelineRun, StageFigures, measured_stretch, of_cores
from partition.pipeline.plan import StreamPlan
from partition.pipeline.processes import Processes, Watch
from partition.pipeline.stage import COLUMNS
from partition.pipeline.timeline import operations_in
from partition.problem.hardware_files import calibration_file, stage_overhead
from partition.split.manifest import Manifest

ALONE = 5
"""Inputs that have the pipeline to themselves before the stream, for the latency of one input."""


def run(
    folder: str | os.PathLike[str],
    *,
    inputs: int = 100,
    buffers: int | None = None,
    cores: Sequence[int] | None = None,
    optimised: bool = False,
    values: Sequence[Mapping[str, NDArray[Any]]] = (),
    seed: int = 0,
    record: int = 0,
    keep: int = 0,
    patience: float = 120.0,
    on_progress: Watch | None = None,
) -> PipelineRun:
    """Stream inputs through the parts that :func:`~partition.split.split_model` wrote, a process for each.

    Every process runs its part with onnxruntime on one thread, pinned to one core, input after input in order. Tensors
    go through shared memory with room for a bounded number of inputs. A few inputs first go through alone; then the
    stream begins. However the call ends, no process and no memory is left behind.

    Parameters
    ----------
    inputs : length of the stream.
    buffers, cores : see :func:`~partition.pipeline.layout.lay_out`.
    optimised : let onnxruntime fuse operators within the parts.
    values : of all inputs of the model, by name; several sets take turns. By default eight sets are drawn, as
        :func:`~partition.split.verify_parts` draws them.
    seed : of the values drawn.
    record : inputs at the head of the stream that are traced, operations included; they are not measured.
    keep : inputs, from the first, of which the outputs of the model are returned, of types that numpy lacks their
        bytes. The inputs that go alone count.
    patience : seconds without any progress after which a stage counts as hanging.
    on_progress : is told how far the stages are, about five times a second.

    Raises
    ------
    InvalidInput : onnxruntime is not installed, no such folder, a number does not make sense, or there is no room for
        the buffers.
    StageFailed : a stage could not load or run its part, was killed, ran out of memory or hangs; it is named.
    KeyboardInterrupt : as usual; all processes are gone by then.
    """
    whole("inputs", inputs, least=4, most=MOST_INPUTS)
    whole("record", record)
    whole("seed", seed)
    number("the patience", patience, "seconds", above=0.0)
    require("running models", "run")
    path = Path(folder)
    manifest = Manifest.read(path)
    layout = lay_out(manifest, buffers=buffers, cores=cores)
    _check_values(values, layout, manifest.inputs)
    warm = max(4, 2 * (max(layout.depth) + 1))
    plan = StreamPlan(
        path, ALONE, record, min(warm, inputs // 4), inputs, optimised, tuple(values), seed, keep, patience
    )
    with (
        tempfile.TemporaryDirectory(prefix="mcm-partition-") as scratch,
        Processes(layout, plan, manifest, scratch) as processes,
    ):
        reports = processes.stream(on_progress)
    return _outcome(manifest, layout, plan, reports)


def _check_values(values: Sequence[Mapping[str, Any]], layout: Layout, inputs: Sequence[str]) -> None:
    wanted = {port.tensor for ports in layout.host for port in ports}
    known = wanted | set(inputs)  # an input that nothing reads may have values
    for row in values:
        missing = sorted(wanted - row.keys())
        if missing:
            raise InvalidInput(f"no values for input {missing[0]!r}; give values for all inputs, or for none")
        if extra := sorted(row.keys() - known):
            raise InvalidInput(f"the model has no input {extra[0]!r}; its inputs are {', '.join(map(repr, inputs))}")


def _outcome(manifest: Manifest, layout: Layout, plan: StreamPlan, reports: list[dict[str, Any]]) -> PipelineRun:
    notes = np.stack([report["notes"] for report in reports])
    column = {name: i for i, name in enumerate(COLUMNS)}
    sending = {stream.source for stream in layout.streams}
    sinks = tuple(s for s in range(len(reports)) if s not in sending)
    first, last = measured_stretch(notes, layout.sources, sinks, plan.skipped)
    begun = np.min(notes[list(layout.sources), :, column["ready"]], axis=0)
    left = np.max(notes[list(sinks), :, column["sent"]], axis=0)
    latencies = (left - begun) / 1e9
    stretch = slice(first, last + 1)
    predicted = manifest.prediction
    figures = []
    for s, part in enumerate(layout.parts):
        row = {name: notes[s, stretch, i] / 1e9 for name, i in column.items()}
        figures.append(
            StageFigures(
                chip=part.chip,
                file=part.file,
                core=layout.cores[s],
                run=row["run"] - row["ready"],
                cpu_run=row["cpu_run"],
                send=row["sent"] - row["run"] - row["blocked"],
                waiting=row["ready"] - row["begin"],
                blocked=row["blocked"],
                cpu=row["cpu"],
                peak_bytes=int(reports[s]["peak_bytes"]),
                predicted=None if predicted is None else predicted.loads.get(part.chip),
            )
        )
    kept = min((len(report["kept"]) for report in reports), default=0)
    names = [dict(pairs) for pairs in layout.outputs]
    outputs = tuple(
        {names[s][name]: value for s, report in enumerate(reports) for name, value in report["kept"][i].items()}
        for i in range(kept)
    )
    return PipelineRun(
        model=manifest.model,
        inputs=plan.total,
        first=first,
        last=last,
        leave=(left - begun[0]) / 1e9,
        latencies=latencies,
        alone=latencies[1 : plan.alone],
        stages=tuple(figures),
        predicted=None if predicted is None else predicted.period,
        bound=None if predicted is None else predicted.bound,
        predicted_latency=None if predicted is None else predicted.latency,
        predicted_for="" if predicted is None else predicted.hardware,
        calibrated=calibration_file().is_file(),
        overhead=0.0 if predicted is None or not of_cores(predicted.hardware) else stage_overhead(),
        cores=len(set(layout.cores) - {None}) or len(usable_cores()) or os.cpu_count() or 1,
        buffers=max((stream.slots for stream in layout.streams), default=0),
        optimised=plan.optimised,
        outputs=outputs,
        events=tuple(operations_in(reports, plan, int(begun[0]))),
    )
