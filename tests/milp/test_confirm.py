"""The second solver: it confirms what holds, refutes what does not, and its rounding only loosens rows."""

from __future__ import annotations

import builtins
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from checked import as_given
from click.testing import CliRunner
from exhaustive import brute_force
from instances import chain_of, diamond, package, random_instance, random_mixed_instance

from milp.confirm import confirmed, loosened_rows, satisfy
from milp.formulation.build import build
from milp.solver.matrix import MatrixModel, compile_model
from milp.state.run import Run
from milp.windows.windows import Windows
from partition import Graph, GraphBuilder, InvalidInput, Placement, RefutedBound, evaluate_placement, partition
from partition.commands.main import main
from partition.instance.contract import contract
from partition.stopping import Stop


def overweight() -> Graph:
    """Three operations of which no two fit on one chip of 3."""
    b = GraphBuilder("heavy")
    for i in range(3):
        b.operation(f"v{i}", "Op", weights=2, flops=1, bytes_accessed=0)
    return b.build()


def test_a_bound_that_holds_is_confirmed_up_to_itself() -> None:
    seen = 0
    for seed in range(24):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng) if seed % 3 else random_mixed_instance(rng)
        result = partition(graph, hardware, time_limit=30, confirm=True)
        said = result.confirmation
        assert said is not None and said.verdict == "confirmed", (seed, said)
        assert "CP-SAT" in said.solver and said.over == "all placements"
        if result.status == "infeasible":
            assert said.up_to is None
            continue
        assert said.up_to is not None
        assert result.bound * (1 - 1e-6) <= said.up_to <= result.bound
        seen += result.bound > 0
    assert seen > 15


def test_a_bound_above_the_optimum_is_refuted_and_withdrawn() -> None:
    graph, hardware = diamond(), package(2)  # the optimum is 3
    result = partition(graph, hardware)
    placement = Placement.from_names(graph, dict.fromkeys(graph.names, 0), chips=2)
    worse = replace(
        result, placement=placement, period=6.0, bound=5.9, cost=evaluate_placement(graph, hardware, placement)
    )
    with pytest.warns(RefutedBound, match="refutes the bound 5.9"):
        after = confirmed(graph, hardware, worse, within=math.inf, stop=Stop(30), seed=0)
    assert after.confirmation is not None and after.confirmation.verdict == "refuted"
    assert after.period < 5.9 and after.bound <= 3.0 and after.status == "feasible"
    assert "REFUTED" in after.verdict()


def test_a_false_claim_of_infeasibility_is_refuted() -> None:
    graph, hardware = overweight(), package(3, sram=3)
    true = partition(graph, hardware)
    false = type(true).infeasible(graph, hardware, reason="so it was said", seconds=0.0, seed=0)
    with pytest.warns(RefutedBound, match="refutes that there is no valid placement"):
        after = confirmed(graph, hardware, false, within=math.inf, stop=Stop(30), seed=0)
    assert after.status == "feasible" and after.placement is not None and after.period == 1.0


def test_what_fits_nowhere_is_confirmed_to_fit_nowhere() -> None:
    result = partition(overweight(), package(2, sram=3), confirm=True)
    assert result.status == "infeasible"
    assert result.confirmation is not None and result.confirmation.verdict == "confirmed"


