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


def loads(result: Result, ax: Axes | None = None) -> Axes:
    """Load of every chip, its parts stacked where transfers are serial, against period and bound."""
    ax, cost = _axes(ax), _cost(result)
    scale, unit = _unit(result)
    chips = np.arange(result.hardware.chips)
    below = np.zeros(len(chips))
    parts = ("compute", "receive", "send") if result.hardware.serial else ("load",)
    for name in parts:
        amount = getattr(cost, name)[0] * scale
        ax.bar(chips, amount, bottom=below, label=name)
        below = below + amount
    ax.axhline(result.period * scale, color="black", linestyle="--", linewidth=1, label="period")
    ax.axhline(result.bound * scale, color="tab:red", linestyle=":", linewidth=1, label="bound")
    ax.set(xlabel="chip", ylabel=f"time per input, {unit}")
    ax.legend(fontsize="small")
    return ax


def traffic(result: Result, ax: Axes | None = None) -> Axes:
    """Time that tensors occupy every link, against the period."""
    ax, cost = _axes(ax), _cost(result)
    scale, unit = _unit(result)
    ax.bar(np.arange(cost.link.shape[1]), cost.link[0] * scale, color="tab:orange")
    ax.axhline(result.period * scale, color="black", linestyle="--", linewidth=1, label="period")
    ax.set(xlabel="link", ylabel=f"time per input, {unit}")
    ax.legend(fontsize="small")
    return ax


def sram(result: Result, ax: Axes | None = None) -> Axes:
    """Resident weights of every chip against its SRAM; with dynamic memory also the peak of its schedule."""
    ax, cost = _axes(ax), _cost(result)
    chips = np.arange(result.hardware.chips)
    if result.hardware.rules.dynamic_memory:
        ax.bar(chips, [s.peak / 2**20 for s in result.schedules], color="tab:orange", label="peak")
    ax.bar(chips, cost.sram[0] / 2**20, label="weights")
    capacity = result.hardware.sram_bytes / 2**20
    if np.isfinite(capacity).any():
        ax.step(chips, capacity, where="mid", color="tab:red", linestyle=":", label="SRAM")
    ax.set(xlabel="chip", ylabel="MB")
    ax.legend(fontsize="small")
    return ax


def convergence(result: Result, ax: Axes | None = None) -> Axes:
    """Best period and proved bound over the time of the search."""
    ax = _axes(ax)
    scale, unit = _unit(result)
    known = [p for p in result.history if p.period is not None]
    ax.step([p.seconds for p in known], [(p.period or 0.0) * scale for p in known], where="post", label="period")
    proved = [p for p in result.history if p.bound > 0 and np.isfinite(p.bound)]
    ax.step(
        [p.seconds for p in proved], [p.bound * scale for p in proved], where="post", color="tab:red", label="bound"
    )
    ax.set(xlabel="seconds", ylabel=f"period, {unit}", xscale="log")
    if known:
        ax.set_ylim(top=1.6 * result.period * scale)
    ax.legend(fontsize="small")
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
