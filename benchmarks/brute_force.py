"""The solver against brute force on thousands of small random instances: optimum, bound and infeasibility.

    python benchmarks/brute_force.py --instances 5000
    python benchmarks/brute_force.py --instances 5000 --milp-only   # no seeds, no ideals: the MILP alone

Brute force is tests/exhaustive.py, which shares no code with the library. Prints how many instances of every
combination of rules and transfers were compared; at the first disagreement it prints the seed and exits with 1.
"""

from __future__ import annotations

import collections
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click
import numpy as np
from exhaustive import brute_force
from instances import (
    RULES,
    answer_of,
    random_instance,
    random_mixed_instance,
    random_passing_instance,
    random_tight_instance,
    random_training_instance,
)
from oracle import certify

import milp.search
from partition import partition
from partition.description import describe


def compare(seed: int, unit: float) -> str | None:
    """The combination the instance belongs to, None if it is too large; AssertionError on a disagreement."""
    rng = np.random.default_rng(seed)
    if seed % 5 == 0:
        graph, hardware = random_training_instance(rng)
    elif seed % 5 == 1:
        graph, hardware = random_mixed_instance(rng)
    elif seed % 5 == 2:
        graph, hardware = random_tight_instance(rng)
    elif seed % 10 == 3:
        graph, hardware = random_passing_instance(rng)
    else:
        graph, hardware = random_instance(rng, unit=unit)
    problem = describe(graph, hardware)
    try:
        best, _ = brute_force(problem, limit=20_000)
    except OverflowError:
        return None
    result = partition(graph, hardware, time_limit=60)
    certify(problem, answer_of(result))
    assert (result.status == "infeasible") == (best is None), f"{result.status}, brute force found {best}"
    if best is not None:
        assert result.status == "optimal", result.status
        assert result.bound <= best * (1 + 1e-9), f"bound {result.bound} above the optimum {best}"
        assert best * (1 - 1e-9) <= result.period <= best * (1 + 1.01e-4), f"{result.period} against {best}"
    on = "+".join(name for name in RULES if getattr(hardware.rules, name)) or "none"
    kind = "training" if graph.backward.any() else "inference"
    kind += " scheduled" if hardware.rules.dynamic_memory else ""
    kind += "" if hardware.identical_chips else f" {hardware.kind_order} kinds"
    return f"{hardware.interconnect.topology:<6} {hardware.interconnect.transfers:<10} {kind:<21} {on}"


@click.command()
@click.option("--instances", default=2000, show_default=True)
@click.option("--first-seed", default=100_000, show_default=True)
@click.option("--milp-only", is_flag=True, help="Switch off the seeds and the ideals.")
@click.option("--unit", default=1.0, show_default=True, help="Scale of all times.")
@click.option("--json", "as_json", is_flag=True)
def main(instances: int, first_seed: int, milp_only: bool, unit: float, as_json: bool) -> None:
    """Compare and count."""
    if milp_only:
        milp.search._ideals = lambda *_: None
        milp.search.slice_orders = lambda *_: None
    counts: collections.Counter[str] = collections.Counter()
    skipped, begun = 0, time.perf_counter()
    for seed in range(first_seed, first_seed + instances):
        try:
            combination = compare(seed, unit)
        except Exception as error:
            print(f"seed {seed}: {type(error).__name__}: {error}")
            sys.exit(1)
        counts[combination or ""] += 1
        skipped += combination is None
    compared = instances - skipped
    if as_json:
        print(json.dumps({"compared": compared, "skipped": skipped, "combinations": dict(counts)}))
        return
    counts.pop("", None)
    for combination, count in sorted(counts.items()):
        print(f"{count:5d}  {combination}")
    seconds = time.perf_counter() - begun
    print(
        f"{compared} instances agree, {skipped} too large for brute force, {len(counts)} combinations, {seconds:.0f} s"
    )


if __name__ == "__main__":
    main()
