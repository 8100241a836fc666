"""Many solutions of a line, changed at random side by side while it gets colder.

An annealed population: every solution takes small steps that a temperature allows, and at each lower temperature those
that are better get more copies (Hukushima and Iba, "Population Annealing and Its Application to a Spin Glass", 2003).
Beams fill one station after the other, and cannot take back which kind they opened first; steps can.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from milp import budget
from milp.search.downsets.line import Line
from milp.search.downsets.mending import Filled
from milp.search.downsets.tasks import NEVER, Tasks
from partition.arrays import BoolArray, FloatArray, IntArray
from partition.stopping import Stop

SOLUTIONS, FEWEST = 256, 32
"""Solutions side by side, and the fewest of them where :data:`MOST_CELLS` says so."""

MOST_CELLS = 1 << 20
"""Solutions, times stations, times kinds, at most."""

HOT, COLD = 30.0, 4.0
"""First and last temperature, in hundredths of the work of a station."""

HUNDREDTHS = 100

TOGETHER = 50
"""Steps at one temperature."""

MIX = (10, 5, 3, 2)
"""How often, in twentieths, a task moves, two tasks change places, two kinds do, and two neighbouring stations do."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Tasks next to each task in the order, as rows of equal length; the rest is filled with a number beyond all tasks.

    Attributes
    ----------
    above, below : (N, D) direct predecessors, filled with ``N``; direct successors, filled with ``N + 1``.
    source, target : (E,) both ends of each pair of the order.
    """

    above: IntArray
    below: IntArray
    source: IntArray
    target: IntArray

    @classmethod
    def of(cls, tasks: Tasks) -> Neighbours:
        """Those of the transitive reduction."""
        return cls(_rows(tasks.direct.T, tasks.count), _rows(tasks.direct, tasks.count + 1), *np.nonzero(tasks.direct))


def _rows(related: BoolArray, filler: int) -> IntArray:
    """(N, D) the numbers of the related tasks of each task."""
    count = related.sum(axis=1)
    found = np.full((len(related), max(int(count.max(initial=0)), 1)), filler)
    row, number = np.nonzero(related)
    found[row, np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)] = number
    return found


class Population:
    """Solutions that keep the order of the tasks, and may be too full.

    Parameters
    ----------
    tasks, line : what is to be placed, and where.
    most : ticks that a station may hold.
    count : of solutions.
    rng : for everything.

    Attributes
    ----------
    station : (S, N + 2) station of each task; then those of one before and one behind all tasks.
    kind, load : (S, m) kind of each station, and its ticks.
    of_kind : (S, m, K) what its ticks would be with each kind.
    """

    def __init__(self, tasks: Tasks, line: Line, most: int, count: int, rng: np.random.Generator) -> None:
        self.line, self.most, self.rng = line, most, rng
        self.before, self.near = tasks.before, Neighbours.of(tasks)
        able = np.where(tasks.ticks < NEVER, tasks.ticks, 0)
        unable = max(most + 1, int(able.max(initial=0)))  # so that no station within the limit holds such a task
        self.ticks = np.ascontiguousarray(np.where(tasks.ticks < NEVER, tasks.ticks, unable).T)  # (N, K)
        self.row = np.arange(count)
        self.station = self._random_stations(count)
        kinds = np.repeat(line.kinds[None], count, axis=0)
        self.kind = rng.permuted(kinds, axis=1) if line.free else kinds
        self.of_kind = np.zeros((count, line.stations, self.ticks.shape[1]), np.int64)
        for task, ticks in enumerate(self.ticks):
            self.of_kind[self.row, self.station[:, task]] += ticks
        self.load = np.take_along_axis(self.of_kind, self.kind[:, :, None], axis=2)[:, :, 0]
        moves = (self._move, self._change_tasks, self._change_kinds, self._pass)
        self._moves = [move for move, often in zip(moves, MIX, strict=True) for _ in range(often)]
        if not line.free:
            self._moves = self._moves[: MIX[0] + MIX[1]]

    def _random_stations(self, count: int) -> IntArray:
        """(S, N + 2) random orders of the tasks, cut into equal numbers."""
        tasks, stations, rows = len(self.before), self.line.stations, self.row
        direct = np.zeros((tasks, tasks), np.int64)
        direct[self.near.source, self.near.target] = 1
        waiting = np.repeat(direct.sum(axis=0)[None], count, axis=0)
        found = np.zeros((count, tasks + 2), np.int64)
        found[:, -1] = stations - 1
        for place in range(tasks):
            task = np.where(waiting == 0, self.rng.random((count, tasks)), -1.0).argmax(axis=1)
            found[rows, task] = place * stations // tasks
            waiting -= direct[task]
            waiting[rows, task] = -1
        return found

    def steps(self, temperature: float) -> None:
        """Some random steps of every solution, at one temperature in ticks."""
        for choice in self.rng.integers(0, len(self._moves), TOGETHER).tolist():
            self._moves[choice](self.rng.exponential(temperature, len(self.row)))

    def excess(self) -> IntArray:
        """(S,) ticks beyond the limit of each solution, over all stations."""
        return np.asarray(np.maximum(self.load - self.most, 0).sum(axis=1))

    def select(self, weight: FloatArray) -> None:
        """As many solutions, with copies of each in proportion to its weight (S,)."""
        share = np.cumsum(weight) / weight.sum()
        at = (self.rng.random() + self.row) / len(self.row)
        chosen = np.minimum(np.searchsorted(share, at), len(self.row) - 1)
        for name in ("station", "kind", "load", "of_kind"):
            setattr(self, name, getattr(self, name)[chosen])

    def best(self) -> Filled:
        """The solution whose fullest station holds least."""
        row = int(self.load.max(axis=1).argmin())
        station = self.station[row, : len(self.before)].copy()
        kind = np.full(self.line.stations, -1)
        used = np.unique(station)
        kind[used] = self.kind[row, used]
        return Filled(station, kind)

    def _range(self, rows: IntArray, task: IntArray) -> tuple[IntArray, IntArray]:
        """First and last station that each task may move to."""
        above, below = self.near.above[task], self.near.below[task]
        return self.station[rows[:, None], above].max(axis=1), self.station[rows[:, None], below].min(axis=1)

    def _allowed(
        self, rows: IntArray, stations: tuple[IntArray, IntArray], loads: tuple[IntArray, IntArray], heat: FloatArray
    ) -> IntArray:
        """Places of the rows whose two stations may get these loads: the excess grows by no more than the heat."""
        change = sum(
            np.maximum(new - self.most, 0) - np.maximum(self.load[rows, station] - self.most, 0)
            for station, new in zip(stations, loads, strict=True)
        )
        return np.flatnonzero((change <= heat) & (stations[0] != stations[1]))

    def _move(self, heat: FloatArray) -> None:
        """A task goes to another station."""
        rows = self.row
        task = self.rng.integers(0, len(self.before), len(rows))
        first, last = self._range(rows, task)
        here, there = self.station[rows, task], self.rng.integers(first, last + 1)
        less = self.load[rows, here] - self.ticks[task, self.kind[rows, here]]
        more = self.load[rows, there] + self.ticks[task, self.kind[rows, there]]
        kept = self._allowed(rows, (here, there), (less, more), heat)
        task, here, there = task[kept], here[kept], there[kept]
        self.station[kept, task] = there
        self._put(kept, (here, there), (less[kept], more[kept]), self.ticks[task])

    def _change_tasks(self, heat: FloatArray) -> None:
        """Two tasks of different stations change places."""
        rows, count = self.row, len(self.before)
        one, other = self.rng.integers(0, count, (2, len(rows)))
        here, there = self.station[rows, one], self.station[rows, other]
        first, last = self._range(rows, one)
        free = ~(self.before[one, other] | self.before[other, one])
        rows = np.flatnonzero(free & (here != there) & (first <= there) & (there <= last))
        first, last = self._range(rows, other[rows])
        rows = rows[(first <= here[rows]) & (here[rows] <= last)]
        one, other, here, there = one[rows], other[rows], here[rows], there[rows]
        gain = self.ticks[one] - self.ticks[other]  # (S, K)
        at = np.arange(len(rows))
        less = self.load[rows, here] - gain[at, self.kind[rows, here]]
        more = self.load[rows, there] + gain[at, self.kind[rows, there]]
        kept = self._allowed(rows, (here, there), (less, more), heat[rows])
        rows, one, other, here, there = rows[kept], one[kept], other[kept], here[kept], there[kept]
        self.station[rows, one], self.station[rows, other] = there, here
        self._put(rows, (here, there), (less[kept], more[kept]), gain[kept])

    def _put(
        self, rows: IntArray, stations: tuple[IntArray, IntArray], loads: tuple[IntArray, IntArray], moved: IntArray
    ) -> None:
        """Ticks (S, K), with each kind, have moved from the first station to the second."""
        for station, load, change in zip(stations, loads, (-moved, moved), strict=True):
            self.load[rows, station] = load
            self.of_kind[rows, station] += change

    def _change_kinds(self, heat: FloatArray) -> None:
        """Two stations change kinds."""
        rows = self.row
        here, there = self.rng.integers(0, self.line.stations, (2, len(rows)))
        mine, other = self.kind[rows, here], self.kind[rows, there]
        loads = self.of_kind[rows, here, other], self.of_kind[rows, there, mine]
        kept = self._allowed(rows, (here, there), loads, heat)
        for station, kind, load in ((here, other, loads[0]), (there, mine, loads[1])):
            self.kind[kept, station[kept]] = kind[kept]
            self.load[kept, station[kept]] = load[kept]

    def _pass(self, heat: FloatArray) -> None:
        """Two neighbouring stations pass each other with all that they have, where no task follows another."""
        if self.line.stations < 2:
            return
        here = self.rng.integers(0, self.line.stations - 1, len(self.row))
        source, target = self.station[:, self.near.source], self.station[:, self.near.target]
        kept = np.flatnonzero(~((source == here[:, None]) & (target == here[:, None] + 1)).any(axis=1))
        here = here[kept]
        place = self.station[kept, : len(self.before)] - here[:, None]
        self.station[kept, : len(self.before)] = np.where((place == 0) | (place == 1), 1 - place, place) + here[:, None]
        for values in (self.kind, self.load, self.of_kind):
            values[kept, here], values[kept, here + 1] = values[kept, here + 1], values[kept, here]


def solutions(line: Line) -> int:
    """How many of them a population for such a line has."""
    return max(FEWEST, min(SOLUTIONS, MOST_CELLS // (line.stations * len(line.total))))


def anneal(
    population: Population, steps: int, work: int, better: Callable[[Filled], int], over: Callable[[], bool], stop: Stop
) -> None:
    """Cool a population down, with a lower limit each time that some solution keeps it.

    Parameters
    ----------
    steps : of each solution.
    work : ticks of a station, about, that temperatures are measured by.
    better : told of each solution within the limit; the next limit.
    over : whether to end.
    """
    degree = work / HUNDREDTHS
    turns = -(-steps // TOGETHER)
    temperature = HOT
    for turn in range(1, turns + 1):
        if over():
            return
        stop.charge(TOGETHER * (budget.ANNEALING_STEP + budget.ANNEALED * len(population.row)))
        population.steps(temperature * degree)
        excess = population.excess()
        if not excess.all():
            population.most = better(population.best())
            excess = population.excess()
        colder = HOT * (COLD / HOT) ** (turn / turns)
        gain = (1 / colder - 1 / temperature) / degree
        population.select(np.exp(-gain * (excess - excess.min())))
        temperature = colder
