"""Split models: every part valid ONNX, all parts together equal to the whole, wherever operations are placed."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from partition import (
    Graph,
    InvalidAssignment,
    InvalidInput,
    InvalidModelFile,
    Placement,
    Sweep,
    load_hardware,
    load_model,
    partition,
)
from partition.commands.main import main
from partition.split import Manifest, annotate_model, split_model, verify_parts
from partition.split.parts import LARGE

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"


def small_model(path: Path, *, apart: bool = False) -> Path:
    """Weights used twice, views of constants, an input read late, a branch that captures, an output read again."""
    rng = np.random.default_rng(0)
    w = numpy_helper.from_array(rng.standard_normal((4, 4)).astype(np.float32), "w")
    b = numpy_helper.from_array(rng.standard_normal(4).astype(np.float32), "b")
    shape = numpy_helper.from_array(np.array([1, 4], dtype=np.int64), "shape")
    branch = [
        helper.make_graph([helper.make_node(op, ["h1", "bb"], ["r"])], op, [], [value("r", ["n", 4])])
        for op in ("Add", "Mul")
    ]
    nodes = [
        helper.make_node("Reshape", ["b", "shape"], ["bb"], name="view of a constant"),
        helper.make_node("MatMul", ["x", "w"], ["h0"], name="first"),
        helper.make_node("Relu", ["h0"], ["h1"], name="relu"),
        helper.make_node("MatMul", ["h1", "w"], ["h2"], name="second"),
        helper.make_node("Constant", [], ["half"], value=numpy_helper.from_array(np.float32(0.5))),
        helper.make_node("Mul", ["h2", "half"], ["h3"], name="halve"),
        helper.make_node("If", ["flag"], ["h4"], name="if", then_branch=branch[0], else_branch=branch[1]),
        helper.make_node("Add", ["h3", "h4"], ["h5"], name="join"),
        helper.make_node("Add", ["h5", "x"], ["y"], name="skip"),
        helper.make_node("ReduceSum", ["y"], ["total"], name="sum", keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [value("x", ["n", 4]), helper.make_tensor_value_info("flag", TensorProto.BOOL, [])],
        [value("y", ["n", 4]), value("total", []), value("h1", ["n", 4])],
        [w, b, shape],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save_model(
        model, str(path), save_as_external_data=apart, location="w.bin" if apart else None, size_threshold=64
    )
    return path


def value(name: str, shape: list[object]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


DIMS = {"n": 3}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return small_model(tmp_path / "small.onnx")


def random_placement(graph: Graph, chips: int, rng: np.random.Generator) -> Placement:
    """Homes along a topological order; replicas and relays wherever they may be."""
    homes = np.zeros(graph.n, dtype=np.int64)
    homes[graph.topological_order] = np.sort(rng.integers(0, chips, graph.n))
    pairs = [(v, c) for v in range(graph.n) for c in range(int(homes[v]) + 1, chips) if rng.random() < 0.15]
    held = set(pairs)
    relays = [
        (t, c)
        for t in range(graph.m)
        for c in range(int(homes[graph.producer[t]]) + 1, chips)
        if rng.random() < 0.15 and (int(graph.producer[t]), c) not in held
    ]
    return Placement(homes, np.array(pairs).reshape(-1, 2), np.array(relays).reshape(-1, 2))


def test_parts_compute_what_the_whole_does_wherever_operations_are_placed(small: Path, tmp_path: Path) -> None:
    graph = Graph.from_onnx(str(small), dims=DIMS)
    for seed in range(25):
        placement = random_placement(graph, 4, np.random.default_rng(seed))
        folder = tmp_path / f"parts{seed}"
        manifest = split_model(small, placement, folder, dims=DIMS)
        compared = verify_parts(small, folder, seed=seed)
        assert [row.output for row in compared] == ["y", "total", "h1"]
        assert all(row.identical for row in compared), (seed, compared)
        for part in manifest.parts:
            onnx.checker.check_model(str(folder / part.file), full_check=True)
        assert Manifest.read(folder) == manifest


@pytest.mark.parametrize("name", ["shufflenet", "inception_v1"])
def test_a_solved_cnn_runs_in_pieces(name: str, tmp_path: Path) -> None:
    path = LIGHT / f"light_{name}.onnx"
    result = partition(Graph.from_onnx(str(path)), load_hardware("ring4"), time_limit=20)
    manifest = split_model(path, result, tmp_path / "parts")
    assert len(manifest.parts) == 4
    for part in manifest.parts:  # as the table of the answer has them
        copies = len(part.replicas)
        assert part.operations - copies == np.count_nonzero(result.placement.assignment == part.chip)
        assert part.weight_bytes == pytest.approx(result.cost.sram[0, part.chip])
    assert all(row.identical for row in verify_parts(path, tmp_path / "parts"))


def test_fused_kernels_are_equal_within_rounding(small: Path, tmp_path: Path) -> None:
    graph = Graph.from_onnx(str(small), dims=DIMS)
    split_model(small, random_placement(graph, 3, np.random.default_rng(1)), tmp_path / "parts", dims=DIMS)
    assert all(row.equal for row in verify_parts(small, tmp_path / "parts", optimised=True))


def test_weights_beside_the_model_are_found_and_large_parts_keep_theirs_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small_model(tmp_path / "apart.onnx", apart=True)
    assert (tmp_path / "w.bin").is_file() and LARGE > 2**20
    monkeypatch.setattr("partition.split.parts.LARGE", 1)
    monkeypatch.setattr("partition.split.parts.SMALL", 64)
    graph = Graph.from_onnx(str(path), dims=DIMS)
    split_model(path, random_placement(graph, 2, np.random.default_rng(2)), tmp_path / "parts", dims=DIMS)
    assert list((tmp_path / "parts").glob("*.data"))
    assert all(row.identical for row in verify_parts(path, tmp_path / "parts"))


def test_a_changed_part_is_noticed(small: Path, tmp_path: Path) -> None:
    graph = Graph.from_onnx(str(small), dims=DIMS)
    folder = tmp_path / "parts"
    manifest = split_model(small, random_placement(graph, 2, np.random.default_rng(3)), folder, dims=DIMS)
    changed = 0
    for part in manifest.parts:
        model = onnx.load(str(folder / part.file))
        for tensor in model.graph.initializer:
            if tensor.name == "w":
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 1.5, "w"))
                changed += 1
        onnx.save(model, str(folder / part.file))
    assert changed and not all(row.equal for row in verify_parts(small, folder))


def test_the_manifest_says_what_moves(small: Path, tmp_path: Path) -> None:
    graph = Graph.from_onnx(str(small), dims=DIMS)
    homes = dict.fromkeys(graph.names, 0) | {"join": 2, "skip": 2, "sum": 2}
    t = graph.tensor_names.index("h3")
    placement = Placement(Placement.from_names(graph, homes, chips=3).assignment, np.zeros((0, 2)), np.array([[t, 1]]))
    first, second, third = split_model(small, placement, tmp_path / "parts", dims=DIMS).parts
    assert {p.tensor: p.chips for p in first.outputs} == {"h1": (), "h3": (1,), "h4": (2,), "x": (2,)}
    assert [(p.tensor, p.name, p.chips) for p in second.outputs] == [("h3", "h3/handed_on", (2,))]
    assert second.relays == ("h3",) and second.operations == 0
    assert {p.tensor: p.chips for p in third.inputs} == {"h3": (1,), "h4": (0,), "x": (0,)}
    assert {p.tensor for p in third.outputs if p.host} == {"y", "total"}
    assert next(p for p in second.inputs).bytes == 3 * 4 * 4


# --- refusals -----------------------------------------------------------------------------------------------------


def test_an_answer_for_another_version_is_refused(small: Path, tmp_path: Path) -> None:
    graph = Graph.from_onnx(str(small), dims=DIMS)
    answer = partition(graph, load_hardware("ring2")).to_dict()
    with pytest.raises(InvalidAssignment, match="fingerprint"):
        split_model(small, answer, tmp_path / "parts", dims={"n": 5})
    assert not (tmp_path / "parts").exists()
    with pytest.raises(InvalidAssignment, match="another"):
        split_model(LIGHT / "light_squeezenet.onnx", Placement(np.zeros(3)), tmp_path / "parts")


def test_an_answer_brings_the_dimensions_it_was_made_with(small: Path, tmp_path: Path) -> None:
    result = partition(Graph.from_onnx(str(small), dims=DIMS), load_hardware("ring2"))
    for name, answer in (("result", result), ("json", result.to_dict())):
        assert split_model(small, answer, tmp_path / name).dims == DIMS
    with pytest.raises(InvalidAssignment, match="dimensions of the answer"):
        split_model(small, result.to_dict() | {"dims": {"n": "3"}}, tmp_path / "wrong")
    with pytest.raises(InvalidAssignment, match="fingerprint"):  # a model without such dimensions is another model
        split_model(LIGHT / "light_squeezenet.onnx", result.to_dict(), tmp_path / "other")


def test_fingerprints_tell_versions_apart_but_not_names(small: Path) -> None:
    three, five = (Graph.from_onnx(str(small), dims={"n": n}) for n in (3, 5))
    assert three.fingerprint != five.fingerprint
    assert three.fingerprint == Graph.from_onnx(str(small), dims=DIMS, name="other").fingerprint


def test_a_folder_in_use_stays_as_it_is(small: Path, tmp_path: Path) -> None:
    graph = Graph.from_onnx(str(small), dims=DIMS)
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "mine.txt").write_text("kept")
    placement = Placement(np.zeros(graph.n))
    with pytest.raises(InvalidInput, match="not empty"):
        split_model(small, placement, folder, dims=DIMS)
    assert [p.name for p in folder.iterdir()] == ["mine.txt"]
    split_model(small, placement, folder, dims=DIMS, force=True)
    assert not (folder / "mine.txt").exists() and (folder / "manifest.json").exists()
    with pytest.raises(InvalidInput, match="is a file"):
        split_model(small, placement, small, dims=DIMS)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_refused(small: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    graph = Graph.from_onnx(str(small), dims=DIMS)
    with pytest.raises(InvalidInput, match="cannot write"):
        split_model(small, Placement(np.zeros(graph.n)), tmp_path / "parts", dims=DIMS)


def test_nothing_is_left_where_writing_fails(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(onnx, "save_model", full)
    graph = Graph.from_onnx(str(small), dims=DIMS)
    (tmp_path / "out").mkdir()
    with pytest.raises(InvalidInput, match="No space left"):
        split_model(small, Placement(np.zeros(graph.n)), tmp_path / "out" / "parts", dims=DIMS)
    assert not list((tmp_path / "out").iterdir())


def test_chips_in_a_circle_are_refused(small: Path, tmp_path: Path) -> None:
    graph = Graph.from_onnx(str(small), dims=DIMS)
    homes = dict.fromkeys(graph.names, 0) | {"second": 1}
    with pytest.raises(InvalidAssignment, match="circle"):
        split_model(small, Placement.from_names(graph, homes, chips=2), tmp_path / "parts", dims=DIMS)


def test_an_output_that_nothing_produces_is_refused(small: Path, tmp_path: Path) -> None:
    """The graph can be read, for such an output costs nothing; but no part could deliver it."""
    model = onnx.load(str(small))
    model.graph.output.append(value("missing", ["n", 4]))
    onnx.save_model(model, str(small))
    graph = Graph.from_onnx(str(small), dims=DIMS)
    with pytest.raises(InvalidModelFile, match=r"output 'missing' of .* is produced by nothing"):
        split_model(small, Placement(np.zeros(graph.n)), tmp_path / "parts", dims=DIMS)
    assert not (tmp_path / "parts").exists()


def test_an_operator_unknown_to_onnxruntime_is_named(tmp_path: Path) -> None:
    node = helper.make_node("Frobnicate", ["x"], ["y"], domain="my.domain", name="f")
    graph = helper.make_graph([node], "odd", [value("x", [2])], [value("y", [2])])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("my.domain", 1)]
    path = tmp_path / "odd.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(path))
    split_model(path, Placement(np.zeros(2)), tmp_path / "parts")
    with pytest.raises(InvalidModelFile, match="Frobnicate"):
        verify_parts(path, tmp_path / "parts")


def test_the_command_line_names_an_operator_that_onnxruntime_does_not_know(tmp_path: Path) -> None:
    """Also where the model has to run before it can be cut, for the type of a tensor that no inference finds."""
    nodes = [
        helper.make_node("Frobnicate", ["x"], ["h"], domain="my.domain", name="f"),
        helper.make_node("Relu", ["h"], ["y"], name="g"),
    ]
    graph = helper.make_graph(nodes, "odd", [value("x", [2])], [value("y", [2])])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("my.domain", 1)]
    path, answer = tmp_path / "odd.onnx", tmp_path / "answer.json"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(path))
    for homes, written in (({"x": 0, "f": 0, "g": 1}, False), ({"x": 0, "f": 0, "g": 0}, True)):
        answer.write_text(json.dumps(homes))
        folder = tmp_path / f"parts{written}"
        done = CliRunner().invoke(main, ["split", str(path), str(answer), "-o", str(folder), "--verify"])
        assert done.exit_code == 2 and done.stdout == ""
        assert len(done.stderr.splitlines()) == 1 and "Frobnicate" in done.stderr
        assert folder.exists() == written and sorted(p.name for p in tmp_path.iterdir() if p.name[0] == ".") == []


@pytest.mark.parametrize("place", ["odd.onnx/parts", "odd.onnx"])
def test_a_folder_that_cannot_be_is_refused(small: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "odd.onnx").write_text("")
    graph = Graph.from_onnx(str(small), dims=DIMS)
    with pytest.raises(InvalidInput, match=r"cannot write|is a file"):
        split_model(small, Placement(np.zeros(graph.n)), tmp_path / place, dims=DIMS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["odd.onnx", "small.onnx"]


def test_a_folder_without_parts_is_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="give a folder that split wrote"):
        verify_parts(small, tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(InvalidInput, match="not a manifest"):
        verify_parts(small, tmp_path)


def test_the_command_line_solves_splits_and_verifies(small: Path, tmp_path: Path) -> None:
    run = CliRunner()
    answer, folder = tmp_path / "result.json", tmp_path / "parts"
    solved = run.invoke(main, ["solve", str(small), "--hw", "ring2", "--dim", "n=3", "-o", str(answer)])
    assert solved.exit_code == 0, solved.output
    done = run.invoke(main, ["split", str(small), str(answer), "-o", str(folder), "--dim", "n=3", "--verify", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["parts"] == [p.file for p in Manifest.read(folder).parts] and all(c["equal"] for c in told["compared"])
    again = run.invoke(main, ["split", str(small), str(answer), "-o", str(folder), "--dim", "n=3"])
    assert again.exit_code == 2 and "not empty" in again.stderr
    other = run.invoke(main, ["split", str(small), str(answer), "-o", str(tmp_path / "p2"), "--dim", "n=4"])
    assert other.exit_code == 2 and "fingerprint" in other.stderr and len(other.stderr.splitlines()) == 1


def test_a_model_carries_the_stages_of_an_answer(small: Path, tmp_path: Path) -> None:
    """ONNX's own annotations: every node that is an operation says its stage, and the model stays valid and equal."""
    graph = Graph.from_onnx(str(small), dims=DIMS)
    homes = random_placement(graph, 3, np.random.default_rng(3)).assignment
    target = tmp_path / "annotated.onnx"
    count = annotate_model(small, Placement(homes), target, dims=DIMS)
    model = onnx.load(str(target))
    onnx.checker.check_model(str(target))
    assert model.configuration[0].num_devices == homes.max() + 1 and model.ir_version >= 11
    stages = {
        node.name: node.device_configurations[0].pipeline_stage
        for node in model.graph.node
        if node.device_configurations
    }
    assert count == len(stages) and stages == {name: homes[graph.index[name]] for name in stages}
    assert {"first", "relu", "second", "halve", "if", "join", "skip", "sum"} <= set(stages)
    with pytest.raises(InvalidInput, match="replicates operations or relays tensors"):
        annotate_model(small, Placement(homes, np.array([[1, int(homes[1]) + 1]])), target, dims=DIMS)


