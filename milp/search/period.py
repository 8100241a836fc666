"""The search for the least period: a list of phases that one can read, print and replace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from milp import budget
from milp.chip_bounds.pigeonholes import heaviest_crowd
from milp.search.beams import BEAMS
from milp.search.bisection import BISECTION
from milp.search.downsets.phase import DOWN_SETS
from milp.search.dynamic_programs import FEW_IDEALS, FRONTIERS, IDEALS, STRETCHES
from milp.search.first_placements import ANY_PLACEMENT, SAMPLED, SEEDS, WISHED
from milp.search.heavy_blocks import BLOCKS
from milp.search.looking_around import ADVICE, TABU
from milp.search.separations import SEPARATIONS
from milp.search.whole_model import WHOLE_MODEL
from milp.state.incumbent import Incumbent
from milp.state.names import Doing
from milp.state.run import Phase, Run
from partition.instance.contract import contract
from partition.instance.instance import Instance
from partition.problem.placement import Placement
from partition.results.proof_steps import ProofStep

PHASES: tuple[Phase, ...] = (
    WISHED,
    SEEDS,
    SAMPLED,
    ANY_PLACEMENT,
    DOWN_SETS,
    SEPARATIONS,
    FEW_IDEALS,
    BLOCKS,
    WHOLE_MODEL,
    IDEALS,
    BEAMS,
    TABU,
    STRETCHES,
    FRONTIERS,
    ADVICE,
    BISECTION,
)
"""What a search does, in this order. A new bound is a file with a phase, and a line here."""


def search(run: Run, *, starts: Iterable[Placement] = (), phases: Sequence[Phase] = PHASES) -> bool:
    """Improve the incumbent and its bound, phase by phase, until closed or stopped.

    Parameters
    ----------
    run : Run
    starts : placements
        Known from elsewhere.
    phases : sequence of Phase
        Those that look for a first placement, then the others.

    Returns
    -------
    bool
        False if it is proved that no valid placement exists.
    """
    incumbent, stop = run.incumbent, run.stop
    incumbent.enter(Doing.WORK)
    incumbent.prove(trivial_bound(run.instance), exact=True, because=lambda: ProofStep("work"))
    for placement in starts:
        incumbent.offer(placement)
    if run.instance.hardware.rules.dynamic_memory:
        _without_schedules(run, phases)
    for phase in phases:
        if incumbent.impossible:
            return False
        if phase.first:
            wanted = not (incumbent.known and incumbent.closed)
        else:
            wanted = incumbent.known and not (incumbent.closed or stop())
        if wanted:
            with stop.surviving(lambda: incumbent.phase):
                if phase.applies(run):
                    incumbent.enter(phase.name)
                    phase.work(run)
    return not incumbent.impossible


def _without_schedules(run: Run, phases: Sequence[Phase]) -> None:
    """Search without dynamic memory first: its bound holds, and its placement may fit."""
    incumbent, instance, stop = run.incumbent, run.instance, run.stop
    incumbent.enter(Doing.STATIC_MEMORY)
    static = instance.hardware.with_rules(dynamic_memory=False)
    relaxed = contract(instance.graph, static, unit=instance.unit, legal=instance.legal)
    outcome = Incumbent(relaxed, incumbent.gap_wanted, lambda: stop.elapsed, None, keeps_steps=incumbent.keeps_steps)
    outcome.limit, outcome.enough, outcome.rival = incumbent.limit, incumbent.enough, incumbent.best
    part = stop.part(budget.STATIC_MEMORY)
    if not search(Run.begin(relaxed, outcome, part, seed=run.seed), phases=phases):
        incumbent.exclude_all(because=lambda: _without_room(outcome))
    incumbent.prove(outcome.lower, exact=True, because=lambda: _without_room(outcome))
    if outcome.placement is not None:
        incumbent.offer(outcome.placement)


def _without_room(outcome: Incumbent) -> ProofStep:
    """What was proved without schedules holds with them."""
    return ProofStep("static memory", rests_on=(outcome.claim,) if outcome.claim is not None else ())


def trivial_bound(instance: Instance) -> float:
    """Work and streaming spread evenly, the largest node, or what some chip holds of the heaviest nodes at least."""
    crowd = heaviest_crowd(instance)
    return max(instance.least_period, crowd.work if crowd is not None else 0.0)
