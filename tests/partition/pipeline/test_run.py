"""Parts run as processes: what they compute, what they tell, and how they end whatever happens to them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper
from pipeline_models import WIDTH, layers, saved, value

from partition import Graph, InvalidInput, Placement, load_hardware, partition
from partition.errors import StageFailed
from partition.pipeline import layout, run, to_perfetto
from partition.pipeline.layout import usable_cores
from partition.pipeline.outcome import measured_stretch
from partition.split import Manifest, split_model
from partition.split.running import open_session

ROOT = Path(__file__).parents[3]


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """Parts of that model on three chips: the skip crosses two stages."""
    path = layers(tmp_path / "layers.onnx")
    split_model(path, Placement(np.array([0, 0, 1, 1, 2, 2])), tmp_path / "parts")
    return tmp_path / "parts"


@pytest.fixture
def leaves_nothing() -> Iterator[None]:
    """After the test there is no process and no named memory that was not there before."""
    me, memory = psutil.Process(), set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    before = {child.pid for child in me.children(recursive=True)}
    handles = me.num_fds()
    yield
    assert {child.pid for child in me.children(recursive=True)} <= before
    assert not [name for name in set(os.listdir("/dev/shm")) - memory if "mcm" in name]
    assert me.num_fds() <= handles


def stages() -> dict[str, psutil.Process]:
    """The processes of the stages, by number."""
    children = [c for c in psutil.Process().children() if "partition.pipeline.stage" in " ".join(c.cmdline())]
    return {str(i): child for i, child in enumerate(sorted(children, key=lambda c: c.pid))}


# --- what they compute --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("buffers", "slot"), [(1, 2**26), (None, 128)])
def test_the_pipeline_computes_what_the_model_does(
    line: Path, buffers: int | None, slot: int, monkeypatch: pytest.MonkeyPatch, leaves_nothing: None
) -> None:
    """With few buffers and with many, in one piece and in eight."""
    monkeypatch.setattr(layout, "LARGEST_SLOT", slot)
    rng = np.random.default_rng(1)
    values = [{"h0": rng.standard_normal((4, WIDTH)).astype(np.float32)} for _ in range(3)]
    found = run(line, inputs=8, buffers=buffers, values=values, keep=7)
    whole = open_session(line.parent / "layers.onnx")
    assert len(found.outputs) == 7
    for i, outputs in enumerate(found.outputs):
        for name, expected in zip(("y", "h1"), whole.run(["y", "h1"], values[i % 3]), strict=True):
            assert outputs[name].tobytes() == expected.tobytes(), (i, name)


def test_shapes_that_depend_on_data_and_other_types_pass(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Greater", ["x", "zero"], ["mask"], name="mask"),
        helper.make_node("NonZero", ["mask"], ["where"], name="where"),
        helper.make_node("ReduceSum", ["mask16"], ["count"], name="count", keepdims=0),
        helper.make_node("Cast", ["mask"], ["mask16"], name="half", to=TensorProto.FLOAT16),
        helper.make_node("Transpose", ["where"], ["pairs"], name="pairs"),
    ]
    nodes[2], nodes[3] = nodes[3], nodes[2]
    outputs = [value("pairs", [None, 2], TensorProto.INT64), value("count", [], TensorProto.FLOAT16)]
    weights = [numpy_helper.from_array(np.float32(0), "zero")]
    path = saved(tmp_path / "found.onnx", nodes, [value("x", [8, 8])], outputs, weights)
    graph = Graph.from_onnx(str(path))
    chip = {"x": 0, "mask": 0, "where": 0, "half": 0, "count": 1, "pairs": 1}
    split_model(path, Placement.from_names(graph, chip, chips=2), tmp_path / "parts")
    values = [{"x": np.full((8, 8), sign, np.float32)} for sign in (1, -1)]
    found = run(tmp_path / "parts", inputs=4, values=values, keep=2)
    assert [out["pairs"].shape for out in found.outputs] == [(64, 2), (0, 2)]
    assert [float(out["count"]) for out in found.outputs] == [64.0, 0.0]
    assert found.outputs[0]["count"].dtype == np.float16 and found.outputs[0]["count"].shape == ()


def test_what_numpy_has_no_array_for_crosses_too(tmp_path: Path) -> None:
    """Types that numpy lacks as their bits, one of no elements; texts and a sequence of different lengths."""
    held = {"one": np.float32(1), "none": np.array([0]), "lengths": np.array([1, 2])}
    weights = [numpy_helper.from_array(array, name) for name, array in held.items()]
    x, s = np.array([[1.0, -2.0, 3.0]] * 3, np.float32), np.array(["a", "bc"])

    def outputs_of(nodes: list[Any], given: dict[str, Any], outputs: list[Any]) -> dict[str, Any]:
        kinds = {"x": value("x", [3, 3]), "s": value("s", [2], TensorProto.STRING)}
        path = saved(tmp_path / "odd.onnx", nodes, [kinds[name] for name in given], outputs, weights, 21)
        chips = [int(name.startswith("read")) for name in Graph.from_onnx(str(path)).names]
        split_model(path, Placement(np.array(chips)), tmp_path / nodes[0].name)
        return run(tmp_path / nodes[0].name, inputs=4, values=[given], keep=1).outputs[0]

    bits = [
        helper.make_node("Cast", ["x"], ["b"], name="to bits", to=TensorProto.BFLOAT16),
        helper.make_node("QuantizeLinear", ["x", "one"], ["q"], name="to four", output_dtype=TensorProto.INT4),
        helper.make_node("Slice", ["b", "none", "none"], ["empty"], name="empty"),
        helper.make_node("Cast", ["b"], ["y0"], name="read bits", to=TensorProto.FLOAT),
        helper.make_node("DequantizeLinear", ["q", "one"], ["y1"], name="read four"),
        helper.make_node("Cast", ["empty"], ["y2"], name="read none", to=TensorProto.FLOAT),
    ]
    out = outputs_of(bits, {"x": x}, [value("y0", [3, 3]), value("y1", [3, 3]), value("y2", [0, 3])])
    assert np.array_equal(out["y0"], x) and np.array_equal(out["y1"], x) and out["y2"].shape == (0, 3)
    others = [
        helper.make_node("Identity", ["s"], ["texts"], name="texts"),
        helper.make_node("SplitToSequence", ["x", "lengths"], ["parts"], name="parts", axis=0),
        helper.make_node("StringConcat", ["texts", "texts"], ["y3"], name="read texts"),
        helper.make_node("ConcatFromSequence", ["parts"], ["y4"], name="read parts", axis=0),
    ]
    out = outputs_of(others, {"x": x, "s": s}, [value("y3", [2], TensorProto.STRING), value("y4", [3, 3])])
    assert out["y3"].tolist() == ["aa", "bcbc"] and np.array_equal(out["y4"], x)


# --- what they tell -----------------------------------------------------------------------------------------------


def test_figures_stand_beside_the_prediction(line: Path, tmp_path: Path) -> None:
    path = line.parent / "layers.onnx"
    result = partition(Graph.from_onnx(str(path)), load_hardware("ring2"))
    manifest = split_model(path, result, tmp_path / "solved")
    assert manifest.prediction is not None and manifest.prediction.period == result.period
    assert Manifest.read(tmp_path / "solved") == manifest
    seen: list[list[int]] = []
    found = run(tmp_path / "solved", inputs=30, record=2, on_progress=lambda done, total: seen.append([*done, total]))
    assert found.predicted == result.period and found.bound == result.bound
    assert [s.predicted for s in found.stages] == pytest.approx(result.cost.load[0].tolist())  # type: ignore[union-attr]
    assert found.expected == found.predicted and found.overhead == 0.0
    assert replace(found, overhead=1.0).expected == 1.0 + max(s.predicted or 0.0 for s in found.stages)
    assert seen[-1] == [found.inputs, found.inputs, found.inputs]
    assert found.period > 0 and found.period_spread[0] <= found.period_spread[1] <= found.period_spread[2]
    assert (found.latencies > 0).all() and (np.diff(found.leave) > 0).all()
    told = json.loads(json.dumps(found.to_dict()))
    assert told["predicted_period"] == result.period and len(told["stages"]) == 2
    assert "predicted" in found.to_table() and len(found.to_table().splitlines()) == 7 + len(found.notes())
    to_perfetto(found, tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    operations = [e for e in events if e.get("cat") == "operation"]
    assert {e["name"] for e in operations} == {"layer0", "layer1", "layer2", "layer3", "skip"}
    assert len(operations) == 10
    for e in operations:  # inside the run of their input
        (outer,) = [
            o
            for o in events
            if o.get("name") == f"input {e['args']['input']}" and o["ph"] == "X" and o["pid"] == e["pid"]
        ]
        assert outer["ts"] - 100 <= e["ts"] and e["ts"] + e["dur"] <= outer["ts"] + outer["dur"] + 100


@pytest.mark.parametrize(
    ("hardware", "calibrated", "note"),
    [
        ("ring36:transfers=serial", True, "is for the package 'ring36:transfers=serial', not for these cores"),
        ("board", True, "is for 'board'; it compares if that was calibrated on these cores; to compare, run"),
        ("cpu2", False, "is for 'cpu2'; it compares if"),
        ("cpu2:transfers=serial", True, ""),
    ],
)
def test_a_prediction_for_another_package_is_called_one(line: Path, hardware: str, calibrated: bool, note: str) -> None:
    found = run(line, inputs=4, cores=[usable_cores()[0]])
    assert found.notes() == ["3 stages share 1 core; the prediction has a core for each stage"], "nothing is predicted"
    told = replace(found, predicted=1.0, predicted_for=hardware, calibrated=calibrated, cores=3)
    assert len(told.notes()) == bool(note) and note in "".join(told.notes())
    assert note in told.to_table()
    assert ("from the CPU time" in told.to_table()) == ("not for these cores" not in note)


def test_warm_up_and_drain_are_not_measured() -> None:
    """A source that is far ahead ends early; what leaves after that comes out of buffers."""
    notes = np.zeros((2, 10, 7), np.int64)
    notes[0, :, 1] = np.arange(10) * 10  # the source begins its last input at 90
    notes[1, :, 3] = 15 + np.arange(10) * 20  # one leaves every 20
    assert measured_stretch(notes, (0,), (1,), 2) == (2, 3)
    notes[0, :, 1] = np.arange(10) * 20
    assert measured_stretch(notes, (0,), (1,), 2) == (2, 8)


def test_buffers_follow_the_distance_between_stages(line: Path) -> None:
    found = layout.lay_out(Manifest.read(line))
    assert found.depth == (0, 1, 2) and found.sources == (0,)
    assert {stream.tensor: stream.slots for stream in found.streams} == {"h1": 3, "h3": 2}
    assert found.upstream == (frozenset(), frozenset({0}), frozenset({0, 1}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": 3}, "inputs is 3"),
        ({"inputs": True}, "inputs"),
        ({"buffers": 0}, "buffers is 0"),
        ({"patience": 0}, "patience"),
        ({"cores": [10**6]}, "core 1000000 cannot be used"),
        ({"values": [{"x": np.zeros(1)}]}, "no values for input 'h0'"),
    ],
)
def test_numbers_without_sense_are_refused(line: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        run(line, **options)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"h0": np.ones((3, WIDTH))}, r"'h0' wants the shape 4x64, and the values are of \(3, 64\)"),
        ({"h0": np.ones((4, WIDTH), np.complex64)}, "'h0' wants float32, and the values are of type complex64"),
        ({"h0": np.ones((4, WIDTH)), "z": np.ones(1)}, "the model has no input 'z'; its inputs are 'h0'"),
    ],
)
def test_values_that_do_not_fit_are_refused(line: Path, values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        run(line, inputs=4, values=[values])


def test_a_manifest_with_loose_ends_is_refused(line: Path) -> None:
    data = json.loads((line / "manifest.json").read_text())
    data["parts"][0]["outputs"][0]["chips"] = [7]
    (line / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(InvalidInput, match="to chip 7"):
        run(line)


# --- how they end -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("victim", "after"), [("0", -1), ("1", 5), ("2", 5)])
def test_a_killed_stage_ends_the_run_with_its_name(line: Path, victim: str, after: int, leaves_nothing: None) -> None:
    """While it loads, and in the middle of the stream."""

    def strike(done: list[int], total: int) -> None:
        if max(done) > after and victim in stages():
            stages()[victim].send_signal(signal.SIGKILL)

    with pytest.raises(StageFailed, match=rf"chip_{victim}.onnx \(chip {victim}\) was ended by SIGKILL; .*memory"):
        run(line, inputs=10**6, on_progress=strike)


def test_a_stage_that_hangs_is_named(line: Path, leaves_nothing: None) -> None:
    def stop(done: list[int], total: int) -> None:
        if done[1] > 20:
            stages()["1"].send_signal(signal.SIGSTOP)

    with pytest.raises(StageFailed, match=r"chip_1.onnx .* has made no progress with input \d+ for \d s"):
        run(line, inputs=10**6, patience=3.0, on_progress=stop)


def test_a_stage_that_runs_out_of_memory_is_named(tmp_path: Path, leaves_nothing: None) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], name="relu"),
        helper.make_node("Expand", ["r", "shape"], ["huge"], name="expand"),
        helper.make_node("ReduceMax", ["huge"], ["y"], name="reduce", keepdims=0),
    ]
    shape = numpy_helper.from_array(np.array([2**22, 2**22], np.int64), "shape")
    path = saved(tmp_path / "huge.onnx", nodes, [value("x", [1, 1])], [value("y", [])], [shape])
    split_model(path, Placement(np.array([0, 0, 1, 1])), tmp_path / "parts")
    with pytest.raises(StageFailed, match=r"chip_1.onnx .*(memory|alloc)"):
        run(tmp_path / "parts", inputs=4)


def test_a_part_that_cannot_be_loaded_is_named(line: Path, leaves_nothing: None) -> None:
    (line / "chip_1.onnx").write_bytes(b"no model")
    with pytest.raises(StageFailed, match=r"chip_1.onnx \(chip 1\) failed: onnxruntime cannot load"):
        run(line, inputs=4)


PROGRAM = """
import sys
from partition.pipeline import run
run(sys.argv[1], inputs=10**6, on_progress=lambda done, total: print(done, flush=True) if min(done) > 5 else None)
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_no_stage_outlives_the_run(line: Path, ending: signal.Signals) -> None:
    """Neither Ctrl-C nor a kill of the parent leaves orphans."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(line)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout is not None and parent.stdout.readline().startswith(b"[")
    children = psutil.Process(parent.pid).children()
    assert len(children) == 3
    parent.send_signal(ending)
    assert parent.wait(60) != 0
    parent.stdout.close()
    _, alive = psutil.wait_procs(children, timeout=600)
    assert not alive


FULL = """
mount -t tmpfs -o size=64k none /dev/shm && dd if=/dev/zero of=/dev/shm/full bs=64k count=1 2>/dev/null
exec "$@"
"""
MEASURE = """
import sys
from partition.pipeline import run
print(len(run(sys.argv[1], inputs=4).stages))
"""


def test_a_full_dev_shm_does_not_matter(line: Path) -> None:
    """Shared memory has no name, so the size of /dev/shm (64 MB in a container) is no limit."""
    command = ["unshare", "-m", "sh", "-c", FULL, "sh", sys.executable, "-c", MEASURE, str(line)]
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("this user may not mount")
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "3\n", done.stderr


LIMITED = """
import resource, sys
from partition import InvalidInput
from partition.pipeline import run
resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
try:
    run(sys.argv[1], inputs=4)
except InvalidInput as error:
    print(error)
"""


def test_no_room_for_buffers_is_said_at_once(line: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(line)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert "cannot reserve 0.0 MB of shared memory" in done.stdout, done.stderr
