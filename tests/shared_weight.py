"""A graph whose weight two operations share."""

from __future__ import annotations

from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph


def triangle_with_shared_weight() -> Graph:
    b = GraphBuilder("shared")
    b.operation("x", "Input", outputs={"x": 8})
    b.operation("enc", "MatMul", inputs=["x"], outputs={"h": 16, "aux": 2}, flops=10, weights={"E": 100, "own": 5})
    b.operation(
        "dec", "MatMul", inputs=["h", "x", "h"], outputs={"y": 4}, flops=20, weights={"E": 100}, times={"npu": 3.0}
    )
    return b.build()
