"""Repaired placements against the independent checker."""

from __future__ import annotations

import numpy as np
import pytest
from checked import as_given
from instances import answer_of
from oracle import certify

from partition import Graph, Hardware, Result, check, evaluate_placement
from partition.heuristics.repair import Repaired
from partition.problem.placement import Placement


def certified(graph: Graph, hardware: Hardware, placement: Placement) -> float:
    """The period of a placement, by the independent checker."""
    cost = evaluate_placement(graph, hardware, placement)
    period = float(cost.period[0])
    result = Result(graph, hardware, placement, "feasible", period, 0.0, 0.0, 0, cost=cost)
    certify(as_given(graph, hardware), answer_of(result))
    return period


def assert_valid(graph: Graph, hardware: Hardware, repaired: Repaired) -> None:
    periods = repaired.period()
    for row in np.flatnonzero(repaired.valid):
        placement = repaired.placement(int(row))
        assert check(graph, hardware, placement) == []
        assert certified(graph, hardware, placement) == pytest.approx(periods[row], rel=1e-9)
