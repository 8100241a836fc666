"""Parts of a load add up to what the cost model says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from instances import random_instance

from partition import load_hardware, partition
from partition.scoring.breakdown import Breakdown


@pytest.mark.parametrize("hardware", ["ring4", "chain4", "mesh2x2", "biring4", "crossbar4", "cpu4"])
@pytest.mark.parametrize("transfers", ["overlapped", "serial"])
def test_parts_of_a_load_add_up_to_what_the_cost_model_says(hardware: str, transfers: str) -> None:
    package_ = load_hardware(f"{hardware}:transfers={transfers}")
    for seed in range(6):
        graph, _ = random_instance(np.random.default_rng(seed))
        result = partition(graph, replace(package_, rules=replace(package_.rules, memory=False)), time_limit=5)
        assert result.placement is not None and result.cost is not None
        loads, cost = Breakdown(result.problem, result.placement), result.cost
        for c in range(4):
            for part, whole in ((loads.compute, cost.compute), (loads.receive, cost.receive), (loads.send, cost.send)):
                assert part(c).total == pytest.approx(float(whole[0, c]), abs=1e-9 * result.period)
        for link in range(cost.link.shape[1]):
            assert loads.link(link).total == pytest.approx(float(cost.link[0, link]), abs=1e-9 * result.period)
