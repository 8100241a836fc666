"""The front door: ``partition(graph, hw)``."""

from __future__ import annotations

import math
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from partition.errors import InvalidAssignment, InvalidInput, NoSolutionInTime, SearchFault
from partition.instance.instance import Instance
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.results.progress import Progress
from partition.results.result import Result
from partition.scoring.feasibility import impossible, proved_infeasible
from partition.scoring.goals import parse_goals, reached_by
from partition.scoring.rules import check
from partition.stopping import Stop, interruptible

if TYPE_CHECKING:
    from milp.search.kind_orders import Outcome
    from milp.state.advice import Advice


CONFIRM_SHARE = 0.25
"""Share of the time kept for the second solver where its opinion is asked for."""

PERIOD_SHARE = 0.6
"""Share of the time for the period where other goals follow."""

ROUNDING = 1e-9
"""Relative allowance when a period is held against the required throughput."""

TIME_LIMIT = 60.0
"""Seconds, where neither time nor work is limited by the caller."""


def partition(
    graph: Graph,
    hw: Hardware,
    *,
    time_limit: float | None = None,
    work_limit: float | None = None,
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

    Whatever happens on the way (Ctrl-C, memory that runs out, a failure of HiGHS, a killed worker), the best answer so
    far comes back with its bound; ``Result.faults`` says what happened. An error of the library itself also gives a
    :class:`SearchFault` warning. Without an answer so far, it is raised.

    Parameters
    ----------
    graph : the model.
    hw : the package and its rules.
    time_limit : seconds, more than zero; the best answer and bound so far are returned when it is over. 60 by default,
        none where work is limited.
    work_limit : units of work, each about a second of one core: ends the search after the same steps on every run, so
        that the same input and seed give the same answer (docs/reliability.md). A time limit beside it is a safeguard.
    gap : relative gap, (period - bound) / period, at which to stop and call the answer optimal; below 2e-5, the
        resolution of proofs by a floating-point solver, it counts as 2e-5.
    seed : of every random choice.
    warm_start : a placement, or operation name -> chip, to start from; ignored if it breaks a rule.
    policy : ``"pretrained"``, ``"none"`` or the path of a policy file; a policy suggests placements and which nodes to
        free where the quick ways fail (docs/learned.md). It never enters a bound.
    objective : ``"period"``, ``"chips"``, ``"traffic"``, ``"energy"``, ``"latency"``, or several of them in
        lexicographic order (``"period,traffic"``): each is minimised among the best for those before.
    throughput : required, in inputs per time unit: only periods up to its inverse count.
    workers : searches side by side, each in a process of its own (:mod:`partition.solve.portfolio`); the best answer
        and the best bound win. Progress is not reported then.
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
    NoSolutionInTime : the limit was reached before any valid placement was found.
    KeyboardInterrupt, MemoryError : the same, because of Ctrl-C or for want of memory.
    """
    validate_limits(time_limit, gap, work_limit)
    if time_limit is None:
        time_limit = TIME_LIMIT if work_limit is None else math.inf
    stop = Stop(time_limit, work_limit=work_limit)
    question = Question(
        graph=graph,
        hardware=hw,
        start=_start(graph, hw, warm_start),
        policy=policy,
        goals=tuple(parse_goals(objective, graph, hw)),
        throughput=throughput,
        gap=gap,
        seed=seed,
    )
    question.check()
    judge = _second_opinion(confirm, question.goals)
    first = stop.limited((1 - CONFIRM_SHARE) * stop.time_limit) if confirm else stop
    with interruptible(stop):
        if workers != 1:
            from partition.solve.portfolio import solve_side_by_side  # joblib takes longer to import than all of this

            result = solve_side_by_side(question, workers=workers, stop=first)
        else:
            result = answer(question, first, report=on_progress)
        if judge is None:
            return result
        return judge(graph, hw, result, within=question.period_limit, stop=stop, seed=seed)


@dataclass(frozen=True, eq=False)
class Question:
    """What :func:`partition` is asked, limits aside; see there."""

    graph: Graph
    hardware: Hardware
    start: Placement | None
    policy: str
    goals: tuple[str, ...]
    throughput: float | None
    gap: float
    seed: int

    def check(self) -> None:
        """Raise InvalidInput for what could not be asked."""
        _ = self.period_limit
        _guide(self.policy, self.seed)

    @property
    def period_limit(self) -> float:
        """Largest period that counts."""
        return _period_limit(self.throughput)

    @property
    def allowed(self) -> float:
        """The same with an allowance for rounding, against which placements and bounds are held."""
        return self.period_limit * (1 + ROUNDING)

    @property
    def on_period(self) -> bool:
        """Whether the first goal is the period."""
        return self.goals[0] == "period"


def answer(
    question: Question,
    stop: Stop,
    *,
    report: Callable[[Progress], None] | None = None,
    watch: Callable[[Outcome], None] | None = None,
) -> Result:
    """The search itself, in this process and thread.

    Parameters
    ----------
    watch : see :func:`milp.search.kind_orders.search_orders`.
    """
    from milp.search.goals import pursue
    from milp.search.kind_orders import search_orders
    from milp.search.stage_positions import arrange

    graph, hw, goals, seed = question.graph, question.hardware, question.goals, question.seed
    reason = impossible(graph, hw)
    if reason is not None:
        return Result.infeasible(graph, hw, reason=str(reason), seconds=stop.elapsed, seed=seed)
    first, period_limit = question.on_period, question.period_limit
    part = stop.limited(PERIOD_SHARE * stop.time_limit) if len(goals) > first else stop
    outcome = search_orders(
        graph,
        hw,
        gap=question.gap,
        stop=part,
        seed=seed,
        starts=[question.start] if question.start else [],
        advice=_guide(question.policy, seed),
        report=report,
        limit=None if first and question.throughput is None else question.allowed,
        enough=not first,
        watch=watch,
    )
    incumbent = outcome.incumbent
    placement, chosen, cost = incumbent.placement, incumbent.hardware, incumbent.cost
    history = tuple(incumbent.history)
    if not outcome.feasible:
        why = str(proved_infeasible(graph, hw))
        return Result.infeasible(graph, hw, reason=why, seconds=stop.elapsed, seed=seed, history=history)
    wanted = f"a throughput of {question.throughput} needs a period of {period_limit:.10g} {hw.time_unit}"
    if outcome.bound > question.allowed:
        proof = f"{wanted}, and every assignment takes at least {outcome.bound:.6g}"
        return Result.infeasible(graph, hw, reason=proof, seconds=stop.elapsed, seed=seed, history=history)
    if placement is None or cost is None:
        raise _no_answer(question, stop)
    if chosen.routed and chosen.identical_chips:
        with stop.surviving(lambda: "the choice of where stages stand"):
            chosen = arrange(graph, chosen, placement, stop=stop)
            incumbent.move_stages(chosen)
        chosen, cost = incumbent.hardware, incumbent.cost or cost
    if incumbent.period > question.allowed:
        advice = "allow more time" if part() else "what is between is too little to tell; ask for less"
        raise NoSolutionInTime(
            f"{wanted}; the best found in {stop.elapsed:.0f} s takes {incumbent.period:.10g}, and none below "
            f"{outcome.bound:.10g} can exist; {advice}"
        )
    reached = [reached_by(placement, cost, "period", outcome.bound)] if first else []
    if len(goals) > first and not stop.flag.is_set():
        with stop.surviving(lambda: "the search for further goals"):
            placement, reached = pursue(
                graph,
                chosen,
                placement,
                goals,
                reached,
                period_limit=incumbent.period if first else period_limit,
                gap=question.gap,
                stop=stop,
                seed=seed,
            )
            cost = incumbent.model.evaluate_placement(placement)
    reached = reached or [reached_by(placement, cost, goals[0])]
    closed = len(reached) == len(goals) and all(r.gap <= incumbent.gap_wanted for r in reached)
    if stop.by_work and stop.until_deadline <= 0.0:
        stop.note("the time limit came before the work limit, so another run may differ")
    if stop.failure is not None:
        warn_of(stop.failure)
    return Result(
        graph=graph,
        hardware=chosen,
        placement=placement,
        status="optimal" if closed else "feasible",
        period=float(cost.period[0]),
        bound=min(outcome.bound, float(cost.period[0])),
        seconds=stop.elapsed,
        seed=seed,
        history=history,
        cost=cost,
        interrupted=stop.interrupted,
        goals=tuple(reached),
        work=stop.work if stop.by_work else None,
        faults=tuple(stop.faults),
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
        SearchFault(f"the search ended early with an error of its own; please report it\n{where}"), stacklevel=3
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
    from learned.policy.guide import PolicyGuide
    from learned.policy.pretrained import load_policy

    chosen = load_policy(policy)
    return None if chosen is None else lambda instance: PolicyGuide(chosen, instance, seed)


def validate_limits(time_limit: float | None, gap: float, work_limit: float | None = None) -> None:
    """Raise InvalidInput unless there is some time or work and the gap is from [0, 1)."""
    for limit, what, unit in ((time_limit, "time", "seconds"), (work_limit, "work", "units")):
        if limit is not None and (not isinstance(limit, int | float) or not limit > 0):
            raise InvalidInput(f"the {what} limit is {limit!r}; give a number of {unit} greater than 0")
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
