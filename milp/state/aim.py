"""What a search is after: a goal, the unit it is counted in, and what other goals may cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from milp.formulation.choices import Goal, goal_unit
from milp.tolerances import ROUNDING
from partition.arrays import IntArray
from partition.instance.instance import Instance
from partition.problem.placement import Placement
from partition.scoring.cost import Cost
from partition.scoring.goals import value_of


@dataclass(frozen=True, eq=False)
class Aim:
    """The goal of one incumbent.

    Attributes
    ----------
    goal : Goal
    unit : float
        What 1.0 of the model's objective stands for, in the goal's own unit.
    limits : Goal -> float
        Largest value allowed of other goals, each in its own unit; infinity for none.
    period : float or None
        The limit on the period in units of the instance; None if there is none.
    caps : Goal -> float
        The limits on all others in units of the model, where they are finite.
    reference : (n,) int or None
        Where operations shall stay, for the goal ``moves``.
    """

    goal: Goal
    unit: float
    limits: Mapping[Goal, float] = field(default_factory=dict)
    period: float | None = None
    caps: Mapping[Goal, float] = field(default_factory=dict)
    reference: IntArray | None = None

    @staticmethod
    def at(instance: Instance, goal: Goal = "period", limits: Mapping[Goal, float] | None = None) -> Aim:
        """Least of a goal among what keeps the limits."""
        limits = dict(limits or {})
        finite = {each: most for each, most in limits.items() if np.isfinite(most)}
        caps = {each: most / unit_of(instance, each) * (1 + ROUNDING) for each, most in finite.items()}
        reference = None if instance.graph.limits is None else instance.graph.limits.reference
        return Aim(goal, unit_of(instance, goal), limits, caps.pop("period", None), caps, reference)

    def value(self, placement: Placement, cost: Cost) -> float:
        """Of a placement, in the goal's own unit."""
        if self.goal == "moves":
            assert self.reference is not None
            return float(((self.reference >= 0) & (placement.assignment != self.reference)).sum())
        return value_of(placement, cost, self.goal)

    def allows(self, placement: Placement, cost: Cost) -> bool:
        """Whether a placement keeps the limits."""
        return all(value_of(placement, cost, goal) <= most * (1 + ROUNDING) for goal, most in self.limits.items())


def unit_of(instance: Instance, goal: Goal) -> float:
    """What 1.0 of the model's objective stands for, in the goal's own unit."""
    bandwidth = instance.hardware.interconnect.link_bandwidth
    return goal_unit(instance, goal) * (bandwidth if goal == "traffic" else 1.0)
