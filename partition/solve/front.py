"""The front door: ``partition(graph, hw)``."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from milp import budget
from milp.confirm import confirmed, solver_name
from milp.tolerances import GAP
from partition.arguments import number, whole
from partition.errors import InvalidInput
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.problem import Problem
from partition.problem.wishes import Forbidden, Names, Pins, Wishes
from partition.results.guesses import find_guesses
from partition.results.lower_bound import LowerBound
from partition.results.progress import Progress
from partition.results.result import Result
from partition.scoring.goals import parse_goals
from partition.solve.given import GivenModel, GivenPackage, Listener, Start, Started, opened
from partition.solve.question import Question
from partition.solve.reasons import explained
from partition.solve.search_once import answer
from partition.solve.shards import Wanted, answer_with_shards
from partition.solve.wished import Wished
from partition.stopping import Stop, ended_by, interruptible

TIME_LIMIT = 60.0
"""Seconds, where neither time nor work is limited by the caller."""


def partition(
    graph: GivenModel,
    hw: GivenPackage = None,
    *,
    time_limit: float | None = None,
    work_limit: float | None = None,
    gap: float = GAP,
    seed: int = 0,
    warm_start: Start = None,
    lower_bound: LowerBound | float | None = None,
    policy: str = "none",
    objective: str | Sequence[str] = "period",
    throughput: float | None = None,
    workers: int = 1,
    confirm: bool = False,
    shard: Wanted = "none",
    pins: Pins | None = None,
    forbid: Forbidden | None = None,
    together: Iterable[Names] = (),
    cuts: Iterable[Sequence[str]] = (),
    granularity: str | None = None,
    max_stages: int | None = None,
    batch: int | None = None,
    stability: Start = None,
    strict: bool = False,
    proof: bool = False,
    on_progress: Callable[[Progress], object] | None = None,
    stop: threading.Event | None = None,
) -> Result:
    """Decide the chip of every operation so that the period is least, and prove how good the answer is.

    Ctrl-C, memory that runs out, a failure of HiGHS or a killed worker may end the search. The best answer so far then
    comes back with its bound, and ``Result.faults`` says what happened. An error of the library itself also gives a
    :class:`SearchFault` warning. Without an answer so far, it is raised.

    Parameters
    ----------
    graph : the model: a graph, what :func:`load_model` returns, the name of a built-in model, or a path.
    hw : the package and its rules: a Hardware, the name of a preset (``"ring36"``), or the path of a TOML file. None:
        the package that the model brings.
    time_limit : seconds, more than zero; the best answer and bound so far are returned when it is over. 60 by default,
        none where work is limited.
    work_limit : units of work, each about a second of one core: ends the search after the same steps on every run, so
        that the same input and seed give the same answer (docs/reliability.md). A time limit beside it is a safeguard.
    gap : relative gap, (period - bound) / period, at which to stop and call the answer optimal; below 2e-5, the
        resolution of proofs by a floating-point solver, it counts as 2e-5.
    seed : of every random choice.
    warm_start : a placement, an earlier result, or operation name -> chip, to start from. The graph may have gained,
        lost or renamed operations since; what breaks a rule is repaired. ``Result.start`` says how much was kept.
    lower_bound : a bound of the period that is proved elsewhere, with its source. The search believes it and stops
        where it is reached; a proof of the answer names it as a step of its own.
    policy : ``"pretrained"``, ``"none"`` or the path of a policy or of a guide; a policy suggests placements and which
        nodes to free where the quick ways fail, a guide orders the states of beams (docs/learned.md). Neither enters a
        bound.
    objective : ``"period"``, ``"chips"``, ``"traffic"``, ``"energy"``, ``"latency"``, or several of them in
        lexicographic order (``"period,traffic"``): each is minimised among the best for those before.
    throughput : required, in inputs per time unit: only periods up to its inverse count.
    workers : searches side by side, the first one in this process (:mod:`partition.solve.portfolio`); the best answer
        and the best bound win.
    confirm : ask a second solver, OR-Tools CP-SAT on whole numbers, to refute the bound of the period, or that there is
        no valid placement; it gets what is left of the time limit, a quarter at least (``Result.confirmation``).
    shard : ``"none"``, ``"auto"``, ``"apart"`` (results may leave in parts too), operations to choose among, or
        operation -> number of parts, perhaps with an axis (``"4:rows"``): operations computed in parts on several
        chips (docs/shards.md). ``Result.graph`` is then the graph with parts; ``Result.shards``
        says what was cut and what holds without. Automatic: as long as it makes the period shorter.
    pins : operation (or pattern) -> the one chip that runs it.
    forbid : -> chips that do not run it.
    together : sets of operations that share a chip.
    cuts : pairs (before, behind) on earlier and later chips.
    granularity : keep modules whole: ``"layer"``, or ``"module:2"`` for modules two levels deep.
    max_stages : use no more than the first so many chips. All six are wishes (docs/problem.md): where no placement
        keeps them, the result says which of them contradict each other (``Result.contradiction``).
    batch : inputs of a batch that the answer shall tell the time of, fill and drain included (``Result.batch``).
    stability : an earlier answer; last of all goals, as few operations as possible move away from where they are in it.
        The period counts as least up to ``gap``, which leaves room for that. A warm start too, where no other is given.
    strict : refuse a model of which costs or shapes are guessed (``Graph.guessed``); otherwise the answer says what it
        rests on (``Result.guesses``).
    proof : keep what proves the bound, step by step, for :func:`partition.results.proof_file.write_proof`
        (docs/replay.md); not with workers.
    on_progress : called with each better period or bound and at the start of each phase, possibly from
        another thread. Returning True ends the search with the answer so far; an exception ends it and is raised here.
    stop : set this event, from any thread, to end the search with the answer so far.

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
    problem = Problem.of(*opened(graph, hw))  # held until the answer, so that everybody who asks for it gets this one
    model, hw = problem.graph, problem.hardware
    wished = Wished.of(model, hw, Wishes.of(pins, forbid, together, cuts, granularity, max_stages))
    _refuse_together(wished, proof, lower_bound, workers=workers, shard=shard, batch=batch)
    _refuse_guesses(model, hw, strict)
    clock = search_clock(time_limit, work_limit)
    listener = None if on_progress is None else Listener(on_progress, clock)
    started = Started.of(wished, warm_start, stability, seed)
    question = Question(
        graph=wished.narrowed.graph,
        hardware=wished.narrowed.hardware,
        start=started.placement,
        before=started.before,
        policy=policy,
        goals=tuple(parse_goals(objective, model, hw)),
        throughput=throughput,
        gap=gap,
        seed=seed,
        proof=proof,
        alike=wished.alike,
        given=LowerBound.of(lower_bound),
    ).checked()
    judge = _second_opinion(confirm, question.goals)
    first = clock.part(1 - budget.CONFIRMATION) if confirm else clock
    with interruptible(clock), ended_by(stop, clock):
        result, wished = _searched(question, wished, first, workers, shard, listener)
        searched = wished.narrowed.hardware
        result = judge(result.graph, searched, explained(result), within=question.period_limit, stop=clock, seed=seed)
        result = wished.explained(wished.answered(result), clock, throughput=throughput, seed=seed)
        return replace(result, inputs=batch, start=started.carried and started.carried.in_parts(model, wished.graph))


