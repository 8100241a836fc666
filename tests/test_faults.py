"""Faults injected into a solve: the best valid answer and its bound survive, and exit codes tell the truth."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checked import as_given
from faults import KINDS, Countdown, InjectedError, at_every_report, clock_that_jumps, survives
from instances import answer_of, chain_of, package
from oracle import certify
from searching import solve_by

import milp.search.period
import milp.solver.highs
from milp import budget
from milp.formulation.linear import Linear
from milp.formulation.model import Model
from milp.search.first_placements import ANY_PLACEMENT, SEEDS
from milp.search.whole_model import WHOLE_MODEL
from milp.solver.matrix import compile_model
from partition import NoSolutionInTime, Placement, Result, SearchFault, load_hardware, load_model, partition
from partition.scoring.cost import Cost, CostModel

ROOT = Path(__file__).parent.parent
PHASES = (
    "work",
    "seeds",
    "separations",
    "few ideals",
    "blocks",
    "milp",
    "ideals",
    "stretches",
    "frontiers",
    "thresholds",
    "neighbourhoods",
)


@pytest.fixture
def quick_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every phase is over soon, and none closes the gap."""
    monkeypatch.setattr(budget, "FIRST_SLICE", 0.1)
    for share in ("STRETCHES", "FRONTIERS"):
        monkeypatch.setattr(budget, share, 0.01)
    for share in ("BEAMS", "BEAMS_IN_VAIN"):  # they find the best placement within any share
        monkeypatch.setattr(budget, share, 0.0)


def solve_hard(
    strike: object, phase: str, *, time_limit: float = 20.0, work_limit: float | None = None
) -> tuple[object, list[str]]:
    """Solve something that passes through all phases; ``strike`` at the first report of one of them."""
    graph, hardware = load_model("randwire:stages=1,nodes=10").graph, load_hardware("ring8:transfers=serial,relays=off")
    seen: list[str] = []
    struck: list[str] = []

    def once() -> None:
        if not struck:
            struck.append(phase)
            strike()  # type: ignore[operator]

    with at_every_report(once, phase):
        result = partition(
            graph,
            hardware,
            time_limit=time_limit,
            work_limit=work_limit,
            on_progress=lambda progress: seen.append(progress.phase),
        )
    certify(as_given(graph, hardware), answer_of(result))
    assert result.placement is not None and 0 < result.bound <= result.period
    assert phase in seen
    return result, seen


@pytest.mark.parametrize("kind", KINDS)
def test_no_fault_loses_an_answer_or_bends_a_bound(kind: str) -> None:
    outcomes = [survives(kind, seed) for seed in range(4)]
    assert outcomes.count("answer") >= 2


@pytest.mark.usefixtures("quick_slices")
@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c_in_any_phase_gives_the_answer_so_far(phase: str) -> None:
    begun = time.process_time()
    result, _ = solve_hard(lambda: signal.raise_signal(signal.SIGINT), phase, time_limit=60)
    assert result.interrupted and time.process_time() - begun < 40  # type: ignore[attr-defined]


@pytest.mark.usefixtures("quick_slices")
@pytest.mark.parametrize("phase", PHASES)
def test_the_time_limit_may_pass_in_any_phase(phase: str) -> None:
    with clock_that_jumps(0) as jump:
        _, seen = solve_hard(jump, phase, time_limit=100)
    later = PHASES[PHASES.index(phase) + 2 :]
    assert not set(seen) & (set(later) - {"thresholds", "neighbourhoods"})


@pytest.mark.usefixtures("quick_slices")
@pytest.mark.parametrize("phase", ["seeds", "few ideals", "ideals", "milp", "thresholds"])
def test_memory_that_runs_out_ends_the_phase_alone(phase: str) -> None:
    def exhaust() -> None:
        raise MemoryError

    result, seen = solve_hard(exhaust, phase, time_limit=600, work_limit=2)
    assert f"out of memory in {phase}" in result.faults and not result.interrupted  # type: ignore[attr-defined]
    assert phase == "thresholds" or seen[-1] != phase


@pytest.mark.usefixtures("quick_slices")
@pytest.mark.parametrize("phase", ["work", "few ideals", "neighbourhoods"])
def test_an_error_of_the_library_ends_the_phase_alone_and_is_told_beside_the_answer(phase: str) -> None:
    def fail() -> None:
        raise InjectedError("mine")

    with pytest.warns(SearchFault, match="InjectedError: mine"):
        result, seen = solve_hard(fail, phase, time_limit=600, work_limit=1)
    assert result.faults == (f"InjectedError in {phase}: mine",)  # type: ignore[attr-defined]
    assert not result.interrupted  # type: ignore[attr-defined]
    assert set(seen[seen.index(phase) + 1 :]) - {phase}, "the search did not go on"


