"""cli.py train and compare."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from partition.commands.main import main


def call(*args: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    return result.exit_code, result.stdout, result.stderr


def test_training_comparing_and_solving_with_the_result(tmp_path: Path) -> None:
    policy, curve = tmp_path / "p.npz", tmp_path / "curve.json"
    code, _, err = call(
        "train", "resnet50", tmp_path / "missing.onnx", "--hw", "ring4", "--iterations", 2, "--rollouts", 4,
        "--rounds", 2, "--curve", curve, "-o", policy,
    )  # fmt: skip
    assert code == 0
    assert "skipped" in err
    assert "tasks to train on: 1; 1 skipped" in err
    data = json.loads(curve.read_text())
    assert len(data["curve"]) == 2
    assert data["skipped"] == [f"{tmp_path / 'missing.onnx'} on ring4"]

    png, report = tmp_path / "c.png", tmp_path / "c.json"
    code, out, _ = call(
        "compare", "resnet50", "--hw", "ring4", "--samples", 20, "--seeds", 2, "--policy", policy, "--plot", png,
        "-o", report, "--time-limit", 5,
    )  # fmt: skip
    assert code == 0
    assert "fine-tuned" in out
    assert png.read_bytes().startswith(b"\x89PNG")
    assert json.loads(report.read_text())["samples"] == 20

    code, out, _ = call("solve", "resnet50", "--hw", "ring4", "--policy", policy, "--json", "-q")
    assert code == 0
    assert json.loads(out)["status"] == "optimal"


def test_fine_tuning_starts_from_a_policy(tmp_path: Path) -> None:
    policy = tmp_path / "p.npz"
    code, _, err = call(
        "train", "resnet50", "--hw", "ring4", "--start", "pretrained", "--iterations", 1, "--rollouts", 4, "-o", policy
    )
    assert code == 0, err
    assert policy.exists()


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("compare", "resnet50", "--hw", "ring4", "--samples", 0), "samples is 0; give a whole number from 1"),
        (("compare", "resnet50", "--hw", "ring4", "--methods", "magic"), "unknown method 'magic'"),
        (("compare", "resnet50", "--hw", "ring4", "--policy", "/none.npz"), "there is no policy file"),
        (("compare", "nothing", "--hw", "ring4"), "nothing"),
        (
            ("train", "resnet50", "--hw", "ring4", "--iterations", 0, "-o", "/tmp/x.npz"),
            "iterations is 0",
        ),
        (("train", "no-such-model", "--hw", "ring4", "-o", "/tmp/x.npz"), "no model left"),
        (("train", "resnet50", "--hw", "ring4", "--start", "/none.npz", "-o", "/tmp/x.npz"), "there is no policy file"),
        (("solve", "resnet50", "--hw", "ring4", "--policy", "/none.npz"), "there is no policy file"),
    ],
)
def test_bad_requests_end_in_one_sentence_and_exit_code_2(args: tuple[object, ...], told: str) -> None:
    code, _, err = call(*args)
    assert code == 2
    assert told in err
    assert err.count("error:") == 1
    assert "Traceback" not in err
