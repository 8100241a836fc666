"""Wishes on the command line, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from partition.commands.main import main


def test_the_command_line_takes_wishes_from_options_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text('[wishes]\npins = { "images" = 0 }\nmax_stages = 7\n')
    out = tmp_path / "out.json"
    options = ["--forbid", "layer4/*=0,2-3", "--cut", "layer2/*", "layer3/*", "--together", "layer1/0/*,layer1/1/*"]
    run = ["solve", "resnet50", "--hw", "ring8", "-q", "--wishes", str(tmp_path / "w.toml"), *options, "-o", str(out)]
    done = CliRunner().invoke(main, run)
    assert done.exit_code == 0, done.output
    answer = json.loads(out.read_text())
    assert answer["wishes"]["forbid"] == [["layer4/*", [0, 2, 3]]] and answer["wishes"]["max_stages"] == 7
    checked = CliRunner().invoke(main, ["check", "resnet50", str(out), "--hw", "ring8"])
    assert checked.exit_code == 0, checked.output
    broken = CliRunner().invoke(main, ["check", "resnet50", str(out), "--hw", "ring8", "--pin", "images=4"])
    assert broken.exit_code == 1 and "not kept: 'images' is on chip 4" in broken.output


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--pin", "images=1", "--pin", "images=2"], 3, "contradict each other"),
        (["--pin", "images=1,2"], 2, "give one"),
        (["--pin", "images"], 2, "NAME=CHIPS"),
        (["--forbid", "images=3-1"], 2, "names no chip"),
        (["--pin", "images=²"], 2, "NAME=CHIPS"),
        (["--granularity", "x"], 2, "granularity is 'x'"),
        (["--granularity", "module:²"], 2, "give 'layer', or 'module:2'"),
        (["--wishes", "nowhere.toml"], 2, "cannot read 'nowhere.toml'"),
    ],
)
def test_exit_codes_of_wishes(options: list[str], code: int, words: str) -> None:
    done = CliRunner().invoke(main, ["solve", "resnet50", "--hw", "ring8", "-q", *options])
    assert done.exit_code == code and words in done.output, done.output
