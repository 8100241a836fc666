"""The search: seeds, exact ideals, windows and thresholds, neighbourhoods, until proved or out of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from milp.chip_bounds.pigeonholes import heaviest_crowd
from milp.formulation.build import build
from milp.formulation.choices import Choices
from milp.formulation.linear import ImpossibleRow
from milp.frontiers.program import Frontiers, narrow_frontiers
from milp.ideals.program import IDEAL_LIMIT, Chain, best_chain
from milp.ideals.stretches import Stretches
from milp.search.bisection import FIRST_SLICE, SPLIT, Thresholds, affordable
from milp.search.downsets.phase import fill_stations
from milp.solver.highs import solve
from milp.solver.matrix import compile_model
from milp.solver.reading import placement_of
from milp.state.advice import Advice
from milp.state.incumbent import Incumbent
from milp.windows.tightening import Tightening
from milp.windows.windows import PACKED_LIMIT, WindowRules, Windows, propagate
from partition.arrays import IntArray
from partition.heuristics.repair import Repair
from partition.heuristics.slicing import Mode, longest_blocks, slice_order, slicing_work
from partition.instance.instance import Instance, contract
from partition.instance.orders import diverse_orders, order_by
from partition.problem.placement import Placement
from partition.stopping import Stop

STATIC_SHARE = 0.3
"""Largest share of the time left for the problem without dynamic memory, whose answer may fit as it is."""

SAMPLES = 64
"""Random placements that are repaired where nothing else gives a first one."""

ADVICE_SHARE = 0.1
"""Largest share of the time left that goes into the placements of an adviser."""

WINDOW_PRECISION = 1e-3
"""Relative precision to which thresholds are disproved by separations."""

LONGEST_BLOCK = 4.0
"""Work of the longest blocks worth looking at in any graph, in units of the instance."""

GUESSES = (0.75, 0.5, 0.25, 0.1)
"""Guesses of the best period between bound and period, for orders that keep together what must share a chip then."""

FEW_IDEALS = 4_000
"""Ideals so few that the exact program over them comes first."""

EXACTNESS = 1e-9
"""Relative improvement below which a better period does not count for the exact dynamic program."""

COMPLETION_SHARE = 0.25
"""Largest share of the time left that goes into completing the best chain of ideals."""

STRETCH_SHARE = 0.75
"""Largest share of the time left for stretches of the graph."""

STRETCH_ATTEMPT = 0.65
"""Largest share of what is left of that for one period."""

STRETCH_STEP = 0.6
"""Largest part of what is open that one threshold of stretches may close."""

STRETCH_PRECISION = 5e-3
"""Relative precision to which the period of stretches is looked for."""

FRONTIER_SHARE = 0.4
"""Largest share of the time left that goes into the program over frontiers."""


def search(
    instance: Instance,
    incumbent: Incumbent,
    *,
    starts: Iterable[Placement],
    stop: Stop,
    seed: int,
    advice: Advice | None = None,
) -> bool:
    """Improve the incumbent and its bound until closed or stopped; ``advice`` is asked once the quick ways have failed.

    Repair and advice keep ancestors and descendants as bits, so neither is used beyond ``PACKED_LIMIT`` nodes.

    Returns
    -------
    False if it is proved that no valid placement exists.
    """
    rng = np.random.default_rng(seed)
    incumbent.enter("work")
    incumbent.prove(_trivial_bound(instance), exact=True)
    for placement in starts:
        incumbent.offer(placement)
    if instance.hardware.rules.dynamic_memory and not _without_schedules(instance, incumbent, stop, seed):
        return False
    if incumbent.known and incumbent.closed:
        return True
    with stop.surviving(lambda: incumbent.phase):
        slice_orders(instance, incumbent, stop, rng)
    if instance.nodes > PACKED_LIMIT:
        advice = None
    elif not (incumbent.known or stop()):
        with stop.surviving(lambda: incumbent.phase):
            _sample_any(instance, incumbent, rng)
    if not (incumbent.known or stop()) and not _find_any(instance, incumbent, stop):
        return False
    if incumbent.known:
        tightening = Tightening(instance, stop)
        thresholds = Thresholds(tightening, incumbent, stop, rng, seed, advice)

        def better() -> Instance:
            """The instance with all that a better period implies."""
            return tightening.at(incumbent.upper * (1 - EXACTNESS)).instance

        phases: tuple[Callable[[], None], ...] = (
            lambda: fill_stations(instance, incumbent, stop),
            lambda: _separations(tightening, incumbent, stop, rng),
            lambda: _ideals(better(), incumbent, stop, FEW_IDEALS),
            thresholds.blocks,
            thresholds.minimise_with_cuts,
            lambda: _ideals(better(), incumbent, stop),
            thresholds.look_around,
            lambda: _stretches(better(), incumbent, stop),
            lambda: _frontiers(better(), incumbent, stop, rng),
            lambda: _advised(incumbent, advice, stop),
            thresholds.run,
        )
        for phase in phases:
            if not (incumbent.closed or stop()):
                with stop.surviving(lambda: incumbent.phase):
                    phase()
    return True


def _without_schedules(instance: Instance, incumbent: Incumbent, stop: Stop, seed: int) -> bool:
    """Search without dynamic memory first: its bound holds, and its placement may fit; False if it has none."""
    incumbent.enter("static memory")
    static = instance.hardware.with_rules(dynamic_memory=False)
    relaxed = contract(instance.graph, static, unit=instance.unit, legal=instance.legal)
    outcome = Incumbent(relaxed, incumbent.gap_wanted, lambda: stop.elapsed, None)
    outcome.limit, outcome.enough, outcome.rival = incumbent.limit, incumbent.enough, incumbent.best
    feasible = search(relaxed, outcome, starts=[], stop=stop.limited(STATIC_SHARE * stop.remaining), seed=seed)
    incumbent.prove(outcome.lower, exact=True)
    if outcome.placement is not None:
        incumbent.offer(outcome.placement)
    return feasible


def _trivial_bound(instance: Instance) -> float:
    """Work spread evenly, the largest node, or what some chip holds of the heaviest nodes at least."""
    crowd = heaviest_crowd(instance)
    crowded = crowd.work if crowd is not None else 0.0
    return max(float(instance.fastest.sum()) / instance.chips, float(instance.fastest.max()), crowded, 0.0)


def slice_orders(
    instance: Instance, incumbent: Incumbent, stop: Stop, rng: np.random.Generator, orders: int = 6
) -> None:
    """Slice a handful of diverse topological orders."""
    incumbent.enter("seeds")
    _everything_on_one_chip(instance, incumbent)
    longest = LONGEST_BLOCK  # until a period is known that is worth anything
    for _, order in zip(range(orders), diverse_orders(instance, rng), strict=False):
        _slice(instance, incumbent, order, stop, longest)
        longest = _longest_worth(instance, incumbent)


def _longest_worth(instance: Instance, incumbent: Incumbent) -> float:
    """Compute of the longest blocks of a better placement, as far as slicing has room for them."""
    room = longest_blocks(instance, at_least=LONGEST_BLOCK)
    return min(incumbent.upper, room) if incumbent.known else LONGEST_BLOCK


def _slice(instance: Instance, incumbent: Incumbent, order: IntArray, stop: Stop, longest: float) -> None:
    """Slice one topological order in every way that fits the rules."""
    for mode in _slicing_modes(instance):
        if stop() or incumbent.closed:
            return
        stop.charge(slicing_work(instance, longest))
        placement = slice_order(instance, order, mode, longest=longest, stop=stop)
        if placement is not None:
            incumbent.offer(placement)
            if instance.replicable.any() and mode == "direct":
                incumbent.offer(Placement(placement.assignment))


def _sample_any(instance: Instance, incumbent: Incumbent, rng: np.random.Generator) -> None:
    """Where no order could be cut: the best of a batch of repaired random placements."""
    repaired = Repair(instance).sample(np.ones((instance.nodes, instance.chips)), SAMPLES, rng)
    if repaired.valid.any():
        incumbent.offer(repaired.placement(int(repaired.period().argmin())))


def _everything_on_one_chip(instance: Instance, incumbent: Incumbent) -> None:
    incumbent.offer(Placement(np.zeros(instance.graph.n, dtype=np.int64)))


def _slicing_modes(instance: Instance) -> list[Mode]:
    hw = instance.hardware
    if not hw.rules.triangle or instance.triangle_by_relays:
        return ["direct"]
    return ["relayed", "direct", "neighbours"] if hw.relays_allowed else ["neighbours", "direct"]


def _separations(tightening: Tightening, incumbent: Incumbent, stop: Stop, rng: np.random.Generator) -> None:
    """Disprove thresholds by what they imply alone, and slice orders that keep inseparable neighbours together."""
    if tightening.separation is None:
        return
    incumbent.enter("separations")
    low, high = incumbent.lower, incumbent.upper
    if tightening.at(low * (1 + WINDOW_PRECISION)).instance is tightening.original:
        return  # larger thresholds separate more
    while high - low > WINDOW_PRECISION * high and not stop():
        middle = low + SPLIT * (high - low)
        tight = tightening.at(middle)
        if tight.rules.windows(middle).empty:
            low = middle
            incumbent.prove(middle, exact=True)
        else:
            high = middle
    for share in GUESSES:
        guess = tightening.at(incumbent.lower + share * (incumbent.upper - incumbent.lower)).instance
        if guess.nodes < tightening.original.nodes and not (incumbent.closed or stop()):
            slice_orders(guess, incumbent, stop, rng)
            incumbent.enter("separations")


def _ideals(instance: Instance, incumbent: Incumbent, stop: Stop, limit: int = IDEAL_LIMIT) -> None:
    """The exact dynamic program: a bound always, and its blocks completed with what it left out."""
    incumbent.enter("ideals")
    threshold = incumbent.upper * (1 - EXACTNESS)  # exact: nothing strictly better, not just nothing much better
    chain = best_chain(instance, threshold, stop=stop, ideal_limit=limit)
    if chain is None:
        return
    incumbent.prove(min(chain.period, threshold), exact=True)
    if chain.chip is not None:
        complete_chain(instance, incumbent, chain.chip, stop, seconds=COMPLETION_SHARE * stop.remaining)


def _stretches(instance: Instance, incumbent: Incumbent, stop: Stop) -> None:
    """Where all ideals are too many: those of the stretches of the graph, below one period after the other."""
    if not Stretches.applies(instance):
        return
    incumbent.enter("stretches")
    part = stop.limited(STRETCH_SHARE * stop.remaining)
    high = incumbent.upper * (1 - EXACTNESS)
    if high - incumbent.lower <= STRETCH_PRECISION * high:
        return
    stretches = Stretches(instance, high, incumbent.lower)
    best: Chain | None = None
    while stretches.found and high - incumbent.lower > STRETCH_PRECISION * high and not (incumbent.closed or part()):
        limit = STRETCH_ATTEMPT * part.remaining
        top = incumbent.lower + STRETCH_STEP * (high - incumbent.lower)
        threshold = stretches.promising(incumbent.lower, top, limit, part)
        if threshold is None:
            break
        verdict = stretches.ask(threshold, part.limited(limit))
        incumbent.prove(verdict.bound, exact=True)
        if verdict.bound < threshold:
            high, best = threshold, verdict.chain or best
            if verdict.finest:
                break
    if best is not None and best.chip is not None and not incumbent.closed:
        complete_chain(instance, incumbent, np.where(stretches.found[0].nodes, best.chip, -1), stop)


def _frontiers(instance: Instance, incumbent: Incumbent, stop: Stop, rng: np.random.Generator) -> None:
    """Where the triangle rule is a matter of the chip graph alone: bisect with the exact program over frontiers."""
    if not (Choices.lossless(instance).triangle and Frontiers.applies(instance)):
        return
    incumbent.enter("frontiers")
    part = stop.limited(FRONTIER_SHARE * stop.remaining)
    for program in narrow_frontiers(instance, diverse_orders(instance, rng)):
        high = incumbent.upper * (1 - EXACTNESS)
        while high > incumbent.lower and not (incumbent.closed or part()):
            near = high - incumbent.lower < 20 * incumbent.gap_wanted * high
            threshold = high if near else incumbent.lower + SPLIT * (high - incumbent.lower)
            verdict = program.decide(threshold, stop=part)
            if verdict.possible is None:
                break
            if not verdict.possible:
                incumbent.prove(threshold, exact=True)
                continue
            assert verdict.chip is not None
            complete_chain(instance, incumbent, verdict.chip, stop)
            high = min(threshold, incumbent.upper) * (1 - EXACTNESS)
        else:
            if program.complete:
                return


def _advised(incumbent: Incumbent, advice: Advice | None, stop: Stop) -> None:
    """Offer the placements that the adviser has to show."""
    if advice is None:
        return
    incumbent.enter("advice")
    until = stop.seconds + ADVICE_SHARE * stop.remaining
    for placement in advice.placements(incumbent.placement, stop):
        incumbent.offer(placement)
        if incumbent.closed or stop() or stop.seconds > until:
            return


def complete_chain(
    instance: Instance, incumbent: Incumbent, chip: IntArray, stop: Stop, *, seconds: float = FIRST_SLICE
) -> None:
    """Place the nodes a chain leaves out (-1): everything sliced anew along the chain, then they alone solved for."""
    whole = Windows(np.where(chip < 0, 0, chip), np.where(chip < 0, instance.chips - 1, chip))
    windows = propagate(instance, whole)
    if windows.free == 0 and not (windows.empty or instance.replicable.any()):
        incumbent.offer(instance.lift(windows.lo, [], []))
        return
    # As early as the chain allows; where it leaves a choice, as in the best placement.
    home = instance.chip_of_nodes(incumbent.placement) if incumbent.placement is not None else windows.lo
    order = order_by(instance, windows.lo * instance.chips + home)
    _slice(instance, incumbent, order, stop, _longest_worth(instance, incumbent))
    if windows.empty or incumbent.closed or not affordable(instance, windows, stop):
        return
    try:
        model = compile_model(build(instance, windows, upper=incumbent.upper, cuts=incumbent.cuts.known), stop)
    except ImpossibleRow:
        return
    outcome = solve(model, time_limit=min(seconds, stop.remaining), stop=stop)
    if outcome.x is not None:
        incumbent.offer(placement_of(instance, windows, model, model.full(outcome.x)))


def _find_any(instance: Instance, incumbent: Incumbent, stop: Stop) -> bool:
    """Ask the solver for any valid placement; False if it proves that there is none."""
    incumbent.enter("feasibility")
    windows = WindowRules(instance).windows(float("inf"))
    if windows.empty:
        return False
    learned = -1
    while learned < len(incumbent.cuts) and not (incumbent.known or stop()):
        learned = len(incumbent.cuts)
        try:
            # Any period will do; named, it is what times are counted in, however far transfers are beyond compute.
            unlimited = build(instance, windows, upper=instance.longest, cuts=incumbent.cuts.known)
            model = compile_model(unlimited, stop)
        except ImpossibleRow:
            return False
        outcome = solve(model, time_limit=stop.remaining, stop=stop, minimise=False)
        if outcome.status == "infeasible":
            return False
        if outcome.x is not None:
            incumbent.offer(placement_of(instance, windows, model, model.full(outcome.x)))
    return True
