"""Times of operations from traces: onnxruntime's profile, torch's profiler, any Chrome trace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from partition.problem.graph import Graph
from partition.readers.trace_files import whole_events
from partition.text import shown

KERNEL = "_kernel_time"
"""With which onnxruntime ends the name of a node's kernel."""

RECORDER = "Trace"
"""Category of the one event in which torch's profiler tells how long it recorded."""


@dataclass(eq=False)
class TraceEvent:
    """One event of a trace.

    Attributes
    ----------
    name : of the operation, as the trace has it; empty where it has none.
    kind : of operator, if the trace says.
    seconds : it took.
    inner : events of the same thread within it, in order: of a body, or of a composite operator.
    """

    name: str
    kind: str
    seconds: float
    inner: list[TraceEvent] = field(default_factory=list)


@dataclass(frozen=True)
class Match:
    """What a trace says of a graph.

    Attributes
    ----------
    times : operation -> median seconds.
    by_name, by_order : operations found by their name; by the order of those of their kind.
    strange : names of spans that belong to no operation, with their seconds in all, longest first.
    total : seconds of all spans.
    missing : operations that the trace does not have.
    """

    times: Mapping[str, float]
    by_name: int
    by_order: int
    strange: tuple[tuple[str, float], ...]
    total: float
    missing: tuple[str, ...]

    def report(self) -> str:
        """In a sentence: what was matched, and what was not."""
        found = f"the trace times {self.by_name + self.by_order} of {len(self.times) + len(self.missing)} operations"
        how = f" ({self.by_order} by the order of their kind)" if self.by_order else ""
        if not self.strange:
            return f"{found}{how}, and nothing else"
        share = 100 * sum(seconds for _, seconds in self.strange) / self.total if self.total else 0.0
        listed = ", ".join(shown(name) for name, _ in self.strange[:3]) + (", ..." if len(self.strange) > 3 else "")
        return f"{found}{how}; {len(self.strange)} names of it are no operations, {share:.1f}% of its time: {listed}"


def spans_of(data: Any) -> list[TraceEvent] | None:
    """The outermost spans of a parsed trace in the order in which they began; None if it is no trace."""
    events = data.get("traceEvents") if isinstance(data, Mapping) else data
    if not isinstance(events, list):
        return None
    complete = [e for e in whole_events(events) if e.get("cat") != RECORDER]
    kernels = [e for e in complete if e.get("cat") == "Node" and str(e.get("name", "")).endswith(KERNEL)]
    return _nested([(e, _onnxruntime(e)) for e in kernels] or [(e, _plain(e)) for e in complete])


def match(graph: Graph, spans: Sequence[TraceEvent]) -> Match:
    """Match spans with operations: by name, by the last part of the name, then by order among those of their kind.

    Names count where exactly one operation has them. What is left of a kind is matched in order. The trace must have it
    as often as the graph, or in a whole number of runs. The order of a trace is that of execution. What lies within a
    matched span is part of it; a span that belongs to no operation is looked into.
    """
    samples: dict[int, list[float]] = defaultdict(list)
    by_name = _match_names(graph, spans, samples)
    open_operations: dict[str, list[int]] = defaultdict(list)
    for v in graph.topological_order.tolist():
        if v not in samples and not graph.is_source[v]:
            open_operations[_folded(graph.op_types[v])].append(v)
    left, strange = _of_kinds(by_name, set(open_operations))
    count = len(samples)
    for kind, row in left.items():
        wanted = open_operations[kind]
        if len(row) % len(wanted):
            strange += row
            continue
        for i, span in enumerate(row):
            samples[wanted[i % len(wanted)]].append(span.seconds)
    names: dict[str, float] = defaultdict(float)
    for span in strange:
        names[span.name or span.kind] += span.seconds
    times = {graph.names[v]: float(np.median(row)) for v, row in sorted(samples.items())}
    return Match(
        times=times,
        by_name=count,
        by_order=len(times) - count,
        strange=tuple(sorted(names.items(), key=lambda row: -row[1])),
        total=sum(span.seconds for span in spans),
        missing=tuple(name for v, name in enumerate(graph.names) if v not in samples and not graph.is_source[v]),
    )


