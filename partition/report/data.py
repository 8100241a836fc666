"""What the page shows, as plain data."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from partition.report.graph_data import graph_data
from partition.report.package_data import package_data
from partition.scoring.cost import CostModel
from partition.scoring.feasibility import together
from partition.version import VERSION

if TYPE_CHECKING:
    from partition.results.result import Result

HEAVIEST = 12
"""Operations that are listed where weights do not fit."""

MOST_REPLACED = 200
"""Replicated operations and relayed tensors that are listed, each."""


def report_data(result: Result, command: str) -> dict[str, Any]:
    """Everything on the page; numbers that do not exist are None."""
    told = result.to_dict()
    data = {
        key: told[key]
        for key in ("model", "hardware", "operations", "status", "period", "bound", "gap", "seconds", "seed", "reason",
                    "time_unit", "throughput", "latency", "energy", "traffic", "goals", "wall", "why", "advice", "work")
    }  # fmt: skip
    data |= {"verdict": result.verdict(), "command": command, "version": VERSION}
    data["guesses"] = None if result.guesses is None else result.guesses.sentence()
    data["history"] = [[p.seconds, p.period, _finite(p.bound)] for p in result.history]
    data["per_chip"] = _chips(result)
    data["replicas"] = [[name, chips] for name, chips in list(result.replicas.items())[:MOST_REPLACED]]
    relayed: dict[str, list[int]] = defaultdict(list)
    for tensor, chip in result.relays:
        relayed[tensor].append(chip)
    data["relays"] = [[tensor, chips] for tensor, chips in list(relayed.items())[:MOST_REPLACED]]
    data["copies"] = [len(result.replicas), len(relayed)]
    data["package"] = package_data(result)
    data["weights"] = _weights(result) if result.placement is None else None
    data["graph"] = graph_data(result)
    return data


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _chips(result: Result) -> list[dict[str, Any]]:
    """Loads, memory, and when each chip begins with an input that enters at time 0."""
    if result.cost is None or result.placement is None:
        return []
    capacity = result.hardware.sram_bytes.tolist()
    count = np.bincount(result.placement.assignment, minlength=result.hardware.chips).tolist()
    kinds = [result.hardware.kinds[k].name for k in result.hardware.kind_of_chip]
    peaks = {s.chip: s.peak for s in result.schedules} if result.hardware.rules.dynamic_memory else {}
    names = ("compute", "stream", "receive", "send", "load", "sram")
    begin = result.problem.kept(CostModel).arrivals(result.placement).tolist()
    return [
        {name: float(getattr(result.cost, name)[0, c]) for name in names}
        | {"chip": c, "kind": kinds[c], "operations": count[c], "capacity": _finite(capacity[c]), "peak": peaks.get(c)}
        | {"begin": _finite(begin[c])}
        for c in range(result.hardware.chips)
    ]


def _weights(result: Result) -> dict[str, Any]:
    """Weights against SRAM, where nothing fits: in all, and of what must share a chip, the heaviest first."""
    graph, sram = result.graph, result.hardware.sram_bytes
    group, need = together(graph)
    heaviest = np.argsort(-need, kind="stable")[:HEAVIEST]
    rows = []
    for g in heaviest[need[heaviest] > 0].tolist():
        members = np.flatnonzero(group == g)
        rows.append([graph.names[int(members[graph.weights[members].argmax()])], len(members), float(need[g])])
    return {
        "total": graph.weight_bytes,
        "package": _finite(float(sram.sum())),
        "chip": _finite(float(sram.max())),
        "heaviest": rows,
        "rule": result.hardware.rules.memory,
    }