def test_a_phase_that_always_fails_leaves_the_others_to_prove_the_answer() -> None:
    graph, hardware = chain_of([3, 1, 4, 1, 5]), package(2)

    def fail(_: object) -> None:
        raise InjectedError("mine")

    whole = (SEEDS, WHOLE_MODEL)
    phases = [phase if phase in whole else replace(phase, work=fail) for phase in milp.search.period.PHASES]
    with pytest.warns(SearchFault, match="InjectedError: mine"):
        result = solve_by(phases, graph, hardware)
    assert (result.status, result.period) == ("optimal", 8.0)
    assert len(result.faults) > 1


@pytest.mark.filterwarnings("ignore::partition.SearchFault")
@pytest.mark.parametrize("objective", ["period", "period,traffic"])
def test_an_error_in_no_evaluation_loses_an_answer(objective: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever it strikes, the last one of all included."""
    graph, hardware = chain_of([3, 1, 4]), package(2, transfers="serial")
    genuine = CostModel.evaluate_placement

    def fail() -> None:
        raise InjectedError("mine")

    def solved(strike: Countdown) -> Result | None:
        def evaluate(self: CostModel, placement: Placement) -> Cost:
            strike()
            return genuine(self, placement)

        monkeypatch.setattr(CostModel, "evaluate_placement", evaluate)
        periods: list[float | None] = []
        try:
            return partition(
                graph, hardware, objective=objective, time_limit=20, on_progress=lambda p: periods.append(p.period)
            )
        except InjectedError:
            assert not any(periods), "an answer was lost"
            return None

    never = Countdown(1000, fail)
    best = solved(never)
    assert best is not None
    answers = [solved(Countdown(at, fail)) for at in range(1000 - never.left)]
    assert answers[-1] is not None and answers[-1].faults
    assert all(answer.bound <= best.period <= answer.period for answer in answers if answer is not None)


def test_without_an_answer_an_error_of_the_library_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise InjectedError("mine")

    monkeypatch.setattr(milp.search.period, "trivial_bound", fail)
    with pytest.raises(InjectedError, match="mine"):
        partition(chain_of([1, 1]), package(2))


def test_a_linear_program_reports_no_bound_that_highs_did_not_give() -> None:
    """HiGHS leaves the field undefined where there are no integers; it used to be taken for a bound."""
    m, size = Model("cover"), 60
    x = m.add("x", np.arange(size)).all()
    amounts = np.random.default_rng(0).random(size * size)
    row, column = np.divmod(np.arange(size * size), size)
    m.at_most("rows", Linear.constants(np.full(size, 3.0)), (x.take(column) * amounts).sum(row, size))
    m.objective = x.total()
    bounds: list[float] = []
    outcome = milp.solver.highs.solve(compile_model(m), time_limit=10, on_bound=bounds.append)
    assert outcome.status == "optimal" and not bounds


def test_where_highs_always_fails_the_other_ways_still_give_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    import highspy

    monkeypatch.setattr(milp.solver.highs.SilentHighs, "run", lambda self: highspy.HighsStatus.kError)
    graph, hardware = load_model("randwire:stages=1,nodes=10").graph, load_hardware("ring8:transfers=serial,relays=off")
    result = partition(graph, hardware, work_limit=1)
    certify(as_given(graph, hardware), answer_of(result))
    assert result.status == "feasible" and result.bound > 0 and any("HiGHS" in fault for fault in result.faults)
    assert "troubled" in str(result)


def test_no_answer_names_the_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    import highspy

    monkeypatch.setattr(milp.solver.highs.SilentHighs, "run", lambda self: highspy.HighsStatus.kError)
    with pytest.raises(NoSolutionInTime, match="a run of HiGHS failed"):
        solve_by((ANY_PLACEMENT,), chain_of([1, 1]), package(2), time_limit=0.5)


def cli(*arguments: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "cli.py", *arguments], cwd=ROOT, text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )  # type: ignore[call-overload,no-any-return]  # fmt: skip


HARD = ("solve", "randwire:stages=1,nodes=12", "--hw", "ring8:transfers=serial,relays=off", "--json", "--quiet")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_at_any_moment_leaves_a_whole_file_or_none(number: signal.Signals, tmp_path: Path) -> None:
    rng = np.random.default_rng(number)
    path = tmp_path / "answer.json"
    for _ in range(2):
        process = cli(*HARD, "--time-limit", "2", "-o", str(path))
        time.sleep(float(rng.uniform(0.1, 2.5)))
        process.send_signal(number)
        output, errors = process.communicate(timeout=600)
        if number == signal.SIGKILL:
            assert process.returncode in (-number, 0)
        elif process.returncode == 0:
            assert json.loads(output)["period"] >= json.loads(path.read_text())["bound"] > 0
        else:  # before the interpreter was ready, or before the first answer
            assert process.returncode in (-number, 130), errors
        if path.exists():
            json.loads(path.read_text())
            path.unlink()
        assert not list(tmp_path.iterdir())


def test_ctrl_c_before_a_command_begins_has_its_own_exit_code() -> None:
    """While arguments are read, say: click alone would call it a failure."""
    code = (
        "import cli\ndef interrupted(*_, **__): raise KeyboardInterrupt\ncli.main.make_context = interrupted; cli.run()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "error: interrupted")


def test_a_full_disk_leaves_the_old_file_and_the_answer_on_stdout(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_text("old")
    code = (
        "import os, cli, sys, partition.files as f\n"
        "def full(*_): raise OSError(28, 'No space left on device')\n"
        "f.os.fsync = full; sys.argv[0] = 'cli.py'; cli.run()"
    )
    arguments = ["solve", "unet", "--hw", "ring4", "--json", "--quiet", "-o", str(path)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 5
    assert json.loads(done.stdout)["status"] == "optimal"
    assert done.stderr == f"error: cannot write {str(path)!r}: No space left on device\n"
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["answer.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_stdout_is_told_and_the_file_written_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    with open("/dev/full", "w") as full:
        process = cli("solve", "unet", "--hw", "ring4", "--json", "--quiet", "-o", str(path), stdout=full)
        _, errors = process.communicate(timeout=600)
    assert process.returncode == 5 and "cannot print the answer: No space left" in errors
    assert "Traceback" not in errors
    assert json.loads(path.read_text())["status"] == "optimal"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_progress_that_cannot_be_printed_does_not_cost_the_answer() -> None:
    with open("/dev/full", "w") as full:
        process = cli("solve", "unet", "--hw", "ring4", "--json", stderr=full)
        output, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    assert json.loads(output)["status"] == "optimal"


def test_an_output_that_cannot_be_written_is_refused_before_the_search(tmp_path: Path) -> None:
    for path in (tmp_path / "no" / "answer.json", tmp_path):
        process = cli(*HARD, "--time-limit", "600", "-o", str(path))
        output, errors = process.communicate(timeout=600)
        assert (process.returncode, output) == (2, "") and errors.startswith("error: cannot write")


def test_an_error_of_the_library_has_its_exit_code_and_the_answer_is_printed() -> None:
    code = (
        "import sys, cli, milp.search.dynamic_programs as s\n"
        "def fail(*_, **__): raise RuntimeError('mine')\n"
        "s.best_chain = fail; sys.argv[0] = 'cli.py'; cli.run()"
    )
    arguments = ["solve", "unet", "--hw", "ring8", "--json", "--quiet"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 5 and "RuntimeError: mine" in done.stderr
    answer = json.loads(done.stdout)
    assert 0 < answer["bound"] <= answer["period"] and "RuntimeError" in answer["faults"][0]


def test_two_runs_that_write_the_same_file_leave_a_whole_one(tmp_path: Path) -> None:
    from partition.files import write_atomically

    path, over = tmp_path / "shared.json", threading.Event()

    def write(word: str) -> None:
        while not over.is_set():
            write_atomically(path, json.dumps([word] * 2000))

    writers = [threading.Thread(target=write, args=(word,)) for word in ("one", "two")]
    for writer in writers:
        writer.start()
    seen: set[str] = set()
    until = time.perf_counter() + 1.0
    while time.perf_counter() < until or len(seen) < 2:
        if path.exists():
            words = set(json.loads(path.read_text()))
            assert len(words) == 1
            seen |= words
    over.set()
    for writer in writers:
        writer.join()
    assert [p.name for p in tmp_path.iterdir()] == ["shared.json"]
    assert seen == {"one", "two"}


def test_the_environment_is_left_as_it_was() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    partition(chain_of([1, 1]), package(2))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert os.getcwd()
