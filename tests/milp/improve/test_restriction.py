"""A few chips solved again: the smaller instance must say the same about them as the whole one."""

from __future__ import annotations

import numpy as np
import pytest
from instances import random_instance, random_training_instance

from milp.formulation.build import build
from milp.formulation.choices import Choices
from milp.formulation.linear import ImpossibleRow
from milp.formulation.memory_cuts import MemoryCut
from milp.improve.restriction import restrict
from milp.solver.highs import solve
from milp.solver.matrix import compile_model
from milp.solver.reading import choices_of
from milp.windows.windows import Windows
from partition import partition
from partition.instance.contract import contract
from partition.scoring.cost import evaluate_placement


@pytest.mark.parametrize("transfers", ["overlapped", "serial"])
@pytest.mark.parametrize("topology", ["chain", "ring", "memory"])
def test_the_smaller_model_has_the_optimum_of_the_whole_one(topology: str, transfers: str) -> None:
    compared = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        if seed % 3 == 1 and topology == "ring":
            graph, hardware = random_training_instance(rng)
        else:
            graph, hardware = random_instance(rng, n=10, chips=4, topology=topology, transfers=transfers)
        hardware = hardware.with_rules(triangle=False, memory=bool(seed % 2))
        instance = contract(graph, hardware)
        result = partition(graph, hardware, time_limit=20) if seed % 3 else None
        if result is None or result.status == "infeasible" or Choices.lossless(instance).triangle:
            continue
        chip = instance.chip_of_nodes(result.placement)
        first = int(rng.integers(hardware.chips - 1))
        part = restrict(instance, chip, first, first + 1)
        inside = (chip >= first) & (chip <= first + 1)
        whole = Windows(np.where(inside, first, chip), np.where(inside, first + 1, chip))
        limited = (first, first + 1)
        least = [
            solve(compile_model(build(i, w, limited=limited)), time_limit=20)
            for i, w in ((instance, whole), (part.instance, part.windows))
        ]
        assert least[0].objective == pytest.approx(least[1].objective, abs=1e-6)
        compared += 1
    assert compared > 2


def test_what_does_not_fit_together_is_kept_apart_in_the_smaller_model_too() -> None:
    compared = kept_apart = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng, n=10, chips=4, topology="ring", transfers="serial")
        instance = contract(graph, hardware.with_rules(triangle=False, memory=True, no_skipping=False))
        chip = np.minimum(instance.chips - 1, np.arange(instance.nodes) * instance.chips // instance.nodes)
        first = int(rng.integers(hardware.chips - 1))
        limited, inside = (first, first + 1), (chip >= first) & (chip <= first + 1)
        near = np.flatnonzero(inside[instance.node_of])
        if len(near) < 2:
            continue
        on = rng.choice(near, size=2, replace=False)
        cut = MemoryCut(on, np.zeros(0, np.int64), np.zeros(0, np.int64), float("inf"))
        part = restrict(instance, chip, first, first + 1)
        whole = Windows(np.where(inside, first, chip), np.where(inside, first + 1, chip))
        least = []
        for cuts in ([], [cut]):
            for i, w in ((instance, whole), (part.instance, part.windows)):
                try:
                    outcome = solve(compile_model(build(i, w, limited=limited, cuts=cuts)), time_limit=20)
                    least.append(outcome.objective if outcome.x is not None else np.inf)
                except ImpossibleRow:
                    least.append(np.inf)
        assert least[0] == pytest.approx(least[1], abs=1e-5) and least[2] == pytest.approx(least[3], abs=1e-5)
        compared += 1
        kept_apart += least[2] > least[0] + 1e-5
    assert compared > 20 and kept_apart > 3


def test_homes_of_the_smaller_instance_are_homes_of_the_whole_one() -> None:
    """What the smaller model says of the chips that are solved again, the cost model confirms on the whole graph."""
    compared = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng, n=10, chips=3, topology="ring", transfers="serial")
        hardware = hardware.with_rules(triangle=False, replication=False, memory=False, no_skipping=False)
        instance = contract(graph, hardware)
        chip = np.minimum(instance.chips - 1, np.arange(instance.nodes) * instance.chips // instance.nodes)
        if not instance.forward_only:
            continue
        part = restrict(instance, chip, 0, 1)
        model = compile_model(build(part.instance, part.windows, limited=(0, 1)))
        outcome = solve(model, time_limit=20)
        assert outcome.x is not None
        homes, _, _ = choices_of(part.windows, model, model.full(outcome.x))
        placement = instance.lift(part.homes(chip, homes), [], [])
        cost = evaluate_placement(graph, hardware, placement)
        heaviest = max(cost.load[0][:2].max(), cost.link[0].max(initial=0.0)) / instance.unit
        assert heaviest == pytest.approx(outcome.objective, abs=1e-6) or cost.link[0].argmax() == 2
        compared += 1
    assert compared > 10