def seconds_allowed(time_limit: float | None, work_limit: float | None) -> float | None:
    """Seconds that the search may take; None where work alone is limited."""
    return TIME_LIMIT if time_limit is None and work_limit is None else time_limit


def search_clock(time_limit: float | None, work_limit: float | None) -> Stop:
    """The clock of a search, for the limits that the caller gave."""
    seconds = seconds_allowed(time_limit, work_limit)
    return Stop(math.inf if seconds is None else seconds, work_limit=work_limit)


def _refuse_together(
    wished: Wished, proof: bool, given: LowerBound | float | None, *, workers: int, shard: Wanted, batch: int | None
) -> None:
    """Raise InvalidInput where arguments do not go together, or the batch is none."""
    if batch is not None:
        whole("batch", batch, least=1)
    if given is not None and shard != "none":
        raise InvalidInput("a lower bound is of the operations as they are; leave shard out, or the lower bound")
    if proof and workers != 1:
        raise InvalidInput("a proof is kept of a search in one process; leave out workers, or the proof")
    if proof and not wished.provable:
        raise InvalidInput(
            "a proof is kept of what can be said by groups, kinds of chips and fewer chips; leave out cuts, and pins, "
            "forbidden chips and max_stages where tensors may go back or take routes; or leave out the proof"
        )


def _refuse_guesses(model: Graph, hw: Hardware, strict: bool) -> None:
    """Raise InvalidInput where costs or shapes of the model are guessed and that is not allowed."""
    guesses = find_guesses(model, hw) if strict else None
    if guesses is not None:
        raise InvalidInput(
            f"strict: {guesses.sentence()}; describe the model without what is guessed, or allow guesses"
        )


def _searched(
    question: Question, wished: Wished, stop: Stop, workers: int, shard: Wanted, listener: Listener | None
) -> tuple[Result, Wished]:
    """The answer of one search, of several side by side, or of those around a search for parts; with its wishes."""
    if shard != "none":
        found = answer_with_shards(question, wished, shard, stop, partial(answer, report=listener))
    elif workers == 1:
        found = answer(question, stop, report=listener), wished
    else:
        from partition.solve.portfolio import solve_side_by_side  # joblib takes longer to import than all of this

        found = solve_side_by_side(question, workers=workers, stop=stop, report=listener), wished
    Listener.end(listener)
    return found


def _second_opinion(confirm: bool, goals: Sequence[str]) -> Callable[..., Result]:
    """What asks the second solver, if it is wanted; refused at once where it has nothing to say."""
    if not confirm:
        return lambda graph, hardware, result, **_: result
    if goals[0] != "period":
        raise InvalidInput(
            f"confirm speaks of the bound of the period, which is not the first goal of {','.join(goals)!r}; put it "
            "first, or leave confirm out"
        )
    solver_name()
    return confirmed


def validate_limits(time_limit: float | None, gap: float, work_limit: float | None = None) -> None:
    """Raise InvalidInput unless there is some time or work and the gap is from [0, 1)."""
    for limit, what, unit in ((time_limit, "time", "seconds"), (work_limit, "work", "units")):
        if limit is not None and limit != math.inf:
            number(f"the {what} limit", limit, unit, above=0.0)
    if number("the gap", gap) >= 1.0:
        raise InvalidInput(f"the gap is {gap!r}; give a number from 0 up to, but not including, 1")
