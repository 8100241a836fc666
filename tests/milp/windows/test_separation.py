"""Neighbours that must share a chip: against every placement of small graphs."""

from __future__ import annotations

import numpy as np
import pytest
from instances import package, random_instance

from milp.windows.separation import Separation
from partition import partition
from partition.instance.contract import contract
from partition.problem.builder import GraphBuilder
from partition.problem.hardware import override
from partition.scoring.cost import CostModel
from partition.scoring.rules import valid
from partition.stopping import Stop


@pytest.mark.parametrize("seed", range(40))
def test_every_placement_within_a_threshold_keeps_inseparable_neighbours_together(seed):
    rng = np.random.default_rng(seed)
    graph, hardware = random_instance(rng)
    hardware = override(hardware, {"topology": "ring", "acyclic": True, "replication": False, "memory": False})
    hardware = override(hardware, {"transfers": str(rng.choice(["serial", "overlapped"])), "triangle": False})
    instance = contract(graph, hardware)
    if not Separation.applies(instance):
        pytest.skip("tensors of the backward pass, or a single chip")
    chips = rng.integers(0, hardware.chips, (4000, graph.n)) if graph.n > 6 else _all(graph.n, hardware.chips)
    chips = np.sort(chips, axis=1)[:, np.argsort(np.argsort(graph.topological_order))]
    chips = chips[valid(graph, hardware.with_rules(no_skipping=False), chips)]
    first = np.unique(instance.node_of, return_index=True)[1]
    chips = chips[(chips == chips[:, first[instance.node_of]]).all(axis=1)]  # free sources have moved without loss
    period = CostModel(graph, hardware).period(chips) / instance.unit
    assert len(chips)
    for threshold in np.quantile(period, [0.0, 0.1, 0.5, 0.9]):
        tight = Separation(instance).tightened(float(threshold), Stop(60), seconds=60)
        within = chips[period <= threshold]
        for node in range(tight.nodes):
            members = np.flatnonzero(tight.node_of == node)
            assert (within[:, members] == within[:, members[:1]]).all()


def _all(n: int, chips: int) -> np.ndarray:
    return np.stack(np.meshgrid(*[np.arange(chips)] * n, indexing="ij"), axis=-1).reshape(-1, n)


def test_a_wide_block_between_narrow_links_stays_whole():
    """Eight parallel operations whose tensors no link can carry at once: only the ends can be cut off."""
    b = GraphBuilder("wide")
    b.operation("in", "Op", outputs={"x": 1.0}, flops=4, bytes_accessed=0)
    for i in range(8):
        b.operation(f"a{i}", "Op", inputs=["x"], outputs={f"a{i}": 50.0}, flops=1, bytes_accessed=0)
        b.operation(f"b{i}", "Op", inputs=[f"a{i}"], outputs={f"b{i}": 50.0}, flops=1, bytes_accessed=0)
    b.operation("out", "Op", inputs=[f"b{i}" for i in range(8)], outputs={"y": 1.0}, flops=4, bytes_accessed=0)
    result = partition(b.build(), package(4, triangle=False), time_limit=30)
    assert result.status == "optimal"
    assert result.period == pytest.approx(20.0)  # 24 seconds of work; the block of 16 takes one end with it
