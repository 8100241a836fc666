"""From a networkx DiGraph; networkx itself is not imported."""

from __future__ import annotations

from typing import Any

from partition.errors import InvalidGraph
from partition.graph import Graph, GraphBuilder


def from_networkx(digraph: Any, *, name: str | None = None) -> Graph:
    """Convert a ``networkx.DiGraph`` (or anything with its ``nodes(data=True)`` and ``edges(data=True)``).

    Node attributes, all optional: ``op_type`` ("Op"), ``flops`` (0), ``bytes_accessed`` (inputs, outputs and
    weights once each), ``weights`` (resident bytes, 0), ``bytes`` (of its output, 0), ``group``, ``backward``
    (False), ``times`` (chip kind -> seconds). Edge attributes: ``tensor`` (name; edges of one node with the same
    name, or with none, carry one tensor) and ``bytes`` (of that tensor; by default the node's ``bytes``).
    Operations are named ``str(node)``.

    Raises
    ------
    InvalidGraph : it is undirected, an edge of a tensor contradicts another, or the graph is not valid.
    """
    if not digraph.is_directed():
        raise InvalidGraph("the networkx graph is undirected; give a DiGraph whose edges run from producer to consumer")
    names = {node: str(node) for node in digraph.nodes}
    if len(set(names.values())) < len(names):
        raise InvalidGraph("two nodes of the networkx graph have the same text; operation names must be unique")
    node_bytes = {node: data.get("bytes", 0.0) for node, data in digraph.nodes(data=True)}
    outputs: dict[Any, dict[str, float]] = {node: {} for node in digraph.nodes}
    inputs: dict[Any, list[str]] = {node: [] for node in digraph.nodes}
    for source, target, data in digraph.edges(data=True):
        label = data.get("tensor")
        tensor = names[source] if label is None else f"{names[source]}:{label}"
        size = float(data.get("bytes", node_bytes[source]))
        if outputs[source].setdefault(tensor, size) != size:
            raise InvalidGraph(
                f"edges of {names[source]!r} give tensor {tensor!r} two sizes, {outputs[source][tensor]:g} and {size:g} "
                "bytes; set edge attribute 'tensor' to tell tensors apart"
            )
        inputs[target].append(tensor)
    builder = GraphBuilder(name or str(getattr(digraph, "name", "") or "model"))
    for node, data in digraph.nodes(data=True):
        builder.operation(
            names[node],
            data.get("op_type", "Op"),
            inputs=inputs[node],
            outputs=outputs[node] or {names[node]: float(node_bytes[node])},
            flops=data.get("flops", 0.0),
            bytes_accessed=data.get("bytes_accessed"),
            weights=data.get("weights", 0.0),
            group=data.get("group"),
            backward=bool(data.get("backward", False)),
            times=data.get("times"),
        )
    return builder.build()
