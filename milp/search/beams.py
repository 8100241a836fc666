"""Beams over down-sets as a phase: narrow ones first, for one period after the other; they find and prove nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from milp import budget
from milp.search.bandit import Bandit
from milp.search.downsets.beam import Beam
from milp.search.downsets.guidance import Guidance, Outlook, Terrain
from milp.search.downsets.relays import MOST_CHIPS
from milp.search.downsets.transfers import Flow
from milp.state.advice import Opinion
from milp.state.names import Doing
from milp.state.run import Phase, Run
from milp.tolerances import BEAM_PRECISION, LARGEST_STEP, TOLLS
from partition.arrays import IntArray
from partition.heuristics.copies import with_replicas
from partition.instance.instance import Instance
from partition.stopping import Stop

NODES_LIMIT = 4_000
"""Most nodes: what is known of a block is a row of them, and adding them one by one takes so many steps."""

FIRST_WIDTH = 32
"""Blocks of one size that are kept at first."""

WIDER = 2
"""Factor from one width to the next."""

MOST_CELLS = 1 << 23
"""Largest width, times nodes and tensors."""


def applies(instance: Instance) -> bool:
    """Whether chips in order are filled with blocks whose transfers only go forward."""
    rules = instance.hardware.rules
    few = 1 < instance.nodes <= NODES_LIMIT and 1 < instance.chips <= (MOST_CHIPS if rules.triangle else NODES_LIMIT)
    forward = rules.acyclic and instance.forward_only and bool(instance.reader_constrains.all())
    return few and forward and bool((~instance.replicable).any())


@dataclass(frozen=True, eq=False)
class Arm:
    """One way to judge the states of a beam.

    Attributes
    ----------
    price : what a unit of transfer time that crosses costs later, without an opinion.
    opinion : Opinion or None
        What gives each tensor its price, and foresees losses beyond.
    """

    price: float = 1.0
    opinion: Opinion | None = None

    def beam(self, terrain: Terrain, instance: Instance, period: float, windows: tuple[IntArray, IntArray]) -> Beam:
        """A beam for one period."""
        flow = terrain.flow
        if self.opinion is None:
            return Beam(flow, instance, period, windows, self.price * flow.tau)
        guidance = Guidance(self.opinion, Outlook(terrain, instance.hardware, period))
        return Beam(flow, instance, period, windows, guidance.tolls(), guidance)


@dataclass(eq=False)
class BeamSearch:
    """Beams of one run, which go on where they ended.

    Attributes
    ----------
    run : Run
    ways : arms that take turns together, at one width; a bandit shares the work among the ways.
    widths : of the next beams of each way.
    helped : whether any of them found a better placement.
    expanded, most : blocks that were kept to grow, and most of them.
    """

    run: Run
    ways: list[list[Arm]]
    first_width: int = FIRST_WIDTH
    most: float = math.inf
    helped: bool = False
    expanded: int = 0
    _better_at: float = field(default=0.0, repr=False)
    _terrain: tuple[Instance, Terrain] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.widths = [self.first_width] * len(self.ways)
        self._bandit = Bandit(len(self.ways))

    def work(self, seconds: float, in_vain: float) -> None:
        """Wider and wider beams for so many seconds at most, until the gap is closed or ``in_vain`` passes in vain."""
        run, cells = self.run, self.run.instance.nodes + self.run.instance.tensors
        end = run.stop.seconds + seconds
        self._better_at = run.stop.seconds

        def left() -> Stop:
            return run.stop.limited(min(end, self._better_at + in_vain) - run.stop.seconds)

        while not (run.incumbent.closed or left()() or self.expanded >= self.most):
            costs = [len(arms) * width / self.first_width for arms, width in zip(self.ways, self.widths, strict=True)]
            way = self._bandit.choose(costs)
            if self.widths[way] * cells > MOST_CELLS:
                return
            before = run.incumbent.upper
            for arm in self.ways[way]:
                self._lower(arm, self.widths[way], left)
            gap = before - run.incumbent.lower
            self._bandit.learn(way, (before - run.incumbent.upper) / gap if gap > 0 else 0.0)
            self.widths[way] *= WIDER

    def _lower(self, arm: Arm, width: int, left: Callable[[], Stop]) -> None:
        """Ask for less in growing steps while beams of one kind find it, and in smaller ones from where they do not."""
        incumbent = self.run.incumbent
        gap = 1 - incumbent.lower / incumbent.upper
        step, least, growing = min(gap / 8, LARGEST_STEP), min(gap / 16, BEAM_PRECISION), True
        while step >= least and not (incumbent.closed or left()() or self.expanded >= self.most):
            better = self._try(max(incumbent.upper * (1 - step), incumbent.lower), arm, width, left())
            growing &= better
            step = 2 * step if growing else step / 2

    def _try(self, period: float, arm: Arm, width: int, stop: Stop) -> bool:
        """Offer the blocks that a beam finds within a period; whether they are better than the best so far."""
        tight = self.run.tightening.at(period)
        instance = tight.instance
        stop.charge(budget.WINDOWS * instance.nodes**2 * instance.chips)
        windows = tight.rules.windows(period)
        if windows.empty:
            return False
        terrain = self._terrain_of(instance)
        flow = terrain.flow
        beam = arm.beam(terrain, instance, period, (windows.lo[flow.node], windows.hi[flow.node]))
        found = beam.decide(width, stop, most=self.most - self.expanded)
        self.expanded += beam.expanded
        if found is None:
            return False
        homes = np.full(instance.nodes, -1)
        homes[flow.node] = found[0]
        replicas = with_replicas(instance, homes)
        relays = [(int(flow.tensor[t]), c) for t, c in found[1]]
        if not self.run.incumbent.offer(instance.lift(homes, replicas, relays)):
            return False
        self.helped, self._better_at = True, self.run.stop.seconds
        return True

    def _terrain_of(self, instance: Instance) -> Terrain:
        if self._terrain is None or self._terrain[0] is not instance:
            self._terrain = instance, Terrain(Flow.of(instance))
        return self._terrain[1]


def beams(run: Run) -> BeamSearch:
    """The beams of a run, shared through :meth:`Run.kept`: a guide where there is one, and the constants in turn."""
    opinion = run.advice.opinion() if run.advice is not None else None
    guided = [] if opinion is None else [[Arm(opinion=opinion)]]
    return BeamSearch(run, [*guided, [Arm(price) for price in TOLLS]])


def _work(run: Run) -> None:
    run.kept(beams).work(run.share(budget.BEAMS), run.share(budget.BEAMS_IN_VAIN))


BEAMS = Phase(Doing.BEAMS, lambda run: applies(run.instance), _work)
