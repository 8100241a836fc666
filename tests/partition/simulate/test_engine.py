"""The simulation against the cost model: equal with ample buffers, and known pipelines by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from instances import chain_of, long_skip, package, random_instance

from partition import GraphBuilder, InvalidInput, Placement, check, load_hardware, load_model, partition
from partition.commands.main import main
from partition.problem.placement import Placement as PlacementType
from partition.scoring.cost import evaluate_placement
from partition.simulate import gantt, simulate, to_chrome_trace
from partition.simulate.tasks import plan


def placed(*chips: int) -> PlacementType:
    return Placement(np.array(chips))


def test_a_chain_on_two_chips_by_hand() -> None:
    """Compute 3 and 2, a transfer of 1: overlapped a period of 3, serial of 4 on the first chip."""
    graph = chain_of([3, 2], size=1)
    for transfers, period, latency in (("overlapped", 3.0, 8.0), ("serial", 4.0, 8.0)):
        found = simulate(graph, package(2, transfers=transfers), placed(0, 1), inputs=20, record=2)
        assert found.period == found.predicted == period
        # compute 3, send 1, link 1, receive 1, compute 2: store and forward
        assert found.latencies[0] == latency
        assert next(s for s in found.spans if s.what == "compute" and s.input == 0).end == 3.0


@pytest.mark.parametrize("transfers", ["overlapped", "serial"])
@pytest.mark.parametrize("topology", ["ring", "chain", "biring", "mesh", "crossbar", "memory"])
def test_with_ample_buffers_the_simulated_period_is_the_predicted_one(topology: str, transfers: str) -> None:
    compared = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        drawn = "memory" if topology == "memory" else "ring"
        graph, hardware = random_instance(rng, n=8, chips=4, topology=drawn, transfers=transfers)
        hardware = hardware.with_rules(acyclic=True, relays=topology in ("ring", "chain"))
        if topology != "memory":
            spec = "mesh2x2" if topology == "mesh" else f"{topology}4"
            link = load_hardware(f"{spec}:transfers={transfers},link_bandwidth=1").interconnect
            hardware = replace(hardware, interconnect=link)
        hardware = hardware.with_rules(acyclic=True, triangle=False, memory=False)
        assignment = np.empty(graph.n, dtype=np.int64)
        assignment[graph.topological_order] = np.sort(rng.integers(0, 4, graph.n))
        if not np.isfinite(evaluate_placement(graph, hardware, Placement(assignment)).period).all():
            continue
        found = simulate(graph, hardware, Placement(assignment), inputs=120)
        if found.predicted > 0:
            assert found.period == pytest.approx(found.predicted, rel=0.03)
            compared += 1
    assert compared > 3


@pytest.mark.parametrize(
    ("model", "spec"), [("resnet50", "ring8"), ("bert-base", "ring16:transfers=serial"), ("unet", "mesh2x2:memory=off")]
)
def test_real_models_run_at_the_predicted_throughput(model: str, spec: str) -> None:
    graph = load_model(model).graph
    result = partition(graph, load_hardware(spec), work_limit=3)
    assert result.placement is not None
    found = simulate(graph, result.hardware, result.placement, inputs=60)
    assert abs(found.error) < 0.01
    assert found.chip_busy.max() <= 1.02 and found.link_busy.max() <= 1.02


def test_training_graphs_flow_back() -> None:
    """A chip visited forward and backward must not wait for itself."""
    b = GraphBuilder("there_and_back")
    b.operation("f0", "Op", outputs={"a": 1}, flops=2, bytes_accessed=0, group="0")
    b.operation("f1", "Op", inputs=["a"], outputs={"b": 1}, flops=2, bytes_accessed=0, group="1")
    b.operation("g1", "Op", inputs=["b"], outputs={"c": 1}, flops=2, bytes_accessed=0, group="1", backward=True)
    b.operation("g0", "Op", inputs=["c"], flops=2, bytes_accessed=0, group="0", backward=True)
    graph, hardware = b.build(), package(2)
    assert len(plan(graph, hardware, placed(0, 1, 1, 0)).tasks) == 3
    found = simulate(graph, hardware, placed(0, 1, 1, 0), inputs=60)
    assert found.period == pytest.approx(4.0, rel=0.05)


def test_few_buffers_slow_long_skips_down_and_more_never_hurt() -> None:
    graph, hardware = long_skip(4, time=3, size=1), package(4, triangle=False)
    periods = [simulate(graph, hardware, placed(0, 1, 2, 3), buffers=b).period for b in (1, 2, 3, 4, math.inf)]
    assert periods == sorted(periods, reverse=True)
    assert periods[0] > 1.2 * periods[-1] and periods[-1] == pytest.approx(3.0, rel=0.01)


def test_relays_and_replicas_are_played_out() -> None:
    b = GraphBuilder("two_readers")
    b.operation("u", "Op", outputs={"t": 4}, flops=1, bytes_accessed=0)
    b.operation("v", "Op", inputs=["t"], outputs={"s": 1}, flops=1, bytes_accessed=0)
    b.operation("w", "Op", inputs=["t", "s"], flops=1, bytes_accessed=0)
    graph, hardware = b.build(), package(3)
    relayed = Placement(np.array([0, 1, 2]), np.zeros((0, 2)), np.array([[0, 1]]))
    assert not check(graph, hardware, relayed)
    found = simulate(graph, hardware, relayed, record=1)
    assert found.period == pytest.approx(5.0)  # chip 1 sends both
    senders = {span.where for span in found.spans if span.where[0] == "send" and span.what == "t"}
    assert senders == {("send", 0), ("send", 1)}
    copied = Placement(np.array([0, 1, 2]), np.array([[0, 1], [0, 2]]))
    assert simulate(graph, hardware, copied).period == pytest.approx(2.0, rel=0.02)


def test_pictures_and_traces(tmp_path: Path) -> None:
    graph = load_model("resnet50").graph
    result = partition(graph, load_hardware("ring4"))
    assert result.placement is not None
    found = simulate(graph, result.hardware, result.placement, inputs=10, record=5)
    to_chrome_trace(found, tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    assert len(spans) == len(found.spans) > 20 and all(event["dur"] > 0 for event in spans)
    axes = gantt(found)
    assert next(label.get_text() for label in axes.get_yticklabels()) == "chip 0"
    assert "simulated" in axes.get_title() and len(axes.get_legend().get_texts()) == 5


@pytest.mark.parametrize(("key", "value"), [("inputs", 3), ("inputs", 2.5), ("buffers", 0), ("buffers", 1.5)])
def test_numbers_without_sense_are_refused(key: str, value: object) -> None:
    with pytest.raises(InvalidInput, match=key):
        simulate(chain_of([1, 1]), package(2), placed(0, 1), **{key: value})  # type: ignore[arg-type]


def test_the_command_line(tmp_path: Path) -> None:
    answer, trace, plot = (tmp_path / name for name in ("r.json", "t.json", "g.png"))
    run = CliRunner()
    assert run.invoke(main, ["solve", "resnet50", "--hw", "mesh2x2", "-o", str(answer)]).exit_code == 0
    options = ["--hw", "mesh2x2", "--trace", str(trace), "--plot", str(plot)]
    done = run.invoke(main, ["simulate", "resnet50", str(answer), *options, "--json"])
    assert done.exit_code == 0, done.output
    assert abs(json.loads(done.stdout)["error"]) < 0.01 and plot.stat().st_size > 5000 and trace.exists()
    done = run.invoke(main, ["simulate", "resnet50", str(answer), "--hw", "ring2"])
    assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1


def test_no_period_is_below_the_bound_however_short_the_stream() -> None:
    """Stages before the bottleneck run ahead and empty the pipeline early: that must not look like speed."""
    for times in ([1, 1, 8, 1], [8, 1, 1, 1], [1, 1, 1, 8]):
        graph, hardware = chain_of([float(t) for t in times], size=3.0), package(4, triangle=False)
        for inputs in (4, 9, 30):
            found = simulate(graph, hardware, placed(0, 1, 2, 3), inputs=inputs)
            assert found.period >= found.predicted == 8.0
            assert found.period == pytest.approx(8.0)


def test_latency_alone_and_waiting_are_told_apart() -> None:
    """A fast stage before a slow one: alone nothing waits, in the stream all that the first stage made."""
    found = simulate(chain_of([1.0, 5.0], size=0.0), package(2), placed(0, 1), inputs=40)
    assert found.latency_alone == pytest.approx(6.0)
    first, last = found.measured
    assert (first, last) == (20, 34)
    assert found.waiting == pytest.approx(4.0 * np.median(np.arange(first, last + 1)))
