"""The exact repair: the nearest valid placement."""

from __future__ import annotations

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force
from instances import random_instance
from repaired_batches import assert_valid

from milp.nearest import NearestPlacement
from partition.heuristics.repair import Repair
from partition.instance.contract import contract
from partition.scoring.feasibility import impossible


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
