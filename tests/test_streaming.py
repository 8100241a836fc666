"""Weights that do not fit come from DRAM: by hand, against brute force, and refused where they must be."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force, least_known
from instances import answer_of, package
from oracle import certify
from questions import draw
from truth import PER_CASE, PER_TRUTH, Tally, examine

import milp.ideals.program
from milp.ideals.loose import loose_nodes
from milp.ideals.program import best_chain
from milp.windows.windows import WindowRules
from partition import (
    ChipKind,
    Graph,
    GraphBuilder,
    Hardware,
    Interconnect,
    InvalidHardware,
    Placement,
    check,
    evaluate,
    load_hardware,
    partition,
)
from partition.instance.contract import contract
from partition.instance.instance import Instance
from partition.problem.hardware_files import DRAM_BANDWIDTH, override
from partition.problem.hardware_toml import to_toml
from partition.problem.problem import Problem
from partition.readers.native_json import to_dict
from partition.replay.proof_file import Claim
from partition.replay.question import NEAR, read_question
from partition.replay.steps import Judge
from partition.replay.units import units_of
from partition.replay.windows import reach
from partition.report import loads
from partition.report.data import report_data
from partition.scoring.feasibility import impossible
from partition.scoring.generosity import factors
from partition.scoring.rules import valid
from partition.simulate import simulate


def two_layers(*, weights: tuple[float, float] = (30.0, 10.0), times: tuple[float, float] = (2.0, 3.0)) -> Graph:
    b = GraphBuilder("layers")
    b.operation("a", "Op", outputs={"t": 1.0}, flops=times[0], weights=weights[0], bytes_accessed=0)
    b.operation("b", "Op", inputs=["t"], flops=times[1], weights=weights[1], bytes_accessed=0)
    return b.build()


def streaming(chips: int, **settings: object) -> Hardware:
    """Chips of 20 bytes of SRAM that stream 5 bytes a second."""
    return override(package(chips, sram=20.0), {"dram_bandwidth": 5.0, **settings})


# --- by hand --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transfers", "how", "loads"),
    [
        ("overlapped", "overlapped", [2.0, 3.0]),  # chip 0: 10 bytes too many, 2 s, while it computes for 2 s
        ("overlapped", "serial", [4.0, 3.0]),
        ("serial", "overlapped", [3.0, 4.0]),  # and 1 s for the tensor
        ("serial", "serial", [5.0, 4.0]),
    ],
)
def test_what_does_not_fit_is_streamed_beside_compute_or_after_it(transfers: str, how: str, loads: list[float]) -> None:
    cost = evaluate(two_layers(), streaming(2, transfers=transfers, streaming=how), [[0, 1], [0, 0]])
    assert cost.stream.tolist() == [[2.0, 0.0], [4.0, 0.0]]
    assert cost.load[0].tolist() == loads
    together = 5.0 if how == "overlapped" else 9.0
    assert cost.period.tolist() == [max(loads), together]
    assert cost.latency[1] == together


def test_a_shared_weight_is_streamed_once() -> None:
    b = GraphBuilder("tied")
    b.operation("a", "Op", outputs={"t": 1.0}, flops=1, weights={"tied": 30.0}, bytes_accessed=0)
    b.operation("b", "Op", inputs=["t"], flops=1, weights={"tied": 30.0}, bytes_accessed=0)
    cost = evaluate(b.build(), streaming(2), [[0, 0], [0, 1]])
    assert cost.stream.tolist() == [[2.0, 0.0], [2.0, 2.0]]


def test_no_weight_is_too_large_for_a_chip_that_streams() -> None:
    graph, hw = two_layers(weights=(500.0, 10.0)), streaming(2)
    assert impossible(graph, hw) is None and not check(graph, hw, [0, 1])
    assert valid(graph, hw, [[0, 1], [0, 0]]).all()
    fixed = package(2, sram=20.0)
    assert [violation.rule for violation in check(graph, fixed, [0, 1])] == ["memory"]
    assert impossible(graph, fixed) is not None
    result = partition(graph, hw)
    assert (result.status, result.period) == ("optimal", 96.0)


def test_without_rule_memory_nothing_is_streamed() -> None:
    cost = evaluate(two_layers(), streaming(2, memory=False), [0, 0])
    assert cost.stream.tolist() == [[0.0, 0.0]] and cost.period[0] == 5.0


def test_work_and_streaming_spread_evenly_are_bounds() -> None:
    graph = two_layers(weights=(35.0, 35.0))
    beside = contract(graph, streaming(2))
    assert beside.least_period * beside.unit == pytest.approx(3.0)
    in_turn = contract(graph, streaming(2, streaming="serial"))
    assert in_turn.least_period * in_turn.unit == pytest.approx(6.0)  # b: 3 s, and 15 bytes too many
    assert partition(graph, streaming(2, streaming="serial")).period == 6.0


@pytest.mark.parametrize(("how", "least"), [("overlapped", 3), ("serial", 6)])
def test_a_replay_counts_what_is_streamed(how: str, least: int) -> None:
    question = read_question(to_dict(two_layers(weights=(35.0, 35.0))), to_toml(streaming(2, streaming=how)))
    judge = Judge(question, None, time.process_time() + 10)
    for below, proved in ((Fraction(least) * (1 - NEAR), True), (Fraction(least) * (1 + NEAR), False)):
        verdict = judge.step(Claim(0, "work", below, (), (), {}), []).verdict
        assert (verdict == "proved") == proved


def test_a_replay_heeds_the_weights_before_an_operation() -> None:
    """Of eight operations of 15 bytes in a row a chip holds two within 4 s, and two chips hold five."""
    b = GraphBuilder("row")
    for i in range(8):
        read = [f"t{i - 1}"] if i else []
        b.operation(f"v{i}", "Op", inputs=read, outputs={f"t{i}": 0.0}, flops=0.1, weights=15.0, bytes_accessed=0)
    graph, hw = b.build(), streaming(3)
    instance = contract(graph, hw, unit=1.0)
    own = WindowRules(instance).windows(4.0)
    units = units_of(read_question(to_dict(graph), to_toml(hw)))
    times, _ = units.ticks(Fraction(4))
    found = reach(units, (0, 0, 0), times, below=Fraction(4))
    assert own.lo.tolist() == found.first.tolist() == [0, 0, 1, 1, 1, 2, 2, 2]
    assert own.hi.tolist() == found.last.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


# --- what is told of it ---------------------------------------------------------------------------------------


def test_the_wall_is_streaming_where_it_holds_the_period() -> None:
    one = partition(two_layers(weights=(500.0, 10.0)), streaming(2)).wall
    assert one is not None and (one.kind, one.what, one.value) == ("streaming", "a", pytest.approx(96.0))
    assert one.busiest.parts[0].doing == "streams" and "480 B of weights beyond the SRAM of chip 0" in one.sentence
    b = GraphBuilder("many")
    for i in range(8):
        b.operation(f"v{i}", "Op", outputs={f"t{i}": 0.0}, flops=1, weights=15.0, bytes_accessed=0)
    for how, value in (("overlapped", 8.0), ("serial", 12.0)):
        result = partition(b.build(), streaming(2, streaming=how))
        assert result.wall is not None and (result.wall.kind, result.wall.value) == ("streaming", pytest.approx(value))
        assert result.why is not None and result.why.kind == "streaming"
        assert "2 chips stream 80 B of weights beyond their SRAM" in result.to_table()


def test_a_chip_says_what_it_streams() -> None:
    result = partition(two_layers(weights=(30.0, 30.0), times=(2.0, 1.0)), streaming(1, streaming="serial"))
    assert result.wall is not None and result.wall.busiest.parts[0].doing == "streams"
    assert [row["stream"] for row in result.to_dict()["per_chip"]] == [8.0]


@pytest.mark.parametrize("transfers", ["overlapped", "serial"])
@pytest.mark.parametrize("how", ["overlapped", "serial"])
def test_the_simulated_package_streams_as_the_cost_model_says(transfers: str, how: str) -> None:
    pytest.importorskip("simpy")
    hw = streaming(2, transfers=transfers, streaming=how)
    found = simulate(two_layers(), hw, Placement(np.array([0, 1])))
    assert found.period == pytest.approx(evaluate(two_layers(), hw, [0, 1]).period[0])


def test_the_report_shows_what_is_streamed() -> None:
    data = report_data(partition(two_layers(), streaming(2, streaming="serial")), "solve")
    assert data["package"]["streaming"] == "serial" and data["per_chip"][0]["stream"] == 2.0
    loads(partition(two_layers(), streaming(2, transfers="serial", streaming="serial")))


def test_where_weights_do_not_fit_streaming_is_advised() -> None:
    result = partition(two_layers(weights=(500.0, 10.0)), package(2, sram=20.0))
    assert result.status == "infeasible" and "dram_bandwidth=" in result.to_table()


def a_byte_too_many() -> tuple[Graph, ChipKind]:
    """Weights that a chip of 1 GiB may hold, as the rule *memory* allows for rounding; and the kind."""
    b = GraphBuilder("a byte too many")
    b.operation("a", "Op", outputs={"t": 0.0}, flops=1, weights=float(2**30 + 1), bytes_accessed=0)
    b.operation("b", "Op", inputs=["t"], flops=1, weights=0.0, bytes_accessed=0)
    return b.build(), ChipKind("k", 1.0, sram_bytes=float(2**30))


def test_what_rounding_allows_a_chip_that_does_not_stream_is_not_charged_to_those_that_do() -> None:
    graph, kind = a_byte_too_many()
    slow = ChipKind("slow", 1.0, sram_bytes=0.0, dram_bandwidth=1e-3)
    hardware = Hardware("mixed", (kind, slow), (0, 1), Interconnect("chain", link_bandwidth=1.0))
    assert check(graph, hardware, [0, 0]) == []
    assert Problem.of(graph, hardware).least_period == 1.0
    judge = Judge(read_question(to_dict(graph), to_toml(hardware)), None, time.process_time() + 10)
    assert judge.step(Claim(0, "work", Fraction(800), (), (), {}), []).verdict == "refuted"


def test_a_package_that_streams_a_byte_is_not_as_generous_as_one_that_need_not() -> None:
    graph, kind = a_byte_too_many()
    link = Interconnect("chain", link_bandwidth=1.0)
    single = Hardware("single", (kind,), (0,), link)
    streams = Hardware("streams", (replace(kind, dram_bandwidth=0.1),), (0,), link)
    assert partition(graph, streams).period > partition(graph, single).period
    assert np.isinf(factors(graph, [streams], [single])).all()


# --- packages -------------------------------------------------------------------------------------------------


def test_a_preset_streams_where_it_is_asked_to() -> None:
    assert not load_hardware("ring36").streams
    assert load_hardware("ring36:streaming=on").stream_bandwidth.tolist() == [DRAM_BANDWIDTH] * 36
    serial = load_hardware("simba36:streaming=serial,dram_bandwidth=1e9")
    assert serial.streams_in_turn and set(serial.stream_bandwidth) == {1e9}
    assert not load_hardware("ring36:streaming=off").streams
    with pytest.raises(InvalidHardware, match="dram_bandwidth=1e10"):
        load_hardware("dgx-2:streaming=on")
    assert load_hardware("dgx-2:streaming=on,dram_bandwidth=1e10").streams


def test_a_file_says_how_chips_stream(tmp_path: object) -> None:
    hw = replace(load_hardware("ring4:streaming=serial"), name="drams")
    path = f"{tmp_path}/drams.toml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(to_toml(hw))
    assert load_hardware(path) == hw


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("dram_bandwidth=-1", "chip_kinds.edge.dram_bandwidth"),
        ("dram_bandwidth=1e-40", "chip_kinds.edge.dram_bandwidth"),
        ("dram_bandwidth=inf", "chip_kinds.edge.dram_bandwidth"),
        ("streaming=fast", "streaming is 'fast'"),
        ("streaming=on,dynamic_memory=on", "dynamic_memory"),
    ],
)
def test_what_cannot_be_streamed_is_refused_by_name(setting: str, named: str) -> None:
    with pytest.raises(InvalidHardware, match=named):
        load_hardware(f"ring4:{setting}")


# --- against brute force --------------------------------------------------------------------------------------

SRAM = ("chipwise", "part", "exact", "zero")


def test_the_solver_agrees_with_brute_force() -> None:
    compared = streamed = 0
    for seed in range(12):
        dram = "some" if seed % 4 == 3 else "all"
        question = draw(
            np.random.default_rng(seed), n=(1, 6), dram=dram, memory=True, sram=SRAM[seed % 4], wishes="none"
        )
        graph, hardware = question.read()
        try:
            best, _ = brute_force(as_given(graph, hardware), limit=5_000)
        except OverflowError:
            continue
        result = partition(graph, hardware, time_limit=20)
        certify(as_given(graph, hardware), answer_of(result))
        if best is None:
            assert result.status == "infeasible"
            continue
        assert result.cost is not None and result.period is not None
        assert best * (1 - 1e-9) <= result.period <= best * (1 + 1.01e-4) + 1e-18
        assert result.bound <= best * (1 + 1e-9)
        compared, streamed = compared + 1, streamed + bool(result.cost.stream.any())
    assert compared > 6 and streamed > 2


def hidden(graph: Graph) -> Instance:
    """On two chips without SRAM that stream a byte a second beside compute; transfers are serial."""
    kind = ChipKind("unit", peak_flops=1.0, sram_bytes=0.0, dram_bandwidth=1.0)
    link = Interconnect("memory", link_bandwidth=1.0, transfers="serial", streaming="overlapped")
    return contract(graph, Hardware("hidden", (kind,), (0, 0), link))


def test_a_replica_behind_what_is_streamed_costs_no_time() -> None:
    """Two operations stream for 10 s each; each computes a mask for itself meanwhile."""
    b = GraphBuilder("masked")
    b.operation("mask", "Neg", outputs={"mask": 1.0}, flops=0.005, bytes_accessed=0)
    b.operation("a", "Op", inputs=["mask"], outputs={"a": 0.0}, flops=1, bytes_accessed=0, weights=10)
    b.operation("b", "Op", inputs=["mask", "a"], outputs={"b": 0.0}, flops=1, bytes_accessed=0, weights=10)
    inst = hidden(b.build())
    chain = best_chain(inst, 10 / inst.unit * (1 + 1e-8))
    assert chain is not None and chain.period * inst.unit <= 10


def test_a_node_that_nothing_binds_behind_what_is_streamed_costs_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All on one chip takes 10 s of streaming, and 7 s of compute beside it."""
    b = GraphBuilder("loose")
    b.operation("a", "Op", outputs={"a": 50.0}, flops=1, bytes_accessed=0, weights=10)
    b.operation("w1", "Op", inputs=["a"], outputs={"w1": 20.0}, flops=1, bytes_accessed=0, backward=True)
    b.operation("v", "Op", inputs=["w1"], outputs={"v": 20.0}, flops=4, bytes_accessed=0, backward=True)
    b.operation("w2", "Op", inputs=["a", "v"], outputs={"w2": 0.0}, flops=1, bytes_accessed=0, backward=True)
    inst = hidden(b.build())
    kept = ~loose_nodes(inst)
    assert kept.sum() == 3
    monkeypatch.setattr(milp.ideals.program, "kept_nodes", lambda *_: kept)
    chain = best_chain(inst, 10 / inst.unit * (1 + 1e-8))
    assert chain is not None and chain.period * inst.unit <= 10


