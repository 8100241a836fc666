"""What a chip does adds up to its load, and is said in 80 columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from partition import InvalidInput, partition
from partition.commands.main import main


@pytest.mark.parametrize("hw", ["ring4", "ring4:transfers=serial"])
def test_the_parts_of_a_chip_add_up_to_what_it_does(hw: str) -> None:
    result = partition("resnet50", hw, work_limit=1)
    assert result.cost is not None
    for chip in range(4):
        found = result.chip(chip)
        for doing, column in (("computes", "compute"), ("receives", "receive"), ("sends", "send")):
            total = sum(part.time for part in found.parts if part.doing == doing)
            assert total == pytest.approx(getattr(result.cost, column)[0, chip])
        both = sum if hw.endswith("serial") else max
        assert found.load == pytest.approx(both((found.compute, found.receive, found.send)))
        assert max(map(len, found.to_table().splitlines())) <= 80
    with pytest.raises(InvalidInput, match="the chip is 4; give a whole number from 0 to 3"):
        result.chip(4)


def test_solve_and_check_say_what_a_chip_does(tmp_path: Path) -> None:
    answer = str(tmp_path / "answer.json")
    solve = ["solve", "resnet50", "--hw", "ring4", "-q"]
    table = CliRunner().invoke(main, [*solve, "--chip", "3", "-o", answer]).stdout
    check = ["check", "resnet50", answer, "--hw", "ring4", "--chip", "3"]
    checked = CliRunner().invoke(main, check).stdout
    assert "layer3/4/Relu_2, 401.41 kB" in checked and checked.splitlines()[0].startswith("chip 3: load ")
    assert set(checked.splitlines()[:-1]) <= set(table.splitlines())
    (told,) = json.loads(CliRunner().invoke(main, [*check, "--json"]).stdout)["chips"]
    assert told["chip"] == 3 and told["parts"][0]["doing"] == "computes"
    for words in ([*solve, "--chip", "4"], [*solve, "--chip", "3", "--json"], [*check, "--chip", "-1"]):
        assert CliRunner().invoke(main, words).exit_code == 2


def test_the_command_in_a_report_can_be_given_again(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    words = ["--pin", "images=0", "--forbid", "layer4/*=0,1", "--cut", "layer2/*", "layer3/*"]
    asked = ["solve", "resnet50", "--hw", "ring4", *words, "--max-stages", "3", "--chip", "1", "-q"]
    assert CliRunner().invoke(main, [*asked, "--report", str(page)]).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "--pin images=0" in text and "--forbid 'layer4/*=0,1'" in text and "--cut 'layer2/*' 'layer3/*'" in text
