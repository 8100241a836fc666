"""Graphs of dagP in DOT."""

from __future__ import annotations

from other_formats import DOT, pairs

from partition.problem.hardware_files import load_hardware


def test_nodes_and_edges_of_a_digraph_have_weights(load):
    graph = load(DOT).graph
    time = dict(zip(graph.names, load_hardware("chain2").times(graph)[0].tolist(), strict=True))
    assert time == {"a": 4.0, "b": 3.0, "c": 1.0, "d": 1.0, "e": 1.0}
    assert pairs(graph) == [("a", "b"), ("a", "c"), ("b", "d"), ("d", "e")]
    assert sorted(graph.tensor_bytes.tolist()) == [1.0, 1.0, 1.0, 7.0]
