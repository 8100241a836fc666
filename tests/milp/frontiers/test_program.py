"""The exact program over frontiers against brute force, and on the hardest small networks."""

from __future__ import annotations

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force, least_known
from instances import package, random_instance

from milp.frontiers.program import Frontiers, narrow_frontiers
from partition import partition
from partition.instance.contract import contract
from partition.instance.orders import diverse_orders
from partition.problem.builder import GraphBuilder
from partition.problem.hardware import override
from partition.scoring.cost import evaluate_placement
from partition.scoring.rules import check


def _dense_block(layers: int, *, time: float = 1.0):
    """Every layer reads the concatenation of all before it, as in DenseNet."""
    b = GraphBuilder("dense")
    b.operation("in", "Op", outputs={"x": 1.0}, flops=time, bytes_accessed=0)
    for i in range(layers):
        so_far = "x" if i == 0 else f"cat{i - 1}"
        b.operation(f"conv{i}", "Conv", inputs=[so_far], outputs={f"c{i}": 1.0}, flops=2 * time, bytes_accessed=0)
        b.operation(f"relu{i}", "Relu", inputs=[f"c{i}"], outputs={f"r{i}": 1.0}, flops=time, bytes_accessed=0)
        b.operation(f"cat{i}", "Concat", inputs=[so_far, f"r{i}"], outputs={f"cat{i}": 1.0}, flops=0, bytes_accessed=0)
    return b.build()


@pytest.mark.parametrize("seed", range(60))
def test_the_answer_about_a_threshold_is_brute_forces(seed):
    rng = np.random.default_rng(seed)
    graph, hardware = random_instance(rng)
    hardware = hardware.with_rules(acyclic=True, triangle=seed % 5 != 0, relays=False, replication=seed % 2 == 0)
    transfers = "serial" if seed % 3 == 0 else "overlapped"
    free = seed % 4 < 2  # transfers that take no time, or only that of the chips
    unpaid = seed % 7 < 3  # chips that pay for none
    hardware = override(hardware, {"transfers": transfers, "topology": "memory", "link_bandwidth": 1e15 if free else 1})
    hardware = override(hardware, {"free_transfers": unpaid})
    instance = contract(graph, hardware)
    if not Frontiers.applies(instance):
        pytest.skip("kinds differ, or tensors of the backward pass")
    best = least_known(as_given(graph, hardware), limit=20_000)
    if not best:
        pytest.skip("too large for brute force, no valid placement, or nothing to compute")
    optimum = best / instance.unit
    for program in narrow_frontiers(instance, diverse_orders(instance, rng)):
        verdict = program.decide(optimum * (1 + 1e-8))
        assert verdict.possible
        if program.complete and (free or unpaid or hardware.serial) and not len(instance.shared_bytes):
            assert program.decide(optimum * (1 - 1e-6)).possible is False
            placement = instance.lift(verdict.chip, [], [])
            assert not [v for v in check(graph, hardware, placement) if v.rule != "memory"]
            period = evaluate_placement(graph, hardware, placement).period[0] / instance.unit
            assert period <= optimum * (1 + 1e-7)


@pytest.mark.parametrize("topology", ["memory", "crossbar", "ring"])
def test_chips_that_do_not_pay_for_transfers_are_not_charged_for_them(topology):
    b = GraphBuilder("line")
    for i in range(3):
        inputs = [f"t{i - 1}"] if i else []
        b.operation(f"v{i}", "Op", inputs=inputs, outputs={f"t{i}": 1.0}, flops=1, bytes_accessed=0)
    line = b.build()
    hardware = override(package(3, topology=topology, transfers="serial", relays=False), {"free_transfers": True})
    best, _ = brute_force(as_given(line, hardware))
    assert best == 1.0  # a chip each, and a tensor takes a link no longer
    instance = contract(line, hardware)
    for program in narrow_frontiers(instance, diverse_orders(instance, np.random.default_rng(0))):
        assert program.decide(best / instance.unit * (1 + 1e-6)).possible


@pytest.mark.parametrize("layers", [5, 12])
def test_a_dense_block_is_proved_optimal_under_the_exact_triangle_rule(layers):
    result = partition(_dense_block(layers), package(12, triangle=True, relays=False, bandwidth=1e9), time_limit=60)
    assert result.status == "optimal"
    assert not check(result.graph, result.hardware, result.placement)


@pytest.mark.parametrize("name", ["resnet50", "densenet121"])
def test_the_hardest_small_networks_are_proved_optimal(name):
    onnx = pytest.importorskip("onnx")
    from pathlib import Path

    from partition.problem.hardware_files import load_hardware
    from partition.readers.load import load_model

    path = Path(onnx.__file__).parent / f"backend/test/data/light/light_{name}.onnx"
    hardware = load_hardware("ring36:relays=off,memory=off,link_bandwidth=1e18")
    result = partition(load_model(str(path)).graph, hardware, time_limit=60)
    assert result.status == "optimal"
