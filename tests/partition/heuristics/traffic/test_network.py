"""Traffic as the cost model counts it."""

from __future__ import annotations

import numpy as np
import pytest
from instances import RULES, random_instance

from partition import evaluate_placement
from partition.heuristics.traffic.network import Network
from partition.instance.contract import contract


@pytest.mark.parametrize("topology", ["chain", "crossbar"])
def test_traffic_is_that_of_the_cost_model(topology: str) -> None:
    compared = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rules = dict.fromkeys(RULES, False) | {"acyclic": True}
        graph, hardware = random_instance(rng, topology=topology, **rules)
        instance = contract(graph, hardware)
        if not instance.forward_only or instance.replicable.any():
            continue
        last = np.full(instance.nodes, instance.chips - 1)
        network = Network.of(instance, np.zeros_like(last), last, np.inf, instance.chips)
        chip = np.zeros(instance.nodes, np.int64)
        for u, w in network.edges[np.argsort(network.edges[:, 0], kind="stable")].tolist():
            chip[w] = max(chip[w], chip[u], rng.integers(instance.chips))
        if not (chip[network.edges[:, 0]] <= chip[network.edges[:, 1]]).all():
            continue
        told = evaluate_placement(graph, hardware, instance.lift(chip, [], [])).traffic[0]
        assert network.traffic(chip) == pytest.approx(told)
        compared += network.traffic(chip) > 0
    assert compared > 15
