"""What Jupyter shows of a result: verdict, bottleneck, why no better, loads, and the report, folded away."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from partition.amounts import time_text
from partition.report.page import to_html

if TYPE_CHECKING:
    from partition.results.result import Result

WIDTH, HEIGHT = 840, 150
"""Pixels of the bars, at most and exactly."""

LEFT, TOP, BELOW = 96, 18, 34
"""Pixels beside the bars, above them, and below them."""

LEAST = 420
"""Pixels of the whole at least, so that its words have room."""

BAR = 26
"""Pixels of a bar and its gap where there are few."""

MOST_INLINE = 3_000_000
"""Characters of a report up to which it is put into the notebook; a larger one would make the file slow."""


def notebook_html(result: Result) -> str:
    """Verdict, bars and the folded report as HTML, for the last line of a cell."""
    said = f"<p><b>{html.escape(result.verdict())}</b></p>"
    if result.cost is None or not result.period > 0:
        return said + (f"<p>{html.escape(result.advice)}</p>" if result.advice else "") + _report(result)
    for sentence in (result.wall and result.wall.sentence, result.why and f"why no better: {result.why.sentence}"):
        said += f"<p>{html.escape(sentence)}</p>" if sentence else ""
    return said + _bars(result) + _report(result)


def _bars(result: Result) -> str:
    """Load of every chip, with the period and the bound as lines."""
    assert result.cost is not None
    load = result.cost.load[0]
    chips = len(load)
    step = min(BAR, WIDTH / chips)
    top = max(float(load.max()), result.period)
    wide = max(LEFT + step * chips + 8, LEAST)
    every = max(1, round(30 / step))  # chips from one number to the next
    parts = [_line(result, top, wide, "period", result.period, "currentColor", "")]
    if result.bound < result.period * (1 - 1e-3):
        parts.append(_line(result, top, wide, "bound", result.bound, "#c0392b", "4 3"))
    for c, value in enumerate(load.tolist()):
        high, x = HEIGHT * value / top, LEFT + step * c
        colour = "#d35400" if value >= result.period * (1 - 1e-9) else "#4a86b8"
        told = f"chip {c}: {time_text(value, result.hardware.time_unit)}, {100 * value / result.period:.1f}%"
        parts.append(
            f'<rect x="{x:.1f}" y="{TOP + HEIGHT - high:.1f}" width="{max(step - 2, 0.6):.1f}" height="{high:.1f}" '
            f'fill="{colour}"><title>{html.escape(told)} of the period</title></rect>'
        )
        if c % every == 0:
            parts.append(_text(x + step / 2, TOP + HEIGHT + 13, str(c), "middle"))
    parts.append(
        _text(LEFT, TOP + HEIGHT + 29, "chip; a bar is its load for one input, the busiest in orange", "start")
    )
    size = f'width="{wide:.0f}" height="{TOP + HEIGHT + BELOW}"'
    return f'<svg {size} role="img" aria-label="load of every chip" style="max-width:100%">{"".join(parts)}</svg>'


def _line(result: Result, top: float, wide: float, name: str, value: float, colour: str, dashes: str) -> str:
    """A level across the bars, named at the left; the bound's name stands below its line, the period's above."""
    y = TOP + HEIGHT * (1 - value / top)
    told = f"{name} {time_text(value, result.hardware.time_unit)}"
    below = 12 if name == "bound" else -4
    return (
        f'<line x1="0" x2="{wide:.0f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-dasharray="{dashes}"/>'
        + _text(0, y + below, told, "start")
    )


def _text(x: float, y: float, words: str, anchor: str) -> str:
    style = f'font-size="11" fill="currentColor" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{html.escape(words)}</text>'


def _report(result: Result) -> str:
    """The page about the result in a frame that opens on a click, or how to write it where it is large."""
    page = to_html(result)
    if len(page) > MOST_INLINE:
        return "<p>The report is large: <code>result.to_html('report.html')</code> writes it to a file.</p>"
    frame = 'style="width:100%;height:720px;border:1px solid #8888" loading="lazy" title="report"'
    return f'<details><summary>Report</summary><iframe srcdoc="{html.escape(page)}" {frame}></iframe></details>'
