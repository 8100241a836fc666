"""Profiles of models, and figures of chips and links fitted to measurements."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

pytest.importorskip("onnxruntime")
from pipeline_models import saved, value

from partition import Graph, InvalidInput
from partition.pipeline import profile
from partition.pipeline.profile import ProfileSamples, kernel_times
from partition.readers.measured import times_for, with_times


@pytest.mark.parametrize("optimised", [False, True])
def test_the_times_of_operations_sum_to_a_run(small: Path, optimised: bool, tmp_path: Path) -> None:
    """Whatever is fused, folded or nameless: the whole run belongs to operations of the model."""
    found = profile(small, dims={"n": 1}, optimised=optimised, runs=5)
    graph = Graph.from_onnx(str(small), dims={"n": 1})
    assert found.graph.fingerprint == graph.fingerprint
    assert (found.seconds >= 0).all() and (found.seconds[graph.is_source] == 0).all()
    assert found.seconds.sum() == pytest.approx(found.run, rel=1e-6)
    conv = graph.op_types.index("Conv")
    assert found.seconds[conv] > 0.3 * found.seconds.sum()
    assert found.nodes < 7 if optimised else found.nodes == 7
    assert (found.fused >= 2) == optimised
    (tmp_path / "times.csv").write_text(found.to_csv())
    times, matched = times_for(graph, tmp_path / "times.csv")
    _, missing = with_times(graph, times, ["edge"])
    assert matched is None and missing == []
    assert "us beside each" in found.summary()


def test_views_have_times_of_their_own(tmp_path: Path) -> None:
    """They take none in the model of costs, but the runtime does something for each."""
    nodes = [
        helper.make_node("Split", ["x"], ["a", "b"], name="split", axis=1, num_outputs=2),
        helper.make_node("Reshape", ["a", "shape"], ["c"], name="reshape"),
        helper.make_node("MatMul", ["c", "w"], ["d"], name="product"),
        helper.make_node("Add", ["d", "b"], ["y"], name="sum"),
    ]
    held = [
        numpy_helper.from_array(np.array([8, 4]), "shape"),
        numpy_helper.from_array(np.ones((4, 4), dtype=np.float32), "w"),
    ]
    path = saved(tmp_path / "views.onnx", nodes, [value("x", [8, 8])], [value("y", [8, 4])], held)
    found = profile(path, runs=5)
    assert np.isfinite(found.seconds).all() and found.seconds.sum() == pytest.approx(found.run, rel=1e-6)
    (tmp_path / "times.csv").write_text(found.to_csv())
    assert times_for(Graph.from_onnx(str(path)), tmp_path / "times.csv")[0]


def test_what_noting_takes_is_no_time_of_the_kernels() -> None:
    """Runs of 8 s, in which three kernels of 3, 3 and 2 s are told as 4, 5 (one node within it) and 3."""
    told, plain = np.array([[4.0], [5.0], [3.0]]) + np.zeros((3, 5)), np.full(5, 8.0)
    samples = ProfileSamples(told, np.array([0, 1, 0]), np.full(5, 12.0), np.ones(5), plain)
    assert kernel_times(samples, 8.0)[0].tolist() == [3.0, 3.0, 2.0]
    cheap = replace(samples, watched=np.full(5, 9.0))  # noting took 1 s in all, so the rest is no noting
    assert kernel_times(cheap, 8.0)[0].tolist() == [3.75, 4.5, 2.75]


def test_an_overhead_found_elsewhere_takes_the_place_of_the_models_own(small: Path) -> None:
    found = profile(small, dims={"n": 1}, runs=5, overhead=1.0)
    assert found.overhead == 1.0 and found.seconds.sum() == pytest.approx(7.0, rel=0.1)


@pytest.mark.parametrize("options", [{"runs": 4}, {"runs": 7.5}, {"seconds": 0}])
def test_numbers_without_sense_are_refused(small: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(options))):
        profile(small, dims={"n": 1}, **options)
