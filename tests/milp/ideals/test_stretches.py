"""Stretches between waists: whatever they prove, no placement contradicts."""

from __future__ import annotations

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force, least_known
from instances import package, random_stages

import milp.ideals.program
import milp.ideals.stretches
from milp.ideals.stretches import Stretches
from partition import GraphBuilder
from partition.instance.contract import contract
from partition.stopping import Stop


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several levels and both looks, although there are few nodes and few ideals."""
    monkeypatch.setattr(milp.ideals.stretches, "PART", 2.0)
    monkeypatch.setattr(milp.ideals.program, "FEW", 2)
    monkeypatch.setattr(milp.ideals.program, "STEP", 1)
    monkeypatch.setattr(milp.ideals.program, "STEPS", (0.1, 0.2, 0.4))


def bound(stretches: Stretches, threshold: float) -> float:
    return stretches.ask(threshold, Stop()).bound


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("few", [5_000, 4, 0])
def test_no_stretches_disprove_what_there_is(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against brute force, at thresholds above the optimum; just below it, many are disproved."""
    monkeypatch.setattr(milp.ideals.stretches, "FEW_ALIVE", few)
    asked = tight = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        rules = {rule: bool(rng.random() < 0.3) for rule in ("triangle", "memory", "replication", "relays")}
        graph, hardware = random_stages(
            rng, stages=int(rng.integers(2, 4)), width=3, chips=int(rng.integers(2, 5)), **rules
        )
        best = least_known(as_given(graph, hardware), limit=20_000)
        if best is None:
            continue
        instance = contract(graph, hardware)
        best /= instance.unit
        stretches = Stretches(instance, 2 * best, 0.0)
        for factor in (1 + 1e-9, 1.01, 1.2, 1.7):
            if stretches.found:
                asked += 1
                assert bound(stretches, factor * best) <= best * (1 + 1e-9), (seed, factor)
        tight += bool(stretches.found) and bound(stretches, best * (1 - 1e-6)) > best * (1 - 1e-4)
    assert asked > 40
    assert tight > 8


def test_stretches_that_fit_alone_may_not_fit_together() -> None:
    """Three stages of three heavy operations side by side, four chips: any one fits, with all others left out.

    A cut through a stage costs both chips beside it the transfer of its input and of its result.
    """
    b = GraphBuilder("stages")
    b.operation("waist0", "Op", outputs={"waist0": 1.0}, flops=1, bytes_accessed=0)
    for stage in range(3):
        for v in range(3):
            name = f"s{stage}v{v}"
            b.operation(name, "Op", inputs=[f"waist{stage}"], outputs={name: 1.0}, flops=4, bytes_accessed=0)
        inputs = [f"s{stage}v{v}" for v in range(3)]
        b.operation(
            f"waist{stage + 1}", "Op", inputs=inputs, outputs={f"waist{stage + 1}": 1.0}, flops=1, bytes_accessed=0
        )
    graph = b.build()
    hardware = package(4, transfers="serial", triangle=False, memory=False, replication=False, relays=False)
    best, _ = brute_force(as_given(graph, hardware), limit=3_000_000)
    assert best is not None
    instance = contract(graph, hardware)
    best /= instance.unit
    stretches = Stretches(instance, best, 0.0)
    assert len(stretches.found) == 3
    below = best * (1 - 1e-6)
    assert bound(stretches, below) == below
    alone = max(
        milp.ideals.program.Ideals(instance, best, Stop(), 5_000, stretches.waists | each.nodes)
        .solve(below, Stop())
        .best.period  # type: ignore[union-attr]
        for each in stretches.found
    )
    assert alone < below


def test_what_is_too_much_or_stopped_is_no_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by a sceptic: without any level of ideals, a threshold was asked about and its time divided by nothing."""
    graph, hardware = random_stages(np.random.default_rng(0), stages=3, width=6, chips=4)
    instance = contract(graph, hardware)
    assert Stretches(instance, 2.0, 0.0).promising(1.0, 2.0, 10.0, Stop().limited(0.0)) is None
    monkeypatch.setattr(milp.ideals.stretches, "MOST_IDEALS", 2)
    stretches = Stretches(instance, 2.0, 0.0)
    assert stretches.promising(1.0, 2.0, 10.0, Stop()) is None
    assert stretches.ask(1.5, Stop()).bound <= 1.5


def test_the_most_promising_threshold_is_affordable() -> None:
    rng = np.random.default_rng(0)
    graph, hardware = random_stages(rng, stages=3, width=6, chips=4)
    stretches = Stretches(contract(graph, hardware), 2.0, 0.0)
    assert stretches.found
    threshold = stretches.promising(1.0, 2.0, 10.0, Stop())
    assert threshold is not None and 1.0 < threshold < 2.0
    assert stretches.promising(1.0, 2.0, 0.0, Stop()) is None
