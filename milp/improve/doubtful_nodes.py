"""Fixing and releasing: most nodes stay where the incumbent has them, the doubtful ones are solved for exactly.

Fixings are advice, not knowledge: those that leave no better placement are released in the order of doubt, and no bound
ever follows from a model with fixings.
"""

from __future__ import annotations

import numpy as np

from milp import budget
from milp.solver.ask import ask
from milp.state.advice import Advice
from milp.state.names import Doing
from milp.state.run import Run
from milp.tolerances import FIRST_FREE, FIXING_GAIN, MOST_FREE
from milp.windows.windows import Windows, propagate
from partition.arrays import FloatArray, IntArray

REACH = 1
"""Chips that a free node may move either way."""


def release_by_doubt(run: Run, advice: Advice, *, seconds: float) -> None:
    """Solve around the incumbent with growing freedom for doubtful nodes, from the start again after every success."""
    incumbent, stop = run.incumbent, run.stop
    if incumbent.placement is None:
        return
    incumbent.enter(Doing.FIXINGS)
    until = stop.seconds + seconds
    share = FIRST_FREE
    while share <= MOST_FREE and not (stop() or incumbent.closed) and stop.seconds < until:
        chip = run.instance.chip_of_nodes(incumbent.placement)
        free = doubtful(advice.doubt(chip), share)
        limit = min(budget.DOUBTFUL_NODES, until - stop.seconds, stop.remaining)
        share = FIRST_FREE if _solve_around(run, chip, free, limit) else 2 * share


def doubtful(doubt: FloatArray, share: float) -> IntArray:
    """The nodes of highest doubt, a share of all."""
    count = max(1, int(share * len(doubt)))
    return np.argsort(-doubt, kind="stable")[:count]


def _solve_around(run: Run, chip: IntArray, free: IntArray, seconds: float) -> bool:
    """Whether the model in which only ``free`` nodes may move has a better placement, found in time."""
    upper = run.incumbent.upper * (1 - FIXING_GAIN)
    whole = run.tightening.known[0].rules.windows(upper)
    if whole.empty:
        return False
    lo, hi = np.clip(chip, whole.lo, whole.hi), np.clip(chip, whole.lo, whole.hi)
    lo[free], hi[free] = np.maximum(lo[free] - REACH, whole.lo[free]), np.minimum(hi[free] + REACH, whole.hi[free])
    before = run.incumbent.period
    ask(run, propagate(run.instance, Windows(lo, hi)), upper=upper, eager=True, seconds=seconds)
    return run.incumbent.period < before
