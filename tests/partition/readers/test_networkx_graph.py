"""Graphs of networkx."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest

from partition.errors import InvalidGraph
from partition.problem.graph import Graph
from partition.readers.networkx_graph import from_networkx


def test_networkx_attributes_become_operations_and_one_tensor_for_all_edges_of_a_node() -> None:
    g = nx.DiGraph(name="nx model")
    g.add_node("a", op_type="Input", bytes=64)
    g.add_node("b", flops=10, weights=5, group="g", times={"npu": 0.5}, label="ignored")
    g.add_node("c", flops=np.float32(2), bytes_accessed=np.int64(7), weights={"W": 3.0}, group=np.int64(2))
    g.add_node("d", backward=True, weights={"W": 3.0})
    g.add_edges_from([("a", "b"), ("a", "c"), ("b", "d")])
    graph = Graph.from_networkx(g)
    assert graph.name == "nx model"
    assert graph.op_types == ("Input", "Op", "Op", "Op")
    assert dict(zip(graph.tensor_names, graph.tensor_bytes.tolist(), strict=True)) == {"a": 64, "b": 0, "c": 0, "d": 0}
    assert graph.consumers.tolist() == [1, 2, 3]
    assert graph.flops.tolist() == [0, 10, 2, 0]
    assert graph.bytes_accessed.tolist() == [0, 64 + 5, 7, 3]
    assert graph.weights.tolist() == [0, 5, 0, 0]
    assert graph.shared_names == ("W",)
    assert graph.shared_users.tolist() == [2, 3]
    assert graph.group[0] == -1
    assert len({graph.group[1], graph.group[2], -1}) == 3
    assert graph.backward.tolist() == [False, False, False, True]
    assert graph.profiled_times["npu"][1] == 0.5
    assert from_networkx(g, name="given").name == "given"


def test_networkx_edges_with_tensor_names_are_tensors_of_their_own() -> None:
    g = nx.DiGraph()
    g.add_edge(0, 1, tensor="left", bytes=1)
    g.add_edge(0, 2, tensor="right", bytes=2)
    g.add_edge(0, 3, tensor="right", bytes=2)
    graph = from_networkx(g)
    assert graph.names == ("0", "1", "2", "3")
    assert dict(zip(graph.tensor_names, graph.tensor_bytes.tolist(), strict=True)) == {
        "0:left": 1, "0:right": 2, "1": 0, "2": 0, "3": 0,
    }  # fmt: skip
    assert graph.edge_tensor.tolist() == [0, 1, 1]


def test_parallel_networkx_edges_are_read_once() -> None:
    g = nx.MultiDiGraph([("a", "b"), ("a", "b")])
    assert from_networkx(g).consumers.tolist() == [1]


def with_node(**attributes: Any) -> nx.DiGraph:
    g = nx.DiGraph()
    g.add_node("v", **attributes)
    return g


def with_edges(*edges: tuple[Any, Any, dict[str, Any]]) -> nx.DiGraph:
    g = nx.DiGraph()
    g.add_edges_from(edges)
    return g


@pytest.mark.parametrize(
    ("digraph", "message"),
    [
        (nx.Graph([("a", "b")]), "undirected"),
        ([("a", "b")], "expected a networkx DiGraph, got list"),
        (nx.DiGraph(), "no operations"),
        (nx.DiGraph([("a", "b"), ("b", "a")]), "cycle of 2 operations: 'a' -> 'b'|'b' -> 'a'"),
        (nx.DiGraph([(1, "1")]), "same text"),
        (with_node(flops="many"), "node 'v' has flops = 'many'; it must be a number"),
        (with_node(flops=-1), "node 'v' has flops = -1"),
        (with_node(weights=float("nan")), "node 'v' has weights = nan"),
        (with_node(weights={"W": "big"}), "node 'v', weights has W = 'big'"),
        (with_node(times=[1]), r"node 'v', times is \[1\]"),
        (with_node(group=[1]), r"node 'v' has group = \[1\]"),
        (with_node(backward="yes"), "node 'v' has backward = 'yes'"),
        (with_edges(("a", "b", {"bytes": -1})), "edge 'a' -> 'b' has bytes = -1"),
        (with_edges(("a", "b", {"bytes": 1}), ("a", "c", {"bytes": 2})), "'a' two sizes, 1 and 2 bytes"),
    ],
)
def test_a_networkx_graph_that_cannot_be_used_is_refused(digraph: Any, message: str) -> None:
    with pytest.raises(InvalidGraph, match=message):
        from_networkx(digraph)
