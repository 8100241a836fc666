"""The gradient of the loss against finite differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from finite_differences import SETTINGS, numeric

from learned.policy.network import initial_parameters
from learned.policy.policy import HIDDEN, INPUTS, OUTPUTS, Policy
from learned.policy.rollouts import Environment, play
from learned.training.ppo import advantages, loss_gradient
from partition import load_hardware
from partition.models import build


@pytest.mark.parametrize("credit", ["repaired", "proposed"])
def test_the_loss_gradient_agrees_with_finite_differences(credit: str) -> None:
    """Against the clipped surrogate of PPO in double precision, away from its kinks."""
    rng = np.random.default_rng(1)
    environment = Environment(build("gpt:layers=1,hidden=96,vocab=100"), load_hardware("ring4"))
    policy = Policy.new([environment.features], rng)
    doubles = initial_parameters(INPUTS, HIDDEN, OUTPUTS, rng, np.float64)
    policy = replace(policy, parameters={name: 3.0 * value for name, value in doubles.items()})
    settings = replace(SETTINGS, credit=credit)
    for rollout in play(policy, environment, 4, 2, rng, fix=credit == "proposed"):
        gain = advantages(environment, rollout, settings)
        old = rng.normal(-1.5, 0.5, gain.shape)
        rows = np.arange(4)

        def loss(parameters: dict[str, np.ndarray]) -> float:
            moved = replace(policy, parameters=parameters)
            return loss_gradient(moved, environment, rollout, gain, old, rows, settings, 0.01)[0]  # noqa: B023

        _, gradient = loss_gradient(policy, environment, rollout, gain, old, rows, settings, 0.01)
        for name, value in policy.parameters.items():
            index = tuple(rng.integers(s) for s in value.shape)

            def along(changed: np.ndarray, name: str = name) -> float:
                return loss(policy.parameters | {name: changed})

            assert gradient[name][index] == pytest.approx(numeric(along, value, index, 1e-7), rel=1e-3, abs=1e-7)
