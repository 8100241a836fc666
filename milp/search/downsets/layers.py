"""One pass over the down-sets of a line, layer by layer, at one threshold and with one width."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from milp import budget
from milp.search.downsets.tasks import Words, unpacked
from milp.search.downsets.threshold import Threshold
from partition.arrays import BoolArray, IntArray
from partition.stopping import Stop

PRESELECTED = 3
"""Times the width that is kept before it is known which states must open a new station."""

SEED = 20
"""Of the random words that stand for tasks in the names of sets."""


@dataclass(frozen=True, eq=False)
class States:
    """Down-sets, each with the station that is filled next once all of its tasks are done.

    Attributes
    ----------
    done, eligible : (S, W) tasks that are done, and those that are not but all of whose predecessors are.
    mode, load : (S,) mode of the open station (:class:`Line`), and its load in ticks.
    need : (S, P) what the undone tasks need in each measure.
    urgency : (S,) sum of the times and tails of the undone tasks.
    name : (S,) 64 random bits for each down-set.
    parent, task, placed : (S,) row of the state in the layer before, the task added to it, and the mode it went to.
    """

    done: Words
    eligible: Words
    mode: IntArray
    load: IntArray
    need: IntArray
    urgency: IntArray
    name: NDArray[np.uint64]
    parent: IntArray
    task: IntArray
    placed: IntArray

    def __len__(self) -> int:
        return len(self.mode)

    def take(self, rows: IntArray | BoolArray) -> States:
        """Some of the states."""
        return States(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a pass found.

    Attributes
    ----------
    possible : whether all tasks fit; None if the pass dropped states for width, or was stopped, and found nothing.
    station : (N,) position of the station of each task; None unless possible.
    kind : (m,) kind of each station; -1 where it has no task. None unless possible.
    """

    possible: bool | None
    station: IntArray | None = None
    kind: IntArray | None = None


