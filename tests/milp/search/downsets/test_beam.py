"""Beams over down-sets: what they count is what the cost model counts, and wide ones miss nothing."""

from __future__ import annotations

import numpy as np
import pytest
from instances import broadcast_mask, package
from searching import solve_by

from milp.search.beams import BEAMS
from milp.search.downsets.beam import Beam
from milp.search.downsets.transfers import Flow
from milp.state.names import Doing
from milp.state.run import Phase, always
from milp.windows.windows import WindowRules
from partition import GraphBuilder, Placement
from partition.heuristics.completion import satisfy_triangle
from partition.instance.contract import contract
from partition.scoring.cost import CostModel
from partition.scoring.rules import check, valid
from partition.stopping import Stop

WIDE = 100_000


def beam_of(instance, period):
    flow = Flow.of(instance)
    windows = WindowRules(instance).windows(period)
    inside = windows.lo[flow.node], windows.hi[flow.node]
    return Beam(flow, instance, period, inside, flow.tau)


def random_graph(rng, count):
    """Operations that read some of the earlier ones' tensors."""
    b = GraphBuilder("random")
    for v in range(count):
        inputs = [f"t{u}" for u in range(v) if rng.random() < 0.4]
        size = float(rng.choice([0.0, 1.0, 2.0, 5.0]))
        b.operation(f"v{v}", "Op", inputs=inputs, outputs={f"t{v}": size}, flops=float(rng.integers(0, 6)),
                    bytes_accessed=0, weights=float(rng.integers(0, 3)))  # fmt: skip
    return b.build()


PLAIN = {"triangle": False, "replication": False, "relays": False}


def draw(rng, **rules):
    """A random graph on two or three chips, and the least period of its assignments without relays."""
    graph = random_graph(rng, int(rng.integers(3, 8)))
    topology = str(rng.choice(["ring", "chain", "crossbar", "memory"]))
    transfers = str(rng.choice(["serial", "overlapped"]))
    hardware = package(int(rng.integers(2, 4)), topology=topology, transfers=transfers, sram=7.0, **PLAIN | rules)
    return graph, hardware, min_period(graph, hardware)


@pytest.mark.parametrize("seed", range(40))
def test_a_wide_beam_finds_the_least_period_and_no_smaller_one(seed):
    graph, hardware, least = draw(np.random.default_rng(seed))
    instance = contract(graph, hardware)
    if not np.isfinite(least):
        return
    threshold = least / instance.unit
    assert beam_of(instance, threshold * 0.999).decide(WIDE, Stop()) is None
    found = beam_of(instance, threshold * (1 + 1e-12)).decide(WIDE, Stop())
    assert found is not None
    chip, relays = found
    assert not relays
    homes = chip[instance.node_of]
    assert valid(graph, hardware, homes[None])[0]
    assert CostModel(graph, hardware).period(homes[None])[0] <= least * (1 + 1e-9)


@pytest.mark.parametrize("relays", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_what_a_beam_finds_keeps_the_triangle_rule_and_the_period(seed, relays):
    rng = np.random.default_rng(seed)
    graph, hardware, least = draw(rng, triangle=True, relays=relays)
    instance = contract(graph, hardware)
    for factor in (1.0, 1.2):
        period = factor * least / instance.unit if np.isfinite(least) else 4.0
        for width in (1, WIDE):
            found = beam_of(instance, period).decide(width, Stop())
            if found is not None:
                placement = satisfy_triangle(graph, hardware, instance.lift(found[0], [], found[1]))
                assert not check(graph, hardware, placement)
                cost = CostModel(graph, hardware).evaluate_placement(placement)
                assert cost.period[0] <= period * instance.unit * (1 + 1e-9)


def min_period(graph, hardware):
    """By trying every assignment."""
    chips = np.stack(np.meshgrid(*[np.arange(hardware.chips)] * graph.n, indexing="ij"), axis=-1).reshape(-1, graph.n)
    periods = CostModel(graph, hardware).period(chips)
    return periods[valid(graph, hardware, chips)].min(initial=np.inf)


def crossed_lanes(lanes=4, length=5, *, size=3.0):
    """Lanes of unequal nodes side by side from one source: any order that takes them in turn sends a lot."""
    b = GraphBuilder("lanes")
    b.operation("in", "Op", outputs={"x": 0.1}, flops=1, bytes_accessed=0)
    for k in range(length):
        for lane in range(lanes):
            inputs = [f"t{lane}.{k - 1}"] if k else ["x"]
            b.operation(f"v{lane}.{k}", "Op", inputs=inputs, outputs={f"t{lane}.{k}": size if k < length - 1 else 0.1},
                        flops=1.0 + (k + lane) % 3, bytes_accessed=0)  # fmt: skip
    b.operation("out", "Op", inputs=[f"t{lane}.{length - 1}" for lane in range(lanes)], flops=1, bytes_accessed=0)
    return b.build()


@pytest.mark.parametrize("transfers", ["serial", "overlapped"])
@pytest.mark.parametrize("rules", [PLAIN, {}])
def test_beams_alone_improve_on_everything_on_one_chip(transfers, rules):
    graph, hardware = crossed_lanes(), package(4, transfers=transfers, **rules)
    one_chip = Phase(Doing.SEEDS, always, offer_one_chip, first=True)
    result = solve_by([one_chip, BEAMS], graph, hardware)
    assert result.period <= 0.4 * float(hardware.times(graph).sum())


def offer_one_chip(run):
    run.incumbent.offer(Placement(np.zeros(run.instance.graph.n, dtype=np.int64)))


def test_replicable_nodes_run_wherever_they_are_read():
    graph, hardware = broadcast_mask(6), package(3, transfers="serial")
    one_chip = Phase(Doing.SEEDS, always, offer_one_chip, first=True)
    result = solve_by([one_chip, BEAMS], graph, hardware)
    assert result.period < 0.4 * float(hardware.times(graph).sum())
    assert len(result.placement.replicas)


def test_a_beam_repeats():
    graph, hardware = crossed_lanes(5, 6), package(4, transfers="serial", **PLAIN)
    flow_of = beam_of(contract(graph, hardware), 1.4)
    first, second = (flow_of.decide(20, Stop()) for _ in range(2))
    assert first is not None and second is not None
    assert np.array_equal(first[0], second[0])
