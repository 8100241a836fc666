"""The solver against brute force by the independent checker: optimum, bound, infeasibility."""

from __future__ import annotations

import numpy as np
import pytest
from exhaustive import brute_force
from instances import answer_of, random_instance, random_training_instance
from oracle import certify, cost, violations

from partition import Graph, Hardware, Placement, check, evaluate_placement, partition
from partition.description import describe

BLOCK = 25


def agree(graph: Graph, hardware: Hardware) -> bool:
    """Whether the instance was small enough to compare; fails if the solver and brute force differ."""
    problem = describe(graph, hardware)
    try:
        best, _ = brute_force(problem, limit=20_000)
    except OverflowError:
        return False
    result = partition(graph, hardware, time_limit=60, gap=1e-6)
    answer = answer_of(result)
    certify(problem, answer)
    if best is None:
        assert result.status == "infeasible"
        return True
    assert result.status == "optimal"
    assert result.period == pytest.approx(best, rel=2e-6, abs=1e-12)
    assert result.bound <= best * (1 + 1e-9)
    return True


@pytest.mark.parametrize("block", range(12))
def test_solver_agrees_with_brute_force(block: int) -> None:
    compared = 0
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        graph, hardware = random_instance(np.random.default_rng(seed))
        compared += agree(graph, hardware)
    assert compared > BLOCK // 2


@pytest.mark.parametrize("block", range(4))
def test_solver_agrees_with_brute_force_on_training_graphs(block: int) -> None:
    compared = 0
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        compared += agree(*random_training_instance(np.random.default_rng(seed)))
    assert compared > BLOCK // 2


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1e3])
def test_units_from_nanoseconds_to_minutes_do_not_matter(unit: float) -> None:
    for seed in range(1000, 1010):
        agree(*random_instance(np.random.default_rng(seed), unit=unit))


def test_cost_and_rules_agree_with_the_independent_checker() -> None:
    names = {"acyclic", "no_skipping", "triangle", "memory", "colocation"}
    for seed in range(400):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng) if seed % 4 else random_training_instance(rng)
        chips = rng.integers(0, hardware.chips, graph.n)
        if rng.random() < 0.5:
            chips[graph.topological_order] = np.sort(chips)
        problem = describe(graph, hardware)
        answer = {"assignment": dict(zip(graph.names, chips.tolist(), strict=True)), "replicas": {}, "relays": []}
        expected, found = cost(problem, answer), evaluate_placement(graph, hardware, Placement(chips))
        assert found.period[0] == pytest.approx(expected["period"])
        broken = {v.rule for v in check(graph, hardware, chips)}
        assert broken <= names
        assert broken == {text.split(":")[0] for text in violations(problem, answer)}
        if np.isfinite(expected["period"]):
            for name in ("compute", "receive", "send", "link", "sram"):
                np.testing.assert_allclose(getattr(found, name)[0], expected[name], atol=1e-12)
