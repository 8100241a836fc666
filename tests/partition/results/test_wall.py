"""What holds the period, said in a sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from instances import chain_of, package, random_instance

from partition import GraphBuilder, load_hardware, load_model, partition


def test_one_operation_that_is_the_period_is_named_with_what_is_next() -> None:
    wall = partition(chain_of([1, 7, 1]), package(3)).wall
    assert wall is not None and (wall.kind, wall.what, wall.value, wall.share) == ("operation", "v1", 7.0, 1.0)
    assert wall.without == 1.0 and "'v1' alone takes" in wall.sentence


def test_operations_that_must_share_a_chip_are_one_wall() -> None:
    builder = GraphBuilder("group")
    builder.operation("x", "Input", outputs={"x": 0})
    for name, seconds in (("a", 3.0), ("b", 4.0), ("c", 1.0)):
        group = "together" if name in "ab" else None
        builder.operation(name, "Op", inputs=["x"], outputs={name: 0}, times={"unit": seconds}, group=group)
    wall = partition(builder.build(), package(2)).wall
    assert wall is not None and (wall.kind, wall.what, wall.value) == ("operation", "b", 7.0)


def test_work_that_fills_every_chip_is_the_wall() -> None:
    wall = partition(chain_of([2, 2, 2, 2]), package(2)).wall
    assert wall is not None and (wall.kind, wall.value, wall.without) == ("work", 4.0, 2.0)


def test_work_is_spread_over_the_stages_that_may_be_used() -> None:
    wall = partition(chain_of([2, 2, 2, 2]), package(4), max_stages=2).wall
    assert wall is not None and (wall.kind, wall.value, wall.without) == ("work", 4.0, 2.0)


def test_a_slow_link_is_the_wall() -> None:
    """The weights of two operations do not fit one chip, so the tensor between them has to cross."""
    builder = GraphBuilder("two")
    builder.operation("a", "Op", outputs={"t": 50.0}, weights=8.0, times={"unit": 1.0})
    builder.operation("b", "Op", inputs=["t"], weights=8.0, times={"unit": 1.0})
    hardware = package(2)
    kinds = tuple(replace(kind, sram_bytes=10.0) for kind in hardware.kinds)
    wall = partition(builder.build(), replace(hardware, kinds=kinds)).wall
    assert wall is not None and wall.kind in ("link", "chip") and wall.share == 1.0
    assert wall.value > 1.0 and "carries 50 B for every input" in wall.sentence


@pytest.mark.parametrize("seed", range(20))
def test_the_wall_is_never_above_the_period_nor_what_is_next_above_the_wall(seed: int) -> None:
    result = partition(*random_instance(np.random.default_rng(seed)), time_limit=5)
    wall = result.wall
    if wall is None:
        return
    assert wall.value <= result.period * (1 + 1e-9) and wall.without <= result.period * (1 + 1e-9)
    if wall.kind in ("operation", "work"):
        assert wall.value <= max(result.bound, result.period) * (1 + 1e-9)
    assert " ".join(wall.sentence.split()) in " ".join(result.to_table().split())


def test_the_answer_of_a_cnn_names_the_convolution_that_holds_it() -> None:
    result = partition(load_model("unet").graph, load_hardware("ring16"))
    assert result.wall is not None and result.wall.kind == "operation" and "Conv" in result.wall.what
    assert result.to_dict()["wall"]["without"] < result.period
