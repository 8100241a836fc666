"""The front door: ``partition(graph, hw)``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from partition.errors import InvalidAssignment, InvalidInput, NoSolutionInTime
from partition.feasibility import impossible, proved_infeasible
from partition.graph import Graph
from partition.hardware import Hardware
from partition.instance import Instance
from partition.objectives import Reached, parse_goals
from partition.placement import Placement
from partition.portfolio import solve_side_by_side
from partition.progress import Progress
from partition.result import Result
from partition.rules import check
from partition.stopping import Stop, interruptible

if TYPE_CHECKING:
    from milp.advice import Advice


CONFIRM_SHARE = 0.25
"""Share of the time kept for the second solver where its opinion is asked for."""

PERIOD_SHARE = 0.6
"""Share of the time for the period where other goals follow."""


def partition(
    graph: Graph,
    hw: Hardware,
    *,
    time_limit: float = 60.0,
    gap: float = 1e-4,
    seed: int = 0,
    warm_start: Placement | Mapping[str, int] | None = None,
    policy: str = "none",
    objective: str | Sequence[str] = "period",
    throughput: float | None = None,
    workers: int = 1,
    confirm: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Decide the chip of every operation so that the period is least, and prove how good the answer is.

    Parameters
    ----------
    graph : the model.
    hw : the package and its rules.
    time_limit : seconds, more than zero; the best answer and bound so far are returned when it is over.
    gap : relative gap, (period - bound) / period, at which to stop and call the answer optimal; below 2e-5, the
        resolution of proofs by a floating-point solver, it counts as 2e-5.
    seed : of every random choice.
    warm_start : a placement, or operation name -> chip, to start from; ignored if it breaks a rule.
    policy : ``"pretrained"``, ``"none"`` or the path of a policy file; a policy suggests placements and which nodes to
        free where the quick ways fail (docs/learned.md). It never enters a bound.
    objective : ``"period"``, ``"chips"``, ``"traffic"``, ``"energy"``, ``"latency"``, or several of them in
        lexicographic order (``"period,traffic"``): each is minimised among the best for those before.
    throughput : required, in inputs per time unit: only periods up to its inverse count.
    workers : searches side by side, each in a process of its own (:mod:`partition.portfolio`); the best answer and the
        best bound win. Progress is not reported then, and Ctrl-C ends without an answer.
    confirm : ask a second solver, OR-Tools CP-SAT on whole numbers, to refute the bound of the period, or that there is
        no valid placement; it gets what is left of the time limit, a quarter at least (``Result.confirmation``).
    on_progress : called with each better period or bound and at the start of each phase, possibly from
        another thread.

    Returns
    -------
    Result, with status ``optimal``, ``feasible`` or ``infeasible``.

    Raises
    ------
    InvalidInput : an argument cannot be used.
    NoSolutionInTime : time ran out before any valid placement was found.
    """
    validate_limits(time_limit, gap)
    stop = Stop(time_limit)
    start = _start(graph, hw, warm_start)
    guide = _guide(policy, seed)
    goals = parse_goals(objective, graph, hw)
    period_limit = _period_limit(throughput)
    judge = _second_opinion(confirm, goals)
    first = stop.limited((1 - CONFIRM_SHARE) * time_limit) if confirm else stop
    if workers != 1:
        result = solve_side_by_side(
            graph,
            hw,
            workers=workers,
            time_limit=first.time_limit,
            gap=gap,
            seed=seed,
            warm_start=start,
            policy=policy,
            objective=goals,
            throughput=throughput,
        )
    with interruptible(stop):
        if workers == 1:
            result = _solve(graph, hw, start, guide, goals, period_limit, throughput, gap, seed, first, on_progress)
        return result if judge is None else judge(graph, hw, result, within=period_limit, stop=stop, seed=seed)


