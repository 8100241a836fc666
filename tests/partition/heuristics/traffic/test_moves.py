"""Gains of single moves."""

from __future__ import annotations

import numpy as np
import pytest
from traffic_networks import drawn, fitting

from partition.heuristics.traffic.moves import Moves


@pytest.mark.parametrize("linked", [True, False])
def test_moves_tell_what_they_gain(linked: bool) -> None:
    gained = 0
    for seed in range(40):
        network = drawn(seed, 10, 3, linked=linked)
        rng = np.random.default_rng(seed)
        start = next(iter(fitting(network)), None)
        if start is None:
            continue
        found, gain = Moves(network, start, rng).run()
        assert network.fits(found)
        assert network.traffic(start) - network.traffic(found) == pytest.approx(gain)
        gained += gain > 0
    assert gained > 10
