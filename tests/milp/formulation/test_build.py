"""The formulation against brute force when nothing else helps it, and as LP and MPS files."""

from __future__ import annotations

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force
from instances import RULES, broadcast_mask, diamond, long_skip, package, random_instance, random_training_instance

from milp.formulation.build import build
from milp.formulation.choices import Choices
from milp.formulation.linear import ImpossibleRow
from milp.solver.highs import solve
from milp.solver.matrix import compile_model
from milp.solver.reading import placement_of
from milp.windows.windows import Windows
from partition import (
    ChipKind,
    Graph,
    GraphBuilder,
    Hardware,
    Interconnect,
    Rules,
    check,
    evaluate_placement,
)
from partition.instance.contract import contract


def optimum(graph: Graph, hardware: Hardware) -> float | None:
    """Optimum of the complete model: every rule a row, no windows, no seed."""
    instance = contract(graph, hardware)
    windows = Windows(np.zeros(instance.nodes, dtype=np.int64), np.full(instance.nodes, instance.chips - 1))
    try:
        model = compile_model(build(instance, windows, choices=Choices.complete(instance)))
    except ImpossibleRow:
        return None
    outcome = solve(model, time_limit=60)
    if outcome.status == "infeasible":
        return None
    assert outcome.status == "optimal" and outcome.x is not None
    placement = placement_of(instance, windows, model, model.full(outcome.x))
    assert check(graph, hardware, placement) == []
    period = float(evaluate_placement(graph, hardware, placement).period[0])
    assert period == pytest.approx(outcome.objective * instance.unit, rel=1e-5, abs=1e-9)
    return period


@pytest.mark.parametrize("block", range(5))
def test_the_complete_model_agrees_with_brute_force(block: int) -> None:
    compared = 0
    for seed in range(5000 + 20 * block, 5020 + 20 * block):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng) if seed % 3 else random_training_instance(rng)
        try:
            best, _ = brute_force(as_given(graph, hardware), limit=5_000)
        except OverflowError:
            continue
        found = optimum(graph, hardware)
        assert (found is None) == (best is None)
        if best is not None:
            assert found == pytest.approx(best, rel=1e-5, abs=1e-9)
        compared += 1
    assert compared > 10


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("transfers", ["serial", "overlapped"])
def test_every_rule_alone_on_small_graphs(rule: str, transfers: str) -> None:
    for graph in (diamond(), long_skip(4), broadcast_mask(2)):
        switches = {name: name == rule for name in RULES}
        hardware = package(3, transfers=transfers, **switches)
        best, _ = brute_force(as_given(graph, hardware))
        assert optimum(graph, hardware) == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("large", [1e6, 1e9, 1e12, 1e15])
@pytest.mark.parametrize("shared", [False, True])
def test_weights_far_above_a_chip_spoil_no_memory_row(large: float, shared: bool) -> None:
    """They are not on it, how far above it they are must not tell: with a shared weight of 1e9, nothing fitted."""
    b = GraphBuilder("unequal")
    own = [2.0, 1.0, 2.0, large, 2.0]
    for i, (weight, time) in enumerate(zip(own, [3.0, 8.0, 6.0, 2.0, 8.0], strict=True)):
        weights = {f"w{i}": weight} | ({"shared": large} if shared and i in (0, 2) else {})
        inputs = ["t1"] if i == 2 else []
        b.operation(f"v{i}", "Op", inputs=inputs, outputs={f"t{i}": 0.5}, flops=time, bytes_accessed=0, weights=weights)
    kinds = ChipKind("small", 1.0, 2.5), ChipKind("large", 1.0, 10 * large)
    rules = Rules(no_skipping=False, triangle=False)
    graph, hardware = b.build(), Hardware("two", kinds, (0, 1, 0), Interconnect("memory", 1.0), rules)
    instance = contract(graph, hardware)
    everywhere = Windows(np.zeros(instance.nodes, dtype=np.int64), np.full(instance.nodes, 2))
    assert optimum(graph, hardware) == brute_force(as_given(graph, hardware))[0]
    largest = max(abs(a) for a in compile_model(build(instance, everywhere)).A.data.tolist())
    assert largest <= 2.0


def test_the_triangle_rule_is_exact_not_only_neighbours() -> None:
    """Chips 0 -> 1 -> 3 and 0 -> 2 -> 3 may skip over one another: the diamond uses four chips."""
    hardware = package(4, relays=False, replication=False)
    assert optimum(diamond(times=(5, 5, 5, 5)), hardware) == pytest.approx(5)
