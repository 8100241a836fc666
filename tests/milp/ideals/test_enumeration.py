"""Ideals: every one is found, once, and only those are dropped that more crosses than may."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from instances import random_instance, random_training_instance

import milp.ideals.enumeration
from milp.ideals.block_data import BlockData
from milp.ideals.enumeration import Crossing, Kept
from milp.ideals.leaving_out import kept_nodes, transfers
from partition.instance.contract import contract
from partition.instance.instance import Instance
from partition.stopping import Stop


def instances(count: int) -> list[tuple[Instance, float]]:
    """Instances, and below what time nodes are left out."""
    found = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng) if seed % 3 else random_training_instance(rng)
        found.append((contract(graph, hardware), float(rng.choice([0.0, 0.2, 0.5]))))
    return found


def ideals_of(instance: Instance, kept: Kept) -> set[int]:
    """Every set of kept nodes that holds the kept ancestors of its nodes, by trying all sets."""
    ancestors = [set[int]() for _ in range(instance.nodes)]
    for u, v in sorted(instance.edges.tolist(), key=lambda edge: int(edge[1])):
        ancestors[v] |= ancestors[u] | {u}
    place = {int(v): i for i, v in enumerate(kept.nodes)}
    needs = [{place[u] for u in ancestors[v] if u in place} for v in kept.nodes.tolist()]
    sets = (set(c) for size in range(len(needs) + 1) for c in itertools.combinations(range(len(needs)), size))
    return {sum(1 << i for i in each) for each in sets if all(needs[i] <= each for i in each)}


def numbers(words: np.ndarray) -> list[int]:
    return [int.from_bytes(ideal.tobytes(), "little") for ideal in words]


@pytest.mark.parametrize("settle", [1, 3, 32])
def test_every_ideal_is_found_once(settle: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milp.ideals.enumeration, "SETTLE", settle)
    looked = 0
    for instance, limit in instances(60):
        kept = Kept(instance, kept_nodes(instance, limit))
        if 0 < len(kept.nodes) <= 10:
            found = kept.enumerate(5_000, Stop())
            assert found is not None
            assert len(found) == len(set(numbers(found)))
            assert set(numbers(found)) == ideals_of(instance, kept)
            looked += 1
    assert looked > 30


@pytest.mark.parametrize("settle", [1, 32])
def test_those_are_dropped_that_more_crosses_than_may(settle: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milp.ideals.enumeration, "SETTLE", settle)
    dropped = 0
    for seed, (instance, limit) in enumerate(instances(80)):
        kept = Kept(instance, kept_nodes(instance, limit))
        if not len(kept.nodes):
            continue
        every = kept.enumerate(5_000, Stop())
        assert every is not None
        cut = BlockData(instance, kept).sums(every, instance.fastest)[2]
        most = float(np.random.default_rng(seed).choice(cut)) * 1.000001 + 1e-9
        found = kept.enumerate(5_000, Stop(), Crossing(transfers(instance, kept.node), most))
        assert found is not None
        assert set(numbers(every[cut <= most])) <= set(numbers(found)) <= set(numbers(every))
        # Those put aside are not looked at again; all others are dropped.
        assert settle == 1 or len(found) == np.count_nonzero(cut <= most)
        dropped += len(every) - len(found)
    assert dropped > 50


def test_more_than_the_limit_is_nothing() -> None:
    instance = next(i for i, _ in instances(60) if i.nodes > 4 and len(i.edges) > 2)
    kept = Kept(instance, np.ones(instance.nodes, dtype=bool))
    every = kept.enumerate(5_000, Stop())
    assert every is not None
    assert kept.enumerate(len(every) - 1, Stop()) is None
