"""From an inference graph to the graph of one training step: backward operations, gradients, optimizer state."""

from __future__ import annotations

import numpy as np

from partition.arrays import BoolArray
from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph

OPTIMIZERS: dict[str, float] = {"sgd": 2.0, "adam": 8.0}
"""Resident bytes per byte of a 16-bit weight: the weight and its gradient; for Adam in mixed precision also a 32-bit
copy and two 32-bit moments, 16 bytes per parameter (Rajbhandari et al., ZeRO, SC 2020, section 3.1)."""


def training_graph(graph: Graph, optimizer: str = "adam", *, name: str | None = None) -> Graph:
    """The graph of one training step of an inference model.

    Every operation through which a gradient flows gets a backward operation in the same colocation group. It reads the
    gradients of its operation's outputs and the tensors its operation read, and produces a gradient for each of them
    that wants one. It costs one forward pass for the gradient of what the operation reads and one for that of its
    weights (or of its second operand), so that training costs about three times inference. Memory: weights grow by
    ``OPTIMIZERS``; each tensor that a backward operation reads again is stashed, once per chip.

    Parameters
    ----------
    graph : without backward operations.
    optimizer : ``"sgd"`` or ``"adam"``.
    name : of the new graph; the old name and ``:training=OPTIMIZER`` by default.
    """
    state = OPTIMIZERS[optimizer]
    wants = _wants_gradient(graph)
    builder = GraphBuilder(name or f"{graph.name}:training={optimizer}")
    reads: list[list[int]] = [[] for _ in range(graph.n)]
    for t, w in zip(graph.edge_tensor.tolist(), graph.consumers.tolist(), strict=True):
        reads[w].append(t)
    made: list[list[int]] = [[] for _ in range(graph.n)]
    for t, u in enumerate(graph.producer.tolist()):
        made[u].append(t)
    differentiated = [
        [w for w in graph.consumers[graph.consumer_ptr[t] : graph.consumer_ptr[t + 1]].tolist() if wants[w]]
        for t in range(graph.m)
    ]
    shared_of: list[list[int]] = [[] for _ in range(graph.n)]
    rows = np.repeat(np.arange(len(graph.shared_names)), np.diff(graph.shared_ptr))
    for i, v in zip(rows.tolist(), graph.shared_users.tolist(), strict=True):
        shared_of[v].append(i)
    names, tensors = graph.names, graph.tensor_names

    for v in range(graph.n):
        group = f"g{graph.group[v]}" if graph.group[v] >= 0 else (names[v] if wants[v] else None)
        held = {f"{names[v]}.weights": state * float(graph.weights[v])} if graph.weights[v] else {}
        held |= {graph.shared_names[i]: state * float(graph.shared_bytes[i]) for i in shared_of[v]}
        stashed = {f"stash:{tensors[t]}": float(graph.tensor_bytes[t]) for t in reads[v]} if wants[v] else {}
        builder.operation(
            names[v],
            graph.op_types[v],
            inputs=[tensors[t] for t in reads[v]],
            outputs={tensors[t]: float(graph.tensor_bytes[t]) for t in made[v]},
            flops=float(graph.flops[v]),
            bytes_accessed=float(graph.bytes_accessed[v]),
            weights=held | stashed,
            group=group,
        )
    for v in np.flatnonzero(wants)[::-1].tolist():
        upstream = [t for t in reads[v] if wants[graph.producer[t]]]
        parts = min(2, len(upstream)) + bool(graph.weights[v] or shared_of[v])
        builder.operation(
            f"{names[v]}.grad",
            f"{graph.op_types[v]}Grad",
            inputs=[
                *(f"d({tensors[t]})@{names[w]}" for t in made[v] for w in differentiated[t]),
                *(tensors[t] for t in reads[v]),
            ],
            outputs={f"d({tensors[t]})@{names[v]}": float(graph.tensor_bytes[t]) for t in upstream},
            flops=min(2, max(parts, 1)) * float(graph.flops[v]),
            bytes_accessed=min(2, max(parts, 1)) * float(graph.bytes_accessed[v]),
            group=f"g{graph.group[v]}" if graph.group[v] >= 0 else names[v],
            backward=True,
        )
    return builder.build()


def _wants_gradient(graph: Graph) -> BoolArray:
    """(n,) operations with weights, and those that depend on one of them."""
    wants = graph.weights > 0
    wants[graph.shared_users] = True
    wants &= ~graph.is_source
    by_source = np.argsort(np.argsort(graph.topological_order)[graph.edge_source], kind="stable")
    for u, w in zip(graph.edge_source[by_source].tolist(), graph.consumers[by_source].tolist(), strict=True):
        wants[w] |= wants[u]
    return wants
