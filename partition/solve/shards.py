"""The search for the number of parts of each operation around the search for a placement.

Plans come from :mod:`partition.shards.plans`. Each is solved for a short while, unless what it cannot beat says that it
is not worth it; the best is then varied around its wall as long as that pays, and solved to the end. The answer without
parts is always among those compared, so parts never make an answer worse.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from milp import budget
from milp.search.stability import Before
from milp.tolerances import PLAN_GAIN
from partition.errors import InvalidInput, NoSolutionInTime
from partition.heuristics.carried import chips_in_parts
from partition.problem.cut_axis import PartCount
from partition.problem.graph import Graph
from partition.problem.problem import Problem
from partition.results.result import Result
from partition.results.shards import Shards
from partition.scoring.feasibility import too_much_in_all
from partition.shards.plans import Plans, variations
from partition.shards.rewrite import Sharded
from partition.solve.question import Question
from partition.solve.wished import Wished
from partition.stopping import Stop

PATIENCE = 6
"""Plans solved in a row that are no better, after which no more are tried."""

UNDECIDED = "that is proved without parts, and no parts were found with which it is otherwise"
"""Added to the reason of an infeasible answer where operations could be in parts."""

WITH_PARTS = "parts hold no less together, so cutting operations does not help"
"""Added where the weights are too much for all chips together."""

Wanted = str | Collection[str] | Mapping[str, PartCount]
"""What the caller wants in parts."""

Search = Callable[[Question, Stop], Result]
"""One search in this process, :func:`partition.solve.search_once.answer`."""


@dataclass(frozen=True, eq=False)
class _Tried:
    """A plan and the best answer to it."""

    sharded: Sharded
    asked: Wished
    result: Result


def answer_with_shards(
    question: Question, wished: Wished, wanted: Wanted, stop: Stop, search: Search
) -> tuple[Result, Wished]:
    """Answer a question with operations in parts; the answer, and the wishes for the graph that it is about.

    Parameters
    ----------
    question : narrowed by ``wished``, which is about the operations as they are.
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
    _refuse_tied(question.graph, wished, wanted)
    among = None if isinstance(wanted, str | Mapping) else list(wanted)
    plans = Plans.of(question.graph, question.hardware, among, apart=wanted == "apart", plain=wished.graph)
    if isinstance(wanted, Mapping):
        sharded = plans.sharded(wanted)
        about = wished.about(sharded.graph) if sharded.parts else wished
        return _told(search(_asked(question, about), stop), sharded, None, plans, stop), about
    whole = _attempt(question, stop.part(budget.WITHOUT_PARTS), search)
    if whole is not None and whole.placement is None and not plans.able.any():
        return whole, wished
    if whole is not None and whole.status == "infeasible":
        too_much = too_much_in_all(question.graph, question.hardware)
        if too_much is not None:
            return replace(whole, reason=f"{too_much}; {WITH_PARTS}"), wished
    first = None if whole is None or whole.placement is None else _Tried(plans.sharded({}), wished, whole)
    tried = _TriedPlans(question, wished, plans, first, stop.part(budget.PLANS), search)
    best = tried.find()
    if best is None:
        told = search(question, stop) if whole is None else replace(whole, reason=f"{whole.reason}; {UNDECIDED}")
        return told, wished
    if best.result.status != "optimal" and not stop():
        best = _better(best, tried.again(best, stop)) or best
    return _told(best.result, best.sharded, whole, plans, stop), best.asked


def _refuse_tied(graph: Graph, wished: Wished, wanted: Wanted) -> None:
    """Raise InvalidInput where an operation is wanted in parts that a wish keeps on one chip with others."""
    for name in () if isinstance(wanted, str) else wanted:
        v = graph.index.get(name)
        if v is not None and graph.group[v] >= 0 > wished.graph.group[v]:
            raise InvalidInput(
                f"shard: {name!r} shares a chip with other operations by a wish, so it stays whole; leave it out of "
                "what is wanted in parts, or out of the wish"
            )


class _TriedPlans:
    """The best plan so far, and the plans that were tried.

    Attributes
    ----------
    best : None while no plan has a valid placement.
    fruitless : plans solved in a row that were no better.
    """

    def __init__(
        self, question: Question, wished: Wished, plans: Plans, first: _Tried | None, stop: Stop, search: Search
    ) -> None:
        self.question, self.wished, self.plans = question, wished, plans
        self.stop, self.search = stop, search
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
        sharded = self.plans.sharded(plan)
        about = self.wished.about(sharded.graph) if sharded.parts else self.wished
        least = Problem.of(about.narrowed.graph, about.narrowed.hardware).least_period
        if least >= self.period * (1 - PLAN_GAIN):
            return
        part = self.stop.limited(budget.ONE_PLAN * self.stop.time_limit)
        result = _attempt(_asked(self.question, about), part, self.search)
        found = None if result is None or result.placement is None else _Tried(sharded, about, result)
        before, self.best = self.best, _better(self.best, found)
        self.fruitless = 0 if self.best is not before else self.fruitless + 1

    def again(self, best: _Tried, stop: Stop) -> _Tried | None:
        """A plan solved once more from its answer, within other limits; None where there is no answer."""
        asked = replace(_asked(self.question, best.asked), start=best.result.placement)
        result = _attempt(asked, stop, self.search)
        return None if result is None or result.placement is None else replace(best, result=result)


def _attempt(question: Question, stop: Stop, search: Search) -> Result | None:
    """An answer, or None where there was no time (or memory) for one."""
    try:
        return search(question, stop)
    except (NoSolutionInTime, MemoryError, KeyboardInterrupt):
        return None


def _asked(question: Question, about: Wished) -> Question:
    """The question about a plan's graph; a placement to start from belongs to the graph without parts.

    Parts were nowhere before, so none of them moves.
    """
    graph, before = about.narrowed.graph, question.before
    if graph is question.graph:
        return question
    if before is not None:
        before = Before(chips_in_parts(before.chips, question.graph, graph), None)
    return replace(question, graph=graph, hardware=about.narrowed.hardware, start=None, before=before)


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
