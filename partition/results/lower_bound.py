"""A bound of the period that a search is given instead of proving it."""

from __future__ import annotations

from dataclasses import dataclass

from partition.arguments import number
from partition.errors import InvalidInput
from partition.results.proof_steps import ProofStep
from partition.text import shown

GIVEN = "given bound"
"""The engine of its step in a proof."""


@dataclass(frozen=True)
class LowerBound:
    """No valid placement has a period below this: somebody has proved it elsewhere.

    Attributes
    ----------
    below : the period, in the hardware's time unit.
    source : who says so; the proof of an answer that rests on it names it.

    Raises
    ------
    InvalidInput : the period is no number from 0 up, or the source is no text.
    """

    below: float
    source: str = "the caller"

    def __post_init__(self) -> None:
        object.__setattr__(self, "below", number("the lower bound", self.below))
        if not isinstance(self.source, str) or not self.source.strip():
            raise InvalidInput(f"the source of the lower bound is {shown(self.source)}; say in words who proved it")

    @staticmethod
    def of(given: LowerBound | float | None) -> LowerBound | None:
        """What the front door was given."""
        return given if given is None or isinstance(given, LowerBound) else LowerBound(given)

    @property
    def step(self) -> ProofStep:
        """Of a proof."""
        return ProofStep(GIVEN, self.below, {"source": self.source})
