"""Beams and guides that tests ask."""

from __future__ import annotations

import numpy as np

from milp.search.beams import Arm
from milp.search.downsets.beam import Beam
from milp.search.downsets.guidance import Terrain
from milp.search.downsets.transfers import Flow
from milp.windows.windows import WindowRules
from partition import Graph, GraphBuilder, Hardware
from partition.arrays import Array32, FloatArray
from partition.instance.contract import contract

PLAIN = {"triangle": False, "replication": False, "relays": False}


def lanes(scale: float = 1.0, size: float = 1.0) -> Graph:
    """Lanes of unequal nodes side by side from one source."""
    b = GraphBuilder("lanes")
    b.operation("in", "Op", outputs={"x": 0.1 * size}, flops=scale, bytes_accessed=0)
    for k in range(4):
        for lane in range(4):
            inputs = [f"t{lane}.{k - 1}"] if k else ["x"]
            flops = scale * (1.0 + (k + lane) % 3)
            b.operation(f"v{lane}.{k}", "Op", inputs=inputs, outputs={f"t{lane}.{k}": size}, flops=flops,
                        bytes_accessed=0)  # fmt: skip
    b.operation("out", "Op", inputs=[f"t{lane}.3" for lane in range(4)], flops=scale, bytes_accessed=0)
    return b.build()


class Constant:
    """One price and no loss: what a beam does without any opinion."""

    def prices(self, tensors: Array32) -> FloatArray:
        return np.full(len(tensors), 0.5)

    def losses(self, states: Array32) -> FloatArray:
        return np.zeros((len(states), 2))


def beam_of(graph: Graph, hardware: Hardware, arm: Arm, factor: float = 1.3) -> Beam:
    instance = contract(graph, hardware)
    terrain = Terrain(Flow.of(instance))
    period = factor * float(instance.fastest.sum()) / instance.chips
    windows = WindowRules(instance).windows(period)
    inside = windows.lo[terrain.flow.node], windows.hi[terrain.flow.node]
    return arm.beam(terrain, instance, period, inside)
