"""Proofs under floating point: what brute force found where units are far apart, and what keeps it from coming back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force
from instances import answer_of, chain_of, package, random_instance
from oracle import certify

import milp.solver.highs as highs
from milp.formulation.build import build
from milp.ideals.program import best_chain
from milp.solver.highs import solve
from milp.solver.matrix import compile_model
from milp.state.incumbent import Incumbent
from milp.state.names import Doing
from milp.windows.windows import Windows
from partition import ChipKind, Graph, GraphBuilder, Hardware, Interconnect, Placement, RefutedBound, Rules, partition
from partition.instance.contract import contract


def best_of(graph: Graph, hardware: Hardware) -> float:
    best, _ = brute_force(as_given(graph, hardware))
    assert best is not None
    return best


def forced_apart(factor: float) -> tuple[Graph, Hardware]:
    """Weights that no chip holds alone, so that tensors must move, each ``factor`` times as long as an operation."""
    b = GraphBuilder("apart")
    b.operation("in0", "Input", outputs={"x": 3.0})
    b.operation("in1", "Input", outputs={"y": 3.0})
    b.operation("v0", "Op", inputs=["x", "y"], outputs={"a": 0.993}, flops=0.733, bytes_accessed=0, weights=1)
    b.operation("v1", "Op", inputs=["x", "a"], outputs={"b": 2.66}, flops=5.357, bytes_accessed=0, weights=3)
    b.operation("v2", "Op", inputs=["y", "a"], outputs={"c": 0.679}, flops=1.968, bytes_accessed=0, weights=2)
    return b.build(), package(2, bandwidth=1 / factor, sram=3, replication=False)


@pytest.mark.parametrize("factor", [1.0, 1e4, 1e8, 1e10, 1e14])
def test_transfers_beyond_all_proportion_to_compute_are_proved_as_well(factor: float) -> None:
    """With 1e10 HiGHS called a period optimal that is 55% above the optimum, its figures being 1e10 units."""
    graph, hardware = forced_apart(factor)
    result = partition(graph, hardware, time_limit=20)
    assert result.status == "optimal"
    assert result.bound <= best_of(graph, hardware) * (1 + 1e-9) <= result.period * (1 + 2e-9)


@pytest.mark.parametrize("excess", [0.0, 1e-12, 1e-8, 1e-7, 5e-7, 2e-6])
@pytest.mark.parametrize("transfers", ["serial", "overlapped"])
def test_weights_a_hair_above_the_sram_are_kept_apart_and_the_search_goes_on(excess: float, transfers: str) -> None:
    """HiGHS lets rows be exceeded by 1e-6; what it then proposed was refused and the search gave up."""
    b = GraphBuilder("hair")
    for i, weight in enumerate([30420.0, 33680.0, 6370.0, 1000.0]):
        inputs = [f"t{i - 1}"] if i else []
        b.operation(f"v{i}", "Op", inputs=inputs, outputs={f"t{i}": 4.0}, flops=3 + i, bytes_accessed=0, weights=weight)
    graph = b.build()
    hardware = package(3, topology="memory", transfers=transfers, sram=(33680.0 + 6370.0) / (1 + excess))
    result = partition(graph, hardware, time_limit=20)
    assert result.status == "optimal"
    assert result.bound <= best_of(graph, hardware) * (1 + 1e-9) <= result.period * (1 + 2e-9)


def test_a_hair_too_much_everywhere_is_infeasible() -> None:
    b = GraphBuilder("hair")
    for i, weight in enumerate([30420000.0, 33680000.0, 6370000.0]):
        b.operation(f"v{i}", "Op", flops=1, bytes_accessed=0, weights=weight)
    sram = (33680000.0 + 6370000.0) * (1 - 5e-9)
    kinds = ChipKind("unit", 1.0, sram * (1 - 1e-7)), ChipKind("other", 1.0, 33680000.0)
    link = Interconnect("memory", 1.0)
    assert partition(b.build(), Hardware("tight", kinds, (0, 1), link, Rules()), time_limit=20).status == "optimal"
    smaller = kinds[0], replace(kinds[1], sram_bytes=33680000.0 * (1 - 1e-7))
    result = partition(b.build(), Hardware("tight", smaller, (0, 1), link, Rules()), time_limit=20)
    assert result.status == "infeasible"


@pytest.mark.parametrize("unit", [1e-12, 1e-9, 1e-3, 60.0, 3600.0])
def test_the_same_problem_in_other_units_has_the_same_answer(unit: float) -> None:
    graph, hardware = chain_of([3, 1, 4, 1, 5, 9, 2, 6], size=2.0), package(3, transfers="serial")
    scaled = replace(graph, flops=graph.flops * unit, tensor_bytes=graph.tensor_bytes * unit)
    one, other = partition(graph, hardware), partition(scaled, hardware)
    assert other.status == one.status == "optimal"
    assert other.period == pytest.approx(unit * one.period, rel=1e-9)
    assert other.bound == pytest.approx(unit * one.bound, rel=1e-4)


@pytest.mark.parametrize("spread", [1e3, 1e9, 1e15])
def test_picoseconds_and_minutes_in_one_graph(spread: float) -> None:
    """The slow operation is alone on its chip; what the others take is lost in its period, not in the proof."""
    rng = np.random.default_rng(3)
    for seed in range(6):
        graph, hardware = random_instance(np.random.default_rng(seed), n=5, chips=3)
        flops = graph.flops * np.where(rng.random(graph.n) < 0.5, 1e-12 * spread, 1e-12)
        graph = replace(graph, flops=flops, bytes_accessed=np.zeros(graph.n), profiled_times={})
        result = partition(graph, hardware, time_limit=20)
        certify(as_given(graph, hardware), answer_of(result))
        assert result.status in ("optimal", "infeasible")


def test_a_chip_a_trillion_times_slower_does_not_blur_the_proof() -> None:
    b = GraphBuilder("slow")
    for i, (fast, slow) in enumerate([(3.0, 3e12), (1.0, 1.5), (2.0, 2e12), (1.5, 1.0)]):
        inputs = [f"t{i - 1}"] if i else []
        b.operation(f"v{i}", "Op", inputs=inputs, outputs={f"t{i}": 0.125}, times={"fast": fast, "slow": slow})
    kinds = ChipKind("fast", 1.0), ChipKind("slow", 1.0, free_transfers=True)
    for order in ("fixed", "free"):
        for topology in ("memory", "ring"):
            link = Interconnect(topology, 1.0, transfers="serial")
            hardware = Hardware("unequal", kinds, (0, 1, 0), link, Rules(triangle=False), kind_order=order)
            result = partition(b.build(), hardware, time_limit=20)
            assert result.status == "optimal"
            assert result.bound <= best_of(b.build(), hardware) * (1 + 1e-9)


@pytest.mark.parametrize("slow", [2.0, 1e10 / 3, 1e13 / 3, 1e15 / 7])
def test_blocks_behind_what_a_kind_cannot_run_in_time_are_scored_to_the_last_digit(slow: float) -> None:
    """Sums over ideals were subtracted with 1e13 in both: 1.0004 was proved optimal, and 1.0003 is."""
    b = GraphBuilder("cancel")
    b.operation("a", "Op", outputs={"ta": 0.0}, times={"fast": 1.0, "slow": slow})
    b.operation("b", "Op", inputs=["ta"], outputs={"tb": 0.0}, times={"fast": 0.0004, "slow": 0.5003})
    b.operation("c", "Op", inputs=["tb"], times={"fast": 10.0, "slow": 0.5})
    kinds = ChipKind("fast", 1.0), ChipKind("slow", 1.0)
    hardware = Hardware("unequal", kinds, (0, 1), Interconnect("memory", 1.0), Rules())
    instance = contract(b.build(), hardware)
    chain = best_chain(instance, 50.0)
    assert chain is not None and chain.period * instance.unit == pytest.approx(1.0003, rel=1e-12)
    result = partition(b.build(), hardware)
    assert result.bound <= 1.0003 * (1 + 1e-12) <= result.period * (1 + 2e-12)


# --- the means ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("upper", [1e-9, 1.0, 1e9])
def test_models_are_counted_in_the_largest_period_they_admit(upper: float) -> None:
    graph, hardware = forced_apart(1.0)
    instance = contract(graph, hardware)
    instance = replace(instance, time=instance.time * upper, tau=instance.tau * upper)
    most = 5 * upper
    whole = Windows(np.zeros(instance.nodes, dtype=np.int64), np.ones(instance.nodes, dtype=np.int64))
    model = compile_model(build(instance, whole, upper=most))
    assert model.scale == most
    assert model.upper[model.family == "T"].tolist() == [1.0]
    assert float(np.abs(model.A.data).max()) <= 4.0  # two tensors of one node, each cut down to twice the period
    outcome = solve(model, time_limit=10)
    assert outcome.objective == pytest.approx(outcome.bound, rel=1e-6)
    assert 0 < outcome.objective <= most * (1 + 1e-6)


def test_what_highs_leaves_out_only_loosens_rows() -> None:
    graph, hardware = forced_apart(1.0)
    instance = contract(graph, hardware)
    whole = Windows(np.zeros(instance.nodes, dtype=np.int64), np.ones(instance.nodes, dtype=np.int64))
    model = compile_model(build(instance, whole, upper=5.0))
    rng = np.random.default_rng(0)
    data = np.where(rng.random(model.A.nnz) < 0.4, rng.uniform(-1e-9, 1e-9, model.A.nnz), model.A.data)
    A = model.A.copy()
    A.data = data
    noisy = replace(model, A=A)
    row_lower, row_upper = highs.without_the_smallest(noisy)
    kept = A.copy()
    kept.data = np.where(np.abs(data) <= highs.DROPPED, 0.0, data)
    points = np.where(model.family == "T", 1.0, rng.integers(0, 2, (500, model.columns)))
    slack = points @ A.toarray().T - points @ kept.toarray().T  # what leaving out takes from the rows
    assert np.all(row_upper - model.row_upper >= (-slack).max(axis=0) - 1e-15)
    finite = np.isfinite(model.row_lower)
    assert np.all(model.row_lower[finite] - row_lower[finite] >= slack.max(axis=0)[finite] - 1e-15)


def test_a_bound_that_a_placement_refutes_is_withdrawn_with_a_warning() -> None:
    root = 2**0.5  # times without a common unit, so that bounds stay where they are
    graph, hardware = chain_of([3 * root] * 4), package(2)
    incumbent = Incumbent(contract(graph, hardware), 1e-4, lambda: 0.0, None)
    incumbent.offer(Placement(np.array([0, 0, 0, 1])))
    unit = incumbent.instance.unit
    incumbent.enter(Doing.WORK)
    incumbent.prove(5.0 / unit, exact=True)
    incumbent.enter(Doing.THRESHOLDS)
    incumbent.prove(5.5 / unit)  # true, but from where the false one comes from
    incumbent.prove(11.9999 / unit)
    with pytest.warns(RefutedBound, match="refutes the bound 11.99"):
        incumbent.offer(Placement(np.array([0, 0, 1, 1])))
    assert (incumbent.period, incumbent.bound) == (pytest.approx(6 * root), pytest.approx(5.0))
    assert not incumbent.closed
    assert all(entry.bound <= 6 * root for entry in incumbent.history)


@pytest.mark.parametrize("little", [5e-324, 1e-309, 1e-200, 1e-60])
def test_times_at_the_end_of_the_range_of_numbers_overflow_nowhere(little: float) -> None:
    """Warnings of overflow are errors here."""
    graph, hardware = chain_of([little, 0.0, little], size=1.0), package(2, transfers="serial")
    with np.errstate(over="raise", invalid="raise"):
        result = partition(graph, hardware, time_limit=20)
    assert result.status == "optimal" and result.period == pytest.approx(2 * little)
