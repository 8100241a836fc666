"""The commands profile, run and calibrate, from model to running pipeline."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("onnxruntime")
from pipeline_models import WIDTH, layers

from partition import Graph, load_hardware
from partition.commands.main import main
from partition.split import split_model

ROOT = Path(__file__).parents[3]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return layers(tmp_path / "layers.onnx")


def test_from_a_profile_to_a_measured_pipeline(model: Path, tmp_path: Path) -> None:
    run, times, answer = CliRunner(), str(tmp_path / "t.csv"), str(tmp_path / "r.json")
    parts, trace, values = (str(tmp_path / name) for name in ("parts", "trace.json", "v.npz"))
    done = run.invoke(main, ["profile", str(model), "-o", times, "--runs", "5", "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["nodes"] == 5, done.output
    options = ["--hw", "cpu2", "--times", times, "-q", "-o", answer]
    done = run.invoke(main, ["solve", str(model), *options])
    assert done.exit_code == 0 and not done.stderr, done.output
    assert run.invoke(main, ["split", str(model), answer, "-o", parts]).exit_code == 0
    np.savez(values, h0=np.ones((4, WIDTH), np.float32))
    done = run.invoke(main, ["run", parts, "--inputs", "8", "--trace", trace, "--values", values, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["predicted_period"] == json.loads(Path(answer).read_text())["period"]
    assert len(told["stages"]) == 2 and "stages are at" in done.stderr
    assert "layer3" in Path(trace).read_text()


def test_what_cannot_run_is_one_sentence(model: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["run", str(tmp_path), "--inputs", "8"])
    assert result.exit_code == 2 and "manifest.json" in result.stderr
    graph = Graph.from_onnx(str(model))
    split_model(model, dict.fromkeys(graph.names, 0), tmp_path / "parts")
    (tmp_path / "v.npz").write_bytes(b"nothing")
    for options, message in [
        (["--values", str(tmp_path / "v.npz")], "holds no values of inputs"),
        (["--buffers", "0"], "buffers is 0"),
        (["--cores", "zero"], "0,1 or none"),
        (["--cores", "²"], "0,1 or none"),
    ]:
        result = CliRunner().invoke(main, ["run", str(tmp_path / "parts"), "-q", *options])
        assert result.exit_code == 2 and message in result.stderr
    (tmp_path / "parts/chip_0.onnx").write_bytes(b"no model")
    result = CliRunner().invoke(main, ["run", str(tmp_path / "parts"), "-q"])
    assert result.exit_code == 1 and "error: stage chip_0.onnx (chip 0) failed" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_ctrl_c_is_no_traceback(model: Path, tmp_path: Path) -> None:
    split_model(model, dict.fromkeys(Graph.from_onnx(str(model)).names, 0), tmp_path / "parts")
    command = [sys.executable, str(ROOT / "cli.py"), "run", str(tmp_path / "parts"), "--inputs", str(10**6)]
    running = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stderr is not None and "stages are at" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=600)
    assert running.returncode == 130 and told.splitlines()[-1] == "error: interrupted" and "Traceback" not in told


def test_calibration_to_measurements_of_another_chip(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCM_PARTITION_CPU", str(tmp_path / "here" / "cpu.toml"))
    graph = Graph.from_onnx(str(model))
    times = load_hardware("ring2").times(graph)[0]
    events = [
        {"ph": "X", "name": name, "ts": 100 * v, "dur": 1e6 * times[v], "cat": "op"}
        for v, name in enumerate(graph.names)
        if times[v] > 0
    ]
    (tmp_path / "npu.json").write_text(json.dumps({"traceEvents": events}))
    (tmp_path / "link.csv").write_text("bytes,seconds\n0,1e-5\n1000000,1.1e-4\n")
    given = ["--times", str(tmp_path / "npu.json"), "--transfers", str(tmp_path / "link.csv"), "--name", "npu"]
    done = CliRunner().invoke(main, ["calibrate", str(model), *given, "--chips", "8"])
    assert done.exit_code == 0 and "npu: " in done.stdout, done.output
    assert "times 5 of 5 operations" in done.stderr
    found = load_hardware("cpu4")
    assert found.kinds[0].name == "npu" and found.interconnect.link_bandwidth == pytest.approx(1e10)
    assert load_hardware(str(tmp_path / "here" / "cpu.toml")).chips == 8
    for options, message in [(["--chips", "0"], "chips is 0"), (given[:2], "belong to one model")]:
        done = CliRunner().invoke(main, ["calibrate", *options])
        assert done.exit_code == 2 and message in done.stderr
