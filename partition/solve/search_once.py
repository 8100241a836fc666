"""One search in this process and thread: from a question to its result."""

from __future__ import annotations

import math
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from milp import budget
from milp.formulation.choices import Goal
from milp.search.goals import pursue
from milp.search.kind_orders import Means, OrdersProgress, Target, search_orders
from milp.search.period import PHASES
from milp.search.stability import fewest_moves
from milp.search.stage_positions import arrange
from milp.state.incumbent import Incumbent
from milp.state.run import Phase
from partition.errors import NoSolutionInTime, SearchFault
from partition.one_thread import one_thread
from partition.problem.placement import Placement
from partition.results.progress import Progress
from partition.results.proof_steps import ProofStep
from partition.results.result import Result
from partition.scoring.cost import Cost
from partition.scoring.feasibility import impossible, proved_infeasible
from partition.scoring.goals import Reached, reached_by
from partition.solve.adviser import adviser
from partition.solve.question import Question
from partition.stopping import Stop


@dataclass(frozen=True, eq=False)
class _Answered:
    """What is returned in the end: the placement, its cost and what was reached for each goal."""

    placement: Placement
    cost: Cost
    reached: list[Reached]


@one_thread()
def answer(
    question: Question,
    stop: Stop,
    *,
    report: Callable[[Progress], None] | None = None,
    watch: Callable[[OrdersProgress], None] | None = None,
    phases: Sequence[Phase] = PHASES,
) -> Result:
    """The search itself, in this process and thread.

    That nothing fits is claimed of the least weights that can stand for those of the graph.

    Parameters
    ----------
    report : called with each better period or bound.
    watch : see :func:`milp.search.kind_orders.search_orders`.
    phases : of the search for the least period.

    Raises
    ------
    NoSolutionInTime, KeyboardInterrupt, MemoryError : there is no answer, because of the limit, Ctrl-C, or memory; the
        first also where nothing fits only because chips hold what is computed from constants.
    """
    result = _search(question, stop, phases, report=report, watch=watch)
    graph = question.graph
    if result.status != "infeasible" or graph.least is None:
        return result
    try:
        lightest = _search(replace(question, graph=graph.lightest, start=None, given=None), stop, phases)
    except NoSolutionInTime:
        lightest = None
    if lightest is not None and lightest.status == "infeasible":
        return replace(result, reason=lightest.reason, seconds=stop.elapsed, proof=lightest.proof)
    raise NoSolutionInTime(
        f"no placement is known that fits ({result.reason}), and none is proved impossible: chips hold what is "
        f"computed from constants, and what it is computed from takes less room; {result.advice}"
    )


def _search(
    question: Question,
    stop: Stop,
    phases: Sequence[Phase],
    *,
    report: Callable[[Progress], None] | None = None,
    watch: Callable[[OrdersProgress], None] | None = None,
) -> Result:
    """The same for the weights as they are."""
    problem, first = question.problem, question.on_period
    graph, hw = problem.graph, problem.hardware
    reason = impossible(graph, hw)
    if reason is not None:
        proof = (ProofStep("counting", math.inf),)
        return Result.infeasible(graph, hw, reason=str(reason), seconds=stop.elapsed, seed=question.seed, proof=proof)
    part = stop.part(budget.PERIOD) if question.goes_on else stop
    limit = None if first and question.throughput is None else question.allowed
    target = Target(question.gap, limit, enough=not first, keeps_steps=True, given=question.given)
    starts = [question.start] if question.start else []
    means = Means(question.seed, starts, adviser(question.policy, question.seed), phases)
    outcome = search_orders(graph, hw, target, means, part, report=report, watch=watch)
    incumbent = outcome.incumbent
    excluded = _excluded(question, outcome)
    if excluded is not None:
        history = tuple(incumbent.history)
        return Result.infeasible(
            graph, hw, reason=excluded, seconds=stop.elapsed, seed=question.seed, history=history, proof=outcome.proof
        )
    if incumbent.placement is None:
        raise _no_answer(question, stop)
    _arrange_stages(question, incumbent, stop)
    if incumbent.period > question.allowed:
        raise _too_slow(question, outcome, stop, part)
    found = _later_goals(question, outcome, stop.part(1 - budget.STABILITY) if question.before is not None else stop)
    return _result(question, outcome, _stability(question, outcome, found, stop), stop)


def _excluded(question: Question, outcome: OrdersProgress) -> str | None:
    """Why no valid placement within the required throughput exists, if that is proved."""
    if not outcome.feasible:
        return str(proved_infeasible(question.graph, question.hardware))
    if outcome.bound > question.allowed:
        said = "" if question.given is None else f" (with the bound given by {question.given.source})"
        return f"{_wanted(question)}, and every assignment takes at least {outcome.bound:.6g}{said}"
    return None


def _wanted(question: Question) -> str:
    limit, unit = question.period_limit, question.hardware.time_unit
    return f"a throughput of {question.throughput} needs a period of {limit:.10g} {unit}"


