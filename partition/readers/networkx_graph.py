"""From a networkx DiGraph; networkx itself is not imported."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from partition.errors import InvalidGraph
from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph


def from_networkx(digraph: Any, *, name: str | None = None) -> Graph:
    """Convert a ``networkx.DiGraph`` (or anything with its ``nodes(data=True)`` and ``edges(data=True)``).

    Attributes of nodes, all optional, with what holds where they are missing:

    - ``op_type`` ("Op"), ``flops`` (0), ``bytes_accessed`` (inputs, outputs and weights once each)
    - ``weights`` (0): resident bytes; or weight name -> bytes, where a name used by several nodes is one shared weight
    - ``bytes`` (0) of its output, ``group`` (int or str), ``backward`` (False), ``times`` (chip kind -> seconds)

    Attributes of edges: ``tensor`` (a name) and ``bytes`` of that tensor, by default the node's ``bytes``. Edges of one
    node with the same name, or with none, carry one tensor. Other attributes are ignored.
    Operations are named ``str(node)``, tensors after their producer: ``u``, or ``u:name``.

    Parameters
    ----------
    name : of the model; by default the name of the networkx graph, or "model".

    Raises
    ------
    InvalidGraph : it is undirected, an attribute is of the wrong type, the edges of a tensor contradict each
        other, or the graph is not valid.
    """
    if not callable(getattr(digraph, "is_directed", None)):
        raise InvalidGraph(f"expected a networkx DiGraph, got {type(digraph).__name__}")
    if not digraph.is_directed():
        raise InvalidGraph("the networkx graph is undirected; give a DiGraph whose edges run from producer to consumer")
    names = {node: str(node) for node in digraph.nodes}
    if len(set(names.values())) < len(names):
        raise InvalidGraph("two nodes of the networkx graph have the same text; operation names must be unique")
    inputs, outputs = _tensors(digraph, names)
    builder = GraphBuilder(name or str(getattr(digraph, "name", "") or "model"))
    for node, data in digraph.nodes(data=True):
        where = f"node {names[node]!r}"
        weights = data.get("weights", 0.0)
        builder.operation(
            names[node],
            str(data.get("op_type", "Op")),
            inputs=inputs[node],
            outputs=outputs[node] or {names[node]: _amount(data, "bytes", where)},
            flops=_amount(data, "flops", where),
            bytes_accessed=_amount(data, "bytes_accessed", where) if "bytes_accessed" in data else None,
            weights=_amounts(weights, f"{where}, weights")
            if isinstance(weights, Mapping)
            else _amount(data, "weights", where),
            group=_group(data.get("group"), where),
            backward=_flag(data, "backward", where),
            view=_flag(data, "view", where),
            times=_amounts(data.get("times", {}), f"{where}, times"),
        )
    return builder.build()


def _tensors(digraph: Any, names: Mapping[Any, str]) -> tuple[dict[Any, list[str]], dict[Any, dict[str, float]]]:
    """For each node the tensors it reads, and those it produces with their bytes."""
    inputs: dict[Any, list[str]] = {node: [] for node in names}
    outputs: dict[Any, dict[str, float]] = {node: {} for node in names}
    for source, target, data in digraph.edges(data=True):
        label = data.get("tensor")
        tensor = names[source] if label is None else f"{names[source]}:{label}"
        if "bytes" in data:
            size = _amount(data, "bytes", f"edge {names[source]!r} -> {names[target]!r}")
        else:
            size = _amount(digraph.nodes[source], "bytes", f"node {names[source]!r}")
        if outputs[source].setdefault(tensor, size) != size:
            raise InvalidGraph(
                f"edges of {names[source]!r} give tensor {tensor!r} two sizes, {outputs[source][tensor]:g} and "
                f"{size:g} bytes; set edge attribute 'tensor' to tell tensors apart"
            )
        inputs[target].append(tensor)
    return inputs, outputs


def _amount(data: Mapping[Any, Any], key: Any, where: str) -> float:
    value = data.get(key, 0.0)
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise InvalidGraph(f"{where} has {key} = {value!r}; it must be a number")
    number = float(value)
    if not (math.isfinite(number) and number >= 0):
        raise InvalidGraph(f"{where} has {key} = {number}; it must be a finite number >= 0")
    return number


def _amounts(data: Any, where: str) -> dict[str, float]:
    if not isinstance(data, Mapping):
        raise InvalidGraph(f"{where} is {data!r}; it must map names to numbers")
    return {str(key): _amount(data, key, where) for key in data}


def _group(value: Any, where: str) -> int | str | None:
    if value is None or (isinstance(value, int | np.integer | str) and not isinstance(value, bool)):
        return int(value) if isinstance(value, np.integer) else value
    raise InvalidGraph(f"{where} has group = {value!r}; it must be a whole number or text")


def _flag(data: Mapping[str, Any], key: str, where: str) -> bool:
    value = data.get(key, False)
    if not isinstance(value, bool | np.bool_):
        raise InvalidGraph(f"{where} has {key} = {value!r}; it must be True or False")
    return bool(value)
