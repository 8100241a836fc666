"""Windows, block capacity and ideals: whatever they exclude, no valid placement needs."""

from __future__ import annotations

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force
from instances import (
    chain_of,
    package,
    random_instance,
    random_passing_instance,
    random_tight_instance,
)
from small_optima import CASES, levels

from milp.ideals.leaving_out import segments
from milp.ideals.program import Ideals, best_chain
from partition import GraphBuilder, partition
from partition.instance.contract import contract
from partition.stopping import Stop


def closed_up(chips: np.ndarray) -> np.ndarray:
    return np.unique(chips, return_inverse=True)[1]


def test_ideals_bound_the_optimum_and_reach_it_without_what_they_leave_out() -> None:
    exact = 0
    for graph, hardware, best, _ in CASES:
        instance = contract(graph, hardware)
        chain = best_chain(instance, best / instance.unit * (1 + 1e-6) + 1e-9)
        if chain is None:
            continue
        assert chain.period <= best / instance.unit * (1 + 1e-6) + 1e-9
        nothing_left_out = not instance.replicable.any() and not hardware.rules.triangle
        if nothing_left_out and chain.chip is not None and not (chain.chip < 0).any():
            assert chain.period == pytest.approx(best / instance.unit)
            exact += 1
    assert exact > 10


def test_ideals_find_nothing_below_the_optimum() -> None:
    for graph, hardware, best, _ in CASES:
        instance = contract(graph, hardware)
        if instance.replicable.any() or hardware.rules.triangle or best == 0:
            continue
        chain = best_chain(instance, best / instance.unit * (1 - 1e-9))
        if chain is not None and not (chain.chip is not None and (chain.chip < 0).any()):
            assert chain.chip is None


def test_tiny_operations_do_not_stop_the_ideals() -> None:
    """Thirty tiny side chains make 2^30 ideals; left out and put back, the answer is exact all the same."""
    b = GraphBuilder("tiny_sides")
    for i in range(8):
        b.operation(
            f"v{i}", "Op", inputs=[f"t{i - 1}"] if i else [], outputs={f"t{i}": 0.1}, flops=10, bytes_accessed=0
        )
        if i:
            for k in range(4):
                b.operation(f"s{i}_{k}", "Shape", inputs=[f"t{i - 1}"], flops=1e-5, bytes_accessed=0)
    result = partition(b.build(), package(4), time_limit=30)
    assert result.status == "optimal"
    assert result.period == pytest.approx(20, rel=1e-3)


@pytest.mark.parametrize("tiny", [0.1, 0.3, 1.0, 10.0])
def test_ideals_stay_a_bound_whatever_is_left_out(tiny: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calling large nodes tiny weakens the bound; it must not break it, not even where nothing is left."""
    levels(monkeypatch, tiny)
    bounds = 0
    for graph, hardware, best, _ in CASES:
        instance = contract(graph, hardware)
        chain = best_chain(instance, best / instance.unit * (1 + 1e-6) + 1e-9)
        if chain is not None:
            assert chain.period <= best / instance.unit * (1 + 1e-6) + 1e-9
            bounds += 1
    assert bounds > 20 or tiny >= 1.0


def test_coarser_levels_first_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they leave out cannot be part of a chain below the threshold."""
    compared = 0
    for seed in range(60):
        graph, hardware = random_passing_instance(np.random.default_rng(seed))
        instance = contract(graph, hardware)
        for threshold in (1.2, 1.6, 2.5):
            levels(monkeypatch, 0.0)
            alone = best_chain(instance, threshold)
            levels(monkeypatch, 0.0, 0.05, 0.5, 1.0)
            after = best_chain(instance, threshold)
            if alone is None or after is None:
                continue
            compared += 1
            assert after.period == pytest.approx(alone.period, rel=1e-5)
    assert compared > 40


def test_a_graph_of_nothing_but_tiny_operations_is_not_declared_optimal() -> None:
    """Found by a graph of 100,000 operations: with every node left out, any answer looked proved."""
    graph = chain_of([1.0] * 3000, size=0.0)
    assert best_chain(contract(graph, package(2)), 1.5, ideal_limit=100) is None


@pytest.mark.parametrize("seed", [101867, 101872, 101877])
def test_the_ideal_of_all_nodes_comes_last_whatever_rounding_does(seed: int) -> None:
    """Found by brute force: BLAS sums rows of equal work in different orders, and a bound lay 27% above the optimum."""
    graph, hardware = random_tight_instance(np.random.default_rng(seed))
    hardware = hardware.with_rules(dynamic_memory=False)
    best, _ = brute_force(as_given(graph, hardware), limit=200_000)
    result = partition(graph, hardware, time_limit=30)
    assert (best is None) == (result.status == "infeasible")
    if best is not None:
        assert result.bound <= best * (1 + 1e-9) and result.period <= best * (1 + 1e-4)


def test_ideals_are_ordered_by_inclusion_where_many_nodes_take_no_time() -> None:
    """Random graphs in which most nodes are free, in units that round badly; the exact program against brute force."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng, n=7, chips=3, topology="memory", unit=float(rng.random()))
        hardware = hardware.with_rules(triangle=False, replication=False, memory=False)
        best, _ = brute_force(as_given(graph, hardware), limit=200_000)
        instance = contract(graph, hardware)
        chain = best_chain(instance, 10.0 + 2 * (best or 0.0) / instance.unit)
        if chain is not None and best is not None:
            assert chain.period * instance.unit <= best * (1 + 1e-9)


def test_ideals_of_a_stretch_have_no_better_chain_than_placements() -> None:
    looked = 0
    for graph, hardware, best, _ in CASES:
        instance = contract(graph, hardware)
        if not hardware.rules.acyclic:
            continue
        waists, stretches = segments(instance)
        for nodes in (waists | stretch for stretch in stretches):
            threshold = best / instance.unit * (1 + 1e-6) + 1e-9
            chain = Ideals(instance, threshold, Stop(), 5_000, nodes).best_chain(threshold, Stop())
            looked += chain is not None
            assert chain is None or chain.period * instance.unit <= best * (1 + 1e-9)
    assert looked > 40
