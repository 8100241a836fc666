"""Methods compared: equal budgets, honest periods, the same curves whatever else runs."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from compared_methods import run

import learned.comparison.comparison as comparison_module
from learned.comparison.comparison import METHODS, Curve, MethodComparison, Trial, sample_marks
from partition import InvalidInput


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


def test_an_interrupted_comparison_is_that_of_the_finished_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, left = comparison_module._run, itertools.count()

    def interrupted(*args: Any) -> Curve:
        if next(left) == 3:
            raise KeyboardInterrupt
        return usual(*args)

    monkeypatch.setattr(comparison_module, "_run", interrupted)
    found = run(methods=("greedy", "slicing", "random"))
    assert found.interrupted and found.to_dict()["interrupted"]
    assert {method: len(curves) for method, curves in found.curves.items()} == {"greedy": 2, "slicing": 1}
    monkeypatch.setattr(comparison_module, "_run", lambda *args: stopping())
    with pytest.raises(KeyboardInterrupt):
        run()


def stopping() -> Curve:
    raise KeyboardInterrupt


@pytest.mark.parametrize("changes", [{"samples": 0}, {"seeds": ()}, {"methods": ("magic",)}])
def test_what_cannot_be_compared_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        run(**changes)


def test_methods_that_all_need_a_policy_are_refused_without_one() -> None:
    trial = Trial(10, methods=("zero-shot", "fine-tuned"))
    with pytest.raises(InvalidInput, match="without a policy there is nothing to run"):
        trial.methods_with(None)
