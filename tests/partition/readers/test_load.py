"""The format of a file is told by its content, and what is wrong in it in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from instances import diamond
from other_formats import ALB, DOT, HMETIS, IN2, MINOS, PIPEDREAM
from same_graphs import assert_same

from partition.errors import InvalidInput, InvalidModelFile
from partition.readers.load import FORMATS, load_model
from partition.readers.native_json import write_json

FILES = {
    "line.alb": (ALB, "line-balancing"),
    "line.IN2": (IN2, "line-balancing"),
    "graph.txt": (PIPEDREAM, "pipedream"),
    "tiny.dot": (DOT, "dot"),
    "tiny.hgr": (HMETIS, "hmetis"),
    "minos.json": (MINOS, "minos"),
}


@pytest.mark.parametrize("name", FILES)
def test_each_format_is_told_by_its_content(load, name):
    content, expected = FILES[name]
    source = load(content, "unnamed")
    assert source.format == expected
    assert source.hardware is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (ALB.replace("3,4", "3,9"), "names task 9"),
        (ALB.replace("2 2,5\n", ""), "3 tasks; there must be 4"),
        (ALB.replace("3 3\n", "3 three\n"), "time of task 3"),
        (IN2.replace("3,4", "4,4"), "depends on itself"),
        (IN2.replace("3,4", "3;4"), "two task numbers"),
        (PIPEDREAM.replace("node2 -- node3", "node2 -- node7"), "'node7', which has no time"),
        (PIPEDREAM.replace("backward_compute_time=1.500, ", ""), "no backward_compute_time"),
        (DOT.replace("weight=7", "weight=heavy"), "weight of a -> b"),
        (HMETIS.replace("5 1 2 3", "5 1 2 9"), "pins from 1 to 4"),
        (HMETIS.replace("\n6\n", "\n"), "asks for 7"),
        (MINOS.replace("[0, 1, 0.5]", "[0, 5, 0.5]"), "numbered from 0 to 2"),
        (MINOS.replace("[8, 0, 0]", "[8, 0]"), "one for each operation"),
        (MINOS.replace("[1, 2, 0.25]", "[1, 0, 0.25]"), "cycl"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(load, content, says):
    with pytest.raises(Exception, match=says) as raised:
        load(content)
    assert isinstance(raised.value, InvalidModelFile) or "cycl" in says
    assert "\n" not in str(raised.value)


def test_the_command_line_knows_every_format():
    from partition.commands.options import format_option

    option = format_option(lambda: None).__click_params__[0]
    assert set(option.type.choices) == set(FORMATS)


DATA = Path(__file__).parents[2] / "data" / "device-placement"


def test_the_format_is_told_by_the_content_whatever_the_suffix(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 2])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 2])
    relu = onnx.helper.make_node("Relu", ["x"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([relu], "g", [value], [out]))
    contents = {
        "json": write_json(diamond()).encode(),
        "device-placement": (DATA / "layer_bert-24_inference.json").read_bytes(),
        "onnx": model.SerializeToString(),
    }
    for format_, content in contents.items():
        path = tmp_path / f"{format_}.bin"
        path.write_bytes(content)
        source = load_model(str(path))
        assert source.format == format_
        assert (source.hardware is not None) == (format_ == "device-placement")
    assert load_model("resnet50").format == "builtin"
    assert set(contents) | {"builtin"} <= set(FORMATS)


def test_a_file_hides_the_built_in_model_of_its_name_and_a_folder_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "unet").mkdir()
    assert load_model("unet").format == "builtin"
    (tmp_path / "resnet50").write_text(write_json(diamond()))
    assert load_model("resnet50").graph.names == diamond().names
    assert load_model("resnet50", format="builtin").format == "builtin"


def test_the_format_may_be_stated(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_text(write_json(diamond()))
    assert_same(load_model(str(path), format="json").graph, diamond())
    with pytest.raises(InvalidModelFile, match="maxFPGAs is missing"):
        load_model(str(path), format="device-placement")
    with pytest.raises(InvalidInput, match="/m' is not a readable ONNX model"):
        load_model(str(path), format="onnx")
    with pytest.raises(InvalidInput, match="unknown format 'yaml'; choose from builtin"):
        load_model(str(path), format="yaml")


@pytest.mark.parametrize("spec", ["resnet50", "{json}"])
def test_dimensions_are_refused_where_there_are_none_to_set(spec: str, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(write_json(diamond()))
    with pytest.raises(InvalidInput, match="no symbolic dimensions"):
        load_model(spec.format(json=path), dims={"batch": 1})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("missing.onnx", "there is no file 'missing.onnx'"),
        ("folder/missing", "there is no file"),
        ("resnet5", "unknown model 'resnet5'"),
        ("folder", "'folder' is a folder"),
        ("empty.onnx", "'empty.onnx' is empty"),
        ("blank.json", "'blank.json' is empty"),
        ("garbage.onnx", "garbage.onnx"),
        ("zeros.onnx", "zeros.onnx"),
        ("text.txt", "text.txt"),
        ("broken.json", "'broken.json' as JSON"),
        ("x" * 5000, "unknown model"),
        ("nul\0name", "unknown model"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused_in_one_sentence(
    spec: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    rng = np.random.default_rng(1)
    for name, content in {
        "empty.onnx": b"",
        "blank.json": b" \n" * 10,
        "garbage.onnx": rng.bytes(2000),
        "zeros.onnx": bytes(2000),
        "text.txt": b"a model, honestly",
        "broken.json": b'{"operations": [{"name": ',
    }.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=message) as caught:
        load_model(spec)
    assert "\n" not in str(caught.value)


def test_no_format_named_but_not_a_file_is_refused(tmp_path: Path) -> None:
    for format_ in ("onnx", "json", "device-placement"):
        with pytest.raises(InvalidModelFile, match="is not a file"):
            load_model(str(tmp_path), format=format_)


def test_what_no_model_can_be_in_is_told_by_name(tmp_path: Path) -> None:
    """A pipe would keep whoever opens it waiting; a model of OpenVINO is no web page; JSON of others is named."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "net.xml").write_text('<?xml version="1.0"?><net name="x"></net>')
    (tmp_path / "model.tar").write_bytes(b"\0" * 257 + b"ustar" + b"\0" * 250)
    (tmp_path / "config.json").write_text('{"architectures": ["BertModel"]}')
    said = {"pipe": "is a pipe", "net.xml": "OpenVINO", "model.tar": "unpack it", "config.json": r"JSON file .*config"}
    for file, word in said.items():
        with pytest.raises(InvalidModelFile, match=word):
            load_model(str(tmp_path / file))
