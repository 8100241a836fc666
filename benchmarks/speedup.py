"""What a second core buys: a bench and a portfolio on one process, two, and a local Dask cluster of two.

    python benchmarks/speedup.py

Prints the wall seconds of the same solves and their ratio to one process. Workers are started before the clock.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click
import joblib
from joblib import Parallel, delayed

from partition import load_hardware, load_model, partition
from partition.solve.bench import bench

MODELS = ("bert-base", "inception", "mobilenet", "gpt", "vit", "rnn", "densenet", "t5:layers=4")
PACKAGES = ("ring8:transfers=serial,triangle=off", "ring16:transfers=serial,triangle=off")


@contextlib.contextmanager
def cluster() -> Iterator[None]:
    """Joblib's tasks on two processes of a local Dask cluster."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local,
        Client(local),
        joblib.parallel_config(backend="dask"),
    ):
        yield


def timed(run: Callable[[], object]) -> float:
    """Wall seconds of one run."""
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def warm() -> None:
    """Start the workers and import the library there."""
    Parallel(n_jobs=2)(delayed(load_hardware)("ring4") for _ in range(4))


@click.command()
@click.option("--time-limit", default=20.0, show_default=True, help="Seconds for each solve.")
def main(time_limit: float) -> None:
    """Measure and print."""

    def run(jobs: int) -> list[tuple[str, float | None]]:
        return [(row.status, row.period) for row in bench(MODELS, PACKAGES, time_limit=time_limit, jobs=jobs)]

    alone = timed(lambda: run(1))
    warm()
    two = timed(lambda: run(2))
    with cluster():
        warm()
        dask = timed(lambda: run(2))
    solves = len(MODELS) * len(PACKAGES)
    print("| work | one process, s | two, s | speed-up | Dask, two processes, s | speed-up |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    print(f"| bench, {solves} solves | {alone:.1f} | {two:.1f} | {alone / two:.2f} | {dask:.1f} | {alone / dask:.2f} |")
    graph, hw = load_model("towers").graph, load_hardware(PACKAGES[1])
    one = partition(graph, hw, time_limit=time_limit)
    more = partition(graph, hw, time_limit=time_limit, workers=2)
    with cluster():
        remote = partition(graph, hw, time_limit=time_limit, workers=2)
    gaps = ", ".join(f"{100 * result.gap:.2f}%" for result in (one, more, remote))
    print(f"portfolio, towers on 16 chips, {time_limit:g} s, gap with one process, two, Dask: {gaps}")


if __name__ == "__main__":
    main()
