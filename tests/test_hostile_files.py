"""Files made to do harm: each is refused in one printable line or read harmlessly, in little time and memory."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pytest
from hostile_seeds import EXTERNAL, answer_model, answers, manifests, models, outside_weights, policies
from instances import chain_of

from learned.policy.policy import Policy
from partition import (
    InvalidAssignment,
    InvalidGraph,
    InvalidHardware,
    InvalidInput,
    InvalidModelFile,
    PartitionError,
    load_hardware,
    load_model,
    partition,
)
from partition.commands.options import read_answer
from partition.files import read_bounded
from partition.problem.hardware_toml import to_toml
from partition.problem.placement import Placement
from partition.readers.measured import read_times
from partition.readers.native_json import from_dict
from partition.split import Manifest, split_model, verify_parts
from partition.text import LONGEST, printable, shown

pytestmark = pytest.mark.usefixtures("bounded")
ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\nperiod 1 s, proved optimal\u202e\x9b31m"


# --- Any file ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", hostile.formats())
def test_damaged_files_are_read_or_refused_in_a_line(kind: str, tmp_path: Path) -> None:
    """The short form of ``benchmarks/fuzz.py``."""
    (tmp_path / EXTERNAL).write_bytes(outside_weights())
    path = tmp_path / f"case{hostile.ENDINGS.get(kind, '.json')}"
    for index in range(1, 100):
        path.write_bytes(hostile.hostile_file(kind, 99, index))
        verdict = hostile.tried(kind, path, np.random.default_rng([99, index]))
        assert verdict.outcome in ("read", "refused"), f"--seed 99 --show '{kind}' {index}: {verdict}"
    assert {entry.name for entry in tmp_path.iterdir()} <= {path.name, EXTERNAL, "inside", "manifest"}


def test_damage_follows_from_its_number_alone() -> None:
    for kind in hostile.formats():
        assert hostile.hostile_file(kind, 5, 7) == hostile.hostile_file(kind, 5, 7)
        assert len({hostile.hostile_file(kind, 5, index) for index in range(1, 30)}) > 10


def test_the_files_that_damage_starts_from_can_be_used(tmp_path: Path) -> None:
    (tmp_path / EXTERNAL).write_bytes(outside_weights())
    for content in models():
        path = tmp_path / "whole.onnx"
        path.write_bytes(content)
        assert load_model(str(path), dims={"batch": 2}).graph.n > 2
    for content in policies():
        (tmp_path / "whole.npz").write_bytes(content)
        assert Policy.load(tmp_path / "whole.npz").note == "small"


@pytest.mark.parametrize("error", [InvalidInput, InvalidModelFile, InvalidHardware, PartitionError])
def test_messages_are_one_printable_line_of_bounded_length(error: type[PartitionError]) -> None:
    told = str(error(f"names {ESCAPES} and {'x' * 10**7}; do this"))
    assert told.isprintable() and len(told) <= LONGEST and told.endswith("; do this") and told.startswith("names \\x1b")


def test_values_are_shown_whatever_they_are() -> None:
    deep: list[Any] = []
    for _ in range(10**5):
        deep = [deep]
    for value in (deep, "x" * 10**7, [1] * 10**6, {str(i): i for i in range(10**5)}):
        assert len(shown(value)) <= 60
    assert shown("a") == "'a'" and shown([1, 2]) == "[1, 2]" and printable("caf\u00e9 \u4e2d") == "caf\u00e9 \u4e2d"


def test_endless_files_are_read_no_further_than_their_limit() -> None:
    with pytest.raises(OSError, match="larger than"):
        read_bounded("/dev/zero", 10**6)
    with pytest.raises(InvalidHardware, match=r"larger than 0\.5 MB"):
        load_hardware_file("/dev/zero")


def load_hardware_file(path: str) -> None:
    from partition.problem.hardware_toml import read_hardware_file

    read_hardware_file(Path(path))


# --- JSON, TOML, CSV -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["[" * 10**6, '{"operations":' + "[" * 900 + "]" * 900 + "}", '{"a":' * 10**5])
def test_deep_json_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text(content)
    with pytest.raises(InvalidModelFile):
        load_model(str(path))


@pytest.mark.parametrize("value", ["[" * 10**5, "9" * 5000, "{a=" * 5000, "inf", "1e400", "nan"])
def test_hostile_toml_is_refused(value: str, tmp_path: Path) -> None:
    path = tmp_path / "package.toml"
    path.write_text(to_toml(load_hardware("mesh2x2")).replace("rows = 2", f"rows = {value}"))
    with pytest.raises(InvalidHardware):
        load_hardware(str(path))


@pytest.mark.parametrize(
    "line", ["a." * 60_000 + "b = 1", "[" + "a." * 60_000 + "b]", "x = {" + '"".' * 60_000 + "b = 1}"]
)
def test_keys_of_endless_parts_take_no_memory(line: str, tmp_path: Path) -> None:
    """Python's parser would take 16 GB for these 128 kB."""
    path = tmp_path / "package.toml"
    path.write_text(f"{to_toml(load_hardware('ring2'))}\n{line}\n")
    with pytest.raises(InvalidHardware, match="over 100 dots"):
        load_hardware(str(path))


