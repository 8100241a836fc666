"""Operations as a line of stations sees them: whole times on every chip kind, and what must come before what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from partition.arrays import BoolArray, IntArray

Words = NDArray[np.uint64]

NEVER = np.int64(1) << np.int64(60)
"""Ticks of a task on a kind that cannot run it."""


@dataclass(frozen=True, eq=False)
class Tasks:
    """Tasks with whole times under a partial order.

    Attributes
    ----------
    ticks : (K, N) whole time of each task on each chip kind; ``NEVER`` where the kind cannot run it.
    before : (N, N) bool, transitively closed: ``before[i, j]`` where task ``i`` must not be on a later chip than ``j``.
    """

    ticks: IntArray
    before: BoolArray

    @property
    def count(self) -> int:
        """Number of tasks ``N``."""
        return int(self.ticks.shape[1])

    @property
    def words(self) -> int:
        """64-bit words of a set of tasks ``W``."""
        return -(-self.count // 64)

    @cached_property
    def least(self) -> IntArray:
        """(N,) ticks of each task on the kind that runs it fastest."""
        return np.asarray(self.ticks.min(axis=0))

    @cached_property
    def direct(self) -> BoolArray:
        """(N, N) the transitive reduction of ``before``."""
        steps = self.before.astype(np.float32)
        return np.asarray(self.before & ~((steps @ steps) > 0))

    @cached_property
    def degree(self) -> IntArray:
        """(N,) number of direct successors of each task."""
        return np.asarray(self.direct.sum(axis=1))

    @cached_property
    def first(self) -> IntArray:
        """(N,) where the direct successors of each task begin in :attr:`following`."""
        return np.asarray(np.cumsum(self.degree) - self.degree)

    @cached_property
    def following(self) -> IntArray:
        """(E,) direct successors of all tasks, task by task."""
        return np.nonzero(self.direct)[1]

    @cached_property
    def bit(self) -> Words:
        """(N, W) the set of each task alone."""
        return packed(np.eye(self.count, dtype=bool))

    @cached_property
    def needed(self) -> Words:
        """(N, W) direct predecessors of each task."""
        return packed(self.direct.T)

    @cached_property
    def better(self) -> Words:
        """(N, W) of each task ``j`` those ``i`` that had better be done in its place.

        ``i`` takes as long or longer on every kind, and all that must follow ``j`` must follow ``i``. Of equal tasks
        the smaller number is better. Of three tasks, each better than the one before, the first has the second only.
        """
        ticks, before = self.ticks, self.before
        longer = np.ones((self.count, self.count), dtype=bool)
        equal = longer.copy()
        for row in ticks:
            longer &= row[:, None] >= row[None, :]
            equal &= row[:, None] == row[None, :]
        more = (before.astype(np.float32) @ (~before).T.astype(np.float32)) == 0  # more[j, i]: after j is after i
        tie = equal & more & more.T & (np.arange(self.count)[:, None] >= np.arange(self.count)[None, :])
        found = longer & more.T & ~tie
        steps = found.astype(np.float32)
        return packed((found & ~((steps @ steps) > 0)).T)

    def reversed(self) -> Tasks:
        """The same line, seen from its end."""
        return Tasks(self.ticks, self.before.T)

    def without_symmetry(self) -> Tasks:
        """The same tasks, of which equal ones are put in order.

        Let ``i`` take as long as ``j`` on every kind. Let everything that must precede ``i`` also have to precede
        ``j``, and what must follow ``j`` have to follow ``i``. Then the two can change places in any solution that has
        ``j`` first. So an order of the two loses nothing. Such orders are added one by one, each to the order that the
        last one left.
        """
        before = self.before.copy()
        order = np.lexsort((np.arange(self.count), *self.ticks))
        same = (self.ticks[:, order[1:]] == self.ticks[:, order[:-1]]).all(axis=0)
        for group in np.split(order, np.flatnonzero(~same) + 1):
            for a, i in enumerate(group.tolist()):
                for j in group[a + 1 :].tolist():
                    _put_in_order(before, i, j)
        return Tasks(self.ticks, before)


def _put_in_order(before: BoolArray, i: int, j: int) -> None:
    """Put two tasks of equal times in order where that is without loss; ``before`` stays closed."""
    if before[i, j] or before[j, i]:
        return
    for a, b in ((i, j), (j, i)):
        if (before[:, a] <= before[:, b]).all() and (before[b] <= before[a]).all():
            first, last = before[:, a].copy(), before[b].copy()
            first[a] = last[b] = True
            before |= first[:, None] & last[None, :]
            return


def closure(count: int, edges: IntArray) -> BoolArray:
    """(N, N) transitive closure of an acyclic relation whose pairs (E, 2) go from smaller to larger numbers."""
    before = np.zeros((count, count), dtype=bool)
    after: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges.tolist():
        after[source].append(target)
    for i in reversed(range(count)):
        for j in after[i]:
            before[i, j] = True
            before[i] |= before[j]
    return before


def packed(rows: BoolArray) -> Words:
    """(S, W) the sets whose members are given as (S, N) bool."""
    count, width = rows.shape
    words = -(-width // 64)
    padded = np.zeros((count, 64 * words), dtype=bool)
    padded[:, :width] = rows
    return np.packbits(padded, axis=1, bitorder="little").view(np.uint64).reshape(count, words)


def unpacked(sets: Words) -> BoolArray:
    """(S, 64 W) the members of each set."""
    return np.unpackbits(sets.view(np.uint8), axis=1, bitorder="little").view(bool)


def holds(words: Words, numbers: IntArray) -> BoolArray:
    """Whether each word, of the 64 numbers around ``numbers`` in a set, holds that number."""
    return np.asarray((words >> (numbers & 63).astype(np.uint64)) & np.uint64(1) > 0)
