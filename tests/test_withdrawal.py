"""Lies injected into every engine: none beats a better placement, and what the liar proved besides goes with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from instances import chain_of, package

from milp.chip_bounds.capacity import Cheapest
from milp.chip_bounds.pigeonholes import Crowd
from milp.frontiers import program as frontiers
from milp.ideals import stretches
from milp.ideals.program import Chain
from milp.search.bisection import BISECTION
from milp.search.dynamic_programs import FRONTIERS, IDEALS, STRETCHES
from milp.search.goals import GoalSearch
from milp.search.heavy_blocks import BLOCKS
from milp.search.period import PHASES
from milp.search.separations import SEPARATIONS
from milp.search.whole_model import WHOLE_MODEL
from milp.state.incumbent import Incumbent
from milp.state.names import Doing
from milp.state.run import Phase, Run, always
from milp.windows.windows import Windows
from partition import Graph, GraphBuilder, Hardware, Infeasible, Placement, RefutedBound, Result
from partition.instance.contract import contract
from partition.instance.instance import Instance
from partition.results.progress import Proof, unrefuted
from partition.solve.portfolio import joined_answers
from partition.solve.question import Question
from partition.solve.search_once import answer
from partition.stopping import Stop


@dataclass(frozen=True)
class Lie:
    """What to replace, by what, and the only phase of the search that then follows a bad placement."""

    target: str
    says: Callable[..., Any]
    phase: Phase | None = None
    topology: str = "ring"
    wide: bool = False


def nowhere(rules: Any, *_: Any, **__: Any) -> Windows:
    count = rules.instance.nodes
    return Windows(np.full(count, rules.instance.chips), np.full(count, -1))


def everything(instance: Instance) -> Crowd:
    return Crowd(np.ones(instance.nodes, dtype=bool), 1, 2.0)


def branches() -> Graph:
    """Four operations side by side between a first and a last one."""
    b = GraphBuilder("branches")
    b.operation("first", "Op", outputs={"first": 0.5}, flops=3, bytes_accessed=0)
    for i in range(4):
        b.operation(f"v{i}", "Op", inputs=["first"], outputs={f"v{i}": 0.5}, flops=4 + i, bytes_accessed=0)
    b.operation("last", "Op", inputs=[f"v{i}" for i in range(4)], flops=2, bytes_accessed=0)
    return b.build()


def on_one_chip(run: Run) -> None:
    run.incumbent.offer(Placement(np.zeros(run.instance.graph.n, dtype=np.int64)))


BAD = Phase(Doing.SEEDS, always, on_one_chip, first=True)

LIES = {
    "windows": Lie("milp.windows.windows.WindowRules.windows", nowhere, WHOLE_MODEL),
    "separations": Lie(
        "milp.windows.separation.Separation.inseparable",
        lambda self, *_: np.ones(len(self.edges), dtype=bool),
        SEPARATIONS,
    ),
    "ideals": Lie("milp.ideals.program.Ideals.best_chain", lambda *_: Chain(float("inf"), None), IDEALS),
    "stretches": Lie(
        "milp.ideals.stretches.Stretches.ask",
        lambda _, threshold, stop: stretches.StretchVerdict(threshold),
        STRETCHES,
        wide=True,
    ),
    "frontiers": Lie(
        "milp.frontiers.program.Frontiers.decide",
        lambda *_, **__: frontiers.FrontierVerdict(False),
        FRONTIERS,
        "memory",
    ),
    "blocks": Lie("milp.chip_bounds.capacity.BlockCapacity.cheapest", lambda *_, **__: Cheapest(np.inf), BLOCKS),
    "capacity": Lie("milp.chip_bounds.capacity.BlockCapacity.most_work", lambda *_, **__: 0.0, BISECTION),
    "crowds": Lie("milp.search.period.heaviest_crowd", everything),
    "HiGHS": Lie(
        "milp.solver.ask.solve",
        lambda *_, **__: SimpleNamespace(status="infeasible", x=None, bound=-np.inf, objective=np.inf),
        WHOLE_MODEL,
    ),
    "counting": Lie("partition.solve.search_once.impossible", lambda *_: Infeasible("so it is said", rule="memory")),
}


def asked(graph: Graph, hardware: Hardware, phases: Sequence[Phase] = PHASES) -> Result:
    question = Question(
        graph=graph, hardware=hardware, start=None, policy="none", goals=("period",), throughput=None, gap=1e-4, seed=0
    )
    return answer(question, Stop(20), phases=phases)


@pytest.mark.parametrize("engine", LIES)
def test_a_lie_of_any_engine_does_not_beat_a_better_placement(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lie = LIES[engine]
    graph = branches() if lie.wide else chain_of([3.0, 1.0, 4.0, 1.0, 5.0, 2.0], size=0.5)
    hardware = package(3, transfers="serial", topology=lie.topology, relays=False)
    honest = asked(graph, hardware)
    with monkeypatch.context() as patch:
        patch.setattr("milp.ideals.stretches.PART", 2.0)  # however small the graph
        patch.setattr("milp.search.bisection.look_around", lambda *_, **__: None)
        patch.setattr(lie.target, lie.says)
        false = asked(graph, hardware, (BAD, *([lie.phase] if lie.phase else [])))
    assert false.status == "infeasible" or false.bound > honest.period * 1.1, "the lie was not heard"
    with pytest.warns(RefutedBound):
        joined = joined_answers([false, honest])
    assert (joined.status, joined.period, joined.bound) == ("optimal", honest.period, honest.bound)


def test_a_refuted_bound_takes_along_all_that_its_step_proved() -> None:
    proofs = [Proof(2.0, "work"), Proof(4.0, "ideals"), Proof(5.0, "thresholds"), Proof(7.0, "ideals")]
    assert unrefuted(proofs, 6.0) == [Proof(2.0, "work"), Proof(5.0, "thresholds")]
    assert unrefuted(proofs, 7.0 * (1 - 1e-10)) == proofs, "rounding is no contradiction"
    assert unrefuted([Proof(3.0, "work")], 2.0) == []


@pytest.mark.parametrize("step", [phase.name for phase in PHASES if not phase.first])
def test_a_search_withdraws_what_a_lying_step_proved(step: Doing) -> None:
    graph, hardware = chain_of([3, 3, 3, 3]), package(2)
    incumbent = Incumbent(contract(graph, hardware), 1e-4, lambda: 0.0, None)
    incumbent.offer(Placement(np.array([0, 0, 0, 1])))
    for phase, bound in ((Doing.WORK, 4.0), (step, 5.0), (step, 8.0)):
        incumbent.enter(phase)
        incumbent.prove(bound / incumbent.instance.unit, exact=True)
    with pytest.warns(RefutedBound, match="withdrawn to 4"):
        incumbent.offer(Placement(np.array([0, 0, 1, 1])))
    assert (incumbent.period, incumbent.bound) == (6.0, pytest.approx(4.0))
    assert not incumbent.closed
    assert max(entry.bound for entry in incumbent.history) == incumbent.bound
    incumbent.enter(Doing.FIXINGS)
    incumbent.prove(5.5 / incumbent.instance.unit, exact=True)
    assert 5.5 <= incumbent.bound <= 6.0, "what is proved afterwards counts again"


def test_a_false_bound_of_a_goal_is_withdrawn() -> None:
    graph, hardware = chain_of([3, 3, 3, 3]), package(2)
    search = GoalSearch(
        contract(graph, hardware), Placement(np.array([0, 0, 1, 1])), "traffic", {"period": 20.0}, 2, Stop(10), 0
    )
    incumbent = search.incumbent
    incumbent.prove(0.9 / incumbent.aim.unit)
    assert incumbent.bound > 0
    with pytest.warns(RefutedBound, match="traffic 0 refutes"):
        incumbent.offer(Placement(np.zeros(4, dtype=np.int64)))
    assert (incumbent.value, incumbent.bound) == (0.0, 0.0)
