"""A proof replayed: every step proved again, put to a second solver, or named as taken on trust."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from typing import Any, Literal

from partition.replay.goals import GoalJudgement, Goals
from partition.replay.placement import Placed, read_placement
from partition.replay.proof_file import Claim, ProofFile, read_proof
from partition.replay.question import NEAR, ReplayQuestion
from partition.replay.steps import Judge, Judgement

LEAST_SECONDS, SHARE = 20.0, 5.0
"""A replay may take this long, or this many times as long as the solve."""


@dataclass(frozen=True)
class Replayed:
    """What became of a proof.

    Attributes
    ----------
    verdict : ``"accepted"``, ``"accepted on trust"`` or ``"rejected"``.
    reasons : why it is rejected, a sentence each.
    judgements : of the steps, in their order.
    goals : of the bounds of goals other than a period that comes first.
    trusted : what is taken on trust, a sentence each.
    below, period : what is proved, None if that nothing is valid; and the period of the placement, None without one.
    seconds : of the replay.
    solve_seconds : of the solve.
    """

    verdict: Literal["accepted", "accepted on trust", "rejected"]
    reasons: tuple[str, ...]
    judgements: tuple[Judgement, ...]
    goals: tuple[GoalJudgement, ...]
    trusted: tuple[str, ...]
    below: float | None
    period: float | None
    seconds: float
    solve_seconds: float

    @property
    def thresholds(self) -> int:
        """Steps that rest on HiGHS."""
        return sum(each.by_solver for each in self.judgements)

    @property
    def decided(self) -> int:
        """Of those, how many this replay decided, by arithmetic or by the second solver."""
        return sum(each.by_solver and each.verdict in ("proved", "second solver") for each in self.judgements)

    def sentence(self) -> str:
        """The verdict in one sentence."""
        what = (
            "no placement is valid" if self.below is None else f"no valid placement has a period below {self.below:.9g}"
        )
        if self.verdict == "rejected":
            return "the proof is rejected"
        placed = "" if self.period is None else f"; the placement is valid, of period {self.period:.9g}"
        trust = f", with {len(self.trusted)} steps on trust" if self.trusted else ""
        return f"accepted{trust}: {what}{placed} ({self.seconds:.2f} s; the solve took {self.solve_seconds:.2f} s)"

    def to_dict(self) -> dict[str, Any]:
        """The command line's JSON object."""
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "trusted": list(self.trusted),
            "below": self.below,
            "period": self.period,
            "thresholds": self.thresholds,
            "decided": self.decided,
            "seconds": self.seconds,
            "solve_seconds": self.solve_seconds,
            "steps": [
                {"number": each.number, "engine": each.engine, "verdict": each.verdict, "how": each.how,
                 "seconds": each.seconds}
                for each in self.judgements
            ],
            "goals": [
                {"goal": each.goal, "below": each.below, "verdict": each.verdict, "how": each.how,
                 "seconds": each.seconds}
                for each in self.goals
            ],
        }  # fmt: skip


def replay(path: str | PathLike[str], *, seconds: float | None = None) -> Replayed:
    """Prove a proof again.

    Parameters
    ----------
    path : of a file that ``solve --proof`` wrote.
    seconds : of processor time, for all of it; by default :data:`SHARE` times those of the solve, and
        :data:`LEAST_SECONDS` at least.

    Raises
    ------
    InvalidInput : it is no proof, or its fingerprints do not fit its content.
    """
    return replay_file(read_proof(path), seconds=seconds)


def replay_file(proof: ProofFile, *, seconds: float | None = None) -> Replayed:
    """The same of a file that was read."""
    begun, worked = time.monotonic(), time.process_time()
    solve_seconds = float(proof.answer["seconds"])
    limit = max(LEAST_SECONDS, SHARE * solve_seconds) if seconds is None else seconds
    reasons, placed, period = _placement(proof)
    judge = Judge(proof.question, period, worked + limit, () if placed is None else placed.kind)
    judgements: list[Judgement] = []
    for claim in proof.claims if not reasons else ():
        judgements.append(judge.step(claim, [proof.claims[i] for i in claim.rests_on]))
    reasons += [f"step {each.number} ({each.engine}): {each.how}" for each in judgements if each.verdict == "refuted"]
    trusted = [f"step {each.number} ({each.engine}): {each.how}" for each in judgements if each.verdict == "trusted"]
    below = _conclusion(proof, reasons)
    goals: list[GoalJudgement] = []
    if placed is not None and not reasons:
        goals = Goals(placed, proof.answer, below, worked + limit).judged()
    reasons += [f"the bound of the goal {each.goal}: {each.how}" for each in goals if each.verdict == "refuted"]
    trusted += [f"the bound of the goal {each.goal}: {each.how}" for each in goals if each.verdict == "trusted"]
    return Replayed(
        verdict="rejected" if reasons else "accepted on trust" if trusted else "accepted",
        reasons=tuple(reasons),
        judgements=tuple(judgements),
        goals=tuple(goals),
        trusted=tuple(trusted),
        below=None if below is None else float(below),
        period=None if period is None else float(period),
        seconds=time.monotonic() - begun,
        solve_seconds=solve_seconds,
    )


def _placement(proof: ProofFile) -> tuple[list[str], Placed | None, Fraction | None]:
    """What is wrong with the placement, itself, and its period; None where the answer has none."""
    if not proof.answer["assignment"]:
        status = proof.answer["status"]
        reasons = [] if status == "infeasible" else [f"the answer is {status}, without a placement"]
        return reasons, None, None
    placed = read_placement(proof.question, proof.answer)
    broken, period = placed.broken(), placed.period()
    if broken or period is None:
        return [f"the placement breaks a rule: {(broken or ['a tensor goes back on a chain'])[0]}"], placed, period
    if abs(period - Fraction(float(proof.answer["period"]))) > NEAR * period:
        told = proof.answer["period"]
        return [f"the placement has the period {float(period):.9g}, not {told:.9g}"], placed, period
    return [], placed, period


def _conclusion(proof: ProofFile, reasons: list[str]) -> Fraction | None:
    """What follows from the steps that the bound is said to follow from; what is missing goes to ``reasons``."""
    claims = [proof.claims[i] for i in proof.proves]
    if not claims:
        if proof.answer["status"] == "infeasible" or proof.answer["bound"] > 0:
            reasons.append("no step proves the bound of the answer")
        return Fraction(0)
    if not _every_order(proof.question, claims):
        if proof.answer["status"] == "infeasible" or proof.answer["bound"] > 0:
            reasons.append("some order of the kinds is in no step that the bound follows from")
        return Fraction(0)
    figures = [claim.below for claim in claims if claim.below is not None]
    below = min(figures, default=None)
    bound = proof.answer["bound"]
    if proof.answer["status"] == "infeasible":
        return below
    if below is not None and Fraction(float(bound)) > below:
        reasons.append(f"the bound {bound:.9g} does not follow from the steps, which prove {float(below):.9g}")
    if below is None:
        reasons.append("the steps prove that nothing is valid, beside a placement")
    return below


def _every_order(question: ReplayQuestion, claims: list[Claim]) -> bool:
    """Whether the claims speak of every order in which the kinds may stand."""
    if any(not claim.kinds for claim in claims):
        return True
    told = {claim.kinds for claim in claims}
    if not question.free_order:
        return question.of_chip in told
    count = math.factorial(question.chips)
    for _, same in itertools.groupby(sorted(question.of_chip)):
        count //= math.factorial(len(list(same)))
    return len(told) == count
