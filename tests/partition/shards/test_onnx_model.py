"""ONNX models in parts compute the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sharded_models import convolutions, model_file, onnx

from partition import InvalidInput, load_hardware, load_model, partition

ort = pytest.importorskip("onnxruntime")


def outputs(model: object, shape: list[int]) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])  # type: ignore[attr-defined]
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return np.asarray(session.run(None, {"x": x})[0])


def feed_forward(path: Path, opset: int = 17) -> tuple[Path, list[int], str]:
    rng, node = np.random.default_rng(2), onnx.helper.make_node
    nodes = [
        node("MatMul", ["x", "w"], ["m"], name="up"), node("Add", ["b", "m"], ["a"], name="bias"),
        node("Relu", ["a"], ["r"], name="relu"), node("MatMul", ["r", "w2"], ["y"], name="down"),
    ]  # fmt: skip
    shapes = {"w": (6, 14), "b": (14,), "w2": (14, 6)}
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    return model_file(path, nodes, [2, 5, 6], weights, opset), [2, 5, 6], "up"


def gemm(path: Path) -> tuple[Path, list[int], str]:
    rng, node = np.random.default_rng(3), onnx.helper.make_node
    nodes = [node("Gemm", ["x", "w", "b"], ["g"], name="fc", transB=1), node("Tanh", ["g"], ["y"], name="tanh")]
    weights = {"w": rng.standard_normal((9, 4)).astype(np.float32), "b": rng.standard_normal(9).astype(np.float32)}
    return model_file(path, nodes, [3, 4], weights), [3, 4], "fc"


def transposed(path: Path) -> tuple[Path, list[int], str]:
    rng, node = np.random.default_rng(4), onnx.helper.make_node
    nodes = [node("ConvTranspose", ["x", "w", "b"], ["y"], name="up", strides=[2, 2])]
    weights = {"w": rng.standard_normal((3, 7, 2, 2)).astype(np.float32), "b": np.ones(7, np.float32)}
    return model_file(path, nodes, [1, 3, 5, 5], weights), [1, 3, 5, 5], "up"


@pytest.mark.parametrize("make", [convolutions, feed_forward, gemm, transposed, lambda p: feed_forward(p, opset=9)])
@pytest.mark.parametrize("count", [2, 3, 100])
def test_an_onnx_model_in_parts_computes_the_same(tmp_path: Path, make: object, count: int) -> None:
    from partition.shards.onnx_model import shard_onnx

    path, shape, name = make(tmp_path / "m.onnx")  # type: ignore[operator]
    parts = shard_onnx(path, {name: count})
    onnx.checker.check_model(parts, full_check=True)
    np.testing.assert_allclose(outputs(parts, shape), outputs(onnx.load(path), shape), rtol=1e-5, atol=1e-5)
    names = {node.name for node in parts.graph.node}
    assert f"{name}#1" in names and sum(n.endswith("#join") for n in names) == 1
    assert not {"w"} & {tensor.name for tensor in parts.graph.initializer}


def test_an_onnx_model_in_parts_is_solved_split_and_verified(tmp_path: Path) -> None:
    from partition.shards.onnx_model import shard_onnx
    from partition.split import split_model, verify_parts

    path, _, name = convolutions(tmp_path / "m.onnx")
    onnx.save(shard_onnx(path, {name: 2}), tmp_path / "parts.onnx")
    graph = load_model(str(tmp_path / "parts.onnx")).graph
    result = partition(graph, load_hardware("ring4"))
    split_model(tmp_path / "parts.onnx", result, tmp_path / "out")
    comparisons = verify_parts(tmp_path / "parts.onnx", tmp_path / "out")
    assert comparisons


def test_convolutions_in_groups_and_computed_weights_are_refused_in_a_sentence(tmp_path: Path) -> None:
    from partition.shards.onnx_model import can_cut, shard_onnx

    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="depthwise", group=4), node("Relu", ["k"], ["k2"], name="made"),
        node("Conv", ["c", "k2"], ["y"], name="computed"),
    ]  # fmt: skip
    weights = {"w": np.ones((4, 1, 1, 1), np.float32), "k": np.ones((4, 4, 1, 1), np.float32)}
    path = model_file(tmp_path / "m.onnx", nodes, [1, 4, 3, 3], weights)
    with pytest.raises(InvalidInput, match="in groups"):
        shard_onnx(path, {"depthwise": 2})
    with pytest.raises(InvalidInput, match=r"computed, not stored|no operation"):
        shard_onnx(path, {"computed": 2})
    assert can_cut(path) == {}
