"""Several models on one package, each at a rate of its own: one graph of all, in which nothing joins one to another."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from partition.arguments import whole
from partition.arrays import FloatArray, IntArray
from partition.errors import InvalidInput
from partition.problem.graph import Graph, HeldWeights


def join_models(graphs: Sequence[Graph], rates: Sequence[int] | None = None) -> Graph:
    """The disjoint union of some models, of which each takes its rate of inputs in every period.

    FLOPs, bytes accessed, profiled times and tensors are those of all inputs of a period; weights are held once. Names
    get the model's in front: ``resnet50/conv1``.

    Parameters
    ----------
    rates : inputs of each model in one period, 1 by default.

    Raises
    ------
    InvalidInput : there is no model, or not a rate for each.
    """
    rates = [1] * len(graphs) if rates is None else list(rates)
    if not graphs or len(rates) != len(graphs):
        raise InvalidInput(f"there are {len(graphs)} models and {len(rates)} rates; give a rate for each model")
    for rate in rates:
        whole("a rate", rate, least=1)
    heads = _heads([graph.name for graph in graphs])
    nodes = np.cumsum([0, *(graph.n for graph in graphs)])
    times = np.repeat(np.array(rates, dtype=np.float64), [graph.n for graph in graphs])
    held = [HeldWeights(g.weights, g.shared_names, g.shared_bytes, g.shared_ptr, g.shared_users) for g in graphs]
    least = [graph.least or own for graph, own in zip(graphs, held, strict=True)]
    weights = _weights(held, heads, nodes)
    kinds = list(dict.fromkeys(kind for graph in graphs for kind in graph.profiled_times))
    moved = [_moved(graph, rate) for graph, rate in zip(graphs, rates, strict=True)]
    ends = np.cumsum([0, *(len(graph.consumers) for graph in graphs)])
    return Graph(
        name="+".join(f"{rate}x{graph.name}" for graph, rate in zip(graphs, rates, strict=True)),
        names=tuple(f"{head}/{name}" for head, graph in zip(heads, graphs, strict=True) for name in graph.names),
        op_types=tuple(kind for graph in graphs for kind in graph.op_types),
        flops=np.concatenate([graph.flops for graph in graphs]) * times,
        bytes_accessed=np.concatenate([graph.bytes_accessed for graph in graphs]) * times,
        weights=weights.weights,
        tensor_names=tuple(
            f"{h}/{name}" for h, graph in zip(heads, graphs, strict=True) for name in graph.tensor_names
        ),
        tensor_bytes=np.concatenate(moved),
        producer=np.concatenate([graph.producer + first for graph, first in zip(graphs, nodes, strict=False)]),
        consumer_ptr=_pointers([graph.consumer_ptr for graph in graphs], ends),
        consumers=np.concatenate([graph.consumers + first for graph, first in zip(graphs, nodes, strict=False)]),
        shared_names=weights.shared_names,
        shared_bytes=weights.shared_bytes,
        shared_ptr=weights.shared_ptr,
        shared_users=weights.shared_users,
        group=_groups(graphs),
        backward=np.concatenate([graph.backward for graph in graphs]),
        profiled_times={kind: _profile(graphs, kind) * times for kind in kinds},
        unknown_operators=tuple(sorted({kind for graph in graphs for kind in graph.unknown_operators})),
        least=_weights(least, heads, nodes) if any(graph.least is not None for graph in graphs) else None,
        guessed=tuple(f"{head}/{name}" for head, graph in zip(heads, graphs, strict=True) for name in graph.guessed),
        modules=_modules(graphs, heads),
        views=np.concatenate([graph.views for graph in graphs]),
    )


def rates_in(name: str) -> list[tuple[str, int]]:
    """Model and rate of each that the graph of this name joins; none where :func:`join_models` did not name it."""
    if not re.match(r"\d+x", name):
        return []
    told = (part.partition("x") for part in re.split(r"\+(?=\d+x)", name))
    return [(model, int(rate)) for rate, _, model in told]


def rates_of(graph: Graph) -> list[tuple[str, int]]:
    """The same of a graph whose operations bear the names of those models; none where a model is only named so."""
    rates = rates_in(graph.name)
    heads = _heads([model for model, _ in rates])
    joined = heads and all(name.startswith(tuple(f"{head}/" for head in heads)) for name in graph.names)
    return rates if joined else []


def _heads(names: Sequence[str]) -> list[str]:
    """The models' names, told apart by numbers where they repeat."""
    found: list[str] = []
    for name in names:
        number, head = 1, name
        while head in found:
            number += 1
            head = f"{name}#{number}"
        found.append(head)
    return found


def _moved(graph: Graph, rate: int) -> FloatArray:
    """(m,) bytes of each tensor in a period; what a constant makes is made once."""
    constant = np.array([kind == "Constant" for kind in graph.op_types], dtype=bool)
    return graph.tensor_bytes * np.where(constant[graph.producer], 1.0, float(rate))


def _pointers(pointers: Sequence[IntArray], ends: IntArray) -> IntArray:
    return np.concatenate([pointers[0][:1], *(ptr[1:] + end for ptr, end in zip(pointers, ends, strict=False))])


def _weights(held: Sequence[HeldWeights], heads: Sequence[str], nodes: IntArray) -> HeldWeights:
    """Those of all models; a weight of one is none of another, whatever its name."""
    ends = np.cumsum([0, *(len(each.shared_users) for each in held)])
    return HeldWeights(
        np.concatenate([each.weights for each in held]),
        tuple(f"{head}/{name}" for head, each in zip(heads, held, strict=True) for name in each.shared_names),
        np.concatenate([each.shared_bytes for each in held]),
        _pointers([each.shared_ptr for each in held], ends),
        np.concatenate([each.shared_users + first for each, first in zip(held, nodes, strict=False)]),
    )


def _groups(graphs: Sequence[Graph]) -> IntArray:
    """(n,) groups, numbered on from model to model."""
    firsts = np.cumsum([0, *(int(graph.group.max(initial=-1)) + 1 for graph in graphs)])
    each = [np.where(g.group >= 0, g.group + first, -1) for g, first in zip(graphs, firsts, strict=False)]
    return np.concatenate(each)


def _profile(graphs: Sequence[Graph], kind: str) -> FloatArray:
    """(n,) profiled times on a kind, NaN for models without."""
    return np.concatenate([graph.profiled_times.get(kind, np.full(graph.n, np.nan)) for graph in graphs])


def _modules(graphs: Sequence[Graph], heads: Sequence[str]) -> tuple[str, ...]:
    if not any(graph.modules for graph in graphs):
        return ()
    return tuple(
        f"{head}/{module}" if module else ""
        for head, graph in zip(heads, graphs, strict=True)
        for module in graph.modules or ("",) * graph.n
    )
