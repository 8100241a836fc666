"""What a search reports while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from partition.results.proof_steps import ProofStep

ROUNDING = 1e-9
"""Relative difference between a bound and a period that is no contradiction."""


@dataclass(frozen=True)
class Progress:
    """One line of the history.

    Attributes
    ----------
    seconds : since the call.
    phase : what the search was doing.
    period, gap : of the best placement, None before the first.
    bound : best proved bound.
    """

    seconds: float
    phase: str
    period: float | None
    bound: float
    gap: float | None

    def __repr__(self) -> str:
        known = "none yet" if self.period is None else f"{self.period:.6g}"
        return f"<Progress {self.seconds:.2f} s {self.phase}: period {known}, bound {self.bound:.6g}>"


@dataclass(frozen=True)
class Proof:
    """A bound, in the hardware's time unit, the step that proved it, and its claim where those are kept."""

    bound: float
    step: str
    claim: ProofStep | None = None


def proofs_of(history: Iterable[Progress]) -> list[Proof]:
    """The bounds of a history, each where it was first told."""
    found: list[Proof] = []
    for entry in history:
        if entry.bound > (found[-1].bound if found else 0.0):
            found.append(Proof(entry.bound, entry.phase))
    return found


def unrefuted(proofs: Sequence[Proof], period: float) -> list[Proof]:
    """Those that a valid placement of this period leaves standing.

    What proved too much once is not believed anywhere: all that came from the same step goes with it.
    """
    false = {proof.step for proof in proofs if proof.bound > period * (1 + ROUNDING)}
    return [proof for proof in proofs if proof.step not in false]
