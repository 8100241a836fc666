"""Small random sweeps, and their rows held against brute force."""

from __future__ import annotations

import math

import numpy as np
from package_changes import changed
from questions import draw

from partition import Graph, Sweep, SweepResult
from partition.results.sweep_result import SweepRow

SLACK = 1e-9
"""Rounding of a period."""


def small_sweep(seed: int, work: float) -> tuple[Graph, SweepResult]:
    """A random question with every feature, asked about its package and about four changes of it."""
    rng = np.random.default_rng(seed)
    graph, hardware = draw(rng, wishes="none", n=(1, 5), chips=(1, 3)).read()
    asked = list(dict.fromkeys([hardware, *(changed(rng, hardware)[0] for _ in range(4))]))
    return graph, Sweep(graph, work_limit=work, seed=seed).solve(asked)


def helped(row: SweepRow) -> bool:
    """Whether other designs told something of this one."""
    return row.how == "derived" or bool(row.bound_of)


def untrue(row: SweepRow, best: float | None) -> list[str]:
    """What a row claims and brute force refutes; ``best`` is the least period, None where nothing is valid."""
    least = math.inf if best is None else best
    bound = math.inf if row.status == "infeasible" else row.bound or 0.0
    period = math.inf if row.period is None else row.period
    found = []
    if not bound <= least * (1 + SLACK):
        found.append(f"the bound {bound} is above {least}")
    if not period >= least * (1 - SLACK):
        found.append(f"the period {period} is below {least}")
    if row.status == "optimal" and (row.period is None or not row.period <= least * (1 + 1.1e-4)):
        found.append(f"the period {period} is called optimal, and {least} is")
    return found
