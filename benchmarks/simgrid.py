"""An independent simulator: placements played out in SimGrid, against the predicted period and our own simulation.

    apt-get install python3-simgrid
    python benchmarks/simgrid.py
    python benchmarks/simgrid.py --set others      # routes, meshes, streamed weights, several models at rates

``benchmarks/simgrid_actors.py`` does the playing under the system's Python. It shares no code with the library, and
derives transfers and routes anew from the JSON of ``inspect`` and ``solve``. A row for each of 30 placements.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click
from checked import judge

from partition import Graph, load_hardware, load_model, partition
from partition.readers.several import join_models
from partition.results.description import describe
from partition.simulate import simulate

MODELS = ("resnet50", "vgg", "mobilenet", "unet", "bert-base", "vit")
PACKAGES = (
    "ring4:memory=off", "ring8:transfers=serial,memory=off", "mesh2x3:memory=off", "crossbar8:memory=off",
    "biring6:memory=off",
)  # fmt: skip
PAIRS = [(model, spec) for model in MODELS for spec in PACKAGES]
OTHERS = [
    *((model, spec) for model in ("densenet", "resnet", "inception", "randwire")
      for spec in ("mesh3x3:memory=off", "bichain5:memory=off", "biring7:transfers=serial,memory=off",
                   "chain6:memory=off")),
    *((model, spec) for model in ("vgg", "gpt", "bert-large")
      for spec in ("ring6:streaming=on", "chain4:streaming=serial,transfers=serial")),
    *((models, spec) for models in ("mobilenet+resnet50@2", "vit+unet@3", "dlrm@4+bert-base")
      for spec in ("ring5:memory=off", "mesh2x2:memory=off", "crossbar6:transfers=serial,memory=off")),
]  # fmt: skip
"""Pairs of models, some at rates on one package, and packages."""

CLOSE = 0.01


def played(python: str, problem: object, answer: object, inputs: int) -> float:
    """SimGrid's period."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "placement.json"
        path.write_text(json.dumps({"problem": problem, "answer": answer, "inputs": inputs}))
        done = subprocess.run(
            [python, "-P", str(ROOT / "benchmarks/simgrid_actors.py"), str(path)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    return float(json.loads(done.stdout)["period"])


def placed_together(models: str) -> Graph:
    """The graph of a model, or of several at their rates, as ``a+b@2`` names them."""
    rows = [each.partition("@") for each in models.split("+")]
    graphs = [load_model(name).graph for name, _, _ in rows]
    return graphs[0] if len(rows) == 1 else join_models(graphs, [int(rate or 1) for _, _, rate in rows])


@click.command()
@click.option("--python", default="/usr/bin/python3", show_default=True, help="That has simgrid.")
@click.option("--only", default="", help="Only models whose name contains this.")
@click.option("--inputs", default=200, show_default=True)
@click.option("--set", "chosen", type=click.Choice(["first", "others"]), default="first", show_default=True)
def main(python: str, only: str, inputs: int, chosen: str) -> None:
    """Solve, simulate twice, compare."""
    print("| model | package | predicted, ms | SimGrid | our simulation |\n| --- | --- | ---: | ---: | ---: |")
    close = count = 0
    for model, spec in PAIRS if chosen == "first" else OTHERS:
        if only not in model:
            continue
        graph = placed_together(model)
        result = partition(graph, load_hardware(spec), work_limit=5)
        judge(graph, load_hardware(spec), result)
        assert result.placement is not None
        problem, answer = describe(graph, result.hardware), json.loads(result.to_json())
        other = played(python, problem, answer, inputs) / result.period - 1
        own = simulate(graph, result.hardware, result.placement, inputs=inputs).error
        close, count = close + (abs(other) <= CLOSE), count + 1
        print(
            f"| {model} | {spec} | {1e3 * result.period:.4f} | {100 * other:+.3f}% | {100 * own:+.3f}% |",
            flush=True,
        )
    print(f"\nSimGrid within {100 * CLOSE:g}% of the predicted period: {close} of {count}")


if __name__ == "__main__":
    main()