def test_a_search_that_proves_too_much_does_not_get_away_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if HiGHS called a threshold infeasible that is not, right at the start."""
    graph, hardware = chain_of([3, 1, 4, 1, 5], size=0.5), package(3, transfers="serial")
    best, _ = brute_force(as_given(graph, hardware))
    assert best is not None

    def boast(run: Run, **_: object) -> bool:
        run.incumbent.offer(Placement(np.zeros(run.instance.graph.n, dtype=np.int64)))
        run.incumbent.prove(0.5 * run.incumbent.lower + 0.4 * run.incumbent.upper)
        run.incumbent.prove(run.incumbent.upper)
        return True

    monkeypatch.setattr("milp.search.kind_orders.search", boast)
    with pytest.warns(RefutedBound):
        result = partition(graph, hardware, confirm=True, time_limit=20)
    assert result.status == "feasible" and "REFUTED" in str(result)
    assert result.bound <= best * (1 + 1e-9) and best * (1 - 1e-9) <= result.period < 14


def test_rounding_only_loosens_rows() -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng, n=4, chips=3)
        instance = contract(graph, hardware)
        whole = Windows(np.zeros(instance.nodes, dtype=np.int64), np.full(instance.nodes, 2))
        model = compile_model(build(instance, whole, upper=2.0))
        points = rng.integers(0, 2, (100, model.columns)).astype(float)
        points[:, model.family == "T"] = 1.0  # the largest period, in its own scale
        activity = points @ model.A.toarray().T
        keeps = (activity <= model.row_upper + 1e-15) & (activity >= model.row_lower - 1e-15)
        rows = loosened_rows(model)
        sides = [
            (i, sign)
            for i in range(model.A.shape[0])
            for sign, limit in ((1, model.row_upper[i]), (-1, -model.row_lower[i]))
            if math.isfinite(limit)
        ]
        assert len(sides) == len(rows) > 0
        for (i, _), (columns, coefficients, most) in zip(sides, rows, strict=True):
            whole_numbers = [sum(a * int(p[c]) for a, c in zip(coefficients, columns, strict=True)) for p in points]
            assert all(value <= most for value, kept in zip(whole_numbers, keeps[:, i], strict=True) if kept)


def test_rows_beyond_64_bits_are_left_out_and_the_others_kept() -> None:
    """CP-SAT counts in 64 bits: such a row is not one it can be given, and no bound may rest on what it makes of it."""
    two = np.zeros(2)
    model = MatrixModel(
        A=sp.csr_array([[0.5, 0.25], [2.0**30 + 0.5, 1.0], [2.0**80, 1.0], [1.0, -1.0], [1.0, 2.0**62], [0.5, 0.5]]),
        row_lower=np.full(6, -np.inf), row_upper=np.array([0.5, 2.0**30, 2.0**80, 0.0, 1.0, 2.0**70]),
        cost=two, lower=two, upper=two + 1, integral=two == 0, family=np.array(["y", "y"]),
        node=np.arange(2), chip=np.arange(2), kept=np.arange(2), fixed=two,
    )  # fmt: skip
    rows = [
        (dict(zip(columns, coefficients, strict=True)), most) for columns, coefficients, most in loosened_rows(model)
    ]
    assert rows == [({0: 2**35, 1: 2**34}, 2**35 + 1), ({0: 1, 1: -1}, 0)]
    status, x = satisfy(model, Stop(5), 0)
    assert status == "feasible" and x is not None and x[0] <= x[1]


def test_without_the_second_solver_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partition.extras.importable", lambda library: library != "ortools")
    with pytest.raises(InvalidInput, match=r"needs ortools; run: pip install 'ortools"):
        partition(diamond(), package(2), confirm=True)


def test_goals_without_a_period_to_confirm_are_refused() -> None:
    with pytest.raises(InvalidInput, match="confirm speaks of the bound of the period"):
        partition(diamond(), package(2), objective="chips", throughput=0.1, confirm=True)


def test_out_of_time_is_unsettled_not_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, hardware = diamond(), package(2)
    result = partition(graph, hardware)
    monkeypatch.setattr("milp.confirm.satisfy", lambda *_: ("unknown", None))
    after = confirmed(graph, hardware, result, within=math.inf, stop=Stop(5), seed=0)
    assert after.confirmation is not None and after.confirmation.verdict == "unsettled"
    assert (after.period, after.bound, after.status) == (result.period, result.bound, result.status)


def test_the_command_line_says_what_was_confirmed(tmp_path: Path) -> None:
    path = tmp_path / "diamond.json"
    diamond().to_json(str(path))
    done = CliRunner().invoke(main, ["solve", str(path), "--hw", "ring2", "--confirm", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)["confirmation"]
    assert said["verdict"] == "confirmed" and said["up_to"] > 0 and "warning" not in done.stderr


def test_nothing_is_imported_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        assert not name.startswith("ortools"), "OR-Tools is an extra"
        return genuine(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    assert partition(diamond(), package(2)).confirmation is None
