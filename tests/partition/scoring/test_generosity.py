"""What is known of one package and holds on another: against brute force, and where nothing follows."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force
from instances import broadcast_mask, chain_of, diamond, long_skip, package
from package_changes import CHANGES, changed
from questions import draw

from partition import ChipKind, Graph, Hardware, Interconnect, Rules, load_hardware
from partition.problem.hardware import TOPOLOGIES, override
from partition.problem.problem import Problem
from partition.scoring.generosity import LIFTS, factors

COMPARED = {
    "Hardware": {"kinds", "kind_of_chip", "interconnect", "rules", "time_unit", "kind_order", "positions"},
    "ChipKind": {
        "peak_flops",
        "sram_bytes",
        "sram_bandwidth",
        "op_overhead_s",
        "unsupported",
        "free_transfers",
        "dram_bandwidth",
    },
    "Interconnect": {"topology", "link_bandwidth", "transfers", "rows", "columns", "streaming"},
    "Rules": {*LIFTS, "replication", "relays"},
}
"""Fields that decide whether a bound of one package holds on another."""

IRRELEVANT = {
    "Hardware": {"name"},
    "ChipKind": {"name", "flop_energy_j", "sram_energy_j_per_byte"},
    "Interconnect": {"link_latency_s", "link_energy_j_per_byte"},
    "Rules": set(),
}
"""Fields that the period does not depend on; a kind's name only by its row of times."""


def factor(graph: Graph, generous: Hardware, stingy: Hardware) -> float:
    return float(factors(graph, [generous], [stingy])[0, 0])


def test_bounds_hold_on_the_other_package_by_brute_force() -> None:
    """Random questions with every feature, and one to three changes of the package."""
    compared, equal, impossible, told = 0, 0, 0, set()
    for seed in range(260):
        rng = np.random.default_rng(seed)
        graph, hardware = draw(rng, wishes="none", n=(1, 5), chips=(1, 3)).read()
        other, changes = changed(rng, hardware)
        pair = [hardware, other]
        found = factors(graph, pair, pair)
        if not np.isfinite([found[0, 1], found[1, 0]]).any():
            continue
        try:
            best = [brute_force(as_given(graph, each), limit=1500)[0] for each in pair]
        except OverflowError:
            continue
        for g, s in ((0, 1), (1, 0)):
            if math.isinf(found[g, s]):
                continue
            compared += 1
            told |= set(changes)
            if best[g] is None:
                impossible += 1
                assert best[s] is None, seed
            elif best[s] is not None:
                assert best[g] <= found[g, s] * best[s] * (1 + 1e-9), seed
                equal += best[g] >= found[g, s] * best[s] * (1 - 1e-9)
    assert told == set(CHANGES)
    assert compared > 150 and equal > 50 and impossible > 10


@pytest.mark.parametrize("table", [Hardware, ChipKind, Interconnect, Rules])
def test_every_field_of_a_package_is_compared_or_does_not_matter(table: type) -> None:
    assert {f.name for f in fields(table)} == COMPARED[table.__name__] | IRRELEVANT[table.__name__]


def test_the_factor_of_figures() -> None:
    graph, base = diamond(), package(2, sram=100.0)
    assert factor(graph, base, base) == 1
    assert factor(graph, override(base, {"link_bandwidth": 4.0}), base) == 1, "operations take as long"
    assert factor(graph, base, override(base, {"link_bandwidth": 4.0})) == 4
    both = override(base, {"peak_flops": 4.0, "link_bandwidth": 4.0})
    assert factor(graph, both, base) == 0.25, "all times by one factor"
    assert factor(graph, override(base, {"sram_bytes": 200.0}), base) == 1
    slow, quick = (override(base, {"dram_bandwidth": rate}) for rate in (1.0, 3.0))
    assert factor(graph, slow, quick) == 3 and factor(graph, quick, slow) == 1
    assert factor(graph, slow, base) == factor(graph, base, slow) == math.inf, "base may hold a little over its SRAM"
    assert factor(graph, override(slow, {"sram_bytes": 101.0}), base) == 1
    assert factor(graph, override(quick, {"streaming": "serial"}), quick) == math.inf
    assert factor(graph, quick, override(quick, {"streaming": "serial"})) == 1
    assert factor(graph, base, override(base, {"sram_bytes": 200.0})) == math.inf


