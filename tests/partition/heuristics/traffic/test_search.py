"""Placements of little traffic: what they count, closures and flows against every choice, and the search itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from instances import RULES, random_instance

from partition import evaluate_placement, partition
from partition.arrays import csr
from partition.heuristics.traffic.closures import Cut
from partition.heuristics.traffic.flows import move_cut
from partition.heuristics.traffic.moves import Moves
from partition.heuristics.traffic.network import Network
from partition.heuristics.traffic.search import little_traffic
from partition.heuristics.traffic.starts import _smooth
from partition.instance.contract import contract
from partition.stopping import Stop


def drawn(seed: int, nodes: int, chips: int, *, linked: bool, spare: float = 0.3) -> Network:
    """Tensors with several readers, unequal sizes, windows on some nodes."""
    rng = np.random.default_rng(seed)
    made = [(v, sorted(set(rng.integers(v + 1, nodes, rng.integers(1, 4)).tolist()))) for v in range(nodes - 1)]
    made = [each for each in made if rng.random() < 0.8]
    tensor = np.repeat(np.arange(len(made)), [len(readers) for _, readers in made])
    ptr, readers = csr(len(made), tensor, [w for _, each in made for w in each])
    source = np.array([v for v, _ in made])
    time = rng.integers(1, 4, nodes).astype(float)
    return Network(
        time=np.tile(time, (chips, 1)),
        limit=max(time.max(), np.ceil(time.sum() / chips * (1 + spare))),
        weights=np.zeros(nodes),
        room=np.full(chips, np.inf),
        lo=np.zeros(nodes, np.int64),
        hi=np.where((rng.random(nodes) < 0.1) & (np.arange(nodes) < nodes // 2), chips - 2, chips - 1),
        source=source,
        size=rng.integers(1, 9, len(made)).astype(float),
        ptr=ptr,
        readers=readers,
        linked=linked,
    )


def fitting(network: Network) -> Iterator[np.ndarray]:
    """Every placement that keeps all limits."""
    for chips in itertools.product(range(network.chips), repeat=network.nodes):
        chip = np.array(chips)
        if network.fits(chip):
            yield chip


@pytest.mark.parametrize("topology", ["chain", "crossbar"])
def test_traffic_is_that_of_the_cost_model(topology: str) -> None:
    compared = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rules = dict.fromkeys(RULES, False) | {"acyclic": True}
        graph, hardware = random_instance(rng, topology=topology, **rules)
        instance = contract(graph, hardware)
        if not instance.forward_only or instance.replicable.any():
            continue
        last = np.full(instance.nodes, instance.chips - 1)
        network = Network.of(instance, np.zeros_like(last), last, np.inf, instance.chips)
        chip = np.zeros(instance.nodes, np.int64)
        for u, w in network.edges[np.argsort(network.edges[:, 0], kind="stable")].tolist():
            chip[w] = max(chip[w], chip[u], rng.integers(instance.chips))
        if not (chip[network.edges[:, 0]] <= chip[network.edges[:, 1]]).all():
            continue
        told = evaluate_placement(graph, hardware, instance.lift(chip, [], [])).traffic[0]
        assert network.traffic(chip) == pytest.approx(told)
        compared += network.traffic(chip) > 0
    assert compared > 15


def test_closures_are_the_cheapest_of_all() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        edges = np.unique(np.sort(rng.integers(0, 8, (10, 2)), axis=1), axis=0)
        edges = edges[edges[:, 0] < edges[:, 1]]
        cost = rng.integers(1, 9, len(edges)).astype(float)
        inside, outside = rng.integers(0, 6, (2, 8)).astype(float)
        forced = int(rng.integers(8))
        inside[forced] = np.inf

        def paid(held: np.ndarray, cost: np.ndarray = cost, edges: np.ndarray = edges) -> float:
            crossing = cost[held[edges[:, 0]] & ~held[edges[:, 1]]].sum()
            return float(crossing + inside[~held].sum() + outside[held].sum())  # noqa: B023

        closed = [
            held
            for held in map(np.array, itertools.product([False, True], repeat=8))
            if held[forced] and not (held[edges[:, 1]] & ~held[edges[:, 0]]).any()
        ]
        least = min(map(paid, closed))
        for found in Cut(8, edges, edges, cost, inside, outside).least():
            assert any((found == held).all() for held in closed)
            assert paid(found) == pytest.approx(least)


@pytest.mark.parametrize("linked", [True, False])
def test_a_flow_never_makes_a_cut_worse(linked: bool) -> None:
    moved = 0
    for seed in range(20):
        network = drawn(seed, 7, 3, linked=linked, spare=9.0)
        rng = np.random.default_rng(seed)
        choices = list(fitting(network))
        chip = choices[int(rng.integers(len(choices)))]
        for first in range(2):
            elsewhere = (chip != first) & (chip != first + 1)
            same = [each for each in choices if (each[elsewhere] == chip[elsewhere]).all()]
            same = [each for each in same if ((each == first) | (each == first + 1) | elsewhere).all()]
            least = min(map(network.traffic, same))
            found = move_cut(network, chip, first, 1e6)
            crossing = network.edges[(chip[network.edges] == first).any(axis=1)]
            if not found or not (chip[crossing] == first + 1).any():
                continue
            assert least <= min(map(network.traffic, found)) <= network.traffic(chip)
            moved += network.traffic(found[0]) < network.traffic(chip)
    assert moved > 3


@pytest.mark.parametrize("linked", [True, False])
def test_moves_tell_what_they_gain(linked: bool) -> None:
    gained = 0
    for seed in range(40):
        network = drawn(seed, 10, 3, linked=linked)
        rng = np.random.default_rng(seed)
        start = next(iter(fitting(network)), None)
        if start is None:
            continue
        found, gain = Moves(network, start, rng).run()
        assert network.fits(found)
        assert network.traffic(start) - network.traffic(found) == pytest.approx(gain)
        gained += gain > 0
    assert gained > 10


@pytest.mark.parametrize("linked", [True, False])
def test_the_search_mostly_finds_the_least_traffic_of_small_networks(linked: bool) -> None:
    found, asked = 0, 0
    for seed in range(5):
        network = drawn(seed, 7, 3, linked=linked)
        choices = list(fitting(network))
        if not choices:
            continue
        before, least = network.traffic(choices[0]), min(map(network.traffic, choices))
        for chip in little_traffic(network, choices[0], np.random.default_rng(0), Stop(work_limit=0.4)):
            assert network.fits(chip) and network.traffic(chip) < before
            before = network.traffic(chip)
        asked += 1
        found += before <= least
    assert asked > 3 and found >= 0.75 * asked


def test_the_same_seed_gives_the_same_placements() -> None:
    network = drawn(3, 60, 4, linked=False)
    start = np.zeros(60, np.int64)
    runs = [
        [each.tolist() for each in little_traffic(network, start, np.random.default_rng(7), Stop(work_limit=0.3))]
        for _ in range(2)
    ]
    assert runs[0] == runs[1] and runs[0]


@pytest.mark.parametrize(("seed", "nodes", "begin"), [(10, 80, 13), (0, 150, 14), (7, 150, 5)])
def test_directions_are_repeatable(seed: int, nodes: int, begin: int) -> None:
    """In these cases the eigenvalue solver starts anew from random vectors, which it must take from the generator."""
    network = drawn(seed, nodes, 4, linked=True)
    found = [_smooth(network, np.random.default_rng(begin)) for _ in range(4)]
    assert all(np.array_equal(found[0], each) for each in found)


def test_a_limit_on_the_period_is_kept() -> None:
    rng = np.random.default_rng(5)
    graph, hardware = random_instance(rng, topology="crossbar", **dict.fromkeys(RULES, False) | {"acyclic": True})
    period = partition(graph, hardware).period
    result = partition(graph, hardware, objective="traffic", throughput=1 / (1.2 * period), work_limit=5)
    assert result.period <= 1.2 * period * (1 + 1e-9)
