"""Which down-sets of a layer to keep where not all can be: four opinions, tried in turn."""

from __future__ import annotations

from enum import Enum

import numpy as np

from milp.search.downsets.threshold import Threshold
from milp.tolerances import UNDONE
from partition.arrays import IntArray

SQUARE = 1 << 20
"""The square of the period, in the whole numbers that the squares of times are rounded to."""


class Guide(Enum):
    """What is good about a down-set.

    No station is filled to the brim: all of them together have some room to lose. A search that wants nothing lost at
    the beginning keeps variants of one thing, and has no task left that fits in the end.

    Attributes
    ----------
    BUDGET : it has lost no more than its part of the room that there is to lose; of such, long tails are done.
    TAILS : little room is lost, and long tails are done, weighed against each other.
    SQUARES : little room is lost, and long tasks are done, weighed against each other.
    LEAST : the least room is lost; of such, long tails are done. For lines that have next to none to lose.
    """

    BUDGET = "budget"
    TAILS = "tails"
    SQUARES = "squares"
    LEAST = "least"

    def worth(self, threshold: Threshold) -> IntArray:
        """(N,) how urgent each task is."""
        least = threshold.tasks.least
        if self is Guide.SQUARES:
            share = np.minimum(least / threshold.period, 1.0)
            return np.asarray(np.rint(share * share * SQUARE).astype(np.int64))
        return np.asarray(threshold.tails + least)

    def best(self, lost: IntArray, slack: int, progress: IntArray, whole: int, urgency: IntArray) -> IntArray:
        """Rows, the most promising first.

        Parameters
        ----------
        lost : (S,) of the room that there is to lose.
        slack : all of that.
        progress : (S,) room of the stations filled so far.
        whole : that of all stations.
        urgency : (S,) sum of the worth of the undone tasks.
        """
        if self is Guide.LEAST:
            return np.asarray(np.lexsort((urgency, lost)))
        if self is Guide.BUDGET:
            over = np.maximum(lost - slack * (progress / max(whole, 1)), 0.0)
            return np.asarray(np.lexsort((urgency, over)))
        scale = SQUARE if self is Guide.SQUARES else max(float(np.median(urgency)), 1.0)
        return np.asarray(np.argsort(lost / max(slack, 1) + UNDONE * urgency / scale, kind="stable"))
