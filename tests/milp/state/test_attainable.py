"""Values that a period can have."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from checked import as_given
from exhaustive import least_known
from instances import chain_of, package, random_instance

from milp.state.aim import Aim
from milp.state.attainable import grid_of, multiples_of
from milp.state.incumbent import Incumbent
from partition import partition
from partition.instance.contract import contract
from partition.problem.placement import Placement


def test_the_unit_comes_from_the_decimal_figures():
    grid = grid_of(chain_of([0.3, 0.7, 1.1], size=0.0), package(2))
    assert grid.unit == Fraction(1, 10)
    assert grid.up(0.95) == 1.0


def test_transfer_times_share_the_unit_where_they_take_time():
    graph = chain_of([4.0, 6.0, 8.0], size=3.0)
    assert grid_of(graph, package(2, bandwidth=2.0)).unit == Fraction(1, 2)
    assert grid_of(graph, package(2, bandwidth=float("inf"))).unit == 2


def test_only_sums_that_can_occur_count():
    grid = grid_of(chain_of([3.0, 5.0], size=0.0), package(2))
    assert [grid.up(bound) for bound in (0.5, 3.5, 5.5)] == [3.0, 5.0, 8.0]
    assert [grid.below(period) for period in (3.0, 5.0, 8.0)] == [0.0, 3.0, 5.0]


def test_serial_transfers_add_to_compute_and_may_be_received_and_sent():
    graph = chain_of([10.0, 10.0, 10.0], size=3.0)
    assert grid_of(graph, package(3)).up(11.0) == 20.0
    assert grid_of(graph, package(3, transfers="serial")).up(13.5) == 15.0


def test_times_without_a_common_unit_have_no_grid():
    assert grid_of(chain_of([1.0, 2.0**0.5]), package(2)) is None


@pytest.mark.parametrize("goal", ["period", "traffic"])
@pytest.mark.parametrize("seed", range(40))
def test_no_bound_is_rounded_past_the_least(goal, seed):
    rng = np.random.default_rng(seed)
    graph, hardware = random_instance(rng, n=int(rng.integers(1, 6)))
    values = grid_of(graph, hardware) if goal == "period" else multiples_of(goal, graph)
    if values is None:
        pytest.skip("no common unit")
    best = least_known(as_given(graph, hardware), limit=20_000)
    if goal == "traffic" and best is not None:
        limits = {"period": 1.5 * best}
        best = least_known(as_given(graph, hardware), goal=goal, limits=limits, limit=20_000)
    if not best:
        pytest.skip("too large for brute force, no valid placement, or one of nothing")
    for share in (1 - 1e-9, 1 - 1e-6, 0.999, 0.9, 0.5):
        assert values.up(best * share) <= best * (1 + 1e-12)
    assert values.below(best) < best


def test_a_bound_between_two_whole_sums_closes_the_gap():
    graph, hardware = chain_of([3.0, 3.0, 3.0], size=0.0), package(2)
    incumbent = Incumbent(contract(graph, hardware), 1e-4, lambda: 0.0, None)
    result = partition(graph, hardware, work_limit=1)
    assert incumbent.offer(result.placement) and not incumbent.closed
    incumbent.prove(4.5 / incumbent.instance.unit, exact=True)
    assert incumbent.bound == 6.0 and incumbent.closed


def test_the_threshold_that_closes_lies_just_above_the_sum_before():
    graph, hardware = chain_of([3.0, 3.0, 3.0], size=0.0), package(2)
    incumbent = Incumbent(contract(graph, hardware), 1e-4, lambda: 0.0, None)
    incumbent.offer(partition(graph, hardware, work_limit=1).placement)
    assert 3.0 < incumbent.target * incumbent.instance.unit < 3.1


def test_figures_scaled_by_a_power_of_ten_still_count_as_decimals():
    graph = chain_of([3.0, 7.0, 9.3], size=0.0)
    scaled = replace(graph, flops=graph.flops * 1e-3)
    assert grid_of(scaled, package(2)).unit == Fraction(1, 10_000)


def test_a_bound_between_two_whole_numbers_of_bytes_closes_the_gap():
    graph, hardware = chain_of([3.0, 3.0, 3.0, 3.0], size=4.0), package(4)
    instance = contract(graph, hardware)
    incumbent = Incumbent(instance, 1e-4, lambda: 0.0, None, aim=Aim.at(instance, "traffic"))
    assert incumbent.offer(Placement(np.array([0, 1, 2, 2]))) and incumbent.value == 8.0
    assert 4.0 < incumbent.better * incumbent.aim.unit < 4.1
    incumbent.prove(5.5 / incumbent.aim.unit, exact=True)
    assert incumbent.bound == 8.0 and incumbent.closed


def test_goals_without_a_unit_are_left_alone():
    assert multiples_of("energy", chain_of([1.0, 2.0])) is None
    assert multiples_of("moves", chain_of([1.0, 2.0])).up(1.2) == 2.0
