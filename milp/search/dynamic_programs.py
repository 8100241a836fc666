"""The exact dynamic programs as phases: over all ideals, over those of stretches, and over frontiers."""

from __future__ import annotations

from functools import partial

import numpy as np

from milp import budget
from milp.formulation.choices import Choices
from milp.frontiers.program import Frontiers, narrow_frontiers
from milp.ideals.chains import Chain
from milp.ideals.program import IDEAL_LIMIT, Ideals, best_chain
from milp.ideals.stretches import Stretches
from milp.search.first_placements import longest_worth, slice_one
from milp.solver.ask import affordable, ask
from milp.state.bisect import bisect, off_the_middle
from milp.state.grounds import by_ideals, by_joining
from milp.state.names import Doing
from milp.state.run import Phase, Run
from milp.tolerances import EXACTNESS, STRETCH_PRECISION
from milp.windows.windows import Windows, propagate
from partition.arrays import IntArray
from partition.instance.instance import Instance
from partition.instance.orders import diverse_orders, order_by
from partition.stopping import Stop

FEW = 4_000
"""Ideals so few that the exact program over them comes first."""

NEAR = 20
"""A gap of so many times the one asked for is closed in one step."""


def _below_the_best(run: Run) -> float:
    """The threshold for nothing strictly better, not just nothing much better."""
    return run.incumbent.upper * (1 - EXACTNESS)


def _ideals_apply(run: Run) -> bool:
    return Ideals.applies(run.best_instance())


def _over_ideals(run: Run, limit: int) -> None:
    """The program over ideals: a bound always, and its blocks completed with what it left out."""
    instance = run.best_instance()
    threshold = _below_the_best(run)
    chain = best_chain(instance, threshold, stop=run.stop, ideal_limit=limit)
    if chain is None:
        return
    because = partial(by_ideals, run.instance, instance, chain.kept, chain.chip)
    run.incumbent.prove(min(chain.period, threshold), exact=True, because=because)
    if chain.chip is not None:
        complete_chain(run, chain.chip, instance, seconds=run.share(budget.COMPLETION))


def over_stretches(run: Run) -> None:
    """Where all ideals are too many: those of the stretches of the graph, below one period after the other."""
    instance, incumbent = run.best_instance(), run.incumbent
    part = run.stop.limited(run.share(budget.STRETCHES))
    high = _below_the_best(run)
    if high - incumbent.lower <= STRETCH_PRECISION * high:
        return
    stretches = Stretches(instance, high, incumbent.lower)
    if not stretches.found:
        return
    because = partial(by_joining, "stretches", run.instance, instance)
    best: Chain | None = None
    limit = 0.0  # of the next question

    def promising(low: float, high: float) -> float | None:
        nonlocal limit
        limit = budget.STRETCH_ATTEMPT * part.remaining
        return stretches.promising(low, low + budget.STRETCH_STEP * (high - low), limit, part)

    def ask(threshold: float, low: float, high: float) -> tuple[float, float] | None:
        nonlocal best
        verdict = stretches.ask(threshold, part.limited(limit))
        incumbent.prove(verdict.bound, exact=True, because=because)
        if verdict.bound >= threshold:
            return incumbent.lower, high
        best = verdict.chain or best
        return None if verdict.finest else (incumbent.lower, threshold)

    def over() -> bool:
        return incumbent.closed or part()

    bisect(incumbent.lower, high, ask, split=promising, precision=STRETCH_PRECISION, stop=over)
    if best is not None and best.chip is not None and not incumbent.closed:
        complete_chain(run, np.where(stretches.found[0].nodes, best.chip, -1), instance)


def _frontiers_decide(run: Run) -> bool:
    """The triangle rule must be a matter of the chip graph alone."""
    instance = run.best_instance()
    return Choices.lossless(instance).triangle and Frontiers.applies(instance)


def _over_frontiers(run: Run) -> None:
    """Bisect with the exact program over frontiers."""
    instance = run.best_instance()
    part = run.stop.limited(run.share(budget.FRONTIERS))
    for program in narrow_frontiers(instance, diverse_orders(instance, run.rng)):
        settled = _bisect_frontiers(run, program, instance, part)
        if settled and program.complete:
            return


def _bisect_frontiers(run: Run, program: Frontiers, instance: Instance, stop: Stop) -> bool:
    """Whether every question to one program was answered."""
    incumbent = run.incumbent

    def split(low: float, high: float) -> float:
        return high if high - low < NEAR * incumbent.gap_wanted * high else off_the_middle(low, high)

    def ask(threshold: float, low: float, high: float) -> tuple[float, float] | None:
        verdict = program.decide(threshold, stop=stop)
        if verdict.possible is None:
            return None
        if not verdict.possible:
            because = partial(by_joining, "frontiers", run.instance, instance)
            incumbent.prove(threshold, exact=True, because=because)
            return (high, high) if threshold == high else (incumbent.lower, high)
        assert verdict.chip is not None
        complete_chain(run, verdict.chip, instance)
        return incumbent.lower, min(threshold, incumbent.upper) * (1 - EXACTNESS)

    def over() -> bool:
        return incumbent.closed or stop()

    return not bisect(incumbent.lower, _below_the_best(run), ask, split=split, stop=over).given_up


def complete_chain(run: Run, chip: IntArray, instance: Instance | None = None, *, seconds: float | None = None) -> None:
    """Place the nodes that a chain leaves out: everything sliced anew along the chain, then they alone solved for.

    Parameters
    ----------
    run : Run
    chip : (N,) int
        Chips of the nodes of the chain; -1 for those left out.
    instance : Instance
        Whose nodes these are: the run's own, or one with more nodes contracted.
    seconds : float
        For the nodes left out; :data:`milp.budget.FIRST_SLICE` by default.
    """
    instance, incumbent = instance or run.instance, run.incumbent
    whole = Windows(np.where(chip < 0, 0, chip), np.where(chip < 0, instance.chips - 1, chip))
    windows = propagate(instance, whole)
    if windows.free == 0 and not (windows.empty or instance.replicable.any()):
        incumbent.offer(instance.lift(windows.lo, [], []))
        return
    # As early as the chain allows; where it leaves a choice, as in the best placement.
    home = instance.chip_of_nodes(incumbent.placement) if incumbent.placement is not None else windows.lo
    order = order_by(instance, windows.lo * instance.chips + home)
    slice_one(run, instance, order, longest_worth(run, instance))
    if windows.empty or incumbent.closed or not affordable(instance, windows, run.stop):
        return
    limit = budget.FIRST_SLICE if seconds is None else seconds
    ask(run, windows, instance=instance, upper=incumbent.upper, seconds=limit)


FEW_IDEALS = Phase(Doing.FEW_IDEALS, _ideals_apply, lambda run: _over_ideals(run, FEW))
IDEALS = Phase(Doing.IDEALS, _ideals_apply, lambda run: _over_ideals(run, IDEAL_LIMIT))
STRETCHES = Phase(Doing.STRETCHES, lambda run: Stretches.applies(run.best_instance()), over_stretches)
FRONTIERS = Phase(Doing.FRONTIERS, _frontiers_decide, _over_frontiers)
