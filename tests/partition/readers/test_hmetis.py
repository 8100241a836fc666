"""Hypergraphs of hMETIS."""

from __future__ import annotations

from other_formats import HMETIS, pairs

from partition.problem.hardware_files import load_hardware


def test_the_first_pin_of_a_hyperedge_is_its_producer(load):
    graph = load(HMETIS).graph
    assert pairs(graph) == [("v1", "v2"), ("v1", "v3"), ("v3", "v4")]
    assert graph.m == 2 and sorted(graph.tensor_bytes.tolist()) == [1.0, 5.0]
    assert load_hardware("chain2").times(graph)[0].tolist() == [4.0, 3.0, 2.0, 6.0]