class Pass:
    """Layers of down-sets at one threshold.

    Every layer has the down-sets with one more task. Of equal down-sets only the one is kept whose stations have most
    room left.
    """

    def __init__(self, threshold: Threshold) -> None:
        self.threshold = threshold
        rng = np.random.default_rng(SEED)
        self.word = rng.integers(0, 2**64, threshold.tasks.count, dtype=np.uint64)
        self.priority = threshold.tails + threshold.tasks.least

    def decide(self, width: int, stop: Stop) -> Verdict:
        """Whether all tasks fit; of more than ``width`` down-sets in a layer, those are kept that have lost least."""
        states, complete, count = self._beginning(), True, self.threshold.tasks.count
        trail: list[tuple[IntArray, IntArray, IntArray]] = []
        for layer in range(count):
            if stop():
                return Verdict(None)
            children = self._children(states, stop)
            best = self._best_of_equals(children)
            if len(best) > PRESELECTED * width:
                complete = False
                best = best[self._most_promising(children.take(best), PRESELECTED * width)]
            chosen = children.take(best)
            if layer + 1 < count:
                chosen = self._undominated(self._with_eligible(chosen), children, states)
                chosen = self._closed_where_full(self._in_time(chosen))
            if len(chosen) > width:
                complete = False
                chosen = chosen.take(self._most_promising(chosen, width))
            states = chosen
            if not len(states):
                return Verdict(False if complete else None)
            trail.append((states.parent, states.task, states.placed))
        return self._solution(trail)

    def _beginning(self) -> States:
        """No task is done, and any first station is open."""
        tasks, first = self.threshold.tasks, self.threshold.line.first
        count = len(first)
        eligible = np.bitwise_or.reduce(tasks.bit[~tasks.before.any(axis=0)], axis=0)
        undone = np.ones((count, tasks.count), dtype=bool)
        nothing = np.zeros(count, np.int64)
        states = States(
            done=np.zeros((count, tasks.words), np.uint64),
            eligible=np.repeat(eligible[None], count, axis=0),
            mode=first,
            load=nothing,
            need=self.threshold.measures.total(first, undone),
            urgency=nothing,
            name=np.zeros(count, np.uint64),
            parent=nothing,
            task=nothing,
            placed=first,
        )
        return self._closed_where_full(self._in_time(self._within_room(states)))

    def _children(self, states: States, stop: Stop) -> States:
        """Each state with each task added that fits; what is eligible is still that of the parent."""
        threshold, tasks = self.threshold, self.threshold.tasks
        fitting = states.eligible & threshold.fitting(states.mode, states.load)
        parent, task = np.nonzero(unpacked(fitting)[:, : tasks.count])
        stop.charge(budget.LAYER + budget.DOWN_SET * len(parent))
        mode = states.mode[parent]
        load = states.load[parent] + tasks.ticks[threshold.line.kind(mode), task]
        need = states.need[parent] - threshold.measures.need(mode, task)
        room = threshold.measures.room(mode, threshold.period - load)
        kept = np.flatnonzero((need <= room).all(axis=1))
        parent, task, mode = parent[kept], task[kept], mode[kept]
        return States(
            done=states.done[parent] | tasks.bit[task],
            eligible=states.eligible[parent] & ~tasks.bit[task],
            mode=mode,
            load=load[kept],
            need=need[kept],
            urgency=states.urgency[parent] - self.priority[task],
            name=states.name[parent] ^ self.word[task],
            parent=parent,
            task=task,
            placed=mode,
        )

    def _best_of_equals(self, states: States) -> IntArray:
        """Rows of which no other has the same down-set and more room; equal names of different sets are kept apart."""
        if not len(states):
            return np.zeros(0, np.int64)
        ordered = self.threshold.line.ordered
        used = states.mode * (self.threshold.period + 1) + states.load if ordered else states.load
        key = states.name if ordered else states.name ^ _scattered(states.mode)
        order = np.argsort(key)
        key, done, mode, used = key[order], states.done[order], states.mode[order], used[order]
        same = (key[1:] == key[:-1]) & (done[1:] == done[:-1]).all(axis=1)
        if not ordered:
            same &= mode[1:] == mode[:-1]
        begins = np.flatnonzero(np.concatenate([[True], ~same]))
        least = np.minimum.reduceat(used, begins)
        group = np.repeat(np.arange(len(begins)), np.diff(np.append(begins, len(order))))
        candidate = np.where(used == least[group], order, len(order))
        return np.sort(np.minimum.reduceat(candidate, begins))

    def _with_eligible(self, states: States) -> States:
        """The states with what has become eligible by their last task."""
        tasks, task = self.threshold.tasks, states.task
        eligible = states.eligible.copy()
        for successor in tasks.successors.T:
            rows = np.flatnonzero(successor[task] >= 0)
            after = successor[task[rows]]
            ready = ((tasks.needed[after] & ~states.done[rows]) == 0).all(axis=1)
            eligible[rows[ready]] |= tasks.bit[after[ready]]
        return replace(states, eligible=eligible)

    def _undominated(self, states: States, children: States, parents: States) -> States:
        """States but for full stations in which one task had better be another (Jackson's dominance).

        Let a parent add task ``j``, after which no eligible task fits, although ``i`` could have been added instead.
        If ``i`` takes as long on every kind and all that follows ``j`` follows ``i``, the two can change places in any
        solution. So the child with ``i`` is as good. Its set has the greater sum of times (or of followers, or comes
        first in number), so no circle of sets can drop all of them.
        """
        threshold, tasks = self.threshold, self.threshold.tasks
        full = ((states.eligible & threshold.fitting(states.mode, states.load)) == 0).all(axis=1)
        if not full.any():
            return states
        row, mode, task = children.parent, children.mode, children.task
        before = children.load - tasks.ticks[threshold.line.kind(mode), task]
        might = parents.eligible[row] & tasks.better[task]
        some = np.flatnonzero((might != 0).any(axis=1))
        fits = threshold.fitting(mode[some], before[some])
        worse = children.take(some[((might[some] & fits) != 0).any(axis=1)])
        dropped = full & self._among(states, worse)
        return states.take(np.flatnonzero(~dropped))

    def _among(self, states: States, others: States) -> BoolArray:
        """Whether each state, mode and load alike, is one of the others."""
        if not len(others):
            return np.zeros(len(states), dtype=bool)
        mine, theirs = (s.name ^ _scattered(s.mode * (self.threshold.period + 1) + s.load) for s in (states, others))
        order = np.argsort(theirs)
        at = np.minimum(np.searchsorted(theirs[order], mine), len(order) - 1)
        found = order[at]
        alike = (others.mode[found] == states.mode) & (others.load[found] == states.load)
        return np.asarray(alike & (others.done[found] == states.done).all(axis=1))

    def _within_room(self, states: States) -> States:
        room = self.threshold.measures.room(states.mode, self.threshold.period - states.load)
        return states.take(np.flatnonzero((states.need <= room).all(axis=1)))

    def _in_time(self, states: States) -> States:
        """States in which every undone task can still begin."""
        late = self.threshold.late(states.mode, states.load)
        return states.take(((late & ~states.done) == 0).all(axis=1))

    def _closed_where_full(self, states: States) -> States:
        """Where no eligible task fits, the next station is open instead, or each one that may be the next."""
        threshold, finished = self.threshold, []
        while len(states):
            fits = ((states.eligible & threshold.fitting(states.mode, states.load)) != 0).any(axis=1)
            finished.append(states.take(fits))
            full = states.take(~fits)
            rows, modes = threshold.line.following(full.mode)
            opened = full.take(rows)
            need = opened.need
            if threshold.measures.changes:
                undone = ~unpacked(opened.done)[:, : threshold.tasks.count]
                need = threshold.measures.total(modes, undone)
            opened = replace(opened, mode=modes, load=np.zeros_like(modes), need=need)
            states = self._in_time(self._within_room(opened))
        if not finished:
            return states
        return States(*(np.concatenate([getattr(s, f.name) for s in finished]) for f in fields(States)))

    def _most_promising(self, states: States, width: int) -> IntArray:
        """Rows of the states that have most to spare, those first whose undone tasks have shorter tails."""
        room = self.threshold.measures.room(states.mode, self.threshold.period - states.load)
        spare = (room - states.need)[:, 0]
        return np.sort(np.lexsort((states.urgency, -spare))[:width])

    def _solution(self, trail: list[tuple[IntArray, IntArray, IntArray]]) -> Verdict:
        line, row = self.threshold.line, 0
        station = np.zeros(self.threshold.tasks.count, np.int64)
        kind = np.full(line.stations, -1)
        for parent, task, placed in reversed(trail):
            mode = placed[row : row + 1]
            position = int(line.position(mode)[0])
            station[task[row]] = position
            kind[position] = line.kind(mode)[0]
            row = int(parent[row])
        return Verdict(True, station, kind)


def _scattered(numbers: IntArray) -> NDArray[np.uint64]:
    """64 bits that look random for each number (splitmix64)."""
    x = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
