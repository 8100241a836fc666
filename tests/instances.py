"""Small named instances and a generator of random ones, shared by all tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from partition.problem.builder import GraphBuilder
from partition.problem.chip_kind import ChipKind
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware, Interconnect, Rules

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


def residual_block(*, size: float = 1.0) -> Graph:
    """An operation whose output skips two others and is added to theirs."""
    b = GraphBuilder("residual_block")
    b.operation("in", "Conv", outputs={"x": size}, flops=2, bytes_accessed=0)
    b.operation("conv1", "Conv", inputs=["x"], outputs={"a": size}, flops=4, bytes_accessed=0, weights=8)
    b.operation("conv2", "Conv", inputs=["a"], outputs={"b": size}, flops=4, bytes_accessed=0, weights=8)
    b.operation("add", "Add", inputs=["x", "b"], outputs={"y": size}, flops=1, bytes_accessed=0)
    return b.build()


def random_instance(
    rng: np.random.Generator,
    *,
    unit: float = 1.0,
    n: int | None = None,
    chips: int | None = None,
    topology: str | None = None,
    transfers: str | None = None,
    **rules: bool,
) -> tuple[Graph, Hardware]:
    """A graph of 1-10 operations on 1-4 chips; what is not given is drawn.

    Among them: tight, exactly fitting, impossible and unlimited memory, shared weights, groups, backward operations,
    operations that may be replicated (some with weights and several outputs), several tensors per producer, ties,
    zeros, mixed kinds of chips, profiled times. ``unit`` scales all times.
    """
    n = int(rng.integers(1, 7)) if n is None else n
    chips = int(rng.integers(1, 5)) if chips is None else chips
    amount = _amounts(rng, unit)
    b = GraphBuilder("random")
    cheap = _cheap_part(b, rng, unit) if rng.random() < 0.5 else []
    grouped, idle = rng.random() < 0.25, rng.random() < 0.05
    first_backward = int(rng.integers(0, n)) if rng.random() < 0.2 else n
    made: list[str] = []
    for i in range(n):
        inputs = [name for name in made if rng.random() < 0.45]
        inputs += [name for name in cheap if rng.random() < 0.5]
        outputs = {f"t{i}": amount(6)}
        if rng.random() < 0.25:
            outputs[f"u{i}"] = amount(3)
        own = {f"w{i}": WEIGHT * amount(4) / unit}
        shared = {f"shared{int(rng.integers(0, 2))}": 2.0 * WEIGHT} if rng.random() < 0.3 else {}
        flops = 0.0 if idle else amount(10)
        b.operation(
            f"v{i}", "Op", inputs=inputs, outputs=outputs, flops=flops, bytes_accessed=amount(9), weights=own | shared,
            group=int(rng.integers(0, 2)) if grouped and rng.random() < 0.5 else None, backward=i >= first_backward,
            times={"other": amount(10)} if not idle and rng.random() < 0.3 else {},
        )  # fmt: skip
        made += outputs
    graph = b.build()
    hardware = _random_hardware(rng, graph, chips, unit=unit, topology=topology, transfers=transfers)
    return graph, hardware.with_rules(**rules)


WEIGHT = 1000.0
"""Bytes of weights per unit, so many that the inputs of replicable operations are small beside a chip's SRAM."""


def _amounts(rng: np.random.Generator, unit: float) -> Callable[[float], float]:
    """Numbers up to a limit: small integers with many ties, or fractions; times ``unit``."""
    whole = bool(rng.random() < 0.5)
    return lambda high: unit * float(rng.integers(0, int(high)) if whole else rng.random() * high)


def _cheap_part(b: GraphBuilder, rng: np.random.Generator, unit: float) -> list[str]:
    """One or two inputs and up to two cheap operations behind them: candidates for replication."""
    sources = [f"in{i}" for i in range(int(rng.integers(1, 3)))]
    for name in sources:
        b.operation(name, "Input", outputs={name: unit * float(rng.integers(0, 4))})
    made = list(sources)
    for i in range(int(rng.integers(0, 3))):
        outputs = {f"cheap{i}": unit * float(rng.integers(0, 4))}
        if rng.random() < 0.4:
            outputs[f"more{i}"] = unit * float(rng.integers(0, 4))
        inputs = [name for name in made if rng.random() < 0.6]
        flops, weights = unit * float(rng.choice([0.0, 0.004, 0.02])), float(rng.choice([0.0, 5.0]))
        b.operation(f"cheap{i}", "Neg", inputs=inputs, outputs=outputs, flops=flops, bytes_accessed=0, weights=weights)
        made += outputs
    return made


