"""One pass over the down-sets of a line, layer by layer, at one threshold and with one width."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from milp import budget
from milp.search.downsets.guides import Guide
from milp.search.downsets.measures import Weighted
from milp.search.downsets.names import RandomNames, names_of_numbers
from milp.search.downsets.states import Index, States
from milp.search.downsets.tasks import NEVER, unpacked
from milp.search.downsets.threshold import Threshold
from milp.tolerances import WORTHWHILE
from partition.arrays import BoolArray, IntArray, runs
from partition.stopping import Stop

PRESELECTED = 3
"""Times the width that is kept before it is known which states must open a new station."""

REST = 8
"""Layers that are left alone after one in which too little was dropped (:data:`milp.tolerances.WORTHWHILE`)."""

MOST_EMPTY = 1 << 16
"""States at the beginning whose first stations stay empty."""

PORTION = 8_192
"""States whose pairs of tasks are looked at together."""

SEED = 20
"""Of the random words that stand for tasks in the names of sets."""


@dataclass(frozen=True, eq=False)
class PassOutcome:
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

    Attributes
    ----------
    forced : (m + 1, P) room that the last 0, 1, ... m stations lose at least, in each measure. A pass from the other
        end knows it (:meth:`losses`); it may grow while the pass is under way.
    states : the layer that was reached.
    complete : whether nothing was ever dropped for width.
    """

    def __init__(self, threshold: Threshold, guide: Guide = Guide.BUDGET, forced: IntArray | None = None) -> None:
        self.threshold, self.guide = threshold, guide
        rng = np.random.default_rng(SEED)
        self.word = rng.integers(0, 2**64, threshold.tasks.count, dtype=np.uint64)
        self.worth = guide.worth(threshold)
        stations, measures = threshold.line.stations, len(threshold.measures.slack)
        self.forced = np.zeros((stations + 1, measures), np.int64) if forced is None else forced
        self._lost = np.full((stations + 1, measures), NEVER)
        self._lost[0] = 0
        self._idle = 0
        self._trail: list[tuple[IntArray, IntArray, IntArray]] = []
        self.complete = True
        self.states = self._beginning()
        spare = self._spare(self.states)[:, 0]
        self.slack = int(spare.max(initial=0))
        self.whole = int((spare + self.states.need[:, 0]).max(initial=0))

    def decide(self, width: int, stop: Stop) -> PassOutcome:
        """Whether all tasks fit; of more than ``width`` down-sets in a layer, those are kept that the guide likes."""
        verdict = None
        while verdict is None:
            verdict = self.advance(width, stop)
        return verdict

    def advance(self, width: int, stop: Stop, *, proof: bool = False) -> PassOutcome | None:
        """One more layer; what the pass found, if it ends with that.

        Parameters
        ----------
        proof : end where down-sets would have to be dropped; asked again with more width, it goes on from there.
        """
        states, layer, count = self.states, self.reached, self.threshold.tasks.count
        if layer == count:
            return self._solution()
        if stop():
            return PassOutcome(None)
        complete = self.complete
        children = self._children(states, stop)
        best = self._best_of_equals(children, states)
        if len(best) > PRESELECTED * width:
            if proof:
                return PassOutcome(None)
            complete = False
            best = best[self._most_promising(children.take(best), PRESELECTED * width)]
        chosen = self._grown(children.take(best), states)
        if layer + 1 < count:
            chosen = chosen.take(self._in_time(chosen) & ~self._stuck(chosen))
            chosen, whole = self._closed_where_full(
                chosen.take(~self._exchanged(chosen, stop)), PRESELECTED * width, stop
            )
            if proof and not whole:
                return PassOutcome(None)
            complete &= whole
        if len(chosen) > width:
            if proof:
                return PassOutcome(None)
            complete = False
            chosen = chosen.take(self._most_promising(chosen, width))
        self.states, self.complete = chosen, complete
        if not len(chosen):
            return PassOutcome(False if complete else None)
        self._trail.append((chosen.parent.astype(np.int32), chosen.task.astype(np.int32), chosen.placed))
        return None

    @property
    def reached(self) -> int:
        """The number of tasks in the states of the layer."""
        return len(self._trail)

    def losses(self) -> IntArray:
        """(m + 1, P) room that the first 0, 1, ... m stations lose at least in any solution, as far as is known.

        Where every state has closed ``d`` stations, the least that any of them had lost when it did so is a bound: no
        rule that drops a state puts less work on the first stations of a solution (docs/proof/exact.md).
        """
        found = np.zeros_like(self._lost)
        if self.complete and len(self.states):
            sure = int(self.threshold.line.position(self.states.mode).min())
            found[: sure + 1] = self._lost[: sure + 1]
        return np.asarray(np.maximum.accumulate(found))

    def heed(self, forced: IntArray) -> None:
        """What the other end loses at least, from now on."""
        self.forced = forced
        kept = self._within_room(self.states)
        self.states = self.states.take(kept)
        if self._trail:
            parent, task, placed = self._trail[-1]
            self._trail[-1] = parent[kept], task[kept], placed[kept]

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
            ends=np.zeros((count, tasks.words), np.uint64),
            mode=first,
            load=nothing,
            need=self.threshold.measures.total(first, undone),
            urgency=nothing,
            name=np.zeros(count, np.uint64),
            parent=nothing,
            task=nothing,
            placed=first,
        )
        states = states.take(self._in_time(states) & self._within_room(states))
        states, self.complete = self._closed_where_full(states, MOST_EMPTY, Stop())
        return states

    def _children(self, states: States, stop: Stop) -> States:
        """Each state with each task added that fits; the sets are still those of the parents."""
        threshold, tasks = self.threshold, self.threshold.tasks
        fitting = states.eligible & threshold.fitting(states.mode, states.load)
        parent, task = np.nonzero(unpacked(fitting)[:, : tasks.count])
        stop.charge(budget.LAYER + budget.DOWN_SET * len(parent))
        mode = states.mode[parent]
        load = states.load[parent] + tasks.ticks[threshold.line.kind(mode), task]
        need = states.need[parent] - threshold.measures.need(states.mode, parent, task)
        room = self._behind(states.mode)[parent] + threshold.measures.open(mode, threshold.period - load)
        kept = np.flatnonzero((need <= room).all(axis=1))
        parent, task, mode = parent[kept], task[kept], mode[kept]
        none = np.zeros((len(kept), 0), np.uint64)
        return States(
            done=none,
            eligible=none,
            ends=none,
            mode=mode,
            load=load[kept],
            need=need[kept],
            urgency=states.urgency[parent] - self.worth[task],
            name=states.name[parent] ^ self.word[task],
            parent=parent,
            task=task,
            placed=mode,
        )

    def _grown(self, children: States, parents: States) -> States:
        """The children with their sets."""
        tasks, row, task = self.threshold.tasks, children.parent, children.task
        done = parents.done[row] | tasks.bit[task]
        eligible = parents.eligible[row] & ~tasks.bit[task]
        ends = parents.ends[row] & ~tasks.needed[task] | tasks.bit[task]
        degree = tasks.degree[task]
        after = tasks.following[runs(tasks.first[task], degree)]
        child = np.repeat(np.arange(len(task)), degree)
        ready = ((tasks.needed[after] & ~done[child]) == 0).all(axis=1)
        child, after = child[ready], after[ready]
        np.bitwise_or.at(eligible, (child, after // 64), tasks.bit[after, after // 64])
        return replace(children, done=done, eligible=eligible, ends=ends)

    def _best_of_equals(self, children: States, parents: States) -> IntArray:
        """Rows of which no other has the same down-set and more room; equal names of different sets are kept apart."""
        if not len(children):
            return np.zeros(0, np.int64)
        key, used = self._key(children), self._used(children.mode, children.load)
        order = np.argsort(key)
        key, used = key[order], used[order]
        same = key[1:] == key[:-1]
        pair = np.flatnonzero(same)
        one, other = order[pair], order[pair + 1]
        bit, done = self.threshold.tasks.bit, parents.done
        sets = [done[children.parent[row]] | bit[children.task[row]] for row in (one, other)]
        same[pair] = (sets[0] == sets[1]).all(axis=1)
        if not self.threshold.line.ordered:
            same[pair] &= children.mode[one] == children.mode[other]
        begins = np.flatnonzero(np.concatenate([[True], ~same]))
        least = np.minimum.reduceat(used, begins)
        group = np.repeat(np.arange(len(begins)), np.diff(np.append(begins, len(order))))
        candidate = np.where(used == least[group], order, len(order))
        return np.sort(np.minimum.reduceat(candidate, begins))

    def _exchanged(self, states: States, stop: Stop) -> BoolArray:
        """Whether a task of a state had better be another (Jackson's dominance, over all histories).

        Let a set have task ``j``, which nothing done follows, and let ``i`` be eligible. Let ``i`` take as long on
        every kind, and let all that follows ``j`` follow ``i``. Let another set have ``i`` in place of ``j`` and leave
        as much room. In any solution from the first set on, ``j`` can be where ``i`` is. So the other set is as good.
        It has the greater sum of times (or of followers, or comes first in number), so no circle of sets drops all of
        them.
        """
        threshold, tasks, count = self.threshold, self.threshold.tasks, self.threshold.tasks.count
        dropped = np.zeros(len(states), dtype=bool)
        if len(states) < 2 or not tasks.better.any() or self._idle > 0:
            self._idle -= 1
            return dropped
        full = ((states.eligible & threshold.fitting(states.mode, states.load)) == 0).all(axis=1)
        used, name = self._used(states.mode, np.where(full, threshold.period, states.load)), self._key(states)
        index = Index(name)
        for begin in range(0, len(states), PORTION):
            row, worse = np.nonzero(unpacked(states.ends[begin : begin + PORTION])[:, :count])
            row += begin
            might = states.eligible[row] & tasks.better[worse]
            some = np.flatnonzero((might != 0).any(axis=1))
            at, better = np.nonzero(unpacked(might[some])[:, :count])
            row, worse = row[some[at]], worse[some[at]]
            stop.charge(budget.EXCHANGE * len(row))
            place, other = index.find(name[row] ^ self.word[worse] ^ self.word[better])
            row, worse, better = row[place], worse[place], better[place]
            wanted = states.done[row] & ~tasks.bit[worse] | tasks.bit[better]
            good = (used[other] <= used[row]) & (states.done[other] == wanted).all(axis=1)
            if not threshold.line.ordered:
                good &= states.mode[other] == states.mode[row]
            dropped[row[good]] = True
        if dropped.sum() < WORTHWHILE * len(dropped):
            self._idle = REST
        return dropped

    def _used(self, mode: IntArray, load: IntArray) -> IntArray:
        """(S,) room of the line that is used: of the open station alone, where modes cannot be compared."""
        return np.asarray(mode * (self.threshold.period + 1) + load if self.threshold.line.ordered else load)

    def _key(self, states: States) -> RandomNames:
        """(S,) names of the sets, with the mode where modes cannot be compared."""
        return states.name if self.threshold.line.ordered else states.name ^ names_of_numbers(states.mode)

    def _behind(self, mode: IntArray) -> IntArray:
        """(S, P) what the stations behind the open one can give, less what they lose for certain."""
        line, measures = self.threshold.line, self.threshold.measures
        behind = measures.behind(mode)
        return behind if measures.changes else behind - self.forced[line.stations - 1 - line.position(mode)]

    def _spare(self, states: States) -> IntArray:
        """(S, P) what the stations can give beyond what is left to do."""
        open_room = self.threshold.measures.open(states.mode, self.threshold.period - states.load)
        return self._behind(states.mode) + open_room - states.need

    def _within_room(self, states: States) -> BoolArray:
        """Whether what is left to do does not need more than the stations can give."""
        return np.asarray((self._spare(states) >= 0).all(axis=1))

    def _stuck(self, states: States) -> BoolArray:
        """Whether the open station will be left with more room than there is to lose, whatever is added."""
        allowed = self.threshold.measures.allowed(states.mode, self._spare(states))
        return self.threshold.stuck(states.mode, states.load, states.eligible, allowed)

    def _in_time(self, states: States) -> BoolArray:
        """Whether every undone task can still begin."""
        return self._begin(states, self.threshold.line.position(states.mode), states.load)

    def _begin(self, states: States, position: IntArray, load: IntArray) -> BoolArray:
        """Whether every undone task can begin from stations so full on."""
        return np.asarray(((self.threshold.late(position, load) & ~states.done) == 0).all(axis=1))

    def _closed_where_full(self, states: States, most: int, stop: Stop) -> tuple[States, bool]:
        """Where no eligible task fits, the next station is open instead, or each one that may be the next.

        Of states whose next station must stay empty no more than ``most`` go on; whether none was dropped for that.
        """
        line, finished, whole = self.threshold.line, [], True
        while len(states):
            fits = ((states.eligible & self.threshold.fitting(states.mode, states.load)) != 0).any(axis=1)
            finished.append(states.take(fits))
            full = self._distinct(states.take(~fits))
            if len(finished) > 1 and len(full) > most:
                full, whole = full.take(np.arange(most)), False
            closed = self._closed(full)
            rows, modes = line.following(closed.mode)
            stop.charge(budget.OPENED * len(rows))
            states = replace(closed.take(rows), mode=modes, load=np.zeros_like(modes))
        return (States.joined(finished) if finished else states), whole

    def _distinct(self, states: States) -> States:
        """Of full states those of which no other has the same down-set and the same stations behind the open one."""
        line = self.threshold.line
        if line.ordered:
            return states
        behind = line.behind(states.mode)
        _, first, group = np.unique(states.name ^ names_of_numbers(behind), return_index=True, return_inverse=True)
        same = first[group]
        equal = (states.done[same] == states.done).all(axis=1) & (behind[same] == behind)
        return states.take(~equal | (same == np.arange(len(same))))

    def _closed(self, states: States) -> States:
        """States whose open station takes no more, as far as those behind it have room for the rest; what they lost.

        Which station is opened next makes no difference to that.
        """
        threshold, measures, line = self.threshold, self.threshold.measures, self.threshold.line
        position = line.position(states.mode) + 1
        states = states.take((position < line.stations) & self._begin(states, position, np.zeros_like(position)))
        least = states.need
        if isinstance(measures, Weighted):
            undone = ~unpacked(states.done)[:, : threshold.tasks.count]
            states = replace(states, need=measures.total(states.mode, undone, closed=True))
            least = measures.least(undone)
        position, behind = line.position(states.mode) + 1, measures.behind(states.mode)
        left = behind - least
        able = np.asarray(((left >= self.forced[line.stations - position]) & (behind >= states.need)).all(axis=1))
        lost, position = (measures.slack - left)[able], position[able]
        for count in np.unique(position).tolist():
            here = lost[position == count].min(axis=0)
            self._lost[count] = np.minimum(self._lost[count], here)
        return states.take(able)

    def _most_promising(self, states: States, width: int) -> IntArray:
        """Rows of the states that the guide likes best."""
        spare, need = self._spare(states)[:, 0], states.need[:, 0]
        progress = self.whole - (spare + need)
        best = self.guide.best(self.slack - spare, self.slack, progress, self.whole, states.urgency)
        return np.sort(best[:width])

    def _solution(self) -> PassOutcome:
        line, row = self.threshold.line, 0
        station = np.zeros(self.threshold.tasks.count, np.int64)
        kind = np.full(line.stations, -1)
        for parent, task, placed in reversed(self._trail):
            mode = placed[row : row + 1]
            position = int(line.position(mode)[0])
            station[task[row]] = position
            kind[position] = line.kind(mode)[0]
            row = int(parent[row])
        return PassOutcome(True, station, kind)
