"""Laws that every answer keeps, whatever the problem: hypothesis draws small graphs, packages and rules.

Each law compares two problems of which one cannot have a longer best period than the other. It is checked on what was
proved (the bound of the one is at most the period of the other) and on what was found. Every answer is also held
against brute force (conftest.py). docs/problem.md decides which laws hold; where an obvious one does not, its test says
why. ``LAWS=500 python -m pytest tests/test_laws.py`` draws other and more examples.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from typing import Any

import numpy as np
from checked import as_given
from exhaustive import brute_force
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from instances import RULES

from partition import (
    ChipKind,
    CostModel,
    Graph,
    GraphBuilder,
    Hardware,
    Interconnect,
    Placement,
    Repair,
    Result,
    Rules,
    check,
    evaluate_placement,
    partition,
)

GAP = 1e-4
laws = settings(
    max_examples=int(os.environ.get("LAWS", "8")),
    derandomize="LAWS" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

Operation = dict[str, Any]


@st.composite
def operations(draw: st.DrawFn) -> list[Operation]:
    """Up to six operations in topological order, as arguments of ``GraphBuilder.operation``."""
    amount = st.integers(0, 6).map(float) | st.floats(1e-3, 6)
    made: list[str] = []
    rows: list[Operation] = []
    for i in range(draw(st.integers(1, 6))):
        inputs = [t for t in made if draw(st.booleans())]
        outputs = {f"t{i}": draw(amount)}
        if draw(st.integers(0, 4)) == 0:
            outputs[f"u{i}"] = draw(amount)
        cheap = draw(st.integers(0, 3)) == 0
        weights: dict[str, float] = {} if cheap else {f"w{i}": 1000.0 * draw(st.integers(0, 3))}
        if not cheap and draw(st.integers(0, 4)) == 0:
            weights["shared"] = 2000.0
        grouped = not cheap and draw(st.integers(0, 5)) == 0
        rows.append(
            {
                "name": f"v{i}", "op_type": "Op", "inputs": inputs, "outputs": outputs, "weights": weights,
                "flops": draw(st.sampled_from([0.0, 0.004, 0.02])) if cheap else draw(amount), "bytes_accessed": 0,
                "group": 0 if grouped else None,
            }
        )  # fmt: skip
        made += outputs
    return rows


def graph_of(rows: list[Operation]) -> Graph:
    b = GraphBuilder("drawn")
    for row in rows:
        b.operation(**row)
    return b.build()


@st.composite
def packages(draw: st.DrawFn, topologies: tuple[str, ...] = ("chain", "ring", "memory", "crossbar")) -> Hardware:
    """One to three chips of one kind or two, any rules."""
    topology = draw(st.sampled_from(topologies))
    rules = {name: draw(st.booleans()) for name in RULES}
    rules["acyclic"] |= topology == "chain"
    sram = draw(st.sampled_from([math.inf, math.inf, 9000.0, 5000.0, 4000.0]))
    kinds = (ChipKind("unit", 1.0, sram), ChipKind("other", draw(st.sampled_from([0.5, 2.0])), sram))
    kind_of_chip = draw(st.lists(st.sampled_from([0, 0, 0, 1]), min_size=1, max_size=3))
    link = Interconnect(
        topology,
        draw(st.sampled_from([0.5, 1.0, 4.0, math.inf])),
        transfers=draw(st.sampled_from(["serial", "overlapped"])),
    )
    return Hardware(f"{topology}{len(kind_of_chip)}", kinds, tuple(kind_of_chip), link, Rules(**rules))


def solved(graph: Graph, hardware: Hardware) -> Result:
    return partition(graph, hardware, time_limit=30)


def never_worse(better: Result, worse: Result) -> None:
    """What ``better`` solves has every placement of what ``worse`` solves, at no more cost."""
    if worse.status == "infeasible":
        return
    assert better.status == "optimal" == worse.status
    assert better.bound <= worse.period * (1 + 1e-9)
    assert better.period <= worse.period * (1 + 2 * GAP)


def the_same(one: Result, other: Result, factor: float = 1.0) -> None:
    assert one.status == other.status
    if one.status != "infeasible":
        assert math.isclose(other.period, factor * one.period, rel_tol=2 * GAP)
        assert other.bound <= factor * one.period * (1 + 1e-9)
        assert factor * one.bound <= other.period * (1 + 1e-9)


@laws
@given(operations(), packages(), st.randoms(use_true_random=False))
def test_names_and_the_order_of_a_file_do_not_matter(rows: list[Operation], hardware: Hardware, random: Any) -> None:
    left, moved = list(rows), []
    while left:  # another topological order
        known = {t for row in moved for t in row["outputs"]}
        ready = [row for row in left if set(row["inputs"]) <= known]
        moved.append(random.choice(ready))
        left.remove(moved[-1])
    renamed = [row | {"name": f"z{i}"} for i, row in enumerate(moved)]
    the_same(solved(graph_of(rows), hardware), solved(graph_of(renamed), hardware))


@laws
@given(operations(), packages())
def test_splitting_the_consumers_of_a_tensor_never_helps(rows: list[Operation], hardware: Hardware) -> None:
    """Two tensors instead of one move at least as often. Relays are off: with them the law fails, for of two tensors
    one may be relayed and the other not, and the triangle rule can ask for just that."""
    hardware = hardware.with_rules(relays=False)
    tensor = next((t for t in (f"t{i}" for i in range(6)) if sum(t in row["inputs"] for row in rows) > 1), None)
    assume(tensor is not None)
    split, seen = [], 0
    for row in rows:
        row = dict(row)
        if tensor in row["outputs"]:
            row["outputs"] = row["outputs"] | {"copy": row["outputs"][tensor]}
        if tensor in row["inputs"]:
            seen += 1
            if seen > 1:
                row["inputs"] = ["copy" if t == tensor else t for t in row["inputs"]]
        split.append(row)
    never_worse(solved(graph_of(rows), hardware), solved(graph_of(split), hardware))


def in_units(rows: list[Operation], hardware: Hardware, factor: float) -> tuple[Graph, Hardware]:
    """All times and, by the bandwidth, all transfers ``factor`` times as long; bytes and weights as they are."""
    scaled = [row | {"flops": row["flops"] * factor} for row in rows]
    link = replace(hardware.interconnect, link_bandwidth=hardware.interconnect.link_bandwidth / factor)
    return graph_of(scaled), replace(hardware, interconnect=link)


@laws
@given(operations(), packages(), st.integers(-60, 60))
def test_powers_of_two_change_nothing_but_the_exponent(rows: list[Operation], hardware: Hardware, power: int) -> None:
    """Every figure is scaled exactly, so even the placement is the same one."""
    factor = 2.0**power
    one, other = solved(graph_of(rows), hardware), solved(*in_units(rows, hardware, factor))
    assert (one.status, one.assignment, one.replicas, one.relays) == (
        other.status, other.assignment, other.replicas, other.relays,
    )  # fmt: skip
    if one.status != "infeasible":
        assert (one.period * factor, one.bound * factor) == (other.period, other.bound)


@laws
@given(operations(), packages(), st.sampled_from([1e-9, 1e-6, 1e-3, 60.0, 1e9]))
def test_from_nanoseconds_to_years_the_answer_is_the_same(
    rows: list[Operation], hardware: Hardware, factor: float
) -> None:
    the_same(solved(graph_of(rows), hardware), solved(*in_units(rows, hardware, factor)), factor)


@laws
@given(operations(), packages(), st.sampled_from([0, 1]))
def test_one_more_chip_never_hurts(rows: list[Operation], hardware: Hardware, kind: int) -> None:
    """At the end of the line, or on the ring before its closing link. Not with replicas, which are for operations that
    take a small share of a chip's part of the work, and that part shrinks; nor where routes choose the shorter
    way round, which a further chip makes longer."""
    hardware = hardware.with_rules(replication=False)
    larger = replace(hardware, kind_of_chip=(*hardware.kind_of_chip, kind))
    never_worse(solved(graph_of(rows), larger), solved(graph_of(rows), hardware))


@laws
@given(operations(), packages())
def test_dropping_a_rule_never_hurts(rows: list[Operation], hardware: Hardware) -> None:
    """Without the acyclic rule there are no replicas and no relays: it is compared without them."""
    graph, given = graph_of(rows), solved(graph_of(rows), hardware)
    for rule in ("no_skipping", "triangle", "memory"):
        if getattr(hardware.rules, rule):
            never_worse(solved(graph, hardware.with_rules(**{rule: False})), given)
    if hardware.rules.acyclic and hardware.interconnect.topology != "chain":
        bare = hardware.with_rules(replication=False, relays=False)
        never_worse(solved(graph, bare.with_rules(acyclic=False)), solved(graph, bare))


@laws
@given(operations(), packages())
def test_replicas_and_relays_never_hurt(rows: list[Operation], hardware: Hardware) -> None:
    graph = graph_of(rows)
    without = solved(graph, hardware.with_rules(replication=False, relays=False))
    never_worse(solved(graph, hardware.with_rules(replication=True, relays=False)), without)
    never_worse(solved(graph, hardware.with_rules(replication=False, relays=True)), without)


@laws
@given(operations(), packages())
def test_twice_the_bandwidth_never_hurts(rows: list[Operation], hardware: Hardware) -> None:
    link = replace(hardware.interconnect, link_bandwidth=2 * hardware.interconnect.link_bandwidth)
    graph = graph_of(rows)
    never_worse(solved(graph, replace(hardware, interconnect=link)), solved(graph, hardware))


@laws
@given(operations(), packages())
def test_more_sram_never_hurts(rows: list[Operation], hardware: Hardware) -> None:
    """More operations may be replicated then, but none has to be."""
    kinds = tuple(replace(kind, sram_bytes=1.5 * kind.sram_bytes) for kind in hardware.kinds)
    graph = graph_of(rows)
    never_worse(solved(graph, replace(hardware, kinds=kinds)), solved(graph, hardware))


@laws
@given(operations(), packages())
def test_faster_chips_never_hurt(rows: list[Operation], hardware: Hardware) -> None:
    """All twice as fast: then the share of the work that replicas may take is the same."""
    kinds = tuple(replace(kind, peak_flops=2 * kind.peak_flops) for kind in hardware.kinds)
    graph = graph_of(rows)
    never_worse(solved(graph, replace(hardware, kinds=kinds)), solved(graph, hardware))


@laws
@given(operations(), packages())
def test_serial_transfers_never_beat_overlapped_ones(rows: list[Operation], hardware: Hardware) -> None:
    graph = graph_of(rows)
    ways = [
        replace(hardware, interconnect=replace(hardware.interconnect, transfers=t)) for t in ("overlapped", "serial")
    ]
    never_worse(*(solved(graph, way) for way in ways))


@laws
@given(operations(), packages(("chain", "ring", "memory", "crossbar", "bichain", "biring")))
def test_optimum_bound_and_infeasibility_are_those_of_brute_force(rows: list[Operation], hardware: Hardware) -> None:
    graph = graph_of(rows)
    try:
        best, _ = brute_force(as_given(graph, hardware), limit=20_000)
    except OverflowError:
        return
    result = solved(graph, hardware)
    assert (best is None) == (result.status == "infeasible")
    if best is not None:
        assert result.status == "optimal"
        assert result.bound <= best * (1 + 1e-9) and best * (1 - 1e-9) <= result.period <= best * (1 + 1.01 * GAP)


@laws
@given(operations(), packages())
def test_an_answer_survives_its_json(rows: list[Operation], hardware: Hardware) -> None:
    graph = graph_of(rows)
    result = solved(graph, hardware)
    assume(result.placement is not None)
    read = json.loads(result.to_json())
    placement = Placement.from_names(
        graph, read["assignment"], chips=hardware.chips, replicas=read["replicas"], relays=read["relays"]
    )
    assert not check(graph, hardware, placement)
    assert float(evaluate_placement(graph, hardware, placement).period[0]) == read["period"] == result.period


@laws
@given(operations(), packages(), st.integers(0, 2**32 - 1))
def test_what_repair_returns_as_valid_is_valid_and_batches_are_their_rows(
    rows: list[Operation], hardware: Hardware, seed: int
) -> None:
    graph, rng = graph_of(rows), np.random.default_rng(seed)
    repair = Repair.of(graph, hardware)
    repaired = repair.fix(repair.of_nodes(rng.integers(0, hardware.chips, (8, graph.n))), rng)
    model, periods = CostModel(graph, hardware), repaired.period()
    for row in np.flatnonzero(repaired.valid).tolist():
        placement = repaired.placement(row)
        assert not check(graph, hardware, placement)
        assert math.isclose(float(model.evaluate_placement(placement).period[0]), float(periods[row]), rel_tol=1e-12)
    batch = rng.integers(0, hardware.chips, (8, graph.n))
    whole = model.evaluate(batch)
    for row in range(8):
        alone = model.evaluate(batch[row])
        for name in ("period", "latency", "energy", "traffic", "sram", "link"):
            np.testing.assert_array_equal(getattr(whole, name)[row], getattr(alone, name)[0])
