"""What follows from a graph and a package is worked out once, and is the same for all who ask."""

from __future__ import annotations

import ast
import pickle
import weakref
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from instances import package, random_instance, random_mixed_instance

from partition import Graph, Hardware, evaluate
from partition.instance.contract import contract
from partition.problem import problem as problem_module
from partition.problem.problem import Problem
from partition.scoring.cost import CostModel
from partition.solve.question import Question
from partition.solve.search_once import answer
from partition.stopping import Stop


def test_all_who_ask_while_it_is_held_get_the_same() -> None:
    graph, hardware = random_instance(np.random.default_rng(1))
    held = Problem.of(graph, hardware)
    assert Problem.of(graph, replace(hardware)) is held
    assert contract(graph, hardware).problem is held
    assert Problem.of(graph, hardware.with_rules(triangle=not hardware.rules.triangle)) is not held
    assert Problem.of(replace(graph), hardware) is not held


def test_a_problem_that_nobody_holds_is_gone() -> None:
    graph, hardware = random_instance(np.random.default_rng(1))
    problem = Problem.of(graph, hardware)
    problem.kept(CostModel)
    remembered = weakref.ref(problem)
    del problem
    assert remembered() is None


@pytest.mark.parametrize("seed", range(20))
def test_figures_are_those_of_the_graph_on_the_package(seed: int) -> None:
    graph, hardware = random_mixed_instance(np.random.default_rng(seed))
    problem = Problem.of(graph, hardware)
    assert np.array_equal(problem.times, hardware.times(graph))
    assert np.array_equal(problem.transfer_times, hardware.transfer_times(graph))
    kinds = sorted(set(hardware.kind_of_chip))
    assert problem.present.tolist() == kinds
    assert np.array_equal(problem.fastest, [min(problem.times[k, v] for k in kinds) for v in range(graph.n)])
    work = float(problem.fastest.sum()) / hardware.chips
    assert problem.least_period == pytest.approx(max(work, problem.fastest.max()))
    alone = evaluate(graph, hardware, np.zeros(graph.n, dtype=int))
    assert alone.energy[0] == pytest.approx(problem.energy[hardware.kind_of_chip[0]].sum())


def test_nobody_can_change_what_others_read() -> None:
    graph, hardware = random_instance(np.random.default_rng(2))
    problem = Problem.of(graph, hardware)
    for name in ("times", "present", "fastest", "transfer_times", "energy", "replicable", "relayable"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(problem, name)[...] = 0


def test_a_whole_search_works_out_times_and_models_once(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, hardware = random_instance(np.random.default_rng(5), n=8, chips=3)
    made: Counter[tuple[str, Graph, Hardware]] = Counter()

    def counted(name: str, work_out: Any) -> Any:
        def work_out_and_count(*arguments: Any) -> Any:
            graph, hardware = (next(x for x in arguments if isinstance(x, kind)) for kind in (Graph, Hardware))
            made[name, graph, hardware] += 1
            return work_out(*arguments)

        return work_out_and_count

    monkeypatch.setattr(Hardware, "times", counted("times", Hardware.times))
    monkeypatch.setattr(CostModel, "__init__", counted("cost model", CostModel.__init__))
    monkeypatch.setattr(problem_module, "replicable", counted("replicable", problem_module.replicable))
    monkeypatch.setattr(problem_module, "relayable", counted("relayable", problem_module.relayable))
    answer(Question(graph, hardware, None, "none", ("period",), None, 1e-4, 0), Stop(work_limit=1.0))
    assert {name for name, *pair in made if pair == [graph, hardware]} >= {"times", "cost model", "replicable"}
    assert set(made.values()) == {1}


def test_it_travels_as_the_pair_alone() -> None:
    graph, hardware = random_instance(np.random.default_rng(3))
    problem = Problem.of(graph, hardware)
    problem.kept(CostModel)
    copy = pickle.loads(pickle.dumps(problem))
    assert isinstance(copy.graph, Graph)
    assert copy.hardware == hardware
    assert np.array_equal(copy.times, problem.times)
    assert len(pickle.dumps(problem)) < len(pickle.dumps((graph, hardware))) + 200


def test_a_package_may_be_written_with_lists() -> None:
    hardware = package(3)
    listed = Hardware("lists", list(hardware.kinds), [0, 0, 0], hardware.interconnect, hardware.rules)  # type: ignore[arg-type]
    graph, _ = random_instance(np.random.default_rng(4))
    assert np.array_equal(Problem.of(graph, listed).times, Problem.of(graph, hardware).times)


def test_nobody_else_works_out_what_a_problem_keeps() -> None:
    """But for the definitions themselves, parts of a model or operation, and wishes."""
    root = Path(__file__).parents[3]
    kept = {"CostModel", "WorkModel", "TransferModel", "replicable", "relayable", "times", "transfer_times"}
    definitions = {
        "partition/problem/problem.py",
        "partition/problem/narrowed.py",
        "partition/scoring/transfers.py",
        "partition/shards/plans.py",
        "partition/split/flows.py",
    }
    found = []
    for path in (path for top in ("partition", "milp", "learned") for path in (root / top).rglob("*.py")):
        if str(path.relative_to(root)) in definitions:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in kept:
                found.append(f"{path.relative_to(root)}:{node.lineno}")
    assert not found
