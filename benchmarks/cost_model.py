"""Evaluations per second of the cost model beside a plain compiled loop doing the same sums.

    python benchmarks/cost_model.py            # BERT-large on ring36, batches of 1, 64 and 1024
    python benchmarks/cost_model.py --json

The loop is C, compiled with the system compiler (cc -O2) for this benchmark only. Both run on one thread, take
turns, and are checked to agree. Two kinds of batches: slicings of a topological order (what a search visits) and
uniformly random chips.
"""

from __future__ import annotations

import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import numpy as np

from partition import CostModel, Graph, Hardware, load_hardware, load_model


def compiled_loop(graph: Graph, hardware: Hardware) -> Callable[[np.ndarray], np.ndarray]:
    """The C loop as a function of an (B, n) int64 array."""
    folder = tempfile.mkdtemp()
    library = Path(folder) / "cost_model.so"
    source = Path(__file__).with_suffix(".c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    function = ctypes.CDLL(str(library)).periods
    fixed = [
        np.ascontiguousarray(hardware.times(graph)[0]),
        np.ascontiguousarray(hardware.transfer_times(graph)),
        *(np.ascontiguousarray(a, dtype=np.int64) for a in (graph.producer, graph.consumer_ptr, graph.consumers)),
    ]

    def pointer(array: np.ndarray) -> ctypes.c_void_p:
        return ctypes.c_void_p(array.ctypes.data)

    def periods(assignments: np.ndarray) -> np.ndarray:
        result = np.empty(len(assignments))
        sizes = (ctypes.c_int64(x) for x in (len(assignments), graph.n, graph.m, hardware.chips))
        function(*sizes, pointer(assignments), *(pointer(a) for a in fixed), pointer(result))
        return result

    return periods


def batches(graph: Graph, chips: int, size: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A batch of each kind."""
    sliced = np.empty((size, graph.n), dtype=np.int64)
    cuts = np.sort(rng.integers(0, graph.n, size=(size, chips - 1)), axis=1)
    for row in range(size):
        sliced[row, graph.topological_order] = np.searchsorted(cuts[row], np.arange(graph.n), side="right")
    return {"sliced": sliced, "random": rng.integers(0, chips, size=(size, graph.n))}


def timed(function: Callable[[np.ndarray], np.ndarray], batch: np.ndarray, seconds: float) -> float:
    """Evaluations per second over at least some time."""
    begun, calls = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        function(batch)
        calls += 1
    return calls * len(batch) / (time.perf_counter() - begun)


@click.command()
@click.option("--model", default="bert-large", show_default=True)
@click.option("--hw", default="ring36", show_default=True, help="A ring with overlapped transfers.")
@click.option("--rounds", default=7, show_default=True, help="Turns each takes; medians are shown.")
@click.option("--json", "as_json", is_flag=True)
def main(model: str, hw: str, rounds: int, as_json: bool) -> None:
    """Print the table."""
    graph, hardware = load_model(model).graph, load_hardware(hw)
    loop, cost = compiled_loop(graph, hardware), CostModel(graph, hardware)
    rng = np.random.default_rng(0)
    rows = []
    for size in (1, 64, 1024):
        for kind, batch in batches(graph, hardware.chips, size, rng).items():
            np.testing.assert_allclose(cost.period(batch), loop(batch), rtol=1e-9)
            pairs = [(timed(cost.period, batch, 0.3), timed(loop, batch, 0.3)) for _ in range(rounds)]
            ours, theirs = (statistics.median(x) for x in zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            rows.append({"batch": size, "kind": kind, "numpy": ours, "compiled": theirs, "ratio": ratio})
    if as_json:
        print(json.dumps(rows))
        return
    print(f"{model} on {hw}: evaluations per second, median of {rounds}")
    print("| batch | assignments | numpy | compiled loop | numpy / compiled |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for r in rows:
        print(f"| {r['batch']} | {r['kind']} | {r['numpy']:,.0f} | {r['compiled']:,.0f} | {r['ratio']:.2f} |")


if __name__ == "__main__":
    main()
