"""Goals other than the period: against every assignment of small instances, and in combination."""

from __future__ import annotations

import numpy as np
import pytest
from instances import answer_of, chain_of, diamond, package, random_instance
from oracle import certify, energy, latency

from partition import InvalidInput, evaluate, load_hardware, load_model, partition
from partition.description import describe
from partition.graph import GraphBuilder
from partition.hardware import override
from partition.rules import valid


def _every_cost(graph, hardware):
    """Costs of all valid assignments."""
    grids = np.meshgrid(*[np.arange(hardware.chips)] * graph.n, indexing="ij")
    chips = np.stack(grids, axis=-1).reshape(-1, graph.n)
    chips = chips[valid(graph, hardware, chips)]
    return chips, evaluate(graph, hardware, chips)


@pytest.mark.parametrize("goal", ["traffic", "energy", "latency"])
@pytest.mark.parametrize("seed", range(12))
def test_each_goal_alone_and_after_the_period_is_the_least_of_all_assignments(goal, seed):
    rng = np.random.default_rng(seed)
    graph, hardware = random_instance(rng, n=int(rng.integers(2, 6)), chips=int(rng.integers(2, 4)))
    hardware = hardware.with_rules(replication=False, relays=False, acyclic=True)
    hardware = override(hardware, {"link_bandwidth": 2.0})
    if graph.backward.any():
        pytest.skip("the goal latency is for graphs without a backward pass")
    chips, cost = _every_cost(graph, hardware)
    if not len(chips):
        pytest.skip("no valid assignment")
    values = getattr(cost, goal)
    best = partition(graph, hardware, objective=goal, time_limit=30)
    certify(describe(graph, hardware), answer_of(best))
    assert best.goals[0].value == pytest.approx(values.min(), rel=1e-5, abs=1e-9)
    assert best.goals[0].bound <= values.min() * (1 + 1e-9) + 1e-12
    assert best.status == "optimal"
    both = partition(graph, hardware, objective=("period", goal), time_limit=30)
    within = cost.period <= both.goals[0].value * (1 + 1e-9)
    assert both.period <= cost.period.min() * (1 + 1.01e-4)
    assert both.goals[1].value == pytest.approx(values[within].min(), rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_the_fewest_chips_for_a_throughput(seed):
    rng = np.random.default_rng(100 + seed)
    graph, hardware = random_instance(rng, n=int(rng.integers(2, 6)), chips=int(rng.integers(2, 5)))
    if not hardware.identical_chips:
        pytest.skip("chips of one kind only")
    hardware = hardware.with_rules(replication=False, relays=False, no_skipping=True)
    chips, cost = _every_cost(graph, hardware)
    limit = float(np.quantile(cost.period, 0.3)) if len(chips) else 0.0
    if not (np.isfinite(limit) and limit > 0):
        pytest.skip("no assignment to ask for")
    result = partition(graph, hardware, objective="chips", throughput=1 / (limit * (1 + 1e-6)), time_limit=30)
    fewest = chips[cost.period <= limit * (1 + 1e-6)].max(axis=1).min() + 1
    assert (result.goals[0].value, result.goals[0].bound, result.status) == (fewest, fewest, "optimal")
    assert result.period <= limit * (1 + 2e-6)


def test_the_independent_checker_agrees_on_energy_and_latency():
    graph, hardware = load_model("unet").graph, load_hardware("ring8")
    result = partition(graph, hardware, objective="period,energy", time_limit=30)
    problem, answer = describe(graph, hardware), answer_of(result)
    assert answer["goals"][1]["value"] == pytest.approx(energy(problem, answer))
    assert answer["latency"] == pytest.approx(latency(problem, answer))


def test_a_throughput_beyond_the_bound_is_infeasible_with_its_reason():
    result = partition(chain_of([1.0] * 6), package(3), objective="chips", throughput=2.0)
    assert result.status == "infeasible"
    assert "needs a period of 0.5" in result.reason and "at least" in result.reason


def test_branches_on_two_chips_shorten_the_latency():
    b = GraphBuilder("branches")
    b.operation("in", "Op", outputs={"x": 0.1}, flops=1, bytes_accessed=0)
    for side in "ab":
        b.operation(side, "Op", inputs=["x"], outputs={side: 0.1}, flops=10, bytes_accessed=0)
    b.operation("out", "Op", inputs=["a", "b"], outputs={"y": 0.1}, flops=1, bytes_accessed=0)
    result = partition(b.build(), package(4, triangle=False), objective="latency", time_limit=30)
    assert result.status == "optimal"
    assert result.goals[0].value < 22  # one chip alone would take this


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("speed", "unknown objective 'speed'"),
        ("period,period", "names a goal twice"),
        ("traffic,period", "cannot be pursued in this order"),
        ("energy", "needs energy figures, which 'ring2' lacks"),
    ],
)
def test_objectives_that_make_no_sense_are_refused(objective, message):
    with pytest.raises(InvalidInput, match=message):
        partition(diamond(), package(2), objective=objective)


@pytest.mark.parametrize("throughput", [0, -1.0, float("inf"), "fast"])
def test_a_throughput_must_be_a_positive_number(throughput):
    with pytest.raises(InvalidInput, match="the throughput is"):
        partition(diamond(), package(2), throughput=throughput)
