"""The command line: its contract, its exit codes, and one sentence for every bad input."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from instances import chain_of, long_skip
from oracle import certify

from partition import GraphBuilder, NoSolutionInTime, Progress, __version__
from partition.commands.main import COMMANDS, main
from partition.results.display import Display

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "tests" / "data" / "device-placement" / "layer_bert-24_inference.json"
CONTRACT = {
    "model", "hardware", "operations", "chips", "status", "period", "bound", "gap", "throughput", "seconds", "seed",
    "assignment", "replicas", "relays",
}  # fmt: skip


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def sentence(result: Result, code: int) -> str:
    """The one line on stderr of a failed command."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and "Traceback" not in result.stderr
    return lines[0]


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.json"
    long_skip(5).to_json(str(path))
    return str(path)


def test_solve_prints_exactly_one_json_object(small: str) -> None:
    result = run("solve", small, "--hw", "ring3", "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert set(answer) >= CONTRACT
    assert answer["status"] == "optimal" and answer["operations"] == 5 and answer["chips"] == 3
    assert set(answer["assignment"]) == {f"v{i}" for i in range(5)}
    assert "period" in result.stderr


def test_the_model_and_the_printed_hardware_are_enough_to_recompute_the_answer(small: str) -> None:
    for hardware in ("ring3", "ring3:transfers=serial,link_bandwidth=1", "chain2:relays=off"):
        package = tomllib.loads(run("hardware", hardware).stdout)
        answer = json.loads(run("solve", small, "--hw", hardware, "--json").stdout)
        certify({"graph": json.loads(Path(small).read_text()), "hardware": package}, answer)
        problem = json.loads(run("inspect", small, "--hw", hardware, "--json").stdout)
        assert set(problem["operations"][0]) >= {"name", "op_type", "flops", "weights", "time"}
        assert set(problem["tensors"][0]) >= {"producer", "bytes", "consumers"}


def test_a_device_placement_file_needs_no_hardware() -> None:
    result = run("solve", str(SAMPLE), "--json", "--quiet")
    assert result.exit_code == 0 and result.stderr == ""
    assert json.loads(result.stdout)["period"] == pytest.approx(17.7899, abs=1e-4)


def test_the_table_names_the_bottleneck(small: str) -> None:
    result = run("solve", small, "--hw", "ring2", "-q")
    assert "proved optimal" in result.stdout and "<- the busiest" in result.stdout


def test_the_output_file_holds_the_same_json_and_starts_the_next_solve(small: str, tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    first = run("solve", small, "--hw", "ring3", "--json", "-o", str(path))
    assert json.loads(path.read_text()) == json.loads(first.stdout)
    again = run("solve", small, "--hw", "ring3", "--json", "--warm-start", str(path))
    assert json.loads(again.stdout)["period"] <= json.loads(first.stdout)["period"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["answer.json", "small.json"]


def test_check_accepts_a_solve_and_names_what_is_broken(small: str, tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    run("solve", small, "--hw", "ring3", "-o", str(path))
    assert run("check", small, str(path), "--hw", "ring3").exit_code == 0
    data = {f"v{i}": 2 - i % 3 for i in range(5)}
    path.write_text(json.dumps(data))
    result = run("check", small, str(path), "--hw", "ring3", "--json")
    assert result.exit_code == 1
    assert "acyclic" in {violation["rule"] for violation in json.loads(result.stdout)["violations"]}


def test_check_reads_the_order_of_the_kinds_and_the_places_of_the_stages(tmp_path: Path) -> None:
    package, model, path = tmp_path / "free.toml", tmp_path / "two.json", tmp_path / "answer.json"
    operations = [{"name": "a", "op_type": "Mul", "flops": 1}, {"name": "b", "op_type": "Add", "flops": 1}]
    tensors = [{"producer": "a", "bytes": 0.5, "consumers": ["b"]}]
    model.write_text(json.dumps({"operations": operations, "tensors": tensors}))
    kinds = "".join(
        f'[[chips]]\nkind = "{kind}"\n[chip_kinds.{kind}]\npeak_flops = 1\nunsupported = ["{other}"]\n'
        for kind, other in (("adds", "Mul"), ("multiplies", "Add"))
    )
    links = '[interconnect]\ntopology = "ring"\nlink_bandwidth = 1.0\n'
    for order, code in (("free", 0), ("fixed", 2)):
        package.write_text(f'kind_order = "free"\n{kinds}{links}')
        run("solve", str(model), "--hw", str(package), "-o", str(path))
        assert json.loads(path.read_text())["kinds"] == ["multiplies", "adds"]
        package.write_text(f'kind_order = "{order}"\n{kinds}{links}')
        assert run("check", str(model), str(path), "--hw", str(package)).exit_code == min(code, 1)
        assert run("simulate", str(model), str(path), "--hw", str(package)).exit_code == code


@pytest.mark.parametrize("ending", ["lp", "mps"])
def test_export_writes_a_model(small: str, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"model.{ending}"
    assert run("export", small, "--hw", "ring3", "-o", str(path)).exit_code == 0
    assert path.stat().st_size > 500


def test_models_and_hardware_are_listed() -> None:
    assert {row["name"] for row in json.loads(run("models", "--json").stdout)} >= {"bert-large", "resnet50", "gnmt"}
    assert "ring36" in run("hardware").stdout
    assert json.loads(run("hardware", "ring5", "--json").stdout)["chips"] == 5
    assert "bert-base" in run("models").stdout


def test_a_described_preset_is_a_hardware_file(small: str, tmp_path: Path) -> None:
    path = tmp_path / "package.toml"
    path.write_text(run("hardware", "ring3").stdout)
    by_file, by_name = (json.loads(run("solve", small, "--hw", hw, "--json").stdout) for hw in (str(path), "ring3"))
    assert by_file["period"] == by_name["period"]


def test_a_proved_infeasible_model_prints_json_and_the_reason(tmp_path: Path) -> None:
    b = GraphBuilder("big")
    b.operation("giant", "MatMul", flops=1, weights=1e12)
    path = tmp_path / "big.json"
    b.build().to_json(str(path))
    result = run("solve", str(path), "--hw", "ring4", "--json", "-q")
    assert result.exit_code == 3
    answer = json.loads(result.stdout)
    assert answer["status"] == "infeasible" and answer["period"] is None
    assert "'giant'" in result.stderr and "memory" in result.stderr


def test_weights_too_large_in_total_are_infeasible(tmp_path: Path) -> None:
    b = GraphBuilder("heavy")
    for i in range(10):
        b.operation(f"v{i}", "MatMul", flops=1, weights=1e8)
    b.build().to_json(str(tmp_path / "heavy.json"))
    result = run("solve", str(tmp_path / "heavy.json"), "--hw", "ring2", "-q")
    assert result.exit_code == 3 and result.stdout.count("all weights together") == 1
    assert result.stderr == "error: infeasible\n"
    assert "such chips" in result.stdout


def cyclic() -> dict[str, object]:
    names = ["a", "b", "c"]
    tensors = [{"producer": n, "bytes": 1, "consumers": [names[(i + 1) % 3]]} for i, n in enumerate(names)]
    return {"operations": [{"name": n} for n in names], "tensors": tensors}


BAD_FILES: dict[str, tuple[object, str]] = {
    "cyclic": (cyclic(), "cycle of 3 operations"),
    "empty graph": ({"operations": []}, "no operations"),
    "wrong type": ({"operations": [{"name": "a", "flops": "many"}]}, "operations[0].flops"),
    "negative": ({"operations": [{"name": "a", "flops": -1}]}, "operations[0].flops"),
    "duplicate": ({"operations": [{"name": "a"}, {"name": "a"}]}, "'a'"),
    "dangling": ({"operations": [{"name": "a"}], "tensors": [{"producer": "b", "bytes": 1}]}, "'b'"),
    "a list": ([1, 2], "object"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_json_file_gets_one_sentence(case: str, tmp_path: Path) -> None:
    content, words = BAD_FILES[case]
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(content))
    assert words in sentence(run("solve", str(path), "--hw", "ring2", "-q"), 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bert-lrage", "--hw", "ring36"], "bert-large"),
        (["bert-large:seq=0", "--hw", "ring36"], "seq"),
        (["resnet50", "--hw", "ring0"], "0 chips"),
        (["resnet50", "--hw", "ring-2"], "-2 chips"),
        (["resnet50", "--hw", "torus9"], "torus9"),
        (["resnet50"], "--hw"),
        (["no/such/file.onnx", "--hw", "ring2"], "no/such/file.onnx"),
        (["resnet50", "--hw", "ring4", "--time-limit", "0"], "time limit"),
        (["resnet50", "--hw", "ring4", "--time-limit", "nan"], "time limit"),
        (["resnet50", "--hw", "ring4", "--gap", "-1"], "gap"),
        (["resnet50", "--hw", "ring4", "--dim", "seq=3"], "symbolic dimensions"),
        (["resnet50", "--hw", "missing.toml"], "missing.toml"),
        (["resnet50", "--hw", "ring4", "--warm-start", "missing.json"], "missing.json"),
    ],
)
def test_bad_arguments_get_one_sentence(arguments: list[str], words: str) -> None:
    assert words in sentence(run("solve", *arguments, "-q"), 2)


def test_a_dimension_without_a_value_is_a_usage_error() -> None:
    result = run("solve", "resnet50", "--hw", "ring4", "--dim", "batch")
    assert result.exit_code == 2 and "NAME=INTEGER" in result.stderr


@pytest.mark.parametrize("content", [b"", b"\x08\x07garbage", b"\x00\xff" * 50, b"{not json"])
def test_a_corrupt_file_gets_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert "model.onnx" in sentence(run("solve", str(path), "--hw", "ring2", "-q"), 2)


def test_an_assignment_for_other_operations_is_refused(small: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"elsewhere": 0}))
    assert "'elsewhere'" in sentence(run("check", small, str(path), "--hw", "ring2"), 2)
    path.write_text(json.dumps({f"v{i}": 7 for i in range(5)}))
    assert "chip 7" in sentence(run("check", small, str(path), "--hw", "ring2"), 2)
    path.write_text(json.dumps({f"v{i}": "first" for i in range(5)}))
    assert "'first'" in sentence(run("check", small, str(path), "--hw", "ring2"), 2)


@pytest.mark.parametrize("option", ["--output", "--report"])
@pytest.mark.parametrize("where", ["no/answer", "small.json/answer", "."])
def test_an_unwritable_output_is_refused_before_the_search(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, where: str
) -> None:
    monkeypatch.setattr("partition.solve.front.partition", lambda *_, **__: pytest.fail("searched in vain"))
    target = tmp_path / where
    assert "cannot write" in sentence(run("solve", small, "--hw", "ring2", "-q", option, str(target)), 2)
    assert [path.name for path in tmp_path.iterdir()] == ["small.json"]


def test_an_answer_for_another_version_of_the_model_is_a_start_and_nothing_else(small: str, tmp_path: Path) -> None:
    answer = tmp_path / "answer.json"
    assert run("solve", small, "--hw", "ring2", "-q", "-o", str(answer)).exit_code == 0
    long_skip(5, time=2).to_json(small)
    for command in (["check", small, str(answer)], ["simulate", small, str(answer)]):
        assert "another model, version or dimensions" in sentence(run(*command, "--hw", "ring2"), 2)
    start = run("solve", small, "--hw", "ring2", "-q", "--warm-start", str(answer))
    assert start.exit_code == 0 and "5 operations matched by name" in start.output


@pytest.mark.parametrize("option", ["--trace", "--plot"])
def test_a_timeline_that_cannot_be_written_is_refused(small: str, tmp_path: Path, option: str) -> None:
    answer = tmp_path / "answer.json"
    run("solve", small, "--hw", "ring2", "-q", "-o", str(answer))
    command = ["simulate", small, str(answer), "--hw", "ring2", option, str(tmp_path / "no" / "file.png")]
    assert "cannot write" in sentence(run(*command), 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answer.json", "small.json"]


def test_out_of_time_without_an_answer_is_exit_code_4(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*_: object, **__: object) -> None:
        raise NoSolutionInTime("no valid assignment was found in 1 s")

    monkeypatch.setattr("partition.solve.front.partition", late)
    sentence(run("solve", small, "--hw", "ring2", "-q"), 4)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_solve_prints_its_best_answer(number: int) -> None:
    command = [sys.executable, "cli.py", "solve", "gnmt", "--hw", "ring36", "--json", "--time-limit", "60"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "gap" in line:
            break
    time.sleep(1.0)
    process.send_signal(number)
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    answer = json.loads(output)
    assert answer["interrupted"] and 0 < answer["bound"] <= answer["period"]
    assert "Traceback" not in errors


def test_piped_progress_is_plain_lines(small: str) -> None:
    environment = {**os.environ, "TERM": "xterm"}
    command = [sys.executable, "cli.py", "solve", small, "--hw", "ring2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=True)
    assert "\x1b" not in done.stderr + done.stdout
    assert "bound" in done.stderr


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = "import sys, cli; print(sorted({'numpy', 'scipy', 'pyomo', 'highspy', 'onnx'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_command_that_solves_nothing_leaves_the_solver_alone() -> None:
    code = (
        "import atexit, sys, cli; sys.argv = ['mcm-partition', '--version'];"
        "atexit.register(lambda: print('highspy' in sys.modules)); cli.run()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split() == ["mcm-partition,", "version", __version__, "False"]


@pytest.mark.parametrize("launcher", [["cli.py"], ["-m", "partition"]])
def test_help_of_everything_loads_no_numbers(launcher: list[str]) -> None:
    """Importing numpy is the unit of what ``--help`` may cost."""
    words = [sys.executable, "-X", "importtime", *launcher, "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0 and "compare" in done.stdout
    assert "partition.commands.options" in loaded
    assert not loaded & {"numpy", "scipy", "joblib", "pyomo", "milp", "learned"}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_has_an_example_that_parses(command: str) -> None:
    found = re.findall(r"^ +mcm-partition (.*?)(?: >.*)?$", run(command, "--help").stdout, re.M)
    assert found
    for line in found:
        name, *words = shlex.split(line)
        main.get_command(click.Context(main), name).make_context(name, words)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("mcm-partition so", "plain,solve"),
        ("mcm-partition solve --wa", "plain,--warm-start"),
        ("mcm-partition solve bert-l", "plain,bert-large"),
        ("mcm-partition solve bert-large --hw rin", "plain,ring36"),
        ("mcm-partition split mod", "file,mod"),
        ("mcm-partition simulate resnet50 --hw mesh", "plain,mesh4x4"),
    ],
)
def test_the_shell_completes_commands_options_models_packages_and_files(typed: str, offered: str) -> None:
    environment = {
        "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "_MCM_PARTITION_COMPLETE": "bash_complete"
    }  # fmt: skip
    done = CliRunner().invoke(main, env=environment, prog_name="mcm-partition")
    assert offered in done.stdout.split()


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


def test_colour_respects_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = []
    for _ in range(2):
        stream = Terminal()
        with Display(stream) as display:
            display(Progress(1.5, "milp", 2.0, 1.0, 0.5))
        assert "shorter possible" in stream.getvalue()
        coloured.append(re.search(r"\x1b\[[0-9;]*3[0-9]m", stream.getvalue()) is not None)
        monkeypatch.setenv("NO_COLOR", "1")
    assert coloured == [True, False]


def test_the_live_line_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    with Display(Terminal(), limit=20) as display:
        display(Progress(1.5, "milp", 1.4767e-3, 1.3489e-3, 0.0866))
        line = display.ticking()
        display.tell("3 of 33 done; now a-model-with-a-long-name on ring36")
        assert len(line) < 40 and line.endswith("period 1.4767 ms gap 8.66%")
        assert len(display.ticking()) < 40 and "3 of 33 done" in display.ticking()


def test_solving_loads_no_library_that_it_does_not_use() -> None:
    code = """
import sys
from partition import load_hardware, load_model, partition
partition(load_model("dlrm").graph, load_hardware("ring3"), work_limit=2)
print({"scipy.stats", "scipy.spatial", "scipy.integrate", "joblib", "sklearn"} & set(sys.modules))
import scipy.stats
import scipy.spatial
print(scipy.stats.norm.cdf(0.0), scipy.spatial.ConvexHull.__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["set()", "0.5 ConvexHull"]


def test_a_small_graph_is_placed_without_the_flows_of_scipy() -> None:
    """To import them takes longer than to place it; here every tensor is too much for a link, or never is."""
    code = """
import sys
from partition import GraphBuilder, load_hardware, partition
graph = GraphBuilder("chain")
graph.operation("x", "Input", outputs={"t0": 64})
for i in range(9):
    graph.operation(f"op{i}", "MatMul", inputs=[f"t{i}"], outputs={f"t{i + 1}": 64e3}, flops=1e6 * (1 + i % 3))
print(partition(graph.build(), load_hardware("ring4")).status, "scipy.sparse.csgraph" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["optimal", "False"]


def test_a_placeholder_gives_what_the_real_module_has() -> None:
    code = """
import sys
import milp.formulation.pyomo_import as modelling
with modelling.left_out(("scipy.stats",)):
    import scipy.stats
    stand_in = scipy.stats if isinstance(scipy.stats, modelling._Placeholder) else sys.modules["scipy.stats"]
    print(type(stand_in).__name__, stand_in.norm.cdf(0.0), type(sys.modules["scipy.stats"]).__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["_Placeholder", "0.5", "module"]


def test_a_chain_of_one_operation_on_one_chip(tmp_path: Path) -> None:
    chain_of([1.0]).to_json(str(tmp_path / "one.json"))
    answer = json.loads(run("solve", str(tmp_path / "one.json"), "--hw", "ring1", "--json").stdout)
    assert answer["assignment"] == {"v0": 0} and answer["gap"] <= 1e-4
