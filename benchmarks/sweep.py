"""A sweep over 200 designs beside 200 separate solves: processor time, and every bound held against every placement.

    python benchmarks/sweep.py
    python benchmarks/sweep.py --model densenet --tight      # SRAM near the least that fits, so that it always tells
    python benchmarks/sweep.py --instances 400 --work 0.3    # small random sweeps against brute force instead

Both solve in this process, one design after the other, with the same limit of work for each; loading is not counted.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click
from checked import as_given
from exhaustive import brute_force
from small_sweeps import SLACK, helped, small_sweep, untrue

from partition import Graph, Hardware, NoSolutionInTime, Sweep, load_hardware, load_model, partition
from partition.results.sweep_result import SweepResult
from partition.solve.sweep import designs

MIB = 2.0**20
BANDWIDTHS = [4e9, 8e9, 16e9, 32e9, 64e9]
GRIDS: dict[str, Mapping[str, Sequence[float]]] = {
    "bert-large": {
        "chips": [12, 16, 18, 20, 24, 28, 32, 36],
        "sram_bytes": [64 * MIB, 96 * MIB, 128 * MIB, 192 * MIB, 256 * MIB],
        "link_bandwidth": BANDWIDTHS,
    },
    "densenet": {
        "chips": [2, 4, 6, 8, 10, 12, 14, 16],
        "sram_bytes": [2 * MIB, 4 * MIB, 8 * MIB, 16 * MIB, 32 * MIB],
        "link_bandwidth": BANDWIDTHS,
    },
}
TIGHT: dict[str, Mapping[str, Sequence[float]]] = {
    "bert-large": {
        "chips": [16, 20, 24, 28, 36],
        "sram_bytes": [v * MIB for v in (72, 80, 88, 96, 112, 128, 144, 192)],
        "link_bandwidth": BANDWIDTHS,
    },
    "densenet": {
        "chips": [4, 6, 8, 12, 16],
        "sram_bytes": [v * 1e6 for v in (2.1, 2.4, 2.8, 3.2, 3.6, 4.0, 5.0, 8.0)],
        "link_bandwidth": BANDWIDTHS,
    },
}
"""SRAM just above what the largest operation needs."""


@dataclass(frozen=True)
class Separate:
    """What a solve of one design alone gives; infinite where nothing fits, or nothing was found."""

    status: str
    period: float
    bound: float


def alone(graph: Graph, hardware: Hardware, work: float) -> Separate:
    try:
        found = partition(graph, hardware, work_limit=work)
    except NoSolutionInTime:
        return Separate("none", math.inf, 0.0)
    return Separate(found.status, found.period, found.bound)


def refuted(swept: SweepResult, separate: Sequence[Separate]) -> list[str]:
    """Designs of which a bound, of either way, is above a placement of the other."""
    wrong = []
    for row, other in zip(swept, separate, strict=True):
        bound = math.inf if row.status == "infeasible" else row.bound or 0.0
        period = math.inf if row.period is None else row.period
        if bound > other.period * (1 + SLACK) or other.bound > period * (1 + SLACK):
            wrong.append(row.hardware.name)
    return wrong


def compare(name: str, grid: Mapping[str, Sequence[float]], work: float) -> list[str]:
    """A row of the table."""
    graph, package = load_model(name).graph, load_hardware("ring36")
    asked = [hardware for hardware, _ in designs(package, grid)]
    partition(graph, asked[-1], work_limit=work)  # what is made once for a graph is made
    begun = time.process_time()
    swept = Sweep(graph, work_limit=work).solve(asked)
    seconds = time.process_time() - begun
    click.echo(f"{swept} ({seconds:.1f} s of processor time)", err=True)
    begun = time.process_time()
    separate = [alone(graph, hardware, work) for hardware in asked]
    each = time.process_time() - begun
    wrong = refuted(swept, separate)
    settled = sum(one.status in ("optimal", "infeasible") for one in separate)
    ours = sum(row.status in ("optimal", "infeasible") for row in swept)
    return [
        f"{name} on {len(asked)} designs", f"{sum(row.status == 'infeasible' for row in swept)}", f"{swept.searches}",
        f"{ours}", f"{settled}", f"{seconds:.1f} s", f"{each:.1f} s", f"{each / seconds:.1f}", f"{len(wrong)}",
    ]  # fmt: skip


HEAD = [
    "model", "of them infeasible", "searches", "settled", "settled alone", "sweep, processor time",
    "separate solves", "times as fast", "bounds refuted",
]  # fmt: skip


def against_brute_force(instances: int, first: int, work: float) -> int:
    """Sweeps of a random question and of changes of its package; how many bounds or answers are wrong."""
    wrong = compared = told = 0
    for seed in range(first, first + instances):
        graph, swept = small_sweep(seed, work)
        for row in swept:
            try:
                best, _ = brute_force(as_given(graph, row.hardware), limit=3000)
            except OverflowError:
                continue
            compared += 1
            told += helped(row)
            if found := untrue(row, best):
                wrong += 1
                click.echo(f"seed {seed}: {row}: {'; '.join(found)}", err=True)
    click.echo(f"{compared} designs compared, {told} of them with help from others, {wrong} wrong")
    return wrong


@click.command()
@click.option("--model", "models", multiple=True, default=("bert-large", "densenet"), help="Of the sweeps; repeatable.")
@click.option("--work", default=10.0, show_default=True, help="Units of work for each search.")
@click.option("--tight", is_flag=True, help="SRAM near the least that fits.")
@click.option("--instances", type=int, help="Random sweeps against brute force instead.")
@click.option("--first-seed", default=0, show_default=True)
def main(models: tuple[str, ...], work: float, tight: bool, instances: int | None, first_seed: int) -> None:
    """Compare a sweep with separate solves."""
    if instances is not None:
        sys.exit(1 if against_brute_force(instances, first_seed, work) else 0)
    click.echo(f"| {' | '.join(HEAD)} |")
    click.echo(f"| --- |{' ---: |' * (len(HEAD) - 1)}")
    wrong = 0
    for name in models:
        row = compare(name, (TIGHT if tight else GRIDS)[name], work)
        wrong += int(row[-1])
        click.echo(f"| {' | '.join(row)} |")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
