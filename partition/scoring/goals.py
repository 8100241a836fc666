"""What to optimise: the goals by name, which combinations make sense, and what was reached for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from partition.errors import InvalidInput
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.scoring.cost import Cost
from partition.text import meant

GOALS: tuple[str, ...] = ("period", "chips", "traffic", "energy", "latency")
"""The goals; ``chips`` comes first in a combination, or right behind ``period``."""

UNITS = {"period": "s", "chips": "chips", "traffic": "B", "energy": "J", "latency": "s", "moves": "operations"}


@dataclass(frozen=True)
class Reached:
    """What was reached for one goal, in its unit (``UNITS``); ``bound`` is proved to be at most any value possible."""

    goal: str
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """(value - bound) / value."""
        return max(0.0, self.value - self.bound) / self.value if self.value > 0 else 0.0


def value_of(placement: Placement, cost: Cost, goal: str) -> float:
    """A goal's value under a placement and its cost."""
    return float(placement.assignment.max() + 1) if goal == "chips" else float(getattr(cost, goal)[0])


def reached_by(placement: Placement, cost: Cost, goal: str, bound: float = 0.0) -> Reached:
    """What a placement reaches, whoever found it and on the way to whichever goal; ``bound`` is proved of the goal."""
    value = value_of(placement, cost, goal)
    return Reached(goal, value, min(bound, value))


def parse_goals(objective: str | Sequence[str], graph: Graph, hardware: Hardware) -> tuple[str, ...]:
    """``"period,traffic"`` or a sequence of names as goals in lexicographic order.

    Raises
    ------
    InvalidInput : a goal is unknown, repeated, out of order, or needs figures that the hardware lacks.
    """
    names = objective.split(",") if isinstance(objective, str) else list(objective)
    goals = tuple(str(name).strip() for name in names)
    for goal in goals:
        if goal not in GOALS:
            raise InvalidInput(
                f"unknown objective {goal!r}{meant(goal, GOALS)}; choose from {', '.join(GOALS)}, "
                "with commas between several"
            )
    if len(set(goals)) < len(goals) or not goals:
        raise InvalidInput(f"the objective {','.join(goals)!r} names a goal twice; name each once")
    if "chips" in goals and goals.index("chips") > (goals[0] == "period"):
        raise InvalidInput(
            f"the objective {','.join(goals)!r} cannot be pursued in this order; put chips first, or behind period"
        )
    _check_figures(goals, graph, hardware)
    return goals


def _check_figures(goals: tuple[str, ...], graph: Graph, hardware: Hardware) -> None:
    link = hardware.interconnect
    figures = [(k.flop_energy_j, k.sram_energy_j_per_byte) for k in hardware.kinds]
    if "energy" in goals and not (np.any(figures) or link.link_energy_j_per_byte):
        raise InvalidInput(
            f"the objective energy needs energy figures, which {hardware.name!r} lacks; give flop_energy_j, "
            "sram_energy_j_per_byte or link_energy_j_per_byte"
        )
    charged = "traffic" in goals or ("energy" in goals and link.link_energy_j_per_byte > 0)
    if charged and np.isinf(link.link_bandwidth):
        goal = "traffic" if "traffic" in goals else "energy"
        raise InvalidInput(
            f"the objective {goal} needs a finite link_bandwidth, and {hardware.name!r} has an infinite one"
        )
    if hardware.routed and goals != ("period",):
        raise InvalidInput(
            f"the objective {','.join(goals)!r} is not offered on a {link.topology}, where it depends on the places of "
            "the stages; choose period"
        )
    flows_back = not hardware.rules.acyclic or (not graph.edge_constrains.all() and link.topology != "chain")
    if "latency" in goals and flows_back:
        raise InvalidInput(
            "the objective latency needs tensors that flow forward only; switch on rule acyclic, and take a graph "
            "without backward operations"
        )
    if "chips" in goals and not hardware.identical_chips:
        raise InvalidInput(f"the objective chips needs chips of one kind, and those of {hardware.name!r} differ")
