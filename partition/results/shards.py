"""What an answer with operations in parts says about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from partition.problem.cut_axis import PartCount, split_parts

SHOWN = 4
"""Operations in parts that are named in a sentence."""


@dataclass(frozen=True)
class Shards:
    """The operations that an answer has in parts, beside what holds without parts.

    Attributes
    ----------
    parts : operation -> number of parts, perhaps with their axis (``"4:rows"``); empty if none pays.
    floor : no number of parts of the operations that can be cut has a period below this, in the hardware's time unit.
    apart : whether results of the model may leave in parts.
    period, bound : of the answer without parts; infinite where there is none, None where it was not asked for.
    """

    parts: Mapping[str, PartCount] = field(default_factory=dict)
    floor: float = 0.0
    period: float | None = None
    bound: float | None = None
    apart: bool = False

    def to_dict(self) -> dict[str, Any]:
        """For JSON; what does not exist is None."""
        figures = {"floor": self.floor, "period_without": self.period, "bound_without": self.bound}
        return {
            "parts": dict(self.parts),
            "apart": self.apart,
            **{k: v if v != float("inf") else None for k, v in figures.items()},
        }

    def sentence(self, shown: Callable[[float], str]) -> str:
        """In words; ``shown`` words a time."""
        if not self.parts:
            return "no number of parts of any operation was found that makes it shorter"
        counted = {name: split_parts(asked) for name, asked in self.parts.items()}
        order = sorted(counted.items(), key=lambda item: (-item[1][0], item[0]))
        names = [f"{name} in {k}" + (f" by {word}" if word else "") for name, (k, word) in order]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        said = f"proved for this graph, with {', '.join(names[:SHOWN])}{more} in parts"
        if self.bound is not None:
            said += (
                f"; no partition without parts is below {shown(self.bound)}"
                if self.bound < float("inf")
                else "; without parts it does not fit"
            )
        return f"{said}, none with parts below {shown(self.floor)}"
