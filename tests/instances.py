"""Small named instances and a generator of random ones, shared by all tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from partition.graph import Graph, GraphBuilder
from partition.hardware import ChipKind, Hardware, Interconnect, Rules

RULES = ("acyclic", "no_skipping", "triangle", "memory", "replication", "relays")


def package(
    chips: int,
    *,
    topology: str = "ring",
    transfers: str = "overlapped",
    bandwidth: float = 1.0,
    sram: float = float("inf"),
    **rules: bool,
) -> Hardware:
    """Identical chips of 1 FLOP/s, so that FLOPs are seconds."""
    kind = ChipKind("unit", peak_flops=1.0, sram_bytes=sram)
    interconnect = Interconnect(topology, link_bandwidth=bandwidth, transfers=transfers)
    return Hardware(f"{topology}{chips}", (kind,), (0,) * chips, interconnect, Rules(**rules))


def chain_of(times: list[float], *, size: float = 1.0) -> Graph:
    """Operations one after the other."""
    b = GraphBuilder("chain")
    for i, time in enumerate(times):
        b.operation(
            f"v{i}", "Op", inputs=[f"t{i - 1}"] if i else [], outputs={f"t{i}": size}, flops=time, bytes_accessed=0
        )
    return b.build()


def diamond(*, size: float = 1.0, times: tuple[float, float, float, float] = (1, 2, 2, 1)) -> Graph:
    """One operation feeds two that feed a fourth."""
    b = GraphBuilder("diamond")
    b.operation("top", "Op", outputs={"t": size}, flops=times[0], bytes_accessed=0)
    b.operation("left", "Op", inputs=["t"], outputs={"l": size}, flops=times[1], bytes_accessed=0)
    b.operation("right", "Op", inputs=["t"], outputs={"r": size}, flops=times[2], bytes_accessed=0)
    b.operation("bottom", "Op", inputs=["l", "r"], outputs={"o": size}, flops=times[3], bytes_accessed=0)
    return b.build()


def long_skip(length: int = 4, *, time: float = 3.0, size: float = 1.0) -> Graph:
    """A chain whose first tensor is read again by the last operation."""
    b = GraphBuilder("long_skip")
    for i in range(length):
        inputs = [f"t{i - 1}"] if i else []
        if i == length - 1 and length > 2:
            inputs.append("t0")
        b.operation(f"v{i}", "Op", inputs=inputs, outputs={f"t{i}": size}, flops=time, bytes_accessed=0)
    return b.build()


def broadcast_mask(layers: int = 3, *, time: float = 10.0) -> Graph:
    """A chain of layers that all read one cheap mask, as in an exported transformer."""
    b = GraphBuilder("broadcast_mask")
    b.operation("mask_in", "Input", outputs={"mask_in": 0.01})
    b.operation("mask", "Sub", inputs=["mask_in"], outputs={"mask": 0.01}, flops=0.01, bytes_accessed=0)
    for i in range(layers):
        inputs = ["mask", *([f"t{i - 1}"] if i else [])]
        b.operation(f"layer{i}", "Op", inputs=inputs, outputs={f"t{i}": 1.0}, flops=time, bytes_accessed=0)
    return b.build()


def random_instance(rng: np.random.Generator, *, unit: float = 1.0) -> tuple[Graph, Hardware]:
    """A graph of 2-8 operations on 1-4 chips with any rules, transfers and topology.

    Some have tight or impossible memory, shared weights, groups, cheap replicable operations, several tensors
    per producer, ties, operations without time. ``unit`` scales all times.
    """
    n, chips = int(rng.integers(2, 7)), int(rng.integers(1, 5))
    whole = bool(rng.random() < 0.5)

    def amount(high: float) -> float:
        return float(rng.integers(0, int(high))) if whole else float(rng.random() * high)

    b = GraphBuilder("random")
    cheap = _cheap_part(b, rng) if rng.random() < 0.5 else []
    for i in range(n):
        inputs = [f"t{j}" for j in range(i) if rng.random() < 0.45]
        inputs += [f"u{j}" for j in range(i) if f"u{j}" in _outputs(b) and rng.random() < 0.3]
        inputs += [name for name in cheap if rng.random() < 0.5]
        outputs = {f"t{i}": amount(6) * unit}
        if rng.random() < 0.2:
            outputs[f"u{i}"] = amount(3) * unit
        own = rng.random() < 0.7
        weights = {f"w{i}": amount(4)} if own else {"shared": 2.0}
        group = "g" if rng.random() < 0.15 else None
        b.operation(
            f"v{i}", "Op", inputs=inputs, outputs=outputs, flops=amount(10) * unit, bytes_accessed=0, weights=weights,
            group=group,
        )  # fmt: skip
    graph = b.build()
    topology = str(rng.choice(["chain", "ring", "memory"]))
    rules = {name: bool(rng.random() < 0.6) for name in RULES}
    rules["acyclic"] = rules["acyclic"] or topology == "chain" or bool(rng.random() < 0.5)
    total = float(graph.weights.sum() + graph.shared_bytes.sum())
    hardware = package(
        chips,
        topology=topology,
        transfers=str(rng.choice(["serial", "overlapped"])),
        bandwidth=float(rng.choice([0.5, 1.0, 4.0])),
        sram=total * float(rng.choice([0.3, 0.5, 0.8, 2.0])) + 1e-6,
        **rules,
    )
    return graph, hardware


def _cheap_part(b: GraphBuilder, rng: np.random.Generator) -> list[str]:
    """One or two inputs and perhaps a cheap operation on one: candidates for replication."""
    names = [f"in{i}" for i in range(int(rng.integers(1, 3)))]
    for name in names:
        b.operation(name, "Input", outputs={name: float(rng.integers(0, 4))})
    if rng.random() < 0.6:
        b.operation(
            "cheap",
            "Neg",
            inputs=[names[0]],
            outputs={"cheap": float(rng.integers(0, 4))},
            flops=0.001,
            bytes_accessed=0,
        )
        names.append("cheap")
    return names


def _outputs(b: GraphBuilder) -> set[str]:
    return {name for row in b.rows for name in row.outputs}


def random_training_instance(rng: np.random.Generator) -> tuple[Graph, Hardware]:
    """Forward operations, and backward ones against them that share their chip, on a ring or main memory."""
    n = int(rng.integers(2, 5))
    b = GraphBuilder("training")
    for i in range(n):
        inputs = [f"t{i - 1}"] if i else []
        b.operation(f"v{i}", "Op", inputs=inputs, outputs={f"t{i}": float(rng.integers(0, 5))},
                    flops=float(rng.integers(1, 9)), bytes_accessed=0, group=i)  # fmt: skip
    for i in reversed(range(n)):
        inputs = ([f"b{i + 1}"] if i + 1 < n else [f"t{n - 1}"]) + ([f"t{i - 1}"] if i and rng.random() < 0.5 else [])
        b.operation(f"w{i}", "Op", inputs=inputs, outputs={f"b{i}": float(rng.integers(0, 5))},
                    flops=float(rng.integers(1, 9)), bytes_accessed=0, group=i, backward=True)  # fmt: skip
    topology = str(rng.choice(["ring", "memory"]))
    transfers = str(rng.choice(["serial", "overlapped"]))
    switches = {name: bool(rng.random() < 0.5) for name in RULES}
    return b.build(), package(int(rng.integers(2, 4)), topology=topology, transfers=transfers, **switches)


def answer_of(result: Any) -> dict[str, Any]:
    """A result as the independent checker reads it: through its JSON."""
    import json

    data: dict[str, Any] = json.loads(result.to_json())
    return data
