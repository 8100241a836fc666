"""What the page shows, as plain data."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from partition.arrays import IntArray
from partition.problem.graph import Graph
from partition.version import VERSION

if TYPE_CHECKING:
    from partition.results.result import Result

MOST_GROUPS = 160
"""Boxes the graph is drawn with at first."""

STRETCHES = 6
"""Boxes per chip where names say nothing about layers."""


def report_data(result: Result, command: str) -> dict[str, Any]:
    """Everything on the page; numbers that do not exist are None."""
    told = result.to_dict()
    data = {
        key: told[key]
        for key in ("model", "hardware", "operations", "status", "period", "bound", "gap", "seconds", "seed", "reason",
                    "time_unit", "throughput", "latency", "energy", "traffic", "goals", "proofs")
    }  # fmt: skip
    data |= {"verdict": result.verdict(), "command": command, "version": VERSION}
    data["memory"] = result.hardware.rules.memory
    data["serial"], data["streams"] = result.hardware.serial, result.hardware.streams
    data["history"] = [[p.seconds, p.period, _finite(p.bound)] for p in result.history]
    data["per_chip"] = _chips(result)
    data["per_link"] = _links(result)
    data["replicas"] = [[name, chips] for name, chips in result.replicas.items()]
    relayed: dict[str, list[int]] = defaultdict(list)
    for tensor, chip in result.relays:
        relayed[tensor].append(chip)
    data["relays"] = [[tensor, chips] for tensor, chips in relayed.items()]
    data["graph"] = _graph(result)
    return data


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _chips(result: Result) -> list[dict[str, Any]]:
    if result.cost is None or result.placement is None:
        return []
    capacity = result.hardware.sram_bytes.tolist()
    count = np.bincount(result.placement.assignment, minlength=result.hardware.chips).tolist()
    kinds = [result.hardware.kinds[k].name for k in result.hardware.kind_of_chip]
    peaks = {s.chip: s.peak for s in result.schedules} if result.hardware.rules.dynamic_memory else {}
    names = ("compute", "stream", "receive", "send", "load", "sram")
    return [
        {name: float(getattr(result.cost, name)[0, c]) for name in names}
        | {"chip": c, "kind": kinds[c], "operations": count[c], "capacity": _finite(capacity[c]), "peak": peaks.get(c)}
        for c in range(result.hardware.chips)
    ]


def _links(result: Result) -> list[list[Any]]:
    """Name and seconds of every link."""
    if result.cost is None:
        return []
    hardware, load = result.hardware, result.cost.link[0].tolist()
    if hardware.routed:
        ends = result.problem.routes.ends.tolist()
    else:
        ends = [[c, (c + 1) % hardware.chips] for c in range(len(load))]
    return [[f"{a} → {b}", seconds] for (a, b), seconds in zip(ends, load, strict=True)]


def _graph(result: Result) -> dict[str, Any]:
    """Operations with their chips, edges, and the boxes into which layers collapse."""
    graph = result.graph
    if result.placement is None:
        return {"names": [], "types": [], "chip": [], "seconds": [], "box": [], "edges": [], "boxes": [], "arrows": []}
    chip = result.placement.assignment
    labels = layers(graph, chip)
    rank = np.empty(graph.n, dtype=np.int64)
    rank[graph.topological_order] = np.arange(graph.n)
    keys: dict[tuple[int, str], list[int]] = defaultdict(list)
    for v in graph.topological_order.tolist():
        keys[int(chip[v]), labels[v]].append(v)
    boxes = sorted(keys, key=lambda key: (key[0], float(rank[keys[key]].mean())))
    box = np.empty(graph.n, dtype=np.int64)
    for i, key in enumerate(boxes):
        box[keys[key]] = i
    times = result.problem.times[result.hardware.kind_array()[chip], np.arange(graph.n)]
    size = graph.tensor_bytes[graph.edge_tensor]
    arrows: dict[tuple[int, int], float] = defaultdict(float)
    for a, b, amount in zip(box[graph.edge_source].tolist(), box[graph.consumers].tolist(), size.tolist(), strict=True):
        if a != b:
            arrows[a, b] += amount
    return {
        "names": list(graph.names),
        "types": list(graph.op_types),
        "chip": chip.tolist(),
        "seconds": [float(f"{t:.5g}") for t in times.tolist()],
        "box": box.tolist(),
        "edges": np.stack([graph.edge_source, graph.consumers], axis=1).tolist(),
        "boxes": [[label, c, len(keys[c, label]), float(times[keys[c, label]].sum())] for c, label in boxes],
        "arrows": [[a, b, amount] for (a, b), amount in arrows.items()],
    }


def layers(graph: Graph, chip: IntArray) -> list[str]:
    """A layer for every operation: the longest beginning of its name that leaves few enough boxes.

    Names are taken apart at ``/`` and ``.``; where they say nothing, the operations of a chip fall into stretches of
    the topological order.
    """
    parts = [[part for part in re.split(r"[/.]", name) if part] or [name] for name in graph.names]
    for depth in range(8, 0, -1):
        labels = ["/".join(part[:depth]) if len(part) > depth else "/".join(part[:-1]) or part[0] for part in parts]
        if len({*zip(chip.tolist(), labels, strict=True)}) <= MOST_GROUPS:
            return labels
    labels = [""] * graph.n
    for c in np.unique(chip).tolist():
        order = [v for v in graph.topological_order.tolist() if chip[v] == c]
        for stretch in np.array_split(np.array(order), min(STRETCHES, len(order))):
            for v in stretch.tolist():
                labels[v] = f"{graph.names[stretch[0]]} …"
    return labels
