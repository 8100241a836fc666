"""Windows of a threshold against known optima."""

from __future__ import annotations

import numpy as np
import pytest
from instances import (
    chain_of,
    package,
    random_instance,
)
from small_optima import CASES

import milp.ideals.chains
import milp.ideals.program
from milp.ideals.program import best_chain
from milp.windows.windows import WindowRules
from partition.instance.contract import contract


def test_there_are_cases() -> None:
    assert len(CASES) > 60


def test_the_optimum_lies_within_its_windows() -> None:
    for graph, hardware, best, chips in CASES:
        instance = contract(graph, hardware)
        windows = WindowRules(instance).windows(best / instance.unit * (1 + 1e-9))
        assert not windows.empty
        # Free sources may have moved to their reader; every other operation is where brute force has it.
        moved = np.bincount(instance.node_of)[instance.node_of] > 1
        fixed = ~(moved & graph.is_source)
        assert (chips[fixed] >= windows.lo[instance.node_of][fixed]).all()
        assert (chips[fixed] <= windows.hi[instance.node_of][fixed]).all()


def test_windows_only_shrink_with_the_threshold() -> None:
    for graph, hardware, _, _ in CASES:
        rules = WindowRules(contract(graph, hardware))
        wide, narrow = rules.windows(3.0), rules.windows(1.2)
        if not wide.empty and not narrow.empty:
            assert (narrow.lo >= wide.lo).all() and (narrow.hi <= wide.hi).all()


def test_windows_disprove_less_than_the_work_per_chip() -> None:
    rules = WindowRules(contract(chain_of([1, 1, 1, 1]), package(2)))
    assert rules.windows(0.99).empty
    assert not rules.windows(1.0).empty
    assert rules.windows(1.0).free == 0  # the middle is fixed: two operations each


@pytest.mark.parametrize("transfers", ["overlapped", "serial"])
def test_small_windows_score_the_same_blocks_as_one_large_one(transfers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of a few ideals at a time, also with nodes left out, shared weights, replicas and tensors both ways."""
    compared = 0
    for seed in range(25):
        graph, hardware = random_instance(np.random.default_rng(seed), n=9, chips=4, transfers=transfers)
        instance = contract(graph, hardware)
        for tiny in (0.0, 0.3):
            monkeypatch.setattr(milp.ideals.program, "TINY", (tiny,))
            monkeypatch.setattr(milp.ideals.chains, "WINDOW", 100_000)
            whole = best_chain(instance, 2.5)
            monkeypatch.setattr(milp.ideals.chains, "WINDOW", 1)
            parts = best_chain(instance, 2.5)
            assert (whole is None) == (parts is None)
            if whole is not None and parts is not None:
                assert parts.period == pytest.approx(whole.period)
                compared += whole.chip is not None
    assert compared > 15
