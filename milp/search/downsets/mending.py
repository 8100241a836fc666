"""A solution of a line, improved a few neighbouring stations at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from milp.search.downsets.guides import Guide
from milp.search.downsets.layers import Pass
from milp.search.downsets.line import Line
from milp.search.downsets.prices import prices
from milp.search.downsets.tasks import Tasks
from milp.search.downsets.threshold import Threshold
from milp.tolerances import NOISE
from partition.arrays import FloatArray, IntArray
from partition.stopping import Stop

SIZES = (2, 3, 4, 5, 6)
"""Stations that are filled anew together."""

WIDTH = 200
"""Down-sets in a layer at most."""


@dataclass(frozen=True, eq=False)
class Filled:
    """A solution: (N,) station of each task, and (m,) kind of each station, -1 if empty."""

    station: IntArray
    kind: IntArray


@dataclass(frozen=True, eq=False)
class Mending:
    """Neighbouring stations that are filled anew, with the kinds that they have, in any order where that is free.

    The tasks of the other stations stay where they are, so whatever the window holds keeps the order of the tasks.

    Attributes
    ----------
    tasks : of the whole line.
    line : all stations.
    rng : for the choice of windows.
    """

    tasks: Tasks
    line: Line
    rng: np.random.Generator

    def loads(self, known: Filled) -> IntArray:
        """(m,) ticks of each station."""
        found = np.zeros(self.line.stations, np.int64)
        ticks = self.tasks.ticks[known.kind[known.station], np.arange(self.tasks.count)]
        np.add.at(found, known.station, ticks)
        return found

    def better(self, known: Filled, stop: Stop) -> Filled | None:
        """A solution with less load on the fullest station, and no other as full that was not; None if none is found.

        Every window around that station is tried, small ones first, from both ends.
        """
        loads = self.loads(known)
        fullest = int(self.rng.choice(np.flatnonzero(loads == loads.max())))
        for size in SIZES:
            starts = np.arange(max(0, fullest - size + 1), min(fullest, len(loads) - size) + 1)
            for start in self.rng.permutation(starts).tolist():
                if stop():
                    return None
                found = self._filled_anew(known, start, size, int(loads.max()) - 1, None, stop)
                if found is not None:
                    return found
        return None

    def other(self, known: Filled, stop: Stop) -> Filled:
        """Another solution whose fullest station holds no more, if one is found in a random window."""
        loads = self.loads(known)
        size = min(int(self.rng.choice(SIZES)), len(loads))
        start = int(self.rng.integers(0, len(loads) - size + 1))
        noise = self.rng.uniform(NOISE, 1.0, self.tasks.count)
        return self._filled_anew(known, start, size, int(loads.max()), noise, stop) or known

    def _filled_anew(
        self, known: Filled, start: int, size: int, most: int, noise: FloatArray | None, stop: Stop
    ) -> Filled | None:
        """The solution with so many stations from ``start`` filled to ``most`` ticks at most, if a narrow pass can."""
        inside = np.flatnonzero((known.station >= start) & (known.station < start + size))
        if not len(inside) or most < 1:
            return None
        kinds = self._all_kinds(known)[start : start + size]
        tasks = Tasks(self.tasks.ticks[:, inside], self.tasks.before[np.ix_(inside, inside)])
        backwards = int(2 * self.rng.random()) == 0
        line = Line(kinds[::-1] if backwards else kinds, self.line.free)
        if backwards:
            tasks = tasks.reversed()
        chosen = None if line.alike else prices(tasks.ticks[: len(line.total)], line.total)
        guide = list(Guide)[int(self.rng.integers(0, len(Guide)))]
        search = Pass(Threshold(tasks, line, most, chosen), guide)
        if noise is not None:
            search.worth = np.rint(search.worth * noise[inside]).astype(np.int64)
        verdict = search.decide(WIDTH, stop)
        if not verdict.possible:
            return None
        assert verdict.station is not None and verdict.kind is not None
        station, kind = known.station.copy(), known.kind.copy()
        place = size - 1 - verdict.station if backwards else verdict.station
        station[inside] = start + place
        kind[start : start + size] = verdict.kind[::-1] if backwards else verdict.kind
        return Filled(station, kind)

    def _all_kinds(self, known: Filled) -> IntArray:
        """(m,) kinds of the stations, those of empty ones too."""
        if not self.line.free:
            return self.line.kinds
        found = known.kind.copy()
        left = np.bincount(self.line.kinds, minlength=len(self.tasks.ticks))
        left = left - np.bincount(found[found >= 0], minlength=len(left))
        found[found < 0] = np.repeat(np.arange(len(left)), left)
        return found
