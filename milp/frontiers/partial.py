"""Partial placements with the same frontier, as arrays: what they differ in, and which of them are worth keeping."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from partition.arrays import BoolArray, FloatArray, IntArray

DOMINANCE_LIMIT = 3_000
"""Rows beyond which dominance is tested within chunks only."""


@dataclass(frozen=True, eq=False)
class Partial:
    """Placements of the nodes so far, one a row.

    Attributes
    ----------
    used : (P,) int
        Chips used.
    lost : (P,) float
        Time lost on chips that no further node can join.
    row : (P,) int
        Number of the row: of the one it came from until rows are numbered anew.
    label : (P,) int
        Chip of the node placed last.
    loads : (P, 1 or 2, chips) float
        Of the chips of the frontier: their time and, where memory matters, what they hold.
    """

    used: IntArray
    lost: FloatArray
    row: IntArray
    label: IntArray
    loads: FloatArray

    def __len__(self) -> int:
        return len(self.used)

    @staticmethod
    def nothing(kinds: int) -> Partial:
        """The one placement of no node, with so many kinds of loads."""
        zero = np.zeros(1, dtype=np.int64)
        return Partial(zero, np.zeros(1), zero, zero, np.zeros((1, kinds, 0)))

    @staticmethod
    def together(parts: list[Partial]) -> Partial:
        """The rows of several, of the same frontier."""
        return Partial(
            np.concatenate([part.used for part in parts]),
            np.concatenate([part.lost for part in parts]),
            np.concatenate([part.row for part in parts]),
            np.concatenate([part.label for part in parts]),
            np.concatenate([part.loads for part in parts]),
        )

    @staticmethod
    def heads(parts: Iterable[Partial]) -> Partial:
        """The rows of several frontiers without their loads."""
        return Partial.together([part.without_loads() for part in parts])

    def without_loads(self) -> Partial:
        """The same rows, of no chips."""
        return Partial(self.used, self.lost, self.row, self.label, self.loads[:, :, :0])

    def take(self, rows: IntArray) -> Partial:
        """Some of the rows, in this order."""
        return Partial(self.used[rows], self.lost[rows], self.row[rows], self.label[rows], self.loads[rows])

    def undominated(self) -> Partial:
        """The rows that no other row beats in chips and every load."""
        flat = self.loads.reshape(len(self), -1)
        values = np.concatenate([self.used[:, None], flat], axis=1)
        order = np.lexsort(values.T[::-1])
        values = values[order]
        if values.shape[1] == 1:
            return self.take(order[:1])
        if values.shape[1] == 2:
            best = np.concatenate([[np.inf], np.minimum.accumulate(values[:, 1])[:-1]])
            return self.take(order[values[:, 1] < best])
        keep = np.ones(len(order), dtype=bool)
        for begin in range(0, len(order), DOMINANCE_LIMIT):
            keep[begin : begin + DOMINANCE_LIMIT] = _alive(values[begin : begin + DOMINANCE_LIMIT])
        return self.take(order[keep])


def _alive(values: FloatArray) -> BoolArray:
    """(P,) which rows of ``values`` (P, K), in lexicographic order, no row before them equals or beats."""
    alive = np.ones(len(values), dtype=bool)
    for i in range(len(values)):
        if alive[i]:
            alive[i + 1 :] &= ~(values[i + 1 :] >= values[i]).all(axis=1)
    return alive
