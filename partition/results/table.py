"""An answer as plain text for 80 columns: a row per chip, idle and equal ones folded, and the verdict last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from partition.amounts import bytes_text, time_text
from partition.arrays import FloatArray, IntArray
from partition.text import printable

if TYPE_CHECKING:
    from partition.results.result import Result

SHOWN = 3
"""Names of a list that are shown."""

WIDTH = 80
"""Columns of a terminal that lines are broken for; the verdict is one line, for programs that look for it."""

HEAD = f"{'chip':>7} {'ops':>6} {'compute':>10} {'receive':>10} {'send':>10} {'link':>10} {'load':>6} {'SRAM':>10}"


def table_of(result: Result, chips: Iterable[int] = ()) -> str:
    """Rows, what some chips do, what was replicated or relayed, throughput and wall; then the verdict."""
    if result.placement is None or result.cost is None:
        return "\n".join(map(printable, [*filter(None, [result.advice]), result.verdict()]))
    rows = list(_rows(result))
    lines = [HEAD, *_folded(rows)]
    if any("<-" in row for row in rows):
        lines.append("<- the busiest: its load is the period")
    for chip in chips:
        lines += ["", *result.chip(chip).to_table().splitlines()]
    lines += [""]
    for note in _notes(result):
        lines += wrap(printable(note), WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(map(printable, [*lines, result.verdict()]))


def _rows(result: Result) -> Iterator[str]:
    """For every chip what stands behind its number; empty if it does nothing."""
    placement, cost = result.placement, result.cost
    assert placement is not None and cost is not None
    unit, chips = result.hardware.time_unit, result.hardware.chips
    count, link = np.bincount(placement.assignment, minlength=chips), links_behind(result)
    largest = np.maximum(cost.load[0], link)
    for c in range(chips):
        if not (count[c] or largest[c] > 0 or cost.sram[0, c]):
            yield ""
            continue
        columns = (cost.compute[0, c], cost.receive[0, c], cost.send[0, c], link[c])
        times = " ".join(f"{time_text(float(t), unit, least=1e-9 * result.period):>10}" for t in columns)
        share = largest[c] / result.period if result.period > 0 else 0.0
        mark = " <-" if share > 1 - 1e-9 else ""
        yield f"{count[c]:>6} {times} {100 * share:>5.1f}% {bytes_text(float(cost.sram[0, c])):>10}{mark}"


def _folded(rows: Sequence[str]) -> Iterator[str]:
    """Neighbours that show the same stand in one line."""
    at = 0
    for row, same in groupby(rows):
        end = at + len(list(same)) - 1
        name = str(at) if at == end else f"{at}-{end}"
        yield f"{name:>7} {row or 'idle'}"
        at = end + 1


def _notes(result: Result) -> Iterator[str]:
    """Lines about the answer as a whole."""
    assert result.cost is not None
    unit = result.hardware.time_unit
    hardware = result.hardware
    if not hardware.identical_chips:
        kinds = np.array(hardware.kind_of_chip)
        chips = [f"{spans_text(np.flatnonzero(kinds == k))} {hardware.kinds[k].name}" for k in np.unique(kinds)]
        yield f"kinds of chips: {', '.join(chips)}"
    if result.replicas:
        copies = [f"{name} ({len(chips)})" for name, chips in result.replicas.items()]
        yield f"replicated operations (further chips): {_listed(copies)}"
    if result.relays:
        tensors = list(dict.fromkeys(name for name, _ in result.relays))
        yield f"relayed tensors: {len(tensors)} over {len(result.relays)} hops: {_listed(tensors)}"
    streaming = np.flatnonzero(result.cost.stream[0])
    if len(streaming):
        over = float((result.cost.sram[0] - result.hardware.sram_bytes)[streaming].sum())
        who = f"{len(streaming)} chips stream" if len(streaming) > 1 else f"chip {streaming[0]} streams"
        its = "their" if len(streaming) > 1 else "its"
        yield f"{who} {bytes_text(over)} of weights beyond {its} SRAM in every period"
    latency = time_text(float(result.cost.latency[0]), unit)
    if several := result.throughputs:
        listed = ", ".join(f"{value:.5g} of {model}" for model, value in several)
        yield f"inputs per {unit}: {listed}; in common cycles {result.throughput:.5g}; latency of a cycle {latency}"
    else:
        yield f"throughput {result.throughput:.5g} inputs per {unit}, latency of one input {latency}"
    yield f"bubbles: the chips in use are idle for {100 * (result.bubbles or 0.0):.1f}% of the period"
    if result.wishes_kept:
        yield "wishes kept: " + ", ".join(f"{count} of {kind}" for kind, count in result.wishes_kept.items())
    if result.start is not None and result.placement is not None:
        yield result.start.sentence(result.placement)
    if result.inputs is not None:
        batch = result.batch(result.inputs)
        took = time_text(batch.time, unit)
        yield f"a batch of {batch.inputs} inputs takes {took}, chips in use idle for {100 * batch.bubbles:.1f}% of it"
    if result.wall is not None:
        yield result.wall.sentence
    if result.why is not None:
        yield f"why no better: {result.why.sentence}"


def spans_text(chips: IntArray) -> str:
    """Ascending numbers as spans, such as ``0-2 and 5``."""
    ends = np.flatnonzero(np.diff(chips) > 1)
    spans = np.split(chips, ends + 1)
    return " and ".join(f"{span[0]}" if len(span) == 1 else f"{span[0]}-{span[-1]}" for span in spans)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def links_behind(result: Result) -> FloatArray:
    """(C,) the most loaded of the links that leave each stage."""
    assert result.cost is not None
    hw, load = result.hardware, result.cost.link[0]
    behind = np.zeros(hw.chips)
    if hw.routed:
        stage = np.argsort(hw.stage_positions)
        np.maximum.at(behind, stage[result.problem.routes.ends[:, 0]], load)
    else:
        behind[: len(load)] = load
    return behind
