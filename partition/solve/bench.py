"""Many models on many packages, side by side over joblib: ``cli.py bench`` and :func:`bench`."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from joblib import delayed

from partition.arguments import MOST_PROCESSES, whole
from partition.errors import InvalidInput, NoSolutionInTime
from partition.problem.hardware_files import load_hardware
from partition.processes import side_by_side
from partition.readers.load import load_model
from partition.solve.front import partition, validate_limits


@dataclass(frozen=True)
class BenchRow:
    """One model on one package.

    Attributes
    ----------
    status : ``optimal``, ``feasible``, ``infeasible``, or ``none`` where time ran out before any valid placement.
    period, bound : in the hardware's time unit; None where there is no placement.
    seconds : of the solve alone.
    loading_seconds : of reading the model.
    interrupted : Ctrl-C ended the solve; no further row follows.
    """

    model: str
    hardware: str
    operations: int
    chips: int
    status: str
    period: float | None
    bound: float | None
    seconds: float
    loading_seconds: float
    time_unit: str = "s"
    interrupted: bool = False

    @property
    def quality(self) -> float | None:
        """Bound / period; None where either is missing."""
        if self.period is None or self.bound is None:
            return None
        return self.bound / self.period if self.period > 0 else 1.0


def bench(
    models: Sequence[str], packages: Sequence[str], *, time_limit: float = 60.0, seed: int = 0, jobs: int = 1
) -> Iterator[BenchRow]:
    """Solve every model on every package, ``jobs`` at a time; rows come in the order of models, then packages.

    Each solve is a task of joblib, in a process of its own where ``jobs`` is not 1. So a Dask cluster serves as well:
    ``with joblib.parallel_config(backend="dask")``.

    Raises
    ------
    InvalidInput : a model or package cannot be read, or a limit makes no sense; before anything is solved.
    """
    validate_limits(time_limit, 0.0)
    whole("jobs", jobs, least=1, most=MOST_PROCESSES)
    whole("seed", seed)
    if not models or not packages:
        raise InvalidInput("there is nothing to run: name at least one model and one package")
    for name in models:
        load_model(name)
    for name in packages:
        load_hardware(name)
    asked = [delayed(solve_row)(model, package, time_limit, seed) for model in models for package in packages]
    for row in side_by_side(asked, min(jobs, len(asked))):
        yield row
        if row.interrupted:
            return


def solve_row(model: str, package: str, time_limit: float, seed: int) -> BenchRow:
    begun = time.perf_counter()
    graph, hw = load_model(model).graph, load_hardware(package)
    loaded = time.perf_counter()
    status, period, bound, interrupted = "none", None, None, False
    try:
        result = partition(graph, hw, time_limit=time_limit, seed=seed)
    except NoSolutionInTime:
        pass
    else:
        status, interrupted = result.status, result.interrupted
        if status != "infeasible":
            period, bound = result.period, result.bound
    seconds = time.perf_counter() - loaded
    found = (graph.n, hw.chips, status, period, bound, seconds, loaded - begun, hw.time_unit, interrupted)
    return BenchRow(model, package, *found)


def geometric_mean_quality(rows: Sequence[BenchRow]) -> float | None:
    """Geometric mean of bound / period over the rows that have both; None where none has (or a bound is 0)."""
    found = [row.quality for row in rows if row.quality]
    return math.exp(float(np.mean(np.log(found)))) if found else None
