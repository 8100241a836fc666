"""The graph for the page: operations along the order of the data, tensors, and the boxes into which layers collapse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from partition.arrays import FloatArray, IntArray
from partition.errors import InvalidInput
from partition.problem.graph import Graph
from partition.problem.modules import module_paths, modules_of

if TYPE_CHECKING:
    from partition.results.result import Result

MOST_GROUPS = 160
"""Boxes the graph is drawn with at first."""

EACH = 60
"""Operations up to which each is a box of its own."""

STRETCHES = 6
"""Boxes per chip where names say nothing about layers."""

OUTSIDE = "outside layers"
"""Label of operations that are in no module."""


def graph_data(result: Result) -> dict[str, Any] | None:
    """Operations and tensors as columns; None without a placement.

    Operations are numbered along their topological order. Names are front-coded: how many letters are those of the
    name before, and the rest. A tensor that is called as its producer has 0 for a name.
    """
    graph = result.graph
    if result.placement is None:
        return None
    order = graph.topological_order
    rank = np.empty(graph.n, dtype=np.int64)
    rank[order] = np.arange(graph.n)
    chip = result.placement.assignment
    times = result.problem.times[result.hardware.kind_array()[chip], np.arange(graph.n)]
    kinds = sorted(set(graph.op_types))
    number = {kind: i for i, kind in enumerate(kinds)}
    box, boxes = _boxes(graph, chip, times, rank)
    return {
        "names": front_coded([graph.names[v] for v in order.tolist()]),
        "kinds": kinds,
        "kind": [number[graph.op_types[v]] for v in order.tolist()],
        "chip": chip[order].tolist(),
        "seconds": _short(times[order]),
        "weights": _short(graph.weights[order]),
        "backward": np.flatnonzero(graph.backward[order]).tolist(),
        "box": box[order].tolist(),
        "boxes": boxes,
        "copies": [
            [int(rank[v]), c, float(f"{result.problem.times[result.hardware.kind_of_chip[c], v]:.5g}")]
            for v, c in result.placement.replicas.tolist()
        ],
        "tensors": {
            "bytes": _short(graph.tensor_bytes),
            **_shapes(graph),
            "producer": rank[graph.producer].tolist(),
            "readers": np.diff(graph.consumer_ptr).tolist(),
            "consumers": rank[graph.consumers].tolist(),
            "names": front_coded(
                [
                    "" if name == graph.names[v] else name
                    for name, v in zip(graph.tensor_names, graph.producer.tolist(), strict=True)
                ]
            ),
        },
    }


def front_coded(names: Sequence[str]) -> list[Any]:
    """For each name how many of its first letters the one before has too, and the rest, one after the other."""
    coded: list[Any] = []
    before = ""
    for name in names:
        same = _alike(before, name)
        if max(name[:same], default="") > "\uffff":  # a browser counts two letters
            same = 0
        coded += (same, name[same:])
        before = name
    return coded


def _shapes(graph: Graph) -> dict[str, Any]:
    """Different shapes as texts, and the number of each tensor's, -1 where it is not known."""
    told = ["" if shape is None else "x".join(map(str, shape)) or "scalar" for shape in graph.shapes]
    shapes = sorted(set(told) - {""})
    number = {shape: i for i, shape in enumerate(shapes)}
    return {"shapes": shapes, "shape": [number.get(shape, -1) for shape in told]}


def _alike(a: Sequence[str], b: Sequence[str]) -> int:
    """How many letters, or parts of a path, two have in common from the beginning."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _short(values: FloatArray) -> list[float]:
    """With five digits, whole where that is shorter."""
    return [int(x) if x == int(x) and abs(x) < 2**53 else x for x in (float(f"{v:.5g}") for v in values.tolist())]


def _boxes(graph: Graph, chip: IntArray, times: FloatArray, rank: IntArray) -> tuple[IntArray, list[list[Any]]]:
    """(n,) box of each operation, and of each box its label, chip, operations, time, and whether it is backward."""
    labels = layers(graph, chip)
    keys: dict[tuple[int, bool, str], list[int]] = defaultdict(list)
    for v in graph.topological_order.tolist():
        keys[int(chip[v]), bool(graph.backward[v]), labels[v]].append(v)
    boxes = sorted(keys, key=lambda key: (key[0], float(rank[keys[key]].mean())))
    box = np.empty(graph.n, dtype=np.int64)
    told = []
    for i, key in enumerate(boxes):
        box[keys[key]] = i
        c, backward, label = key
        told.append([label, c, len(keys[key]), float(f"{times[keys[key]].sum():.5g}"), int(backward)])
    return box, told


def layers(graph: Graph, chip: IntArray) -> list[str]:
    """A label for every operation, few enough with the chips: operations, layers, beginnings of paths, or stretches.

    Where names say nothing, the operations of a chip fall into stretches of the topological order.
    """
    if graph.n <= EACH:
        return list(graph.names)

    def few(labels: list[str]) -> bool:
        return len({*zip(chip.tolist(), graph.backward.tolist(), labels, strict=True)}) <= MOST_GROUPS

    used = len(np.unique(chip))
    labels = _by_layer(graph)
    if labels is not None and few(labels) and len(set(labels)) > used:
        return labels
    paths = [path or (OUTSIDE,) for path in module_paths(graph)]
    for depth in range(8, 0, -1):
        labels = ["/".join(path[:depth]) for path in paths]
        if few(labels) and len(set(labels)) > 1:
            return labels
    return _stretches(graph, chip)


def _by_layer(graph: Graph) -> list[str] | None:
    """The layer of each operation, or the first two parts of its path; None where names tell of no layers."""
    paths = module_paths(graph)
    labels = ["/".join(path[:2]) or OUTSIDE for path in paths]
    try:
        modules = modules_of(graph, "layer")
    except InvalidInput:
        return None
    for members in modules:
        first, *others = members.tolist()
        label = "/".join(paths[first][: min((_alike(paths[first], paths[v]) for v in others), default=None)])
        for v in members.tolist():
            labels[v] = label
    return labels


def _stretches(graph: Graph, chip: IntArray) -> list[str]:
    """Named by the first operation, and the kind that most of them are of."""
    labels = [""] * graph.n
    for c in np.unique(chip).tolist():
        order = graph.topological_order[chip[graph.topological_order] == c]
        for stretch in np.array_split(order, min(STRETCHES, len(order))):
            kinds, count = np.unique([graph.op_types[v] for v in stretch.tolist()], return_counts=True)
            for v in stretch.tolist():
                labels[v] = f"{graph.names[stretch[0]]} … ({count.max()} {kinds[count.argmax()]})"
    return labels
