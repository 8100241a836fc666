"""An independent simulator: placements played out in SimGrid, against the predicted period and our own simulation.

    apt-get install python3-simgrid
    python benchmarks/simgrid.py

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

from partition import load_hardware, load_model, partition
from partition.results.description import describe
from partition.simulate import simulate

MODELS = ("resnet50", "vgg", "mobilenet", "unet", "bert-base", "vit")
PACKAGES = (
    "ring4:memory=off", "ring8:transfers=serial,memory=off", "mesh2x3:memory=off", "crossbar8:memory=off",
    "biring6:memory=off",
)  # fmt: skip
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


@click.command()
@click.option("--python", default="/usr/bin/python3", show_default=True, help="That has simgrid.")
@click.option("--only", default="", help="Only models whose name contains this.")
@click.option("--inputs", default=200, show_default=True)
def main(python: str, only: str, inputs: int) -> None:
    """Solve, simulate twice, compare."""
    print("| model | package | predicted, ms | SimGrid | our simulation |\n| --- | --- | ---: | ---: | ---: |")
    close = count = 0
    for model in (name for name in MODELS if only in name):
        graph = load_model(model).graph
        for spec in PACKAGES:
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