def _random_hardware(
    rng: np.random.Generator, graph: Graph, chips: int, *, unit: float, topology: str | None, transfers: str | None
) -> Hardware:
    total = float(graph.weights.sum() + graph.shared_bytes.sum())
    exact = float(graph.weights[rng.random(graph.n) < 0.6].sum())
    sram = float(rng.choice([total * 0.3 + 1, total * 0.5 + 1, total * 0.8 + 1, exact, np.inf, np.inf, np.inf]))
    kinds = [ChipKind("unit", 1.0, sram, flop_energy_j=0.5, sram_energy_j_per_byte=0.25)]
    if rng.random() < 0.2:
        speed, more = float(rng.choice([0.5, 1.0, 2.0])), float(rng.choice([0.5, 1.0, 2.0]))
        kinds.append(ChipKind("other", speed, sram * more, sram_bandwidth=float(rng.choice([1.0, np.inf]))))
    kind_of_chip = tuple(int(rng.integers(0, len(kinds))) for _ in range(chips))
    drawn = str(rng.choice(["chain", "ring", "memory"]))
    interconnect = Interconnect(
        topology or drawn,
        link_bandwidth=float(rng.choice([0.5, 1.0, 1.0, 4.0, np.inf])),
        link_latency_s=0.25 * unit,
        transfers=transfers or str(rng.choice(["serial", "overlapped"])),
        link_energy_j_per_byte=0.125,
    )
    switches = {name: bool(rng.random() < 0.65) for name in RULES}
    switches["acyclic"] |= interconnect.topology == "chain" or bool(rng.random() < 0.5)
    return Hardware(f"{interconnect.topology}{chips}", tuple(kinds), kind_of_chip, interconnect, Rules(**switches))


def random_mixed_instance(rng: np.random.Generator) -> tuple[Graph, Hardware]:
    """Two kinds of chips in a fixed or free order; some operations run on one alone; one may not pay for transfers."""
    graph, hardware = random_instance(rng, chips=int(rng.integers(2, 4)))
    draw = rng.integers(0, 10, (2, graph.n)).astype(float)
    draw[rng.random(draw.shape) < 0.15] = np.inf
    draw[0, np.isinf(draw).all(axis=0) & (rng.random(graph.n) < 0.9)] = 3.0
    draw[:, graph.is_source] = 0.0
    graph = replace(graph, profiled_times={"unit": draw[0], "other": draw[1]})
    sram = hardware.kinds[0].sram_bytes
    kinds = (
        ChipKind("unit", 1.0, sram),
        ChipKind("other", 1.0, sram * float(rng.choice([0.5, 1.0, 2.0])), free_transfers=bool(rng.random() < 0.4)),
    )
    kind_of_chip = tuple(int(k) for k in rng.integers(0, 2, hardware.chips))
    order = str(rng.choice(["fixed", "free"]))
    return graph, replace(hardware, kinds=kinds, kind_of_chip=kind_of_chip, kind_order=order)


def random_training_instance(rng: np.random.Generator) -> tuple[Graph, Hardware]:
    """Forward operations and backward ones against them; pairs share their chip in most instances."""
    n = int(rng.integers(2, 5))
    paired = rng.random() < 0.7
    b = GraphBuilder("training")
    for i in range(n):
        inputs = [f"t{i - 1}"] if i else []
        b.operation(f"v{i}", "Op", inputs=inputs, outputs={f"t{i}": float(rng.integers(0, 5))},
                    flops=float(rng.integers(1, 9)), bytes_accessed=0, group=i if paired else None)  # fmt: skip
    for i in reversed(range(n)):
        inputs = ([f"b{i + 1}"] if i + 1 < n else [f"t{n - 1}"]) + ([f"t{i - 1}"] if i and rng.random() < 0.5 else [])
        b.operation(f"w{i}", "Op", inputs=inputs, outputs={f"b{i}": float(rng.integers(0, 5))},
                    flops=float(rng.integers(1, 9)), bytes_accessed=0, group=i if paired else None,
                    backward=True)  # fmt: skip
    topology = str(rng.choice(["ring", "memory"]))
    transfers = str(rng.choice(["serial", "overlapped"]))
    switches = {name: bool(rng.random() < 0.5) for name in RULES}
    return b.build(), package(int(rng.integers(2, 5)), topology=topology, transfers=transfers, **switches)


