"""Beams of one search share what they know."""

from __future__ import annotations

from beam_guides import PLAIN, lanes
from instances import package

from milp.search.beams import Arm, BeamSearch
from milp.search.first_placements import SEEDS
from milp.search.period import search
from milp.state.incumbent import Incumbent
from milp.state.run import Run
from partition.instance.contract import contract
from partition.stopping import Stop


def test_most_expansions_are_kept() -> None:
    instance = contract(lanes(), package(3, **PLAIN))
    stop = Stop(work_limit=float("inf"))
    incumbent = Incumbent(instance, 1e-4, lambda: stop.work, None)
    run = Run.begin(instance, incumbent, stop)
    search(run, phases=[SEEDS])
    beams = BeamSearch(run, [[Arm(1.0)]], first_width=4, most=50)
    beams.work(10.0, 10.0)
    assert 50 <= beams.expanded < 50 + 8
