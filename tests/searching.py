"""Solves with a list of phases of one's own; every answer is checked as those of ``partition`` are."""

from __future__ import annotations

from collections.abc import Sequence

from checked import judge

from milp.search.period import PHASES
from milp.state.names import Doing
from milp.state.run import Phase
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.results.result import Result
from partition.solve.question import Question
from partition.solve.search_once import answer
from partition.stopping import Stop

ACYCLIC = "transfers=serial,no_skipping=off,triangle=off,memory=off,replication=off,relays=off"
"""Settings of a package of which only the order of the chips counts."""


def without(*names: Doing) -> list[Phase]:
    """The phases of today in their order, but for these."""
    missing = set(names) - {phase.name for phase in PHASES}
    assert not missing, f"there are no such phases: {missing}"
    return [phase for phase in PHASES if phase.name not in names]


def solve_by(
    phases: Sequence[Phase],
    graph: Graph,
    hardware: Hardware,
    *,
    time_limit: float = 30.0,
    start: Placement | None = None,
    goals: tuple[str, ...] = ("period",),
    throughput: float | None = None,
    gap: float = 1e-4,
) -> Result:
    """What ``partition`` answers if the search has these phases only."""
    question = Question(graph, hardware, start, "none", goals, throughput, gap, 0)
    result = answer(question, Stop(time_limit), phases=phases)
    judge(graph, hardware, result, gap=gap, throughput=throughput)
    return result
