"""Random questions to the formulation over every feature: a problem, windows, choices, goals, caps and cuts.

Drawn from a seed alone, and in plain numbers, so that two commits of the library can be asked the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from instances import (
    random_instance,
    random_mixed_instance,
    random_passing_instance,
    random_stages,
    random_tight_instance,
    random_training_instance,
)


def _many_chips(rng: np.random.Generator) -> Any:
    return random_instance(rng, n=12, chips=int(rng.integers(2, 24)))


GENERATORS: tuple[Callable[[np.random.Generator], Any], ...] = (
    random_instance,
    random_mixed_instance,
    random_training_instance,
    random_passing_instance,
    random_tight_instance,
    random_stages,
    _many_chips,
)


@dataclass(frozen=True)
class Question:
    """What a model is built of.

    Attributes
    ----------
    instance : contracted problem.
    lo, hi : (N,) int, first and last chip of each node; None where ``threshold`` says it.
    threshold : period whose windows are meant.
    propagated : whether edges tighten the windows.
    choices : (no skipping, triangle) rows to write; ``"complete"``, ``"lossless"`` or None for those that are the
        library's to choose.
    rest : keyword arguments of ``build``.
    cuts : (on, off, relays, capacity) of each memory cut.
    """

    instance: Any
    lo: Any
    hi: Any
    threshold: float
    propagated: bool
    choices: tuple[bool, bool] | str | None
    rest: dict[str, Any]
    cuts: list[tuple[Any, Any, Any, float]]


def draw_question(seed: int, contract: Callable[..., Any]) -> Question:
    """The question of a seed; ``contract`` is the library's."""
    rng = np.random.default_rng(seed)
    graph, hardware = GENERATORS[seed % len(GENERATORS)](rng)
    if seed % 11 == 0:
        hardware = hardware.with_rules(memory=True, dynamic_memory=True)
    if np.isinf(hardware.interconnect.link_bandwidth) and seed % 3:
        hardware = replace(hardware, interconnect=replace(hardware.interconnect, link_bandwidth=1.0))
    instance = contract(graph, hardware.ports_only(), apart=bool(rng.random() < 0.3))
    lo = hi = None
    threshold, propagated = float(rng.choice([1.1, 1.5, 2.5, np.inf])), False
    kind = int(rng.integers(0, 4))
    if kind == 0:
        lo, hi = np.zeros(instance.nodes, np.int64), np.full(instance.nodes, instance.chips - 1)
    elif kind > 1:
        lo = rng.integers(0, instance.chips, instance.nodes)
        hi = np.minimum(instance.chips - 1, lo + rng.integers(0, instance.chips, instance.nodes))
        propagated = kind == 3
    rest = _goals(rng, instance.chips, finite=bool(np.isfinite(hardware.interconnect.link_bandwidth)))
    choices = (None, "complete", "lossless", (bool(seed & 1), bool(seed & 2)))[int(rng.integers(0, 4))]
    cuts = [_cut(rng, graph, float(hardware.sram_bytes.max())) for _ in range(int(rng.integers(0, 3)))]
    return Question(instance, lo, hi, threshold, propagated, choices, rest, cuts)


def _goals(rng: np.random.Generator, chips: int, *, finite: bool) -> dict[str, Any]:
    """Bounds, limited chips, a goal and caps on others; with links of no time only what means something there."""
    rest: dict[str, Any] = {}
    if rng.random() < 0.5:
        rest["upper"] = float(rng.choice([0.5, 1.2, 2.0, 5.0, 1 / 3]))
    others = ["traffic", "energy"] if finite else []
    if rng.random() < 0.3:
        some = rng.choice(chips, size=int(rng.integers(1, chips + 1)), replace=False)
        rest["limited"] = tuple(sorted(some.tolist()))
    else:
        others.append("latency")
    if rng.random() < 0.5:
        rest["goal"] = str(rng.choice(["period", *others]))
    if rng.random() < 0.3 and others:
        rest["caps"] = {str(goal): float(rng.choice([0.0, 0.5, 3.0])) for goal in rng.choice(others, size=2)}
    return rest


def _cut(rng: np.random.Generator, graph: Any, capacity: float) -> tuple[Any, Any, Any, float]:
    on = rng.choice(graph.n, size=int(rng.integers(1, graph.n + 1)), replace=False)
    off = np.setdiff1d(rng.choice(graph.n, size=int(rng.integers(0, graph.n)), replace=False), on)
    relays = np.zeros(0, dtype=np.int64)
    if graph.m and rng.random() < 0.4:
        relays = rng.choice(graph.m, size=int(rng.integers(0, min(graph.m, 3) + 1)), replace=False)
    return on, off, relays, float(rng.choice([np.inf, capacity]))
