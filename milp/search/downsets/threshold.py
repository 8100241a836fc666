"""A line of stations at one largest load: tables that say at a glance what fits, what is late, and what is left."""

from __future__ import annotations

import numpy as np

from milp.search.downsets.line import Line
from milp.search.downsets.measures import DualFeasible, Weighted
from milp.search.downsets.tasks import NEVER, Tasks, Words, packed
from partition.arrays import BoolArray, IntArray


class Threshold:
    """The question whether all tasks fit, as far as it is the same for all states.

    Parameters
    ----------
    tasks, line : what is to be placed, and where.
    period : largest load of a station, in ticks, at least 1.
    prices : (P, K) of the kinds, where stations differ; see :class:`Weighted`.
    packing : a measure more, where they are all alike; see :class:`DualFeasible`.

    Attributes
    ----------
    tails : (N,) ticks of work that must come after each task, at least; see :func:`tails`.
    """

    def __init__(
        self,
        tasks: Tasks,
        line: Line,
        period: int,
        prices: IntArray | None = None,
        packing: tuple[IntArray, IntArray] | None = None,
    ) -> None:
        self.tasks, self.line, self.period = tasks, line, period
        self.measures: DualFeasible | Weighted
        if line.alike:
            self.measures = DualFeasible(tasks, line, period, packing)
        else:
            chosen = np.ones((1, len(line.total)), np.int64) if prices is None else prices
            self.measures = Weighted(tasks, line, period, chosen)
        self._sorted = np.sort(tasks.ticks, axis=1)
        self._fitting = np.stack([_prefixes(np.argsort(row, kind="stable")) for row in tasks.ticks])
        pairs = tasks.ticks + _least_following(tasks)
        self._pairs = np.sort(pairs, axis=1)
        self._in_pairs = np.stack([_prefixes(np.argsort(row, kind="stable")) for row in pairs])
        self.tails = tails(tasks, period)
        latest = line.stations * period - (tasks.least + self.tails)
        self._latest = np.sort(latest)
        self._late = _prefixes(np.argsort(latest, kind="stable"))

    def fitting(self, modes: IntArray, loads: IntArray) -> Words:
        """(S, W) tasks short enough for the room that each open station has left."""
        kind, room = self.line.kind(modes), self.period - loads
        found = np.zeros((len(modes), self.tasks.words), np.uint64)
        for k in np.unique(kind).tolist():
            rows = kind == k
            found[rows] = self._fitting[k, np.searchsorted(self._sorted[k], room[rows], side="right")]
        return found

    def stuck(self, modes: IntArray, loads: IntArray, eligible: Words, allowed: IntArray) -> BoolArray:
        """Whether an open station takes one more task at most, and keeps more room than is ``allowed`` with any.

        Of two tasks that both fit, there are two cases. One that is eligible takes up to half of the room, or the
        second one directly follows the first.
        """
        kind, room = self.line.kind(modes), self.period - loads
        found = room > allowed
        for k in np.unique(kind[found]).tolist():
            rows = np.flatnonzero(found & (kind == k))
            free, may, sets = room[rows], allowed[rows], eligible[rows]
            up_to = [np.searchsorted(self._sorted[k], most, side="right") for most in (free, free - may - 1, free // 2)]
            fits, small, half = (self._fitting[k, place] for place in up_to)
            pairs = self._in_pairs[k, np.searchsorted(self._pairs[k], free, side="right")]
            found[rows] = ((sets & (fits & ~small | half | pairs)) == 0).all(axis=1)
        return np.asarray(found)

    def late(self, position: IntArray, loads: IntArray) -> Words:
        """(S, W) tasks that can no longer begin in stations so full, since too much must come after them."""
        clock = position * self.period + loads
        return np.asarray(self._late[np.searchsorted(self._latest, clock, side="left")])


def _prefixes(order: IntArray) -> Words:
    """(N + 1, W) the sets of the first 0, 1, ... N of some tasks."""
    rows = np.zeros((len(order) + 1, len(order)), dtype=bool)
    rows[:, order] = np.tri(len(order) + 1, len(order), -1, dtype=bool)
    return packed(rows)


def _least_following(tasks: Tasks) -> IntArray:
    """(K, N) ticks of the shortest direct successor of each task; ``NEVER`` if it has none."""
    found = np.full(tasks.ticks.shape, NEVER)
    task = np.repeat(np.arange(tasks.count), tasks.degree)
    for row, ticks in zip(found, tasks.ticks, strict=True):
        np.minimum.at(row, task, ticks[tasks.following])
    return found


def tails(tasks: Tasks, period: int) -> IntArray:
    """(N,) least ticks of the line that pass after each task ends, its successors being still to do.

    One machine does all work that follows, the tasks with the longest tails first. Let a task end no later than its
    tail before the end of the line. If it does not fit between there and the beginning of that station, it must end on
    an earlier station. The tail is then rounded up to whole stations.
    """
    least, found = tasks.least, np.zeros(tasks.count, np.int64)
    for i in np.argsort(-tasks.before.sum(axis=0), kind="stable").tolist():  # what follows a task comes first
        after = np.flatnonzero(tasks.before[i])
        if not len(after):
            continue
        order = after[np.argsort(-found[after], kind="stable")]
        tail = int((np.cumsum(least[order]) + found[order]).max())
        room = -tail % period
        found[i] = tail + room if least[i] > room else tail
    return found
