"""The first inputs of a run as a timeline for ui.perfetto.dev: stages, and the operations inside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any

from partition.files import write_atomically
from partition.pipeline.stage import COLUMNS

if TYPE_CHECKING:
    from partition.pipeline.outcome import PipelineRun
    from partition.pipeline.plan import StreamPlan

Event = tuple[int, str, int, float, float]

WAIT, RUN, SEND = "waiting for tensors", "run", "sending"


def operations_in(reports: list[dict[str, Any]], plan: StreamPlan, origin: int) -> Iterator[Event]:
    """(stage, what, input, begin, end) of the traced inputs, in seconds after ``origin`` (nanoseconds).

    Operations are named ``op:NAME``; which input they belong to is seen from when they ran.
    """
    begin, ready, run, sent = (COLUMNS.index(name) for name in ("begin", "ready", "run", "sent"))
    for s, report in enumerate(reports):
        notes = report["notes"]
        for i in range(plan.alone, plan.alone + plan.record):
            for what, a, b in ((WAIT, begin, ready), (RUN, ready, run), (SEND, run, sent)):
                yield s, what, i, (notes[i, a] - origin) / 1e9, (notes[i, b] - origin) / 1e9
        for event in json.loads(report["operations"]) if report["operations"] else []:
            if event.get("cat") != "Node" or not str(event.get("name", "")).endswith("_kernel_time"):
                continue
            at = report["profile_begin"] + 1000 * int(event["ts"])
            i = int(notes[:, ready].searchsorted(at + 1000, side="right")) - 1
            if plan.alone <= i < plan.alone + plan.record:
                name = "op:" + str(event["name"]).removesuffix("_kernel_time")
                start = (at - origin) / 1e9
                yield s, name, i, start, start + int(event["dur"]) / 1e6


def to_perfetto(run: PipelineRun, path: str | PathLike[str]) -> None:
    """Write the recorded events in the Trace Event Format: a process per stage, rows for the stage and its operations.

    Raises
    ------
    InvalidInput : the file cannot be written.
    """
    events: list[dict[str, Any]] = []
    for s, stage in enumerate(run.stages):
        events.append(
            {"ph": "M", "pid": s, "name": "process_name", "args": {"name": f"chip {stage.chip}: {stage.file}"}}
        )
        events.append({"ph": "M", "pid": s, "tid": 0, "name": "thread_name", "args": {"name": "stage"}})
        events.append({"ph": "M", "pid": s, "tid": 1, "name": "thread_name", "args": {"name": "operations"}})
    for s, what, i, begin, end in run.events:
        operation = what.startswith("op:")
        events.append(
            {
                "ph": "X",
                "pid": s,
                "tid": int(operation),
                "name": what.removeprefix("op:") if operation or what != RUN else f"input {i}",
                "cat": "operation" if operation else "stage",
                "ts": begin * 1e6,
                "dur": max(0.0, end - begin) * 1e6,
                "args": {"input": i},
            }
        )
    write_atomically(path, json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}))
