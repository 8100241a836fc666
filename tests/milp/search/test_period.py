"""The search: proofs, time-outs, warm starts, interruption, threads, published optima."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force
from instances import answer_of, broadcast_mask, chain_of, diamond, long_skip, package, random_instance
from oracle import certify
from searching import solve_by

from milp.search.period import PHASES
from milp.state.names import Doing
from partition import (
    GraphBuilder,
    InvalidInput,
    NoSolutionInTime,
    Placement,
    check,
    load_hardware,
    load_model,
    partition,
)

PLACEMENT_FILES = Path(__file__).parents[2] / "data" / "device-placement"


@pytest.mark.parametrize(
    ("file", "cpus", "optimum"),
    [
        ("operator_bert-3_inference", 0, 27.9186),
        ("operator_bert-3_training", 0, 65.3031),
        ("layer_bert-24_inference", 0, 17.7899),
        ("layer_bert-24_training", 0, 41.7458),
        ("layer_resnet50_inference", 0, 34.2229),
        ("layer_resnet50_training", 0, 80.4549),
        ("operator_bert-3_inference", 1, 27.9186),
        ("operator_bert-3_training", 1, 65.3031),
        ("layer_bert-24_inference", 1, 17.7899),
        ("layer_bert-24_training", 1, 41.7458),
        ("layer_resnet50_inference", 1, 33.7747),
        ("layer_resnet50_training", 1, 78.6318),
    ],
)
def test_published_optima_are_reached_and_proved(file: str, cpus: int, optimum: float) -> None:
    """The optima of the benchmark's own exact program (Tarnawski et al., NeurIPS 2020)."""
    source = load_model(str(PLACEMENT_FILES / f"{file}.json"), max_cpus=cpus)
    assert source.hardware is not None
    result = partition(source.graph, source.hardware)
    certify(as_given(source.graph, source.hardware), answer_of(result))
    assert result.status == "optimal"
    assert result.period == pytest.approx(optimum, rel=2e-5)


@pytest.mark.parametrize("spec", ["ring36", "chain24"])
def test_bert_large_is_proved_optimal(spec: str) -> None:
    graph, hardware = load_model("bert-large").graph, load_hardware(spec)
    result = partition(graph, hardware, time_limit=90)
    certify(as_given(graph, hardware), answer_of(result))
    assert result.status == "optimal" and result.gap <= 1e-4


def test_history_only_improves() -> None:
    for seed in range(8):
        graph, hardware = random_instance(np.random.default_rng(seed))
        result = partition(graph, hardware, time_limit=30)
        periods = [p.period for p in result.history if p.period is not None]
        bounds = [p.bound for p in result.history]
        assert periods == sorted(periods, reverse=True)
        assert bounds == sorted(bounds)


def test_a_short_time_limit_is_kept_and_still_gives_an_answer_and_a_bound() -> None:
    graph, hardware = load_model("gnmt").graph, load_hardware("ring36")
    begun = time.process_time()  # of work, whatever else runs on the machine
    result = partition(graph, hardware, time_limit=5.0)
    assert time.process_time() - begun < 40  # to the end it takes minutes
    assert result.status in ("feasible", "optimal") and 0 < result.bound <= result.period
    assert check(graph, hardware, result.placement) == []


def test_the_same_seed_gives_the_same_answer() -> None:
    graph, hardware = load_model("resnet50").graph, load_hardware("ring8:transfers=serial")
    first, second = (partition(graph, hardware, seed=3) for _ in range(2))
    assert first.status == "optimal"
    assert first.assignment == second.assignment and first.bound == second.bound


def test_a_warm_start_is_the_worst_that_comes_back() -> None:
    graph, hardware = load_model("resnet50").graph, load_hardware("ring16")
    best = partition(graph, hardware)
    again = partition(graph, hardware, warm_start=best.placement)
    assert again.period <= best.period
    assert again.history[0].period is None or again.history[0].period <= best.period


def test_a_warm_start_that_breaks_a_rule_is_ignored() -> None:
    graph, hardware = chain_of([1, 1]), package(2)
    assert partition(graph, hardware, warm_start={"v0": 1, "v1": 0}).status == "optimal"


def test_replicas_and_relays_are_reported_and_charged() -> None:
    graph = broadcast_mask(4)
    hardware = package(4, relays=False)
    result = partition(graph, hardware)
    assert set(result.replicas) <= {"mask", "mask_in"} and result.replicas
    assert result.period == pytest.approx(10.01)
    assert partition(graph, hardware.with_rules(replication=False)).period > 19
    skip = partition(long_skip(4, time=10.0), package(4, replication=False))
    assert {tensor for tensor, _ in skip.relays} == {"t0"}


