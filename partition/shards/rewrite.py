"""A graph with some operations in parts, each with its share of weights, FLOPs and output, and a join behind them.

The parts of an operation cut its output channels (of a convolution) or columns (of a matrix product, of an embedding).
Each reads the whole input, holds its part of the weights and computes its part of the output. So nothing is computed
twice and no sum changes its order. Operations that work channel by channel and read nothing else (activations,
normalisations, pooling) stay in parts behind it. A concatenation then joins the parts, and is charged like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from partition.arrays import BoolArray, FloatArray, IntArray, sums
from partition.errors import InvalidInput
from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph

BY_CHANNEL = frozenset({"Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "FusedConv"})
"""Operators whose output channels can be computed apart, each from its own part of the weights."""

BY_COLUMN = frozenset({"Gemm", "MatMul", "MatMulInteger", "QLinearMatMul", "FusedMatMul", "Gather"})
"""Operators whose last axis can be computed apart, each part from its own columns of the weights."""

ELEMENTWISE = frozenset({
    "Add", "Mul", "Sub", "Div", "Relu", "LeakyRelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu",
    "Selu", "Gelu", "FastGelu", "QuickGelu", "Softplus", "Softsign", "Mish", "Erf", "Exp", "Sqrt", "Abs", "Neg",
    "Identity", "Cast",
})  # fmt: skip
"""Operators that treat every element apart, so that they may stay in parts behind any part."""

PER_CHANNEL = frozenset({
    "BatchNormalization", "InstanceNormalization", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool",
    "GlobalMaxPool", "PRelu",
})  # fmt: skip
"""Operators that treat every channel apart, so that they may stay in parts behind parts by channel."""

JOIN = "Concat"
"""Operator that joins parts."""

MOST_PARTS = 1024
"""Parts of one operation at most."""


@dataclass(frozen=True, eq=False)
class Sharded:
    """A graph with operations in parts.

    Attributes
    ----------
    graph : the graph with parts and joins; parts are named ``operation#0``, ``operation#1``, ..., joins
        ``operation#join``.
    parts : operation of the original graph -> number of parts, for what was asked for.
    follows : operation that stays in parts behind another -> the operation whose parts it follows.
    """

    graph: Graph
    parts: Mapping[str, int]
    follows: Mapping[str, str]


def shardable(graph: Graph) -> BoolArray:
    """(n,) whether an operation can be computed in parts.

    It is an operator of ``BY_CHANNEL`` or ``BY_COLUMN`` with weights of its own and one result. It is not of the
    backward pass, and shares its chip with no other. What it gathers from is a table among its weights.
    """
    results = np.bincount(graph.producer, minlength=graph.n)
    kind = np.array([op in BY_CHANNEL or op in BY_COLUMN for op in graph.op_types])
    table = (np.array([op != "Gather" for op in graph.op_types])) | (graph.weights > entering_bytes(graph))
    own = (graph.weights > 0) & table & (graph.group < 0) & ~graph.backward
    return np.asarray(kind & own & (results == 1), dtype=np.bool_)


def entering_bytes(graph: Graph) -> FloatArray:
    """(n,) bytes of the tensors that each operation reads."""
    return sums(graph.consumers, graph.tensor_bytes[graph.edge_tensor], graph.n)


def shard(graph: Graph, parts: Mapping[str, int]) -> Sharded:
    """The graph with the named operations in parts.

    Parameters
    ----------
    parts : operation -> number of parts; 1 leaves it whole.

    Raises
    ------
    InvalidInput : no such operation, one that cannot be computed in parts, or a number of parts that makes no sense.
    """
    wanted = cut_positions(graph, parts)
    if not wanted:
        return Sharded(graph, {}, {})
    follows = followers(graph, wanted)
    count = np.ones(graph.n, dtype=np.int64)
    for v, k in wanted.items():
        count[v] = k
    for v, leader in follows.items():
        count[v] = wanted[leader]
    names = graph.names
    return Sharded(
        _rewritten(graph, count, follows),
        {names[v]: k for v, k in wanted.items()},
        {names[v]: names[leader] for v, leader in follows.items()},
    )


def cut_positions(graph: Graph, parts: Mapping[str, int]) -> dict[int, int]:
    """Position of an operation -> parts, for those of two or more; raises InvalidInput as :func:`shard`."""
    able = shardable(graph)
    wanted = {}
    for name, k in parts.items():
        v = graph.index.get(name)
        if v is None:
            raise InvalidInput(f"shard: graph {graph.name!r} has no operation {name!r}")
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= MOST_PARTS:
            raise InvalidInput(f"shard: {name!r} in {k!r} parts; give a whole number from 1 to {MOST_PARTS}")
        if k > 1 and not able[v]:
            raise InvalidInput(
                f"shard: {name!r} ({graph.op_types[v]}) cannot be computed in parts; convolutions and matrix products "
                "with weights of their own can"
            )
        if k > 1:
            wanted[v] = int(k)
    return wanted


def followers(graph: Graph, wanted: Collection[int]) -> dict[int, int]:
    """Operation that can stay in parts -> the operation whose parts it follows.

    One follows where it works channel by channel and reads nothing but the result of an operation in parts. It must be
    the only one to read it.
    """
    result = {int(v): t for t, v in enumerate(graph.producer.tolist())}
    single = np.bincount(graph.producer, minlength=graph.n) == 1
    reads = np.bincount(graph.consumers, minlength=graph.n)
    follows: dict[int, int] = {}
    for leader in wanted:
        v = leader
        while single[v]:
            begin, end = graph.consumer_ptr[result[v]], graph.consumer_ptr[result[v] + 1]
            if end - begin != 1:
                break
            w = int(graph.consumers[begin])
            free = graph.group[w] < 0 and not graph.backward[w] and w not in wanted and single[w]
            alike = graph.op_types[w] in ELEMENTWISE
            alike |= graph.op_types[w] in PER_CHANNEL and graph.op_types[leader] in BY_CHANNEL
            if not (free and alike and reads[w] == 1):
                break
            follows[w] = leader
            v = w
    return follows


def _rewritten(graph: Graph, count: IntArray, follows: Mapping[int, int]) -> Graph:
    """The graph with ``count`` (n,) parts of each operation; followers read the parts of what they follow."""
    builder = GraphBuilder(graph.name)
    inputs: list[list[int]] = [[] for _ in range(graph.n)]
    for t, v in zip(graph.edge_tensor.tolist(), graph.consumers.tolist(), strict=True):
        inputs[v].append(t)
    outputs: list[list[int]] = [[] for _ in range(graph.n)]
    for t, v in enumerate(graph.producer.tolist()):
        outputs[v].append(t)
    shared: list[list[int]] = [[] for _ in range(graph.n)]
    for s in range(len(graph.shared_names)):
        for v in graph.shared_users[graph.shared_ptr[s] : graph.shared_ptr[s + 1]].tolist():
            shared[v].append(s)
    unknown, guessed = set(graph.unknown_operators), set(graph.guessed)
    last = _last_in_parts(graph, count, follows, outputs)
    for v in range(graph.n):
        k = int(count[v])
        weights = {graph.shared_names[s]: float(graph.shared_bytes[s]) for s in shared[v]}
        for part in range(k):
            own = f"{graph.names[v]}#{part}" if k > 1 else graph.names[v]
            read = [_part(graph.tensor_names[t], part) if v in follows else graph.tensor_names[t] for t in inputs[v]]
            made = {
                (_part(graph.tensor_names[t], part) if k > 1 else graph.tensor_names[t]): graph.tensor_bytes[t] / k
                for t in outputs[v]
            }
            builder.operation(
                own,
                graph.op_types[v],
                inputs=read,
                outputs=made,
                flops=graph.flops[v] / k,
                bytes_accessed=_traffic(graph, v, k, inputs[v], follows),
                weights={**weights, f"{own}::weights": graph.weights[v] / k} if graph.weights[v] else weights,
                group=f"group {graph.group[v]}" if graph.group[v] >= 0 else None,
                backward=bool(graph.backward[v]),
                times=_times(graph.profiled_times, v, k),
                unknown=graph.op_types[v] in unknown and graph.names[v] in guessed,
                guessed=graph.names[v] in guessed,
                view=bool(graph.views[v]),
            )
        if last[v]:
            t = outputs[v][0]
            name, size = graph.tensor_names[t], float(graph.tensor_bytes[t])
            builder.operation(
                f"{graph.names[v]}#join",
                JOIN,
                inputs=[_part(name, part) for part in range(k)],
                outputs={name: size},
                bytes_accessed=2 * size,
            )
    return builder.build()


def _last_in_parts(graph: Graph, count: IntArray, follows: Mapping[int, int], outputs: list[list[int]]) -> BoolArray:
    """(n,) whether an operation in parts is the last before they join."""
    last = count > 1
    for t, v in zip(graph.edge_tensor.tolist(), graph.consumers.tolist(), strict=True):
        if v in follows:
            last[graph.producer[t]] = False
    return last


def _traffic(graph: Graph, v: int, k: int, read: list[int], follows: Mapping[int, int]) -> float:
    """Bytes that a part reads and writes: all of the input, where it is no follower, and its share of the rest."""
    whole = float(graph.bytes_accessed[v])
    if k == 1 or v in follows:
        return whole / k
    entering = min(whole, float(graph.tensor_bytes[read].sum()))
    return entering + (whole - entering) / k


def _times(profiled: Mapping[str, FloatArray], v: int, k: int) -> dict[str, float]:
    """Measured times, shared out evenly."""
    return {kind: float(times[v]) / k for kind, times in profiled.items() if not np.isnan(times[v])}


def _part(tensor: str, part: int) -> str:
    return f"{tensor}#{part}"
