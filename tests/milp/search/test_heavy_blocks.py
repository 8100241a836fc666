"""Bounds of heavy blocks alone."""

from __future__ import annotations

from instances import package
from searching import solve_by

from milp.search.first_placements import SEEDS
from milp.search.heavy_blocks import CrowdQuestions
from milp.state.names import Doing
from milp.state.run import Phase, always
from partition import (
    GraphBuilder,
)


def test_a_pigeonhole_set_alone_can_close_the_gap() -> None:
    """Five equal operations side by side on two chips: three of them on one, which sends and receives for each."""
    b = GraphBuilder("crowd")
    b.operation("in", "Op", outputs={"x": 0.5}, flops=0, bytes_accessed=0)
    for i in range(5):
        b.operation(f"v{i}", "Op", inputs=["x"], outputs={f"t{i}": 0.5}, flops=3.0, bytes_accessed=0)
    b.operation("out", "Op", inputs=[f"t{i}" for i in range(5)], flops=0, bytes_accessed=0)
    questions = Phase(Doing.BLOCKS, always, lambda run: CrowdQuestions(run).ask(10.0))
    hardware = package(2, transfers="serial", replication=False)
    result = solve_by((SEEDS, questions), b.build(), hardware)
    assert result.status == "optimal" and result.period > 9.0
    assert result.proofs[-1].phase == Doing.BLOCKS
