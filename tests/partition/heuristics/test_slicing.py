"""Slicing: the best cut of an order, checked against every cut of it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from instances import RULES, broadcast_mask, chain_of, package, random_instance
from orders_of_instances import orders

from partition import check, evaluate_placement, load_hardware, load_model
from partition.heuristics.completion import satisfy_triangle
from partition.heuristics.slicing import slice_order
from partition.instance.contract import contract


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