def test_more_chips() -> None:
    graph = diamond()
    for topology in ("chain", "ring", "bichain", "crossbar", "memory"):
        small, large = (package(chips, topology=topology) for chips in (2, 3))
        assert factor(graph, large, small) == 1, topology
        assert factor(graph, small, large) == math.inf
    assert factor(graph, package(5, topology="biring"), package(4, topology="biring")) == math.inf, "ways round change"
    meshes = [
        replace(package(1), kind_of_chip=(0,) * (2 * c), interconnect=Interconnect("mesh", 1, rows=2, columns=c))
        for c in (2, 3)
    ]
    assert factor(graph, meshes[1], meshes[0]) == math.inf
    assert factor(graph, package(4, topology="biring"), package(1, topology="biring")) == 1, "one chip sends nothing"


def test_more_chips_may_allow_fewer_replicas() -> None:
    """A replica may take a share of a chip's even part of the work, which is less on more chips."""
    graph, hw = broadcast_mask(3, time=1.0), package(2)
    more = replace(hw, kind_of_chip=(0,) * 8)
    assert Problem.of(graph, hw).replicable.any() and not Problem.of(graph, more).replicable.any()
    assert factor(graph, more, hw) == math.inf
    assert factor(graph, more.with_rules(replication=False), hw.with_rules(replication=False)) == 1


@pytest.mark.parametrize("rule", LIFTS)
def test_a_rule_may_be_lifted_and_not_imposed(rule: str) -> None:
    graph = diamond()
    hw = package(3, relays=False, dynamic_memory=rule == "dynamic_memory", replication=False)
    without = hw.with_rules(**{rule: False})
    assert factor(graph, without, hw) == 1
    assert factor(graph, hw, without) == math.inf


def test_topologies_of_which_one_carries_what_the_other_does() -> None:
    def on(topology: str) -> Hardware:
        link = Interconnect(topology, 1.0, rows=2 * (topology == "mesh"), columns=2 * (topology == "mesh"))
        return replace(package(4, relays=False), interconnect=link)

    found = {(s, g) for s in TOPOLOGIES for g in TOPOLOGIES if factor(diamond(), on(g), on(s)) == 1}
    alike = {(each, each) for each in TOPOLOGIES}
    ports = {(each, port) for each in TOPOLOGIES for port in ("crossbar", "memory")}
    assert found == alike | ports | {("chain", "ring")}


def test_relays_need_links() -> None:
    graph, ring = long_skip(), package(3)
    assert factor(graph, replace(ring, interconnect=replace(ring.interconnect, topology="crossbar")), ring) == math.inf
    without = ring.with_rules(relays=False)
    crossbar = replace(without, interconnect=replace(without.interconnect, topology="crossbar"))
    assert factor(graph, crossbar, without) == 1
    assert factor(graph, without, crossbar) == math.inf


def test_what_runs_on_one_chip_alone_has_no_factor() -> None:
    graph, hw = chain_of([1.0, 2.0]), package(2)
    cannot = override(hw, {"unsupported": ("Op",)})
    assert factor(graph, cannot, hw) == math.inf
    assert factor(graph, hw, cannot) == 1
    slow = override(hw, {"op_overhead_s": 1.0})
    assert factor(chain_of([0.0, 0.0]), slow, hw) == math.inf, "no multiple of nothing"
    assert factor(chain_of([0.0, 0.0]), hw, slow) == 1


def test_places_of_stages_of_different_kinds_have_to_be_alike() -> None:
    graph = diamond()
    kinds = (ChipKind("a", 1.0), ChipKind("b", 1.0))
    mixed = replace(load_hardware("bichain2"), kinds=kinds, kind_of_chip=(0, 1))
    turned = replace(mixed, positions=(1, 0))
    assert factor(graph, mixed, mixed) == 1
    assert factor(graph, turned, mixed) == math.inf
    alike = replace(mixed, kind_of_chip=(0, 0))
    assert factor(graph, alike, turned) == 1, "stages of one kind may stand anywhere"
    assert factor(graph, turned, alike) == math.inf
