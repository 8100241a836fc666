"""What verification says of parts: any type of output, rounding at cuts, given inputs, outputs that do not vary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from onnx_programs import I64, ML, B, F, S, const, vi
from split_models import BF, SIZES, H, node, split

from partition import Graph, InvalidInput, Placement
from partition.commands.main import main
from partition.split import split_model, verify_parts


def weight(name: str, *shape: int, kind: type = np.float32) -> TensorProto:
    return numpy_helper.from_array((np.random.default_rng(0).standard_normal(shape) * 0.1).astype(kind), name)


def half(folder: Path, kind: int) -> tuple[Path, Path]:
    """Products in a narrow type between casts; onnxruntime computes them in 32 bits and rounds at the end."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    nodes = [node("Cast", "x", "h0", to=kind)]
    nodes += [node("MatMul", f"h{i} w", f"h{i + 1}") for i in range(4)] if kind == H else []
    nodes += [node("Cast", f"h{4 if kind == H else 0}", "y", to=F)]
    return split(folder, nodes, [vi("x", F, [8, 64])], [vi("y", F, [8, 64])], [weight("w", 64, 64, kind=dtype)], last=2)


def test_parts_in_float16_round_where_they_are_cut_and_are_equal(tmp_path: Path) -> None:
    [compared] = verify_parts(*half(tmp_path, H))
    assert compared.equal and not compared.identical
    assert compared.difference <= compared.tolerance < 0.01
    assert "of rounding to float16" in compared.sentence()


def test_tensors_that_numpy_has_no_type_for_pass_from_part_to_part(tmp_path: Path) -> None:
    nodes = [node("Cast", "x", "h", to=BF), node("Cast", "h", "y", to=F)]
    model = split(tmp_path, nodes, [vi("x", F, [8])], [vi("y", F, [8]), vi("h", BF, [8])])
    assert [c.identical for c in verify_parts(*model)] == [True, True]


def test_a_wrong_part_is_found_in_every_type(tmp_path: Path) -> None:
    path, parts = half(tmp_path, H)
    part = onnx.load(str(parts / "chip_1.onnx"))
    [held] = part.graph.initializer
    held.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(held) * np.float16(1.1), held.name))
    onnx.save(part, str(parts / "chip_1.onnx"))
    [compared] = verify_parts(path, parts)
    assert not compared.equal and "DIFFERENT" in compared.sentence()


def labelled() -> tuple[list, list, list]:
    """Numbers in; words, a sequence, maps and an optional out."""
    nodes = [
        node("Relu", "x", "r"), node("ArgMax", "r", "at", axis=1, keepdims=0), node("Gather", "words at", "text"),
        node("LabelEncoder", "at", "label", domain=ML, keys_int64s=[0, 1, 2], values_strings=[b"a", b"b", b"c"]),
        node("SplitToSequence", "r lengths", "s", axis=0), node("Softmax", "r", "p"),
        node("ZipMap", "p", "maps", domain=ML, classlabels_strings=[b"n", b"m", b"y"]),
    ]  # fmt: skip
    floats = helper.make_tensor_type_proto(F, None)
    outputs = [vi("text", S, [5]), vi("label", S, [5])]
    outputs += [helper.make_value_info("s", helper.make_sequence_type_proto(floats))]
    maps = helper.make_map_type_proto(S, helper.make_tensor_type_proto(F, []))
    outputs += [helper.make_value_info("maps", helper.make_sequence_type_proto(maps))]
    weights = [helper.make_tensor("words", S, [3], [b"north", b"east", b"south"]), const("lengths", [2, 3])]
    return nodes, outputs, weights


@pytest.mark.parametrize("last", range(1, 7))
def test_strings_sequences_and_maps_are_compared(last: int, tmp_path: Path) -> None:
    nodes, outputs, weights = labelled()
    compared = verify_parts(*split(tmp_path, nodes, [vi("x", F, [5, 3])], outputs, weights, last=last), seeds=2)
    assert [c.output for c in compared] == ["text", "label", "s", "maps"]
    assert all(c.identical for c in compared)


def test_outputs_that_do_not_vary_are_said_to_prove_little(tmp_path: Path) -> None:
    nodes = [node("MatMul", "x w", "a"), node("Log", "a", "l"), node("ReduceSum", "l", "nan", keepdims=0)]
    nodes += [node("Sigmoid", "a", "s"), node("Floor", "s", "zero"), node("Neg", "a", "varies")]
    outputs = [vi("nan", F, []), vi("zero", F, [8, 8]), vi("varies", F, [8, 8])]
    model = split(tmp_path, nodes, [vi("x", F, [8, 8])], outputs, [weight("w", 8, 8)])
    assert [c.constant for c in verify_parts(*model)] == ["all NaN", "all 0", ""]


def test_a_model_that_does_not_run_on_drawn_inputs_asks_for_given_ones(tmp_path: Path) -> None:
    nodes = [node("Abs", "x", "a"), node("Reshape", "a shape", "y")]
    model = split(tmp_path, nodes, [vi("x", F, [4, 12]), vi("shape", I64, [1])], [vi("y", F, [None])])
    with pytest.raises(
        InvalidInput, match=r"does not run on drawn inputs: integers are drawn .*'shape'.*--inputs values.npz"
    ):
        verify_parts(*model)


