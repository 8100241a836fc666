"""One step of a proof judged: arithmetic first, then sets of units along the chips, then the second solver."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal

import numpy as np

from partition.arrays import IntArray
from partition.replay.chains import ChainQuestion, TooMany
from partition.replay.counting import fits_nowhere, least_period
from partition.replay.cuts import FlowNetwork, carried_by_links, proved_pairs
from partition.replay.occurring import rounded_up
from partition.replay.placement import Placed
from partition.replay.proof_file import Claim
from partition.replay.question import NEAR, ReplayQuestion
from partition.replay.routes import places
from partition.replay.second_solver import SolverOpinion, ask, ask_whole
from partition.replay.streaming import alone
from partition.replay.units import TICKS, Units, units_of
from partition.replay.windows import UnitWindows, reach

ARITHMETIC = ("work", "windows", "counting")
FOLLOWS = ("values that can occur", "all orders", "static memory")
PROGRAMS = ("ideals", "stretches", "frontiers", "down-sets", "down-sets of any order")
GIVEN = "given bound"
SOLVER = ("model", "blocks", "crowds", "block capacity")
"""Engines by what stands behind them: sums, other steps, a program of their own, a word from elsewhere, HiGHS."""

PART = 0.3
"""Share of the time left that one attempt at a step may take."""

SETS = 5_000, 200_000
"""Sets of units of one chip that are listed at most, before the second solver is asked and after."""

TOO_MANY = "there are too many sets of units"

StepVerdict = Literal["proved", "second solver", "trusted", "refuted"]


@dataclass(frozen=True)
class Judgement:
    """What became of a step; ``by_solver``: whether HiGHS stood behind it."""

    number: int
    engine: str
    verdict: StepVerdict
    how: str
    seconds: float
    by_solver: bool


@dataclass(frozen=True, eq=False)
class _OrderClaim:
    """A claim about one order of the kinds, in ticks of its period."""

    units: Units
    kinds: tuple[int, ...]
    times: IntArray
    moved: IntArray
    room: int
    window: UnitWindows


class Judge:
    """Judges the steps of one proof.

    Parameters
    ----------
    question : of the proof.
    period : of its placement, None if it has none.
    deadline : seconds of ``time.process_time`` until which all must be judged.
    kinds : of the chips in the order that the placement has; empty if that is not known.
    """

    def __init__(
        self, question: ReplayQuestion, period: Fraction | None, deadline: float, kinds: tuple[int, ...] = ()
    ) -> None:
        self.question, self.period, self.deadline, self.kinds = question, period, deadline, kinds
        self.plain = units_of(question)

    @cached_property
    def least(self) -> Fraction | None:
        """No placement has a smaller period, by counting; None if some unit runs nowhere."""
        return least_period(self.plain)

    def step(self, claim: Claim, under: Sequence[Claim]) -> Judgement:
        """Prove a claim again; ``under`` are the claims that it rests on."""
        begun = time.process_time()
        if claim.engine not in (*ARITHMETIC, *FOLLOWS, *PROGRAMS, GIVEN, *SOLVER):
            verdict: tuple[StepVerdict, str] = "refuted", "there is no such engine"
        elif self._contradicted(claim):
            verdict = "refuted", "the placement of the answer has a shorter period"
        elif claim.engine in FOLLOWS:
            verdict = self._follows(claim, under)
        else:
            verdict = self._orders(claim, under)
        seconds = time.process_time() - begun
        return Judgement(claim.number, claim.engine, *verdict, seconds, claim.engine in SOLVER)

    def _contradicted(self, claim: Claim) -> bool:
        """Whether the placement shows a claim to be false; about another order of the kinds it shows nothing."""
        if self.period is None or (self.kinds and claim.kinds and claim.kinds != self.kinds):
            return False
        return claim.below is None or claim.below > self.period * (1 + NEAR)

    def _follows(self, claim: Claim, under: Sequence[Claim]) -> tuple[StepVerdict, str]:
        """Steps that only pass on, or round up, what others prove."""
        about = [each for each in under if not each.kinds or each.kinds == claim.kinds]
        if len(under) != 1 or not about:
            return "refuted", "it rests on no step about the same chips"
        least = about[0].below
        if least is None or (claim.below is not None and claim.below <= least):
            return "proved", "it follows from the step before"
        if claim.engine != "values that can occur" or claim.below is None:
            return "refuted", "it says more than the step it rests on"
        # That step had its margin for rounding taken off; the sum that it was rounded up to need not be a double.
        found = rounded_up(self.question, least)
        if found is not None and claim.below <= found * (1 + NEAR):
            return "proved", "no sum of times lies between"
        return "refuted", "a sum of times lies between"

    def _orders(self, claim: Claim, under: Sequence[Claim]) -> tuple[StepVerdict, str]:
        """The claim for its order of the kinds, or for each; the weakest verdict of all."""
        if claim.below == 0:
            return "proved", "no period is below 0"
        if claim.below is None and fits_nowhere(self.question, self.plain):
            return "proved", "an operation runs nowhere, or weights are more than there is room for"
        if claim.engine == "counting":
            return "refuted", "counting does not show it"
        orders = (claim.kinds,) if claim.kinds else self.question.orders
        if orders is None:
            return "trusted", "it speaks of more orders of the kinds than can be tried"
        rank = ("proved", "second solver", "trusted", "refuted")
        found: tuple[StepVerdict, str] = "proved", ""
        for kinds in orders:
            verdict = self._one_order(claim, kinds, under)
            found = max(found, verdict, key=lambda each: rank.index(each[0])) if found[1] else verdict
            if found[0] == "refuted":
                break
        return found

    def _one_order(self, claim: Claim, kinds: tuple[int, ...], under: Sequence[Claim]) -> tuple[StepVerdict, str]:
        if claim.below is not None and (self.least is None or claim.below <= self.least):
            return "proved", "by counting"
        if claim.engine == "work":
            return "refuted", "counting gives less"
        units, wrong = self._joined(claim)
        if wrong:
            return "refuted", wrong
        asked = self._asked(claim, units, kinds, under)
        wrong = self._too_narrow(claim, asked)
        if wrong:
            return "refuted", wrong
        if asked.window.empty:
            return "proved", "by sums of work before and behind each operation"
        how = ""
        for most in SETS:
            found, how = self.by_sets(claim, asked, most)
            if found:
                return "proved", how
            if claim.engine == "windows":
                return "refuted", "sums of work leave every operation a chip"
            verdict = self.by_second_solver(claim, asked)
            if verdict is not None:
                return verdict
            if how != TOO_MANY:
                break
        source = claim.evidence.get("source") if claim.engine == GIVEN else None
        return "trusted", how if source is None else f"it was given by {source}"

    def _joined(self, claim: Claim) -> tuple[Units, str]:
        """The units with all that is joined, once each join is proved."""
        if not claim.joined:
            return self.plain, ""
        if claim.below is None or not carried_by_links(self.question):
            return self.plain, "nothing can be joined without links that carry all cuts"
        _, moved = self.plain.ticks(claim.below)
        pairs = proved_pairs(self.plain, FlowNetwork(self.plain, moved, TICKS), claim.joined)
        units = units_of(self.question, pairs)
        for members in claim.joined:
            if len({units.of[v] for v in members}) > 1:
                return units, f"a cut between {self.question.names[members[0]]!r} and another is cheap enough"
        return units, ""

    def _asked(self, claim: Claim, units: Units, kinds: tuple[int, ...], under: Sequence[Claim]) -> _OrderClaim:
        below = claim.below if claim.below is not None else self.question.longest
        times, moved = units.ticks(below)
        if self.question.streams and claim.below is not None:
            long = [[time is not None and time >= below for time in row] for row in alone(units)]
            times[np.array(long).reshape(times.shape)] = TICKS
        room = TICKS - 1
        for each in under:
            if each.engine == "block capacity" and "most" in each.evidence:
                most = Fraction(float(each.evidence["most"])) * (1 + NEAR) * TICKS / below
                room = min(room, most.numerator // most.denominator)
        return _OrderClaim(units, kinds, times, moved, room, reach(units, kinds, times, room, claim.below))

    def _too_narrow(self, claim: Claim, asked: _OrderClaim) -> str:
        """Whether the windows of a model leave out chips that sums of work do not; empty if not."""
        if "first" not in claim.evidence or asked.window.empty:
            return ""
        first, last = claim.operations("first"), claim.operations("last")
        own = asked.units.of
        for v, name in enumerate(self.question.names):
            if asked.window.first[own[v]] < first[v] or asked.window.last[own[v]] > last[v]:
                return f"nothing shows the window of {name!r}"
        return ""

    def by_sets(self, claim: Claim, asked: _OrderClaim, most: int) -> tuple[bool, str]:
        """Whether no chain of sets of units, ``most`` a chip, holds all; and in words why that is not shown."""
        left = self._left_out(claim, asked.units)
        part = time.process_time() + PART * (self.deadline - time.process_time())
        try:
            chain = ChainQuestion(asked.units, asked.window, asked.kinds, asked.times, asked.moved, left)
            if chain.impossible(most, part):
                return True, "by all sets of units that the first chips may hold"
        except TooMany:
            return False, TOO_MANY
        return False, "neither sets of units nor the second solver show it"

    def _left_out(self, claim: Claim, units: Units) -> frozenset[int]:
        """Units of operations that were left out, and those that take no time and send nothing that counts."""
        told = set(claim.operations("left_out"))
        left = {u for u, members in enumerate(units.members) if told.issuperset(members)}
        single = {u for _, u, readers in units.tensors if len(readers) > 1}
        fed = {v for _, v in units.edges}
        idle = {
            u for u in range(units.count)
            if u not in single and u not in fed and not any(row[u] for row in units.times) and not units.weights[u]
        }  # fmt: skip
        return frozenset(left | idle)

    def by_second_solver(self, claim: Claim, asked: _OrderClaim) -> tuple[StepVerdict, str] | None:
        """What the second solver says; None where it does not know, or only of an easier question."""
        seconds = PART * (self.deadline - time.process_time())
        opinion = ask(asked.units, asked.window, asked.kinds, asked.times, asked.moved, seconds)
        if opinion.status != "infeasible" and not self._is_valid(claim, asked, opinion):
            below = claim.below if claim.below is not None else self.question.longest
            opinion = ask_whole(asked.units, asked.kinds, asked.times, below, seconds)
        if opinion.status == "infeasible":
            return "second solver", "OR-Tools CP-SAT finds no placement"
        if self._is_valid(claim, asked, opinion):
            return "refuted", "OR-Tools CP-SAT finds a valid placement of a shorter period"
        return None

    def _is_valid(self, claim: Claim, asked: _OrderClaim, found: SolverOpinion) -> bool:
        """Whether a placement that the second solver found keeps all rules, below the period of the claim."""
        if found.status != "feasible":
            return False
        where = places(self.question)
        schedules: Mapping[int, tuple[int, ...]] = {}
        placed = Placed(self.question, found.home, found.replicas, found.relays, asked.kinds, where, schedules)
        period = placed.period()
        valid = period is not None and not placed.broken()
        return valid and period is not None and (claim.below is None or period < claim.below * (1 - NEAR))
