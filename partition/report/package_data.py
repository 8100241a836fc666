"""The package for the page: its figures, where its chips stand, and what crosses its links."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from partition.arrays import IntArray
from partition.results.description import describe_hardware
from partition.scoring.breakdown import Breakdown

if TYPE_CHECKING:
    from partition.results.result import Result

LARGEST = 12
"""Tensors of a link that are listed one by one, the largest first."""

MOST_PAIRS = 200
"""Pairs of chips that are listed where there are no links, those that exchange most first."""


def package_data(result: Result) -> dict[str, Any]:
    """Figures of the hardware, ends of links as numbers of chips, and the traffic of each."""
    told = describe_hardware(result.hardware)
    data = {key: told[key] for key in ("kinds", "kind_of_chip", "topology", "link_bandwidth", "link_latency_s",
                                       "transfers", "streaming", "rows", "columns", "positions",
                                       "rules")}  # fmt: skip
    data["links"] = _links(result)
    return data


def _links(result: Result) -> list[dict[str, Any]]:
    """Each link, or pair of chips where there are none: from, to, its load, and the largest tensors on it."""
    if result.cost is None or result.placement is None:
        return []
    hardware, loads = result.hardware, Breakdown(result.problem, result.placement)
    if not hardware.links:
        return _pairs(result, loads)
    if hardware.routed:
        stage = {place: c for c, place in enumerate(hardware.stage_positions)}
        ends = [[stage[a], stage[b]] for a, b in result.problem.routes.ends.tolist()]
    else:
        ends = [[c, (c + 1) % hardware.chips] for c in range(hardware.links)]
    load = result.link_loads.tolist()
    return [
        {"from": a, "to": b, "load": load[i], **_tensors(result, loads.link(i).rows)} for i, (a, b) in enumerate(ends)
    ]


def _pairs(result: Result, loads: Breakdown) -> list[dict[str, Any]]:
    """What goes from chip to chip where ports are all there is; its load is the time of a port."""
    between: dict[tuple[int, int], list[int]] = defaultdict(list)
    moved = loads.moved
    for a, b, t in zip(moved.source.tolist(), moved.chip.tolist(), moved.tensor.tolist(), strict=True):
        between[a, b].append(t)
    size = result.graph.tensor_bytes
    rows = []
    for (a, b), tensors in between.items():
        which = np.array(tensors, dtype=np.int64)
        load = float(result.problem.transfer_times[which].sum())
        rows.append({"from": a, "to": b, "load": load, **_tensors(result, which), "size": float(size[which].sum())})
    rows.sort(key=lambda row: -row["size"])
    return [{key: value for key, value in row.items() if key != "size"} for row in rows[:MOST_PAIRS]]


def _tensors(result: Result, rows: IntArray) -> dict[str, Any]:
    """How many tensors and bytes, and the largest of them with their names."""
    size = result.graph.tensor_bytes[rows]
    first = rows[np.argsort(-size, kind="stable")[:LARGEST]]
    return {
        "count": len(rows),
        "bytes": float(size.sum()),
        "largest": [[result.graph.tensor_names[t], float(result.graph.tensor_bytes[t])] for t in first.tolist()],
    }
