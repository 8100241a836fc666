"""The most work of a block that fits one chip, against known optima."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_optima import CASES

from milp.chip_bounds.capacity import BlockCapacity
from partition.instance.contract import contract
from partition.stopping import Stop


def test_no_block_of_the_optimum_exceeds_the_capacity() -> None:
    for graph, hardware, best, chips in CASES[:25]:
        instance = contract(graph, hardware)
        if not hardware.identical_chips:
            continue
        most = BlockCapacity(instance).most_work(best / instance.unit * (1 + 1e-9), time_limit=10, stop=Stop(60))
        work = np.bincount(chips, weights=hardware.times(graph).min(axis=0)) / instance.unit
        assert work.max() <= most * (1 + 1e-6) + 1e-6


def test_what_is_too_far_from_a_node_is_in_no_block_with_it() -> None:
    """The cheapest block is the same with and without that knowledge."""
    narrowed = 0
    for graph, hardware, best, _ in CASES[::2]:
        links = replace(hardware.interconnect, transfers="serial")
        instance = contract(graph, replace(hardware, interconnect=links))
        plain = np.flatnonzero(~instance.replicable)
        if not BlockCapacity.applies(instance) or not len(plain):
            continue
        informed, simple = BlockCapacity(instance), BlockCapacity(instance)
        vars(simple)["_reach"] = None
        upper = 1.2 * max(best / instance.unit, float(instance.fastest.max()))
        for node in plain[:2].tolist():
            narrowed += any(side.any() for side in informed.outside(node, upper))
            found = [each.cheapest(node, upper=upper, time_limit=10, stop=Stop()) for each in (informed, simple)]
            assert found[0].bound == pytest.approx(found[1].bound, rel=1e-5)
    assert narrowed > 10
