"""Closures of least cut, against all closures."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from partition.heuristics.traffic.closures import Cut


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
