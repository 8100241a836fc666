"""Run real ONNX models cut in two on two cores: predicted against measured, our cut against simple ones.

    pip install --no-deps rapidocr-onnxruntime magika silero-vad nudenet ddddocr chython-rxnmap
    python benchmarks/run_models.py                       # twelve models, five rounds, two stages
    python benchmarks/run_models.py --chips 4             # four stages that share two cores: no target

The twelve models are named below, before any run. The link is calibrated once, on a model made for that; the times of
a model's operations come from its profile. All cuts of a model take turns (A B C A B C ...), each run with a fresh
start of its processes, and so does the whole model on one core. Figures are medians of the rounds, of the CPU time of
the busiest core and of elapsed time; where other work runs on the machine, the first is the one to look at. A core's
speed itself may change by half within minutes where machines are shared. So the error of the prediction is that of a
ratio: period over the time of the whole on one core, predicted, against the same ratio measured in each round. The
error of the period itself, profiled minutes before, stands beside it. The cuts: ours; equal numbers of operations,
equal bytes of weights, equal FLOPs; the middle one of the places where least crosses (blocks); random places.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import click
import numpy as np
from checked import judge
from split_models import SHIPPED

from partition import Graph, Hardware, Placement, evaluate_placement, partition
from partition.pipeline import fit_link, profile, run
from partition.pipeline.reference import measure_link
from partition.problem.hardware import Interconnect
from partition.problem.hardware_files import REFERENCE_CPU, cpu_cores
from partition.results.result import Result
from partition.split import split_model

TWELVE = (
    "ch_PP-OCRv4_det_infer", "ch_PP-OCRv4_rec_infer", "ch_ppocr_mobile_v2.0_cls_infer", "magika/models", "ifless",
    "silero_vad_half", "320n", "rxnmap", "rxnmap:int8", "ddddocr/common.", "common_old", "common_det",
)  # fmt: skip
"""A part of the file's path each; ``:int8`` after onnxruntime's dynamic quantisation."""


def located(name: str, folder: Path | None, scratch: Path) -> tuple[Path, dict[str, int]]:
    """File and dimensions of a model."""
    import importlib.util

    name, _, change = name.partition(":")
    (file,) = (file for file in SHIPPED if name in file)
    spec = importlib.util.find_spec(file.split("/")[0]) if folder is None else None
    base = folder or (Path(spec.origin).parent.parent if spec and spec.origin else Path())
    path = base / file
    if change == "int8":
        from onnxruntime.quantization import quantize_dynamic

        target = scratch / f"{path.stem}_int8.onnx"
        quantize_dynamic(path, target)
        path = target
    return path, SHIPPED[file]


def cuts_of(graph: Graph, chips: int, count: int, rng: np.random.Generator) -> dict[str, Placement]:
    """Contiguous cuts along the model's own order by simple measures, and random ones."""
    order = graph.topological_order
    busy = (~graph.is_source[order]).astype(float)
    weights = graph.weights.copy()
    for s, size in enumerate(graph.shared_bytes):
        weights[graph.shared_users[graph.shared_ptr[s]]] += size
    position = np.empty(graph.n, np.int64)
    position[order] = np.arange(graph.n)
    last = np.maximum.reduceat(position[graph.consumers], graph.consumer_ptr[:-1][np.diff(graph.consumer_ptr) > 0])
    read = np.flatnonzero(np.diff(graph.consumer_ptr) > 0)
    crossing = np.zeros(graph.n + 1)
    np.add.at(crossing, position[graph.producer[read]] + 1, graph.tensor_bytes[read])
    np.add.at(crossing, last + 1, -graph.tensor_bytes[read])
    crossing = np.cumsum(crossing)  # bytes that cross a cut before each place
    narrow = np.flatnonzero(crossing[1:-1] <= np.quantile(crossing[1:-1], 0.1)) + 1

    def placed(places: Any) -> Placement:
        homes = np.empty(graph.n, np.int64)
        homes[order] = np.searchsorted(np.sort(places), np.arange(graph.n), side="right")
        return Placement(homes)

    def equal(amount: Any) -> Placement:
        total = np.cumsum(amount[order])
        return placed([int(np.searchsorted(total, total[-1] * k / chips)) for k in range(1, chips)])

    found = {"operations": equal(busy[position]), "weights": equal(weights), "FLOPs": equal(graph.flops)}
    found["blocks"] = placed([narrow[len(narrow) * k // chips] for k in range(1, chips)])
    for k in range(count):
        found[f"random {k + 1}"] = placed(rng.choice(np.arange(1, graph.n), chips - 1, replace=False))
    return found


def measured(folder: Path, inputs: int) -> tuple[float, float]:
    """CPU time of the busiest core and elapsed time, seconds per input."""
    found = run(folder, inputs=inputs)
    return found.undisturbed_period, found.period


def one_model(
    model: tuple[Path, dict[str, int]], package: Hardware, rounds: int, random: int, inputs: int, scratch: Path
) -> dict[str, Any]:
    """Predicted and measured periods of all cuts of a model."""
    path, dims = model
    profiled = profile(path, dims=dims, seconds=15)
    graph, _ = profiled.graph.with_times(
        dict(zip(profiled.graph.names, profiled.seconds.tolist(), strict=True)), [package.kinds[0].name]
    )
    result: Result = partition(graph, package, time_limit=20)
    judge(graph, package, result)
    assert result.placement is not None
    placements = {"ours": result.placement, "one core": Placement(np.zeros(graph.n, np.int64))} | cuts_of(
        graph, package.chips, random, np.random.default_rng(0)
    )
    predicted = {name: float(evaluate_placement(graph, package, p).period[0]) for name, p in placements.items()}
    for name, placement in placements.items():
        split_model(path, placement, scratch / name, dims=dims)
    table = np.array([[measured(scratch / name, inputs) for name in placements] for _ in range(rounds)])
    return {
        "operations": graph.n, "run": profiled.run, "gap": result.gap, "names": list(placements),
        "predicted": predicted, "cpu": table[:, :, 0], "elapsed": table[:, :, 1],
    }  # fmt: skip


def told(name: str, found: dict[str, Any]) -> tuple[float, float]:
    """Print a model's row; its error of prediction, and its gain over the best of the other cuts."""
    cpu, names = found["cpu"], found["names"]
    medians = np.median(cpu, axis=0)
    best = 2 + int(np.argmin(medians[2:]))
    ratios = cpu[:, best] / cpu[:, 0]  # of the same round
    predicted = found["predicted"]
    share = float(np.median(cpu[:, 0] / cpu[:, 1]))
    error = predicted["ours"] / predicted["one core"] / share - 1
    low, high = np.quantile(cpu[:, 0], [0.25, 0.75])
    others = "; ".join(f"{n} {medians[i] / medians[0]:.2f}" for i, n in enumerate(names) if i > 1 and "random" not in n)
    drawn = [medians[i] / medians[0] for i, n in enumerate(names) if "random" in n]
    print(
        f"| {name} | {found['operations']} | {1e3 * predicted['ours']:.3f} | {1e3 * medians[0]:.3f} "
        f"({1e3 * low:.3f} to {1e3 * high:.3f}) | {100 * (predicted['ours'] / medians[0] - 1):+.1f}% "
        f"| {predicted['ours'] / predicted['one core']:.3f} | {share:.3f} | {100 * error:+.1f}% "
        f"| {1e3 * np.median(found['elapsed'][:, 0]):.2f} "
        f"| {names[best]} {np.median(ratios):.3f} ({ratios.min():.3f} to {ratios.max():.3f}) | {others}; "
        f"random {min(drawn, default=np.nan):.2f} to {max(drawn, default=np.nan):.2f} |",
        flush=True,
    )
    return error, float(np.median(ratios))


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Where the wheels were unpacked, if not installed.")
@click.option("--only", default="", help="Only models whose name contains this.")
@click.option("--chips", default=2, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--random", default=10, show_default=True, help="Random cuts.")
@click.option("--inputs", default=30, show_default=True)
def main(folder: Path | None, only: str, chips: int, rounds: int, random: int, inputs: int) -> None:
    """Profile, solve, split, run."""
    link = fit_link(*measure_link())
    print(link.sentence())
    kind = REFERENCE_CPU  # every operation has a measured time: its roofline is not used
    package = cpu_cores(
        f"cpu{chips}", kind, Interconnect("memory", link.bandwidth, link.latency, transfers="serial"), chips
    )
    print("| model | operations | predicted, ms | measured, ms CPU (quartiles) | error "
          "| of one core: predicted | measured | error | elapsed, ms "
          "| best other cut, over ours (least to most) | other cuts over ours |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |")
    rows = []
    for name in TWELVE:
        if only in name:
            with tempfile.TemporaryDirectory() as made:
                model = located(name, folder, Path(made))
                rows.append(told(name, one_model(model, package, rounds, random, inputs, Path(made))))
    errors, gains = np.abs([row[0] for row in rows]), np.array([row[1] for row in rows])
    print(f"error of the ratio: median {100 * np.median(errors):.1f}%, largest {100 * errors.max():.1f}%; "
          f"best other cut over ours: geometric mean {np.exp(np.log(gains).mean()):.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
