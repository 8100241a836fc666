"""What a newcomer tries in the first hour: odd numbers, files in the way, libraries that are missing."""

from __future__ import annotations

import io
import json
import math
import re
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from instances import long_skip

from learned.policy.pretrained import load_policy
from milp.state.names import Doing
from partition import InvalidInput, Progress, Result, load_hardware, load_model, partition
from partition.amounts import bytes_text, gap_text, time_text
from partition.arguments import number, whole
from partition.commands.main import main
from partition.extras import EXTRAS, require
from partition.results.display import WORDS, Display
from partition.solve.bench import BenchRow

ROOT = Path(__file__).parent.parent


def refused(*words: object) -> str:
    """The sentence with which a command ends that cannot be obeyed."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 2, (done.output, done.exception)
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.lower().startswith("error: ")]
    assert len(errors) == 1, done.stderr
    return errors[0]


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "small.json"
    long_skip(5).to_json(str(path))
    return str(path)


# --- numbers ------------------------------------------------------------------------------------------------------

SOLVE = ("solve", "{model}", "--hw", "ring3")
TRAIN = ("train", "{model}", "--hw", "ring3", "-o", "{folder}/p.npz", "--iterations", "1")
COMPARE = ("compare", "{model}", "--hw", "ring3", "--time-limit", "0")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((*SOLVE, "--seed", "-1"), "seed is -1"),
        ((*SOLVE, "--time-limit", "-1"), "the time limit is -1.0"),
        ((*SOLVE, "--time-limit", "nan"), "the time limit is nan"),
        ((*SOLVE, "--work-limit", "0"), "the work limit is 0.0"),
        ((*SOLVE, "--gap", "1"), "the gap is 1.0"),
        ((*SOLVE, "--workers", "0"), "workers is 0"),
        ((*SOLVE, "--throughput", "-5"), "the throughput is -5.0"),
        (("bound", "{model}", "--hw", "ring3", "--seed", "-1"), "seed is -1"),
        (("bench", "{model}", "--hw", "ring3", "--seed", "-1"), "seed is -1"),
        (("bench", "{model}", "--hw", "ring3", "--jobs", "0"), "jobs is 0"),
        ((*TRAIN, "--rollouts", "0"), "rollouts is 0"),
        ((*TRAIN, "--graphs", "0"), "graphs is 0"),
        ((*TRAIN, "--every", "0"), "every is 0"),
        ((*TRAIN, "--rounds", "-2"), "rounds is -2"),
        ((*TRAIN, "--rate", "-1"), "rate is -1.0"),
        ((*TRAIN, "--rate", "inf"), "rate is inf"),
        ((*TRAIN, "--seed", "-1"), "seed is -1"),
        ((*TRAIN, "--jobs", "0"), "jobs is 0"),
        ((*COMPARE, "--jobs", "0"), "jobs is 0"),
        ((*COMPARE, "--seeds", "0"), "the number of seeds is 0"),
        ((*COMPARE, "--samples", "-3"), "samples is -3"),
        (("compare", "{model}", "--hw", "ring3", "--time-limit", "-1"), "the time limit is -1.0"),
        (("bench", "{model}", "--hw", "ring3", "--jobs", "9" * 20), "give a whole number from 1 to 1024"),
        ((*COMPARE, "--seeds", "9" * 20), "give a whole number from 1 to"),
        ((*TRAIN, "--rollouts", "9" * 20), "give a whole number from 1 to"),
        ((*SOLVE, "--forbid", "n*=0-999999999999"), "names a chip that no package has"),
        ((*SOLVE, "--warm-start", ""), "cannot read"),
        (("replay", "{model}", "--time-limit", "nan"), "the time limit is nan"),
        (("shard", "{model}", "--hw", "ring3", "--beside", "unet", "-o", "{folder}/p.onnx"), "several models"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(words: tuple[str, ...], told: str, model: str, tmp_path: Path) -> None:
    assert told in refused(*(word.format(model=model, folder=tmp_path) for word in words))


@pytest.mark.parametrize("option", ["--record", "--inputs", "--buffers"])
def test_a_simulation_refuses_negative_numbers(option: str, model: str, tmp_path: Path) -> None:
    pytest.importorskip("simpy")
    answer = str(tmp_path / "answer.json")
    assert CliRunner().invoke(main, ["solve", model, "--hw", "ring3", "-q", "-o", answer]).exit_code == 0
    trace = str(tmp_path / "trace.json")
    words = ("simulate", model, answer, "--hw", "ring3", "--trace", trace, option, -1)
    assert f"{option[2:]} is -1" in refused(*words)


@pytest.mark.parametrize(
    "given", [{"seed": -1}, {"seed": 1.5}, {"seed": True}, {"seed": "1"}, {"gap": True}, {"time_limit": "60"}]
)
def test_the_library_refuses_the_same_numbers(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=rf"{next(iter(given)).replace('_', ' ')} is .*; give a"):
        partition(long_skip(5), load_hardware("ring3"), **given)


def test_the_validators_say_name_value_and_range() -> None:
    assert whole("jobs", 3, least=1) == 3 and number("rate", 0.5, above=0.0) == 0.5
    with pytest.raises(InvalidInput, match="jobs is 9; give a whole number from 1 to 8"):
        whole("jobs", 9, least=1, most=8)
    with pytest.raises(InvalidInput, match="rate is inf; give a number of seconds greater than 0"):
        number("rate", math.inf, "seconds", above=0.0)


# --- files in the way ---------------------------------------------------------------------------------------------


def test_an_output_that_is_an_input_is_refused_and_stays_as_it_was(model: str, tmp_path: Path) -> None:
    before = Path(model).read_bytes()
    link = tmp_path / "link.json"
    link.symlink_to(model)
    hard = tmp_path / "hard.json"
    hard.hardlink_to(model)
    for name in (model, link, hard, tmp_path / "." / "small.json"):
        for option in ("-o", "--report"):
            assert "would be lost" in refused(*(*SOLVE[:1], model, *SOLVE[2:]), option, name)
    assert Path(model).read_bytes() == before


def test_two_outputs_that_are_one_file_are_refused(model: str, tmp_path: Path) -> None:
    both = tmp_path / "both"
    told = refused("solve", model, "--hw", "ring3", "-o", both, "--report", both)
    assert "--output" in told and "--report" in told and not both.exists()
    assert CliRunner().invoke(
        main, ["solve", model, "--hw", "ring3", "-q", "-o", "/dev/null", "--report", "/dev/null"]
    ).exit_code == 0  # fmt: skip


def test_names_that_are_no_files_are_refused_or_written_to(model: str, tmp_path: Path) -> None:
    assert "File name too long" in refused(*SOLVE[:1], model, *SOLVE[2:], "-o", tmp_path / ("x" * 300))
    assert "/dev/stdout" in refused(*SOLVE[:1], model, *SOLVE[2:], "-o", "-")
    command = [sys.executable, "-m", "partition", "solve", model, "--hw", "ring3", "-q", "-o", "/dev/stdout"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)  # stdout is a pipe
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["status"] == "optimal"


@pytest.mark.parametrize("option", ["--warm-start", "--times", "--policy"])
def test_no_file_that_solve_reads_is_overwritten(option: str, model: str, tmp_path: Path) -> None:
    read = tmp_path / "read"
    read.write_text("{}")
    assert f"{option} '{read}'" in refused("solve", model, "--hw", "ring3", option, read, "-o", read)
    assert read.read_text() == "{}"


def test_the_package_is_not_overwritten_by_the_answer(model: str, tmp_path: Path) -> None:
    package = tmp_path / "package.toml"
    package.write_text(CliRunner().invoke(main, ["hardware", "ring3"]).stdout)
    for hw in (package, f"{package}:transfers=serial"):
        assert "--hw" in refused("solve", model, "--hw", hw, "-o", package)
    assert tomllib.loads(package.read_text())


def test_other_commands_keep_their_inputs_too(model: str, tmp_path: Path) -> None:
    answer = tmp_path / "answer.json"
    answer.write_text("{}")
    lp = tmp_path / "model.lp"
    shutil.copy(model, lp)
    parts = tmp_path / "parts"
    parts.mkdir()
    inside = parts / "model.json"
    shutil.copy(model, inside)
    for words in (
        ("simulate", model, answer, "--hw", "ring3", "--trace", answer),
        ("export", lp, "--hw", "ring3", "-o", lp),
        ("train", model, "--hw", "ring3", "-o", model),
        ("train", model, "--hw", "ring3", "-o", tmp_path / "p.npz", "--checkpoint", tmp_path / "p.npz"),
        ("compare", model, "--hw", "ring3", "-o", model),
        ("shard", lp, "--hw", "ring3", "-o", lp),
        ("split", inside, answer, "-o", parts, "--force"),
    ):
        assert "would be lost" in refused(*words)
    assert answer.read_text() == "{}" and inside.read_bytes() == Path(model).read_bytes() == lp.read_bytes()


# --- libraries that are missing -----------------------------------------------------------------------------------


def test_the_line_that_installs_names_what_every_index_has() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra, requirements in EXTRAS.items():
        assert set(requirements) == set(declared[extra])


def test_all_that_is_missing_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("simpy", "matplotlib"):
        monkeypatch.setitem(sys.modules, library, None)
    told = refused("simulate", "resnet50", "answer.json", "--hw", "ring4", "--plot", "gantt.png")
    assert "simpy and matplotlib" in told and told.endswith("pip install 'simpy>=4.1' 'matplotlib>=3.8'")
    with pytest.raises(InvalidInput, match=r"reading needs simpy; run: pip install 'simpy>=4\.1'"):
        require("reading", "simulate")
    require("reading")


# --- the library, called as one tries first -----------------------------------------------------------------------


def test_models_and_packages_may_be_given_by_name_path_or_source(model: str, tmp_path: Path) -> None:
    package = tmp_path / "package.toml"
    package.write_text(CliRunner().invoke(main, ["hardware", "ring3"]).stdout)
    wanted = partition(long_skip(5), load_hardware("ring3")).period
    for given in (model, Path(model), load_model(model)):
        for hw in ("ring3", package, str(package)):
            assert partition(given, hw).period == wanted
    sample = ROOT / "tests" / "data" / "device-placement"
    brings = load_model(str(next(sample.glob("*.json"))))
    assert partition(brings, time_limit=20).hardware.name == brings.hardware.name  # type: ignore[union-attr]


@pytest.mark.parametrize(("given", "hw"), [(3, "ring3"), (None, "ring3"), ("resnet50", 4), ("resnet50", None)])
def test_what_is_no_model_or_package_is_refused_in_a_sentence(given: Any, hw: Any) -> None:
    with pytest.raises(InvalidInput, match=r"is no (model|package); give"):
        partition(given, hw)


def test_an_earlier_result_is_a_start(model: str) -> None:
    first = partition(model, "ring3")
    again = partition(model, "ring3", warm_start=first)
    assert again.period == first.period
    assert again.start is not None and again.start.new == 0
    with pytest.raises(InvalidInput, match="none of the operations"):
        partition(model, "ring3", warm_start={"another": 0})
    with pytest.raises(InvalidInput, match="is no start"):
        partition(model, "ring3", warm_start=7)  # type: ignore[arg-type]


@pytest.mark.parametrize("asked", [{}, {"objective": "chips,energy"}, {"objective": "period,traffic"}])
def test_a_result_is_read_back_as_it_was(asked: dict[str, Any], model: str, tmp_path: Path) -> None:
    graph, hw = long_skip(5), load_hardware("ring3")
    result, path = partition(graph, hw, **asked), tmp_path / "answer.json"
    result.to_json(path)
    for given in (path, str(path), json.loads(path.read_text())):
        back = Result.from_json(given, graph, hw)
        assert back.to_dict() == result.to_dict()
        assert back.to_table() == result.to_table()


def test_an_infeasible_result_is_read_back(tmp_path: Path) -> None:
    graph, hw = load_model("resnet50").graph, load_hardware("ring2:sram_bytes=1e5")
    result = partition(graph, hw)
    assert result.status == "infeasible"
    back = Result.from_json(json.loads(result.to_json()), graph, hw)
    assert back.reason == result.reason and back.placement is None


@pytest.mark.parametrize(
    "change",
    [{"period": 1.0}, {"bound": 1e9}, {"status": "best"}, {"hardware": "ring4"}, {"seconds": None}, {"goals": [3]}],
)
def test_an_answer_that_was_tampered_with_is_not_read(change: dict[str, Any]) -> None:
    graph, hw = long_skip(5), load_hardware("ring3")
    answer = json.loads(partition(graph, hw).to_json()) | change
    with pytest.raises(InvalidInput):
        Result.from_json(answer, graph, hw)


def test_what_is_shown_of_objects_is_short(model: str) -> None:
    result = partition(model, "ring3")
    for thing in (result, result.hardware, result.placement, result.cost, result.history[-1], result.graph):
        assert len(repr(thing)) < 300 and "array" not in repr(thing)
    pytest.importorskip("simpy")
    from partition.simulate import simulate

    assert result.placement is not None
    assert len(repr(simulate(result.graph, result.hardware, result.placement, inputs=8, record=8))) < 200


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_callers_callback_is_the_callers(workers: int, recwarn: pytest.WarningsRecorder) -> None:
    class Mine(Exception):
        pass

    def broken(_: Progress) -> None:
        raise Mine

    with pytest.raises(Mine):
        partition("resnet50", "ring4", on_progress=broken, workers=workers, time_limit=60)
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]
    with pytest.raises(InvalidInput, match="on_progress is 3; give a function"):
        partition("resnet50", "ring4", on_progress=3)  # type: ignore[arg-type]


def test_the_callback_ends_the_search_by_returning_true() -> None:
    told: list[Progress] = []

    def enough(progress: Progress) -> bool:
        told.append(progress)
        return progress.period is not None

    result = partition("gnmt", "ring16", on_progress=enough, time_limit=600)
    assert result.interrupted and result.status == "feasible" and told[-1].period is not None


def test_an_event_ends_the_search_from_another_thread() -> None:
    stop = threading.Event()

    def first_answer(progress: Progress) -> None:
        if progress.period is not None:
            stop.set()

    result = partition("gnmt", "ring16", on_progress=first_answer, stop=stop, time_limit=600)
    assert result.interrupted and result.placement is not None
    with pytest.raises(InvalidInput, match=r"stop is 1; give a threading\.Event"):
        partition("gnmt", "ring16", stop=1)  # type: ignore[arg-type]


def test_searches_side_by_side_report_their_progress() -> None:
    told: list[Progress] = []
    partition("randwire", "ring16", workers=2, time_limit=3, on_progress=told.append)
    assert told and all(p.phase == "workers" and p.seconds > 0 for p in told)
    bounds = [p.bound for p in told]
    assert bounds == sorted(bounds)


def test_gap_and_status_speak_of_the_same_goals(model: str) -> None:
    answer = json.loads(run_json("solve", model, "--hw", "ring3", "--objective", "chips,energy"))
    assert list(answer).index("goals") == list(answer).index("status") + 1
    assert answer["gap"] == max(goal["gap"] for goal in answer["goals"])
    assert (answer["status"] == "optimal") == (answer["gap"] <= 1e-4)


def run_json(*words: str) -> str:
    done = CliRunner().invoke(main, [*words, "--json", "-q"])
    assert done.exit_code == 0, done.output
    return done.stdout


# --- what runs long -----------------------------------------------------------------------------------------------


def test_ctrl_c_ends_a_bench_and_keeps_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(model: str, package: str, limit: float, seed: int) -> BenchRow:
        return BenchRow(model, package, 5, 4, "feasible", 2e-3, 1e-3, 1.0, 0.1, "s", model == "resnet50")

    monkeypatch.setattr("partition.solve.bench.solve_row", interrupted)
    done = CliRunner().invoke(main, ["bench", "unet", "resnet50", "gnmt", "--hw", "ring4"])
    assert done.exit_code == 130
    assert "unet" in done.stdout and "resnet50" in done.stdout and "gnmt" not in done.stdout
    assert "0 of 3 done; now unet on ring4" in done.stderr
    assert "error: interrupted; 1 of 3 were not solved" in done.stderr
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


@pytest.mark.parametrize("whole", [0, 2])
def test_ctrl_c_keeps_what_was_learned(whole: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from learned.training import runs

    step = runs.iterate

    def some_steps(plan: Any, run: Any, on_retry: Any) -> None:
        if run.iteration == whole:
            run.policy.parameters.clear()  # half an iteration counts for nothing
            raise KeyboardInterrupt
        step(plan, run, on_retry)

    monkeypatch.setattr(runs, "iterate", some_steps)
    policy, checkpoint = tmp_path / "p.npz", tmp_path / "c.npz"
    words = ["train", "resnet50", "--hw", "ring4", "--iterations", "50", "--rollouts", "4", "--rounds", "1"]
    done = CliRunner().invoke(main, [*words, "--checkpoint", str(checkpoint), "-o", str(policy)])
    told = "interrupted after 2 of 50 iterations" if whole else "interrupted before the first of 50 iterations"
    assert done.exit_code == 130 and told in done.stderr
    assert policy.exists() == checkpoint.exists() == (whole > 0)
    assert not whole or load_policy(str(policy)) is not None


def test_a_comparison_says_how_far_it_is() -> None:
    words = ["compare", "resnet50", "--hw", "ring4", "--samples", "4", "--seeds", "2", "--methods", "random,slicing"]
    done = CliRunner().invoke(main, [*words, "--time-limit", "0"])
    assert done.exit_code == 0 and "4 of 4 done: slicing, seed 1" in done.stderr


# --- the terminal -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hw", ["ring36", "ring4", "mesh4x4"])
def test_the_verdict_is_last_and_rows_fit_80_columns(hw: str) -> None:
    result = partition("resnet50", hw, objective="chips,energy" if hw == "ring36" else "period", work_limit=3)
    lines = result.to_table().splitlines()
    assert lines[-1] == result.verdict()
    rows = [line for line in lines[: lines.index("")] if not line.startswith("<-")]
    assert all(len(line) <= 80 for line in rows)
    assert rows[-1].split()[0].split("-")[-1] == str(result.hardware.chips - 1)
    if hw == "ring36":
        assert rows[-1].split()[-1] == "idle" and len(rows) < 10


def test_amounts_have_one_style() -> None:
    assert [time_text(x) for x in (1.5, 615.8895e-6, 0.99999999e-3, 12.3e-9, 0.0)] == [
        "1.5000 s", "615.89 us", "1.0000 ms", "12.300 ns", "0"
    ]  # fmt: skip
    assert [bytes_text(x) for x in (80.3e6, 1500, 12, 0)] == ["80.300 MB", "1.5000 kB", "12 B", "0 B"]
    assert [gap_text(x) for x in (2e-9, 0.0, 1.2e-5, 0.034)] == ["< 0.0001%", "0%", "0.0012%", "3.4%"]
    assert time_text(17.78993, "profile units") == "17.79"


def test_every_phase_is_said_in_words_of_a_user() -> None:
    assert set(WORDS) >= {str(phase) for phase in Doing}
    assert not set(WORDS.values()) & {str(phase) for phase in Doing}


def test_the_clock_ticks_between_events_and_shows_its_limit() -> None:
    stream = io.StringIO()
    with Display(stream, limit=60.0) as display:
        display(Progress(0.0, "milp", 2e-3, 1e-3, 0.5))
        first = display.ticking()
        display.begun -= 5.0
        assert float(display.ticking().split("/")[0]) >= float(first.split("/")[0]) + 4.9
    shown = r" +\d+\.\d/60 s  is a shorter possible\? +period 2\.0000 ms  bound 1\.0000 ms  gap 50%"
    assert re.match(shown, stream.getvalue())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--hw", "rign4"), "did you mean 'ring4'"),
        (("--hw", "mehs2x3"), "did you mean 'mesh2x3'"),
        (("--hw", "ring4:transfer=serial"), "did you mean 'transfers'"),
        (("--hw", "ring4", "--policy", "pretraned"), "did you mean 'pretrained'"),
        (("--hw", "ring4", "--objective", "perid"), "did you mean 'period'"),
    ],
)
def test_a_misspelt_name_gets_the_one_that_was_meant(model: str, words: tuple[str, ...], told: str) -> None:
    assert told in refused("solve", model, "-q", *words)


def test_ctrl_c_while_a_library_is_loaded_is_an_interruption_like_any_other() -> None:
    """A C extension that is interrupted while it is loaded says that its initialisation failed."""
    import click

    from partition.commands.exits import one_sentence_errors

    @click.command()
    @one_sentence_errors
    def loading() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("initialization failed") from None

    done = CliRunner().invoke(loading)
    assert (done.exit_code, done.stderr) == (130, "error: interrupted\n")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    @click.command()
    @one_sentence_errors
    def broken() -> None:
        raise ImportError("no such symbol")

    assert isinstance(CliRunner().invoke(broken).exception, ImportError)
