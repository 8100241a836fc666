"""The HiGHS backend: proofs, limits, starts, interruption, slices of a compiled model."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from instances import diamond, package
from matrix_models import knapsack

from milp import budget
from milp.formulation.build import build
from milp.formulation.linear import Linear
from milp.formulation.model import Model
from milp.solver.highs import solve
from milp.solver.matrix import compile_model
from milp.windows.windows import Windows
from partition.arrays import FloatArray
from partition.instance.contract import contract
from partition.stopping import Stop


def market_split(rows: int = 4, columns: int = 40) -> Model:
    """A small model that takes any branch-and-bound very long (Cornuejols and Dawande, 1998)."""
    a = np.random.default_rng(0).integers(0, 100, size=(rows, columns)).astype(float)
    m, j = Model("market split"), np.arange(columns)
    x = m.add("x", j, np.zeros_like(j), integral=True)
    row, sign = np.divmod(np.arange(2 * rows), 2)
    s = m.add("s", row, sign, upper=np.inf).all()
    split = dense(a) + (s * (1.0 - 2.0 * sign)).sum(row, rows)
    assert x.base == 0
    m.equal("split", split, Linear.constants(a.sum(axis=1) // 2))
    m.objective = s.total()
    return m


def dense(coefficients: FloatArray) -> Linear:
    """A row of coefficients of all columns for each expression."""
    row, column = np.nonzero(coefficients)
    return Linear(row, column, coefficients[row, column], np.zeros(len(coefficients)))


def test_an_optimum_is_proved() -> None:
    outcome = solve(compile_model(knapsack()), time_limit=10)
    assert outcome.status == "optimal"
    assert outcome.objective == pytest.approx(-10)  # items 1, 2 and 4
    assert outcome.bound == pytest.approx(-10)


def test_infeasibility_is_proved() -> None:
    m = knapsack()
    m.at_most("impossible", Linear.constants(np.array([3.0])), m["x"].at(np.array([0, 1])).total())
    assert solve(compile_model(m), time_limit=10).status == "infeasible"


def test_a_time_out_keeps_the_start_and_claims_no_proof() -> None:
    model = compile_model(market_split())
    x = np.zeros(model.columns)
    x[model.family == "s"] = np.where(model.chip[model.family == "s"] == 0, np.repeat(model.row_upper, 2), 0.0)
    outcome = solve(model, time_limit=0.3, start=x)
    assert outcome.status == "limit"
    assert outcome.x is not None and outcome.objective <= model.cost @ x + 1e-6
    assert outcome.bound <= outcome.objective


def test_incumbents_and_bounds_are_streamed() -> None:
    model = compile_model(market_split())
    found: list[float] = []
    bounds: list[float] = []
    solve(model, time_limit=0.5, on_incumbent=lambda x: found.append(float(model.cost @ x)), on_bound=bounds.append)
    assert found and found == sorted(found, reverse=True)
    assert bounds


def test_a_failing_callback_is_reported_not_swallowed() -> None:
    def broken(_: object) -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        solve(compile_model(knapsack()), time_limit=5, on_incumbent=broken)


def test_another_thread_can_stop_it() -> None:
    stop = Stop(60)
    threading.Timer(0.3, stop.flag.set).start()
    outcome = solve(compile_model(market_split()), time_limit=600, stop=stop)
    assert outcome.status == "limit" and stop.flag.is_set()


def test_two_threads_solve_at_the_same_time() -> None:
    results: list[str] = []
    model = compile_model(knapsack())
    threads = [threading.Thread(target=lambda: results.append(solve(model, time_limit=10).status)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == ["optimal"] * 4


def test_nothing_is_printed() -> None:
    code = "import sys; sys.path[:0] = ['.', 'tests', 'tests/milp/solver']; from test_highs import *; "
    code += "solve(compile_model(knapsack()), time_limit=5)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "" and done.stderr == ""


def test_work_limits_make_runs_repeatable() -> None:
    model = compile_model(market_split())
    first, second = (solve(model, time_limit=5, stop=Stop(60, work_limit=5), seed=3) for _ in range(2))
    assert first.objective == second.objective and first.bound == second.bound


def test_what_takes_no_iteration_is_charged_by_its_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the root HiGHS makes cuts and tries heuristics, which may take longer than its iterations."""
    monkeypatch.setattr(budget, "ITERATION", 0.0)
    monkeypatch.setattr(budget, "ITERATION_NONZERO", 0.0)
    model, stop = compile_model(knapsack()), Stop(60, work_limit=5)
    assert solve(model, time_limit=5, stop=stop).status == "optimal"
    assert stop.work >= (budget.LOADED_NONZERO + budget.CHECK_NONZERO) * model.A.nnz


