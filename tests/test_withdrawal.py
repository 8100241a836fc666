"""Lies injected into every engine: none beats a better placement, and what the liar proved besides goes with it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
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
from milp.search.goals import GoalSearch
from milp.state.incumbent import Incumbent
from milp.windows.windows import Windows
from partition import Graph, GraphBuilder, Hardware, Infeasible, Placement, RefutedBound, Result
from partition.instance.instance import Instance, contract
from partition.results.progress import Proof, unrefuted
from partition.solve.portfolio import _joined
from partition.solve.question import Question
from partition.solve.search_once import answer
from partition.stopping import Stop


def branches() -> Graph:
    """Four operations side by side between a first and a last one."""
    b = GraphBuilder("branches")
    b.operation("first", "Op", outputs={"first": 0.5}, flops=3, bytes_accessed=0)
    for i in range(4):
        b.operation(f"v{i}", "Op", inputs=["first"], outputs={f"v{i}": 0.5}, flops=4 + i, bytes_accessed=0)
    b.operation("last", "Op", inputs=[f"v{i}" for i in range(4)], flops=2, bytes_accessed=0)
    return b.build()


@dataclass(frozen=True)
class Lie:
    """What to replace, and by what; ``quiet`` engines would give the right answer first."""

    target: str
    says: Callable[..., Any]
    quiet: tuple[str, ...] = ()
    transfers: str = "serial"
    topology: str = "ring"
    wide: bool = False


def nowhere(rules: Any, *_: Any, **__: Any) -> Windows:
    count = rules.instance.nodes
    return Windows(np.full(count, rules.instance.chips), np.full(count, -1))


def nothing(*_: Any, **__: Any) -> None:
    """Neither applies nor finds anything."""


def everything(instance: Instance) -> Crowd:
    return Crowd(np.ones(instance.nodes, dtype=bool), 1, 2.0)


IDEALS, MODELS = "milp.ideals.program.Ideals.applies", "milp.search.bisection.Thresholds.minimise"
FRONTIERS = "milp.frontiers.program.Frontiers.applies"
OTHERS = (
    IDEALS, MODELS, "milp.windows.separation.Separation.applies", "milp.search.bisection.Thresholds.blocks",
    "milp.search.bisection.Thresholds.look_around", "milp.search.bisection.Thresholds._improve",
    "milp.search.bisection.heaviest_crowd",
)  # fmt: skip

LIES = {
    "windows": Lie("milp.windows.windows.WindowRules.windows", nowhere, (IDEALS,)),
    "ideals": Lie("milp.ideals.program.Ideals.best_chain", lambda *_: Chain(float("inf"), None)),
    "stretches": Lie(
        "milp.ideals.stretches.Stretches.ask",
        lambda _, threshold, stop: stretches.Verdict(threshold),
        OTHERS,
        wide=True,
    ),
    "frontiers": Lie(
        "milp.frontiers.program.Frontiers.decide",
        lambda *_, **__: frontiers.Verdict(False),
        OTHERS,
        topology="memory",
    ),
    "blocks": Lie("milp.chip_bounds.capacity.BlockCapacity.cheapest", lambda *_, **__: Cheapest(np.inf), (IDEALS,)),
    "capacity": Lie("milp.chip_bounds.capacity.BlockCapacity.most_work", lambda *_, **__: 0.0, (*OTHERS, FRONTIERS)),
    "crowds": Lie("milp.search.period.heaviest_crowd", everything),
    "HiGHS": Lie(
        "milp.search.bisection.solve",
        lambda *_, **__: SimpleNamespace(status="infeasible", x=None, bound=-np.inf, objective=np.inf),
        (IDEALS,),
    ),
    "counting": Lie("partition.solve.search_once.impossible", lambda *_: Infeasible("so it is said", rule="memory")),
}


def asked(graph: Graph, hardware: Hardware) -> Result:
    question = Question(
        graph=graph, hardware=hardware, start=None, policy="none", goals=("period",), throughput=None, gap=1e-4, seed=0
    )
    return answer(question, Stop(20))


@pytest.mark.parametrize("engine", LIES)
def test_a_lie_of_any_engine_does_not_beat_a_better_placement(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lie = LIES[engine]
    graph = branches() if lie.wide else chain_of([3.0, 1.0, 4.0, 1.0, 5.0, 2.0], size=0.5)
    hardware = package(3, transfers=lie.transfers, topology=lie.topology, relays=False)
    honest = asked(graph, hardware)
    with monkeypatch.context() as patch:
        patch.setattr("milp.ideals.stretches.PART", 2.0)  # however small the graph
        patch.setattr("milp.search.period.slice_order", lambda *_, **__: None)  # or the first placement is the best
        for target in lie.quiet:
            patch.setattr(target, nothing)
        patch.setattr(lie.target, lie.says)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            false = asked(graph, hardware)
    if any(issubclass(warning.category, RefutedBound) for warning in told):  # the search itself found it out
        assert false.bound <= honest.period
        return
    assert false.status == "infeasible" or false.bound > honest.period * 1.1, "the lie was not heard"
    with pytest.warns(RefutedBound):
        joined = _joined([false, honest])
    assert (joined.status, joined.period, joined.bound) == ("optimal", honest.period, honest.bound)


def test_a_refuted_bound_takes_along_all_that_its_step_proved() -> None:
    proofs = [Proof(2.0, "work"), Proof(4.0, "ideals"), Proof(5.0, "thresholds"), Proof(7.0, "ideals")]
    assert unrefuted(proofs, 6.0) == [Proof(2.0, "work"), Proof(5.0, "thresholds")]
    assert unrefuted(proofs, 7.0 * (1 - 1e-10)) == proofs, "rounding is no contradiction"
    assert unrefuted([Proof(3.0, "work")], 2.0) == []


@pytest.mark.parametrize("step", ["separations", "ideals", "blocks", "milp", "stretches", "frontiers", "thresholds"])
def test_a_search_withdraws_what_a_lying_step_proved(step: str) -> None:
    graph, hardware = chain_of([3, 3, 3, 3]), package(2)
    incumbent = Incumbent(contract(graph, hardware), 1e-4, lambda: 0.0, None)
    incumbent.offer(Placement(np.array([0, 0, 0, 1])))
    for phase, bound in (("work", 4.0), (step, 5.0), (step, 8.0)):
        incumbent.enter(phase)
        incumbent.prove(bound / incumbent.instance.unit, exact=True)
    with pytest.warns(RefutedBound, match="withdrawn to 4"):
        incumbent.offer(Placement(np.array([0, 0, 1, 1])))
    assert (incumbent.period, incumbent.bound) == (6.0, pytest.approx(4.0))
    assert not incumbent.closed
    assert max(entry.bound for entry in incumbent.history) == incumbent.bound
    incumbent.enter("another")
    incumbent.prove(5.5 / incumbent.instance.unit, exact=True)
    assert 5.5 <= incumbent.bound <= 6.0, "what is proved afterwards counts again"


def test_a_false_bound_of_a_goal_is_withdrawn() -> None:
    graph, hardware = chain_of([3, 3, 3, 3]), package(2)
    search = GoalSearch(
        contract(graph, hardware), Placement(np.array([0, 0, 1, 1])), "traffic", {"period": 20.0}, 2, Stop(10), 0
    )
    search._prove(0.9 / search.unit)
    assert search.bound > 0
    with pytest.warns(RefutedBound, match="traffic 0 refutes"):
        search._offer(Placement(np.zeros(4, dtype=np.int64)))
    assert (search.value, search.bound) == (0.0, 0.0)