def test_parts_run_for_either_branch_and_every_cut(tmp_path: Path) -> None:
    then = helper.make_graph(
        [node("Slice", "h s7 s8 ax", "t"), node("MatMul", "t w", "u")], "t", [], [vi("u", F, [1, 1, 16])]
    )
    other = helper.make_graph([node("MatMul", "h w", "v")], "e", [], [vi("v", F, [1, 8, 16])])
    nodes = [node("Abs", "x", "h"), helper.make_node("If", ["flag"], ["b"], "b", then_branch=then, else_branch=other)]
    nodes += [node("MatMul", "b w", "c"), node("Softmax", "c", "y")]
    weights = [weight("w", 16, 16), const("s7", [7]), const("s8", [8]), const("ax", [1])]
    inputs = [vi("x", F, [1, 8, 16]), vi("flag", B, [])]
    for last in (1, 2, 3):
        compared = verify_parts(
            *split(tmp_path, nodes, inputs, [vi("y", F, [1, None, 16])], weights, last=last), seeds=6
        )
        assert all(c.identical for c in compared)


def test_parts_keep_what_runtimes_read_of_a_model(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    graph = helper.make_graph([node("Abs", "x", "a"), node("Neg", "a", "y")], "g", [vi("x", F, [4])], [vi("y", F, [4])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="trainer")
    helper.set_model_props(model, {"names": "cat,dog", "stride": "32"})
    model.doc_string = "about"
    onnx.save(model, str(path))
    read = Graph.from_onnx(str(path))
    split_model(path, Placement.from_names(read, {"x": 0, "a": 0, "y": 1}, chips=2), tmp_path / "parts")
    for part in map(onnx.load, sorted(map(str, (tmp_path / "parts").glob("*.onnx")))):
        assert {p.key: p.value for p in part.metadata_props} == {"names": "cat,dog", "stride": "32"}
        assert (part.producer_name, part.doc_string) == ("trainer", "about")


def test_the_command_takes_values_and_names_outputs_that_do_not_vary(tmp_path: Path) -> None:
    nodes, inputs, outputs = SIZES
    path, _ = split(tmp_path, nodes, inputs, outputs)
    (tmp_path / "answer.json").write_text('{"x": 0, "shape": 0, "a": 0, "e": 1, "y": 1}')
    np.savez(tmp_path / "v.npz", x=np.ones((4, 12), np.float32), shape=np.array([2, 4, 12]))
    given = ["split", str(path), str(tmp_path / "answer.json"), "-o", str(tmp_path / "out"), "--verify"]
    done = CliRunner().invoke(main, [*given, "--inputs", str(tmp_path / "v.npz")])
    assert done.exit_code == 0, done.output
    assert "output y: equal, bit for bit" in done.output
    missing = CliRunner().invoke(main, [*given, "--force", "--inputs", str(tmp_path / "none.npz")])
    assert missing.exit_code == 2 and "there is no file" in missing.output


def test_eight_bit_floats_pass_from_part_to_part(tmp_path: Path) -> None:
    nodes = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s", "y")]
    zero = helper.make_tensor("z", TensorProto.FLOAT8E4M3FN, [], [0.0])
    model = split(tmp_path, nodes, [vi("x", F, [8])], [vi("y", F, [8])], [const("s", 0.1, np.float32), zero])
    assert [c.identical for c in verify_parts(*model)] == [True]


def test_a_sequence_that_a_map_makes_passes_from_part_to_part(tmp_path: Path) -> None:
    body = helper.make_graph([node("MatMul", "e w", "o")], "b", [vi("e", F, [1, 8])], [vi("o", F, [1, 8])])
    nodes = [
        node("SplitToSequence", "x", "s", axis=0),
        node("SequenceMap", "s", "t", body=body),
        node("ConcatFromSequence", "t", "y", axis=0),
    ]
    model = split(tmp_path, nodes, [vi("x", F, [2, 8])], [vi("y", F, None)], [weight("w", 8, 8)])
    assert [c.identical for c in verify_parts(*model)] == [True]


def test_operators_of_the_main_domain_that_onnxruntime_alone_knows_are_split(tmp_path: Path) -> None:
    nodes = [node("SimplifiedLayerNormalization", "x g", "a"), node("Relu", "a", "y")]
    model = split(tmp_path, nodes, [vi("x", F, [2, 8])], [vi("y", F, None)], [weight("g", 8)])
    assert [c.identical for c in verify_parts(*model)] == [True]


def test_random_numbers_are_no_fault_of_the_parts(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "h"), node("Dropout", "h ratio on", "y")]
    held = [const("ratio", 0.5, np.float32), const("on", True, np.bool_)]
    model = split(tmp_path, nodes, [vi("x", F, [64])], [vi("y", F, [64])], held)
    with pytest.raises(InvalidInput, match="'y' differs, but operation 'y' of the model draws random numbers"):
        verify_parts(*model)
