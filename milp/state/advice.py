"""Advice from outside the solver: placements to start from, and which decisions to doubt. Never part of a proof."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from partition.arrays import FloatArray, IntArray
from partition.problem.placement import Placement
from partition.stopping import Stop


class Advice(Protocol):
    """What the search asks for; :class:`learned.policy.guide.PolicyGuide` is one."""

    def placements(self, best: Placement | None, stop: Stop) -> Iterator[Placement]:
        """Valid placements that may be better than the best one known, if any; ends when out of ideas."""

    def doubt(self, chip: IntArray) -> FloatArray:
        """(N,) how likely each node is on another chip than in ``chip`` (N,) in some better placement."""
