"""What parts are worth: the throughput of seven CNNs with ``shard="auto"`` over the proved optimum without.

    python benchmarks/shards.py
    python benchmarks/shards.py --hw ring36:link_bandwidth=100e9
    python benchmarks/shards.py --hw ring8 --torch

Every answer is recomputed by the independent checker, on the graph with parts.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import click
import onnx
from checked import judge

from partition import Graph, Hardware, load_hardware, load_model, partition

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
MODELS = (
    "unet", "inception", str(LIGHT / "light_inception_v2.onnx"), "resnet50", "densenet",
    str(LIGHT / "light_squeezenet.onnx"), "mobilenet",
)  # fmt: skip


@click.command()
@click.option("--hw", default="ring36", show_default=True, help="The package.")
@click.option("--seconds", default=60.0, show_default=True, help="Of each of the two solves of a model.")
@click.option("--only", default="", help="Only models whose name contains this.")
@click.option("--torch", "of_torch", is_flag=True, help="Four models of PyTorch, beside all work spread evenly.")
def main(hw: str, seconds: float, only: str, of_torch: bool) -> None:
    """Solve without and with parts."""
    hardware = load_hardware(hw)
    if of_torch:
        beside_even_work(hardware, seconds, only)
        return
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


def beside_even_work(hardware: Hardware, seconds: float, only: str) -> None:
    """Periods of models of PyTorch whose results may leave in parts."""
    import torch
    from torch_zoo import of_walls

    print("| model | without | all work spread evenly | with parts | of that | proved for this graph | parts |")
    print("| --- | ---: | ---: | ---: | ---: | --- | --- |")
    for name, make in of_walls().items():
        if only not in name:
            continue
        module, args, kwargs = make()
        graph = Graph.from_torch(torch.export.export(module, args, kwargs, strict=False))
        even = float(hardware.times(graph).min(axis=0).sum()) / hardware.chips
        found = partition(graph, hardware, time_limit=seconds, shard="apart")
        judge(found.graph, hardware, found)
        assert found.shards is not None and found.shards.period is not None
        parts = ", ".join(f"{op.rpartition('/')[2]} in {k}" for op, k in found.shards.parts.items())
        print(
            f"| {name} | {1e6 * found.shards.period:.1f} us | {1e6 * even:.1f} us | {1e6 * found.period:.1f} us "
            f"| {found.period / even:.3f} | {found.status}, {100 * found.gap:.2g}% | {parts} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
