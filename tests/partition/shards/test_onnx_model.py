"""ONNX models in parts compute the same, along any axis of any operation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sharded_models import FAMILIES, convolutions, drawn, figures, node, onnx, run_model, saved

from partition import Graph, InvalidInput, load_hardware, load_model, partition
from partition.shards.regions import CutGraph
from partition.shards.rewrite import shard, shardable

ort = pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("make", FAMILIES, ids=lambda make: make.__name__)
def test_operations_in_parts_along_any_axis_compute_the_same(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """Bit for bit where no sum is reordered, but for kernels that choose their blocks by the size of a matrix."""
    from partition.shards.onnx_model import shard_onnx

    path = make(tmp_path / "m.onnx")
    graph = load_model(str(path)).graph
    cut = CutGraph(graph)
    feeds = drawn(path)
    whole = run_model(onnx.load(path), feeds)
    every = [(v, axis.word) for v in np.flatnonzero(cut.able).tolist() for axis in cut.axes(v)]
    rng = np.random.default_rng(0)
    for v, word in rng.permutation(np.array(every, dtype=object))[:8]:
        asked = {graph.names[v]: f"{rng.integers(2, 4)}:{word}"}
        model = shard_onnx(path, asked)
        for name, found in run_model(model, feeds).items():
            np.testing.assert_allclose(found, whole[name], rtol=1e-4, atol=1e-5, err_msg=f"{asked}")
        names = {node.name for node in model.graph.node if "#" in node.name}
        told = {name for name in shard(graph, asked).graph.names if "#" in name}
        assert all("#join " in name for name in told - names), "of a result that nobody wants"
        assert all(name.endswith("#slice") for name in names - told), "of a constant that is computed"


@pytest.mark.parametrize("make", FAMILIES, ids=lambda make: make.__name__)
def test_all_operations_in_parts_at_once_compute_the_same(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    from partition.shards.onnx_model import parts_of_results, shard_onnx

    path = make(tmp_path / "m.onnx")
    feeds, graph = drawn(path), Graph.from_onnx(path)
    whole = run_model(onnx.load(path), feeds)
    for count in (2, 5):
        asked = dict.fromkeys(np.array(graph.names)[shardable(graph)].tolist(), count)
        model = shard_onnx(path, asked)
        for name, found in run_model(model, feeds).items():
            np.testing.assert_allclose(found, whole[name], rtol=1e-4, atol=1e-5)
        apart = shard_onnx(path, asked, apart=True)
        found = run_model(apart, feeds)
        for name, (pieces, axis) in parts_of_results(apart).items():
            together = np.concatenate([found[piece] for piece in pieces], axis)
            np.testing.assert_allclose(together, whole[name], rtol=1e-4, atol=1e-5)


def test_an_operand_that_parts_cannot_share_leaves_its_axis_whole(tmp_path: Path) -> None:
    """Tensors read in two places, sums of integers, pads beyond the kernel, attributes and operands of few models."""
    from partition.shards.onnx_model import shard_onnx

    contributed = {"domain": "com.microsoft"}
    nodes = [
        node("MatMul", "x x", "s", "square"), node("Gemm", "s s", "g", "gram", transB=1),
        node("Unsqueeze", "g zero", "u", "batch"),
        node("MultiHeadAttention", "u u u", "a", "attend", num_heads=2, **contributed),
        node("FusedMatMul", "u turned", "m", "turned", transBatchB=1, **contributed),
        node("FusedConv", "a wf - m", "f", "fused", activation="Relu", **contributed),
        node("Conv", "f wp", "p", "padded", pads=[4, 4]), node("Cast", "p", "i", "whole", to=onnx.TensorProto.INT32),
        node("MatMul", "i wi", "n", "integers"), node("Cast", "n", "y", "back", to=onnx.TensorProto.FLOAT),
    ]  # fmt: skip
    weights = figures(3, turned=(4, 1, 4), wf=(4, 4, 1), wp=(2, 4, 3)) | {"zero": np.array([0])}
    weights["wi"] = np.arange(20, dtype=np.int32).reshape(10, 2)
    path = saved(tmp_path / "m.onnx", nodes, {"x": [4, 4]}, ["y"], weights)
    feeds = {"x": np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32)}
    (whole,) = run_model(onnx.load(path), feeds).values()
    graph = load_model(str(path)).graph
    for name, axes in graph.cut_axes.items():
        for axis in axes:
            if graph.flops[graph.index[name]]:
                (found,) = run_model(shard_onnx(path, {name: f"{axis.extent}:{axis.word}"}), feeds).values()
                np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-5, err_msg=f"{name}: {axis.word}")
    words = {name: {axis.word for axis in axes} for name, axes in graph.cut_axes.items()}
    assert words["gram"] == {"inner elements"}
    assert words["integers"] == {"rows", "columns"}
    assert not {"square", "turned", "fused"} & words.keys()


@pytest.mark.parametrize("mask", [(3, 5), (4, 3, 5), (2, 1, 3, 5)], ids=str)
def test_attention_with_heads_inside_its_last_axis_is_cut_beside_a_mask(tmp_path: Path, mask: tuple[int, ...]) -> None:
    from partition.shards.onnx_model import shard_onnx

    nodes = [node("Attention", "q k v m", "y", "attend", q_num_heads=4, kv_num_heads=2)]
    inputs = {"q": [2, 3, 8], "k": [2, 5, 4], "v": [2, 5, 4]}
    path = saved(tmp_path / "m.onnx", nodes, inputs, ["y"], figures(1, m=mask), opset=23)
    feeds = drawn(path)
    (whole,) = run_model(onnx.load(path), feeds).values()
    for word in ("heads", "inputs of a batch"):
        (found,) = run_model(shard_onnx(path, {"attend": f"2:{word}"}), feeds).values()
        np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-6)


def test_a_model_of_known_shapes_without_any_axis_is_cut_by_nobody(tmp_path: Path) -> None:
    """What the search may cut is what can be written."""
    from partition.shards.onnx_model import shard_onnx

    added = node("FusedConv", "x w - x", "y", "fused", activation="Relu", pads=[0, 0], domain="com.microsoft")
    path = saved(tmp_path / "m.onnx", [added], {"x": [1, 4, 6]}, ["y"], figures(1, w=(4, 4, 1)))
    assert not shardable(load_model(str(path)).graph).any()
    with pytest.raises(InvalidInput, match=r"'fused' .* cannot be cut"):
        shard_onnx(path, {"fused": 2})


def test_the_graph_in_parts_is_that_of_the_model_in_parts(tmp_path: Path) -> None:
    """What the search is told of parts is what the file that is written costs."""
    from partition.shards.onnx_model import shard_onnx

    for make in FAMILIES:
        path = make(tmp_path / "m.onnx")
        graph = load_model(str(path)).graph
        for v in np.flatnonzero(CutGraph(graph).able).tolist()[:2]:
            asked = {graph.names[v]: 2}
            told = shard(graph, asked).graph
            onnx.save(shard_onnx(path, asked), tmp_path / "parts.onnx")
            read = load_model(str(tmp_path / "parts.onnx")).graph
            assert set(read.names) <= set(told.names), asked
            for name in read.tensor_names:
                size = [float(g.tensor_bytes[CutGraph(g).number[name]]) for g in (read, told)]
                assert size[0] == pytest.approx(size[1]), (name, asked)
            for name in read.names:
                own = [g.index[name] for g in (read, told)]
                assert read.flops[own[0]] == pytest.approx(told.flops[own[1]], rel=0.3), (name, asked)


@pytest.mark.parametrize("rows", [2, 9])
def test_a_result_that_is_read_inside_too_is_joined_and_rows_of_a_table_are_read_once(
    tmp_path: Path, rows: int
) -> None:
    from partition.shards.onnx_model import shard_onnx

    nodes = [
        node("Gather", "table ids", "e", "embed"), node("MatMul", "e w", "m", "up"), node("Relu", "m", "r", "relu"),
        node("MatMul", "r w2", "y", "down"),
    ]  # fmt: skip
    weights = figures(1, table=(rows, 4), w=(4, 6), w2=(6, 4))
    path = saved(tmp_path / "m.onnx", nodes, {"ids": [3]}, ["m", "y"], weights)
    graph = Graph.from_onnx(path)
    assert graph.results == ("m", "y")
    for asked in ({"embed": "3:rows"}, {"up": "3:columns", "down": "3:inner"}):
        told = shard(graph, asked).graph
        onnx.save(shard_onnx(path, asked), tmp_path / "parts.onnx")
        read = Graph.from_onnx(tmp_path / "parts.onnx")
        moved = [dict(zip(g.names, g.bytes_accessed.tolist(), strict=True)) for g in (told, read)]
        assert moved[0] == pytest.approx(moved[1]), asked
        assert "up#join" in moved[0]


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


def test_two_operations_with_axes_named_are_cut_along_these(tmp_path: Path) -> None:
    nodes = [node("MatMul", "x w", "u", "up"), node("Relu", "u", "r", "relu"), node("MatMul", "r v", "y", "down")]
    path = saved(tmp_path / "m.onnx", nodes, {"x": [4, 6]}, ["y"], figures(4, w=(6, 8), v=(8, 10)))
    asked = {"up": "2:rows", "down": "2:columns"}
    graph = shard(load_model(str(path)).graph, asked).graph
    assert "relu#join" in graph.names
    assert graph.weights[graph.index["down#0"]] == 4 * 8 * 5


def test_what_cannot_be_cut_is_refused_in_a_sentence(tmp_path: Path) -> None:
    from partition.shards.onnx_model import shard_onnx

    path, _, _ = convolutions(tmp_path / "m.onnx")
    with pytest.raises(InvalidInput, match="no operation"):
        shard_onnx(path, {"nobody": 2})
    with pytest.raises(InvalidInput, match="whole number"):
        shard_onnx(path, {"conv": "many:rows"})
    with pytest.raises(InvalidInput, match=r"'conv' .* has no axis 'rows'; it can be cut by 'channels'"):
        shard_onnx(path, {"conv": "2:rows"})
