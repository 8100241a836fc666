"""Random changes of a package, for tests and benchmarks of what is known of one package and holds on another."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from partition import Hardware, InvalidHardware
from partition.problem.hardware import IN_LINE, ROUTED, TOPOLOGIES, TRANSFERS, override

Change = Callable[[np.random.Generator, Hardware], Hardware]

FACTORS = (0.25, 0.5, 0.9, 1.1, 2.0, 4.0)
"""By which a figure of a package changes."""


def _chips(rng: np.random.Generator, hw: Hardware) -> Hardware:
    """Another number of chips, of the kinds that there are."""
    count = int(rng.integers(1, 5))
    kinds = [*hw.kind_of_chip, *rng.choice(hw.kind_of_chip, 4).tolist()][:count]
    link, topology = hw.interconnect, hw.interconnect.topology
    if topology == "mesh":
        link = replace(link, rows=1, columns=count)
    return replace(hw, kind_of_chip=tuple(kinds), interconnect=link, positions=())


def _sram(rng: np.random.Generator, hw: Hardware) -> Hardware:
    factor = float(rng.choice(FACTORS))
    kinds = tuple(replace(k, sram_bytes=k.sram_bytes * (factor if rng.random() < 0.8 else 1.0)) for k in hw.kinds)
    return replace(hw, kinds=kinds)


def _bandwidth(rng: np.random.Generator, hw: Hardware) -> Hardware:
    factor = float(rng.choice([*FACTORS, math.inf]))
    return override(hw, {"link_bandwidth": min(hw.interconnect.link_bandwidth, 1e20) * factor})


def _speed(rng: np.random.Generator, hw: Hardware) -> Hardware:
    factor = float(rng.choice(FACTORS))
    kinds = tuple(
        replace(k, peak_flops=k.peak_flops * factor, sram_bandwidth=k.sram_bandwidth * float(rng.choice([1.0, factor])))
        for k in hw.kinds
    )
    return replace(hw, kinds=kinds)


def _everything_faster(rng: np.random.Generator, hw: Hardware) -> Hardware:
    """All times by one factor, those of a profile aside."""
    factor = float(rng.choice([0.25, 0.5, 2.0, 4.0]))
    kinds = tuple(
        replace(
            k,
            peak_flops=k.peak_flops * factor,
            sram_bandwidth=k.sram_bandwidth * factor,
            op_overhead_s=k.op_overhead_s / factor,
        )
        for k in hw.kinds
    )
    return override(replace(hw, kinds=kinds), {"link_bandwidth": hw.interconnect.link_bandwidth * factor})


def _rule(rng: np.random.Generator, hw: Hardware) -> Hardware:
    name = str(rng.choice(["acyclic", "no_skipping", "triangle", "memory", "replication", "relays", "dynamic_memory"]))
    rules = {name: not getattr(hw.rules, name)}
    if name == "dynamic_memory":
        rules["memory"] = True
    if name == "memory":
        rules["dynamic_memory"] = False
    if hw.interconnect.topology == "chain" and hw.chips > 1:
        rules["acyclic"] = True
    return hw.with_rules(**rules)


def _topology(rng: np.random.Generator, hw: Hardware) -> Hardware:
    topology = str(rng.choice(TOPOLOGIES))
    rows, columns = (1, hw.chips) if topology == "mesh" else (0, 0)
    link = replace(hw.interconnect, topology=topology, rows=rows, columns=columns)
    rules = replace(hw.rules, relays=hw.rules.relays and topology in IN_LINE)
    if topology == "chain":
        rules = replace(rules, acyclic=True)
    positions = hw.positions if topology in ROUTED else ()
    return replace(hw, interconnect=link, rules=rules, positions=positions)


def _transfers(rng: np.random.Generator, hw: Hardware) -> Hardware:
    return override(hw, {"transfers": str(rng.choice(TRANSFERS))})


def _kinds(rng: np.random.Generator, hw: Hardware) -> Hardware:
    """Chips of other kinds among those described."""
    kinds = rng.integers(0, len(hw.kinds), hw.chips)
    return replace(hw, kind_of_chip=tuple(kinds.tolist()))


def _free(rng: np.random.Generator, hw: Hardware) -> Hardware:
    """Transfers free on some kinds."""
    kinds = tuple(replace(k, free_transfers=bool(rng.random() < 0.5)) for k in hw.kinds)
    return replace(hw, kinds=kinds)


CHANGES: dict[str, Change] = {
    "chips": _chips,
    "SRAM": _sram,
    "bandwidth": _bandwidth,
    "speed": _speed,
    "everything faster": _everything_faster,
    "rule": _rule,
    "topology": _topology,
    "transfers": _transfers,
    "kinds": _kinds,
    "free transfers": _free,
}


def changed(rng: np.random.Generator, hardware: Hardware) -> tuple[Hardware, tuple[str, ...]]:
    """The package with one to three random changes, and their names."""
    names = rng.choice(list(CHANGES), int(rng.integers(1, 4)), replace=False).tolist()
    for name in names:
        with contextlib.suppress(InvalidHardware):  # such as a chain whose order is free
            hardware = CHANGES[name](rng, hardware)
    return hardware, tuple(names)
