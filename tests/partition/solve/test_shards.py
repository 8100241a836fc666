"""Parts chosen around the operation that is the wall."""

from __future__ import annotations

from dataclasses import replace

import pytest
from instances import chain_of, package
from sharded_models import two_layers

from partition import Graph, GraphBuilder, InvalidInput, load_hardware, load_model, partition


def test_parts_that_are_named_are_those_of_the_answer() -> None:
    result = partition(two_layers(), load_hardware("ring4"), shard={"heavy": 2})
    assert result.shards is not None and dict(result.shards.parts) == {"heavy": 2}
    assert set(result.assignment) == set(result.graph.names) and "heavy#1" in result.assignment


@pytest.mark.parametrize(("model", "least"), [("unet", 1.8), ("inception", 2.3)])
def test_parts_pay_where_one_operation_is_the_wall(model: str, least: float) -> None:
    graph, hardware = load_model(model).graph, load_hardware("ring36")
    whole = partition(graph, hardware, work_limit=10)
    parts = partition(graph, hardware, work_limit=8, shard="auto")
    assert whole.period / parts.period >= least
    assert parts.shards is not None and parts.shards.bound == pytest.approx(whole.bound)
    assert parts.shards.floor <= parts.period and "no partition without parts is below" in parts.verdict()


def test_parts_that_do_not_pay_are_not_made() -> None:
    """With links this slow nothing should move."""
    hardware = load_hardware("ring4:link_bandwidth=1e3")
    result = partition(two_layers(), hardware, shard="auto", work_limit=10)
    assert result.shards is not None and not result.shards.parts
    assert result.period == partition(two_layers(), hardware, work_limit=10).period


def test_what_does_not_fit_one_chip_fits_in_parts() -> None:
    hardware = load_hardware("ring4:link_bandwidth=1e12")
    kinds = tuple(replace(kind, sram_bytes=12.0) for kind in hardware.kinds)
    hardware = replace(hardware, kinds=kinds)
    graph = two_layers(weights=30.0)
    assert partition(graph, hardware).status == "infeasible"
    result = partition(graph, hardware, shard="auto", work_limit=10)
    assert result.placement is not None and result.shards is not None and result.shards.parts["heavy"] >= 3
    assert "without parts it does not fit" in result.verdict()


def three_alike() -> Graph:
    b = GraphBuilder("three")
    for i in range(3):
        inputs = [f"t{i - 1}"] if i else []
        b.operation(f"c{i}", "Conv", inputs=inputs, outputs={f"t{i}": 1.0}, flops=1e9, weights={f"w{i}": 600.0})
    return b.build()


def test_what_does_not_fit_together_fits_in_parts() -> None:
    """Two chips hold one of three operations each, and all of them in halves."""
    hardware = replace(package(2), kinds=tuple(replace(kind, sram_bytes=1e3) for kind in package(2).kinds))
    assert partition(three_alike(), hardware).status == "infeasible"
    result = partition(three_alike(), hardware, shard="auto", work_limit=5)
    assert result.placement is not None and "without parts it does not fit" in result.verdict()


def test_a_throughput_that_takes_parts_is_reached() -> None:
    hardware = load_hardware("ring4")
    whole = partition(three_alike(), hardware).period
    result = partition(three_alike(), hardware, shard="auto", throughput=1.2 / whole, work_limit=5)
    assert result.placement is not None and result.period <= whole / 1.2


def test_what_is_proved_without_parts_is_not_said_of_parts() -> None:
    hardware = load_hardware("ring4")
    kinds = tuple(replace(kind, sram_bytes=1.0) for kind in hardware.kinds)
    result = partition(two_layers(weights=30.0), replace(hardware, kinds=kinds), shard="auto", work_limit=5)
    assert result.status == "infeasible" and "proved without parts" in result.reason


def test_a_goal_other_than_the_period_has_no_parts() -> None:
    with pytest.raises(InvalidInput, match="first goal"):
        partition(chain_of([1, 2]), package(2), shard="auto", objective="traffic")
