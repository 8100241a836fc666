"""Slicing: the best cut of an order, checked against every cut of it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from instances import RULES, broadcast_mask, chain_of, package, random_instance

from partition import Placement, check, evaluate_placement, load_hardware, load_model
from partition.heuristics.completion import close_gaps, prune, satisfy_triangle
from partition.heuristics.slicing import slice_order
from partition.instance.contract import contract
from partition.instance.orders import diverse_orders


def orders(instance: object, count: int = 6) -> list[np.ndarray]:
    return list(itertools.islice(diverse_orders(instance, np.random.default_rng(0)), count))  # type: ignore[arg-type]


def test_every_order_is_topological() -> None:
    for seed in range(40):
        graph, hardware = random_instance(np.random.default_rng(seed))
        instance = contract(graph, hardware)
        for order in orders(instance, 8):
            position = np.argsort(order)
            assert sorted(order.tolist()) == list(range(instance.nodes))
            assert (position[instance.edges[:, 0]] < position[instance.edges[:, 1]]).all()


def test_a_direct_slicing_is_the_best_of_all_cuts() -> None:
    """With the acyclic rule alone; every way to cut each order into at most C blocks is tried."""
    compared = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng)
        hardware = hardware.with_rules(**dict.fromkeys(RULES, False) | {"acyclic": True})
        instance = contract(graph, hardware)
        for order in orders(instance, 2):
            best = np.inf
            for count in range(1, hardware.chips + 1):
                for cuts in itertools.combinations(range(1, instance.nodes), count - 1):
                    chip = np.empty(instance.nodes, dtype=np.int64)
                    chip[order] = np.searchsorted(np.array(cuts), np.arange(instance.nodes), side="right")
                    placement = instance.lift(chip, [], [])
                    best = min(best, float(evaluate_placement(graph, hardware, placement).period[0]))
            found = slice_order(instance, order, "direct", longest=1e9)
            assert found is not None
            assert evaluate_placement(graph, hardware, found).period[0] == pytest.approx(best)
            compared += 1
    assert compared > 200


@pytest.mark.parametrize("mode", ["neighbours", "relayed"])
def test_slicings_that_promise_the_triangle_rule_keep_it(mode: str) -> None:
    found = 0
    for seed in range(200):
        graph, hardware = random_instance(np.random.default_rng(seed))
        relays = mode == "relayed"
        hardware = hardware.with_rules(acyclic=True, triangle=True, relays=relays, replication=True)
        if relays and not hardware.relays_allowed:
            continue
        instance = contract(graph, hardware)
        for order in orders(instance, 2):
            placement = slice_order(instance, order, mode, longest=1e9)  # type: ignore[arg-type]
            if placement is None:
                continue
            placement = satisfy_triangle(graph, hardware, placement)
            assert check(graph, hardware, placement) == []
            found += 1
    assert found > 50


def test_memory_is_kept() -> None:
    graph, hardware = load_model("gnmt").graph, load_hardware("ring4")
    instance = contract(graph, hardware)
    placement = slice_order(instance, orders(instance, 1)[0], "direct", longest=4.0)
    assert placement is not None
    assert check(graph, hardware.with_rules(triangle=False), placement) == []


def test_replicable_operations_run_wherever_they_are_needed() -> None:
    graph, hardware = broadcast_mask(3), package(3)
    instance = contract(graph, hardware)
    placement = slice_order(instance, orders(instance, 1)[0], "direct", longest=1e9)
    assert placement is not None
    assert check(graph, hardware, placement) == []
    assert len(placement.replicas) > 0


def test_a_long_order_is_sliced_in_groups() -> None:
    graph, hardware = chain_of([1.0] * 20_000, size=0.0), package(2)
    placement = slice_order(contract(graph, hardware), np.arange(20_000), "direct", longest=2.0)
    assert placement is not None
    period = evaluate_placement(graph, hardware, placement).period[0]
    assert 10_000 <= period < 10_200


def test_closing_gaps_never_makes_it_worse_on_identical_chips() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng)
        if not hardware.identical_chips:
            continue
        chips = np.zeros(graph.n, dtype=np.int64)
        chips[graph.topological_order] = np.sort(rng.integers(0, hardware.chips, graph.n))
        before, after = Placement(chips), close_gaps(Placement(chips), hardware.chips)
        assert set(after.assignment.tolist()) == set(range(int(after.assignment.max()) + 1))
        periods = [evaluate_placement(graph, hardware, p).period[0] for p in (before, after)]
        assert periods[1] <= periods[0] * (1 + 1e-12)


def test_pruning_drops_only_what_nobody_reads() -> None:
    graph, hardware = broadcast_mask(3), package(4)
    chips = np.array([0, 0, 0, 1, 1])
    full = Placement(chips, np.array([(0, 1), (1, 1), (0, 3), (1, 3)]), np.array([(2, 3)]))
    pruned = prune(graph, hardware, full)
    assert pruned.replicas.tolist() == [[0, 1], [1, 1]]
    assert len(pruned.relays) == 0


def test_a_tensor_that_no_chip_between_may_relay_is_left_to_the_rule_checker() -> None:
    """Found by brute force: the chip between holds a replica of the producer, and relaying went round for ever."""
    graph, hardware = broadcast_mask(3), package(3)
    beside = Placement(np.array([0, 0, 0, 1, 2]), replicas=np.array([(0, 1), (1, 1)]))
    completed = satisfy_triangle(graph, hardware, beside)
    assert completed.relays.tolist() == []
    assert [v.rule for v in check(graph, hardware, completed)] == ["triangle"]
