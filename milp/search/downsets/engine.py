"""The down-sets of a line at one period after the other, wider and wider, from both ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from milp.search.downsets.layers import Pass, Verdict
from milp.search.downsets.line import Line
from milp.search.downsets.prices import prices
from milp.search.downsets.tasks import Tasks
from milp.search.downsets.threshold import Threshold
from milp.tolerances import TICK
from partition.arrays import IntArray
from partition.stopping import Stop

FIRST_WIDTH = 100
"""Down-sets in a layer at first."""

WIDER = 4
"""Factor from one width to the next."""

MOST_CELLS = 1 << 20
"""Largest width, times words of a set, times the stations that may be opened next."""


@dataclass(eq=False)
class LineSearch:
    """Looks for the least largest load of a line.

    Attributes
    ----------
    tasks, line : what is to be placed, and where.
    low : least load, in ticks, that is not proved impossible; loads of 0 are not asked about.
    high : a load, in ticks, known to be possible for the line.
    found : told of every better solution: (N,) station of each task, and (m,) kind of each station, -1 if empty.
    proved : told of every new ``low``.
    width : down-sets in a layer at most, by now.
    tick : what a tick is in the unit of those who ask.
    """

    tasks: Tasks
    line: Line
    low: int
    high: int
    found: Callable[[IntArray, IntArray], None]
    proved: Callable[[int], None]
    width: int = FIRST_WIDTH
    tick: float = 1.0
    _ends: list[_End] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.low = max(self.low, 1)
        chosen = None if self.line.alike else prices(self.tasks.ticks[: len(self.line.total)], self.line.total)
        forwards = self.tasks.without_symmetry()
        self._ends = [
            _End(forwards, self.line, chosen, backwards=False),
            _End(forwards.reversed(), self.line.reversed(), chosen, backwards=True),
        ]

    def run(self, stop: Stop, closed: Callable[[], bool] = lambda: False) -> None:
        """Until the least load is proved, everything was looked at, it is time to stop, or what is known will do."""
        cells = self.tasks.words * len(self.line.first)
        while not self._over(stop, closed):
            self._raise_low(self.width, stop, closed)
            self._lower_high(self.width, stop, closed)
            if self._over(stop, closed) or self.width * cells >= MOST_CELLS:
                return
            self.width *= WIDER

    def cap(self, period: float) -> None:
        """A period, in the unit of those who ask, has been reached elsewhere."""
        ticks = period / self.tick * (1 + TICK)
        if ticks < self.high:
            self.high = max(self.low, int(ticks))

    def _over(self, stop: Stop, closed: Callable[[], bool]) -> bool:
        return self.low >= self.high or closed() or stop()

    def _raise_low(self, width: int, stop: Stop, closed: Callable[[], bool]) -> None:
        """Ask about the least load, and about larger ones in growing steps, while they are impossible."""
        step = 1
        while not self._over(stop, closed) and self._ask(self.low, width, stop) is False:
            while not self._over(stop, closed):
                if self._ask(min(self.low + step, self.high - 1), width, stop) is not False:
                    break
                step *= 2
            step = 1

    def _lower_high(self, width: int, stop: Stop, closed: Callable[[], bool]) -> None:
        """Ask about larger loads in growing steps until one is possible, then by halves."""
        unknown, step = self.low, 1
        while unknown + 1 < self.high and not self._over(stop, closed):
            at = min(unknown + step, (unknown + self.high) // 2)
            verdict = self._ask(at, width, stop)
            if not verdict:
                unknown, step = max(at, self.low), 2 * step

    def _ask(self, load: int, width: int, stop: Stop) -> bool | None:
        """Whether a load is possible, from the end first that was last sure."""
        for end in list(self._ends):
            verdict = end.decide(load, width, stop)
            if verdict.possible is None:
                continue
            self._ends.sort(key=lambda other: other is not end)
            if not verdict.possible:
                self.low = load + 1
                self.proved(self.low)
                return False
            self._keep(verdict, end)
            return True
        return None

    def _keep(self, verdict: Verdict, end: _End) -> None:
        station, kind = verdict.station, verdict.kind
        assert station is not None and kind is not None
        if end.backwards:
            station, kind = self.line.stations - 1 - station, kind[::-1]
        load = np.zeros(self.line.stations, np.int64)
        np.add.at(load, station, self.tasks.ticks[kind[station], np.arange(self.tasks.count)])
        self.high = int(load.max())
        self.found(station, kind)


@dataclass(eq=False)
class _End:
    """One end of the line, from which it is filled."""

    tasks: Tasks
    line: Line
    prices: IntArray | None
    backwards: bool

    def decide(self, load: int, width: int, stop: Stop) -> Verdict:
        return Pass(Threshold(self.tasks, self.line, load, self.prices)).decide(width, stop)
