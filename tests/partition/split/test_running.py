"""Runs that would not end."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper
from onnx_programs import I64, B, F, const, vi
from split_models import node

from partition import InvalidModelFile
from partition.split.running import open_session, run_session


def test_a_run_without_an_end_is_ended() -> None:
    ends = [vi("i", I64, []), vi("go", B, []), vi("s", F, [64, 64])], [vi("on", B, []), vi("t", F, [64, 64])]
    body = helper.make_graph([node("Identity", "go", "on"), node("MatMul", "s s", "t")], "b", *ends)
    loop = helper.make_node("Loop", ["", "yes", "x"], ["y"], body=body)
    graph = helper.make_graph(
        [loop], "g", [vi("x", F, [64, 64])], [vi("y", F, [64, 64])], [const("yes", True, np.bool_)]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    with pytest.raises(InvalidModelFile, match=r"not run the model within 0.2 s"):
        run_session(open_session(model), ["y"], {"x": np.zeros((64, 64), np.float32)}, model, within=0.2)
