"""Flows between neighbouring chips."""

from __future__ import annotations

import numpy as np
import pytest
from traffic_networks import drawn, fitting

from partition.heuristics.traffic.flows import move_cut


@pytest.mark.parametrize("linked", [True, False])
def test_a_flow_never_makes_a_cut_worse(linked: bool) -> None:
    moved = 0
    for seed in range(20):
        network = drawn(seed, 7, 3, linked=linked, spare=9.0)
        rng = np.random.default_rng(seed)
        choices = list(fitting(network))
        chip = choices[int(rng.integers(len(choices)))]
        for first in range(2):
            elsewhere = (chip != first) & (chip != first + 1)
            same = [each for each in choices if (each[elsewhere] == chip[elsewhere]).all()]
            same = [each for each in same if ((each == first) | (each == first + 1) | elsewhere).all()]
            least = min(map(network.traffic, same))
            found = move_cut(network, chip, first, 1e6)
            crossing = network.edges[(chip[network.edges] == first).any(axis=1)]
            if not found or not (chip[crossing] == first + 1).any():
                continue
            assert least <= min(map(network.traffic, found)) <= network.traffic(chip)
            moved += network.traffic(found[0]) < network.traffic(chip)
    assert moved > 3
