"""Constraint repair: always valid, keeps what is valid, draws what it is told, gives up only where it says so."""

from __future__ import annotations

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force
from instances import answer_of, chain_of, long_skip, package, random_instance, random_training_instance, residual_block
from oracle import certify

from milp.nearest import NearestPlacement
from partition import Graph, GraphBuilder, Hardware, InvalidAssignment, InvalidInput, Result, check, evaluate_placement
from partition.heuristics.decision_levels import Precedence, plan
from partition.heuristics.repair import Repair, Repaired
from partition.instance.contract import contract
from partition.problem.placement import Placement
from partition.scoring.feasibility import impossible

ROWS = 8


def uniform(repair: Repair) -> np.ndarray:
    return np.ones((repair.instance.nodes, repair.instance.chips))


def certified(graph: Graph, hardware: Hardware, placement: Placement) -> float:
    """The period of a placement, by the independent checker."""
    cost = evaluate_placement(graph, hardware, placement)
    period = float(cost.period[0])
    result = Result(graph, hardware, placement, "feasible", period, 0.0, 0.0, 0, cost=cost)
    certify(as_given(graph, hardware), answer_of(result))
    return period


def assert_valid(graph: Graph, hardware: Hardware, repaired: Repaired) -> None:
    periods = repaired.period()
    for row in np.flatnonzero(repaired.valid):
        placement = repaired.placement(int(row))
        assert check(graph, hardware, placement) == []
        assert certified(graph, hardware, placement) == pytest.approx(periods[row], rel=1e-9)


@pytest.mark.parametrize("block", range(6))
def test_whatever_is_drawn_is_valid_and_scored_as_the_checker_does(block: int) -> None:
    for seed in range(block * 20, (block + 1) * 20):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng) if seed % 4 else random_training_instance(rng)
        repair = Repair(contract(graph, hardware))
        table = rng.random((ROWS, repair.instance.nodes, repair.instance.chips))
        assert_valid(graph, hardware, repair.sample(table, ROWS, rng))
        candidates = rng.integers(0, hardware.chips, (ROWS, repair.instance.nodes))
        assert_valid(graph, hardware, repair.fix(candidates, rng))


@pytest.mark.parametrize("block", range(4))
def test_with_the_exact_repair_no_feasible_instance_fails(block: int) -> None:
    feasible = 0
    for seed in range(500 + block * 10, 510 + block * 10):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng)
        try:
            best, _ = brute_force(as_given(graph, hardware), limit=5_000)
        except OverflowError:
            continue
        instance = contract(graph, hardware) if impossible(graph, hardware) is None else None
        if instance is None:
            assert best is None
            continue
        repaired = Repair(instance, NearestPlacement(instance)).sample(
            np.ones((instance.nodes, hardware.chips)), 4, rng
        )
        assert repaired.valid.all() if best is not None else not repaired.valid.any()
        assert_valid(graph, hardware, repaired)
        if best is not None:
            feasible += 1
            assert repaired.period().min() >= best * (1 - 1e-9)
    assert feasible > 2


@pytest.mark.parametrize("seed", range(40))
def test_fixing_a_valid_placement_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph, hardware = random_instance(rng)
    repair = Repair(contract(graph, hardware))
    drawn = repair.sample(uniform(repair), ROWS, rng)
    valid = drawn.chips[drawn.valid]
    again = repair.fix(valid, rng)
    assert np.array_equal(again.chips, valid)
    assert again.valid.all()


def test_every_valid_assignment_of_a_small_graph_is_drawn_sooner_or_later() -> None:
    graph, hardware = residual_block(), package(3, bandwidth=10.0)
    repair = Repair(contract(graph, hardware))
    drawn = repair.sample(uniform(repair), 4000, np.random.default_rng(0))
    seen = {tuple(row) for row in drawn.chips.tolist()}
    n = repair.instance.nodes
    every = {
        row
        for row in np.ndindex(*(3,) * n)
        if all(row[u] <= row[v] for u, v in repair.instance.edges.tolist()) and set(row) == set(range(max(row) + 1))
    }
    assert seen == every


def test_draws_follow_the_probabilities() -> None:
    """The first operation decided is drawn from its probabilities as they are; on its own, that is every one."""
    graph, hardware = chain_of([1.0]), package(4, no_skipping=False)
    repair = Repair(contract(graph, hardware))
    drawn = repair.sample(np.array([[1.0, 2.0, 3.0, 4.0]]), 40_000, np.random.default_rng(1))
    share = np.bincount(drawn.chips[:, 0], minlength=4) / 40_000
    assert share == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.01)


