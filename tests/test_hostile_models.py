"""ONNX files that want to grow, to read or to write elsewhere: refused, or read in little time and memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_seeds import models
from onnx import ModelProto, TensorProto, helper

from partition import (
    InvalidInput,
    InvalidModelFile,
    load_model,
)
from partition.problem.placement import Placement
from partition.readers.onnx.model import read_onnx
from partition.readers.onnx.nodes import unique_names
from partition.readers.onnx.size import count_fields
from partition.split import split_model

pytestmark = pytest.mark.usefixtures("bounded")
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def model(nodes: list[Any], inputs: dict[str, list[int]], *, kind: int = FLOAT, **more: Any) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(nodes[-1].output[0], kind, None)],
        more.pop("weights", []),
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, **more)


def doubling(op: str, count: int, **attributes: int) -> list[Any]:
    return [helper.make_node(op, [f"x{i}", f"x{i}"], [f"x{i + 1}"], **attributes) for i in range(count)]


# --- ONNX: little files that want to grow --------------------------------------------------------------------------


def test_functions_that_multiply_are_refused() -> None:
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]

    def function(i: int, last: bool) -> Any:
        def call(a: str, b: str) -> Any:
            return helper.make_node("Relu", [a], [b]) if last else helper.make_node(f"F{i + 1}", [a], [b], domain="own")

        return helper.make_function("own", f"F{i}", ["a"], ["c"], [call("a", "b"), call("b", "c")], opsets)

    first = helper.make_node("F0", ["x"], ["y"], domain="own")
    bomb = model([first], {"x": [2]}, functions=[function(i, i == 39) for i in range(40)])
    assert bomb.ByteSize() < 5000
    with pytest.raises(InvalidModelFile, match="over 1048576 nodes"):
        read_onnx(bomb)
    fine = model([first], {"x": [2]}, functions=[function(i, i == 5) for i in range(6)])
    assert read_onnx(fine).n == 65
    circle = model([first], {"x": [2]}, functions=[helper.make_function("own", "F0", ["a"], ["c"], [
        helper.make_node("F0", ["a"], ["c"], domain="own")], opsets)])  # fmt: skip
    with pytest.raises(InvalidModelFile, match=r"'F0' of .* calls itself"):
        read_onnx(circle)


def test_axes_that_double_are_refused() -> None:
    with pytest.raises(InvalidModelFile, match="axes, at most 64"):
        read_onnx(model(doubling("Gather", 40), {"x0": [2, 2]}, kind=INT64))


def test_values_that_double_are_given_up() -> None:
    nodes = [helper.make_node("Shape", ["x"], ["x0"]), *doubling("Concat", 40, axis=0)]
    nodes.append(helper.make_node("ConstantOfShape", ["x40"], ["y"]))
    assert np.isfinite(read_onnx(model(nodes, {"x": [2, 2]})).tensor_bytes).all()


def test_operands_that_broadcast_to_billions_are_not_computed() -> None:
    weights = [
        helper.make_tensor(f"w{i}", INT64, [1024 if k == i else 1 for k in range(4)], [1] * 1024) for i in range(4)
    ]
    largest = helper.make_node("Max", ["w0", "w1", "w2", "w3"], ["y"])
    used = helper.make_node("Cast", ["y"], ["z"], to=TensorProto.FLOAT)
    with pytest.raises(InvalidModelFile, match="depend on constants alone"):
        read_onnx(model([largest, used], {}, weights=weights))
    reading = [largest, helper.make_node("Equal", ["y", "x"], ["z"])]
    assert read_onnx(model(reading, {"x": [1]}, weights=weights, kind=INT64)).weights[-1] == 8 * 1024.0**4
    halves = helper.make_node("Split", ["x"], ["y", "z"], num_outputs=10**9)
    with pytest.raises(InvalidModelFile, match="says it has 1000000000 outputs"):
        read_onnx(model([halves], {"x": [2]}))


@pytest.mark.parametrize("op", ["ConstantOfShape", "Slice", "Expand", "Reshape"])
def test_a_shape_of_a_billion_axes_is_not_made(op: str) -> None:
    inputs = ["s"] if op == "ConstantOfShape" else ["x", "s", "s"][: 3 if op == "Slice" else 2]
    built = model([helper.make_node(op, inputs, ["y"])], {"s": [10**9], "x": [3, 3]}, kind=INT64)
    assert read_onnx(built).n == 3


def test_declared_sizes_take_no_memory_and_have_an_end() -> None:
    def weight(*dims: int) -> Any:
        return TensorProto(name="w", dims=dims, data_type=FLOAT)

    product = helper.make_node("Mul", ["x", "w"], ["y"])
    graph = read_onnx(model([product], {"x": [1]}, weights=[weight(10**6, 10**6)]))
    assert graph.weights.sum() == 4e12 and graph.flops.sum() == 1e12
    for dims, told in [((2**62, 2**62), r"over 2\*\*62 elements"), ((1,) * 10**5, "100000 axes"), ((-1,), "negative")]:
        with pytest.raises(InvalidModelFile, match=told):
            read_onnx(model([product], {"x": [1]}, weights=[weight(*dims)]))
    with pytest.raises(InvalidModelFile, match=r"over 2\*\*62 elements"):
        read_onnx(model([helper.make_node("Relu", ["x"], ["y"])], {"x": [2**31 - 1] * 8}))
    with pytest.raises(InvalidModelFile, match="1000 axes"):
        read_onnx(model([helper.make_node("Relu", ["x"], ["y"])], {"x": [1] * 1000}))


def test_fields_are_counted_before_they_are_parsed() -> None:
    for content in models():
        parsed = ModelProto.FromString(content)
        assert 20 < count_fields(content, "it") < 40 * len(parsed.SerializeToString())
    inner = b"\x0a\x00" * 5000  # empty nodes: 2 bytes of file, 200 of memory
    size = len(inner)
    bomb = b"\x3a" + bytes([size & 127 | 128, size >> 7]) + inner
    assert count_fields(bomb, "it") == 5001
    with pytest.raises(InvalidModelFile, match="over 1000 fields"):
        count_fields(bomb, "it", 1000)
    numbers = TensorProto(int64_data=[1] * 8000)
    packed = helper.make_model(helper.make_graph([], "g", [], [], [numbers])).SerializeToString()
    assert count_fields(packed, "it") > 1000
    for cut in range(len(packed) - 3, len(packed)):
        with pytest.raises(InvalidModelFile, match="corrupt"):
            count_fields(packed[:cut], "it")


def test_weights_are_no_fields() -> None:
    heavy = helper.make_tensor("w", FLOAT, [10**6], bytes(4 * 10**6), raw=True)
    content = helper.make_model(helper.make_graph([], "g", [], [], [heavy])).SerializeToString()
    assert count_fields(content, "it") < 30


def test_bodies_nested_a_thousand_deep_are_refused(tmp_path: Path) -> None:
    inner = b""
    for _ in range(400):  # graph.node.attribute.g, by hand: protobuf would not write it
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            size, length = len(inner), b""
            while size > 127:
                length += bytes([size & 127 | 128])
                size >>= 7
            inner = tag + length + bytes([size]) + inner
    (tmp_path / "deep.onnx").write_bytes(b"\x08\x08" + inner)
    with pytest.raises(InvalidModelFile):
        load_model(str(tmp_path / "deep.onnx"), format="onnx")


@pytest.mark.parametrize("equation", [b"ij,jk>ik", b"i-", b".", b"......ij", b"\xff", b"i@j", b"i->j->k", b"i1"])
def test_what_is_no_equation_is_refused(equation: bytes) -> None:
    """onnx's inference runs for ever on these."""
    einsum = helper.make_node("Einsum", ["x", "x"], ["y"], equation=equation)
    with pytest.raises(InvalidModelFile, match="which is none"):
        read_onnx(model([einsum], {"x": [2, 2]}))


