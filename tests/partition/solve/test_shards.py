"""Parts chosen around the operation that is the wall."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from checked import as_given
from exhaustive import least_known
from instances import chain_of, package
from sharded_models import two_layers
from wish_draws import draw_wishes

from partition import Graph, GraphBuilder, InvalidInput, load_hardware, load_model, partition
from partition.commands.options import with_parts


def test_parts_that_are_named_are_those_of_the_answer() -> None:
    result = partition(two_layers(), load_hardware("ring4"), shard={"heavy": 2})
    assert result.shards is not None and dict(result.shards.parts) == {"heavy": 2}
    assert set(result.assignment) == set(result.graph.names) and "heavy#1" in result.assignment


def test_parts_pay_where_one_operation_is_the_wall() -> None:
    """``benchmarks/shards.py`` measures the other models."""
    graph, hardware = load_model("unet").graph, load_hardware("ring36")
    whole = partition(graph, hardware, work_limit=10)
    parts = partition(graph, hardware, work_limit=8, shard="auto")
    assert whole.period / parts.period >= 1.8
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


@pytest.mark.parametrize(("room", "reason"), [(8.0, "proved without parts"), (1.0, "cutting operations does not help")])
def test_what_is_proved_without_parts_is_not_said_of_parts(room: float, reason: str) -> None:
    hardware = load_hardware("ring4")
    kinds = tuple(replace(kind, sram_bytes=room) for kind in hardware.kinds)
    result = partition(two_layers(weights=30.0), replace(hardware, kinds=kinds), shard="auto", work_limit=1)
    assert result.status == "infeasible" and reason in result.reason


def test_a_goal_other_than_the_period_has_no_parts() -> None:
    with pytest.raises(InvalidInput, match="first goal"):
        partition(chain_of([1, 2]), package(2), shard="auto", objective="traffic")


def some_convolutions(rng: np.random.Generator) -> Graph:
    """A few operations in modules, the first of which can be cut."""
    b = GraphBuilder("some")
    for i in range(4):
        kind = "Conv" if i == 0 else str(rng.choice(["Conv", "Relu", "Add"]))
        read = [f"t{j}" for j in range(i) if rng.random() < 0.5][:2] or [f"t{i - 1}"] * bool(i)
        weights = float(rng.integers(1, 9)) if kind == "Conv" else 0.0
        flops, size = (float(x) for x in rng.integers(1, 100, 2))
        b.operation(
            f"m{i % 2}/{i // 2}/o{i}", kind, inputs=read, outputs={f"t{i}": size / 10}, flops=flops, bytes_accessed=0,
            weights=weights,
        )  # fmt: skip
    return b.build()


def test_wishes_hold_for_all_parts_of_an_operation() -> None:
    """Against brute force over the graph with parts, where a name means all parts and joins of the operation."""
    kept = impossible = 0
    for seed in range(11):
        rng = np.random.default_rng(seed)
        graph, hardware = some_convolutions(rng), package(int(rng.integers(2, 4)), triangle=bool(seed % 2))
        wishes = draw_wishes(rng, "several", list(graph.names), hardware.chips)
        try:
            result = partition(graph, hardware, shard={graph.names[0]: 2}, work_limit=5, **wishes)
        except InvalidInput as error:
            assert "by a wish" in str(error)
            continue
        assert with_parts(graph, json.loads(result.to_json())).names == result.graph.names
        best = least_known(as_given(result.graph, hardware, wishes))
        impossible += best is None
        kept += bool(wishes) and best is not None
        assert result.period == (pytest.approx(best) if best is not None else float("inf")), f"seed {seed}"
    assert kept >= 3 and impossible >= 1


def test_operations_that_a_wish_ties_stay_whole() -> None:
    hardware = load_hardware("ring4")
    result = partition(two_layers(), hardware, shard="auto", together=[["heavy", "act"]], work_limit=2)
    assert result.shards is not None and "heavy" not in result.shards.parts
    with pytest.raises(InvalidInput, match="'heavy' shares a chip with other operations by a wish"):
        partition(two_layers(), hardware, shard={"heavy": 2}, together=[["heavy", "act"]])


def test_parts_were_nowhere_before() -> None:
    """An answer to stay near to has the operations as they are."""
    hardware = load_hardware("ring4")
    before = partition(two_layers(), hardware)
    result = partition(two_layers(), hardware, shard={"heavy": 2}, stability=before, gap=0.5)
    assert result.goals[-1].value == 0 and result.assignment["light"] == before.assignment["light"]