def test_an_impossible_package_is_proved_so_with_the_reason() -> None:
    b = GraphBuilder("heavy")
    for i in range(3):
        b.operation(f"v{i}", "Op", weights=4.0, flops=1)
    too_big = partition(b.build(), package(2, sram=3.0))
    assert too_big.status == "infeasible" and "'v0'" in too_big.reason and "memory" in too_big.reason
    in_total = partition(b.build(), package(2, sram=5.0))
    assert in_total.status == "infeasible" and "all weights together" in in_total.reason
    packing = partition(b.build(), package(2, sram=7.0))
    assert packing.status == "infeasible" and "memory" in packing.reason
    assert partition(b.build(), package(2, sram=8.0)).status == "optimal"


def test_several_threads_may_solve_at_once() -> None:
    graph, hardware = load_model("resnet50").graph, load_hardware("ring8")
    expected = partition(graph, hardware).period
    found: list[float] = []
    threads = [threading.Thread(target=lambda: found.append(partition(graph, hardware).period)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [expected] * 4


def test_ctrl_c_returns_the_best_so_far() -> None:
    graph, hardware = load_model("gnmt").graph, load_hardware("ring36")
    timer = threading.Timer(3.0, signal.raise_signal, [signal.SIGINT])
    timer.start()
    begun = time.process_time()
    result = partition(graph, hardware, time_limit=60)
    timer.cancel()
    assert result.interrupted and time.process_time() - begun < 30
    assert result.placement is not None and result.bound <= result.period


def test_progress_is_reported_in_json_order() -> None:
    seen: list[object] = []
    result = partition(diamond(), package(2), on_progress=seen.append)
    assert seen and set(result.history) <= set(seen)
    json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_no_time_is_refused(limit: float) -> None:
    with pytest.raises(InvalidInput, match="time limit"):
        partition(diamond(), package(2), time_limit=limit)


def test_a_warm_start_of_another_graph_is_refused() -> None:
    with pytest.raises(InvalidInput, match="warm start places 2"):
        partition(diamond(), package(2), warm_start=Placement(np.array([0, 0])))


def test_no_answer_in_time_says_so() -> None:
    with pytest.raises(NoSolutionInTime, match="allow more time"):
        solve_by((), chain_of([1, 1]), package(2), time_limit=0.5)


def test_an_empty_chip_may_not_relay_where_no_chip_is_skipped() -> None:
    """Found by benchmarks/brute_force.py: a relay on an empty chip made the bound stall below the optimum, 13."""
    reads = {"v1": ["t0"], "v2": ["t0", "t1"], "v3": ["t0", "t1", "t2"], "v4": ["t0", "t3"], "v5": ["t0", "t1", "t2"]}
    sizes, times = [2.0, 1.0, 5.0, 5.0, 1.0, 3.0], [7.0, 1.0, 3.0, 6.0, 7.0, 2.0]
    b = GraphBuilder("relay")
    for i in range(6):
        group = "g" if i in (2, 3) else None
        b.operation(
            f"v{i}", "Op", inputs=reads.get(f"v{i}", []), outputs={f"t{i}": sizes[i]}, flops=times[i],
            bytes_accessed=0, group=group,
        )  # fmt: skip
    hardware = package(4, topology="chain", transfers="serial", bandwidth=4.0, replication=False)
    result = partition(b.build(), hardware, time_limit=20)
    assert result.status == "optimal"
    assert result.period == pytest.approx(13.0)


def test_a_free_input_may_keep_a_relaying_chip_in_use() -> None:
    """Found by benchmarks/brute_force.py (seed 200544): moved to its reader, the input left a relaying chip empty."""
    b = GraphBuilder("filler")
    b.operation("in", "Input", outputs={"in": 0.0})
    b.operation("a", "Op", outputs={"a": 0.5}, flops=9, bytes_accessed=0)
    b.operation("b", "Op", inputs=["a"], outputs={"b": 0.5}, flops=9, bytes_accessed=0)
    b.operation("c", "Op", inputs=["in", "a", "b"], flops=9, bytes_accessed=0)
    graph, hardware = b.build(), package(4, transfers="serial", replication=False)
    best, _ = brute_force(as_given(graph, hardware))
    assert partition(graph, hardware).period == pytest.approx(best)


def test_the_phases_can_be_read_and_their_names_differ() -> None:
    names = [phase.name for phase in PHASES]
    assert len(set(names)) == len(names)
    assert [phase.first for phase in PHASES] == sorted((phase.first for phase in PHASES), reverse=True)


def test_bounds_are_told_under_the_names_of_the_phases() -> None:
    result = partition(load_model("resnet50").graph, load_hardware("ring8:transfers=serial"), time_limit=60)
    assert {proof.phase for proof in result.proofs} <= set(Doing)
