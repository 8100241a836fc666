"""What a second solver says of a bound."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["confirmed", "refuted", "unsettled"]


@dataclass(frozen=True)
class Confirmation:
    """The second opinion on the bound of a result, or on its infeasibility.

    Attributes
    ----------
    verdict : ``confirmed``; ``refuted``, a placement better than the bound was found, which is withdrawn; or
        ``unsettled``: neither, in the time that was left.
    solver : name and version.
    up_to : confirmed: every valid placement has a larger period than this, in the hardware's time unit; a little less
        than the bound, by what whole numbers round off. None if there is no valid placement at all, or not confirmed.
    over : what was searched: ``all placements``, or ``windows`` where the model over all placements is too large and
        chips that the arithmetic of windows excludes were left out.
    seconds : that it took.
    reason : why it is unsettled, or by what it was refuted; otherwise empty.
    """

    verdict: Verdict
    solver: str
    up_to: float | None
    over: str
    seconds: float
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def sentence(self, unit: str) -> str:
        """In words; ``unit`` of time."""
        if self.verdict == "confirmed":
            what = "that there is none" if self.up_to is None else f"no placement within {self.up_to:.9g} {unit}"
            return f"confirmed by {self.solver}: {what}"
        return f"{self.verdict.upper()} by {self.solver}: {self.reason}"
