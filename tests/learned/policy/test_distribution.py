"""Probabilities of chips: they add up, and their logarithms and derivatives agree."""

from __future__ import annotations

import numpy as np
import pytest

from learned.policy.distribution import log_probability, log_probability_gradient, probabilities


@pytest.mark.parametrize("chips", [1, 2, 3, 4, 36])
def test_probabilities_add_up_and_agree_with_their_logarithms_and_derivatives(chips: int) -> None:
    rng = np.random.default_rng(chips)
    location, scale = rng.uniform(-1, chips + 1, 50), rng.uniform(-2.5, 1.5, 50)
    table = probabilities(location, scale, chips)
    assert table.sum(axis=1) == pytest.approx(np.ones(50))
    for c in range(chips):
        chip = np.full(50, c)
        logs = log_probability(location, scale, chip, chips)
        sure = table[:, c] > 1e-9
        assert np.exp(logs[sure]) == pytest.approx(table[sure, c], rel=1e-6)
        by_location, by_scale = log_probability_gradient(location, scale, chip, chips)
        step = 1e-6
        for found, shift in ((by_location, (step, 0.0)), (by_scale, (0.0, step))):
            upper = log_probability(location + shift[0], scale + shift[1], chip, chips)
            lower = log_probability(location - shift[0], scale - shift[1], chip, chips)
            assert found == pytest.approx((upper - lower) / (2 * step), rel=1e-4, abs=1e-4)