def test_other_goals_heed_what_is_streamed() -> None:
    compared = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        pinned = {
            "dram": "all",
            "memory": True,
            "sram": "chipwise",
            "topology": "ring",
            "acyclic": True,
            "backward": "none",
        }
        question = draw(rng, n=(1, 4), chips=(2, 3), wishes="none", **pinned)
        graph, hardware = question.read()
        least = least_known(as_given(graph, hardware), limit=3_000, goal="latency")
        if least is None:
            continue
        result = partition(graph, hardware, objective="latency", time_limit=20)
        assert result.status == "optimal" and math.isclose(result.goals[0].value, least, rel_tol=2e-4, abs_tol=1e-15)
        compared += 1
    assert compared > 5


def test_no_engine_calls_a_placement_that_streams_impossible() -> None:
    tally = Tally()
    engines = {*PER_TRUTH, *PER_CASE} - {"goals", "kind orders"}
    for seed in range(8):
        pinned = {"dram": "some" if seed % 4 == 3 else "all", "memory": True, "sram": SRAM[seed % 4]}
        here = engines if seed < 1 else engines - {"down-sets"}
        examine(seed, tally, here, trials=1_000, n=(1, 5), chips=(1, 3), **pinned)
    assert not tally.wrong
    asked = {"windows", "ideals", "formulation", "thresholds", "frontiers", "down-sets", "capacity", "replay"}
    assert all(tally.asked.get(name, 0) > 0 for name in asked), tally.asked
