"""The gradient of the network against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from finite_differences import numeric

from learned.policy.network import backward, forward, initial_parameters


def test_the_networks_gradient_agrees_with_finite_differences() -> None:
    rng = np.random.default_rng(0)
    parameters = initial_parameters(7, (5, 4), 3, rng, np.float64)
    x, weight = rng.standard_normal((6, 7)), rng.standard_normal((6, 3))
    gradient = backward(parameters, forward(parameters, x)[1], weight)
    for name, value in parameters.items():
        for index in [tuple(rng.integers(s) for s in value.shape) for _ in range(4)]:

            def loss(changed: np.ndarray, name: str = name) -> float:
                return float((forward(parameters | {name: changed}, x)[0] * weight).sum())

            assert gradient[name][index] == pytest.approx(numeric(loss, value, index), rel=1e-5, abs=1e-8)
