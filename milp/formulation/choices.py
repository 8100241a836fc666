"""What a model leaves out without loss, and what it minimises."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from partition.instance.instance import Instance

Goal = Literal["period", "traffic", "energy", "latency", "moves"]
"""What a model minimises."""


@dataclass(frozen=True)
class Choices:
    """What a model of the problem may leave out without losing an optimum.

    Attributes
    ----------
    no_skipping : bool
        Write the rows. On identical chips, closing the gaps of a placement never makes it worse, as long as no empty
        chip relays. A row of its own then forbids that.
    triangle : bool
        Write the rows; see :attr:`Instance.triangle_by_relays`.
    """

    no_skipping: bool
    triangle: bool

    @staticmethod
    def lossless(instance: Instance) -> Choices:
        """Leave out all that can be restored afterwards at no cost."""
        rules = instance.hardware.rules
        return Choices(
            no_skipping=rules.no_skipping and not instance.hardware.identical_chips,
            triangle=rules.triangle and not instance.triangle_by_relays and instance.chips > 2,
        )

    @staticmethod
    def for_goals(instance: Instance, goals: Collection[Goal]) -> Choices:
        """What may be left out where other goals than the period count.

        Round a ring, closing a gap makes the way longer for what goes against the order of the chips.
        """
        if "latency" in goals:
            return Choices.complete(instance)
        lossless = Choices.lossless(instance)
        if "moves" in goals:  # closing a gap moves what is behind it
            return Choices(instance.hardware.rules.no_skipping, lossless.triangle)
        if instance.forward_only or set(goals) == {"period"}:
            return lossless
        return Choices(instance.hardware.rules.no_skipping, lossless.triangle)

    @staticmethod
    def complete(instance: Instance) -> Choices:
        """Every rule that is switched on."""
        rules = instance.hardware.rules
        return Choices(no_skipping=rules.no_skipping, triangle=rules.triangle)


def goal_unit(instance: Instance, goal: Goal) -> float:
    """Seconds, joules, link-seconds or operations that 1.0 stands for in the objective of a model."""
    if goal == "moves":
        return 1.0
    if goal != "energy":
        return instance.unit
    moving = instance.hardware.interconnect.link_energy_j_per_byte * float(instance.graph.tensor_bytes.sum())
    return float(instance.energy.min(axis=0).sum()) + moving or 1.0
