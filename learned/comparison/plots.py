"""Pictures of a comparison; they need matplotlib ."""

from __future__ import annotations

import io
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from learned.comparison.comparison import MethodComparison
from partition.arrays import FloatArray
from partition.extras import require
from partition.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "random": "#9e9e9e", "balanced": "#616161", "annealing": "#e69f00", "greedy": "#8d6e63", "slicing": "#000000",
    "scratch": "#56b4e9", "zero-shot": "#009e73", "fine-tuned": "#d55e00",
    "scratch-sliced": "#0072b2", "zero-shot-sliced": "#f0e442", "fine-tuned-sliced": "#cc79a7",
}  # fmt: skip
"""Of methods; distinguishable for the colour-blind (Okabe & Ito, 2008)."""


def plot_samples(comparison: MethodComparison, ax: Axes | None = None) -> Axes:
    """Best throughput so far, relative to what is proved possible, against samples: median and range over seeds."""
    ax = _axes(ax)
    at = np.unique(np.geomspace(1, comparison.samples, 200).astype(int))
    for method, curves in comparison.curves.items():
        values = np.stack([comparison.bound / curve.best[at - 1] for curve in curves])
        _band(ax, method, at.astype(float), values)
    ax.set_xlabel("samples")
    return _finish(ax, comparison)


def plot_seconds(comparison: MethodComparison, ax: Axes | None = None) -> Axes:
    """As :func:`plot_samples`, against seconds."""
    ax = _axes(ax)
    every = np.concatenate([curve.seconds for curves in comparison.curves.values() for curve in curves])
    for method, curves in comparison.curves.items():
        first = max(float(curve.seconds[0]) for curve in curves)
        at = np.geomspace(first, max(float(every.max()), first * 1.01), 200)
        values = np.stack([_at(curve.seconds, comparison.bound / curve.best, at) for curve in curves])
        _band(ax, method, at, values)
    ax.set_xlabel("seconds")
    return _finish(ax, comparison)


def save_figure(comparison: MethodComparison, path: str | PathLike[str]) -> None:
    """Both pictures side by side, as a PNG.

    Raises
    ------
    InvalidInput : matplotlib is missing, or the file cannot be written.
    """
    plt = _pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5), sharey=True, layout="constrained")
    plot_samples(comparison, left)
    plot_seconds(comparison, right)
    right.set_ylabel("")
    left.get_legend().remove()
    right.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    figure.suptitle(comparison.name)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    plt.close(figure)
    write_atomically(path, buffer.getvalue())


def _pyplot() -> Any:
    require("drawing pictures", "plot")
    import matplotlib

    matplotlib.use("Agg", force=False)
    import matplotlib.pyplot as plt

    return plt


def _axes(ax: Axes | None) -> Axes:
    return _pyplot().subplots(layout="constrained")[1] if ax is None else ax


def _band(ax: Axes, method: str, x: FloatArray, values: FloatArray) -> None:
    colour = COLOURS[method]
    style = "--" if method in ("greedy", "slicing") else "-"
    ax.plot(x, np.median(values, axis=0), style, color=colour, label=method, linewidth=1.8)
    ax.fill_between(x, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0)


def _at(seconds: FloatArray, values: FloatArray, at: FloatArray) -> FloatArray:
    return np.asarray(values[np.maximum(np.searchsorted(seconds, at, side="right") - 1, 0)])


def _finish(ax: Axes, comparison: MethodComparison) -> Axes:
    ax.set_xscale("log")
    ax.set_ylim(0.0, 1.03)
    ax.axhline(1.0, color="black", linewidth=0.6)
    ax.set_ylabel("throughput / proved bound" if comparison.reference else "throughput / trivial bound")
    ax.grid(alpha=0.25)
    ax.legend(loc="lower right", frameon=False)
    return ax
