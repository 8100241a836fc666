"""Small instances with their optima by brute force, and levels of ideals to try."""

from __future__ import annotations

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force
from instances import (
    random_instance,
    random_training_instance,
)

import milp.ideals.chains
import milp.ideals.program
from partition import Graph, Hardware


def solved(seed: int) -> tuple[Graph, Hardware, float, np.ndarray] | None:
    """An instance with its optimum by brute force and the nodes' chips there, or None if it has none."""
    rng = np.random.default_rng(seed)
    graph, hardware = random_instance(rng) if seed % 3 else random_training_instance(rng)
    try:
        best, answer = brute_force(as_given(graph, hardware), limit=5_000)
    except OverflowError:
        return None
    if best is None or answer is None:
        return None
    return graph, hardware, best, np.array([answer["assignment"][name] for name in graph.names])


CASES = [case for case in map(solved, range(120)) if case is not None]


def levels(monkeypatch: pytest.MonkeyPatch, finest: float, *coarser: float) -> None:
    """The program over ideals on these levels, however small the graph."""
    monkeypatch.setattr(milp.ideals.program, "TINY", (finest,))
    monkeypatch.setattr(milp.ideals.program, "COARSE", coarser)
    monkeypatch.setattr(milp.ideals.program, "FEW", 2)
    monkeypatch.setattr(milp.ideals.program, "COARSER", 1)