def test_annotations_on_the_command_line(small: Path, tmp_path: Path) -> None:
    graph = Graph.from_onnx(str(small), dims=DIMS)
    homes = random_placement(graph, 3, np.random.default_rng(3)).assignment.tolist()
    answer, target = tmp_path / "answer.json", tmp_path / "annotated.onnx"
    answer.write_text(json.dumps(dict(zip(graph.names, homes, strict=True))))
    words = [str(small), str(answer), "-o", str(target), *(w for k, v in DIMS.items() for w in ("--dim", f"{k}={v}"))]
    done = CliRunner().invoke(main, ["annotate", *words])
    assert done.exit_code == 0 and "nodes carry a pipeline stage" in done.stdout
    stages = {n.name: n.device_configurations[0].pipeline_stage for n in onnx.load(str(target)).graph.node
              if n.device_configurations}  # fmt: skip
    assert stages and stages == {name: homes[graph.index[name]] for name in stages}
    words[3] = str(small)
    refused = CliRunner().invoke(main, ["annotate", *words])
    assert refused.exit_code == 2 and "would be lost" in refused.stderr


def test_what_has_no_placement_of_this_model_is_refused_in_a_sentence(small: Path, tmp_path: Path) -> None:
    graph = Graph.from_onnx(str(small), dims=DIMS)
    hardware = load_hardware("ring2")
    one = load_model(str(small), dims=DIMS)
    two = partition(load_model([one, one]), hardware)
    none = partition(graph, replace(hardware, kinds=tuple(replace(kind, sram_bytes=1.0) for kind in hardware.kinds)))
    assert none.placement is None
    swept = Sweep(graph).over(hardware, {"chips": [1, 2]})
    largest = graph.names[int(graph.flops.argmax())]
    shared = partition(graph, hardware, shard={largest: 2})
    for name, answer, sentence in (
        ("two", two, "an answer for two models cannot be cut"),
        ("shared", shared, "this answer has operations in parts"),
        ("none", none, "this answer is infeasible: there is no placement in it"),
        ("swept", swept, "this is a sweep"),
    ):
        answer.to_json(str(tmp_path / name))
        done = CliRunner().invoke(
            main, ["split", str(small), str(tmp_path / name), "-o", str(tmp_path / "parts"), "--dim", "n=3"]
        )
        assert done.exit_code == 2 and sentence in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
        assert not (tmp_path / "parts").exists()
    for result, sentence in ((two, "two models"), (none, "no placement in it")):
        with pytest.raises(InvalidAssignment, match=sentence):
            split_model(str(small), result, tmp_path / "parts", dims=DIMS)
