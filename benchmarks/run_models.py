"""Run real ONNX models cut in two on two cores: predicted against measured, our cut against simple ones.

    pip install --no-deps rapidocr-onnxruntime magika silero-vad nudenet ddddocr chython-rxnmap
    python benchmarks/run_models.py --realtime                   # predicted against measured
    python benchmarks/run_models.py --realtime --table gain      # our cut against the others, of the same runs
    python benchmarks/run_models.py --chips 4                    # four stages that share two cores: no target

The twelve models are named below, before any run. Link, overhead of a stage and overhead per node are calibrated once,
on models made for that; the times of a model's operations come from its profile. All cuts of a model take turns
(A B C A B C ...), each run with a fresh start of its processes, and so does the whole model on one core. What is
measured is the CPU time of the busiest core per input, and the elapsed period. The speed of a shared core changes by
half within minutes. So the first error is that of a ratio: period over the time of the whole on one core, predicted,
against the median of the same ratio measured in each round. That of the period, profiled minutes before, stands beside
it. With ``--realtime`` (Linux, root)
profiles and stages have priority over all other work, for at most 30 s at a time. So elapsed time is meaningful too on
a machine that others use. The cuts: ours; equal numbers of operations, equal bytes of weights, equal FLOPs; the middle
one of the places where least crosses (blocks); random places.

Rows are kept in ``--record`` as they are measured, and not measured again at the same commit.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "tests")]

import click
import numpy as np
import onnx
from checked import judge
from record import commit, keep, kept
from split_models import SHIPPED

from partition import Graph, Hardware, Placement, evaluate_placement, partition
from partition.arrays import FloatArray
from partition.pipeline import fit_link, profile, run
from partition.pipeline.profile import Profile
from partition.pipeline.reference import measure_link, sending
from partition.problem.hardware import Interconnect
from partition.problem.hardware_files import REFERENCE_CPU, cpu_cores
from partition.split import split_model

TWELVE = (
    "ch_PP-OCRv4_det_infer", "ch_PP-OCRv4_rec_infer", "ch_ppocr_mobile_v2.0_cls_infer", "magika/models", "ifless",
    "silero_vad_half", "320n", "ddddocr/common.", "common_old", "common_det", "rxnmap:int8", "rxnmap",
)  # fmt: skip
"""A part of the file's path each; ``:int8`` after onnxruntime's dynamic quantisation."""

SIMPLE = ("operations", "weights", "FLOPs", "blocks")
"""Cuts by one measure."""

PRIORITY = 20
"""Of the real-time class, from 1 to 99."""

BURST, PAUSE = 30.0, 45.0
"""Seconds that real-time priority is held at most, and seconds that all other work then has."""

MEASURED = 0.5
"""Seconds that a run streams inputs for, about."""

DRAWS = 10_000
"""Samples of the bootstrap."""


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


@dataclass
class Turns:
    """Real-time priority for what is measured, in bursts."""

    realtime: bool
    held: float = 0.0

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Priority for this process and the ones it starts."""
        if not self.realtime:
            yield
            return
        if self.held > BURST:
            time.sleep(PAUSE)
            self.held = 0.0
        begun = time.monotonic()
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
        try:
            yield
        finally:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            self.held += time.monotonic() - begun


@dataclass(frozen=True)
class Machine:
    """What was found of it on models made for that.

    Attributes
    ----------
    package : cores with the link. stage : seconds of a stage and input besides. node : of a node besides its kernel.
    """

    package: Hardware
    stage: float
    node: float

    def timed(self, profiled: Profile) -> Graph:
        """The profiled model with its times on these cores."""
        times = dict(zip(profiled.graph.names, profiled.seconds.tolist(), strict=True))
        return profiled.graph.with_times(times, [self.package.kinds[0].name])[0]

    def predicted(self, graph: Graph, placement: Placement) -> float:
        """Seconds per input."""
        return float(evaluate_placement(graph, self.package, placement).period[0]) + self.stage


