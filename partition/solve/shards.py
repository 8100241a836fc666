"""The search for the number of parts of each operation around the search for a placement.

Plans come from :mod:`partition.shards.plans`. Each is solved for a short while, unless what it cannot beat says that it
is not worth it; the best is then varied around its wall as long as that pays, and solved to the end. The answer without
parts is always among those compared, so parts never make an answer worse.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from milp import budget
from milp.tolerances import PLAN_GAIN
from partition.errors import InvalidInput, NoSolutionInTime
from partition.results.result import Result
from partition.results.shards import Shards
from partition.shards.plans import Plans, variations
from partition.shards.rewrite import PartCount, Sharded
from partition.solve.question import Question
from partition.stopping import Stop

PATIENCE = 6
"""Plans solved in a row that are no better, after which no more are tried."""

UNDECIDED = "that is proved without parts, and no parts were found with which it is otherwise"
"""Added to the reason of an infeasible answer where operations could be in parts."""

Wanted = str | Collection[str] | Mapping[str, PartCount]
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
    wanted : ``"auto"``, or ``"apart"`` where results may leave in parts; the operations among which to choose; or
        operation -> number of parts.

    Raises
    ------
    InvalidInput : ``wanted`` is neither, or names what cannot be cut; a goal other than the period comes first.
    NoSolutionInTime : neither with parts nor without was a valid placement found.
    """
    if not question.on_period:
        raise InvalidInput("shard: parts are chosen for the period; make it the first goal, or leave shard out")
    if isinstance(wanted, str) and wanted not in ("auto", "apart"):
        raise InvalidInput(f"shard is {wanted!r}; give 'auto', 'apart', 'none', names, or operation -> number of parts")
    among = None if isinstance(wanted, str | Mapping) else list(wanted)
    plans = Plans.of(question.graph, question.hardware, among, apart=wanted == "apart")
    if isinstance(wanted, Mapping):
        sharded = plans.sharded(wanted)
        return _told(search(_asked(question, sharded), stop), sharded, None, plans, stop)
    whole = _attempt(question, stop.part(budget.WITHOUT_PARTS), search)
    if whole is not None and whole.placement is None and not plans.able.any():
        return whole
    first = None if whole is None or whole.placement is None else _Tried(plans.sharded({}), whole)
    best = _TriedPlans(question, plans, first, stop.part(budget.PLANS), search).find()
    if best is None:
        return search(question, stop) if whole is None else replace(whole, reason=f"{whole.reason}; {UNDECIDED}")
    if best.result.status != "optimal" and not stop():
        again = _tried(question, plans, dict(best.sharded.parts), stop, search, start=best.result)
        best = _better(best, again) or best
    return _told(best.result, best.sharded, whole, plans, stop)


class _TriedPlans:
    """The best plan so far, and the plans that were tried.

    Attributes
    ----------
    best : None while no plan has a valid placement.
    fruitless : plans solved in a row that were no better.
    """

    def __init__(self, question: Question, plans: Plans, first: _Tried | None, stop: Stop, search: Search) -> None:
        self.question, self.plans, self.stop, self.search = question, plans, stop, search
        self.best = first
        self.known = {_key({})} if first is not None else set()
        self.fruitless = 0

    @property
    def period(self) -> float:
        """Of the best plan."""
        return self.best.result.period if self.best is not None else float("inf")

    @property
    def over(self) -> bool:
        """Whether time is up, or plans have long been no better."""
        return self.stop() or self.fruitless >= PATIENCE

    def find(self) -> _Tried | None:
        """The best plan: targets first, then what is near the best so far, while that pays."""
        self.consider(self.plans.whole_plan())
        for target in self.plans.targets(self.period):
            if self.over:
                break
            self.consider(self.plans.for_target(target))
        self.fruitless = 0
        while not self.over and self._nearby():
            pass
        return self.best

    def _nearby(self) -> bool:
        """Look for a better plan near the best; whether there is one."""
        best = self.best
        if best is None or best.result.cost is None or best.result.placement is None:
            return False
        load, homes = best.result.cost.load[0], best.result.placement.assignment
        for plan in variations(self.plans, best.sharded, load, homes):
            if self.over:
                return False
            self.consider(plan)
            if self.best is not best:
                return True
        return False

    def consider(self, plan: dict[str, PartCount]) -> None:
        """Solve a plan for a short while, if it is new and may be better than the best."""
        if _key(plan) in self.known or self.stop():
            return
        self.known.add(_key(plan))
        if self.plans.least_period(self.plans.sharded(plan)) >= self.period * (1 - PLAN_GAIN):
            return
        part = self.stop.limited(budget.ONE_PLAN * self.stop.time_limit)
        found = _tried(self.question, self.plans, plan, part, self.search)
        before, self.best = self.best, _better(self.best, found)
        self.fruitless = 0 if self.best is not before else self.fruitless + 1


def _tried(
    question: Question,
    plans: Plans,
    plan: Mapping[str, PartCount],
    stop: Stop,
    search: Search,
    start: Result | None = None,
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
    if best is None or other.result.period < best.result.period * (1 - PLAN_GAIN):
        return other
    same = _key(best.sharded.parts) == _key(other.sharded.parts)
    return other if same and other.result.period <= best.result.period else best


def _key(plan: Mapping[str, PartCount]) -> object:
    return tuple(sorted(plan.items()))


def _told(result: Result, sharded: Sharded, whole: Result | None, plans: Plans, stop: Stop) -> Result:
    """The answer with what was cut, and what is known without."""
    period, bound = (None, None) if whole is None else (whole.period, whole.bound)
    shards = Shards(dict(sharded.parts), plans.floor, period, bound, plans.apart)
    return replace(result, shards=shards, seconds=stop.elapsed, interrupted=result.interrupted or stop.interrupted)
