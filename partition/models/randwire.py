"""Randomly wired networks (Xie et al., ICCV 2019): stages whose nodes are wired as a random graph, made acyclic.

The wiring is a Watts-Strogatz ring lattice: ``nodes`` in a ring, each joined to its ``neighbours`` nearest, each edge
rewired with a probability of ``rewired`` percent. Edges point from the lower to the higher number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partition.models.layers import add, apply, classifier, conv
from partition.models.tracer import Tensor, Tracer
from partition.problem.graph import Graph


@dataclass(frozen=True)
class RandWire:
    """Hyper-parameters; ``channels`` is the width of the first stage, doubled in each of the others."""

    batch: int
    size: int
    classes: int
    channels: int
    stages: int
    nodes: int
    neighbours: int
    rewired: int
    seed: int
    itemsize: float

    def graph(self, name: str) -> Graph:
        """The graph of the whole model."""
        net = Tracer(name, self.itemsize)
        rng = np.random.default_rng(self.seed)
        x = net.input("images", (self.batch, 3, self.size, self.size))
        x = apply(net, "Relu", conv(net, "stem", x, self.channels // 2, 3, 2))
        for stage in range(self.stages):
            with net.scope(f"stage{stage}"):
                x = self._stage(net, x, self.channels * 2**stage, rng)
        classifier(net, conv(net, "last", x, 1280), self.classes)
        return net.build()

    def _stage(self, net: Tracer, x: Tensor, channels: int, rng: np.random.Generator) -> Tensor:
        made: list[Tensor] = []
        read: set[int] = set()
        sources = self._wiring(rng)
        for v in range(self.nodes):
            with net.scope(f"node{v}"):
                inputs = [made[u] for u in sources[v]]
                read |= set(sources[v])
                y = inputs[0] if inputs else x
                for other in inputs[1:]:
                    y = add(net, y, other)
                y = apply(net, "Relu", y)
                y = conv(net, "depthwise", y, y.shape[1], 3, 1 if inputs else 2, groups=y.shape[1])
                made.append(conv(net, "pointwise", y, channels))
        ends = [made[v] for v in range(self.nodes) if v not in read]
        result = ends[0]
        for other in ends[1:]:
            result = add(net, result, other)
        return result

    def _wiring(self, rng: np.random.Generator) -> list[list[int]]:
        """The nodes that each node reads."""
        edges: set[tuple[int, int]] = set()
        for v in range(self.nodes):
            for k in range(1, max(1, min(self.neighbours, self.nodes - 1) // 2) + 1):
                w = (v + k) % self.nodes
                if rng.random() * 100 < self.rewired:
                    w = int(rng.integers(self.nodes))
                if v != w:
                    edges.add((min(v, w), max(v, w)))
        return [sorted(u for u, w in edges if w == v) for v in range(self.nodes)]
