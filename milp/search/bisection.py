"""Bisection over thresholds, "is there a valid placement with period <= T?", and what bounds the period without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from milp.chip_bounds.capacity import BlockCapacity, alone
from milp.chip_bounds.pigeonholes import Shares, heaviest_crowd
from milp.formulation.build import build
from milp.formulation.building_time import leaves_time
from milp.formulation.choices import Choices
from milp.formulation.linear import ImpossibleRow
from milp.improve.adjacent_chips import improve
from milp.improve.doubtful_nodes import release_by_doubt
from milp.improve.tabu import Tabu
from milp.solver.highs import solve
from milp.solver.matrix import COVERED, MatrixModel, compile_model
from milp.solver.reading import placement_of
from milp.state.advice import Advice
from milp.state.incumbent import Incumbent
from milp.windows.tightening import Tightening
from milp.windows.windows import Windows
from partition.arrays import FloatArray, IntArray
from partition.instance.instance import Instance
from partition.stopping import Stop

MODEL_LIMIT = 40_000
"""Most binaries for which the whole tightened model is built; beyond it, neighbourhoods alone."""

CAPACITY_SHARE = 0.15
"""Share of the time left that goes into bounds from block capacities."""

CROWD_FROM = 0.8
"""Share of the bound from which the work of a crowd is worth asking what it costs with its transfers."""

CROWD_SECONDS = 0.5
"""Seconds that a question about the blocks around one node gets at least."""

CROWD_PATIENCE = 2
"""Questions in a row that were not settled before the crowd is asked about together."""

BLOCK_SHARE = 0.1
"""Largest share of the time left for the cheapest blocks around heavy nodes."""

BLOCK_PATIENCE = 8
"""Nodes in a row that do not raise the bound before that ends."""

SMALL_MODEL = 5_000
"""Most binaries for which minimising the period directly is tried before thresholds."""

MARGIN = 1e-5
"""Relative distance that HiGHS's cut-offs keep from the best period. HiGHS 1.16.0's presolve can cut off better
solutions when a cut-off lies within its feasibility tolerance below an attainable value (tests/milp/test_highs.py)."""

SPLIT = 0.4871
"""Where a stretch of thresholds is split: near the middle, but not on it, where round figures may be attainable."""

WINDOW_WORK = 3e-9
"""Units of work (stopping.py) for windows, per pair of nodes and chip."""

TABU_SHARE = 0.06
"""Share of the time left for a first look around the best placement."""

IMPROVE_SHARE = 0.2
"""Share of the time left for each way of looking around the best placement once the quick ways have failed."""

FIRST_SLICE = 2.0
"""Seconds the first unresolved thresholds get; doubled each time the search comes round again."""


@dataclass(frozen=True, eq=False)
class _Compiled:
    """A model over the windows of some threshold; it serves every smaller one, until there are more ``cuts``."""

    threshold: float
    instance: Instance
    windows: Windows
    model: MatrixModel
    cuts: int


class Thresholds:
    """Bisection over "is there a valid placement with period <= T?" on slices of models compiled once."""

    def __init__(
        self,
        tightening: Tightening,
        incumbent: Incumbent,
        stop: Stop,
        rng: np.random.Generator,
        seed: int,
        advice: Advice | None = None,
    ) -> None:
        self.advice, self.tightening = advice, tightening
        self.instance = instance = tightening.original
        self.incumbent, self.stop, self.rng, self.seed = incumbent, stop, rng, seed
        self.capacity = BlockCapacity(instance) if BlockCapacity.applies(instance) else None
        self.tabu = Tabu(instance, tightening.known[0].rules, rng) if Tabu.applies(instance) else None
        crowd = heaviest_crowd(instance) if self.capacity is not None else None
        self.shares = Shares(instance, crowd) if crowd is not None else None
        self.too_hard = 0  # questions about single nodes of the crowd in a row that were not settled
        self.compiled: list[_Compiled] = []
        self.unresolved: list[float] = []
        self.slice = FIRST_SLICE
        self.try_to_close = False

    def run(self) -> None:
        """Until the gap is closed or time is up."""
        self.incumbent.enter("thresholds")
        self._windows_alone(self._plain_windows, precision=1e-4, until=self.stop.time_limit)
        if not self.incumbent.closed:
            self._improve(self._share(IMPROVE_SHARE))
        self._ask_the_crowd(self._share(CAPACITY_SHARE))
        if self.capacity is not None and not self.incumbent.closed:
            share = self.stop.seconds + CAPACITY_SHARE * self.stop.remaining
            self._windows_alone(self._windows, precision=3e-3, until=share)
        while not (self.incumbent.closed or self.stop()):
            if self.incumbent.limit_open and self.incumbent.target <= self.incumbent.lower:
                if self._ask_about_the_limit():
                    continue
                return  # it lies so near to the bound that a floating-point solver proves nothing more
            threshold = self._next()
            if threshold is None:
                self.unresolved.clear()
                self.slice *= 2
                self._ask_the_crowd(2 * self.slice)
                self._improve(self.slice)
            elif not self._ask(threshold):
                self.unresolved.append(threshold)

    def blocks(self) -> None:
        """The cheapest valid block around the heaviest nodes, one after the other, while that raises the bound."""
        if self.capacity is None:
            return
        self.incumbent.enter("blocks")
        until = self.stop.seconds + BLOCK_SHARE * self.stop.remaining
        cost, fruitless = alone(self.instance), 0
        for node in np.argsort(-cost, kind="stable").tolist():
            if cost[node] <= self.incumbent.lower or fruitless >= BLOCK_PATIENCE:
                break
            if self.stop() or self.incumbent.closed or self.stop.seconds > until:
                break
            before = self.incumbent.lower
            upper = self.incumbent.upper * (1 - MARGIN)
            limit = min(self.slice, until - self.stop.seconds)
            found = self.capacity.cheapest(node, upper=upper, time_limit=limit, stop=self.stop, seed=self.seed)
            self.incumbent.prove(min(found.bound, upper), within=upper)
            fruitless = 0 if self.incumbent.lower > before * (1 + 1e-4) else fruitless + 1

    def _ask_the_crowd(self, seconds: float) -> None:
        """What heavy nodes cost in blocks as crowded as some must be: one by one, or together where that is hard.

        One by one tells more.
        """
        if self.shares is None or self.capacity is None or self.shares.crowd.work < CROWD_FROM * self.incumbent.lower:
            return
        until = self.stop.seconds + seconds
        asked = np.zeros(self.instance.nodes, dtype=bool)
        while not (self.incumbent.closed or self.stop()) and self.stop.seconds < until:
            upper = self.incumbent.upper * (1 - MARGIN)
            left = until - self.stop.seconds
            if self.too_hard >= CROWD_PATIENCE:
                settled = self.shares.ask_together(
                    self.capacity, upper=upper, time_limit=left, stop=self.stop, seed=self.seed
                )
                self.incumbent.prove(min(self.shares.bound(), upper), within=self.shares.within)
                if settled:
                    self.shares = None
                return
            more = self.shares.next(max(self.shares.bound(), self.incumbent.lower), asked)
            if more is None:
                if not asked.any():
                    self.shares = None
                return
            node, missing = more
            asked[node] = True
            limit = max(CROWD_SECONDS, left / missing)
            settled = self.shares.ask(
                node, self.capacity, upper=upper, time_limit=limit, stop=self.stop, seed=self.seed
            )
            self.too_hard = 0 if settled else self.too_hard + 1
            self.incumbent.prove(min(self.shares.bound(), upper), within=self.shares.within)

    def _windows_alone(self, windows: Callable[[float], Windows], *, precision: float, until: float) -> None:
        """Bisect for the largest threshold that the windows disprove without the full model."""
        low, high = self.incumbent.lower, self.incumbent.upper
        while high - low > precision * high and not self.stop() and self.stop.seconds < until:
            middle = (low + high) / 2
            if windows(middle).empty:
                low = middle
                self.incumbent.prove(middle, exact=self.capacity is None)
            else:
                high = middle

    def look_around(self) -> None:
        """A short tabu search, before what takes the longer the worse the best placement is."""
        self._tabu(self._share(TABU_SHARE))

    def _tabu(self, seconds: float) -> None:
        """Move single nodes and what must come along."""
        if self.tabu is None or self.incumbent.placement is None:
            return
        self.incumbent.enter("tabu")

        def better(chip: IntArray) -> bool:
            self.incumbent.offer(self.instance.lift(chip, [], []))
            return self.incumbent.closed

        homes = self.instance.chip_of_nodes(self.incumbent.placement)
        self.tabu.run(homes, better, self.stop.limited(seconds))

    def _improve(self, seconds: float) -> None:
        """Look around the incumbent: single nodes, chips near the bottleneck, nodes that the adviser doubts."""
        self._tabu(seconds)
        if self.incumbent.closed or self.stop():
            return
        improve(self.instance, self.incumbent, self.stop, self.rng, seconds=seconds, seed=self.seed)
        if self.advice is not None and not self.incumbent.closed:
            release_by_doubt(
                self.instance,
                self.incumbent,
                self.advice,
                self.tightening.known[0].rules,
                self.stop,
                seconds=seconds,
                seed=self.seed,
            )
        self.incumbent.enter("thresholds")

    def _share(self, part: float) -> float:
        """Seconds in a part of the time that is left."""
        return part * self.stop.remaining

    def minimise_with_cuts(self) -> None:
        """:meth:`minimise`, again while placements found that way break dynamic memory and teach cuts."""
        learned = -1
        while learned < len(self.incumbent.cuts) and not (self.incumbent.closed or self.stop()):
            learned = len(self.incumbent.cuts)
            self.minimise()

    def minimise(self) -> None:
        """One attempt at the model as it is, period as objective: the quickest way where it is small."""
        self.incumbent.enter("milp")
        upper = self.incumbent.upper * (1 - MARGIN)
        tight = self.tightening.at(upper)
        windows = tight.rules.windows(upper)
        if windows.empty:
            self.incumbent.prove(upper, exact=True)
            return
        if windows.free > SMALL_MODEL or not affordable(tight.instance, windows, self.stop):
            return
        try:
            compiled = self._model_for(upper, tight.instance, windows)
        except ImpossibleRow:
            self.incumbent.prove(upper)
            return
        model = compiled.model.narrowed(windows, upper=upper)
        if model is None:
            self.incumbent.prove(upper)
            return

        def found(x: FloatArray) -> None:
            self.incumbent.offer(placement_of(compiled.instance, compiled.windows, compiled.model, model.full(x)))

        def proved(bound: float) -> None:
            if np.isfinite(bound):
                self.incumbent.prove(min(bound, upper), within=upper)

        limit = min(self.slice, self.stop.remaining)
        outcome = solve(model, time_limit=limit, stop=self.stop, seed=self.seed, on_incumbent=found, on_bound=proved)
        if outcome.x is not None:
            found(outcome.x)
        if outcome.status == "infeasible":
            self.incumbent.prove(upper)
        else:
            proved(outcome.bound)

    def _next(self) -> float | None:
        """The threshold to ask about: halfway into the largest stretch not yet known to be hard."""
        low, high = self.incumbent.lower, self.incumbent.target
        marks = [low, *sorted(t for t in self.unresolved if low < t < high), high]
        if len(marks) == 2:
            near = high - low < 20 * self.incumbent.gap_wanted * high
            return high if near or self.try_to_close else low + SPLIT * (high - low)
        first, last = marks[1] - low, high - marks[-2]
        least = 2 * self.incumbent.gap_wanted * high
        if last > least and last >= first:
            return marks[-2] + SPLIT * (high - marks[-2])
        if first > least:
            return low + SPLIT * (marks[1] - low)
        return None

    def _ask(self, threshold: float, *, prove: bool = True) -> bool:
        """Whether the question was settled, either way.

        A threshold disproved suggests that the incumbent is the best, so the next question is about closing the gap.

        Parameters
        ----------
        prove : whether no placement found may count as a proof; otherwise one is looked for in all the time left.
        """
        tight = self.tightening.at(threshold)
        windows = self._windows(threshold) if prove else self._plain_windows(threshold)
        if windows.empty:
            return self._disprove(threshold, prove, exact=self.capacity is None)
        if not affordable(tight.instance, windows, self.stop):
            return False
        try:
            compiled = self._model_for(threshold, tight.instance, windows)
        except ImpossibleRow:
            return self._disprove(threshold, prove)
        model = compiled.model.narrowed(windows, period=threshold)
        if model is None:
            return self._disprove(threshold, prove)
        limit = min(self.slice, self.stop.remaining) if prove else self.stop.remaining
        outcome = solve(model, time_limit=limit, stop=self.stop, minimise=False, seed=self.seed)
        self.try_to_close = outcome.status == "infeasible"
        if outcome.status == "infeasible":
            return self._disprove(threshold, prove)
        if outcome.x is None:
            return False
        placement = placement_of(compiled.instance, compiled.windows, compiled.model, model.full(outcome.x))
        known = len(self.incumbent.cuts)
        return self.incumbent.offer(placement) or len(self.incumbent.cuts) > known  # then it is asked again

    def _disprove(self, threshold: float, prove: bool, *, exact: bool = False) -> bool:
        """Raise the bound to a threshold where that may count as a proof; whether it may."""
        if prove:
            self.incumbent.prove(threshold, exact=exact)
        return prove

    def _ask_about_the_limit(self) -> bool:
        """Whether a better placement within the limit is found; that there is none is not concluded."""
        assert self.incumbent.limit is not None
        return self._ask(self.incumbent.limit / self.instance.unit, prove=False)

    def _windows(self, threshold: float) -> Windows:
        most = threshold
        if self.capacity is not None:
            most = self.capacity.most_work(
                threshold, time_limit=min(self.slice, 0.2 * self.stop.remaining), stop=self.stop
            )
        self._charge_windows()
        return self.tightening.at(threshold).rules.windows(threshold, most)

    def _plain_windows(self, threshold: float) -> Windows:
        self._charge_windows()
        return self.tightening.at(threshold).rules.windows(threshold)

    def _charge_windows(self) -> None:
        self.stop.charge(WINDOW_WORK * self.instance.nodes**2 * self.instance.chips)

    def _model_for(self, threshold: float, instance: Instance, windows: Windows) -> _Compiled:
        """The smallest model that covers the threshold, built anew where that saves much."""
        cuts = self.incumbent.cuts.known
        self.compiled = [c for c in self.compiled if c.cuts == len(cuts)]
        covering = [
            c for c in self.compiled if threshold <= c.threshold <= COVERED * threshold and c.instance is instance
        ]
        best = min(covering, key=lambda c: c.threshold, default=None)
        if best is None or best.windows.free > 2 * windows.free + 5000:
            model = compile_model(build(instance, windows, upper=threshold, cuts=cuts), self.stop)
            best = _Compiled(threshold, instance, windows, model, len(cuts))
            self.compiled.append(best)
        return best


def affordable(instance: Instance, windows: Windows, stop: Stop) -> bool:
    """Whether building the model over these windows leaves time to solve it."""
    triangle = Choices.lossless(instance).triangle
    return windows.free <= MODEL_LIMIT and leaves_time(instance, windows, stop, triangle=triangle)
