"""Placements of little traffic: what they count, closures and flows against every choice, and the search itself."""

from __future__ import annotations

import numpy as np
import pytest
from instances import RULES, random_instance
from traffic_networks import drawn, fitting

from partition import partition
from partition.heuristics.traffic.search import little_traffic
from partition.stopping import Stop


@pytest.mark.parametrize("linked", [True, False])
def test_the_search_mostly_finds_the_least_traffic_of_small_networks(linked: bool) -> None:
    found, asked = 0, 0
    for seed in range(5):
        network = drawn(seed, 7, 3, linked=linked)
        choices = list(fitting(network))
        if not choices:
            continue
        before, least = network.traffic(choices[0]), min(map(network.traffic, choices))
        for chip in little_traffic(network, choices[0], np.random.default_rng(0), Stop(work_limit=0.4)):
            assert network.fits(chip) and network.traffic(chip) < before
            before = network.traffic(chip)
        asked += 1
        found += before <= least
    assert asked > 3 and found >= 0.75 * asked


def test_the_same_seed_gives_the_same_placements() -> None:
    network = drawn(3, 60, 4, linked=False)
    start = np.zeros(60, np.int64)
    runs = [
        [each.tolist() for each in little_traffic(network, start, np.random.default_rng(7), Stop(work_limit=0.3))]
        for _ in range(2)
    ]
    assert runs[0] == runs[1] and runs[0]


def test_a_limit_on_the_period_is_kept() -> None:
    rng = np.random.default_rng(5)
    graph, hardware = random_instance(rng, topology="crossbar", **dict.fromkeys(RULES, False) | {"acyclic": True})
    period = partition(graph, hardware).period
    result = partition(graph, hardware, objective="traffic", throughput=1 / (1.2 * period), work_limit=5)
    assert result.period <= 1.2 * period * (1 + 1e-9)
