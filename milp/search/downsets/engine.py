"""The down-sets of a line at one period after the other, wider and wider, from both ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from milp.search.downsets.annealing import Population, anneal, solutions
from milp.search.downsets.both_ends import BothEnds, End
from milp.search.downsets.guides import Guide
from milp.search.downsets.layers import PassOutcome
from milp.search.downsets.line import Line
from milp.search.downsets.mending import Filled, Mending
from milp.search.downsets.prices import prices
from milp.search.downsets.tasks import Tasks
from milp.tolerances import LEAST_HOPE, TICK
from partition.arrays import IntArray
from partition.stopping import Stop

FIRST_WIDTH = 100
"""Down-sets in a layer at first."""

PRELUDE = 300
"""Down-sets in a layer at most of the passes that tell beams what both ends are bound to lose."""

WIDER = 3
"""Factor from one width to the next."""

MENDED_AT_ONCE = 1.0
"""Of the search's clock, for neighbouring stations of a solution, before something else has its turn."""

WALK = 3
"""Steps of a random walk where no neighbouring stations of the solution at hand can be filled better."""

STEPS_SEED = 21
"""Of the choice of neighbouring stations, and of the steps of annealing."""

ANNEALED_AT_FIRST = 1_000
"""Steps of the first annealing; the next has twice as many, if that one found nothing better."""

