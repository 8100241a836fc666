"""The solver against brute force by the independent checker: optimum, bound, infeasibility."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from adversarial import FAMILIES
from checked import as_given
from click.testing import CliRunner
from exhaustive import brute_force
from instances import RULES, answer_of, package, random_instance, random_mixed_instance, random_training_instance
from oracle import certify

from partition import ChipKind, Graph, GraphBuilder, Hardware, Interconnect, Rules, partition

BLOCK = 13


def agree(graph: Graph, hardware: Hardware) -> bool:
    """Whether the instance was small enough to compare; fails if the solver and brute force differ."""
    problem = as_given(graph, hardware)
    try:
        best, _ = brute_force(problem, limit=20_000)
    except OverflowError:
        return False
    result = partition(graph, hardware, time_limit=60)
    answer = answer_of(result)
    certify(problem, answer)
    if best is None:
        assert result.status == "infeasible"
        return True
    assert result.status == "optimal"
    assert best * (1 - 1e-9) <= result.period <= best * (1 + 1.01e-4) + 1e-18
    assert result.bound <= best * (1 + 1e-9)
    return True


@pytest.mark.parametrize("block", range(12))
def test_solver_agrees_with_brute_force(block: int) -> None:
    compared = 0
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        graph, hardware = random_instance(np.random.default_rng(seed))
        compared += agree(graph, hardware)
    assert compared > BLOCK // 2


@pytest.mark.parametrize("block", range(4))
def test_solver_agrees_with_brute_force_on_training_graphs(block: int) -> None:
    compared = 0
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        compared += agree(*random_training_instance(np.random.default_rng(seed)))
    assert compared > BLOCK // 2


@pytest.mark.parametrize("block", range(4))
def test_solver_agrees_with_brute_force_on_mixed_chips_in_fixed_and_free_orders(block: int) -> None:
    compared = 0
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        compared += agree(*random_mixed_instance(np.random.default_rng(seed)))
    assert compared > BLOCK // 2


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1e3])
def test_units_from_nanoseconds_to_minutes_do_not_matter(unit: float) -> None:
    for seed in range(1000, 1006):
        agree(*random_instance(np.random.default_rng(seed), unit=unit))


@pytest.mark.parametrize("topology", ["chain", "ring", "memory"])
def test_solver_agrees_with_brute_force_under_every_combination_of_rules(topology: str) -> None:
    """An instance for each of the 64 combinations that a topology allows; transfers take turns in pairs of switches."""
    rng = np.random.default_rng(7)
    for switches in itertools.product([False, True], repeat=len(RULES)):
        rules = dict(zip(RULES, switches, strict=True))
        if topology == "chain" and not rules["acyclic"]:
            continue
        transfers = "serial" if sum(switches) % 2 else "overlapped"
        agree(*random_instance(rng, n=4, chips=3, topology=topology, transfers=transfers, **rules))


@pytest.mark.parametrize("family", FAMILIES)
def test_instances_made_to_break_proofs_do_not(family: str) -> None:
    """``benchmarks/brute_force.py --adversarial`` draws thousands."""
    assert sum(agree(*FAMILIES[family](np.random.default_rng(seed))) for seed in range(6)) > 3


def test_the_benchmark_compares_the_milp_alone_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """``--milp-only`` leaves phases out of the list."""
    path = Path(__file__).parent.parent / "benchmarks" / "brute_force.py"
    spec = importlib.util.spec_from_file_location("brute_force_benchmark", path)
    assert spec is not None and spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, benchmark)
    monkeypatch.setattr(sys, "path", sys.path[:])
    spec.loader.exec_module(benchmark)
    done = CliRunner().invoke(benchmark.main, ["--milp-only", "--instances", "5", "--brief"])
    assert done.exit_code == 0 and " 0 disagree" in done.output, done.output


def test_weights_that_fit_to_the_last_digit_are_not_called_infeasible() -> None:
    b = GraphBuilder("tenths")
    b.operation("x", "Op", outputs={"x": 1}, flops=1, bytes_accessed=0, weights=0.1)
    b.operation("y", "Op", inputs=["x"], flops=1, bytes_accessed=0, weights=0.2)
    assert agree(b.build(), package(1, sram=0.3))


def test_times_of_a_slow_kind_count_where_a_fast_kind_takes_none() -> None:
    """Found by brute force: times of nanoseconds were lost in the solver's tolerance when the fast kind took zero."""
    b = GraphBuilder("idle")
    for i, slow in enumerate([5e-9, 3e-9, 1e-9, 4e-9]):
        times = {"fast": 0.0, "slow": slow}
        b.operation(f"v{i}", "Op", inputs=[f"t{i - 1}"] if i else [], outputs={f"t{i}": 0}, times=times, weights=1)
    kinds = ChipKind("fast", 1.0, sram_bytes=2), ChipKind("slow", 1.0, sram_bytes=2)
    assert agree(b.build(), Hardware("mixed", kinds, (0, 1), Interconnect("chain", 1.0), Rules()))
