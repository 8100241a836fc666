"""Shapes and costs of ONNX models as people have them: stale, open, extent 0, operators of other domains, guesses."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper
from onnx_programs import I64, ML, MS, B, F, S, const, flops, model, node, size, vi, weight

from partition import DoubtfulModel, Graph, InvalidInput, InvalidModelFile, load_hardware, partition
from partition.commands.main import main
from partition.readers.load import load_model
from partition.readers.onnx.model import read_onnx

# --- what the file declares


def stale(batch: object) -> onnx.ModelProto:
    nodes = [node("Conv", "x w", "c", pads=[1] * 4), node("Relu", "c", "y")]
    return model(
        nodes, [vi("x", F, [batch, 8, 32, 32])], [vi("y", F, [batch, 8, 32, 32])], [weight("w", 8, 8, 3, 3)],
        info=[vi("c", F, [1, 8, 32, 32])],
    )  # fmt: skip


@pytest.mark.parametrize("batch", ["batch", 4])
def test_the_inputs_win_over_stale_shapes_and_a_warning_names_the_tensor(batch: object) -> None:
    with pytest.warns(DoubtfulModel, match=r"tensor 'c': declared 1x8x32x32, is 4x8x32x32"):
        graph = read_onnx(stale(batch), dims={"batch": 4} if batch == "batch" else {})
    assert (flops(graph, "conv"), size(graph, "c")) == (4 * 2 * 72 * 8 * 1024, 131_072)
    assert graph.guessed == ()


def test_shapes_that_agree_are_no_cause_for_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_onnx(stale("batch"), dims={"batch": 1})


def test_an_extent_may_be_zero() -> None:
    nodes = [node("Concat", "past k", "all", axis=1), node("MatMul", "all w", "y")]
    built = model(
        nodes, [vi("past", F, [1, "past", 32]), vi("k", F, [1, 8, 32])], [vi("y", F, None)], [weight("w", 32, 32)]
    )
    graph = read_onnx(built, dims={"past": 0})
    assert (size(graph, "past"), flops(graph, "matmul")) == (0, 2 * 8 * 32 * 32)
    assert flops(read_onnx(built, dims={"past": 24}), "matmul") == 2 * 32 * 32 * 32


# --- what onnx can fold


@pytest.mark.parametrize("how", ["Div", "Reciprocal"])
def test_a_scale_computed_from_the_picture_is_followed(how: str) -> None:
    scale = [node("Div", "target hf", "scale")]
    if how == "Reciprocal":
        scale = [node("Reciprocal", "hf", "r"), node("Mul", "target r", "scale")]
    nodes = [
        node("Shape", "x", "s"), node("Gather", "s two", "h"), node("Cast", "h", "hf", to=F), *scale,
        node("Unsqueeze", "scale zero", "s1"), node("Concat", "ones s1 s1", "scales", axis=0),
        node("Resize", "x - scales", "z", mode="nearest"),
        node("Conv", "z w", "y", strides=[2, 2], pads=[1] * 4),
    ]  # fmt: skip
    weights = [const("two", 2), const("zero", [0]), const("ones", [1, 1], np.float32), const("target", 320, np.float32)]
    graph = read_onnx(
        model(nodes, [vi("x", F, [1, 3, 640, 640])], [vi("y", F, None)], [*weights, weight("w", 16, 3, 3, 3)])
    )
    assert flops(graph, "conv") == 2 * 16 * 160 * 160 * 27
    assert graph.guessed == ()


@pytest.mark.parametrize(
    ("op", "attributes"),
    [("Sqrt", {}), ("Exp", {}), ("Sign", {}), ("Sum", {}), ("Clip", {}), ("Relu", {}), ("Softmax", {}), ("Erf", {})],
)
def test_any_small_computation_gives_a_shape(op: str, attributes: dict[str, object]) -> None:
    nodes = [node(op, "four", "f", **attributes), node("Cast", "f", "n", to=I64, name="n"), node("Expand", "x n", "y")]
    built = model(nodes, [vi("x", F, [1])], [vi("y", F, None)], [const("four", [4.0], np.float32)])
    assert read_onnx(built).guessed == ()


# --- branches, loops, scans


def branching(condition: list[onnx.NodeProto]) -> onnx.ModelProto:
    then = helper.make_graph([node("Constant", "", "none", value=weight("", 0, 4))], "t", [], [vi("none", F, [0, 4])])
    other = helper.make_graph([node("Identity", "x", "all")], "e", [], [vi("all", F, [8, 4])])
    nodes = [*condition, node("If", "flag", "boxes", then_branch=then, else_branch=other), node("Relu", "boxes", "y")]
    inputs = [vi("x", F, [8, 4])] + ([] if condition else [vi("flag", B, [])])
    return model(nodes, inputs, [vi("y", F, [None, 4])])


def test_a_branch_that_nobody_knows_is_taken_for_the_larger_and_all_behind_it_is_guessed() -> None:
    graph = read_onnx(branching([]))
    assert size(graph, "boxes") == 8 * 4 * 4
    assert graph.guessed == ("if", "relu")
    assert graph.unknown_operators == ("If",)


def test_a_branch_that_is_known_leaves_nothing_to_guess() -> None:
    graph = read_onnx(branching([node("Constant", "", "flag", value=const("", False, np.bool_))]))
    assert (size(graph, "boxes"), graph.guessed) == (8 * 4 * 4, ())


ENDS = {
    "nothing": [node("Identity", "go", "go_on", name="same")],
    "a counter": [node("Less", "it ten", "go_on")],
    "data": [node("ReduceSum", "s_out", "total", keepdims=0), node("Less", "total limit", "go_on")],
}


def looping(trips: int, ended_by: str) -> onnx.ModelProto:
    """A body of one product, and what ends the loop before its trip count does."""
    last = ENDS[ended_by]
    body = helper.make_graph(
        [node("MatMul", "s w", "s_out"), *last, node("Identity", "s_out", "seen")], "body",
        [vi("it", I64, []), vi("go", B, []), vi("s", F, [4, 8])],
        [vi("go_on", B, []), vi("s_out", F, [4, 8]), vi("seen", F, [4, 8])],
    )  # fmt: skip
    nodes = [node("Loop", "count yes x", "y all", body=body), node("Relu", "all", "z")]
    weights = [const("count", trips), const("yes", True, np.bool_), const("ten", 10), weight("w", 8, 8)]
    weights.append(const("limit", 1.0, np.float32))
    return model(nodes, [vi("x", F, [4, 8])], [vi("y", F, [4, 8]), vi("z", F, None)], weights)


def test_a_loop_that_nothing_ends_runs_as_often_as_it_says() -> None:
    graph = read_onnx(looping(12, "nothing"))
    assert (flops(graph, "loop"), graph.guessed) == (12 * 2 * 4 * 64, ())
    assert size(graph, "all") == 12 * 4 * 8 * 4


@pytest.mark.parametrize("trips", [12, 2**31 - 1, 2**63 - 1])
def test_a_loop_that_a_counter_ends_is_followed(trips: int) -> None:
    graph = read_onnx(looping(trips, "a counter"))
    assert flops(graph, "loop") == 11 * (2 * 4 * 64 + 1)  # the eleventh iteration finds that ten is not less than ten
    assert (size(graph, "all"), graph.guessed) == (11 * 4 * 8 * 4, ())


def test_a_loop_that_data_may_end_before_is_counted_in_full_and_guessed() -> None:
    graph = read_onnx(looping(12, "data"))
    assert flops(graph, "loop") == 12 * (2 * 4 * 64 + 4 * 8 + 1)
    assert graph.guessed == ("loop", "relu")


@pytest.mark.parametrize("trips", [2**63 - 1, 2**31 - 1, 10**12])
def test_a_loop_that_only_data_ends_counts_once_and_is_guessed(trips: int) -> None:
    graph = read_onnx(looping(trips, "data"))
    assert flops(graph, "loop") == 2 * 4 * 64 + 4 * 8 + 1
    assert graph.guessed == ("loop", "relu")


@pytest.mark.parametrize("limit", [3, 40])
def test_a_while_loop_over_an_extent_runs_that_often(limit: int) -> None:
    """As converters of Keras write a recurrent layer: no trip count, a counter against the length of the input."""
    nodes = [node("MatMul", "s w", "s_out"), node("Add", "t one", "t_out"), node("Less", "t_out steps", "go_on")]
    ends = [vi("it", I64, []), vi("go", B, []), vi("t", I64, []), vi("s", F, [1, 8])]
    body = helper.make_graph(
        [*nodes, node("Identity", "s_out", "seen")], "body", ends,
        [vi("go_on", B, []), vi("t_out", I64, []), vi("s_out", F, [1, 8]), vi("seen", F, [1, 8])],
    )  # fmt: skip
    outer = [node("Shape", "x", "shape"), node("Gather", "shape axis", "steps"), node("Less", "zero steps", "yes")]
    loop = node("Loop", "- yes zero state", "t_end s_end all", body=body, name="loop")
    weights = [const("axis", 1), const("one", 1), const("zero", 0), weight("w", 8, 8)]
    inputs = [vi("x", F, [1, limit]), vi("state", F, [1, 8])]
    built = model([*outer, loop, node("Relu", "all", "y")], inputs, [vi("y", F, None)], weights)
    graph = read_onnx(built)
    assert flops(graph, "loop") == limit * (2 * 64 + 1 + 1)
    assert (size(graph, "all"), graph.guessed) == (limit * 8 * 4, ())


def test_a_scan_stacks_its_results_along_the_axis_it_names() -> None:
    ends = [[vi(name, F, [4, 2]) for name in names] for names in ("sv", "no")]
    body = helper.make_graph([node("Add", "s v", "n"), node("Identity", "n", "o")], "b", *ends)
    scan = node("Scan", "s0 x", "last all", body=body, num_scan_inputs=1, scan_input_axes=[1], scan_output_axes=[1])
    nodes = [scan, node("MatMul", "all w", "y")]
    graph = read_onnx(
        model(nodes, [vi("x", F, [4, 20, 2])], [vi("y", F, None)], [weight("s0", 4, 2), weight("w", 2, 5)])
    )
    assert size(graph, "y") == 4 * 20 * 5 * 4
    assert graph.guessed == ()


def test_a_sequence_holds_the_bytes_of_its_elements_and_gives_them_back() -> None:
    nodes = [
        node("SplitToSequence", "x lengths", "s", axis=0), node("Relu", "x", "r"), node("SequenceInsert", "s r", "s2"),
        node("SequenceAt", "s2 zero", "e0", name="at0"), node("SequenceAt", "s2 two", "e2", name="at2"),
        node("ConcatFromSequence", "s2", "y", axis=0), node("Neg", "e0", "z"), node("Abs", "e2", "a"),
    ]  # fmt: skip
    outputs = [vi("y", F, [20, 4]), vi("z", F, None), vi("a", F, None)]
    graph = read_onnx(
        model(nodes, [vi("x", F, [10, 4])], outputs, [const("lengths", [3, 7]), const("zero", 0), const("two", 2)])
    )
    assert [size(graph, t) for t in ("s", "s2", "e0", "e2", "z")] == [160, 320, 48, 160, 48]
    assert graph.guessed == ()


# --- operators of other domains


def test_quantised_operators_of_onnxruntime_have_their_own_shapes_and_costs() -> None:
    u8 = const("s", 0.05, np.float32), const("z", 128, np.uint8)
    nodes = [
        node("QLinearConcat", "s z a s z a s z", "cat", domain=MS, axis=1),
        node("QLinearAdd", "cat s z one s z s z", "sum", domain=MS),
        node("QLinearGlobalAveragePool", "sum s z s z", "g", domain=MS, channels_last=0),
        node("Flatten", "g", "f"), node("QLinearMatMul", "f s z w s wz s z", "y"),
    ]  # fmt: skip
    weights = [
        *u8,
        const("wz", 0, np.int8),
        const("one", np.ones((1, 1, 1, 5)), np.uint8),
        weight("w", 6, 10, kind=np.int8),
    ]
    graph = read_onnx(
        model(nodes, [vi("a", TensorProto.UINT8, [1, 3, 4, 5])], [vi("y", TensorProto.UINT8, None)], weights)
    )
    assert [size(graph, t) for t in ("cat", "sum", "g", "y")] == [120, 120, 6, 10]
    assert flops(graph, "qlinearmatmul") == 2 * 6 * 10 + 2 * 10
    assert graph.guessed == ()


def test_a_dynamically_quantised_lstm_costs_its_gates() -> None:
    hidden, width = 16, 8
    made = node("DynamicQuantizeLSTM", "x W R B - - - - ws wz rs rz", "y", domain=MS, hidden_size=hidden)
    weights = [weight("W", 1, width, 4 * hidden, kind=np.int8), weight("R", 1, hidden, 4 * hidden, kind=np.int8)]
    weights += [weight("B", 1, 8 * hidden), const("ws", [0.1], np.float32), const("wz", [0], np.int8)]
    weights += [const("rs", [0.1], np.float32), const("rz", [0], np.int8)]
    graph = read_onnx(model([made], [vi("x", F, [5, 2, width])], [vi("y", F, None)], weights))
    per_step = 2 * 4 * hidden * (width + hidden) + 3 * 4 * hidden + 18 * hidden
    assert flops(graph, "dynamicquantizelstm") == 5 * 2 * per_step
    assert size(graph, "y") == 5 * 1 * 2 * hidden * 4
    assert graph.guessed == ()


def test_packed_weights_are_looked_up_and_multiplied() -> None:
    nodes = [
        node("GatherBlockQuantized", "table ids scales", "h", domain=MS, block_size=32, quantize_axis=1, gather_axis=0),
        node("MatMulNBits", "h B bs", "y", domain=MS, K=64, N=48, bits=4, block_size=32),
    ]
    table = helper.make_tensor("table", TensorProto.UINT4, [100, 64], [1] * 6400)
    weights = [table, weight("scales", 100, 2), weight("B", 48, 2, 16, kind=np.uint8), weight("bs", 96)]
    graph = read_onnx(model(nodes, [vi("ids", I64, [1, 7])], [vi("y", F, None)], weights, opset=21))
    assert [size(graph, t) for t in ("h", "y")] == [7 * 64 * 4, 7 * 48 * 4]
    assert flops(graph, "gatherblockquantized") == 2 * 7 * 64
    assert graph.weights[graph.index["gatherblockquantized"]] == 3200 + 800
    assert graph.guessed == ()


def forest(trees: int, depth: int) -> onnx.NodeProto:
    """Complete trees of that many comparisons from root to leaf."""
    per, inner = 2 ** (depth + 1) - 1, 2**depth - 1
    at, tree = np.tile(np.arange(per), trees), np.repeat(np.arange(trees), per)
    leaf = at >= inner
    attributes: dict[str, object] = {
        "nodes_treeids": tree.tolist(), "nodes_nodeids": at.tolist(), "nodes_featureids": [0] * at.size,
        "nodes_values": [0.5] * at.size, "nodes_modes": [b"LEAF" if end else b"BRANCH_LEQ" for end in leaf],
        "nodes_truenodeids": np.where(leaf, 0, 2 * at + 1).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, 2 * at + 2).tolist(),
        "target_treeids": tree[leaf].tolist(), "target_nodeids": at[leaf].tolist(),
        "target_ids": [0] * int(leaf.sum()), "target_weights": [1.0] * int(leaf.sum()), "n_targets": 1,
    }  # fmt: skip
    return node("TreeEnsembleRegressor", "x", "y", domain=ML, name="forest", **attributes)


def test_trees_are_weights_and_cost_their_depth() -> None:
    graph = read_onnx(model([forest(5, 3)], [vi("x", F, [7, 4])], [vi("y", F, None)]))
    assert flops(graph, "forest") == 7 * 5 * (3 + 1)
    assert graph.weights[graph.index["forest"]] == 5 * (15 * 24 + 8 * 8)
    assert (size(graph, "y"), graph.guessed) == (7 * 4, ())


def test_operators_of_sklearn_have_shapes_and_costs() -> None:
    nodes = [
        node("Scaler", "x", "s", domain=ML, offset=[0.0] * 3, scale=[1.0] * 3),
        node("OneHotEncoder", "city", "o", domain=ML, cats_strings=[b"oslo", b"rome"]),
        node("LinearClassifier", "s", "label p", domain=ML, coefficients=[1.0] * 6, intercepts=[0.0] * 2,
             classlabels_strings=[b"no", b"yes"]),
    ]  # fmt: skip
    outputs = [vi("label", S, None), vi("p", F, None), vi("o", F, None)]
    graph = read_onnx(model(nodes, [vi("x", F, [5, 3]), vi("city", S, [5, 1])], outputs))
    assert [size(graph, t) for t in ("s", "o", "label", "p")] == [60, 40, 40, 40]
    assert graph.guessed == ()


def test_without_onnxruntime_its_operators_are_refused_naming_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(InvalidInput, match=r"'Gelu' of 'com.microsoft'.* needs onnxruntime; run: pip install"):
        read_onnx(model([node("Gelu", "x", "y", domain=MS)], [vi("x", F, [4])], [vi("y", F, [4])]))
    assert read_onnx(model([node("Relu", "x", "y")], [vi("x", F, [4])], [vi("y", F, [4])])).n == 2


# --- guesses are told


def doubtful() -> onnx.ModelProto:
    """A product behind a shape that depends on data, and one before it."""
    nodes = [node("MatMul", "x w", "a", name="before"), node("NonZero", "a", "at"), node("Cast", "at", "f", to=F)]
    return model([*nodes, node("MatMul", "k f", "y", name="after")], [vi("x", F, [4, 8])], [vi("y", F, None)],
                 [weight("w", 8, 8), weight("k", 3, 2)])  # fmt: skip


def test_what_follows_a_guess_is_guessed_and_said_in_the_first_line(tmp_path: Path) -> None:
    graph = read_onnx(doubtful())
    assert graph.guessed == ("nonzero", "cast", "after")
    result = partition(graph, load_hardware("ring2"), work_limit=5)
    assert result.guesses is not None and 0 < result.guesses.share < 1
    first = result.to_table().splitlines()[-1]
    assert "guessed: 3 of 5 operations have guessed costs or shapes" in first and "'after'" in first
    assert set(result.to_dict()["guesses"]["operations"]) == {"nonzero", "cast", "after"}
    assert "3 of 5 operations have guessed costs" in result.to_html()
    assert Graph.from_json(graph.to_json()).guessed == graph.guessed


def test_strict_refuses_guesses_and_nothing_else() -> None:
    with pytest.raises(InvalidInput, match=r"strict: 3 of 5 operations have guessed costs or shapes"):
        partition(read_onnx(doubtful()), load_hardware("ring2"), strict=True)
    known = read_onnx(model([node("Relu", "x", "y")], [vi("x", F, [4])], [vi("y", F, [4])]))
    result = partition(known, load_hardware("ring2"), work_limit=5, strict=True)
    assert result.guesses is None and "guessed" not in result.verdict()


def test_the_command_refuses_guesses_if_strict_and_tells_of_contradictions(tmp_path: Path) -> None:
    for name, built in (("doubtful", doubtful()), ("stale", stale(4))):
        onnx.save(built, str(tmp_path / f"{name}.onnx"))
    strict = ["solve", "--hw", "ring2", "-q", "--strict"]
    refused = CliRunner().invoke(main, [*strict, str(tmp_path / "doubtful.onnx")])
    assert refused.exit_code == 2 and "strict: 3 of 5 operations" in refused.output
    told = CliRunner().invoke(main, [*strict, str(tmp_path / "stale.onnx")])
    assert told.exit_code == 0, told.output
    assert "warning: model file" in told.output and "tensor 'c': declared 1x8x32x32" in told.output


# --- first errors


def test_an_import_that_onnxruntime_takes_for_granted_may_be_missing() -> None:
    built = model([node("Gelu", "x", "y", domain=MS)], [vi("x", F, [4])], [vi("y", F, None)])
    del built.opset_import[1:]
    assert size(read_onnx(built), "y") == 16
    del built.opset_import[:]
    built.opset_import.add(domain=MS, version=1)
    built.graph.node.append(node("Relu", "y", "z"))
    with pytest.raises(InvalidModelFile, match="names no version of the operator set of ONNX itself"):
        read_onnx(built)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"just some notes\nin a file\n", "a text file"), (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"<!DOCTYPE html>\n<html></html>", "a web page"), (b"PK\x03\x04" + b"\x00" * 30, "a zip archive"),
        (b"\x89HDF\r\n\x1a\n" + b"\x00" * 9, "an HDF5 file"), (b"\x1c\x00\x00\x00TFL3" + b"\x00", "TensorFlow Lite"),
        (b"\x1f\x8b" + b"\x00" * 9, "it is compressed"), (b"\x93NUMPY\x01\x00", "an array of numpy"),
        (b"\x02" + b"\x00" * 7 + b"{}", "a safetensors file"),
    ],
)  # fmt: skip
def test_a_file_of_another_kind_is_called_what_it_is(content: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(InvalidModelFile, match=what):
        read_onnx(path)


def test_onnx_as_json_is_told_from_the_projects_own(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    onnx.save(model([node("Relu", "x", "y")], [vi("x", F, [4])], [vi("y", F, [4])]), path, "json")
    assert load_model(str(path)).format == "onnx"


def test_operators_for_other_chips_than_cpus_have_the_shapes_of_their_schemas() -> None:
    """onnxruntime has no kernel of these here, and so tells nothing."""
    cases = {
        "GroupNorm": ("x g g", [1, 5, 5, 4], [weight("g", 4)], {"groups": 2, "channels_last": 1, "activation": 0}),
        "BiasSplitGelu": ("x g", [2, 3, 8], [weight("g", 8)], {}),
        "CDist": ("x g", [2, 8], [weight("g", 5, 8)], {"metric": "euclidean"}),
    }
    found = {}
    for op, (inputs, shape, weights, attributes) in cases.items():
        nodes = [node(op, inputs, "h", domain=MS, **attributes), node("Relu", "h", "y")]
        graph = read_onnx(model(nodes, [vi("x", F, shape)], [vi("y", F, None)], weights))
        assert graph.guessed == () and graph.unknown_operators == ()
        found[op] = size(graph, "h")
    assert found == {"GroupNorm": 4 * 100, "BiasSplitGelu": 4 * 24, "CDist": 4 * 10}


def test_a_dropout_of_training_does_something_and_one_of_inference_does_not() -> None:
    for on, count in ((True, 2 * 16), (False, 0)):
        held = [const("ratio", 0.5, np.float32), const("on", on, np.bool_)]
        graph = read_onnx(model([node("Dropout", "x ratio on", "y")], [vi("x", F, [16])], [vi("y", F, [16])], held))
        assert flops(graph, "dropout") == count and bool(graph.views.any()) is not on


def test_a_spectrum_has_one_side_where_nothing_else_is_said() -> None:
    """onnx's rule takes the attribute that is left out for 0, its default is 1."""
    held = [const("step", 8), const("length", 16)]
    graph = read_onnx(model([node("STFT", "x step - length", "y")], [vi("x", F, [1, 64, 1])], [vi("y", F, None)], held))
    assert size(graph, "y") == 7 * 9 * 2 * 4


def test_a_support_vector_classifier_yields_a_label_and_a_score_for_each_class() -> None:
    vectors = {"kernel_type": "RBF", "kernel_params": [0.5, 0.0, 3.0], "vectors_per_class": [3, 3], "rho": [0.1],
               "support_vectors": [1.0] * 24, "coefficients": [1.0] * 6, "classlabels_ints": [0, 1]}  # fmt: skip
    it = helper.make_node("SVMClassifier", ["x"], ["label", "score"], domain="ai.onnx.ml", **vectors)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    results = [vi("label", I64, None), vi("score", F, None)]
    graph = read_onnx(model([it], [vi("x", F, [5, 4])], results, opset_imports=opsets))
    assert dict(zip(graph.tensor_names, graph.tensor_bytes, strict=True)) == {"x": 80, "label": 40, "score": 40}
    assert graph.unknown_operators == () and graph.flops[1] == 5 * (6 * (2 * 4 + 3) + 2 * 6)