FEW_WAYS = 2
"""Ends and guides that try a load, unless it is the next one to the least known."""

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
    width, proof_width : down-sets in a layer at most, by now: of a pass that drops others, and of one that ends then.
    tick : what a tick is in the unit of those who ask.
    """

    tasks: Tasks
    line: Line
    low: int
    high: int
    found: Callable[[IntArray, IntArray], None]
    proved: Callable[[int], None]
    width: int = FIRST_WIDTH
    proof_width: int = FIRST_WIDTH
    tick: float = 1.0
    _ways: list[tuple[int, Guide]] = field(default_factory=list)
    _failed: dict[tuple[int, Guide], int] = field(default_factory=dict)
    _asked: dict[int, BothEnds] = field(default_factory=dict)
    _known: Filled | None = None
    _annealed: int = ANNEALED_AT_FIRST
    _clock: Stop = field(default_factory=Stop)
    _lowered: float = 0.0

    def __post_init__(self) -> None:
        self.low = max(self.low, 1)
        chosen = None if self.line.alike else prices(self.tasks.ticks[: len(self.line.total)], self.line.total)
        forwards = self.tasks.without_symmetry()
        self._ends = (
            End(forwards, self.line, chosen, backwards=False),
            End(forwards.reversed(), self.line.reversed(), chosen, backwards=True),
        )
        self._rng = np.random.default_rng(STEPS_SEED)
        self._mending = Mending(self.tasks, self.line, self._rng)
        self._ways = [(end, guide) for guide in Guide for end in (0, 1)]

    def run(self, stop: Stop, closed: Callable[[], bool] = lambda: False) -> None:
        """Until the least load is proved, everything was looked at, it is time to stop, or what is known will do."""
        most = max(FIRST_WIDTH, MOST_CELLS // (self.tasks.words * len(self.line.first)))
        spent = dict.fromkeys((self._prove, self._find, self._mend, self._anneal), 0.0)
        self._clock = stop
        while not self._over(stop, closed):
            ways = [self._prove] * (self.proof_width <= most) + [self._find] * (self.width <= most)
            if not ways:
                return
            if not self.line.alike:
                ways = [self._anneal, *ways] + [self._mend] * (self._known is not None)
            way, self._lowered = min(ways, key=lambda each: spent[each]), stop.seconds
            way(stop, closed)
            hope = self._hope() if way == self._prove and self.low < self.high else 1.0
            spent[way] += (stop.seconds - self._lowered) / max(hope, LEAST_HOPE)  # until the last find: nothing

    def _prove(self, stop: Stop, closed: Callable[[], bool]) -> None:
        """Prove what the width of proofs allows, and widen it; first of all that nothing less is possible."""
        if not self._over(stop, closed) and not self._refuted(self.high - 1, self.proof_width, stop):
            self._raise_low(self.proof_width, stop, closed)
        self.proof_width *= WIDER

    def _hope(self) -> float:
        """How far the passes for a proof have come, of the least load that is open and of the last one."""
        return max(self._question(load).progress for load in (self.low, self.high - 1))

    def _find(self, stop: Stop, closed: Callable[[], bool]) -> None:
        """Look for less load with the width at hand, and widen it."""
        self._lower_high(self.width, stop, closed)
        self.width *= WIDER

    def _mend(self, stop: Stop, closed: Callable[[], bool]) -> None:
        """Fill neighbouring stations of the best solution anew, for a while; walk a little where that does not help."""
        mending, part = self._mending, stop.limited(MENDED_AT_ONCE)
        while self._known is not None and not self._over(part, closed):
            better = mending.better(self._known, part)
            if better is not None:
                self._take(better)
                continue
            for _ in range(WALK):
                self._known = mending.other(self._known, part)

    def _anneal(self, stop: Stop, closed: Callable[[], bool]) -> None:
        """Cool many solutions down together, until they hold less than the best one."""
        before = self.high

        def better(solution: Filled) -> int:
            self._take(solution)
            return self.high - 1

        station = max(int(self.tasks.least.sum()) // self.line.stations, 1)
        most = min(self.high - 1, 2 * (station + int(self.tasks.least.max())))
        population = Population(self.tasks, self.line, most, solutions(self.line), self._rng)
        anneal(population, self._annealed, station, better, lambda: self._over(stop, closed), stop)
        if self.high == before:
            self._annealed *= 2

    def cap(self, period: float) -> None:
        """A period, in the unit of those who ask, has been reached elsewhere."""
        ticks = period / self.tick * (1 + TICK)
        if ticks < self.high:
            self.high = max(self.low, int(ticks))

    def _over(self, stop: Stop, closed: Callable[[], bool]) -> bool:
        return self.low >= self.high or closed() or stop()

    def _raise_low(self, width: int, stop: Stop, closed: Callable[[], bool]) -> None:
        """Prove loads impossible, in growing steps from the least one that is not."""
        step = 1
        while not self._over(stop, closed):
            load = min(self.low + step - 1, self.high - 1)
            if self._refuted(load, width, stop):
                step *= 2
            elif step == 1:
                return
            else:
                step = 1

    def _refuted(self, load: int, width: int, stop: Stop) -> bool:
        """Whether a load is proved impossible."""
        return self._settles(self._question(load).prove(width, stop), load) and self.low > load

    def _question(self, load: int) -> BothEnds:
        """A load, with what was found about it so far; loads that are settled are forgotten."""
        self._asked = {each: asked for each, asked in self._asked.items() if self.low <= each < self.high}
        if load not in self._asked:
            self._asked[load] = BothEnds(self._ends, load)
        return self._asked[load]

    def _settles(self, verdict: PassOutcome, load: int) -> bool:
        """Whether a verdict on a load says anything; what follows from it."""
        if verdict.possible is None:
            return False
        if verdict.possible:
            assert verdict.station is not None and verdict.kind is not None
            self._take(Filled(verdict.station, verdict.kind))
        else:
            self.low = load + 1
            self.proved(self.low)
        return True

    def _lower_high(self, width: int, stop: Stop, closed: Callable[[], bool]) -> None:
        """Look for less load than the least known: at first between that and the bound, then step by step below it."""
        self._failed = {}
        unknown, step = self.low - 1, 1
        while width == FIRST_WIDTH and unknown + 1 < self.high and not self._over(stop, closed):
            load = max(self.low, min(unknown + step, (unknown + self.high) // 2))
            if not self._settled(load, FEW_WAYS, width, stop):
                unknown, step = load, 2 * step
        step = 1
        while not self._over(stop, closed):
            load = max(self.high - step, self.low)
            if self._settled(load, FEW_WAYS if step > 1 else len(self._ways), width, stop):
                step *= 2
            elif step == 1:
                return
            else:
                step //= 2

    def _settled(self, load: int, most: int, width: int, stop: Stop) -> bool:
        """Whether one of so many ways tells if a load is possible; it is then the first to be asked.

        A way that failed at a load is not asked about it again, nor about less.
        """
        question = self._question(load)
        if self._settles(question.prove(min(width, PRELUDE), stop), load):
            return True
        fresh = [way for way in self._ways if self._failed.get(way, -1) < load]
        for way in fresh[:most]:
            if self._settles(question.find(*way, width, stop), load):
                self._ways.sort(key=lambda other: other is not way)
                return True
            self._failed[way] = load
        return False

    def _take(self, solution: Filled) -> None:
        """Go on from a solution, and tell of it if it is the best."""
        self._known = solution
        load = int(self._mending.loads(solution).max())
        if load < self.high:
            self.high, self._lowered = load, self._clock.seconds
            self.found(solution.station, solution.kind)
