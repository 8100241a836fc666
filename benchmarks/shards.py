"""What parts are worth: the throughput of seven CNNs with ``shard="auto"`` over the proved optimum without.

    python benchmarks/shards.py
    python benchmarks/shards.py --hw ring36:link_bandwidth=100e9

Every answer is recomputed by the independent checker, on the graph with parts.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click
import onnx
from checked import judge

from partition import load_hardware, load_model, partition

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
MODELS = (
    "unet", "inception", str(LIGHT / "light_inception_v2.onnx"), "resnet50", "densenet",
    str(LIGHT / "light_squeezenet.onnx"), "mobilenet",
)  # fmt: skip


@click.command()
@click.option("--hw", default="ring36", show_default=True, help="The package.")
@click.option("--seconds", default=60.0, show_default=True, help="Of each of the two solves of a model.")
@click.option("--only", default="", help="Only models whose name contains this.")
def main(hw: str, seconds: float, only: str) -> None:
    """Solve without and with parts."""
    hardware = load_hardware(hw)
    print("| model | without | with | gain | proved for this graph | no parts can gain more than | seconds | wall |")
    print("| --- | ---: | ---: | ---: | --- | ---: | ---: | --- |")
    gains = []
    for model in MODELS:
        if only not in model:
            continue
        graph = load_model(model).graph
        whole = partition(graph, hardware, time_limit=seconds)
        begun = time.perf_counter()
        found = partition(graph, hardware, time_limit=seconds, shard="auto")
        passed = time.perf_counter() - begun
        judge(found.graph, hardware, found)
        assert found.shards is not None and found.wall is not None
        gains.append(whole.period / found.period)
        most = whole.period / found.shards.floor
        print(
            f"| {Path(model).stem} | {1e6 * whole.period:.2f} us ({whole.status}) | {1e6 * found.period:.2f} us "
            f"| {gains[-1]:.3f} | {found.status}, {100 * found.gap:.2g}% | {most:.2f} | {passed:.1f} "
            f"| {found.wall.kind}: {found.wall.what} |",
            flush=True,
        )
    print(f"\ngeometric mean of the gains: {math.exp(sum(map(math.log, gains)) / len(gains)):.3f}")


if __name__ == "__main__":
    main()
