"""What the front door is asked, limits of time and work aside."""

from __future__ import annotations

import math
from dataclasses import dataclass

from partition.errors import InvalidInput
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.solve.adviser import adviser

ROUNDING = 1e-9
"""Relative allowance when a period is held against the required throughput."""


@dataclass(frozen=True, eq=False)
class Question:
    """What :func:`partition` is asked, limits aside; see there."""

    graph: Graph
    hardware: Hardware
    start: Placement | None
    policy: str
    goals: tuple[str, ...]
    throughput: float | None
    gap: float
    seed: int

    def check(self) -> None:
        """Raise InvalidInput for what could not be asked."""
        _ = self.period_limit
        adviser(self.policy, self.seed)

    @property
    def period_limit(self) -> float:
        """Largest period that counts."""
        return _period_limit(self.throughput)

    @property
    def allowed(self) -> float:
        """The same with an allowance for rounding, against which placements and bounds are held."""
        return self.period_limit * (1 + ROUNDING)

    @property
    def on_period(self) -> bool:
        """Whether the first goal is the period."""
        return self.goals[0] == "period"


def _period_limit(throughput: float | None) -> float:
    if throughput is None:
        return math.inf
    number = isinstance(throughput, int | float) and not isinstance(throughput, bool)
    if not number or not (math.isfinite(throughput) and throughput > 0):
        raise InvalidInput(f"the throughput is {throughput!r}; give a number of inputs per time unit greater than 0")
    return 1.0 / throughput
