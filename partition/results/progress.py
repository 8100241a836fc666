"""What a search reports while it runs."""

from __future__ import annotations

from dataclasses import dataclass


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
