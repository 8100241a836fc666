"""Down-sets that the first chips may hold, of which a beam keeps the most promising."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milp.search.downsets.names import SCATTER, names_of_amounts
from milp.search.downsets.states import Aligned
from milp.search.downsets.tasks import Words
from partition.arrays import FloatArray, IntArray, ranks


@dataclass(frozen=True, eq=False)
class Boundaries(Aligned):
    """Down-sets that chips ``0..c`` may hold, and how what crosses them got there.

    Attributes
    ----------
    done : (S, W) nodes on the chips so far.
    name : (S,) 64 random bits for each set; the same for sets that differ in nodes that look alike.
    work, size : (S,) time of its nodes where they run fastest, and what they take of chips, of time or memory.
    cut : (S,) transfer time of what crosses.
    toll : (S,) what that will cost later.
    lost : (S,) what the boundary is judged by: toll and losses foreseen, less what is done.
    marks : (S, P) sums that a guide sees (:data:`milp.search.downsets.guidance.MARKS`); (S, 0) where there is none.
    parent : (S,) row of the boundary where the last block began.
    source : (S, M) chip that sends each tensor on: its producer's, or the last that relays it; (S, 0) where every chip
        may receive from every earlier one.
    above : (S, C) chips that lead to each chip, as bits; (S, 0) likewise.
    """

    done: Words
    name: NDArray[np.uint64]
    work: FloatArray
    size: FloatArray
    cut: FloatArray
    toll: FloatArray
    lost: FloatArray
    marks: FloatArray
    parent: IntArray
    source: NDArray[np.int8]
    above: NDArray[np.uint64]

    @staticmethod
    def none_done(words: int, tensors: int, chips: int, marks: int) -> Boundaries:
        """The empty set alone, with so many marks."""
        zero = np.zeros(1)
        return Boundaries(
            done=np.zeros((1, words), np.uint64),
            name=np.zeros(1, np.uint64),
            work=zero,
            size=zero,
            cut=zero,
            toll=zero,
            lost=zero,
            marks=np.zeros((1, marks)),
            parent=np.zeros(1, np.int64),
            source=np.zeros((1, tensors), np.int8),
            above=np.zeros((1, chips), np.uint64),
        )

    def __len__(self) -> int:
        return len(self.work)

    def with_others(self, others: Boundaries, width: int, step: float) -> Boundaries:
        """Both; of equal sets one, and of more than ``width`` those that have lost least.

        A part of the room goes to the best of each size, counted in ``step``: the next chip may want more or less.
        """
        both = Boundaries.joined([self, others])
        lost = both.lost
        order = np.argsort(lost, kind="stable")
        name = both.name
        for amount in (both.cut, both.toll):
            name = name * SCATTER + names_of_amounts(amount)
        rows = np.sort(order[np.unique(name[order], return_index=True)[1]])
        return both.take(rows[most_promising(lost[rows], (both.size[rows] / step).astype(np.int64), width)])


def most_promising(lost: FloatArray, group: IntArray, width: int) -> IntArray:
    """At most ``width`` rows, sorted: half those of least ``lost`` (S,), half the best of each ``group`` (S,)."""
    if len(lost) <= width:
        return np.arange(len(lost))
    order = np.argsort(lost, kind="stable")
    best, rest = np.split(order, [width // 2])
    by_group = rest[np.argsort(group[rest], kind="stable")]
    place = np.empty(len(lost), np.int64)
    place[by_group] = ranks(group[by_group])
    return np.sort(np.concatenate([best, rest[np.argsort(place[rest], kind="stable")[: width - len(best)]]]))