def calibrated(chips: int, turns: Turns) -> Machine:
    """Two cores and what lies between them."""
    with tempfile.TemporaryDirectory() as made, turns.turn():
        link = fit_link(*measure_link())
        onnx.save(sending(2**10, 1), str(Path(made) / "chains.onnx"))
        node = profile(Path(made) / "chains.onnx", seconds=10).overhead
    print(link.sentence() + f"; {1e6 * node:.2f} us beside each kernel", flush=True)
    memory = Interconnect("memory", link.bandwidth, link.latency, transfers="serial")
    assert link.stage is not None
    return Machine(cpu_cores(f"cpu{chips}", REFERENCE_CPU, memory, chips), link.stage, node)


def one_model(
    model: tuple[Path, dict[str, int]], machine: Machine, rounds: int, random: int, scratch: Path, turns: Turns
) -> dict[str, Any]:
    """Predicted and measured periods of all cuts of a model, seconds."""
    path, dims = model
    with turns.turn():
        profiled = profile(path, dims=dims, seconds=8)
    with turns.turn():
        plain = machine.timed(profile(path, dims=dims, seconds=4, overhead=machine.node))
    graph = machine.timed(profiled)
    result = partition(graph, machine.package, time_limit=20)
    judge(graph, machine.package, result)
    assert result.placement is not None
    placements = {"ours": result.placement, "one core": Placement(np.zeros(graph.n, np.int64))} | cuts_of(
        graph, machine.package.chips, random, np.random.default_rng(0)
    )
    for name, placement in placements.items():
        split_model(path, placement, scratch / name, dims=dims)
    inputs = int(np.clip(MEASURED / result.period, 6, 400))
    table = np.empty((rounds, len(placements), 2))
    for row in table:
        for figures, name in zip(row, placements, strict=True):
            with turns.turn():
                found = run(scratch / name, inputs=inputs)
            figures[:] = found.undisturbed_period, found.period
    return {
        "operations": graph.n, "kernels": profiled.kernels, "run": profiled.run, "gap": result.gap, "inputs": inputs,
        "names": list(placements), "predicted": [machine.predicted(graph, p) for p in placements.values()],
        "others": machine.predicted(plain, result.placement), "cpu": table[:, :, 0].tolist(),
        "elapsed": table[:, :, 1].tolist(),
    }  # fmt: skip