def random_passing_instance(rng: np.random.Generator) -> tuple[Graph, Hardware]:
    """A random graph, forward or with a mirrored backward pass, in which most operations take next to no time."""
    n, training = int(rng.integers(3, 7)), bool(rng.random() < 0.5)
    b = GraphBuilder("passing")
    reads: list[list[int]] = []
    time = np.where(rng.random(n) < 0.5, rng.integers(1, 9, n), 1e-3 * rng.integers(0, 9, n)).astype(float)
    size = rng.integers(0, 6, (2, n)).astype(float)
    for i in range(n):
        reads.append([j for j in range(max(0, i - 3), i) if rng.random() < 0.5 or (j == i - 1 and rng.random() < 0.7)])
        b.operation(f"v{i}", "Op", inputs=[f"t{j}" for j in reads[i]], outputs={f"t{i}": size[0, i]},
                    flops=time[i], bytes_accessed=0, group=i if training else None)  # fmt: skip
    for i in reversed(range(n)) if training else ():
        readers = [k for k in range(n) if i in reads[k]]
        b.operation(f"w{i}", "Op", inputs=[f"g{k}" for k in readers] or [f"t{i}"], outputs={f"g{i}": size[1, i]},
                    flops=time[i], bytes_accessed=0, group=i, backward=True)  # fmt: skip
    topology = str(rng.choice(["ring", "memory"] if training else ["ring", "memory", "chain", "crossbar"]))
    transfers = str(rng.choice(["serial", "overlapped"]))
    switches = {name: bool(rng.random() < 0.3) for name in RULES} | {"acyclic": True, "memory": False}
    return b.build(), package(int(rng.integers(2, 5)), topology=topology, transfers=transfers, **switches)


def random_tight_instance(rng: np.random.Generator) -> tuple[Graph, Hardware]:
    """Live tensors and transfer buffers count, on chips that hold little more than what is needed."""
    graph, hardware = random_instance(rng, n=int(rng.integers(2, 6)), chips=int(rng.integers(1, 4)))
    weights = float(graph.weights.sum() + graph.shared_bytes.sum())
    tensors = float(graph.tensor_bytes.sum())
    graph = replace(graph, weights=graph.weights * tensors / (weights or 1.0), shared_bytes=graph.shared_bytes * 1e-3)
    weights = float(graph.weights.sum() + graph.shared_bytes.sum())
    sram = (0.2 + 0.8 * rng.random()) * (weights + 1.5 * tensors) + 0.5
    kinds = tuple(replace(kind, sram_bytes=sram * (1.0 if i == 0 else 1.3)) for i, kind in enumerate(hardware.kinds))
    return graph, replace(hardware, kinds=kinds).with_rules(memory=True, dynamic_memory=True)


def answer_of(result: Any) -> dict[str, Any]:
    """A result as the independent checker reads it: through its JSON."""
    data: dict[str, Any] = json.loads(result.to_json())
    return data


def random_stages(
    rng: np.random.Generator, *, stages: int = 2, width: int = 3, chips: int = 3, **rules: Any
) -> tuple[Graph, Hardware]:
    """Randomly wired stages one after the other, all that passes between two of them through one operation."""
    b = GraphBuilder("stages")

    def add(name: str, inputs: list[str]) -> None:
        work = 0.0 if rng.random() < 0.2 else float(rng.integers(1, 9))
        size = float(rng.integers(0, 5)) / 2
        b.operation(name, "Op", inputs=inputs, outputs={name: size}, flops=work, bytes_accessed=0)

    waist = ""
    for stage in range(stages):
        made: list[str] = []
        read: set[str] = set()
        for v in range(width):
            inputs = [u for u in made if rng.random() < 0.5]
            inputs = inputs or ([waist] if waist else [])
            if waist and waist not in inputs and rng.random() < 0.3:
                inputs.append(waist)
            read |= set(inputs)
            add(f"s{stage}v{v}", inputs)
            made.append(f"s{stage}v{v}")
        if stage < stages - 1 or rng.random() < 0.5:
            waist = f"waist{stage}"
            add(waist, [u for u in made if u not in read])
    hardware = package(chips, transfers=str(rng.choice(["serial", "serial", "overlapped"])), **rules)
    return b.build(), hardware
