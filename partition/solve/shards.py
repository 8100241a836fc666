"""The search for the number of parts of each operation around the search for a placement.

Plans come from :mod:`partition.shards.plans`. Each is solved for a short while, unless what it cannot beat says that it
is not worth it; the best is then varied around its wall as long as that pays, and solved to the end. The answer without
parts is always among those compared, so parts never make an answer worse.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from partition.errors import InvalidInput, NoSolutionInTime
from partition.results.result import Result
from partition.results.shards import Shards
from partition.shards.plans import Plans, variations
from partition.shards.rewrite import Sharded
from partition.solve.question import Question
from partition.stopping import Stop

FIRST_SHARE = 0.3
"""Largest share of the time for the answer without parts."""

PLAN_SHARE = 0.03
"""Largest share of the time for one plan while plans are compared."""

COMPARING_SHARE = 0.75
"""Share of the time within which plans are compared; the rest is for the best one."""

WORTH = 1e-3
"""Relative improvement of the period from which a plan counts as better."""

Wanted = str | Collection[str] | Mapping[str, int]
"""What the caller wants in parts."""

Search = Callable[[Question, Stop], Result]
"""One search in this process, :func:`partition.solve.search_once.answer`."""


@dataclass(frozen=True, eq=False)
class _Tried:
    """A plan and the best answer to it."""

    sharded: Sharded
    result: Result


def answer_with_shards(question: Question, wanted: Wanted, stop: Stop, search: Search) -> Result:
    """Answer a question with operations in parts.

    Parameters
    ----------
    wanted : ``"auto"``; the operations among which to choose; or operation -> number of parts.

    Raises
    ------
    InvalidInput : ``wanted`` is neither, or names what cannot be cut; a goal other than the period comes first.
    NoSolutionInTime : neither with parts nor without was a valid placement found.
    """
    if not question.on_period:
        raise InvalidInput("shard: parts are chosen for the period; make it the first goal, or leave shard out")
    if isinstance(wanted, str) and wanted != "auto":
        raise InvalidInput(f"shard is {wanted!r}; give 'auto', 'none', names, or operation -> number of parts")
    among = None if isinstance(wanted, str | Mapping) else list(wanted)
    plans = Plans.of(question.graph, question.hardware, among)
    if isinstance(wanted, Mapping):
        return _told(search(_asked(question, plans.sharded(wanted)), stop), plans.sharded(wanted), None, plans, stop)
    whole = _attempt(question, stop.limited(FIRST_SHARE * stop.remaining), search)
    if whole is not None and whole.placement is None and not plans.whole_plan():
        return whole  # infeasible, and for no operation that could be cut
    first = None if whole is None or whole.placement is None else _Tried(plans.sharded({}), whole)
    best = _best_plan(question, plans, first, stop.limited(COMPARING_SHARE * stop.remaining), search)
    if best is None:
        return whole if whole is not None else search(question, stop)
    if best.result.status != "optimal" and not stop():
        again = _tried(question, plans, dict(best.sharded.parts), stop, search, start=best.result)
        best = _better(best, again) or best
    return _told(best.result, best.sharded, whole, plans, stop)


def _best_plan(question: Question, plans: Plans, first: _Tried | None, stop: Stop, search: Search) -> _Tried | None:
    """Targets first, then what is near the best so far, while that pays."""
    best = first
    known = {_key({})} if first is not None else set()
    period = first.result.period if first is not None else float("inf")
    best = _try(question, plans, plans.whole_plan(), best, known, stop, search)
    for target in plans.targets(period):
        best = _try(question, plans, plans.for_target(target), best, known, stop, search)
    improved = True
    while improved and best is not None and best.result.cost is not None and not stop():
        improved = False
        assert best.result.placement is not None
        before = best
        near = variations(plans, best.sharded, best.result.cost.load[0], best.result.placement.assignment)
        for plan in near:
            best = _try(question, plans, plan, best, known, stop, search)
            if best is not before or stop():
                improved = best is not before
                break
    return best


def _try(
    question: Question, plans: Plans, plan: dict[str, int], best: _Tried | None, known: set[object], stop: Stop,
    search: Search,
) -> _Tried | None:  # fmt: skip
    """The better of the best so far and a plan, which is solved only if it is new and may be better."""
    if _key(plan) in known or stop():
        return best
    known.add(_key(plan))
    if best is not None and plans.least_period(plans.sharded(plan)) >= best.result.period * (1 - WORTH):
        return best
    part = stop.limited(max(PLAN_SHARE * stop.time_limit, 0.0))
    return _better(best, _tried(question, plans, plan, part, search)) or best


def _tried(
    question: Question, plans: Plans, plan: Mapping[str, int], stop: Stop, search: Search, start: Result | None = None
) -> _Tried | None:
    """A plan with its answer; None where there is none."""
    sharded = plans.sharded(plan)
    asked = _asked(question, sharded)
    if start is not None and start.placement is not None:
        asked = replace(asked, start=start.placement)
    result = _attempt(asked, stop, search)
    return None if result is None or result.placement is None else _Tried(sharded, result)


def _attempt(question: Question, stop: Stop, search: Search) -> Result | None:
    """An answer, or None where there was no time (or memory) for one."""
    try:
        return search(question, stop)
    except (NoSolutionInTime, MemoryError, KeyboardInterrupt):
        return None


def _asked(question: Question, sharded: Sharded) -> Question:
    """The question about a plan's graph; a placement to start from belongs to the graph without parts."""
    if not sharded.parts:
        return question
    return replace(question, graph=sharded.graph, start=None)


def _better(best: _Tried | None, other: _Tried | None) -> _Tried | None:
    """The other, if its period is shorter by enough (or it has a better bound for the same plan)."""
    if other is None:
        return best
    if best is None or other.result.period < best.result.period * (1 - WORTH):
        return other
    same = _key(best.sharded.parts) == _key(other.sharded.parts)
    return other if same and other.result.period <= best.result.period else best


def _key(plan: Mapping[str, int]) -> object:
    return tuple(sorted(plan.items()))


def _told(result: Result, sharded: Sharded, whole: Result | None, plans: Plans, stop: Stop) -> Result:
    """The answer with what was cut, and what is known without."""
    period, bound = (None, None) if whole is None else (whole.period, whole.bound)
    shards = Shards(dict(sharded.parts), plans.floor, period, bound)
    return replace(result, shards=shards, seconds=stop.elapsed, interrupted=result.interrupted or stop.interrupted)