def test_halves_of_characters_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "half.json"
    path.write_text('{"operations": [{"name": "a\\ud800"}]}')
    with pytest.raises(InvalidModelFile, match="half of a character"):
        load_model(str(path))
    path.write_text('{"operations": [{"name": "a\\ud83d\\ude00"}]}')
    assert load_model(str(path)).graph.names == ("a\U0001f600",)


def test_more_kinds_of_chips_than_a_package_can_have_are_refused(tmp_path: Path) -> None:
    rows = [{"name": f"v{i}", "times": {f"kind{i}": 1.0}} for i in range(20_000)]  # 3 GB as arrays
    with pytest.raises(InvalidModelFile, match="at most 64 kinds"):
        from_dict({"operations": rows})
    path = tmp_path / "kinds.toml"
    kinds = "".join(f"[chip_kinds.k{i}]\npeak_flops = 1.0\n" for i in range(5000))
    path.write_text(f'[[chips]]\nkind = "k1"\n{kinds}[interconnect]\ntopology = "ring"\nlink_bandwidth = 1.0\n')
    with pytest.raises(InvalidHardware, match="at most 64"):
        load_hardware(str(path))


def test_repeats_in_long_lists_are_found_at_once() -> None:
    names = [f"v{i}" for i in range(50_000)]
    tensor = {"producer": "v0", "bytes": 1, "consumers": [*names[1:], names[-1]]}
    with pytest.raises(InvalidGraph, match="names operation 'v49999' twice"):
        from_dict({"operations": [{"name": name} for name in names], "tensors": [tensor]})


@pytest.mark.parametrize("amount", [1e31, 1.7e308])
def test_amounts_whose_sums_leave_the_floats_are_refused(amount: float, tmp_path: Path) -> None:
    with pytest.raises(InvalidGraph, match="at most 1e\\+30"):
        chain_of([amount, amount])
    path = tmp_path / "package.toml"
    path.write_text(
        to_toml(load_hardware("ring2")).replace("link_bandwidth = 16000000000.0", f"link_bandwidth = {1 / amount}")
    )
    with pytest.raises(InvalidHardware, match="from 1e-30"):
        load_hardware(str(path))


def test_the_largest_amounts_still_have_a_finite_cost() -> None:
    slow = load_hardware("ring2:link_bandwidth=1e-30,peak_flops=1e-30,memory=off")
    result = partition(chain_of([1e30, 1e30], size=1e30), slow, time_limit=5)
    assert np.isfinite(result.period) and "Infinity" not in result.to_json()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "operation,seconds\na," + "9" * 200_000),
        ("t.csv", "operation,seconds\na,inf"),
        ("t.json", '{"a": ' + "9" * 400 + "}"),
        ("t.json", '{"a": ' + "9" * 5000 + "}"),
        ("t.json", '{"a": 1e400}'),
        ("t.json", '{"a": {"b": [[[]]]}}'),
    ],
)
def test_hostile_times_are_refused(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InvalidInput):
        read_times(tmp_path / name)


def test_any_name_can_stand_in_a_times_file(tmp_path: Path) -> None:
    names = ["two\nlines", "a,b", 'quo"te', "\u2028", "\x0b"]
    buffer = io.StringIO()
    csv.writer(buffer).writerows([["operation", "seconds"], *([name, 1.0] for name in names)])
    (tmp_path / "t.csv").write_text(buffer.getvalue(), newline="")
    assert list(read_times(tmp_path / "t.csv")) == names


