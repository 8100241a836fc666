"""Beams over down-sets as a phase: narrow ones first, for one period after the other; they find and prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from milp import budget
from milp.search.downsets.beam import Beam
from milp.search.downsets.relays import MOST_CHIPS
from milp.search.downsets.transfers import Flow
from milp.state.names import Doing
from milp.state.run import Phase, Run
from milp.tolerances import BEAM_PRECISION, LARGEST_STEP, TOLLS
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


@dataclass(eq=False)
class BeamSearch:
    """Beams of one run, which go on where they ended.

    Attributes
    ----------
    run : Run
    width : of the beams that come next.
    helped : whether any of them found a better placement.
    """

    run: Run
    width: int = FIRST_WIDTH
    helped: bool = False
    _better_at: float = field(default=0.0, repr=False)
    _flow: tuple[Instance, Flow] | None = field(default=None, repr=False)

    def work(self, seconds: float, in_vain: float) -> None:
        """Wider and wider beams for so many seconds at most, until the gap is closed or ``in_vain`` passes in vain."""
        run, cells = self.run, self.run.instance.nodes + self.run.instance.tensors
        end = run.stop.seconds + seconds
        self._better_at = run.stop.seconds

        def left() -> Stop:
            return run.stop.limited(min(end, self._better_at + in_vain) - run.stop.seconds)

        while not (run.incumbent.closed or left()()) and self.width * cells <= MOST_CELLS:
            for price in TOLLS:
                self._lower(price, left)
            self.width *= WIDER

    def _lower(self, price: float, left: Callable[[], Stop]) -> None:
        """Ask for less in growing steps while beams of one kind find it, and in smaller ones from where they do not."""
        incumbent = self.run.incumbent
        gap = 1 - incumbent.lower / incumbent.upper
        step, least, growing = min(gap / 8, LARGEST_STEP), min(gap / 16, BEAM_PRECISION), True
        while step >= least and not (incumbent.closed or left()()):
            better = self._try(max(incumbent.upper * (1 - step), incumbent.lower), price, left())
            growing &= better
            step = 2 * step if growing else step / 2

    def _try(self, period: float, price: float, stop: Stop) -> bool:
        """Offer the blocks that a beam finds within a period; whether they are better than the best so far."""
        tight = self.run.tightening.at(period)
        instance = tight.instance
        stop.charge(budget.WINDOWS * instance.nodes**2 * instance.chips)
        windows = tight.rules.windows(period)
        if windows.empty:
            return False
        flow = self._flow_of(instance)
        inside = windows.lo[flow.node], windows.hi[flow.node]
        found = Beam(flow, instance, period, inside, price * flow.tau).decide(self.width, stop)
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

    def _flow_of(self, instance: Instance) -> Flow:
        if self._flow is None or self._flow[0] is not instance:
            self._flow = instance, Flow.of(instance)
        return self._flow[1]


def beams(run: Run) -> BeamSearch:
    """The beams of a run, shared through :meth:`Run.kept`."""
    return BeamSearch(run)


def _work(run: Run) -> None:
    run.kept(beams).work(run.share(budget.BEAMS), run.share(budget.BEAMS_IN_VAIN))


BEAMS = Phase(Doing.BEAMS, lambda run: applies(run.instance), _work)