def test_deciding_by_levels_equals_deciding_one_by_one() -> None:
    """Bounds from the nearest decided nodes are those that propagation after each single decision gives."""
    rng = np.random.default_rng(7)
    for _ in range(20):
        graph, hardware = random_instance(rng, n=9, acyclic=True)
        instance = contract(graph, hardware)
        nodes = np.arange(instance.nodes)
        precedence = Precedence(instance, nodes)
        decided: dict[int, int] = {}
        for level in plan(precedence, rng.permutation(nodes)):
            chosen = {}
            for i, v in enumerate(level.nodes.tolist()):
                below = [u for u in decided if precedence.ancestors[v] >> u & 1]
                above = [u for u in decided if precedence.descendants[v] >> u & 1]
                for bounds, wanted, virtual in ((level.below, below, instance.nodes), (level.above, above, -1)):
                    ends = np.append(bounds.ptr, len(bounds.node))
                    mine = set(bounds.node[ends[i] : ends[i + 1]].tolist())
                    if wanted:
                        assert mine <= set(wanted)
                        values = [decided[u] for u in wanted]
                        best = max(values) if virtual >= 0 else min(values)
                        found = [decided[u] for u in mine]
                        assert (max(found) if virtual >= 0 else min(found)) == best
                lo = max((decided[u] for u in below), default=0)
                hi = min((decided[u] for u in above), default=9)
                assert lo <= hi
                chosen[v] = int(rng.integers(lo, hi + 1))
            decided |= chosen


def test_batch_and_single_rows_follow_the_same_rules_and_seeds_repeat() -> None:
    graph, hardware = long_skip(8), package(4)
    repair = Repair(contract(graph, hardware))
    one = repair.sample(uniform(repair), 5, np.random.default_rng(3))
    two = repair.sample(uniform(repair), 5, np.random.default_rng(3))
    assert np.array_equal(one.chips, two.chips)


def test_memory_that_just_suffices_is_found() -> None:
    """Ten weights of 1 on five chips of 2: every chip must be full."""
    b = GraphBuilder("full")
    for i in range(10):
        inputs = [f"t{i - 1}"] if i else []
        b.operation(f"v{i}", "Op", inputs=inputs, outputs={f"t{i}": 1.0}, flops=1, bytes_accessed=0, weights=1.0)
    graph, hardware = b.build(), package(5, sram=2.0)
    repair = Repair(contract(graph, hardware))
    drawn = repair.sample(uniform(repair), 20, np.random.default_rng(0))
    assert drawn.valid.all()
    assert np.all(drawn.chips == np.arange(10) // 2)


def test_impossible_memory_is_given_up_and_said() -> None:
    b = GraphBuilder("tight")
    for i in range(3):
        b.operation(f"v{i}", "Op", outputs={f"t{i}": 1.0}, flops=1, bytes_accessed=0, weights=2.0)
    instance = contract(b.build(), package(2, sram=3.0))
    drawn = Repair(instance, NearestPlacement(instance)).sample(
        np.ones((instance.nodes, 2)), 4, np.random.default_rng(0)
    )
    assert not drawn.valid.any()
    assert np.isinf(drawn.period()).all()


def test_the_exact_repair_finds_the_most_probable_valid_placement() -> None:
    rng = np.random.default_rng(11)
    for _ in range(10):
        graph, hardware = random_instance(rng, n=4, chips=3, triangle=False, memory=False, acyclic=True)
        instance = contract(graph, hardware)
        table = rng.random((instance.nodes, 3))
        placement = NearestPlacement(instance)(table)
        assert placement is not None
        found = np.log(table / table.sum(axis=1, keepdims=True))[
            np.arange(instance.nodes), instance.chip_of_nodes(placement)
        ].sum()
        best = max(
            sum(np.log(table[v, c] / table[v].sum()) for v, c in enumerate(row))
            for row in np.ndindex(*(3,) * instance.nodes)
            if all(row[u] <= row[v] for u, v in instance.edges.tolist())
            and (not hardware.rules.no_skipping or set(row) == set(range(max(row) + 1)))
        )
        assert found == pytest.approx(best, rel=1e-6)


def test_assignments_of_operations_are_repaired_too() -> None:
    rng = np.random.default_rng(5)
    for _ in range(10):
        graph, hardware = random_instance(rng)
        repair = Repair.of(graph, hardware)
        candidates = rng.integers(0, hardware.chips, (ROWS, graph.n))
        assert_valid(graph, hardware, repair.fix(repair.of_nodes(candidates), rng))
        known = repair.sample(uniform(repair), ROWS, rng)
        assert np.array_equal(repair.of_nodes(known.assignments), known.chips)


def test_shapes_that_do_not_fit_are_refused() -> None:
    repair = Repair(contract(chain_of([1.0, 2.0]), package(3)))
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidInput, match=r"probabilities have shape \(2, 4\)"):
        repair.sample(np.ones((2, 4)), 3, rng)
    with pytest.raises(InvalidInput, match="finite"):
        repair.sample(np.full((2, 3), np.nan), 3, rng)
    with pytest.raises(InvalidAssignment, match="candidates have shape"):
        repair.fix(np.zeros((1, 5), dtype=int), rng)
    with pytest.raises(InvalidAssignment, match="chips outside"):
        repair.fix(np.full((1, 2), 7), rng)
