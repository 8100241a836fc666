"""Measured times of operations, and the defaults of the command line."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from instances import chain_of, package

from partition import Graph, InvalidInput, partition
from partition.commands.main import main
from partition.readers.measured import read_times

ROOT = Path(__file__).parents[3]


def test_measured_times_replace_the_roofline() -> None:
    graph, missing = chain_of([1, 1, 1, 1]).with_times({"v0": 5.0, "v2": {"unit": 2.0}}, ["unit"])
    assert missing == ["v1", "v3"]
    assert package(2).times(graph).tolist() == [[5, 1, 2, 1]]
    assert partition(graph, package(2, bandwidth=100)).period == pytest.approx(5)
    assert graph.fingerprint == chain_of([1, 1, 1, 1]).fingerprint


def test_csv_and_json_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("operation,seconds\nv0,5\nv1,2.5\n")
    (tmp_path / "t.json").write_text('{"v0": 5, "v1": {"seconds": 2.5}}')
    (tmp_path / "kinds.csv").write_text("operation,fast,slow\nv0,5,\nv1,2.5,7\n")
    assert (
        read_times(tmp_path / "t.csv")
        == read_times(tmp_path / "t.json")
        == {"v0": {"seconds": 5}, "v1": {"seconds": 2.5}}
    )
    assert read_times(tmp_path / "kinds.csv") == {"v0": {"fast": 5}, "v1": {"fast": 2.5, "slow": 7}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("op,seconds\nv0,1\n", "first line"),
        ("operation,seconds\nv0,fast\n", "line 2.*'v0' is 'fast'"),
        ("operation,seconds\nv0,-1\n", "from 0"),
        ("operation,seconds\nv0,nan\n", "from 0"),
        ("operation,seconds\nv0,1\nv0,2\n", "twice"),
        ("operation,seconds\n,2\n", "no operation"),
    ],
)
def test_lines_that_cannot_be_used_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InvalidInput, match=message):
        read_times(tmp_path / "t.csv")


def test_unknown_operations_and_kinds_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"'w'.*1 of 2 are unknown"):
        chain_of([1]).with_times({"v0": 1.0, "w": 1.0}, ["unit"])
    with pytest.raises(InvalidInput, match="'gpu' as a kind of chip; the package has unit"):
        chain_of([1]).with_times({"v0": {"gpu": 1.0}}, ["unit"])


def test_the_command_line_says_what_was_not_matched(tmp_path: Path) -> None:
    model, times = tmp_path / "m.json", tmp_path / "t.csv"
    chain_of([1e-3] * 4).to_json(str(model))
    times.write_text("operation,seconds\nv0,0.004\nv1,0.004\n")
    done = CliRunner().invoke(main, ["solve", str(model), "--hw", "ring2", "--times", str(times), "--json", "-q"])
    assert done.exit_code == 0 and "2 of 4 operations have no measured time" in done.stderr and "v2, v3" in done.stderr
    assert json.loads(done.stdout)["period"] >= 4e-3
    times.write_text("operation,seconds\nelsewhere,0.004\n")
    done = CliRunner().invoke(main, ["solve", str(model), "--hw", "ring2", "--times", str(times)])
    assert done.exit_code == 2 and "'elsewhere'" in done.stderr and len(done.stderr.splitlines()) == 1


# --- habits -------------------------------------------------------------------------------------------------------


def test_defaults_come_from_a_file_then_the_environment_then_the_command(tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text('[solve]\nseed = 7\nhw = "ring2"\nquiet = true\nas_json = true\n')
    run = CliRunner()

    def seed(*options: str, **environment: str) -> int:
        done = run.invoke(main, ["--config", str(config), "solve", "resnet50", *options], env=environment)
        assert done.exit_code == 0, done.output
        return int(json.loads(done.stdout)["seed"])

    assert seed() == 7
    assert seed(MCM_PARTITION_SOLVE_SEED="8") == 8
    assert seed("--seed", "9", MCM_PARTITION_SOLVE_SEED="8") == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [("[solve]\nspeed = 1\n", "no option 'speed'"), ("[fly]\n", "no command"), ("x = [", "cannot read")],
)
def test_a_file_of_defaults_that_makes_no_sense_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    done = CliRunner().invoke(main, ["--config", str(tmp_path / "c.toml"), "models"])
    assert done.exit_code == 2 and message in done.stderr


def test_versions_agree() -> None:
    import partition as library

    told = CliRunner().invoke(main, ["--version"]).output
    assert library.__version__ == version("mcm-partition") and library.__version__ in told


def test_profiled_times_of_the_graph_stay_where_nothing_was_measured() -> None:
    graph, _ = chain_of([1, 1]).with_times({"v0": 3.0}, ["unit"])
    again, missing = graph.with_times({"v1": 4.0}, ["unit"])
    assert missing == [] and again.profiled_times["unit"].tolist() == [3, 4]
    assert isinstance(again, Graph) and np.isfinite(again.profiled_times["unit"]).all()
