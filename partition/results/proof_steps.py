"""What a bound rests on, kept where a proof is asked for: each claim with its evidence and the claims below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class ProofStep:
    """No valid placement has a period below this.

    Attributes
    ----------
    engine : what proved it, a name of docs/replay.md.
    below : the period, in the hardware's time unit; infinite if there is no valid placement at all.
    evidence : figures, and lists of operations by number, that another program needs to prove it again.
    rests_on : steps that the claim follows from.
    kinds : kind of each chip in the order that the claim is about; empty for every order, or before it is known.
    """

    engine: str
    below: float = 0.0
    evidence: Mapping[str, Any] = field(default_factory=dict)
    rests_on: tuple[ProofStep, ...] = ()
    kinds: tuple[int, ...] = ()

    def about(self, below: float, kinds: tuple[int, ...]) -> ProofStep:
        """The same claim with its figure and order of kinds, and those for all that it rests on without any."""
        under = tuple(step.about(below, kinds) if step.below == 0.0 else step for step in self.rests_on)
        return replace(self, below=below, kinds=kinds, rests_on=under)


Because = Callable[[], ProofStep]
"""The step behind a claim, made only where proofs are kept; the figure and the kinds are filled in there."""
