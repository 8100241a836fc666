"""Smooth directions are repeatable."""

from __future__ import annotations

import numpy as np
import pytest
from traffic_networks import drawn

from partition.heuristics.traffic.starts import smooth_directions


@pytest.mark.parametrize(("seed", "nodes", "begin"), [(10, 80, 13), (0, 150, 14), (7, 150, 5)])
def test_directions_are_repeatable(seed: int, nodes: int, begin: int) -> None:
    """In these cases the eigenvalue solver starts anew from random vectors, which it must take from the generator."""
    network = drawn(seed, nodes, 4, linked=True)
    found = [smooth_directions(network, np.random.default_rng(begin)) for _ in range(4)]
    assert all(np.array_equal(found[0], each) for each in found)
