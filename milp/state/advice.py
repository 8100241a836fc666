"""Advice from outside the solver: placements, decisions to doubt, what beams may expect. Never part of a proof."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from partition.arrays import Array32, FloatArray, IntArray
from partition.problem.placement import Placement
from partition.stopping import Stop


class Opinion(Protocol):
    """What beams ask; ``learned.guide.guide.BeamGuide`` is one.

    Its features are those of :mod:`milp.search.downsets.guidance`.
    """

    def prices(self, tensors: Array32) -> FloatArray:
        """(M,) what a unit of transfer time of each tensor costs later where it crosses, for (M, T) features."""

    def losses(self, states: Array32) -> FloatArray:
        """(K, 2) time that each state loses beyond its toll, in periods, for (K, F) features.

        The first column is of a block that goes on with the node, the second of a boundary behind a block.
        """


class Advice(Protocol):
    """What the search asks for; :class:`learned.policy.guide.PolicyGuide` answers the first two."""

    def placements(self, best: Placement | None, stop: Stop) -> Iterator[Placement]:
        """Valid placements that may be better than the best one known, if any; ends when out of ideas."""

    def doubt(self, chip: IntArray) -> FloatArray:
        """(N,) how likely each node is on another chip than in ``chip`` (N,) in some better placement."""

    def opinion(self) -> Opinion | None:
        """What is expected of the states of a beam, if anything is."""
