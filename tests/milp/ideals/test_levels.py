"""Levels of ideals are nested."""

from __future__ import annotations

import numpy as np
from instances import (
    package,
)

from milp.ideals.loose import loose_nodes
from milp.ideals.program import best_chain
from partition import GraphBuilder, Placement, check, evaluate_placement
from partition.instance.contract import contract


def test_levels_are_nested() -> None:
    """Found by a sceptic: a node was kept on the coarser level alone, as one before it was left out there.

    Two of its ideals then had one image on the finer one, and a chain that a placement has was "proved" not to exist.
    """
    b = GraphBuilder("not_nested")
    operations = [
        ("a", [], 0.01, 1.0),
        ("b", [], 0.01, 1.0),
        ("u", ["a", "b"], 1e-5, 1e-4),
        ("v", ["u"], 0.6, 0.0),
        ("w", ["v"], 0.001, 2.0),
        *((f"s{i}", ["b"], 0.0, 1e-4) for i in range(12)),  # enough ideals for a coarser level
        *((f"z{i}", ["b"], 0.0, 0.0) for i in range(17)),  # too many with all nodes
    ]
    for name, inputs, size, work in operations:
        b.operation(name, "Op", inputs=inputs, outputs={name: size}, flops=work, bytes_accessed=0)
    graph, hardware = b.build(), package(4, topology="memory", transfers="serial")
    placement = Placement(np.array([0, 0, 1, 1, 1] + [0] * 29))
    assert check(graph, hardware, placement) == []
    instance = contract(graph, hardware)
    period = float(evaluate_placement(graph, hardware, placement).period[0]) / instance.unit
    chain = best_chain(instance, 1.2)
    assert chain is not None
    assert chain.period <= period < 1.2


def test_a_level_of_nothing_but_nodes_that_nothing_binds_is_left_out() -> None:
    """The finer level is without them, as there are too many ideals with them; what it has is light."""
    b = GraphBuilder("light_and_loose")
    for i in range(13):
        b.operation(f"s{i}", "Op", outputs={f"s{i}": 0.0}, flops=0.01, bytes_accessed=0)
    b.operation("w", "Op", inputs=["s0"], outputs={"w": 0.0}, flops=0.01, bytes_accessed=0, backward=True)
    for i in range(4):
        b.operation(f"v{i}", "Op", inputs=["w"], outputs={f"v{i}": 0.0}, flops=1, bytes_accessed=0, backward=True)
    graph, hardware = b.build(), package(2, topology="memory", transfers="serial")
    instance = contract(graph, hardware)
    assert loose_nodes(instance).sum() == 4
    chain = best_chain(instance, 3 / instance.unit)
    assert chain is not None and chain.period * instance.unit <= 2.08
