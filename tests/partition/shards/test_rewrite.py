"""Operations in parts: the graph is the same work, the answer no worse, the ONNX model computes the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from instances import chain_of, package

from partition import GraphBuilder, InvalidInput, load_hardware, load_model, partition
from partition.commands.main import main
from partition.problem.graph import Graph
from partition.shards import shard, shardable
from partition.shards.plans import Plans


def two_layers(weights: float = 8.0) -> Graph:
    """Two convolutions with activations between light ends; the first takes most of the time."""
    b = GraphBuilder("two")
    b.operation("x", "Input", outputs={"x": 4})
    b.operation("heavy", "Conv", inputs=["x"], outputs={"h": 8}, flops=600.0, weights=weights)
    b.operation("act", "Relu", inputs=["h"], outputs={"a": 8}, flops=8.0)
    b.operation("light", "Conv", inputs=["a"], outputs={"y": 4}, flops=100.0, weights=2.0)
    return b.build()


@pytest.mark.parametrize("model", ["unet", "inception", "resnet50", "gpt"])
def test_parts_share_the_work_and_the_weights_and_join_to_the_same_tensors(model: str) -> None:
    graph = load_model(model).graph
    able = np.flatnonzero(shardable(graph))
    rng = np.random.default_rng(0)
    chosen = {graph.names[v]: int(rng.integers(2, 6)) for v in rng.choice(able, min(8, len(able)), replace=False)}
    parts = shard(graph, chosen).graph
    assert parts.flops.sum() == pytest.approx(graph.flops.sum())
    assert parts.weight_bytes == pytest.approx(graph.weight_bytes)
    assert set(graph.tensor_names) - {t.split("#")[0] for t in parts.tensor_names} == set()
    size = dict(zip(parts.tensor_names, parts.tensor_bytes.tolist(), strict=True))
    for name, whole in zip(graph.tensor_names, graph.tensor_bytes.tolist(), strict=True):
        pieces = [size[f"{name}#{i}"] for i in range(6) if f"{name}#{i}" in size]
        assert not pieces or sum(pieces) == pytest.approx(whole)
        assert name in size or pieces


def test_an_activation_behind_parts_stays_in_parts_and_one_join_follows() -> None:
    sharded = shard(two_layers(), {"heavy": 3})
    assert sharded.follows == {"act": "heavy"}
    assert {"heavy#0", "heavy#2", "act#0", "act#2", "act#join", "light"} <= set(sharded.graph.names)
    assert "heavy#join" not in sharded.graph.names


def test_one_part_is_the_graph_itself() -> None:
    graph = two_layers()
    assert shard(graph, {"heavy": 1}).graph is graph


@pytest.mark.parametrize(
    ("parts", "message"),
    [({"nobody": 2}, "no operation 'nobody'"), ({"act": 2}, "cannot be computed in parts"), ({"heavy": 0}, "0 parts"),
     ({"heavy": 2.5}, "2.5 parts")],
)  # fmt: skip
def test_what_cannot_be_cut_is_refused_in_a_sentence(parts: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        partition(two_layers(), load_hardware("ring4"), shard=parts)


def test_parts_that_are_named_are_those_of_the_answer() -> None:
    result = partition(two_layers(), load_hardware("ring4"), shard={"heavy": 2})
    assert result.shards is not None and dict(result.shards.parts) == {"heavy": 2}
    assert set(result.assignment) == set(result.graph.names) and "heavy#1" in result.assignment


@pytest.mark.parametrize(("model", "least"), [("unet", 1.8), ("inception", 2.3)])
def test_parts_pay_where_one_operation_is_the_wall(model: str, least: float) -> None:
    graph, hardware = load_model(model).graph, load_hardware("ring36")
    whole = partition(graph, hardware, work_limit=10)
    parts = partition(graph, hardware, work_limit=8, shard="auto")
    assert whole.period / parts.period >= least
    assert parts.shards is not None and parts.shards.bound == pytest.approx(whole.bound)
    assert parts.shards.floor <= parts.period and "no partition without parts is below" in parts.verdict()


def test_parts_that_do_not_pay_are_not_made() -> None:
    """With links this slow nothing should move."""
    hardware = load_hardware("ring4:link_bandwidth=1e3")
    result = partition(two_layers(), hardware, shard="auto", work_limit=10)
    assert result.shards is not None and not result.shards.parts
    assert result.period == partition(two_layers(), hardware, work_limit=10).period


def test_what_does_not_fit_one_chip_fits_in_parts() -> None:
    hardware = load_hardware("ring4:link_bandwidth=1e12")
    kinds = tuple(replace(kind, sram_bytes=12.0) for kind in hardware.kinds)
    hardware = replace(hardware, kinds=kinds)
    graph = two_layers(weights=30.0)
    assert partition(graph, hardware).status == "infeasible"
    result = partition(graph, hardware, shard="auto", work_limit=10)
    assert result.placement is not None and result.shards is not None and result.shards.parts["heavy"] >= 3
    assert "without parts it does not fit" in result.verdict()


def test_no_plan_is_below_the_floor() -> None:
    graph, hardware = load_model("unet").graph, load_hardware("ring8")
    plans = Plans.of(graph, hardware)
    for target in plans.targets(2.4e-3):
        assert plans.least_period(plans.sharded(plans.for_target(target))) >= plans.floor * (1 - 1e-12)


def test_a_goal_other_than_the_period_has_no_parts() -> None:
    with pytest.raises(InvalidInput, match="first goal"):
        partition(chain_of([1, 2]), package(2), shard="auto", objective="traffic")


def test_the_command_line_solves_checks_and_simulates_with_parts(tmp_path: Path) -> None:
    answer = str(tmp_path / "answer.json")
    asked = ["solve", "unet", "--hw", "ring36", "--shard", "auto", "-q", "-o", answer, "--work-limit", "8"]
    told = CliRunner().invoke(main, asked)
    assert told.exit_code == 0 and "no partition without parts is below" in " ".join(told.stdout.split())
    for command in ("check", "simulate"):
        done = CliRunner().invoke(main, [command, "unet", answer, "--hw", "ring36"])
        assert done.exit_code == 0, done.output
    told = CliRunner().invoke(main, ["solve", "unet", "--hw", "ring36", "--shard", "nobody=2"])
    assert told.exit_code == 2 and "no operation 'nobody'" in told.stderr


# --- ONNX ----------------------------------------------------------------------------------------------------------

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")


def model_file(
    path: Path, nodes: list[object], shape: list[int], weights: dict[str, np.ndarray], opset: int = 17
) -> Path:
    """An ONNX model from ``x`` to ``y`` with float weights."""
    helper, proto = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        nodes, "m", [helper.make_tensor_value_info("x", proto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", proto.FLOAT, [f"d{i}" for i in range(len(shape))])],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def outputs(model: object, shape: list[int]) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])  # type: ignore[attr-defined]
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return np.asarray(session.run(None, {"x": x})[0])


def convolutions(path: Path) -> tuple[Path, list[int], str]:
    rng, node = np.random.default_rng(1), onnx.helper.make_node
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c", "s", "o", "m", "v"], ["n"], name="norm"),
        node("Relu", ["n"], ["r"], name="relu"),
        node("MaxPool", ["r"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p", "w2"], ["y"], name="last"),
    ]
    figures = {"w": (10, 3, 3, 3), "b": (10,), "s": (10,), "o": (10,), "m": (10,), "w2": (4, 10, 1, 1)}
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in figures.items()}
    weights["v"] = rng.uniform(0.5, 2, 10).astype(np.float32)
    return model_file(path, nodes, [1, 3, 8, 8], weights), [1, 3, 8, 8], "conv"


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


def test_the_command_writes_a_model_with_the_parts_that_pay(tmp_path: Path) -> None:
    path, _, name = convolutions(tmp_path / "m.onnx")
    slow = tmp_path / "slow.toml"
    slow.write_text(CliRunner().invoke(main, ["hardware", "ring4:link_bandwidth=1e12,op_overhead_s=0"]).stdout)
    written = tmp_path / "parts.onnx"
    told = CliRunner().invoke(main, ["shard", str(path), "--hw", str(slow), "-o", str(written), "--verify", "-q"])
    assert told.exit_code == 0 and written.exists() and "output y: equal" in told.stdout, told.output
    told = CliRunner().invoke(main, ["shard", str(path), "--part", f"{name}=3", "-o", str(written), "--verify"])
    assert told.exit_code == 0 and f"{name} in 3" in told.stdout and "output y: equal" in told.stdout
    assert CliRunner().invoke(main, ["shard", str(path), "--part", "conv=2", "-o", str(path)]).exit_code == 2
    assert CliRunner().invoke(main, ["shard", str(path), "-o", str(written)]).exit_code == 2
