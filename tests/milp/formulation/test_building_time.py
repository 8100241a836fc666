"""How large a model gets is known before it is written, so that none is begun that leaves no time."""

from __future__ import annotations

import numpy as np
import pytest

from milp.formulation.build import build
from milp.formulation.building_time import leaves_time, nonzeros, triangle_rows
from milp.formulation.choices import Choices
from milp.windows.windows import WindowRules, Windows
from partition import (
    load_hardware,
    load_model,
)
from partition.instance.contract import contract
from partition.stopping import Stop


@pytest.mark.parametrize(
    ("model", "hardware", "threshold"),
    [
        ("gnmt", "ring16", 1.2),
        ("bert-base", "ring16:transfers=serial,triangle=off", 1.3),
        ("resnet50", "ring12:transfers=serial", 3.0),
        ("resnet50:training=adam", "ring8:memory=off,triangle=off", 1.5),
    ],
)
def test_nonzeros_are_estimated_within_a_factor_of_two(model: str, hardware: str, threshold: float) -> None:
    instance = contract(load_model(model).graph, load_hardware(hardware))
    windows = WindowRules(instance).windows(threshold)
    estimate = nonzeros(instance, windows, triangle=Choices.lossless(instance).triangle)
    found = build(instance, windows, upper=threshold).matrix().A.nnz
    assert 0.5 * found <= estimate <= 2.0 * found


def test_a_model_of_millions_is_not_begun_within_a_second() -> None:
    instance = contract(load_model("bert-large").graph, load_hardware("ring36:transfers=serial"))
    whole = Windows(np.zeros(instance.nodes, dtype=np.int64), np.full(instance.nodes, 35))
    assert not leaves_time(instance, whole, Stop(1.0), triangle=True)
    assert leaves_time(instance, Windows(whole.lo, whole.lo), Stop(1.0), triangle=False)


@pytest.mark.parametrize(
    ("model", "hardware", "threshold"),
    [
        ("resnet50", "ring12:transfers=serial", 3.0),
        ("resnet50", "ring12:transfers=serial", 1.5),
        ("unet", "ring8:transfers=serial", 2.0),
        ("randwire:stages=1", "ring10:transfers=serial,relays=off", 1.5),
    ],
)
def test_rows_of_the_triangle_rule_are_counted_before_they_are_built(
    model: str, hardware: str, threshold: float
) -> None:
    """On 64 chips they are half a million: a model of too many took 40 s to build beyond the time limit."""
    instance = contract(load_model(model).graph, load_hardware(hardware))
    windows = WindowRules(instance).windows(threshold)
    built = build(instance, windows, upper=threshold)
    rows = sum(built.count(family) for family in ("direct", "path_longer", "triangle"))
    assert 0.8 * rows <= triangle_rows(instance, windows) <= 1.25 * rows
