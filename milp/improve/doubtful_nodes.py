"""Fixing and releasing: most nodes stay where the incumbent has them, the doubtful ones are solved for exactly.

Fixings are advice, not knowledge: those that leave no better placement are released in the order of doubt, and no bound
ever follows from a model with fixings.
"""

from __future__ import annotations

import numpy as np

from milp.formulation.build import build
from milp.formulation.linear import ImpossibleRow
from milp.solver.highs import solve
from milp.solver.matrix import compile_model
from milp.solver.reading import placement_of
from milp.state.advice import Advice
from milp.state.incumbent import Incumbent
from milp.windows.windows import WindowRules, Windows, propagate
from partition.arrays import FloatArray, IntArray
from partition.instance.instance import Instance
from partition.stopping import Stop

FIRST_FREE, MOST_FREE = 0.08, 0.8
"""Share of the nodes free at first, and at most; doubled whenever nothing better is found."""

REACH = 1
"""Chips that a free node may move either way."""

STEP_SECONDS = 8.0
"""For one model."""

PROGRESS = 1e-4
"""Least relative gain of a model that is asked for."""


def release_by_doubt(
    instance: Instance,
    incumbent: Incumbent,
    advice: Advice,
    rules: WindowRules,
    stop: Stop,
    *,
    seconds: float,
    seed: int,
) -> None:
    """Solve around the incumbent with growing freedom for doubtful nodes, from the start again after every success."""
    if incumbent.placement is None:
        return
    incumbent.enter("fixings")
    until = stop.seconds + seconds
    share = FIRST_FREE
    while share <= MOST_FREE and not (stop() or incumbent.closed) and stop.seconds < until:
        chip = instance.chip_of_nodes(incumbent.placement)
        free = doubtful(advice.doubt(chip), share)
        limit = min(STEP_SECONDS, until - stop.seconds, stop.remaining)
        share = FIRST_FREE if _solve_around(instance, incumbent, rules, chip, free, limit, stop, seed) else 2 * share


def doubtful(doubt: FloatArray, share: float) -> IntArray:
    """The nodes of highest doubt, a share of all."""
    count = max(1, int(share * len(doubt)))
    return np.argsort(-doubt, kind="stable")[:count]


def _solve_around(
    instance: Instance,
    incumbent: Incumbent,
    rules: WindowRules,
    chip: IntArray,
    free: IntArray,
    seconds: float,
    stop: Stop,
    seed: int,
) -> bool:
    """Whether the model in which only ``free`` nodes may move has a better placement, found in time."""
    upper = incumbent.upper * (1 - PROGRESS)
    whole = rules.windows(upper)
    if whole.empty:
        return False
    lo, hi = np.clip(chip, whole.lo, whole.hi), np.clip(chip, whole.lo, whole.hi)
    lo[free], hi[free] = np.maximum(lo[free] - REACH, whole.lo[free]), np.minimum(hi[free] + REACH, whole.hi[free])
    windows = propagate(instance, Windows(lo, hi))
    if windows.empty:
        return False
    before = incumbent.period
    try:
        model = compile_model(build(instance, windows, upper=upper, cuts=incumbent.cuts.known), stop)
    except ImpossibleRow:
        return False

    def found(x: FloatArray) -> None:
        incumbent.offer(placement_of(instance, windows, model, model.full(x)))

    outcome = solve(model, time_limit=seconds, stop=stop, seed=seed, on_incumbent=found)
    if outcome.x is not None:
        found(outcome.x)
    return incumbent.period < before
