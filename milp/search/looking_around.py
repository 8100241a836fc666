"""Looking around the best placement: tabu search, adjacent chips, nodes that an adviser doubts, its own placements."""

from __future__ import annotations

from milp import budget
from milp.improve.adjacent_chips import improve
from milp.improve.doubtful_nodes import release_by_doubt
from milp.improve.tabu import Tabu
from milp.search.beams import applies, beams
from milp.state.names import Doing
from milp.state.run import Phase, Run
from partition.arrays import IntArray


def _tabu_of(run: Run) -> Tabu | None:
    """The tabu search of a run, which goes on where it ended; shared through :meth:`Run.kept`."""
    if not Tabu.applies(run.instance):
        return None
    return Tabu(run.instance, run.tightening.known[0].rules, run.rng)


def _moves_alone(run: Run) -> bool:
    return run.kept(_tabu_of) is not None and run.incumbent.placement is not None


def _tabu(run: Run, seconds: float) -> None:
    """Move single nodes and what must come along."""
    tabu, best = run.kept(_tabu_of), run.incumbent.placement
    assert tabu is not None and best is not None

    def better(chip: IntArray) -> bool:
        run.incumbent.offer(run.instance.lift(chip, [], []))
        return run.incumbent.closed

    tabu.run(run.instance.chip_of_nodes(best), better, run.stop.limited(seconds))


def look_around(run: Run, seconds: float) -> None:
    """Wider beams where narrow ones helped, single nodes, heavy chips, nodes in doubt: so many seconds each."""
    incumbent = run.incumbent
    if applies(run.instance) and run.kept(beams).helped:
        incumbent.enter(Doing.BEAMS)
        run.kept(beams).work(seconds, seconds)
    if _moves_alone(run):
        incumbent.enter(Doing.TABU)
        _tabu(run, seconds)
    if incumbent.closed or run.stop():
        return
    improve(run, seconds=seconds)
    if run.advice is not None and not incumbent.closed:
        release_by_doubt(run, run.advice, seconds=seconds)


def _advised(run: Run) -> bool:
    return run.advice is not None


def _take_advice(run: Run) -> None:
    """Offer the placements that the adviser has to show."""
    assert run.advice is not None
    incumbent, stop = run.incumbent, run.stop
    until = stop.seconds + run.share(budget.ADVICE)
    for placement in run.advice.placements(incumbent.placement, stop):
        incumbent.offer(placement)
        if incumbent.closed or stop() or stop.seconds > until:
            return


TABU = Phase(Doing.TABU, _moves_alone, lambda run: _tabu(run, run.share(budget.TABU)))
ADVICE = Phase(Doing.ADVICE, _advised, _take_advice)
