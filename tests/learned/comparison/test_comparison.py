"""Methods compared: equal budgets, honest periods, the same curves whatever else runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force
from instances import random_instance

from learned.comparison.comparison import METHODS, MethodComparison, Trial, compare, sample_marks
from learned.comparison.methods import _moved, annealing, balanced_random_search, greedy, random_search, slicing
from learned.policy.features import NodeFeatures
from learned.policy.policy import Policy
from learned.policy.rollouts import Environment
from learned.training.ppo import Settings
from partition import InvalidInput, load_hardware, partition
from partition.instance.contract import contract
from partition.models import build
from partition.scoring.feasibility import impossible

GRAPH, HARDWARE = build("resnet50"), load_hardware("ring4")
SMALL = Settings(rollouts=5, rounds=2, epochs=1, minibatches=1)


def policy() -> Policy:
    return Policy.new([NodeFeatures.of(contract(GRAPH, HARDWARE))], np.random.default_rng(0))


def run(**changes: Any) -> MethodComparison:
    wanted: dict[str, Any] = {"samples": 23, "seeds": (0, 1)}
    means: dict[str, Any] = {"policy": policy(), "settings": SMALL}
    for name, value in changes.items():
        (wanted if name in Trial.__dataclass_fields__ else means)[name] = value
    return compare(GRAPH, HARDWARE, Trial(**wanted), **means)


@pytest.fixture(scope="module")
def comparison() -> MethodComparison:
    return run(reference=partition(GRAPH, HARDWARE))


def test_every_method_gets_the_same_number_of_samples(comparison: MethodComparison) -> None:
    assert tuple(comparison.curves) == METHODS
    for curves in comparison.curves.values():
        assert [len(curve.best) for curve in curves] == [23, 23]


def test_curves_fall_and_stay_above_the_bound(comparison: MethodComparison) -> None:
    for curves in comparison.curves.values():
        for curve in curves:
            assert np.all(np.diff(curve.best) <= 0)
            assert np.all(np.diff(curve.seconds) >= 0)
            assert curve.best[-1] >= comparison.bound


def test_the_number_of_processes_does_not_matter(comparison: MethodComparison) -> None:
    again = run(jobs=2)
    for method, curves in comparison.curves.items():
        for a, b in zip(curves, again.curves[method], strict=True):
            assert np.array_equal(a.best, b.best)


def test_samples_to_a_period_are_counted_from_one(comparison: MethodComparison) -> None:
    for method, curves in comparison.curves.items():
        first = comparison.samples_to(method, float(curves[0].best[0]))[0]
        assert first == 1
        assert comparison.samples_to(method, comparison.bound * 0.5) == [None, None]


def test_json_and_table_name_every_method(comparison: MethodComparison) -> None:
    data = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert [row["method"] for row in data["methods"]] == list(METHODS)
    assert data["marks"] == [1, 2, 5, 10, 20, 23] == sample_marks(23)
    assert all(method in comparison.to_table() for method in METHODS)
    assert 0.0 <= comparison.raw_valid["random"] <= 1.0


def test_pictures_are_written(comparison: MethodComparison, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from learned.comparison.plots import plot_samples, plot_seconds, save_figure

    save_figure(comparison, tmp_path / "both.png")
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    for plot in (plot_samples, plot_seconds):
        assert len(plot(comparison).get_lines()) == len(METHODS) + 1


@pytest.mark.parametrize("changes", [{"samples": 0}, {"seeds": ()}, {"methods": ("magic",)}])
def test_what_cannot_be_compared_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        run(**changes)


@pytest.mark.parametrize("method", [random_search, balanced_random_search, annealing, greedy, slicing])
def test_no_sample_is_better_than_the_optimum(method: Any) -> None:
    compared = 0
    for seed in range(40):
        graph, hardware = random_instance(np.random.default_rng(seed))
        if impossible(graph, hardware) is not None:
            continue
        try:
            best, _ = brute_force(as_given(graph, hardware), limit=20_000)
        except OverflowError:
            continue
        if best is None:
            continue
        periods = np.concatenate([*method(Environment(graph, hardware), 20, np.random.default_rng(1)), [np.inf]])
        assert len(periods) <= 21
        assert periods.min() >= best * (1 - 1e-9)
        compared += bool(np.isfinite(periods.min()))
    assert compared > 10


def test_moves_of_annealing_keep_the_order_of_the_chips() -> None:
    environment = Environment(build("gnmt:seq=3,layers=2"), load_hardware("ring8"))
    rng = np.random.default_rng(0)
    precedence, nodes = environment.repair.precedence, environment.repair.nodes
    chips = environment.repair.sample(np.ones((environment.instance.nodes, 8)), 1, rng).chips[0]
    edges = environment.instance.edges
    moved = 0
    for _ in range(200):
        after = _moved(chips, precedence.ancestors, precedence.descendants, nodes, 8, rng)
        assert np.all(after[edges[:, 0]] <= after[edges[:, 1]])
        moved += not np.array_equal(after, chips)
        chips = after
    assert moved > 100
