"""The model as it is, period as objective: the quickest way where it is small."""

from __future__ import annotations

import math
from functools import partial

from milp import budget
from milp.solver.ask import affordable, ask, rounds
from milp.state.grounds import by_joining, by_model
from milp.state.names import Doing
from milp.state.run import Phase, Run, always
from milp.tolerances import MARGIN

SMALL_MODEL = 5_000
"""Most binaries for which minimising the period directly is tried before thresholds."""


def _minimise(run: Run) -> None:
    """One attempt, and again while placements found that way break dynamic memory and teach cuts."""
    for _ in rounds(run.incumbent.cuts):
        if run.incumbent.closed or run.stop():
            return
        _minimise_once(run)


def _minimise_once(run: Run) -> None:
    incumbent = run.incumbent
    upper = incumbent.upper * (1 - MARGIN)
    tight = run.tightening.at(upper)
    windows = tight.rules.windows(upper)
    if not windows.empty and (windows.free > SMALL_MODEL or not affordable(tight.instance, windows, run.stop)):
        return
    answer = ask(
        run, windows, instance=tight.instance, upper=upper, lossless=True, eager=True, seconds=budget.FIRST_SLICE
    )
    if answer.status == "windows":
        incumbent.prove(upper, exact=True, because=partial(by_joining, "windows", run.instance, tight.instance))
    elif answer.excluded or math.isfinite(answer.bound):
        bound = upper if answer.excluded else min(answer.bound, upper)
        because = partial(by_model, run.instance, tight.instance, windows)
        incumbent.prove(bound, within=upper, because=because)


WHOLE_MODEL = Phase(Doing.MILP, always, _minimise)
