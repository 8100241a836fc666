"""Phases of the programs over ideals and segments."""

from __future__ import annotations

import numpy as np
from instances import package
from searching import ACYCLIC

from milp.search.dynamic_programs import STRETCHES, complete_chain
from milp.search.first_placements import slice_orders
from milp.state.incumbent import Incumbent
from milp.state.run import Run
from partition import (
    GraphBuilder,
    load_hardware,
    load_model,
)
from partition.instance.contract import contract
from partition.stopping import Stop


def test_a_stretch_proves_what_all_ideals_are_too_many_for() -> None:
    """Randomly wired, so that only the ideals of a stretch that a link can carry are few enough (33% open before)."""
    graph = load_model("randwire:stages=2,nodes=24").graph
    instance = contract(graph, load_hardware(f"ring16:{ACYCLIC}"))
    incumbent = Incumbent(instance, 1e-4, lambda: 0.0, None)
    run = Run.begin(instance, incumbent, Stop(60))
    slice_orders(run)
    before = incumbent.bound
    STRETCHES.work(run)
    assert incumbent.bound > 1.5 * max(before, instance.unit)


def test_what_a_chain_leaves_out_goes_where_the_order_pins_it() -> None:
    """Found on dlrm with two chips: light operations between blocks of one chip were left without a chip."""
    b = GraphBuilder("pinned")
    b.operation("first", "Op", outputs={"a": 5.0}, flops=10, bytes_accessed=0)
    b.operation("light", "Op", inputs=["a"], outputs={"b": 5.0}, flops=1e-4, bytes_accessed=0)
    b.operation("second", "Op", inputs=["b"], outputs={"c": 1.0}, flops=10, bytes_accessed=0)
    b.operation("third", "Op", inputs=["c"], flops=20, bytes_accessed=0)
    graph, hardware = b.build(), package(2, transfers="serial", triangle=False, replication=False)
    instance = contract(graph, hardware)
    incumbent = Incumbent(instance, 1e-4, lambda: 0.0, None)
    light = int(instance.node_of[graph.index["light"]])
    chip = np.array([0, 0, 0, 1])
    chip[light] = -1
    complete_chain(Run.begin(instance, incumbent, Stop(10)), chip)
    assert incumbent.placement is not None
    assert incumbent.placement.assignment.tolist() == [0, 0, 0, 1]