def test_a_name_that_all_operations_share_is_made_unique_at_once() -> None:
    same = [helper.make_node("Relu", [f"x{i}"], [f"x{i + 1}"], name="same") for i in range(60_000)]
    names = unique_names(helper.make_graph(same, "g", [], []), [])  # by trying all suffixes: 2 billion steps
    assert len(set(names)) == 60_000 and names[:3] == ["same", "same_1", "same_2"]


def test_long_texts_are_not_padded_to_a_table() -> None:
    texts = ["x" * 10**6, *["y"] * 5000]  # 20 GB as a table of numpy
    nodes = [helper.make_node("Constant", [], ["t"], value_strings=texts), helper.make_node("Identity", ["t"], ["y"])]
    nodes.append(helper.make_node("Relu", ["x"], ["z"]))
    assert read_onnx(model(nodes, {"x": [2]})).n == 2


@pytest.mark.parametrize(
    "label", ["(" * 5000 + "a", "a*" * 90 + "a", "-" * 10**5 + "a", "a**a**a", "a+" * 10**5 + "a", "9" * 150 + "*a"]
)
def test_arithmetic_of_dimensions_comes_to_an_end(label: str) -> None:
    relu = model([helper.make_node("Relu", ["x"], ["y"])], {"x": [1], "z": [1]})
    relu.graph.input[0].type.tensor_type.shape.dim[0].dim_param = label
    relu.graph.input[1].type.tensor_type.shape.dim[0].dim_param = "a"
    with pytest.raises(InvalidInput):
        read_onnx(relu, dims={"a": 1000})


