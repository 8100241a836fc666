"""Bisection alone reaches the optimum."""

from __future__ import annotations

import pytest
from searching import solve_by

from milp.search.bisection import BISECTION
from milp.search.first_placements import SEEDS
from partition import (
    load_hardware,
    load_model,
    partition,
)


def test_thresholds_alone_reach_the_same_optimum() -> None:
    graph, hardware = load_model("resnet50").graph, load_hardware("ring16")
    result = solve_by((SEEDS, BISECTION), graph, hardware, time_limit=20)
    assert result.status == "optimal"
    assert result.period == pytest.approx(partition(graph, hardware).period, rel=1e-4)
