"""What counting alone says of a model that cannot fit a package."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from instances import chain_of, package, random_instance

from partition import Graph, check, partition
from partition.instance.contract import contract
from partition.problem.chip_kind import MEMORY_SLACK
from partition.problem.placement import Placement
from partition.readers.native_json import from_dict, to_dict
from partition.results.description import summary
from partition.scoring.cost import evaluate_placement
from partition.scoring.feasibility import impossible


def with_unused(graph: Graph, size: float) -> Graph:
    """The graph with one more shared weight, last of all, that no operation uses."""
    return replace(
        graph,
        shared_names=(*graph.shared_names, "unused"),
        shared_bytes=np.append(graph.shared_bytes, size),
        shared_ptr=np.append(graph.shared_ptr, graph.shared_ptr[-1]),
    )


def test_a_weight_that_no_operation_uses_takes_no_room() -> None:
    graph = replace(chain_of([1, 1]), weights=np.array([10.0, 10.0]))
    result = partition(with_unused(graph, 100.0), package(2, sram=15))
    assert result.status == "optimal"
    assert result.period == 1.0


def test_weights_that_fit_chip_by_chip_are_not_too_much_added_up_in_another_order() -> None:
    graph = replace(chain_of([1] * 6), weights=np.full(6, 3.3))
    hardware = package(6, sram=3.2999999966999995)
    assert not check(graph, hardware, np.arange(6))
    assert graph.weight_bytes > float(hardware.room.sum()) * (1 + MEMORY_SLACK)
    assert partition(graph, hardware).status == "optimal"


@pytest.mark.parametrize("size", [0.0, 1e12])
def test_a_weight_that_no_operation_uses_changes_nothing(size: float) -> None:
    for seed in range(60):
        graph, hardware = random_instance(np.random.default_rng(seed))
        more = from_dict(to_dict(with_unused(graph, size)))
        assert str(impossible(more, hardware)) == str(impossible(graph, hardware))
        assert summary(more, hardware) == summary(graph, hardware)
        before, after = contract(graph, hardware), contract(more, hardware)
        for field in ("weights", "shared_bytes", "shared_ptr", "shared_nodes", "replicable"):
            assert np.array_equal(getattr(before, field), getattr(after, field)), field
        alone = Placement(np.zeros(graph.n, dtype=np.int64))
        held = [evaluate_placement(g, hardware, alone).sram for g in (graph, more)]
        assert np.array_equal(*held)


def test_a_weight_that_is_used_still_counts() -> None:
    graph = with_unused(chain_of([1, 1]), 100.0)
    graph = replace(graph, shared_ptr=np.array([0, 1]), shared_users=np.array([1]))
    reason = impossible(graph, package(2, sram=15))
    assert reason is not None
    assert reason.rule == "memory"
