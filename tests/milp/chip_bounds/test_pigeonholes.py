"""Pigeonhole sets bound no optimum falsely, and say how many share a chip."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force
from instances import (
    chain_of,
    package,
    random_instance,
)
from searching import solve_by
from small_optima import CASES

from milp.chip_bounds.capacity import BlockCapacity
from milp.chip_bounds.pigeonholes import Crowd, Shares, heaviest_crowd
from milp.search.first_placements import SEEDS
from milp.search.heavy_blocks import BLOCKS
from partition import GraphBuilder
from partition.instance.contract import contract
from partition.instance.instance import Instance
from partition.stopping import Stop


def asked_about(instance: Instance, crowd: Crowd, *, upper: float) -> Shares:
    """The shares of a crowd after every question that could help."""
    shares, capacity, asked = Shares(instance, crowd), BlockCapacity(instance), np.zeros(instance.nodes, dtype=bool)
    while (more := shares.next(shares.bound(), asked)) is not None:
        shares.ask(more[0], capacity, upper=upper, time_limit=10, stop=Stop(60))
        asked[more[0]] = True
    return shares


def test_some_chip_must_hold_as_many_of_a_crowd_as_pigeonholes_say() -> None:
    """Three equal operations on two chips: two of them on one, and what those cost with their transfers."""
    instance = contract(chain_of([3.0, 3.0, 3.0], size=1.0), package(2, transfers="serial"))
    crowd = heaviest_crowd(instance)
    assert crowd is not None
    assert crowd.count == 2 and crowd.work * instance.unit == pytest.approx(6.0)
    shares = asked_about(instance, crowd, upper=9.0 / instance.unit)
    assert shares.bound() * instance.unit == pytest.approx(7.0, rel=1e-5)
    assert heaviest_crowd(contract(chain_of([3.0, 3.0]), package(2))) is None


def test_few_cheap_pairs_do_not_excuse_the_rest_of_a_crowd() -> None:
    """Two operations at home together on one of three chips leave three others for two, of which two must share."""
    b = GraphBuilder("pair apart")
    b.operation("first", "Op", outputs={"thick": 5.0}, flops=3.0, bytes_accessed=0)
    b.operation("second", "Op", inputs=["thick"], flops=3.0, bytes_accessed=0)
    b.operation("in", "Op", outputs={"x": 0.5}, flops=0, bytes_accessed=0)
    for i in range(3):
        b.operation(f"v{i}", "Op", inputs=["x"], outputs={f"t{i}": 0.5}, flops=3.0, bytes_accessed=0)
    b.operation("out", "Op", inputs=[f"t{i}" for i in range(3)], flops=0, bytes_accessed=0)
    graph, hardware = b.build(), package(3, transfers="serial", replication=False)
    best, _ = brute_force(as_given(graph, hardware), limit=5_000)
    assert best == pytest.approx(7.0)
    instance = contract(graph, hardware)
    crowd = heaviest_crowd(instance)
    assert crowd is not None and crowd.count == 2 and crowd.nodes.sum() == 5
    pair = BlockCapacity(instance).cheapest(
        int(instance.node_of[0]), upper=3.0, time_limit=10, stop=Stop(60), crowd=crowd.nodes, count=2
    )
    assert pair.bound * instance.unit == pytest.approx(6.0, rel=1e-5)  # what a single pigeonhole would say
    shares = asked_about(instance, crowd, upper=1.5 * best / instance.unit)
    assert shares.bound() * instance.unit == pytest.approx(7.0, rel=1e-5)


def test_heavy_nodes_are_asked_about_though_others_have_more_to_receive() -> None:
    """Joins that receive much cost little beside what they read; the heavy one behind them is the wall."""
    b = GraphBuilder("joins")
    b.operation("in", "Op", outputs={"x0": 0.1}, flops=0, bytes_accessed=0)
    for i in range(12):
        for k in range(8):
            b.operation(f"v{i}.{k}", "Op", inputs=[f"x{i}"], outputs={f"t{i}.{k}": 3.0}, flops=0.1, bytes_accessed=0)
        many = [f"t{i}.{k}" for k in range(8)]
        b.operation(f"join{i}", "Op", inputs=many, outputs={f"x{i + 1}": 0.1}, flops=0.1, bytes_accessed=0)
    b.operation("heavy", "Op", inputs=["x12"], outputs={"y": 2.0}, flops=9.0, bytes_accessed=0)
    for i in range(12):
        b.operation(f"after{i}", "Op", inputs=["y"], flops=4.0, bytes_accessed=0)
    result = solve_by((SEEDS, BLOCKS), b.build(), package(20, transfers="serial", replication=False))
    assert result.status == "optimal" and result.period == pytest.approx(11.1)


def test_shares_of_a_crowd_add_up_to_more_than_the_chips_from_as_many_dear_nodes_as_they_say() -> None:
    rng = np.random.default_rng(0)
    graph, hardware = random_instance(rng)
    instance = contract(graph, hardware)
    tried = 0
    for _ in range(300):
        chips, size = int(rng.integers(2, 6)), int(rng.integers(3, 20))
        if size <= chips:
            continue
        count, most = -(-size // chips), int(rng.integers(1, 9))
        shares = Shares(instance, Crowd(np.zeros(instance.nodes, dtype=bool), count, float(count)))
        shares.size, shares.chips, shares.work = size, chips, np.arange(1.0, 10.0)
        if most >= count:
            each, rest = Fraction(1, count - 1), Fraction(1, most)
            enough = [dear for dear in range(size + 1) if dear * each + (size - dear) * rest > chips]
            assert min(size + 1, shares.dear(most + 0.5)) == (enough[0] if enough else size + 1)
            tried += 1
    assert tried > 50


def test_no_crowd_bounds_more_than_the_optimum() -> None:
    crowds = tight = 0
    for graph, hardware, best, _ in CASES:
        instance = contract(graph, hardware)
        crowd = heaviest_crowd(instance)
        if crowd is None:
            continue
        assert crowd.nodes.sum() > (crowd.count - 1) * hardware.chips
        assert crowd.work * instance.unit <= best * (1 + 1e-9)
        if hardware.identical_chips and (hardware.serial or not hardware.links):
            upper = 1.5 * best / instance.unit
            bound = asked_about(instance, crowd, upper=upper).bound()
            assert min(bound, upper) * instance.unit <= best * (1 + 1e-6)
            crowds += 1
            tight += bound * instance.unit >= best * (1 - 1e-4)
    assert crowds > 10 and tight > 0


def test_no_share_of_any_nodes_bounds_more_than_the_optimum() -> None:
    """Crowds need not be the heaviest nodes: all nodes, every count that pigeonholes allow."""
    tried = 0
    for graph, hardware, best, _ in CASES[:60]:
        instance = contract(graph, hardware)
        nodes = ~instance.replicable & (instance.fastest > 0)
        size = int(nodes.sum())
        if size <= instance.chips or not hardware.identical_chips or not (hardware.serial or not hardware.links):
            continue
        count = -(-size // instance.chips)
        crowd = Crowd(nodes, count, float(np.sort(instance.fastest[nodes])[:count].sum()))
        upper = 1.5 * best / instance.unit
        bound = asked_about(instance, crowd, upper=upper).bound()
        assert min(bound, upper) * instance.unit <= best * (1 + 1e-6)
        tried += 1
    assert tried > 10
