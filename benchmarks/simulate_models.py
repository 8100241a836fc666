"""Simulated against predicted throughput: every built-in model on several packages, with ample and with few buffers.

    python benchmarks/simulate_models.py

A table with a row per model and package, the error of the period with unlimited buffers and with two per tensor (double
buffering), and the fewest buffers that reach the prediction within 1%.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click
from checked import judge

from partition import NoSolutionInTime, load_hardware, load_model, partition
from partition.models import MODELS
from partition.simulate import simulate

PACKAGES = ("ring8:memory=off", "ring36:transfers=serial,memory=off", "mesh4x4:memory=off", "crossbar8:memory=off")


@click.command()
@click.option("--only", default="", help="Only models whose name contains this.")
@click.option("--seconds", default=5.0, show_default=True, help="Of solving per instance.")
@click.option("--inputs", default=150, show_default=True)
def main(only: str, seconds: float, inputs: int) -> None:
    """Solve, simulate, compare."""
    print("| model | package | predicted, ms | error, ample buffers | error, 2 buffers | buffers for 1% | seconds |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    worst, where, count = 0.0, "", 0
    for model in sorted(name for name in MODELS if only in name):
        graph = load_model(model).graph
        for spec in PACKAGES:
            try:
                result = partition(graph, load_hardware(spec), time_limit=seconds)
            except NoSolutionInTime:
                print(f"| {model} | {spec} | no answer in {seconds:g} s | | | | |")
                continue
            judge(graph, load_hardware(spec), result)
            if result.placement is None:
                continue
            begun = time.perf_counter()
            hardware, placement = result.hardware, result.placement
            ample = simulate(graph, hardware, placement, inputs=inputs)
            passed = time.perf_counter() - begun
            two = simulate(graph, hardware, placement, inputs=inputs, buffers=2)
            enough: float = math.inf
            for buffers in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48):
                if abs(simulate(graph, hardware, placement, inputs=inputs, buffers=buffers).error) <= 0.01:
                    enough = buffers
                    break
            count += 1
            if abs(ample.error) >= worst:
                worst, where = abs(ample.error), f"{model} on {spec}"
            print(
                f"| {model} | {spec} | {1e3 * ample.predicted:.4f} | {100 * ample.error:+.3f}% "
                f"| {100 * two.error:+.2f}% | {enough:g} | {passed:.1f} |",
                flush=True,
            )
    print(f"\n{count} instances; worst error with ample buffers {100 * worst:.2f}%, {where}")


if __name__ == "__main__":
    main()