def _solve(
    graph: Graph,
    hw: Hardware,
    start: Placement | None,
    guide: Callable[[Instance], Advice] | None,
    goals: Sequence[str],
    period_limit: float,
    throughput: float | None,
    gap: float,
    seed: int,
    stop: Stop,
    on_progress: Callable[[Progress], None] | None,
) -> Result:
    """The solve itself, every argument checked."""
    from milp.goals import ROUNDING, pursue
    from milp.kind_orders import search_orders
    from milp.stages import arrange

    reason = impossible(graph, hw)
    if reason is not None:
        return Result.infeasible(graph, hw, reason=str(reason), seconds=stop.seconds, seed=seed)
    first = goals[0] == "period"
    outcome = search_orders(
        graph,
        hw,
        gap=gap,
        stop=stop.limited(PERIOD_SHARE * stop.time_limit) if len(goals) > first else stop,
        seed=seed,
        starts=[start] if start else [],
        advice=guide,
        report=on_progress,
        limit=None if first else period_limit,
    )
    incumbent = outcome.incumbent
    chosen = incumbent.hardware
    if chosen.routed and chosen.identical_chips and incumbent.placement is not None:
        chosen = arrange(graph, chosen, incumbent.placement, stop=stop)
        incumbent.move_stages(chosen)
    interrupted = outcome.interrupted or stop.flag.is_set()
    if interrupted and incumbent.placement is None:
        raise KeyboardInterrupt
    history = tuple(incumbent.history)
    if not outcome.feasible:
        why = str(proved_infeasible(graph, hw))
        return Result.infeasible(graph, hw, reason=why, seconds=stop.seconds, seed=seed, history=history)
    if incumbent.placement is None:
        raise NoSolutionInTime(
            f"no valid assignment of {graph.name!r} on {hw.name!r} was found in {stop.time_limit:g} s, and none was "
            "proved impossible; allow more time"
        )
    if incumbent.period > period_limit * (1 + ROUNDING):
        wanted = f"a throughput of {throughput:g} needs a period of {period_limit:.6g} {hw.time_unit}"
        if outcome.bound > period_limit:
            proof = f"{wanted}, and every assignment takes at least {outcome.bound:.6g}"
            return Result.infeasible(graph, hw, reason=proof, seconds=stop.seconds, seed=seed, history=history)
        raise NoSolutionInTime(
            f"{wanted}; the best found in {stop.seconds:.0f} s takes {incumbent.period:.6g}, and none below "
            f"{outcome.bound:.6g} can exist; allow more time"
        )
    placement = incumbent.placement
    reached = [Reached("period", incumbent.period, outcome.bound)] if first else []
    if len(goals) > first and not interrupted:
        allowed = incumbent.period * (1 + ROUNDING) if first else period_limit
        placement, more = pursue(graph, chosen, placement, goals[first:], allowed, gap=gap, stop=stop, seed=seed)
        reached += more
    cost = incumbent.model.evaluate_placement(placement)
    closed = len(reached) == len(goals) and all(r.gap <= incumbent.gap_wanted for r in reached)
    return Result(
        graph=graph,
        hardware=chosen,
        placement=placement,
        status="optimal" if closed else "feasible",
        period=float(cost.period[0]),
        bound=min(outcome.bound, float(cost.period[0])),
        seconds=stop.seconds,
        seed=seed,
        history=history,
        cost=cost,
        interrupted=interrupted or stop.flag.is_set(),
        goals=tuple(reached),
    )


def _second_opinion(confirm: bool, goals: Sequence[str]) -> Callable[..., Result] | None:
    """What asks the second solver, if it is wanted; refused at once where it has nothing to say."""
    if not confirm:
        return None
    from milp.confirm import confirmed, solver_name

    if goals[0] != "period":
        raise InvalidInput(
            f"confirm speaks of the bound of the period, which is not the first goal of {','.join(goals)!r}; put it "
            "first, or leave confirm out"
        )
    solver_name()
    return confirmed


def _period_limit(throughput: float | None) -> float:
    if throughput is None:
        return math.inf
    number = isinstance(throughput, int | float) and not isinstance(throughput, bool)
    if not number or not (math.isfinite(throughput) and throughput > 0):
        raise InvalidInput(f"the throughput is {throughput!r}; give a number of inputs per time unit greater than 0")
    return 1.0 / throughput


def _guide(policy: str, seed: int) -> Callable[[Instance], Advice] | None:
    """What makes an adviser of the chosen policy; the policy is read at once, so that a bad file is refused at once."""
    if policy == "none":
        return None
    from learned.guide import PolicyGuide
    from learned.pretrained import load_policy

    chosen = load_policy(policy)
    return None if chosen is None else lambda instance: PolicyGuide(chosen, instance, seed)


def validate_limits(time_limit: float, gap: float) -> None:
    """Raise InvalidInput unless there is some time and the gap is from [0, 1)."""
    if not isinstance(time_limit, int | float) or not time_limit > 0:
        raise InvalidInput(f"the time limit is {time_limit!r}; give a number of seconds greater than 0")
    if not isinstance(gap, int | float) or not (math.isfinite(gap) and 0 <= gap < 1):
        raise InvalidInput(f"the gap is {gap!r}; give a number from 0 up to, but not including, 1")


def _start(graph: Graph, hw: Hardware, warm_start: Placement | Mapping[str, int] | None) -> Placement | None:
    """The warm start as a placement, or None if there is none or it breaks a rule."""
    if warm_start is None:
        return None
    if isinstance(warm_start, Mapping):
        warm_start = Placement.from_names(graph, warm_start, chips=hw.chips)
    if len(warm_start.assignment) != graph.n:
        raise InvalidAssignment(
            f"the warm start places {len(warm_start.assignment)} operations, but graph {graph.name!r} has {graph.n}"
        )
    return None if check(graph, hw, warm_start) else warm_start
