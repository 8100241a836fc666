"""PyTorch architectures cut into stages by ``split_torch``: results of the stages against those of the whole.

    pip install torch==2.14.1 torchvision==0.29.1 transformers
    python benchmarks/torch_split.py

Each model is made by its configuration class with random weights, exported, and solved for 2 and for 4 cores. The
stages run one after the other on the example inputs and on others, each given only what it declares.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "tests")]

import click
import torch
from checked import judge
from torch.utils import _pytree as pytree
from torch_zoo import MODELS

from partition import Graph, load_hardware, partition
from partition.pipeline import split_torch

SIX = ("bert", "llama", "swin", "t5", "mixtral", "resnet50")


def others(inputs: Any, seed: int) -> Any:
    """Inputs of the same form with other values: whole numbers among those seen, floats anew."""
    drawn = torch.Generator().manual_seed(seed)

    def other(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if value.is_floating_point():
            return torch.randn(value.shape, generator=drawn, dtype=value.dtype)
        most = max(int(value.max()) + 1, 2) if value.numel() else 2
        return torch.randint(0, most, value.shape, generator=drawn, dtype=value.dtype)

    return pytree.tree_map(other, inputs)


def difference(whole: Any, parts: Any) -> float:
    """The largest of all results, over the largest element of its own."""
    pairs = zip(pytree.tree_leaves(whole), pytree.tree_leaves(parts), strict=True)
    return max(
        float((a.double() - b.double()).abs().max() / max(float(a.double().abs().max()), 1e-30))
        for a, b in pairs
        if isinstance(a, torch.Tensor)
    )


def row(name: str, stages: int, seed: int) -> list[str]:
    """The cells of a model in so many stages."""
    torch.manual_seed(0)
    module, args, kwargs = MODELS[name]()
    with torch.no_grad():
        program = torch.export.export(module, args, kwargs, strict=False)
        graph, hardware = Graph.from_torch(program), load_hardware(f"cpu{stages}")
        result = partition(graph, hardware, work_limit=5)
        judge(graph, hardware, result)
        cut = split_torch(program, result)
        worst = 0.0
        for inputs in [(args, kwargs), others((args, kwargs), seed), others((args, kwargs), seed + 1)]:
            whole = program.module()(*inputs[0], **inputs[1])
            worst = max(worst, difference(whole, cut(*inputs[0], **inputs[1])))
    crossing = sum(len(stage.sends) for stage in cut.stages)
    load = result.cost.load[0]  # type: ignore[union-attr]
    return [name, str(graph.n), str(len(cut.stages)), f"{result.gap:.2%}", f"{load.max() / load.sum() * stages:.3f}",
            str(crossing), "equal" if worst == 0 else f"{worst:.1g}"]  # fmt: skip


@click.command()
@click.option("--only", default="", help="Only models whose name contains this.")
@click.option("--seed", default=1, show_default=True, help="Of the other inputs.")
def main(only: str, seed: int) -> None:
    """Export, solve, split, compare."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print("| model | operations | stages | gap | busiest stage, over an even share | tensors that cross | results |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for name in SIX:
        for stages in (2, 4):
            if only in name:
                print("| " + " | ".join(row(name, stages, seed)) + " |", flush=True)


if __name__ == "__main__":
    main()
