"""Random instances made to break proofs: units far apart, ties, exact fits, every interconnect.

Each function draws one small graph on one small package, like those of instances.py, for brute force to judge.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from instances import random_instance, random_mixed_instance, random_tight_instance, random_training_instance

from partition.problem.chip_kind import ChipKind
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware, Interconnect


def spread_instance(rng: np.random.Generator) -> tuple[Graph, Hardware]:
    """Times and tensors from 1e-12 to 1e3 in one graph, on one kind of chip or on two that share no scale."""
    graph, hardware = random_instance(rng) if rng.random() < 0.6 else random_mixed_instance(rng)
    low, high = sorted(rng.uniform(-12, 3, 2))
    few = rng.uniform(low, high, 3)  # some instances use three scales alone, so that many things tie

    def scales(*shape: int) -> np.ndarray:
        chosen = rng.choice(few, shape) if rng.random() < 0.5 else rng.uniform(low, high, shape)
        return np.asarray(10.0 ** np.round(chosen))

    profiled = {name: times * scales(graph.n) for name, times in graph.profiled_times.items()}
    graph = replace(
        graph,
        flops=graph.flops * scales(graph.n),
        bytes_accessed=graph.bytes_accessed * scales(graph.n),
        tensor_bytes=graph.tensor_bytes * scales(graph.m),
        profiled_times=profiled,
    )
    return graph, hardware


def exact_fit_instance(rng: np.random.Generator) -> tuple[Graph, Hardware]:
    """SRAM that some set of weights fills to the last digit, or misses by one unit or by a relative 1e-7 or 1e-12."""
    graph, hardware = random_instance(rng, n=int(rng.integers(2, 7)), chips=int(rng.integers(2, 4)))
    weights = graph.weights + (rng.integers(1, 1000, graph.n) if rng.random() < 0.5 else rng.random(graph.n))
    weights = np.where(graph.is_source, 0.0, weights * 10.0 ** float(rng.integers(-3, 9)))
    graph = replace(graph, weights=weights)
    share = float(weights[rng.random(graph.n) < rng.uniform(0.3, 0.9)].sum()) or 1.0
    off = float(rng.choice([0.0, 0.0, 1e-7, -1e-7, 3e-7, -5e-9, 1e-12, -1e-12]))
    sram = max(share * (1 + off) - (1.0 if rng.random() < 0.2 else 0.0), 0.0)
    kinds = tuple(replace(kind, sram_bytes=sram) for kind in hardware.kinds)
    return graph, replace(hardware, kinds=kinds).with_rules(memory=True)


def tied_instance(rng: np.random.Generator) -> tuple[Graph, Hardware]:
    """All operations alike, all tensors alike, a transfer taking as long as one, two or half an operation."""
    graph, hardware = random_instance(rng, n=int(rng.integers(3, 8)))
    unit = float(rng.choice([1.0, 1e-9, 1 / 3, 60.0, 0.1]))
    size = unit * float(rng.choice([0.5, 1.0, 1.0, 2.0]))
    one = np.where(graph.is_source, 0.0, unit)
    graph = replace(
        graph,
        flops=one,
        bytes_accessed=np.zeros(graph.n),
        tensor_bytes=np.where(graph.tensor_bytes > 0, size, 0.0),
        profiled_times={},
    )
    link = replace(hardware.interconnect, link_bandwidth=1.0)
    return graph, replace(hardware, interconnect=link)


def routed_instance(rng: np.random.Generator) -> tuple[Graph, Hardware]:
    """Packages with routes, or with a crossbar."""
    chips = int(rng.integers(2, 5))
    graph, hardware = random_instance(rng, n=int(rng.integers(2, 6)), chips=chips, topology="ring")
    topology = str(rng.choice(["bichain", "biring", "mesh", "crossbar"]))
    shape = {"rows": 0, "columns": 0}
    if topology == "mesh":
        rows = int(rng.choice([d for d in range(1, chips + 1) if chips % d == 0]))
        shape = {"rows": rows, "columns": chips // rows}
    link = replace(hardware.interconnect, topology=topology, **shape)
    return graph, replace(hardware, interconnect=link, name=f"{topology}{chips}")


def forced_transfer_instance(rng: np.random.Generator) -> tuple[Graph, Hardware]:
    """Weights that no single chip holds, and transfers up to 1e12 times as long as all compute."""
    graph, hardware = random_instance(rng, n=int(rng.integers(2, 7)), chips=int(rng.integers(2, 4)))
    graph = replace(graph, weights=np.where(graph.is_source, 0.0, 1.0 + rng.integers(0, 3, graph.n)))
    sram = max(1.0, float(np.floor(graph.weights.sum() * rng.uniform(0.4, 0.9))))
    kinds = tuple(replace(kind, sram_bytes=sram) for kind in hardware.kinds)
    link = replace(hardware.interconnect, link_bandwidth=float(10.0 ** -rng.integers(0, 13)))
    return graph, replace(hardware, kinds=kinds, interconnect=link).with_rules(memory=True)


def unequal_kinds_instance(rng: np.random.Generator) -> tuple[Graph, Hardware]:
    """Two kinds, one up to 1e12 times slower or larger; one of them may exchange tensors for nothing."""
    graph, hardware = random_mixed_instance(rng)
    ratio = 10.0 ** float(rng.integers(0, 13))
    slow = np.where(rng.random(graph.n) < 0.5, ratio, 1.0)
    uneven = rng.random((2, graph.n)) if rng.random() < 0.7 else np.ones((2, graph.n))  # sums that are not exact
    times = {
        "unit": graph.profiled_times["unit"] * uneven[0],
        "other": graph.profiled_times["other"] * slow * uneven[1],
    }
    large = np.where(rng.random(graph.m) < 0.3, ratio, 1.0) * rng.uniform(0.5, 1.0, graph.m)
    graph = replace(graph, profiled_times=times, tensor_bytes=graph.tensor_bytes * large)
    first, second = hardware.kinds
    room = second.sram_bytes * (ratio if rng.random() < 0.5 else 1.0)
    kinds: tuple[ChipKind, ...] = (first, replace(second, sram_bytes=room, free_transfers=bool(rng.random() < 0.6)))
    link: Interconnect = hardware.interconnect
    if rng.random() < 0.4:
        link = replace(link, topology="memory")
    return graph, replace(hardware, kinds=kinds, interconnect=link)


OBJECTIVES = (
    "traffic", "energy", "latency", "chips", "period,traffic", "period,energy", "period,latency", "period,chips",
    "chips,energy", "chips,traffic", "chips,latency", "traffic,energy", "energy,latency", "latency,traffic",
    "period,traffic,latency", "period,chips,energy", "chips,energy,latency", "latency,period", "traffic,period",
    "energy,period", "chips,period", "latency,period,traffic",
)  # fmt: skip


def goal_instance(rng: np.random.Generator) -> tuple[Graph, Hardware, str, float | None]:
    """A package with energy figures, an objective that it allows, and a throughput in inverse least periods or None."""
    makers = [random_instance, random_instance, random_instance, random_mixed_instance, random_training_instance]
    makers += [random_tight_instance, spread_instance, tied_instance]
    graph, hardware = makers[int(rng.integers(0, len(makers)))](rng)
    link = hardware.interconnect
    kinds = tuple(
        replace(kind, flop_energy_j=float(rng.choice([0.5, 0.0, 2.0, 1e-9])), sram_energy_j_per_byte=0.25)
        for kind in hardware.kinds
    )
    link = replace(
        link,
        link_bandwidth=link.link_bandwidth if np.isfinite(link.link_bandwidth) else 2.0,
        link_energy_j_per_byte=float(rng.choice([0.125, 0.0, 10.0])),
        topology=str(rng.choice([link.topology, link.topology, "crossbar"])),
    )
    hardware = replace(hardware, interconnect=link, kinds=kinds)
    flows_back = not hardware.rules.acyclic or bool(graph.backward.any())
    allowed = [
        goals
        for goals in OBJECTIVES
        if not ("latency" in goals and flows_back) and not ("chips" in goals and not hardware.identical_chips)
    ]
    objective = str(rng.choice(allowed))
    slack = float(rng.choice([1.0, 1 + 1e-6, 1.3, 2.0, 0.5]))
    wanted = not objective.startswith("period") and rng.random() < 0.8
    return graph, hardware, objective, 1 / slack if wanted else None


FAMILIES = {
    "spread": spread_instance,
    "exact fit": exact_fit_instance,
    "tied": tied_instance,
    "routed": routed_instance,
    "forced transfers": forced_transfer_instance,
    "unequal kinds": unequal_kinds_instance,
}