def interval(ratios: FloatArray) -> tuple[float, float]:
    """The middle 95% of the medians of samples drawn from (rounds,) ratios, with replacement."""
    drawn = np.random.default_rng(0).choice(ratios, (DRAWS, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return float(low), float(high)


def prediction_row(name: str, row: dict[str, Any]) -> tuple[list[str], list[float]]:
    """Cells of a model, and errors: of the ratio to one core, of the period, of the period with others' overhead."""
    cpu, elapsed = (np.array(row[key]) for key in ("cpu", "elapsed"))
    low, middle, high = np.quantile(cpu[:, 0], [0.25, 0.5, 0.75])
    predicted, alone = row["predicted"][:2]
    share, told = float(np.median(cpu[:, 0] / cpu[:, 1])), predicted / alone
    errors = [told / share - 1, predicted / middle - 1, row["others"] / middle - 1]
    cells = [
        name, str(row["operations"]), f"{told:.3f}", f"{share:.3f}", f"{100 * errors[0]:+.1f}%",
        f"{1e3 * predicted:.3f}", f"{1e3 * middle:.3f} ({1e3 * low:.3f} to {1e3 * high:.3f})",
        f"{100 * errors[1]:+.1f}%", f"{1e3 * np.median(elapsed[:, 0]):.3f}", f"{100 * errors[2]:+.1f}%",
    ]  # fmt: skip
    return cells, errors


def gain_row(name: str, row: dict[str, Any]) -> tuple[list[str], list[float]]:
    """Cells of a model, and how much longer the period is by the other cuts: simple ones, random, the best of all."""
    cpu, names = np.array(row["cpu"]), row["names"]
    ratios = cpu / cpu[:, :1]  # of the same round
    medians = np.median(ratios, axis=0)
    simple = [float(medians[names.index(each)]) for each in SIMPLE]
    drawn = [i for i, each in enumerate(names) if each.startswith("random")]
    best = min([names.index(each) for each in SIMPLE] + drawn, key=lambda i: medians[i])
    low, high = interval(ratios[:, best])
    middle = float(np.exp(np.log(medians[drawn]).mean())) if drawn else float("nan")
    least, most = min(medians[drawn], default=np.nan), max(medians[drawn], default=np.nan)
    cells = [
        name, *(f"{x:.3f}" for x in simple), f"{middle:.3f} ({least:.3f} to {most:.3f})",
        f"{names[best]} {medians[best]:.3f} ({low:.3f} to {high:.3f})", f"{np.median(ratios[:, 1]):.2f}",
    ]  # fmt: skip
    return cells, [*simple, middle, float(medians[best]), high]


PREDICTION = (
    "model",
    "operations",
    "period over one core: predicted",
    "measured",
    "error",
    "period predicted, ms",
    "measured, ms CPU (quartiles)",
    "error",
    "elapsed, ms",
    "error with others' overhead per node",
)
GAIN = ("model", *(f"equal {each}" for each in SIMPLE), "ten random (least to most)", "best of all (95%)", "one core")


def told(rows: dict[str, dict[str, Any]], table: str) -> None:
    """Print a table and what it comes to."""
    headers, of = (GAIN, gain_row) if table == "gain" else (PREDICTION, prediction_row)
    found = [of(name, row) for name, row in rows.items()]
    if table == "gain":
        figures = np.exp(np.log([row[1] for row in found]).mean(axis=0))
        found.append((["geometric mean", *(f"**{x:.3f}**" for x in figures[:-1]), ""], []))
        lost = [cells[0] for cells, figures in found[:-1] if figures[-1] < 1]
        summary = f"a better cut beyond its interval: {', '.join(lost) or 'none'}"
    else:
        off = np.abs([row[1] for row in found])
        summary = "; ".join(
            f"{what}: median {100 * np.median(x):.1f}%, largest {100 * x.max():.1f}%"
            for what, x in zip(
                ("error of the ratio", "of the period", "with others' node overhead"), off.T, strict=True
            )
        )
    print("| " + " | ".join(headers) + " |\n| --- |" + " ---: |" * (len(headers) - 1))
    print("\n".join("| " + " | ".join(cells) + " |" for cells, _ in found))
    print(f"\n{summary}")


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Where the wheels were unpacked, if not installed.")
@click.option("--only", default="", help="Only models whose name contains this.")
@click.option("--chips", default=2, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--random", default=10, show_default=True, help="Random cuts.")
@click.option("--realtime", is_flag=True, help="Priority over all other work, in bursts.")
@click.option("--table", type=click.Choice(["prediction", "gain"]), default="prediction", show_default=True)
@click.option("--at", help="Commit whose rows are told; nothing is measured.")
@click.option("--record", "store", type=click.Path(path_type=Path), help="File of rows, by default one in the folder"
              " of temporary files.")  # fmt: skip
def main(
    folder: Path | None,
    only: str,
    chips: int,
    rounds: int,
    random: int,
    realtime: bool,
    table: str,
    at: str | None,
    store: Path | None,
) -> None:
    """Profile, solve, split, run."""
    of, turns = at or commit(), Turns(realtime)
    store = store or Path(tempfile.gettempdir()) / f"run_models_{chips}.jsonl"
    rows = {row["model"]: row for row in kept(store, of)}
    wanted = [name for name in TWELVE if only in name and (at is None or name in rows)]
    machine = calibrated(chips, turns) if set(wanted) - set(rows) else None
    for name in wanted:
        if name not in rows:
            assert machine is not None
            with tempfile.TemporaryDirectory() as made:
                model = located(name, folder, Path(made))
                rows[name] = one_model(model, machine, rounds, random, Path(made), turns)
            keep(store, {"commit": of, "model": name} | rows[name])
            print(f"{name} is measured", flush=True)
    told({name: rows[name] for name in wanted}, table)


if __name__ == "__main__":
    main()
