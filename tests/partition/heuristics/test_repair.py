"""Constraint repair: always valid, keeps what is valid, draws what it is told, gives up only where it says so."""

from __future__ import annotations

import numpy as np
import pytest
from instances import chain_of, long_skip, package, random_instance, random_training_instance, residual_block
from repaired_batches import assert_valid

from milp.nearest import NearestPlacement
from partition import GraphBuilder, InvalidAssignment, InvalidInput
from partition.heuristics.repair import Repair
from partition.instance.contract import contract

ROWS = 8


def uniform(repair: Repair) -> np.ndarray:
    return np.ones((repair.instance.nodes, repair.instance.chips))


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
