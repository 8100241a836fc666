"""Cost model and repair inside someone else's optimizer: SciPy's differential evolution over cuts of one order.

The optimizer moves real numbers; ``Repair`` turns each population, all at once, into valid placements.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import differential_evolution

from partition import Repair, load_hardware, load_model, partition

graph, hardware = load_model("resnet50").graph, load_hardware("ring8")
repair = Repair.of(graph, hardware)
order = np.empty(graph.n)
order[graph.topological_order] = np.linspace(0, 1, graph.n)
seen: list[float] = []


def period(cuts: np.ndarray) -> np.ndarray:
    """(S,) periods of a population (chips - 1, S) of cuts, repaired."""
    population = np.atleast_2d(cuts.T)
    chips = (order[None, :, None] > np.sort(population, axis=1)[:, None, :]).sum(axis=2)
    repaired = repair.fix(repair.of_nodes(chips), np.random.default_rng(0))
    found = np.where(repaired.valid, repaired.period(), np.inf)
    seen.append(float(found.min()))
    return found


answer = differential_evolution(
    period, [(0, 1)] * (hardware.chips - 1), vectorized=True, updating="deferred", popsize=6, maxiter=15, rng=1,
    polish=False,
)  # fmt: skip
proved = partition(graph, hardware)
print(f"differential evolution {answer.fun:.4g} s after {len(seen)} populations; proved optimum {proved.period:.4g} s")
assert proved.bound <= answer.fun