def test_a_cut_off_just_below_an_attainable_value_does_not_hide_a_better_one() -> None:
    """HiGHS 1.16.0 with presolve calls 1.38508... optimal here; found by benchmarks/brute_force.py (seed 200387).

    One of two nodes on either chip; the cut-off lies 1e-9 below the period of the worse choice.
    """
    m, pair = Model("two nodes"), np.arange(2)
    T = m.add("T", upper=1.38508839215834)
    m.add("x", pair, np.zeros_like(pair), integral=True)
    m.add("r", np.arange(4, 11))
    covers = [(4,), (1, 4), (2, 5), (6,), (1, 6), (2, 6), (1, 7), (2, 7), (8,), (1, 8), (2, 9), (10,), (1, 10), (2, 10)]
    column = {**{i: i for i in (0, 1, 2)}, **{r: r - 1 for r in range(4, 11)}}  # T, x and r in their order
    cover = np.zeros((len(covers), m.columns))
    for i, members in enumerate(covers):
        cover[i, [column[k] for k in members]] = 1.0
    m.at_most("cover", Linear.constants(np.ones(len(covers))), dense(cover))
    limits = np.zeros((4, m.columns))
    limits[0, [0, 1, 2, 7, 8, 9]] = (
        -1, 0.076863950807071479, 0.15372790161414296, 0.057647963105303617, 0.01921598770176787, 0.096079938508839349
    )  # fmt: skip
    limits[1, [0, 1, 2, 3, 4, 5]] = (
        -1, -0.076863950807071479, -0.15372790161414296, 0.057647963105303617, 0.01921598770176787, 0.096079938508839349
    )  # fmt: skip
    limits[2:, [1, 2]] = np.array([[1.0], [-1.0]]) * (0.41623309053069718, 0.62434963579604574)
    most = [-1.0776325903151422, -0.92236740968485786, 0.7908428720083247, -0.040582726326742868]
    m.at_most("limits", dense(limits), Linear.constants(np.array(most)))
    m.objective = T.all()
    outcome = solve(compile_model(m), time_limit=10)
    assert outcome.objective == pytest.approx(1.3274404304381244)


def test_a_run_that_heeds_no_limit_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """HiGHS 1.16.0 has been seen to stay in a heuristic for minutes beyond its limit."""
    import milp.solver.highs as highs

    release = threading.Event()
    monkeypatch.setattr(highs.SilentHighs, "run", lambda self: release.wait(600))
    monkeypatch.setattr(budget, "OVERRUN", 0.2)
    instance = contract(diamond(), package(2))
    model = compile_model(build(instance, Windows(np.zeros(4, dtype=np.int64), np.ones(4, dtype=np.int64))))
    outcome = solve(model, time_limit=0.1)
    assert not release.is_set()  # the run still heeds nothing
    release.set()
    assert (outcome.status, outcome.x, outcome.bound) == ("limit", None, -np.inf)


def test_a_program_with_a_run_left_behind_ends_at_once_with_its_exit_code() -> None:
    program = (
        "import threading, milp.solver.highs as h\n"
        "t = threading.Thread(target=threading.Event().wait, daemon=True); t.start(); h.left_behind.append(t)\n"
        "assert h.still_running(); print('answer'); h.leave(3)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=600, cwd=Path(__file__).parents[3]
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "answer\n", "")