def _too_slow(question: Question, outcome: OrdersProgress, stop: Stop, part: Stop) -> NoSolutionInTime:
    """The required throughput was neither reached nor excluded."""
    advice = "allow more time" if part() else "what is between is too little to tell; ask for less"
    return NoSolutionInTime(
        f"{_wanted(question)}; the best found in {stop.elapsed:.0f} s takes {outcome.incumbent.period:.10g}, and none "
        f"below {outcome.bound:.10g} can exist; {advice}"
    )


def _arrange_stages(question: Question, incumbent: Incumbent, stop: Stop) -> None:
    """Choose where the stages stand, on a package where that matters."""
    chosen, placement = incumbent.hardware, incumbent.placement
    if placement is not None and chosen.routed and (question.alike or chosen.identical_chips):
        with stop.surviving("the choice of where stages stand"):
            incumbent.move_stages(arrange(question.graph, chosen, placement, stop=stop))


def _later_goals(question: Question, outcome: OrdersProgress, stop: Stop) -> _Answered:
    """Pursue the goals behind the period, each among the best for those before."""
    incumbent, goals, first = outcome.incumbent, question.goals, question.on_period
    placement, cost = incumbent.placement, incumbent.cost
    assert placement is not None and cost is not None
    reached = [reached_by(placement, cost, "period", outcome.bound)] if first else []
    if len(goals) > first and not stop.flag.is_set():
        with stop.surviving("the search for further goals"):
            placement, reached = pursue(
                question.graph,
                incumbent.hardware,
                placement,
                goals,
                reached,
                period_limit=incumbent.period if first else question.period_limit,
                gap=question.gap,
                stop=stop,
                seed=question.seed,
            )
            cost = incumbent.model.evaluate_placement(placement)
            if incumbent.heed(float(cost.period[0])) and first:
                reached = [reached_by(placement, cost, "period", outcome.bound), *reached[1:]]
    return _Answered(placement, cost, reached or [reached_by(placement, cost, goals[0])])


def _stability(question: Question, outcome: OrdersProgress, found: _Answered, stop: Stop) -> _Answered:
    """Move as few operations as the other goals allow, the first of them up to the gap asked for."""
    before, incumbent = question.before, outcome.incumbent
    if before is None or stop.flag.is_set():
        return found
    limits: dict[Goal, float] = {"period": question.period_limit}
    used = incumbent.hardware.chips
    for each in found.reached:
        if each.goal == "chips":
            used = int(each.value)
        else:
            limits[cast(Goal, each.goal)] = each.value
    if question.on_period:
        near = found.reached[0].bound / (1 - incumbent.gap_wanted)
        limits["period"] = min(question.period_limit, max(found.reached[0].value, near))
    placement, moved = fewest_moves(
        incumbent.instance.graph,
        incumbent.hardware,
        found.placement,
        before,
        limits,
        used=used,
        gap=question.gap,
        stop=stop,
        seed=question.seed,
    )
    cost = incumbent.model.evaluate_placement(placement)
    reached = [reached_by(placement, cost, each.goal, each.bound) for each in found.reached]
    return _Answered(placement, cost, [*reached, moved])


def _result(question: Question, outcome: OrdersProgress, found: _Answered, stop: Stop) -> Result:
    """Put the answer together, and tell of what went wrong on the way."""
    incumbent, reached = outcome.incumbent, found.reached
    closed = len(reached) == question.wanted and all(r.gap <= incumbent.gap_wanted for r in reached)
    if stop.by_work and stop.until_deadline <= 0.0:
        stop.note("the time limit came before the work limit, so another run may differ")
    if stop.failure is not None:
        warn_of(stop.failure)
    period = float(found.cost.period[0])
    return Result(
        graph=question.graph,
        hardware=incumbent.hardware,
        placement=found.placement,
        status="optimal" if closed else "feasible",
        period=period,
        bound=min(outcome.bound, period),
        seconds=stop.elapsed,
        seed=question.seed,
        history=tuple(incumbent.history),
        cost=found.cost,
        interrupted=stop.interrupted,
        goals=tuple(reached),
        work=stop.work if stop.by_work else None,
        faults=tuple(stop.faults),
        proof=outcome.proof,
        period_limit=question.period_limit,
    )


def _no_answer(question: Question, stop: Stop) -> BaseException:
    """Why there is no answer."""
    if stop.failure is not None:
        return stop.failure
    if stop.interrupted:
        return KeyboardInterrupt()
    if any(fault.startswith("out of memory") for fault in stop.faults):
        return MemoryError(stop.faults[0])
    spent = f"{stop.time_limit:g} {'units of work' if stop.by_work else 's'}"
    trouble = f" ({'; '.join(stop.faults)})" if stop.faults else ""
    what = f"{question.graph.name!r} on {question.hardware.name!r}"
    return NoSolutionInTime(
        f"no valid assignment of {what} was found in {spent}{trouble}, and none was proved impossible; allow more time"
    )


def warn_of(failure: BaseException) -> None:
    """Tell of an error of the library itself that an answer survived."""
    where = "".join(traceback.format_exception(failure))
    warnings.warn(
        SearchFault(f"a step of the search ended with an error of its own; please report it\n{where}"), stacklevel=3
    )
