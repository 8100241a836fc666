"""Names made to do harm: on a terminal, in a page, in an exported model, in a configuration that lies in the folder."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from instances import package

from partition import (
    Graph,
    GraphBuilder,
    load_hardware,
    load_model,
    partition,
)
from partition.commands.main import main
from partition.problem.hardware_toml import to_toml

pytestmark = pytest.mark.usefixtures("bounded")
ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\nperiod 1 s, proved optimal\u202e\x9b31m"


# --- What people see -----------------------------------------------------------------------------------------------


@pytest.fixture
def named_to_harm(tmp_path: Path) -> Path:
    b = GraphBuilder(f"model {ESCAPES}")
    b.operation(f"a {ESCAPES}", f"Op {ESCAPES}", outputs={f"t {ESCAPES}": 1e6}, flops=1e9)
    b.operation(f"b {ESCAPES}", f"Op {ESCAPES}", inputs=[f"t {ESCAPES}"], flops=1e9, unknown=True)
    path = tmp_path / "harm.json"
    b.build().to_json(str(path))
    hardware = to_toml(load_hardware("ring2")).replace('name = "ring2"', f"name = {json.dumps(ESCAPES)}")
    (tmp_path / "harm.toml").write_text(
        hardware.replace('"edge"', json.dumps(f"kind {ESCAPES}")).replace('"s"', json.dumps(ESCAPES))
    )
    return path


def inert(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n")) and "\nperiod 1 s" not in text


def test_nothing_that_a_file_says_reaches_the_terminal_raw(named_to_harm: Path, tmp_path: Path) -> None:
    package, answer = str(tmp_path / "harm.toml"), str(tmp_path / "answer.json")
    given = [str(named_to_harm), "--hw", package]
    run = CliRunner().invoke
    done = [
        run(main, ["solve", *given, "-o", answer]),
        run(main, ["solve", *given, "--json"]),
        run(main, ["bound", *given]),
    ]
    done += [
        run(main, ["inspect", *given]),
        run(main, ["hardware", package]),
        run(main, ["check", given[0], answer, *given[1:]]),
    ]
    data = json.loads(Path(answer).read_text())
    broken = {name: 1 - i for i, name in enumerate(data["assignment"])}
    Path(answer).write_text(json.dumps(broken))
    done.append(run(main, ["check", given[0], answer, *given[1:]]))
    assert [result.exit_code for result in done] == [0, 0, 0, 0, 0, 0, 1]
    (tmp_path / "times.json").write_text(json.dumps({f"a {ESCAPES}": 1e-3}))
    done.append(run(main, ["inspect", *given, "--times", str(tmp_path / "times.json")]))
    Path(answer).write_text(json.dumps({ESCAPES: 0}))
    done.append(run(main, ["check", given[0], answer, *given[1:]]))
    assert done[-1].exit_code == 2
    for result in done:
        assert inert(result.stdout) and inert(result.stderr), result.output


def test_progress_shows_a_unit_as_it_is_written(tmp_path: Path) -> None:
    from partition.results.display import Display
    from partition.results.progress import Progress

    line = Display(io.StringIO(), unit=f"[bold]{ESCAPES}").line(Progress(1.0, "seed", 2.0, 1.0, 0.5))
    assert line.isprintable() and "[bold]" in line


def test_an_exported_model_keeps_names_inside_its_comment(tmp_path: Path) -> None:
    from milp.export import write_model

    b = GraphBuilder("x *\\ max: nonsense\nEnd")
    b.operation("a\nEnd", "Op", flops=1e9)
    write_model(b.build(), load_hardware("ring2"), tmp_path / "m.lp")
    comment, _, rest = (tmp_path / "m.lp").read_text().partition("*\\")
    assert comment.startswith("\\*") and rest.lstrip().startswith("min")


# --- Configuration that lies in the folder -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('[solve]\noutput = "/tmp/owned"', "says where to write"),
        ('[split]\nfolder = "/tmp/owned"', "says where to write"),
        ("[solve]\ntime_limit = [1]", "not of the form"),
        ("[solve]\nseed = 1979-05-27", "not of the form"),
        ("[solve]\nseed = " + "[" * 10**5, "cannot read"),
        ("[solve]\nseed = " + "9" * 5000, "cannot read"),
    ],
)
def test_a_configuration_in_the_folder_cannot_choose_files_to_write(
    content: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mcm-partition.toml").write_text(content)
    done = CliRunner().invoke(main, ["models"])
    assert done.exit_code == 2 and told in done.stderr and done.stderr.rstrip("\n").split("\n")[-1].isprintable()


def test_a_configuration_that_is_named_may_choose_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('[solve]\noutput = "out.json"\nquiet = true\n[split]\ndims = ["a=1"]')
    done = CliRunner().invoke(main, ["--config", "mine.toml", "solve", "resnet50", "--hw", "ring4"])
    assert done.exit_code == 0 and json.loads((tmp_path / "out.json").read_text())["status"] == "optimal"


def test_graphs_survive_being_named_to_harm(named_to_harm: Path) -> None:
    graph = load_model(str(named_to_harm)).graph
    assert Graph.from_json(graph.to_json()).fingerprint == graph.fingerprint
    assert partition(graph, package(2), time_limit=5).to_html().count("<script") == 2