def _match_names(graph: Graph, spans: Sequence[TraceEvent], samples: dict[int, list[float]]) -> list[TraceEvent]:
    """Note the times of spans that name an operation; the others, without what was matched within them, in order."""
    names, others = _aliases(graph), []
    holders = _holding(spans, lambda span: span.name in names)
    stack = list(reversed(spans))
    while stack:
        span = stack.pop()
        v = names.get(span.name)
        if v is not None:
            samples[v].append(span.seconds)
        elif id(span) in holders:
            stack += reversed(span.inner)
        else:
            others.append(span)
    return others


def _of_kinds(spans: Sequence[TraceEvent], kinds: set[str]) -> tuple[dict[str, list[TraceEvent]], list[TraceEvent]]:
    """Spans by kind, those of the kinds wanted, from the outside inwards; and what has none of them."""
    found: dict[str, list[TraceEvent]] = defaultdict(list)
    holders = _holding(spans, lambda span: _folded(span.kind) in kinds)
    strange, stack = [], list(reversed(spans))
    while stack:
        span = stack.pop()
        kind = _folded(span.kind)
        if kind in kinds:
            found[kind].append(span)
        elif id(span) in holders:
            stack += reversed(span.inner)
        else:
            strange.append(span)
    return found, strange


def _holding(spans: Sequence[TraceEvent], wanted: Callable[[TraceEvent], bool]) -> set[int]:
    """Identities of the spans somewhere within which there is one that is wanted."""
    order, stack = [], list(spans)
    while stack:
        span = stack.pop()
        order.append(span)
        stack += span.inner
    holders: set[int] = set()
    for span in reversed(order):
        if any(id(inner) in holders or wanted(inner) for inner in span.inner):
            holders.add(id(span))
    return holders


def _aliases(graph: Graph) -> dict[str, int]:
    """Every name that means one operation alone: its own, and the last part of a path."""
    short: dict[str, list[int]] = defaultdict(list)
    for v, name in enumerate(graph.names):
        short[name.rsplit("/", 1)[-1]].append(v)
    found = {name: rows[0] for name, rows in short.items() if len(rows) == 1}
    found |= {name: v for v, name in enumerate(graph.names)}
    return {name: v for name, v in found.items() if not graph.is_source[v]}


def _folded(kind: str) -> str:
    """``linear`` of ``aten::linear``; letter case and a trailing underscore of in-place operators do not count."""
    return kind.rsplit(":", 1)[-1].rstrip("_").lower()


def _nested(events: list[tuple[Mapping[str, Any], TraceEvent]]) -> list[TraceEvent]:
    """The outermost spans; the others stand within theirs."""
    outermost: list[TraceEvent] = []
    open_spans: dict[tuple[str, str], list[tuple[float, TraceEvent]]] = defaultdict(list)
    for event, span in sorted(events, key=lambda row: (row[0]["ts"], -row[0]["dur"])):
        stack = open_spans[str(event.get("pid")), str(event.get("tid"))]
        while stack and stack[-1][0] <= event["ts"]:
            stack.pop()
        (stack[-1][1].inner if stack else outermost).append(span)
        stack.append((event["ts"] + event["dur"], span))
    return outermost


def _onnxruntime(event: Mapping[str, Any]) -> TraceEvent:
    arguments = event.get("args")
    kind = arguments.get("op_name", "") if isinstance(arguments, Mapping) else ""
    return TraceEvent(str(event["name"]).removesuffix(KERNEL), str(kind), event["dur"] / 1e6)


def _plain(event: Mapping[str, Any]) -> TraceEvent:
    name = str(event.get("name", ""))
    return TraceEvent(name, name, event["dur"] / 1e6)
