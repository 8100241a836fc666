"""Draws the pictures of docs/pictures.md, every number computed by the library.

python docs/figures.py            # writes docs/figures/*.svg; needs the extras plot and simulate
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams.update({"svg.hashsalt": "mcm-partition", "svg.fonttype": "none", "font.size": 10})
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from partition import Graph, GraphBuilder, Placement, Result, check, load_hardware, load_model, partition
from partition.report import convergence
from partition.scoring.cost import evaluate_placement
from partition.simulate import gantt, simulate

COLOURS = ("#7fb3e6", "#f2b36b", "#8fcf9b")
CHIPS = 3
PLACES = {
    "image": (0, 0), "stem": (1, 0), "a1": (2, 0.8), "b1": (3, 0.8), "add1": (4, 0), "a2": (5, 0.8), "b2": (6, 0.8),
    "add2": (7, 0), "pool": (8, 0), "classes": (9, 0),
}  # fmt: skip
MILLISECONDS = {
    "stem": 1.0,
    "a1": 0.8,
    "b1": 1.2,
    "add1": 0.1,
    "a2": 0.9,
    "b2": 1.4,
    "add2": 0.1,
    "pool": 0.2,
    "classes": 0.9,
}
READS = {
    "stem": ["image"], "a1": ["stem"], "b1": ["a1"], "add1": ["b1", "stem"], "a2": ["add1"], "b2": ["a2"],
    "add2": ["b2", "add1"], "pool": ["add2"], "classes": ["pool"],
}  # fmt: skip


def small() -> Graph:
    """Two residual blocks; times in ms for the chips of ``ring3``, 0.3 ms to move a tensor."""
    b = GraphBuilder("two_blocks")
    b.operation("image", "Input", outputs={"image": 0.3e-3 * 16e9})
    for name, time in MILLISECONDS.items():
        b.operation(name, "Op", inputs=READS[name], outputs={name: 0.3e-3 * 16e9}, times={"edge": time * 1e-3})
    return b.build()


def arrow(begin: Any, end: Any, bend: float, colour: str, width: float, **options: Any) -> FancyArrowPatch:
    """A curved arrow."""
    curve = f"arc3,rad={bend}"
    return FancyArrowPatch(
        begin, end, connectionstyle=curve, arrowstyle="-|>", mutation_scale=11, color=colour, linewidth=width, **options
    )


def model(result: Result) -> Any:
    """The graph, a colour per chip."""
    figure, ax = plt.subplots(figsize=(9, 2.4), layout="constrained")
    for reader, read in READS.items():
        for producer in read:
            across = result.assignment[producer] != result.assignment[reader]
            bend = 0.35 if (producer, reader) in (("stem", "add1"), ("add1", "add2")) else 0
            colour, width = ("#b03030", 2.2) if across else ("#666666", 1.2)
            ax.add_patch(arrow(PLACES[producer], PLACES[reader], bend, colour, width, shrinkA=19, shrinkB=19))
    for name, (x, y) in PLACES.items():
        box = (x - 0.36, y - 0.24), 0.72, 0.48
        ax.add_patch(FancyBboxPatch(*box, boxstyle="round,pad=0.03", fc=COLOURS[result.assignment[name]], ec="#444444"))
        text = f"{name}\n{MILLISECONDS[name]:g} ms" if name in MILLISECONDS else name
        ax.text(x, y, text, ha="center", va="center", fontsize=8.5)
    for chip, colour in enumerate(COLOURS):
        ax.text(
            3.1 + 1.3 * chip,
            -1.35,
            f"chip {chip}",
            bbox={"fc": colour, "ec": "#444444", "boxstyle": "round"},
            ha="center",
        )
    ax.text(8.2, -1.35, "red: crosses a link", color="#b03030", ha="center")
    ax.set(xlim=(-0.6, 9.6), ylim=(-1.7, 1.4))
    ax.axis("off")
    return figure


def cuts(result: Result) -> Any:
    """Load of every chip when operations are counted out evenly, and when the period is minimised."""
    graph, hardware = result.graph, result.hardware
    even = np.empty(graph.n, dtype=np.int64)
    even[graph.topological_order] = np.arange(graph.n) * CHIPS // graph.n
    figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True, layout="constrained")
    for ax, title, placement in (
        (axes[0], "as many operations on every chip", Placement(even)),
        (axes[1], "the best there is", result.placement),
    ):
        cost = evaluate_placement(graph, hardware, placement)
        compute, link = cost.compute[0] * 1e3, cost.link[0] * 1e3
        ax.bar(np.arange(CHIPS) - 0.2, compute, 0.38, color=COLOURS, edgecolor="#444444", linewidth=0.6)
        ax.bar(np.arange(CHIPS) + 0.2, link, 0.38, color="#b03030", alpha=0.75)
        period = float(cost.period[0]) * 1e3
        ax.axhline(period, color="black", linestyle="--", linewidth=1)
        broken = sorted({violation.rule for violation in check(graph, hardware, placement)})
        ax.set_title(f"{title}: {period:.2f} ms" + (f" (breaks: {', '.join(broken)})" if broken else ""), fontsize=10)
        ax.set_xticks(range(CHIPS), [f"chip {c}, link {c}" for c in range(CHIPS)])
    axes[0].set_ylabel("ms per input")
    return figure


def pipeline(result: Result) -> Any:
    """What the chips do over time, simulated."""
    found = simulate(result.graph, result.hardware, result.placement, inputs=40, record=5)
    figure, ax = plt.subplots(figsize=(9, 2.6), layout="constrained")
    gantt(found, ax)
    ends = sorted(s.end * 1e3 for s in found.spans if s.where == ("chip", CHIPS - 1))[-2:]
    ax.annotate("", (ends[0], 2.75), (ends[1], 2.75), arrowprops={"arrowstyle": "<->"})
    ax.text(sum(ends) / 2, 3.35, f"period {found.period * 1e3:.2f} ms", ha="center", fontsize=9)
    return figure


def triangle() -> Any:
    """What the rule forbids, and the two ways round it."""
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.3), layout="constrained")
    titles = ("forbidden: 0 to 2 beside 0 to 1 to 2", "relayed: chip 1 hands it on", "replicated: made again on chip 2")
    for ax, title in zip(axes, titles, strict=True):
        for c, colour in enumerate(COLOURS):
            ax.add_patch(FancyBboxPatch((1.6 * c, 0), 1, 0.7, boxstyle="round,pad=0.05", fc=colour, ec="#444444"))
            ax.text(1.6 * c + 0.5, 0.85, f"chip {c}", ha="center", fontsize=9)
        arrows = [((1.05, 0.35), (1.6, 0.35), 0, "#444444"), ((2.65, 0.35), (3.2, 0.35), 0, "#444444")]
        if ax is axes[0]:
            arrows.append(((0.5, -0.06), (3.7, -0.06), 0.35, "#b03030"))
            ax.text(2.1, -0.85, "tensor t", color="#b03030", ha="center", fontsize=9)
        if ax is axes[1]:
            arrows += [((0.5, -0.06), (2.1, -0.06), 0.45, "#2f7d3b"), ((2.1, -0.06), (3.7, -0.06), 0.45, "#2f7d3b")]
            ax.text(2.1, -0.85, "t over chip 1", color="#2f7d3b", ha="center", fontsize=9)
        for c in (0, 2) if ax is axes[2] else (0,):
            ax.text(1.6 * c + 0.5, 0.35, "mask", ha="center", va="center", fontsize=8.5, style="italic")
        ax.text(3.7, 0.35 if ax is not axes[2] else 0.1, "reads t", ha="center", va="center", fontsize=8.5)
        for begin, end, bend, colour in arrows:
            ax.add_patch(arrow(begin, end, bend, colour, 1.8))
        ax.set_title(title, fontsize=9.5)
        ax.set(xlim=(-0.2, 4.5), ylim=(-1.0, 1.1))
        ax.axis("off")
    return figure


def proof() -> Any:
    """Period and bound approach each other."""
    figure, ax = plt.subplots(figsize=(9, 2.8), layout="constrained")
    result = partition(load_model("resnet50").graph, load_hardware("ring36"), time_limit=60)
    convergence(result, ax)
    ax.set_ylim(bottom=0)
    ax.set_title(result.verdict(), fontsize=9)
    return figure


def main() -> None:
    """Draw all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "figures")
    parser.add_argument("--only", nargs="*", default=["model", "cuts", "pipeline", "triangle", "proof"])
    chosen = parser.parse_args()
    result = partition(small(), load_hardware(f"ring{CHIPS}"))
    draw = {"model": lambda: model(result), "cuts": lambda: cuts(result), "pipeline": lambda: pipeline(result),
            "triangle": triangle, "proof": proof}  # fmt: skip
    chosen.folder.mkdir(parents=True, exist_ok=True)
    for name in chosen.only:
        figure = draw[name]()
        figure.savefig(chosen.folder / f"{name}.svg", facecolor="white", metadata={"Date": None})
        plt.close(figure)
    print(result)


if __name__ == "__main__":
    main()
