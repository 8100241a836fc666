"""A sweep over 200 designs beside separate solves: processor time, and every bound held against every placement.

    python benchmarks/sweep.py
    python benchmarks/sweep.py --model densenet --tight      # SRAM near the least that fits, so that it always tells
    python benchmarks/sweep.py --separate 0    # all 200 alone, not 30 drawn
    python benchmarks/sweep.py --instances 400 --work 0.3    # small random sweeps against brute force instead

Both solve in this process, one design after the other, with the same limit of work for each; loading is not counted.
The time of the separate solves is that of the drawn ones, scaled to all.
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
import numpy as np
from checked import as_given
from exhaustive import brute_force
from small_sweeps import SLACK, helped, small_sweep, untrue

from partition import Graph, Hardware, NoSolutionInTime, Sweep, load_hardware, load_model, partition
from partition.results.sweep_result import SweepRow
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


def ends(row: SweepRow | Separate) -> tuple[float, float]:
    """Bound and period; infinite where nothing fits, or nothing was found."""
    bound = math.inf if row.status == "infeasible" else row.bound or 0.0
    return bound, math.inf if row.period is None else row.period


def refuted(ours: SweepRow, other: Separate) -> bool:
    """Whether a bound of either is above a placement of the other."""
    (bound, period), (bound_alone, period_alone) = ends(ours), ends(other)
    return bound > period_alone * (1 + SLACK) or bound_alone > period * (1 + SLACK)


def closed(row: SweepRow | Separate) -> bool:
    return row.status in ("optimal", "infeasible")


def wider(one: SweepRow | Separate, other: SweepRow | Separate) -> bool:
    """Whether an answer leaves more open than another, by more than 0.01%."""
    (bound, period), (bound_other, period_other) = ends(one), ends(other)
    return not closed(one) and 1 - bound / period > 1 - bound_other / period_other + 1e-4


def compare(name: str, grid: Mapping[str, Sequence[float]], work: float, drawn: int) -> list[str]:
    """A row of the table."""
    graph, package = load_model(name).graph, load_hardware("ring36")
    asked = [hardware for hardware, _ in designs(package, grid)]
    partition(graph, asked[-1], work_limit=work)  # what is made once for a graph is made
    begun = time.process_time()
    swept = Sweep(graph, work_limit=work).solve(asked)
    seconds = time.process_time() - begun
    click.echo(f"{swept} ({seconds:.1f} s of processor time)", err=True)
    chosen = np.random.default_rng(0).permutation(len(asked))[: drawn or None]
    begun = time.process_time()
    separate = [alone(graph, asked[i], work) for i in chosen]
    each = (time.process_time() - begun) * len(asked) / len(chosen)
    pairs = [(swept[i], other) for i, other in zip(chosen, separate, strict=True)]
    return [
        f"{name} on {len(asked)} designs", f"{swept.searches}", f"{sum(map(closed, swept))}", f"{len(chosen)}",
        f"{sum(closed(ours) for ours, _ in pairs)}", f"{sum(closed(other) for _, other in pairs)}",
        f"{sum(wider(*pair) for pair in pairs)}", f"{sum(wider(other, ours) for ours, other in pairs)}",
        f"{seconds:.1f} s", f"{each:.1f} s", f"{each / seconds:.1f}", f"{sum(refuted(*pair) for pair in pairs)}",
    ]  # fmt: skip


HEAD = [
    "model", "searches", "settled", "drawn", "of these settled", "settled alone", "gap wider than alone",
    "gap smaller than alone", "sweep, processor time", "all alone, scaled", "times as fast", "bounds refuted",
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
@click.option("--separate", default=30, show_default=True, help="Designs that are solved alone too; 0: all.")
@click.option("--instances", type=int, help="Random sweeps against brute force instead.")
@click.option("--first-seed", default=0, show_default=True)
def main(
    models: tuple[str, ...], work: float, tight: bool, separate: int, instances: int | None, first_seed: int
) -> None:
    """Compare a sweep with separate solves."""
    if instances is not None:
        sys.exit(1 if against_brute_force(instances, first_seed, work) else 0)
    click.echo(f"| {' | '.join(HEAD)} |")
    click.echo(f"| --- |{' ---: |' * (len(HEAD) - 1)}")
    wrong = 0
    for name in models:
        row = compare(name, (TIGHT if tight else GRIDS)[name], work, separate)
        wrong += int(row[-1])
        click.echo(f"| {' | '.join(row)} |")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
