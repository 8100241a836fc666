"""The figures of the page as matplotlib axes, for notebooks and papers (they need matplotlib)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from partition.errors import InvalidInput
from partition.extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from partition.results.result import Result
    from partition.scoring.cost import Cost

MB = 1e6
"""Bytes of a megabyte, as everywhere."""

DECADE = 10.0
"""A search that takes so many times longer than its first step is drawn on a logarithmic axis."""


def loads(result: Result, ax: Axes | None = None) -> Axes:
    """Load of every chip, its parts stacked where transfers are serial, against period and bound."""
    ax, cost = _axes(ax), _cost(result)
    scale, unit = _unit(result)
    chips = np.arange(result.hardware.chips)
    below = np.zeros(len(chips))
    parts = {"load": cost.load[0]}
    if result.hardware.serial:
        parts = {name: getattr(cost, name)[0] for name in ("compute", "receive", "send")}
        if result.hardware.streams:  # the part of it that is not beside compute
            parts["streaming"] = np.maximum(cost.load[0] - sum(parts.values()), 0.0)
    for name, amount in ((name, amount * scale) for name, amount in parts.items()):
        ax.bar(chips, amount, bottom=below, label=name)
        below = below + amount
    ax.axhline(result.period * scale, color="black", linestyle="--", linewidth=1, label="period")
    ax.axhline(result.bound * scale, color="tab:red", linestyle=":", linewidth=1.6, label="bound")
    ax.set(title="load of every chip", xlabel="chip", ylabel=f"time per input, {unit}")
    return _with_legend(ax)


def traffic(result: Result, ax: Axes | None = None) -> Axes:
    """Time that tensors occupy every link, against the period."""
    ax, cost = _axes(ax), _cost(result)
    scale, unit = _unit(result)
    ax.bar(np.arange(cost.link.shape[1]), cost.link[0] * scale, color="tab:orange", label="busy")
    ax.axhline(result.period * scale, color="black", linestyle="--", linewidth=1, label="period")
    ax.set(title="traffic of every link", xlabel="link", ylabel=f"time per input, {unit}")
    return _with_legend(ax)


def sram(result: Result, ax: Axes | None = None) -> Axes:
    """Resident weights of every chip against its SRAM; with dynamic memory also the peak of its schedule."""
    ax, cost = _axes(ax), _cost(result)
    chips = np.arange(result.hardware.chips)
    if result.hardware.rules.dynamic_memory:
        ax.bar(chips, [s.peak / MB for s in result.schedules], color="tab:orange", label="peak")
    ax.bar(chips, cost.sram[0] / MB, label="weights")
    capacity = result.hardware.sram_bytes / MB
    if np.isfinite(capacity).any():
        ax.step(chips, capacity, where="mid", color="tab:red", linestyle=":", label="SRAM")
    ax.set(title="memory of every chip", xlabel="chip", ylabel="MB (1,000,000 bytes)")
    return _with_legend(ax)


def convergence(result: Result, ax: Axes | None = None) -> Axes:
    """Best period and proved bound over the time of the search, both drawn to its end."""
    ax = _axes(ax)
    scale, unit = _unit(result)
    known = [(p.seconds, p.period * scale) for p in result.history if p.period is not None]
    proved = [(p.seconds, p.bound * scale) for p in result.history if p.bound > 0 and np.isfinite(p.bound)]
    for name, colour, points in (("period", "tab:blue", known), ("bound", "tab:red", proved)):
        seconds, values = zip(*points, (result.seconds, points[-1][1]), strict=True) if points else ((), ())
        ax.step(seconds, values, where="post", color=colour, label=name)
    ax.set(title="search", xlabel="seconds", ylabel=f"period, {unit}")
    if proved and result.seconds > DECADE * proved[0][0]:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
    if known:
        ax.set_ylim(top=1.6 * result.period * scale)
    return _with_legend(ax)


def _with_legend(ax: Axes) -> Axes:
    """The legend below the axes, where it covers nothing."""
    ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=4, frameon=False)
    return ax


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    require("drawing pictures", "plot")
    from matplotlib import pyplot as plt

    return plt.subplots(layout="constrained")[1]


def _cost(result: Result) -> Cost:
    if result.cost is None:
        raise InvalidInput("the result is infeasible: there is nothing to draw")
    return result.cost


def _unit(result: Result) -> tuple[float, str]:
    return (1e3, "ms") if result.hardware.time_unit == "s" else (1.0, result.hardware.time_unit)
