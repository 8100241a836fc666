"""How fast models are written: rows per second of two commits, and the share of building in a whole solve.

    python benchmarks/building.py 81e15b2 HEAD      # the last builder by Pyomo rows against this state

The commits take turns, each time in a process of its own. Seconds are of processor time: model and matrix, ready for
HiGHS. Memory is the most that the process held.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from compare_commits import ROOT, checkout, find

CASES = {
    "bert-large x ring36": ("bert-large", "ring36", 1.03, False),
    "resnet50 x ring36, triangle exact": ("resnet50", "ring36", 1.5, True),
    "gnmt x ring16": ("gnmt", "ring16", 1.1, False),
    "bert-large x ring36, serial": ("bert-large", "ring36:transfers=serial", 1.1, False),
}
"""Model, package, threshold in units of the trivial bound, and whether every rule is written out."""

SOLVED = "bert-large", "ring36"
"""What is solved whole."""


def built(case: str, rounds: int) -> dict[str, Any]:
    """Rows, nonzeros, seconds to build and compile (the least of some rounds) and memory."""
    from partition import load_hardware, load_model

    model, package, threshold, complete = CASES[case]
    instance = find("contract")(load_model(model).graph, load_hardware(package))
    windows = find("WindowRules")(instance).windows(threshold)
    choices = find("Choices").complete(instance) if complete else None
    build, compile_model = find("build"), find("compile_model")
    seconds = []
    for _ in range(rounds):
        begun = time.process_time()
        compiled = compile_model(build(instance, windows, choices=choices, upper=threshold))
        seconds.append(time.process_time() - begun)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": compiled.A.shape[0], "nonzeros": compiled.A.nnz, "seconds": min(seconds), "megabytes": memory}


def solved() -> dict[str, Any]:
    """Seconds of processor time of a whole solve, and what of them went into building."""
    import milp.search.period  # noqa: F401
    from partition import load_hardware, load_model, partition

    spent = []

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            begun = time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                spent.append(time.process_time() - begun)

        return call

    for name in ("build", "compile_model"):
        original, wrapped = find(name), timed(find(name))
        for module in [module for key, module in sys.modules.items() if key.startswith("milp.")]:
            if getattr(module, name, None) is original:
                setattr(module, name, wrapped)
    graph, hardware = load_model(SOLVED[0]).graph, load_hardware(SOLVED[1])
    begun = time.process_time()
    result = partition(graph, hardware, time_limit=60)
    return {"status": result.status, "seconds": time.process_time() - begun, "building": sum(spent)}


def measured(tree: Path, *what: str) -> dict[str, Any]:
    """One measurement in a process of its own, on the library of a commit."""
    path = os.pathsep.join([str(tree), str(ROOT / "benchmarks")])
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", *what]
    done = subprocess.run(command, cwd=tree, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@click.command()
@click.argument("old")
@click.argument("new")
@click.option("--turns", default=3, show_default=True, help="Processes of each commit for each case.")
def main(old: str, new: str, turns: int) -> None:
    """Measure and print."""
    with checkout(old) as one, checkout(new) as two:
        print("| model | rows | nonzeros | old rows/s | new rows/s | times | old MB | new MB |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for case in CASES:
            runs: tuple[list[Any], list[Any]] = ([], [])
            for _ in range(turns):
                for found, tree in zip(runs, (one, two), strict=True):
                    found.append(measured(tree, case))
            seconds = [statistics.median(run["seconds"] for run in each) for each in runs]
            memory = [statistics.median(run["megabytes"] for run in each) for each in runs]
            size = [(each[0]["rows"], each[0]["nonzeros"]) for each in runs]
            rate = [rows / spent for (rows, _), spent in zip(size, seconds, strict=True)]
            shape = f"{size[1][0]:,} | {size[1][1]:,}" + ("" if size[0] == size[1] else " (old: another)")
            figures = f"{rate[0]:,.0f} | {rate[1]:,.0f} | {rate[1] / rate[0]:.0f} | {memory[0]:.0f} | {memory[1]:.0f}"
            print(f"| {case} | {shape} | {figures} |", flush=True)
        for name, tree in (("old", one), ("new", two)):
            runs_of = [measured(tree, "solve") for _ in range(turns)]
            share = statistics.median(run["building"] / run["seconds"] for run in runs_of)
            seconds_of = statistics.median(run["seconds"] for run in runs_of)
            print(f"{name}: {' on '.join(SOLVED)} solved in {seconds_of:.2f} s, of which building {100 * share:.1f}%")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(solved() if sys.argv[2] == "solve" else built(sys.argv[2], 3)))
    else:
        main()
