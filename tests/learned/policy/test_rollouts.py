"""What a rollout sees of a graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from instances import random_instance

from learned.policy.rollouts import Environment


def test_features_are_finite_and_scale_free() -> None:
    """The same numbers whatever the unit of time."""
    for seed in range(30):
        values: list[Sequence[float]] = []
        for unit in (1.0, 1e-6):
            graph, hardware = random_instance(np.random.default_rng(seed), unit=unit, memory=False)
            environment = Environment(graph, hardware)
            fixed = environment.features.fixed
            assert np.isfinite(fixed).all()
            chips = np.zeros((2, environment.instance.nodes), dtype=np.int64)
            seen = environment.features.seen(chips)
            assert np.isfinite(seen).all()
            values.append(seen.ravel().tolist())
        assert values[0] == pytest.approx(values[1], rel=1e-4, abs=1e-5)
