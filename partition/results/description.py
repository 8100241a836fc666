"""The graph and hardware as plain data: what ``inspect --json`` prints, enough to recompute every figure."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from partition.amounts import bytes_text, time_text
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.problem import Problem
from partition.problem.routes import find_routes
from partition.results.guesses import find_guesses
from partition.text import printable


def describe(graph: Graph, hardware: Hardware) -> dict[str, Any]:
    """The graph as solved on the hardware.

    ``time`` is in the hardware's time unit: a number if there is one kind of chip, else one per kind; None on a kind
    that cannot run the operation.
    """
    problem = Problem.of(graph, hardware)
    times = problem.times
    consumers = np.split(graph.consumers, graph.consumer_ptr[1:-1]) if graph.m else []
    users = np.split(graph.shared_users, graph.shared_ptr[1:-1]) if len(graph.shared_names) else []
    return {
        "model": graph.name,
        "hardware": describe_hardware(hardware),
        "operations": [
            {
                "name": name,
                "op_type": graph.op_types[v],
                "flops": float(graph.flops[v]),
                "bytes_accessed": float(graph.bytes_accessed[v]),
                "weights": float(graph.weights[v]),
                "time": finite(float(times[0, v])) if len(times) == 1 else [finite(x) for x in times[:, v].tolist()],
                "group": int(graph.group[v]) if graph.group[v] >= 0 else None,
                "backward": bool(graph.backward[v]),
                "replicable": bool(problem.replicable[v]),
                "input": bool(graph.is_input[v]),
            }
            for v, name in enumerate(graph.names)
        ],
        "tensors": [
            {
                "name": name,
                "producer": graph.names[graph.producer[t]],
                "bytes": float(graph.tensor_bytes[t]),
                "consumers": [graph.names[v] for v in consumers[t].tolist()],
                "relayable": bool(problem.relayable[t]),
            }
            for t, name in enumerate(graph.tensor_names)
        ],
        "shared_weights": [
            {
                "name": name,
                "bytes": float(graph.shared_bytes[s]),
                "users": [graph.names[v] for v in users[s].tolist()],
            }
            for s, name in enumerate(graph.shared_names)
        ],
        "unknown_operators": list(graph.unknown_operators),
        "guessed": list(graph.guessed),
    }


def describe_hardware(hardware: Hardware) -> dict[str, Any]:
    """The hardware as plain data; an infinite capacity or rate is None."""
    return {
        "name": hardware.name,
        "chips": hardware.chips,
        "kind_of_chip": list(hardware.kind_of_chip),
        "kinds": [{key: finite(value) for key, value in asdict(kind).items()} for kind in hardware.kinds],
        "sram_bytes": [finite(value) for value in hardware.sram_bytes.tolist()],
        **{key: finite(value) for key, value in asdict(hardware.interconnect).items()},
        "rules": asdict(hardware.rules),
        "time_unit": hardware.time_unit,
        "kind_order": hardware.kind_order,
        "positions": list(hardware.stage_positions) if hardware.routed else [],
        "link_ends": find_routes(hardware).ends.tolist() if hardware.routed else [],
    }


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def finite(value: Any) -> Any:
    """The value, None if it is infinite."""
    return None if isinstance(value, float) and np.isinf(value) else value


def summary(graph: Graph, hardware: Hardware) -> str:
    """The model and the package in numbers, as plain text."""
    problem = Problem.of(graph, hardware)
    fastest = problem.fastest
    unit = hardware.time_unit
    copies, largest = np.flatnonzero(problem.replicable), np.argsort(-fastest, kind="stable")[:5]
    kinds, counts = np.unique(np.array(graph.op_types), return_counts=True)
    common = ", ".join(f"{kinds[k]} {counts[k]}" for k in np.argsort(-counts, kind="stable")[:8])
    switched = [name for name, on in asdict(hardware.rules).items() if on]
    read = np.isin(np.arange(graph.n), graph.edge_source)
    capacity, guesses = hardware.sram_bytes, find_guesses(graph, hardware)
    lines = [
        f"model      {graph.name}: {graph.n} operations, {graph.m} tensors, {len(graph.consumers)} edges",
        f"kinds      {common}",
        f"work       {graph.flops.sum():.4g} FLOPs, {bytes_text(float(graph.bytes_accessed.sum()))} accessed, "
        f"{bytes_text(graph.weight_bytes)} of weights",
        f"hardware   {hardware.name}: {hardware.chips} chips, {hardware.interconnect.topology}, "
        f"{hardware.interconnect.transfers} transfers, SRAM {bytes_text(float(capacity.min()))} per chip",
        f"switches   {', '.join(switched) or 'none'}",
        f"time       {time_text(float(fastest.sum()), unit)} in all; "
        f"no period is below {time_text(problem.least_period, unit)}",
        "outputs    " + _few([graph.told(v) for v in range(graph.n) if not read[v]]),
        "largest    " + ", ".join(f"{graph.names[v]} {time_text(float(fastest[v]), unit)}" for v in largest.tolist()),
        f"replicable {len(copies)} operations"
        + (": " + ", ".join(graph.names[v] for v in copies[:5]) if len(copies) else ""),
        f"guessed    {'nothing' if guesses is None else guesses.sentence()}",
        "unknown    " + (", ".join(graph.unknown_operators) or "none: every operator has a cost of its own"),
    ]
    return "\n".join(map(printable, lines))
