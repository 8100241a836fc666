"""One search: what its phases share, and what a phase is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from milp.state.advice import Advice
from milp.state.incumbent import Incumbent
from milp.state.names import Doing
from milp.tolerances import EXACTNESS
from milp.windows.tightening import Tightening
from milp.windows.windows import PACKED_LIMIT
from partition.instance.instance import Instance
from partition.stopping import Stop

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Run:
    """What the phases of one search share.

    Attributes
    ----------
    instance : Instance
        The contracted problem.
    incumbent : Incumbent
        The best placement and the best bound, and the only way to change either.
    stop : Stop
        Asked whether to end; the only clock.
    rng : numpy.random.Generator
        For every random choice of the search.
    seed : int
        Of HiGHS.
    advice : Advice or None
        Placements and doubts from outside the solver.
    tightening : Tightening
        What a threshold implies before any search.
    """

    instance: Instance
    incumbent: Incumbent
    stop: Stop
    rng: np.random.Generator
    seed: int
    advice: Advice | None
    tightening: Tightening
    _made: dict[Callable[[Run], Any], Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def begin(
        instance: Instance, incumbent: Incumbent, stop: Stop, *, seed: int = 0, advice: Advice | None = None
    ) -> Run:
        """A search that has done nothing yet.

        An adviser keeps ancestors and descendants as bits, so it is not asked beyond ``PACKED_LIMIT`` nodes.
        """
        heard = advice if instance.nodes <= PACKED_LIMIT else None
        rng = np.random.default_rng(seed)
        return Run(instance, incumbent, stop, rng, seed, heard, Tightening(instance, stop))

    def best_instance(self) -> Instance:
        """The instance with all that a better period than the best known implies."""
        return self.tightening.at(self.incumbent.upper * (1 - EXACTNESS)).instance

    def share(self, part: float) -> float:
        """Seconds in a part of the time that is left."""
        return part * self.stop.remaining

    def kept(self, make: Callable[[Run], T]) -> T:
        """What ``make`` gives, made once a run: phases that share it need not know of one another."""
        if make not in self._made:
            self._made[make] = make(self)
        made: T = self._made[make]
        return made


@dataclass(frozen=True)
class Phase:
    """One way to a better placement or a better bound.

    Attributes
    ----------
    name : Doing
        As progress and ``bound`` show it.
    applies : Run -> bool
        Whether the reasoning covers everything that the question contains. It is a whitelist: no to what it never
        heard of.
    work : Run -> None
        Offers placements and proves bounds to the incumbent; returns when done or stopped.
    first : bool
        Whether it looks for a first placement. All others need one, and a gap that is open.
    """

    name: Doing
    applies: Callable[[Run], bool]
    work: Callable[[Run], None]
    first: bool = False


def always(_: Run) -> bool:
    """For phases whose reasoning covers every question, or that prove nothing."""
    return True