def test_an_if_whose_condition_is_known_has_the_shape_of_that_branch() -> None:
    def branch(axes: list[int], name: str) -> Any:
        made = helper.make_node("Constant", [], ["axes"], value_ints=axes)
        out = helper.make_tensor_value_info(name, FLOAT, None)
        return helper.make_graph([made, helper.make_node("Expand", ["x", "axes"], [name])], name, [], [out])

    for rank, elements in ((2, 6), (1, 300)):
        nodes = [
            helper.make_node("Shape", ["x"], ["s"]),
            helper.make_node("Size", ["s"], ["rank"]),
            helper.make_node("Constant", [], ["two"], value_int=2),
            helper.make_node("Equal", ["rank", "two"], ["is_two"]),
            helper.make_node(
                "If", ["is_two"], ["y"], else_branch=branch([100, 3], "e"), then_branch=branch([2, 3], "t")
            ),
        ]
        assert read_onnx(model(nodes, {"x": [1, 3][-rank:]})).tensor_bytes[-1] == 4 * elements


# --- ONNX: files outside -------------------------------------------------------------------------------------------


def apart(folder: Path, location: str, *, attribute: bool = False, raw: bool = False) -> Path:
    """A model with a weight in a file of its own: an initializer, or inside an attribute whose type says otherwise."""
    weight = TensorProto(name="w", dims=[4], data_type=FLOAT, data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    if raw:
        weight.raw_data = b"evil" * 4
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Mul", ["y", "w"], ["z"])]
    if attribute:
        nodes[0] = helper.make_node("Constant", [], ["w"], value=weight)
        nodes[0].attribute[0].ClearField("type")
        nodes.insert(0, helper.make_node("Relu", ["x"], ["y"]))
    built = model(nodes, {"x": [4]}, weights=[] if attribute else [weight])
    folder.mkdir(exist_ok=True)
    (folder / "m.onnx").write_bytes(built.SerializeToString())
    return folder / "m.onnx"


@pytest.mark.parametrize("attribute", [False, True])
@pytest.mark.parametrize(
    "location", ["../secret", "/etc/passwd", "a/../../secret", "..", "x" * 5000, "a\x00b", ".", "inside/none"]
)
def test_weights_outside_the_folder_are_never_opened(location: str, attribute: bool, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"s" * 16)
    path = apart(tmp_path / "model", location, attribute=attribute)
    for use in (lambda: load_model(str(path)), lambda: split_model(path, {"y": 0}, tmp_path / "parts")):
        with pytest.raises(InvalidModelFile):
            use()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model", "secret"]


def test_weights_behind_a_link_are_not_copied_into_parts(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"s" * 16)
    path = apart(tmp_path / "model", "w.bin")
    (tmp_path / "model" / "w.bin").symlink_to(tmp_path / "secret")
    graph = load_model(str(path)).graph  # only the size is looked at
    with pytest.raises(InvalidModelFile, match="cannot be loaded"):
        split_model(path, Placement(np.zeros(graph.n, dtype=np.int64)), tmp_path / "parts")
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize("location", ["../evil", "manifest.json", "chip_0.onnx"])
def test_split_writes_no_file_that_a_weight_names(location: str, tmp_path: Path) -> None:
    path = apart(tmp_path / "model", location, raw=True)
    with pytest.raises(InvalidModelFile, match="both inside and outside"):
        split_model(path, {"Relu_0": 0}, tmp_path / "model" / "parts")
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == ["m.onnx", "model"]
