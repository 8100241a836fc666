"""Gaps closed, copies pruned and tensors relayed."""

from __future__ import annotations

import numpy as np
from instances import broadcast_mask, package, random_instance

from partition import Placement, check, evaluate_placement
from partition.heuristics.completion import close_gaps, prune, satisfy_triangle


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
