"""From an inference graph to the graph of one training step: backward operations, gradients, optimizer state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partition.arrays import BoolArray, IntArray
from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph

OPTIMIZERS: dict[str, float] = {"sgd": 2.0, "adam": 8.0}
"""Resident bytes per byte of a 16-bit weight: the weight and its gradient; for Adam in mixed precision also a 32-bit
copy and two 32-bit moments, 16 bytes per parameter (Rajbhandari et al., ZeRO, SC 2020, section 3.1)."""


def training_graph(graph: Graph, optimizer: str = "adam", *, name: str | None = None) -> Graph:
    """The graph of one training step of an inference model.

    Every operation through which a gradient flows gets a backward operation in the same colocation group. It reads the
    gradients of its operation's outputs and the tensors its operation read, and produces a gradient for each of them
    that wants one. It costs one forward pass for the gradient of what the operation reads, and one for that of its
    weights or its second operand. So training costs about three times inference. Memory: weights grow by
    ``OPTIMIZERS``; each tensor that a backward operation reads again is stashed, once per chip.

    Parameters
    ----------
    graph : without backward operations.
    optimizer : ``"sgd"`` or ``"adam"``.
    name : of the new graph; the old name and ``:training=OPTIMIZER`` by default.
    """
    step = _TrainingStep.of(graph, OPTIMIZERS[optimizer])
    builder = GraphBuilder(name or f"{graph.name}:training={optimizer}")
    for v in range(graph.n):
        step.add_forward(builder, v)
    for v in np.flatnonzero(step.wants)[::-1].tolist():
        step.add_backward(builder, v)
    return builder.build()


@dataclass(frozen=True, eq=False)
class _TrainingStep:
    """What the operations of one training step are made from.

    Attributes
    ----------
    graph : the inference graph.
    state : resident bytes per byte of a weight.
    wants : (n,) whether a gradient flows through an operation.
    reads, made : per operation the tensors that it reads and produces.
    shared : per operation the shared weights that it uses.
    """

    graph: Graph
    state: float
    wants: BoolArray
    reads: list[list[int]]
    made: list[list[int]]
    shared: list[list[int]]

    @staticmethod
    def of(graph: Graph, state: float) -> _TrainingStep:
        """Sort tensors and weights by operation."""
        weight = np.repeat(np.arange(len(graph.shared_names)), np.diff(graph.shared_ptr))
        return _TrainingStep(
            graph,
            state,
            _wants_gradient(graph),
            reads=_by_operation(graph.n, graph.consumers, graph.edge_tensor),
            made=_by_operation(graph.n, graph.producer, np.arange(graph.m)),
            shared=_by_operation(graph.n, graph.shared_users, weight),
        )

    def add_forward(self, builder: GraphBuilder, v: int) -> None:
        """The operation itself, with its weights, their state, and what it stashes for its backward operation."""
        graph, name = self.graph, self.graph.names[v]
        held = {f"{name}.weights": self.state * float(graph.weights[v])} if graph.weights[v] else {}
        held |= {graph.shared_names[i]: self.state * float(graph.shared_bytes[i]) for i in self.shared[v]}
        stashed = {f"stash:{graph.tensor_names[t]}": float(graph.tensor_bytes[t]) for t in self.reads[v]}
        builder.operation(
            name,
            graph.op_types[v],
            inputs=[graph.tensor_names[t] for t in self.reads[v]],
            outputs={graph.tensor_names[t]: float(graph.tensor_bytes[t]) for t in self.made[v]},
            flops=float(graph.flops[v]),
            bytes_accessed=float(graph.bytes_accessed[v]),
            weights=held | stashed if self.wants[v] else held,
            group=self._group(v),
        )

    def add_backward(self, builder: GraphBuilder, v: int) -> None:
        """What computes the gradients of an operation's inputs and weights from those of its outputs."""
        graph, name, tensors = self.graph, self.graph.names[v], self.graph.tensor_names
        upstream = [t for t in self.reads[v] if self.wants[graph.producer[t]]]
        parts = min(2, len(upstream)) + bool(graph.weights[v] or self.shared[v])
        passes = min(2, max(parts, 1))
        gradients = [f"d({tensors[t]})@{graph.names[w]}" for t in self.made[v] for w in self._differentiated(t)]
        builder.operation(
            f"{name}.grad",
            f"{graph.op_types[v]}Grad",
            inputs=[*gradients, *(tensors[t] for t in self.reads[v])],
            outputs={f"d({tensors[t]})@{name}": float(graph.tensor_bytes[t]) for t in upstream},
            flops=passes * float(graph.flops[v]),
            bytes_accessed=passes * float(graph.bytes_accessed[v]),
            group=self._group(v),
            backward=True,
        )

    def _group(self, v: int) -> str | None:
        """An operation shares its chip with its group, and with its backward operation."""
        if self.graph.group[v] >= 0:
            return f"g{self.graph.group[v]}"
        return self.graph.names[v] if self.wants[v] else None

    def _differentiated(self, t: int) -> list[int]:
        """Readers of a tensor that give a gradient for it."""
        readers = self.graph.consumers[self.graph.consumer_ptr[t] : self.graph.consumer_ptr[t + 1]].tolist()
        return [w for w in readers if self.wants[w]]


def _by_operation(count: int, operations: IntArray, items: IntArray) -> list[list[int]]:
    """Items of each operation, in the order given."""
    found: list[list[int]] = [[] for _ in range(count)]
    for v, item in zip(operations.tolist(), items.tolist(), strict=True):
        found[v].append(item)
    return found


def _wants_gradient(graph: Graph) -> BoolArray:
    """(n,) operations with weights, and those that depend on one of them."""
    wants = graph.weights > 0
    wants[graph.shared_users] = True
    wants &= ~graph.is_source
    by_source = np.argsort(np.argsort(graph.topological_order)[graph.edge_source], kind="stable")
    for u, w in zip(graph.edge_source[by_source].tolist(), graph.consumers[by_source].tolist(), strict=True):
        wants[w] |= wants[u]
    return wants
