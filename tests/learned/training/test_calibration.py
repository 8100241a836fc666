"""How often a confident policy is right."""

from __future__ import annotations

import numpy as np
import pytest
from instances import package
from small_policies import untrained

from learned.training.calibration import calibrated, said_and_right, with_calibration
from learned.training.ppo import Settings
from learned.training.runs import Task
from partition import partition
from partition.instance.contract import contract
from partition.models import build


def test_calibration_makes_confidence_the_share_that_is_right() -> None:
    rng = np.random.default_rng(0)
    said = rng.random(20_000)
    right = (rng.random(20_000) < said**2).astype(float)  # an overconfident policy
    policy = with_calibration(untrained(contract(build("resnet50"), package(4))), said, right)
    for p in (0.2, 0.5, 0.9):
        assert policy.confidence(np.array([p]))[0] == pytest.approx(p**2, abs=0.06)


def test_calibration_asks_how_often_the_chip_is_that_of_a_proven_optimum() -> None:
    policy = untrained(contract(build("resnet50"), package(4)))
    tasks, settings = [Task("resnet50", "ring4"), Task("unet", "ring2")], Settings(rollouts=4, rounds=1)
    said, right = said_and_right(policy, tasks[0], settings, solve=partition, seconds=20, seed=0) or (
        np.zeros(0),
        np.zeros(0),
    )
    assert len(said) > 50 and set(np.unique(right)) <= {0.0, 1.0} and (said >= 0).all() and (said <= 1).all()
    calibration = calibrated(policy, tasks, settings, solve=partition, seconds=20, seed=0).calibration
    assert calibration.shape[1] > 1 and (np.diff(calibration[1]) >= 0).all()
    assert said_and_right(policy, tasks[0], settings, solve=partition, seconds=1e-9, seed=0) is None
    assert calibrated(policy, tasks, settings, solve=partition, seconds=1e-9, seed=0) is policy
