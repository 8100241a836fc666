"""Packages from presets and settings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from partition.errors import InvalidHardware
from partition.problem.hardware import (
    Rules,
)
from partition.problem.hardware_files import load_hardware, presets
from partition.problem.hardware_toml import to_toml

PAGE = Path(__file__).parents[3] / "docs" / "hardware.md"


def test_ring36_is_the_papers_package() -> None:
    hardware = load_hardware("ring36")
    assert hardware.chips == 36
    assert hardware.interconnect.topology == "ring"
    assert hardware.links == 36
    assert hardware.identical_chips
    assert all(on for rule, on in vars(hardware.rules).items() if rule != "dynamic_memory")
    assert not hardware.serial
    assert hardware.time_unit == "s"


@pytest.mark.parametrize(
    ("name", "chips", "links"), [("ring1", 1, 0), ("ring2", 2, 2), ("chain5", 5, 4), ("chain4096", 4096, 4095)]
)
def test_presets_exist_for_any_number_of_chips(name: str, chips: int, links: int) -> None:
    hardware = load_hardware(name)
    assert (hardware.name, hardware.chips, hardware.links) == (name, chips, links)
    assert hardware.kinds == load_hardware("ring36").kinds


def test_every_preset_that_is_listed_can_be_loaded() -> None:
    names = [name.replace("RxC", "3x7").replace("N", "7") for name, _ in presets()]
    assert {"ring36", "ring7", "chain7", "mesh3x7"} <= set(names)
    assert all(load_hardware(name).chips in (36, 7, 21, 2, 8, 16) for name in names)
    assert all(description for _, description in presets())


def test_the_table_of_the_page_has_the_figures_of_the_preset() -> None:
    hardware, page = load_hardware("ring36"), PAGE.read_text(encoding="utf-8")
    kind, link = hardware.kinds[0], hardware.interconnect
    assert kind.peak_flops == 4e12
    assert "| peak | 4e12 FLOP/s" in page
    assert f"| SRAM | {kind.sram_bytes / 2**20:.0f} MiB" in page
    assert kind.sram_bandwidth == 5e11
    assert "| SRAM bandwidth | 5e11 B/s" in page
    assert f"| overhead per operation | {kind.op_overhead_s * 1e6:g} us" in page
    assert f"| link bandwidth | {link.link_bandwidth / 1e9:g}e9 B/s" in page
    assert f"| link latency | {link.link_latency_s * 1e6:g} us" in page
    assert f"| transfers | {link.transfers} |" in page
    assert f"| energy per FLOP | {kind.flop_energy_j * 1e12:g} pJ" in page
    assert f"| energy per byte of SRAM | {kind.sram_energy_j_per_byte * 1e12:g} pJ" in page
    assert f"| energy per byte and hop | {link.link_energy_j_per_byte * 1e12:g} pJ" in page


def test_settings_follow_a_colon_and_change_nothing_else() -> None:
    changed = load_hardware("ring36:transfers=serial, triangle=off,link_bandwidth=1e9,sram_bytes=inf,memory=on")
    plain = load_hardware("ring36")
    assert changed.interconnect == dataclasses.replace(plain.interconnect, transfers="serial", link_bandwidth=1e9)
    assert changed.rules == Rules(triangle=False)
    assert changed.kinds == (dataclasses.replace(plain.kinds[0], sram_bytes=float("inf")),)
    assert changed.chips == 36
    assert changed.name.startswith("ring36:transfers=serial"), "a result says what it was solved for"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("torus8", "unknown hardware 'torus8'"),
        ("ring", "unknown hardware 'ring'"),
        ("", "unknown hardware ''"),
        ("ring3.5", "unknown hardware"),
        ("RING4", "unknown hardware"),
        ("ring٣", "unknown hardware"),
        ("x" * 5000, "unknown hardware 'x+';"),
        ("ring0", "'ring0' has 0 chips; a package has 1 to 4096"),
        ("ring-3", "'ring-3' has -3 chips"),
        ("ring4097", "has 4097 chips"),
        ("ring" + "9" * 6000, "chips; a package has 1 to 4096"),
        ("ring4:", "setting '' is not of the form name=value"),
        ("ring4:triangle", "setting 'triangle' is not of the form name=value"),
        ("ring4:colour=red", "unknown hardware setting 'colour'.*; choose from acyclic"),
        ("ring4:transfers=fast", "interconnect.transfers is 'fast'; choose one of overlapped, serial"),
        ("ring36:streaming=yes", "streaming is 'yes'; choose one of on, off, overlapped, serial"),
        ("ring4:triangle=on,triangle=off", "setting 'triangle' is given twice"),
        ("ring4:topology=torus", "interconnect.topology is 'torus'"),
        ("ring4:triangle=maybe", "rules.triangle is 'maybe'; it must be true or false"),
        ("ring4:link_bandwidth=0", "interconnect.link_bandwidth is 0.0; it must be positive"),
        ("ring4:link_bandwidth=nan", "interconnect.link_bandwidth is nan"),
        ("ring4:peak_flops=-1", "chip_kinds.edge.peak_flops is -1.0; it must be positive"),
        ("ring4:peak_flops=on", "chip_kinds.edge.peak_flops is True; it must be a number"),
        ("ring4:sram_bytes=big", "chip_kinds.edge.sram_bytes is 'big'; it must be a number"),
        ("chain4:acyclic=off", "a chain carries tensors forward only"),
        ("missing.toml", "cannot read hardware file 'missing.toml'"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused_in_one_sentence(spec: str, message: str) -> None:
    with pytest.raises(InvalidHardware, match=message) as caught:
        load_hardware(spec)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_settings_follow_a_file_as_they_follow_a_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(to_toml(load_hardware("ring4")))
    changed = load_hardware(f"{file}:sram_bytes=3e6,streaming=on")
    assert changed == load_hardware("ring4:sram_bytes=3e6,streaming=on")
    with pytest.raises(InvalidHardware, match="smra_bytes"):
        load_hardware(f"{file}:smra_bytes=3e6")
