"""What the front door is asked, limits of time and work aside."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from milp.search.stability import Before
from milp.tolerances import ROUNDING
from partition.arguments import number, whole
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.results.lower_bound import LowerBound
from partition.solve.adviser import adviser


@dataclass(frozen=True, eq=False)
class Question:
    """What :func:`partition` is asked, limits aside; see there.

    Attributes
    ----------
    alike : whether the chips are of different kinds for the sake of wishes alone, so that stages may stand anywhere.
    before : where operations shall stay as far as all goals allow, or None.
    given : a bound of the period that was proved elsewhere, or None.
    """

    graph: Graph
    hardware: Hardware
    start: Placement | None
    policy: str
    goals: tuple[str, ...]
    throughput: float | None
    gap: float
    seed: int
    proof: bool = False
    alike: bool = False
    before: Before | None = None
    given: LowerBound | None = None

    def checked(self) -> Question:
        """This question; raises InvalidInput for what could not be asked."""
        whole("seed", self.seed)
        _ = self.period_limit
        adviser(self.policy, self.seed)
        return self

    @property
    def wanted(self) -> int:
        """Number of goals, the fewest moves among them."""
        return len(self.goals) + (self.before is not None)

    @property
    def goes_on(self) -> bool:
        """Whether the search goes on where the least period is known."""
        return self.wanted > self.on_period

    @cached_property
    def problem(self) -> Problem:
        """The graph on the package, with what follows from them."""
        return Problem.of(self.graph, self.hardware)

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
    return 1.0 / number("the throughput", throughput, "inputs per time unit", above=0.0)
