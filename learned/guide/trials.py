"""Trials: how short a period beams reach on an instance with so many blocks expanded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from learned.guide.draws import drawn
from milp.search.beams import Arm, BeamSearch
from milp.search.first_placements import SEEDS
from milp.search.period import search
from milp.search.separations import SEPARATIONS
from milp.state.incumbent import Incumbent
from milp.state.run import Run
from milp.tolerances import GAP
from partition.instance.contract import contract
from partition.instance.instance import Instance
from partition.problem.hardware_files import load_hardware
from partition.problem.placement import Placement
from partition.readers.load import load_model
from partition.stopping import Stop

KEPT = 512
"""Courses that one process keeps."""


@dataclass(frozen=True)
class Course:
    """An instance to run beams on: a model and a package, or a drawn graph by its seed.

    Attributes
    ----------
    model, hardware : names or files; empty for a drawn graph.
    seed : of a drawn graph.
    """

    model: str = ""
    hardware: str = ""
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.model} on {self.hardware}" if self.model else f"draw {self.seed}"


@dataclass(frozen=True, eq=False)
class Ground:
    """An instance with the placement and the bound that beams begin with.

    Attributes
    ----------
    start : the best of a few sliced orders.
    period, bound : of that start, and proved by separations; in units of the instance.
    """

    instance: Instance
    start: Placement
    period: float
    bound: float

    def run(self) -> Run:
        """A new search, by work without limit, that knows start and bound."""
        run = _begun(self.instance)
        run.incumbent.prove(self.bound, exact=True)
        run.incumbent.offer(self.start)
        return run


@lru_cache(KEPT)
def ground_of(course: Course) -> Ground:
    """The ground of a course, prepared once a process."""
    if course.model:
        instance = contract(load_model(course.model).graph, load_hardware(course.hardware))
    else:
        instance = contract(*drawn(course.seed))
    run = _begun(instance)
    search(run, phases=[SEEDS, SEPARATIONS])
    found = run.incumbent
    assert found.placement is not None
    return Ground(instance, found.placement, found.upper, found.lower)


def _begun(instance: Instance) -> Run:
    """A search by work without limit that knows nothing yet."""
    stop = Stop(work_limit=math.inf)
    return Run.begin(instance, Incumbent(instance, GAP, lambda: stop.work, None), stop)


@dataclass(frozen=True)
class TrialResult:
    """What beams reached: the period in units of the instance, blocks expanded, units of work."""

    period: float
    expanded: int
    work: float


def reached(ground: Ground, arms: list[Arm], expansions: float, width: int, work: float = math.inf) -> TrialResult:
    """The least period that beams of these arms, in turn, reach with so many blocks expanded, or so much work."""
    run = ground.run()
    beams = BeamSearch(run, [arms], first_width=width, most=expansions)
    beams.work(work, work)
    return TrialResult(run.incumbent.upper, beams.expanded, run.stop.work)
