"""Methods to compare with: none is better than the optimum, and moves keep the order of chips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from checked import as_given
from exhaustive import least_known
from instances import random_instance

from learned.comparison.methods import annealing, balanced_random_search, greedy, moved_along, random_search, slicing
from learned.policy.rollouts import Environment
from partition import load_hardware
from partition.models import build
from partition.scoring.feasibility import impossible


@pytest.mark.parametrize("method", [random_search, balanced_random_search, annealing, greedy, slicing])
def test_no_sample_is_better_than_the_optimum(method: Any) -> None:
    compared = 0
    for seed in range(40):
        graph, hardware = random_instance(np.random.default_rng(seed))
        if impossible(graph, hardware) is not None:
            continue
        best = least_known(as_given(graph, hardware), limit=20_000)
        if best is None:
            continue
        periods = np.concatenate([*method(Environment(graph, hardware), 20, np.random.default_rng(1)), [np.inf]])
        assert len(periods) <= 21
        assert periods.min() >= best * (1 - 1e-9)
        compared += bool(np.isfinite(periods.min()))
    assert compared > 10


def test_moves_of_annealing_keep_the_order_of_the_chips() -> None:
    environment = Environment(build("gnmt:seq=3,layers=2"), load_hardware("ring8"))
    rng = np.random.default_rng(0)
    precedence, nodes = environment.repair.precedence, environment.repair.nodes
    chips = environment.repair.sample(np.ones((environment.instance.nodes, 8)), 1, rng).chips[0]
    edges = environment.instance.edges
    moved = 0
    for _ in range(200):
        after = moved_along(chips, precedence.ancestors, precedence.descendants, nodes, 8, rng)
        assert np.all(after[edges[:, 0]] <= after[edges[:, 1]])
        moved += not np.array_equal(after, chips)
        chips = after
    assert moved > 100