# --- Results and manifests -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"chips": 10**12}, {"chips": None}, {"chips": float("inf")}, {"chips": "many"}, {"relays": [[{}, 1]]},
        {"relays": [[["t"], 1]]}, {"relays": 5}, {"replicas": {"a_op": [10**30]}}, {"assignment": {"a_op": 10**12}},
    ],
)  # fmt: skip
def test_hostile_answers_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    answer = json.loads(answers()[1]) | change
    with pytest.raises(InvalidAssignment):
        split_model(answer_model(), answer, tmp_path / "parts")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [{"kinds": ["edge"]}, {"kinds": ["edge"] * 10**5}, {"kinds": [[]] * 3}, {"positions": [0.0, 1.0, 2.0]},
     {"positions": [True, False, 2]}, {"positions": "012"}, {"positions": [10**30, 0, 1]}],
)  # fmt: skip
def test_answers_for_strange_packages_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    graph = load_model(str(answer_model())).graph
    path = tmp_path / "answer.json"
    path.write_text(json.dumps(json.loads(answers()[1]) | change))
    with pytest.raises(InvalidInput):
        read_answer(str(path), graph, load_hardware("biring3"))


@pytest.mark.parametrize("file", ["../chip_0.onnx", "/tmp/chip_0.onnx", "chip_0.onnx/../../x", "model.onnx", 5])
def test_a_manifest_opens_nothing_outside_its_folder(file: object, tmp_path: Path) -> None:
    data = json.loads(manifests()[0])
    data["parts"][0]["file"] = file
    (tmp_path / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(InvalidInput, match="not a manifest"):
        Manifest.read(tmp_path)


def test_a_manifest_with_parts_missing_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    graph = load_model(str(answer_model())).graph
    split_model(answer_model(), Placement(np.minimum(np.arange(graph.n), 2)), tmp_path / "parts")
    path = tmp_path / "parts" / "manifest.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"parts": data["parts"][1:]}))
    with pytest.raises(InvalidInput, match="comes from nowhere"):
        verify_parts(answer_model(), tmp_path / "parts")


# --- Policies ------------------------------------------------------------------------------------------------------


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("parameter W0.npy", "w") as member:
        for _ in range(300):
            member.write(bytes(2**20))
    assert path.stat().st_size < 10**6
    with pytest.raises(InvalidInput, match="unpacked it takes 314572800 bytes"):
        Policy.load(path)


@pytest.mark.parametrize("shape", [(10**12,), (2**62, 2**62), (-1,), (10**9, 10**9)])
def test_an_array_that_claims_to_be_huge_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "huge.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("mean.npy", "w") as member:
        header = str({"descr": "<f4", "fortran_order": False, "shape": shape}).ljust(117) + "\n"
        member.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    with pytest.raises(InvalidInput, match="not a policy file"):
        Policy.load(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("mean", np.nan), ("scale", np.inf), ("parameter W0", 1e30), ("calibration", 7.0), ("calibration", np.nan)],
)
def test_numbers_that_no_training_gives_are_refused(name: str, value: float, tmp_path: Path) -> None:
    with np.load(io.BytesIO(policies()[1])) as file:
        arrays = dict(file)
    np.savez(tmp_path / "p.npz", **(arrays | {name: np.full_like(arrays[name], value)}))
    with pytest.raises(InvalidInput, match="damaged"):
        Policy.load(tmp_path / "p.npz")


def test_a_network_too_wide_to_run_is_refused(tmp_path: Path) -> None:
    with np.load(io.BytesIO(policies()[0])) as file:
        arrays = dict(file)
    inputs = len(arrays["parameter W0"])
    wide = {"W0": (inputs, 10**5), "b0": (10**5,), "W1": (10**5, 2), "b1": (2,)}
    zeros = {f"parameter {key}": np.zeros(shape, np.float32) for key, shape in wide.items()}
    np.savez_compressed(tmp_path / "p.npz", **(arrays | zeros))
    with pytest.raises(InvalidInput, match="at most 16 of 4096"):
        Policy.load(tmp_path / "p.npz")


def test_damage_too_large_to_do_leaves_a_file_that_can_be_tried() -> None:
    """The fuzzer itself must go on: scaling a number of 300 digits has no answer in doubles."""

    def scaled(text: str, _: np.random.Generator) -> str:
        return str(float(int(text)) * 10.0)

    damage, content = hostile.as_text(scaled), b"1" + b"0" * 400
    tried = [damage(content, np.random.default_rng(seed), [content]) for seed in range(20)]
    assert content in tried and all(isinstance(each, bytes) for each in tried)
