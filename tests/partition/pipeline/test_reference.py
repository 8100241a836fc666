"""The model that measures a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")
import onnx

from partition import Graph
from partition.pipeline.reference import suite


def test_the_suite_is_a_model_that_can_be_read_and_runs(tmp_path: Path) -> None:
    onnx.checker.check_model(suite(), full_check=True)
    onnx.save(suite(), str(tmp_path / "suite.onnx"))
    graph = Graph.from_onnx(str(tmp_path / "suite.onnx"))
    assert not graph.unknown_operators and (~graph.is_source).sum() > 60
