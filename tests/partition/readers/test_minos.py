"""Graphs of MINOS."""

from __future__ import annotations

from other_formats import MINOS


def test_every_edge_of_minos_is_a_tensor(load):
    graph = load(MINOS).graph
    assert graph.name == "m" and graph.m == 2
    assert graph.weights.tolist() == [8.0, 0.0, 0.0]
    assert graph.tensor_bytes.tolist() == [0.5, 0.25]
