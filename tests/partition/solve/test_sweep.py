"""A sweep over designs: what it claims of each, what it searches, what it keeps, how it ends."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from checked import as_given, judge
from click.testing import CliRunner
from exhaustive import brute_force
from instances import broadcast_mask, chain_of, diamond, package, residual_block
from small_sweeps import helped, small_sweep, untrue

import partition.solve.sweep
from partition import Graph, Hardware, InvalidInput, NoSolutionInTime, RefutedBound, Sweep, SweepResult, load_hardware
from partition.commands.main import main
from partition.problem.hardware import override
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.solve.question import Question
from partition.solve.sweep import designs
from partition.solve.sweep_known import Found, Known, placed_like

AXES = {"chips": [1, 2, 3], "link_bandwidth": [0.5, 1.0, 2.0]}


def swept(graph: Graph, hw: Hardware, axes: Any = AXES, **how: Any) -> SweepResult:
    return Sweep(graph, work_limit=2.0).over(hw, axes, **how)


def told(result: SweepResult) -> list[tuple[Any, ...]]:
    """What does not depend on the clock."""
    return [(row.hardware.name, row.status, row.period, row.bound, row.how, row.bound_of) for row in result]


# --- what is claimed --------------------------------------------------------------------------------------------


def test_every_claim_holds_by_brute_force() -> None:
    """Random questions with every feature, each on a package and four changes of it."""
    compared, told_of, seen = 0, 0, set()
    for seed in range(16):
        graph, result = small_sweep(seed, work=0.3)
        for row in result:
            seen.add(row.how)
            if row.result is not None:
                judge(graph, row.hardware, row.result)
            try:
                best, _ = brute_force(as_given(graph, row.hardware), limit=1000)
            except OverflowError:
                continue
            compared, told_of = compared + 1, told_of + helped(row)
            assert not untrue(row, best), seed
    assert compared > 40 and told_of > 15 and seen == {"searched", "derived", "counted"}


def test_designs_that_others_settle_are_not_searched() -> None:
    graph, hw = chain_of([3, 3, 3, 3], size=0.1), package(2)
    bandwidths = [float(2**k) for k in range(9)]
    result = swept(graph, hw, {"link_bandwidth": bandwidths})
    assert [row.period for row in result] == [6.0] * 9
    assert result.searches == 1, "its placement is as good on all, and no less is possible"
    top = next(row for row in result if row.how == "searched")
    assert top.settings["link_bandwidth"] == bandwidths[-1]
    assert {row.placement_of for row in result if row.how == "derived"} == {top.hardware.name}


def test_nothing_fits_where_nothing_fits_on_more() -> None:
    b = residual_block()
    hw = package(4, sram=8.0)
    result = swept(b, hw, {"chips": [1, 2, 4], "sram_bytes": [4.0, 7.0, 8.0, 16.0]})
    for row in result:
        chips, sram = row.settings["chips"], row.settings["sram_bytes"]
        fits = sram >= 8 and chips * (sram // 8) >= 2
        assert (row.status == "infeasible") == (not fits)
        if not fits:
            assert row.result is not None and row.result.reason and row.result.status == "infeasible"


def test_a_search_is_told_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Question] = []
    usual = partition.solve.sweep.answer

    def listening(question: Question, *args: Any) -> Any:
        asked.append(question)
        return usual(question, *args)

    monkeypatch.setattr(partition.solve.sweep, "answer", listening)
    result = swept(diamond(), package(2, transfers="serial"), {"link_bandwidth": [0.25, 1.0, 4.0]})
    assert len(asked) == result.searches == 3
    assert asked[0].given is None and asked[0].start is None
    for each in asked[1:]:
        assert each.given is not None and each.given.source.startswith("the answer for 'ring2:")
        assert each.start is not None


def test_a_bound_that_a_placement_refutes_is_withdrawn() -> None:
    graph, hw = diamond(), package(2)
    lie = Found(override(hw, {"link_bandwidth": 9.0}), hw, "none", bound=99.0)
    with pytest.warns(RefutedBound, match="withdrawn"):
        known = Known(graph, [lie], [hw], 1e-4)
        known.learn(1, Found(hw, hw, "feasible", Placement(np.zeros(4, dtype=np.int64)), 6.0, 3.0))
    assert known.lower[0] == 3.0


def test_what_rests_on_a_refuted_bound_is_withdrawn_with_it() -> None:
    graph, hw = diamond(), package(2, transfers="serial")
    slow = override(hw, {"link_bandwidth": 0.01})
    known = Known(graph, [Found(hw, hw, "none", bound=99.0)], [slow, hw], 1e-4)
    known.learn(1, Found(slow, slow, "none", bound=99.0, given_by=hw))
    split = Placement(np.array([0, 0, 1, 1]))  # too slow on the slow links to refute anything there
    with pytest.warns(RefutedBound, match="withdrawn"):
        known.learn(2, Found(hw, hw, "feasible", split, 9.0, 3.0))
    assert known.withdrawn == {0, 1} and known.upper[0] > 99.0
    assert known.lower[0] < 6.0 and known.lower[1] == 3.0


def test_a_refuted_answer_is_searched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hw, axes = package(2, transfers="serial"), {"link_bandwidth": [4.0, 1.0]}
    usual, lies = partition.solve.sweep.search_design, iter([99.0])

    def lying(graph: Graph, hw: Hardware, *args: Any) -> Found:
        lie = next(lies, None)
        return usual(graph, hw, *args) if lie is None else Found(hw, hw, "none", bound=lie)

    monkeypatch.setattr(partition.solve.sweep, "search_design", lying)
    with pytest.warns(RefutedBound, match="withdrawn"):
        Sweep(diamond(), cache=tmp_path, work_limit=2.0).over(hw, axes)
    again = Sweep(diamond(), cache=tmp_path, work_limit=2.0).over(hw, axes)
    assert again.searches > 0 and {row.status for row in again} == {"optimal"}
    assert [row.period for row in again] == [row.period for row in swept(diamond(), hw, axes)]


def test_a_count_that_a_placement_refutes_is_withdrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, hw = diamond(), package(2)
    monkeypatch.setattr(Problem, "least_period", 99.0)
    known = Known(graph, [], [hw], 1e-4)
    assert known.lower[0] > 98.0
    with pytest.warns(RefutedBound, match="withdrawn"):
        known.learn(0, Found(hw, hw, "feasible", Placement(np.zeros(4, dtype=np.int64)), 6.0, 3.0))
    assert known.lower[0] == 3.0 and known.source_of_lower[0] == 0


@pytest.mark.parametrize(
    ("proved", "tried", "waiting"),
    [(3.0, [0], []), (5.0, [0], [0]), (3.0, [], [0])],
    ids=["between", "more proved below", "less allowed above"],
)
def test_between_two_searches_that_left_the_same_open_there_is_none(
    proved: float, tried: list[int], waiting: list[int]
) -> None:
    fast, hw, slow = (override(package(2), {"link_bandwidth": rate}) for rate in (4.0, 2.0, 1.0))
    opened = Found(fast, fast, "feasible", Placement(np.zeros(4, dtype=np.int64)), 6.0, 3.0)
    known = Known(diamond(), [opened], [hw, slow], 1e-4, tried)
    assert known.choose(1) == [1 if tried else 0], "the stingiest first, where only a proof is missing"
    known.learn(2, replace(opened, hardware=slow, placed=slow, bound=proved))
    assert known.waiting.tolist() == waiting and known.upper[0] == 6.0


def test_one_package_at_a_time() -> None:
    sweep = Sweep(diamond(), work_limit=2.0)
    first = sweep.answer(package(2))
    assert first.why is not None and first.why.kind == "work"
    assert sweep.answer(override(package(2), {"link_bandwidth": 0.9})).period >= first.period == 3.0
    again = sweep.solve([package(2)])
    assert again.searches == 0 and again[0].how == "remembered" and again[0].result is not None
    assert again[0].result.period == first.period


def test_an_answer_that_is_not_found_in_time_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any, **kwargs: Any) -> Any:
        raise NoSolutionInTime("no")

    monkeypatch.setattr(partition.solve.sweep, "answer", never)
    row = swept(diamond(), package(2), {})[0]
    assert (row.status, row.period, row.gap, row.result) == ("none", None, None, None)
    assert row.bound == pytest.approx(3.0), "of the work alone"
    with pytest.raises(NoSolutionInTime):
        Sweep(diamond()).answer(package(2))


# --- waves, the cache, interruptions ----------------------------------------------------------------------------


def test_no_answer_in_time_is_no_answer_for_a_sweep_with_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_time(*_: Any, **__: Any) -> Any:
        raise NoSolutionInTime("no placement was found in time")

    hw = package(2)
    with monkeypatch.context() as patched:
        patched.setattr(partition.solve.sweep, "answer", out_of_time)
        row = Sweep(chain_of([1, 2, 3]), cache=tmp_path, time_limit=0.001).solve([hw])[0]
        assert row.status == "none"
    assert Sweep(chain_of([1, 2, 3]), cache=tmp_path, time_limit=60).solve([hw])[0].status == "optimal"


def test_answers_do_not_depend_on_the_number_of_workers() -> None:
    alone = swept(broadcast_mask(), package(2), wave=3)
    with joblib.parallel_config(backend="threading"):
        together = swept(broadcast_mask(), package(2), wave=3, workers=2)
    assert told(alone) == told(together)


def test_a_sweep_goes_on_from_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, left = partition.solve.sweep.search_design, itertools.count()

    def interrupted(*args: Any) -> Found:
        if next(left) == 2:
            raise KeyboardInterrupt
        return usual(*args)

    hw = package(2, transfers="serial")
    monkeypatch.setattr(partition.solve.sweep, "search_design", interrupted)
    first = Sweep(diamond(), cache=tmp_path, work_limit=2.0).over(hw, AXES)
    assert first.interrupted and first.searches == 2 and "left" in {row.how for row in first}
    assert len(list(tmp_path.rglob("*.json"))) == 2
    second = Sweep(diamond(), cache=tmp_path, work_limit=2.0).over(hw, AXES)
    assert not second.interrupted and {row.status for row in second} == {"optimal"}
    whole = swept(diamond(), hw)
    assert [row.period for row in second] == [row.period for row in whole]
    assert second.searches == whole.searches - 2
    third = Sweep(diamond(), cache=tmp_path, work_limit=2.0).over(hw, {"link_bandwidth": [1.5]})
    assert third[0].bound_of or third[0].placement_of, "another grid begins with what is kept"
    assert Sweep(chain_of([1, 2]), cache=tmp_path, work_limit=2.0).over(hw, {}).searches == 1, "another model"


def test_open_answers_are_searched_again_with_more_time(tmp_path: Path) -> None:
    hw = package(2)
    opened = Found(hw, hw, "feasible", Placement(np.zeros(4, dtype=np.int64)), 6.0, 3.0)
    sweep = Sweep(diamond(), cache=tmp_path, work_limit=1.0)
    sweep.remember(opened, sweep.terms.limits)
    for work, searches in ((1.0, 0), (0.5, 0), (2.0, 1)):
        assert Sweep(diamond(), cache=tmp_path, work_limit=work).solve([hw]).searches == searches
    assert Sweep(diamond(), cache=tmp_path).solve([hw]).searches == 0, "what was closed by then counts without limit"


def test_what_is_damaged_or_of_another_version_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hw = package(2, transfers="serial")
    Sweep(diamond(), cache=tmp_path, work_limit=2.0).solve([hw])
    (path,) = tmp_path.rglob("*.json")
    content = path.read_text()
    path.write_text(content.replace('"bound": 5', '"bound": 4'))
    with pytest.warns(UserWarning, match="fingerprint"):
        assert Sweep(diamond(), cache=tmp_path, work_limit=2.0).solve([hw]).searches == 1
    for broken in ("{", "[" * 100_000):
        path.write_text(broken)
        with pytest.warns(UserWarning, match="is not used"):
            Sweep(diamond(), cache=tmp_path)
    path.write_text(content)
    monkeypatch.setattr("partition.solve.sweep_cache.VERSION", "0.0.1")
    again = Sweep(diamond(), cache=tmp_path, work_limit=2.0).solve([hw])
    assert again.searches == 1 and again[0].status == "optimal"


def test_a_placement_of_the_folder_that_breaks_a_rule_is_left_out(tmp_path: Path) -> None:
    hw = package(2, sram=8.0)
    sweep = Sweep(residual_block(), cache=tmp_path, work_limit=2.0)
    found = Found(hw, hw, "feasible", Placement(np.zeros(4, dtype=np.int64)), 11.0, 5.0)
    sweep.remember(found, sweep.terms.limits)
    with pytest.warns(UserWarning, match="breaks a rule"):
        Sweep(residual_block(), cache=tmp_path)


# --- grids and results ------------------------------------------------------------------------------------------


def test_a_grid_has_every_combination() -> None:
    found = list(designs(load_hardware("ring4"), {"chips": [2, 3], "sram_bytes": [1e6, 2e6], "triangle": [False]}))
    assert [(hw.chips, hw.kinds[0].sram_bytes, hw.rules.triangle) for hw, _ in found] == [
        (2, 1e6, False), (2, 2e6, False), (3, 1e6, False), (3, 2e6, False)
    ]  # fmt: skip
    assert found[0][0].name == "ring4:chips=2,sram_bytes=1e+06,triangle=False"


@pytest.mark.parametrize(
    ("hw", "axes", "sentence"),
    [
        ("ring4", {"chips": []}, "give a list of values"),
        ("ring4", {"chips": "8"}, "give a list of values"),
        ("ring4", {"chips": [0]}, "chips is 0"),
        ("ring4", {"speed": [1.0]}, "unknown hardware setting 'speed'"),
        ("ring4", {"streaming": [True, "yes"]}, "streaming is 'yes'; choose one of on, off, overlapped, serial"),
        ("coral-dual", {"streaming": [True]}, "has no DRAM of its own on record"),
        ("mesh2x2", {"chips": [4]}, "is a mesh"),
        ("ring4", {"chips": list(range(1, 1001)), "link_bandwidth": list(range(1, 1001))}, "at most 100000"),
    ],
)
def test_a_grid_that_is_none_is_refused(hw: str, axes: Any, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        swept(diamond(), load_hardware(hw), axes)


def test_streaming_is_a_setting_as_it_is_of_a_preset() -> None:
    values = [True, False, "on", "off", "serial", "overlapped"]
    for base in ("ring4", "ring4:sram_bytes=1e6", "ring4:peak_flops=1e12,streaming=serial", "ring4:dram_bandwidth=1e9"):
        for each, set_to in designs(load_hardware(base), {"streaming": values}):
            how = {True: "on", False: "off"}.get(set_to["streaming"], set_to["streaming"])
            settings = [text for text in base.split(":")[1:] if "streaming" not in text]
            if "peak_flops" in base:
                settings = ["peak_flops=1e12"]
            asked = load_hardware(f"ring4:{','.join([*settings, f'streaming={how}'])}")
            assert each.kinds == asked.kinds
            assert each.streams == (how != "off")
            assert not each.streams or each.interconnect == asked.interconnect
    plain = load_hardware("ring2")
    own = replace(plain.kinds[0], name="own", dram_bandwidth=1e9)
    mixed = replace(plain, name="mixed", kinds=(plain.kinds[0], own), kind_of_chip=(0, 1))
    assert [each.kinds for each, _ in designs(mixed, {"streaming": ["on", "serial"]})] == [mixed.kinds] * 2


def test_arguments_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nothing to sweep"):
        Sweep(diamond()).solve([])
    with pytest.raises(InvalidInput, match="workers is 0"):
        Sweep(diamond()).solve([package(2)], workers=0)
    with pytest.raises(InvalidInput, match="wave is 0"):
        Sweep(diamond()).solve([package(2)], wave=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot keep answers"):
        Sweep(diamond(), cache=tmp_path / "file")


def test_the_result_as_table_csv_json_and_page(tmp_path: Path) -> None:
    result = swept(diamond(), package(2))
    assert repr(result).startswith("<SweepResult diamond on 9 designs: 9 proved optimal, 0 infeasible, 0 open; ")
    assert len(result) == 9 and result[0].settings == {"chips": 1, "link_bandwidth": 0.5, "sram_bytes": math.inf}
    lines = result.to_table().splitlines()
    assert lines[0].split() == ["chips", "link_bandwidth", "status", "period", "bound", "gap", "how"]
    assert len(lines) == 9 + 3
    rows = list(csv.DictReader(io.StringIO(result.to_csv(tmp_path / "rows.csv"))))
    assert (tmp_path / "rows.csv").read_text() == result.to_csv()
    assert [float(row["period"]) for row in rows] == [row.period for row in result]
    data = json.loads(result.to_json(tmp_path / "rows.json"))
    assert data["rows"][0]["sram_bytes"] is None and data["searches"] == result.searches
    page = result._repr_html_()
    assert page.count("<tr>") == 10 and "diamond on 9 designs" in page


def test_the_designs_that_no_other_beats() -> None:
    result = swept(diamond(), package(2))
    front = result.pareto()
    costs = [(row.settings["chips"], row.settings["link_bandwidth"]) for row in front]
    periods = {row.settings["chips"]: row.period for row in front}
    assert costs[0] == (1, 0.5) and periods[1] == 6.0
    assert periods[2] == 3.0 or periods[2] < 6.0
    for row in result:
        beaten = [
            other for other in front
            if other.settings["chips"] <= row.settings["chips"]
            and other.settings["link_bandwidth"] <= row.settings["link_bandwidth"]
            and other.period <= row.period * (1 + result.gap)
        ]  # fmt: skip
        assert beaten, "each design is in front or beaten by one that is"
    with pytest.raises(InvalidInput, match="is no cost"):
        result.pareto(["colour"])


def test_placements_go_to_packages_with_kinds_and_stages_in_their_places() -> None:
    on_first = Placement(np.array([0, 1, 1, 1]))
    small, large = load_hardware("bichain2"), load_hardware("bichain3")
    moved = placed_like(large, replace(small, positions=(1, 0)), on_first)
    assert moved is not None and moved.positions == (1, 0, 2)
    assert placed_like(load_hardware("ring1"), load_hardware("ring2"), on_first) is None
    slow = replace(small.kinds[0], name="slow", peak_flops=1e12)
    mixed = replace(load_hardware("ring2"), kinds=(small.kinds[0], slow), kind_of_chip=(0, 1), kind_order="free")
    turned = placed_like(override(mixed, {"link_bandwidth": 1e9}), replace(mixed, kind_of_chip=(1, 0)), on_first)
    assert turned is not None and turned.kind_of_chip == (1, 0)


# --- the command ------------------------------------------------------------------------------------------------


def run(*words: str) -> Any:
    return CliRunner().invoke(main, ["sweep", *words], catch_exceptions=False)


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.json"
    path.write_text(diamond().to_json())
    return str(path)


def test_the_command(model: str, tmp_path: Path) -> None:
    grid, rows, cache = tmp_path / "grid.toml", tmp_path / "rows.csv", tmp_path / "cache"
    grid.write_text("[grid]\nlink_bandwidth = [1e9, 2e9]\ntriangle = [true, false]\n")
    words = (
        model,
        "--hw",
        "ring2",
        "--over",
        "chips=1,2",
        "--grid",
        str(grid),
        "--cache",
        str(cache),
        "--work-limit",
        "2",
    )
    done = run(*words, "--csv", str(rows), "--json", "-q")
    assert done.exit_code == 0
    data = json.loads(done.stdout)
    assert [row["status"] for row in data["rows"]] == ["optimal"] * 8
    assert {row["chips"] for row in data["rows"]} == {1, 2} and len(rows.read_text().splitlines()) == 9
    again = run(*words, "-q", "--pareto")
    assert again.exit_code == 0 and "0 searches" in again.stdout
    streamed = run(model, "--hw", "ring2", "--over", "streaming=on,off", "--work-limit", "2", "-q")
    assert streamed.exit_code == 0 and "2 proved optimal" in streamed.stdout
    two = run(model, "--hw", "ring2", "--hw", "chain2", "--work-limit", "2", "-q")
    assert two.exit_code == 0 and "chain2" in two.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--over", "chips"], "is not of the form NAME=VALUES"),
        (["--over", "chips=two"], "give a whole number"),
        (["--over", "colour=1"], "unknown hardware setting"),
        (["--over", "chips=4,8", "--over", "chips=2"], "chips is given twice; give all its values in one --over"),
        (["--over", "chips=4", "--grid", "GOOD"], "chips is given twice"),
        (["--grid", "nowhere.toml"], "cannot read the grid"),
        (["--grid", "GRID"], "is no grid"),
    ],
)
def test_the_command_refuses_in_a_sentence(model: str, tmp_path: Path, words: list[str], sentence: str) -> None:
    (tmp_path / "bad.toml").write_text("[grid]\nchips = 3\n")
    (tmp_path / "good.toml").write_text("[grid]\nchips = [3]\n")
    files = {"GRID": "bad.toml", "GOOD": "good.toml"}
    words = [str(tmp_path / files[word]) if word in files else word for word in words]
    done = run(model, "--hw", "ring2", *words)
    assert done.exit_code == 2 and sentence in done.stderr and "Traceback" not in done.stderr


def test_a_model_without_a_package_needs_one(model: str) -> None:
    done = run(model)
    assert done.exit_code == 2 and "add --hw" in done.stderr
