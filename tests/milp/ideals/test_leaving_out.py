"""Nodes left out of ideals, and the segments between cut nodes."""

from __future__ import annotations

import numpy as np
import pytest
from checked import as_given
from exhaustive import least_known
from instances import (
    package,
    random_passing_instance,
)
from small_optima import levels

from milp.ideals.leaving_out import segments
from milp.ideals.program import best_chain
from partition import GraphBuilder
from partition.instance.contract import contract


def test_paths_through_what_is_left_out_cost_no_more_than_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Light operations between heavy ones, forward, joined, and back round a ring: a bound, and above that of work."""
    above = tried = 0
    for seed in range(120):
        graph, hardware = random_passing_instance(np.random.default_rng(seed))
        best = least_known(as_given(graph, hardware), limit=3_000)
        if not best:
            continue
        instance = contract(graph, hardware)
        for limit in (0.05, 1.0):
            levels(monkeypatch, limit)
            chain = best_chain(instance, best / instance.unit * (1 + 1e-6) + 1e-9)
            if chain is not None:
                assert chain.period * instance.unit <= best * (1 + 1e-6)
                trivial = max(instance.fastest.sum() / instance.chips, instance.fastest.max())
                above += chain.period > trivial * 1.01
                tried += 1
    assert tried > 70 and above > 20


def test_waists_are_comparable_with_all_others() -> None:
    b = GraphBuilder("hourglass")
    reads = {
        "a": "",
        "b": "a",
        "c": "a",
        "waist": "bc",
        "d": "waist",
        "e": "waist",
        "f": "de",
        "aside": "f",
        "end": "f",
    }
    for name, inputs in reads.items():
        read = ["waist"] if inputs == "waist" else list(inputs)
        b.operation(name, "Op", inputs=read, outputs={name: 1.0}, flops=1.0, bytes_accessed=0)
    graph = b.build()
    instance = contract(graph, package(2, memory=False))
    waists, stretches = segments(instance)
    waist, *found = (
        "".join(sorted(graph.names[v] for v in np.flatnonzero(nodes[instance.node_of])))
        for nodes in (waists, *stretches)
    )
    assert waist == "afwaist"
    assert set(found) == {"bc", "de", "asideend"}
