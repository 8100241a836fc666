"""Hardware: presets, settings, TOML files, and what follows from a description."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partition.errors import InvalidHardware
from partition.problem.builder import GraphBuilder
from partition.problem.hardware import (
    KIND_ORDERS,
    ROUTED,
    TOPOLOGIES,
    TRANSFERS,
    ChipKind,
    Hardware,
    Interconnect,
    Rules,
    override,
)
from partition.problem.hardware_files import load_hardware
from partition.problem.hardware_toml import to_toml


def test_one_operation_of_bert_large_fits_a_chip() -> None:
    assert load_hardware("ring36").sram_bytes.min() > 30_522 * 1_024 * 2


texts = st.text(st.characters(codec="utf-8"), max_size=6)


positive = st.floats(1e-30, 1e30)


amounts = st.floats(0, 1e30)


@st.composite
def packages(draw: st.DrawFn) -> Hardware:
    names = draw(st.lists(texts, min_size=1, max_size=3, unique=True))
    kinds = tuple(
        ChipKind(
            name,
            peak_flops=draw(positive | st.just(float("inf"))),
            sram_bytes=draw(amounts | st.just(float("inf"))),
            sram_bandwidth=draw(positive),
            op_overhead_s=draw(amounts),
            flop_energy_j=draw(amounts),
        )
        for name in names
    )
    interconnect = Interconnect(
        draw(st.sampled_from(TOPOLOGIES)),
        draw(positive),
        draw(amounts),
        draw(st.sampled_from(TRANSFERS)),
        draw(amounts),
    )
    kind_of_chip = tuple(draw(st.lists(st.integers(0, len(kinds) - 1), min_size=1, max_size=8)))
    positions: tuple[int, ...] = ()
    if interconnect.topology == "mesh":
        interconnect = dataclasses.replace(interconnect, rows=1, columns=len(kind_of_chip))
    if interconnect.topology in ROUTED and draw(st.booleans()):
        positions = tuple(draw(st.permutations(range(len(kind_of_chip)))))
    switches = {f.name: draw(st.booleans()) for f in dataclasses.fields(Rules)}
    switches["acyclic"] |= interconnect.topology == "chain"
    switches["memory"] |= switches["dynamic_memory"]
    rules, order = Rules(**switches), draw(st.sampled_from(KIND_ORDERS))
    return Hardware(draw(texts), kinds, kind_of_chip, interconnect, rules, draw(texts), order, positions)


@given(packages())
def test_every_package_survives_the_round_trip(tmp_path_factory: pytest.TempPathFactory, hardware: Hardware) -> None:
    text = to_toml(hardware)
    tomllib.loads(text)
    path = tmp_path_factory.getbasetemp() / "round-trip.toml"
    path.write_text(text, encoding="utf-8", newline="")
    assert load_hardware(str(path)) == hardware


def test_times_are_the_roofline_with_overhead_and_nothing_for_inputs() -> None:
    b = GraphBuilder()
    b.operation("x", "Input", flops=100, bytes_accessed=100)
    b.operation("compute bound", "Op", flops=100, bytes_accessed=1)
    b.operation("memory bound", "Op", flops=1, bytes_accessed=100)
    kind = ChipKind("k", peak_flops=10, sram_bandwidth=5, op_overhead_s=0.5)
    hardware = Hardware("h", (kind,), (0,), Interconnect("ring", 2.0))
    assert hardware.times(b.build()).tolist() == [[0, 10.5, 20.5]]


def test_profiled_times_replace_the_roofline_on_their_kind_alone() -> None:
    b = GraphBuilder()
    b.operation("a", "Op", flops=10, bytes_accessed=0, times={"npu": 7})
    b.operation("b", "Op", flops=10, bytes_accessed=0)
    kinds = (ChipKind("npu", peak_flops=1), ChipKind("gpu", peak_flops=2))
    hardware = Hardware("h", kinds, (0, 1), Interconnect("ring", 2.0))
    assert hardware.times(b.build()).tolist() == [[7, 10], [5, 5]]


def test_a_transfer_takes_its_bytes_over_the_bandwidth() -> None:
    b = GraphBuilder()
    b.operation("a", "Op", outputs={"t": 6})
    assert Hardware("h", (ChipKind("k", 1),), (0,), Interconnect("ring", 2.0)).transfer_times(b.build()).tolist() == [3]


@pytest.mark.parametrize(("topology", "links"), [("ring", [0, 2, 3]), ("chain", [0, 1, 2]), ("memory", [0, 0, 0])])
def test_links_join_neighbours_and_close_a_ring(topology: str, links: list[int]) -> None:
    assert [Interconnect(topology, 1.0).link_count(chips) for chips in (1, 2, 3)] == links


def test_relays_need_links_and_order_and_replicas_need_order() -> None:
    ring = load_hardware("ring4")
    assert ring.relays_allowed
    assert ring.replication_allowed
    assert not ring.with_rules(relays=False).relays_allowed
    assert not ring.with_rules(acyclic=False).relays_allowed
    assert not ring.with_rules(acyclic=False).replication_allowed
    assert not load_hardware("ring4:topology=memory").relays_allowed
    assert load_hardware("ring4:topology=memory").replication_allowed


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda kind, link: Hardware("h", (kind,), (), link), "'h' has no chips"),
        (lambda kind, link: Hardware("h", (kind,), (1,), link), "a kind that is not described"),
        (lambda kind, link: Hardware("h", (kind,), (-1,), link), "a kind that is not described"),
        (lambda kind, link: Hardware("h", (kind, kind), (0,), link), "two chip kinds of the same name"),
    ],
)
def test_a_package_that_contradicts_itself_is_refused(
    make: Callable[[ChipKind, Interconnect], Any], message: str
) -> None:
    with pytest.raises(InvalidHardware, match=message):
        make(ChipKind("k", 1.0), Interconnect("ring", 1.0))


def test_overriding_leaves_the_original_alone() -> None:
    ring = load_hardware("ring4")
    assert not override(ring, {"triangle": False}).rules.triangle
    assert ring.rules.triangle
    with pytest.raises(dataclasses.FrozenInstanceError):
        ring.name = "other"  # type: ignore[misc]
