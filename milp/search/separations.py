"""Separations: neighbours that must share a chip within a threshold disprove it, or make slicing better."""

from __future__ import annotations

from functools import partial

from milp.search.first_placements import slice_orders
from milp.state.bisect import bisect, off_the_middle
from milp.state.grounds import by_joining
from milp.state.names import Doing
from milp.state.run import Phase, Run
from milp.tolerances import GUESSES, SEPARATION_PRECISION


def _applies(run: Run) -> bool:
    return run.tightening.separation is not None


def _separations(run: Run) -> None:
    """Disprove thresholds by what they imply alone, and slice orders that keep inseparable neighbours together."""
    incumbent, tightening = run.incumbent, run.tightening
    low, high = incumbent.lower, incumbent.upper
    # Larger thresholds separate more. The middle is asked about anyway, and raises the bound where it joins enough.
    tried = off_the_middle(low, high), low * (1 + SEPARATION_PRECISION)
    if all(tightening.at(threshold).instance is tightening.original for threshold in tried):
        return

    def ask(threshold: float, low: float, high: float) -> tuple[float, float]:
        tight = tightening.at(threshold)
        if not tight.rules.windows(threshold).empty:
            return low, threshold  # which may be possible, or not
        because = partial(by_joining, "windows", tightening.original, tight.instance)
        incumbent.prove(threshold, exact=True, because=because)
        return threshold, high

    bisect(low, high, ask, precision=SEPARATION_PRECISION, split=off_the_middle, stop=run.stop)
    for share in GUESSES:
        guess = tightening.at(incumbent.lower + share * (incumbent.upper - incumbent.lower)).instance
        if guess.nodes < tightening.original.nodes and not (incumbent.closed or run.stop()):
            incumbent.enter(Doing.SEEDS)
            slice_orders(run, guess)
            incumbent.enter(Doing.SEPARATIONS)


SEPARATIONS = Phase(Doing.SEPARATIONS, _applies, _separations)
