"""Recommenders: wide graphs of embedding tables and towers.

Sources: Naumov et al., 2019 (arXiv 1906.00091, DLRM); Ma et al., KDD 2018 (mixture of experts for several tasks, MMoE).
"""

from __future__ import annotations

from dataclasses import dataclass

from partition.models.layers import add, apply, concat, linear
from partition.models.tracer import INT64, Tensor, Tracer
from partition.problem.graph import Graph


@dataclass(frozen=True)
class Recommender:
    """Hyper-parameters.

    Attributes
    ----------
    batch : samples per input.
    tables, rows, width : embedding tables, rows of each, and width of an embedding.
    hidden, depth : width and number of the layers of every tower.
    towers : experts, or towers side by side.
    tasks : outputs.
    itemsize : bytes of an element.
    """

    batch: int
    tables: int
    rows: int
    width: int
    hidden: int
    depth: int
    towers: int
    tasks: int
    itemsize: float

    def _tower(self, net: Tracer, name: str, x: Tensor, out: int) -> Tensor:
        with net.scope(name):
            for i in range(self.depth):
                x = apply(net, "Relu", linear(net, f"fc{i}", x, self.hidden))
            return linear(net, "out", x, out)

    def _embeddings(self, net: Tracer) -> list[Tensor]:
        found = []
        for i in range(self.tables):
            ids = net.input(f"ids{i}", (self.batch,), INT64)
            with net.scope(f"table{i}"):
                table = net.weight("weight", (self.rows, self.width))
                found.append(net.op("Gather", [table, ids], (self.batch, self.width)))
        return found

    def dlrm(self, name: str) -> Graph:
        """Dense features through a tower, products of all pairs of embeddings, and a tower above for each task."""
        net = Tracer(name, self.itemsize)
        dense = self._tower(net, "bottom", net.input("dense", (self.batch, 13)), self.width)
        features = [dense, *self._embeddings(net)]
        count = len(features)
        stacked = net.op("Reshape", [concat(net, features, 1)], (self.batch, count, self.width))
        turned = net.op("Transpose", [stacked], (self.batch, self.width, count))
        products = net.op("MatMul", [stacked, turned], (self.batch, count, count))
        pairs = net.op("Gather", [products], (self.batch, count * (count - 1) // 2))
        x = concat(net, [dense, pairs], 1)
        for task in range(self.tasks):
            apply(net, "Sigmoid", self._tower(net, f"top{task}", x, 1))
        return net.build()

    def mmoe(self, name: str) -> Graph:
        """Towers side by side over all embeddings, weighed by a gate for each task, and a tower above for each."""
        net = Tracer(name, self.itemsize)
        dense = linear(net, "dense", net.input("dense", (self.batch, 13)), self.width)
        x = concat(net, [dense, *self._embeddings(net)], 1)
        experts = [self._tower(net, f"expert{i}", x, self.hidden) for i in range(self.towers)]
        for task in range(self.tasks):
            with net.scope(f"task{task}"):
                gate = linear(net, "gate", x, self.towers)
                gate = net.op("Softmax", [gate], gate.shape)
                mixed: Tensor | None = None
                for expert in experts:
                    weighed = net.op("Mul", [expert, gate], expert.shape)
                    mixed = weighed if mixed is None else add(net, mixed, weighed)
                assert mixed is not None
                apply(net, "Sigmoid", self._tower(net, "tower", mixed, 1))
        return net.build()
