"""Goals other than the period: their values computed anew, and their bounds proved by sums or by the second solver.

Goals come in a row, each within the values of those before. A bound is judged for all placements within those values
and the period required. Forgetting one of these limits only admits more, so whatever is proved without it holds.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from partition.replay.goal_values import energy_of_a_byte, hop_times, value_of
from partition.replay.occurring import rounded_up
from partition.replay.placement import Placed
from partition.replay.question import NEAR
from partition.replay.routes import places
from partition.replay.second_solver import COARSE, MOST_ROWS, installed, solved
from partition.replay.steps import StepVerdict
from partition.replay.units import TICKS, Units, units_of
from partition.replay.whole_model import WholeModel, told

UNITS = 2**30
"""Whole units that the largest value of a goal has in the second solver's model."""

NOT_DECIDED = "neither sums nor the second solver decide it"


@dataclass(frozen=True)
class GoalJudgement:
    """What became of the bound of a goal; ``below`` in the goal's own unit."""

    goal: str
    below: float
    verdict: StepVerdict
    how: str
    seconds: float


class Goals:
    """Judges the goals of an answer.

    Parameters
    ----------
    placed : the placement of the answer, which keeps all rules.
    answer : as the proof has it.
    proved : least period by the steps of the proof.
    deadline : seconds of ``time.process_time``.
    """

    def __init__(self, placed: Placed, answer: Mapping[str, Any], proved: Fraction | None, deadline: float) -> None:
        self.placed, self.question, self.deadline = placed, placed.question, deadline
        self.rows = [(str(row["goal"]), float(row["value"]), float(row["bound"] or 0.0)) for row in answer["goals"]]
        self.proved = proved or Fraction(0)
        limit = answer.get("period_limit")
        self.limits: dict[str, Fraction] = {} if limit is None else {"period": Fraction(float(limit)) * (1 + 2 * NEAR)}
        self.units: Units = units_of(self.question)

    def judged(self) -> list[GoalJudgement]:
        """Every goal but a period that comes first, which the steps of the proof are about."""
        found = []
        for place, (goal, value, bound) in enumerate(self.rows):
            begun = time.process_time()
            exact = value_of(self.placed, goal)
            if goal != "period" or place:
                verdict, how = self._judge(goal, value, bound, exact)
                found.append(GoalJudgement(goal, bound, verdict, how, time.process_time() - begun))
            if exact is not None:
                self.limits[goal] = min(exact * (1 + 2 * NEAR), self.limits.get(goal, exact * 2 + 1))
        return found

    def _judge(self, goal: str, value: float, bound: float, exact: Fraction | None) -> tuple[StepVerdict, str]:
        if exact is None:
            return "trusted", "its value is not computed here"
        if abs(exact - Fraction(value)) > NEAR * max(exact, Fraction(value)):
            return "refuted", f"the placement has {float(exact):.9g} of it, not {value:.9g}"
        below = Fraction(bound)
        if below > exact * (1 + NEAR):
            return "refuted", "the placement of the answer has less"
        if below <= self.least(goal):
            return "proved", "by sums"
        return self.second(goal, below)

    def least(self, goal: str) -> Fraction:
        """What no placement has less of, by sums alone."""
        q, present = self.question, sorted(set(self.question.of_chip))
        fastest = [min((t for k in present if (t := q.times[k][v]) is not None), default=Fraction(0))
                   for v in range(len(q.names))]  # fmt: skip
        if goal == "period":
            return self.proved
        if goal == "energy":
            able = [[q.joules[k][v] for k in present if q.times[k][v] is not None] for v in range(len(q.names))]
            return sum((min(each, default=Fraction(0)) for each in able), Fraction(0))
        if goal == "chips":
            limit = self.limits.get("period")
            return Fraction(max(1, math.ceil(sum(fastest) / limit)) if limit else 1)
        if goal == "latency":
            end = list(fastest)
            for v in q.order:
                before = (end[q.tensors[t].producer] for t in q.reads[v])
                end[v] = fastest[v] + max(before, default=Fraction(0))
            return max([*end, sum(fastest, Fraction(0)) / q.chips])
        return Fraction(0)

    def second(self, goal: str, below: Fraction) -> tuple[StepVerdict, str]:
        """The second solver about every order of the kinds."""
        orders = self.question.orders
        small = WholeModel.size(self.units, self.question.chips) <= MOST_ROWS
        if not installed() or not small or orders is None or self.question.routed:
            return "trusted", NOT_DECIDED
        asked = below * (1 - 1000 * NEAR) if goal == "period" else below  # from there a sum of times may be the next
        if goal == "period" and (rounded_up(self.question, asked) or Fraction(0)) < below * (1 - NEAR):
            asked = below
        for kinds in orders:
            status, placed = self._ask(goal, asked, kinds)
            if placed is not None and self._better(placed, goal, below):
                return "refuted", "OR-Tools CP-SAT finds a valid placement with less"
            if status != "infeasible":
                return "trusted", NOT_DECIDED
        return "second solver", "OR-Tools CP-SAT finds no placement with less"

    def _better(self, placed: Placed, goal: str, below: Fraction) -> bool:
        """Whether a placement is valid, keeps the limits, and has less of the goal."""
        value = value_of(placed, goal)
        if placed.broken() or value is None or value >= below * (1 - NEAR):
            return False
        reached = {each: value_of(placed, each) for each in {"period", *self.limits}}
        return all((has := reached[each]) is not None and has <= most for each, most in self.limits.items())

    def _ask(self, goal: str, below: Fraction, kinds: tuple[int, ...]) -> tuple[str, Placed | None]:
        """Whether CP-SAT finds a placement with less of a goal within the limits."""
        from ortools.sat.python import cp_model

        longest = self.question.longest
        period = (min(self.limits.get("period", longest), longest) or longest) * (1 + NEAR)
        period = min(period, below) if goal == "period" else period  # loads stay below it in the model
        times, _ = self.units.ticks(period)
        room = (TICKS - 1) // COARSE
        pace = TICKS / period / COARSE
        model = WholeModel(cp_model.CpModel(), self.units, kinds, (times // COARSE).tolist(), pace, room)
        for each, most in (self.limits | {goal: below}).items():
            if each != "period":
                self._limit(model, each, most, strictly=each == goal)
        status, solver = solved(model.model, max(0.1, (self.deadline - time.process_time()) / 2))
        if status != "feasible":
            return status, None
        home, replicas, relays = told(self.units, model, solver.value)
        where = places(self.question)
        return status, Placed(self.question, home, replicas, relays, kinds, where, {})

    def _limit(self, model: WholeModel, goal: str, most: Fraction, *, strictly: bool) -> None:
        """A row that every placement with at most so much of a goal keeps; with less than that, if ``strictly``."""
        if goal == "chips":
            last = math.ceil(most) - 2 if strictly else math.floor(most) - 1
            for u in range(self.units.count):
                if last < len(model.kinds) - 1:
                    model.model.add(model.up(u, last) == 1 if last >= 0 else model.up(u, 0) == 2)
            return
        if goal == "latency":
            self._latency(model, most, UNITS - strictly)
            return
        terms = [(amount, column) for amount, column in self._amounts(model, goal) if amount]
        scale = _scale([amount for amount, _ in terms], most)
        load = sum(_down(amount * scale, most * scale) * column for amount, column in terms)
        if terms:
            model.model.add(load <= (math.ceil(most * scale) - 1 if strictly else math.floor(most * scale)))

    def _amounts(self, model: WholeModel, goal: str) -> list[tuple[Fraction, Any]]:
        """What the traffic or the energy is a sum of: each amount, and the column that it counts with."""
        q, a_byte = self.question, Fraction(1) if goal == "traffic" else energy_of_a_byte(self.question)
        moved: Mapping[tuple[int, int], Any] = model.crossing or model.r  # at least one link for all that is received
        terms = [(q.tensors[t].size * a_byte, column) for (t, _), column in moved.items()]
        if goal == "energy":
            for c, kind in enumerate(model.kinds):
                for u, members in enumerate(self.units.members):
                    joules = sum((q.joules[kind][v] for v in members), Fraction(0))
                    terms.append((joules, model.on(u, c)))
        return terms

    def _latency(self, model: WholeModel, most: Fraction, room: int) -> None:
        """Rows for the end of each chip, behind all it receives from; relays on the way only take longer."""
        q, scale = self.question, UNITS / (most or Fraction(1))
        begin = [model.model.new_int_var(0, 2 * UNITS, "") for _ in model.chips]
        busy: list[Any] = []
        for c, kind in enumerate(model.kinds):
            load: Any = 0
            for u, members in enumerate(self.units.members):
                time = sum((q.times[kind][v] or Fraction(0) for v in members), Fraction(0))
                load += _down(time * scale) * model.on(u, c)
            for t, _, _ in model.tensors if q.pays[kind] else ():
                load += _down(q.tensors[t].time * scale) * (model.r[t, c] + model.s[t, c])
            busy.append(load)
            model.model.add(begin[c] + load <= room)
        for (t, u, _), (a, b) in itertools.product(model.tensors, itertools.combinations(model.chips, 2)):
            wait = _down(hop_times(q, b - a) * scale)
            sends = [model.x[u, a], model.r[t, b]]
            model.model.add(begin[b] >= begin[a] + busy[a] + wait).only_enforce_if(sends)


def _scale(amounts: list[Fraction], most: Fraction) -> Fraction:
    """Whole units of an amount: those that all amounts are whole numbers of, where these stay small."""
    unit = Fraction(math.gcd(*(each.numerator for each in amounts)), math.lcm(*(each.denominator for each in amounts)))
    if not amounts or max(*amounts, most) <= 2 * UNITS * unit:
        return 1 / unit if amounts else Fraction(1)
    return UNITS / most if most else UNITS / max(amounts)


def _down(amount: Fraction, most: Fraction = Fraction(UNITS)) -> int:
    """Whole units of an amount, rounded down; twice what may be, for more than that."""
    return min(math.floor(amount), 2 * math.ceil(most) + 1)
