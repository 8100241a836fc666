"""Packages from presets, settings and TOML files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from partition.errors import InvalidHardware
from partition.problem.hardware import (
    Hardware,
    Interconnect,
    Rules,
)
from partition.problem.hardware_files import load_hardware, presets, to_toml

PAGE = Path(__file__).parents[3] / "docs" / "hardware.md"


VALID = """
name = "two kinds"
[[chips]]
kind = "big"
count = 2
[[chips]]
kind = "small"
[chip_kinds.big]
peak_flops = 8e12
sram_bytes = 1000
[chip_kinds.small]
peak_flops = 1e12
[interconnect]
topology = "chain"
link_bandwidth = 1e9
transfers = "serial"
[rules]
triangle = false
"""


def from_toml(text: str, tmp_path: Path) -> Hardware:
    path = tmp_path / "package.toml"
    path.write_text(text, encoding="utf-8")
    return load_hardware(str(path))


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


def test_a_toml_file_describes_mixed_chips_in_order(tmp_path: Path) -> None:
    hardware = from_toml(VALID, tmp_path)
    assert hardware.name == "two kinds"
    assert [hardware.kinds[k].name for k in hardware.kind_of_chip] == ["big", "big", "small"]
    assert hardware.kind_array().tolist() == list(hardware.kind_of_chip)
    assert not hardware.identical_chips
    assert hardware.sram_bytes.tolist() == [1000, 1000, np.inf]
    assert hardware.interconnect == Interconnect("chain", 1e9, transfers="serial")
    assert hardware.rules == Rules(triangle=False)


def test_the_example_of_the_page_can_be_loaded(tmp_path: Path) -> None:
    example = PAGE.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    hardware = from_toml(example, tmp_path)
    assert hardware.chips == 8
    assert not hardware.rules.triangle


def test_settings_follow_a_file_as_they_follow_a_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(to_toml(load_hardware("ring4")))
    changed = load_hardware(f"{file}:sram_bytes=3e6,streaming=on")
    assert changed == load_hardware("ring4:sram_bytes=3e6,streaming=on")
    with pytest.raises(InvalidHardware, match="smra_bytes"):
        load_hardware(f"{file}:smra_bytes=3e6")


def test_a_file_without_a_name_is_called_after_itself(tmp_path: Path) -> None:
    assert from_toml(VALID.replace('name = "two kinds"', ""), tmp_path).name == "package"


def without(*lines: str) -> Callable[[str], str]:
    return lambda text: "\n".join(line for line in text.splitlines() if line not in lines)


def instead(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (instead("[interconnect]", "[interconnect"), "cannot read hardware file"),
        (instead("[rules]", "[rule]"), "unknown field rule; known are chip_kinds"),
        (instead("peak_flops = 8e12", "flops = 8e12"), "unknown field chip_kinds.big.flops; known are"),
        (instead("triangle", "square"), "unknown field rules.square"),
        (instead("count = 2", "number = 2"), r"unknown field chips\[0\].number"),
        (without("peak_flops = 8e12"), "chip_kinds.big lacks peak_flops"),
        (without("link_bandwidth = 1e9"), "interconnect lacks link_bandwidth"),
        (without('topology = "chain"', "link_bandwidth = 1e9"), "interconnect lacks topology, link_bandwidth"),
        (without('kind = "big"'), r"chips\[0\] lacks kind"),
        (without("[[chips]]", 'kind = "big"', 'kind = "small"', "count = 2"), r"no \[\[chips\]\] table"),
        (instead('kind = "small"', 'kind = "tiny"'), r"chips\[1\].kind is 'tiny'; describe it under"),
        (instead('kind = "small"', "kind = [1]"), r"chips\[1\].kind is \[1\]"),
        (instead("count = 2", "count = 0"), r"chips\[0\].count is 0"),
        (instead("count = 2", "count = 1.5"), r"chips\[0\].count is 1.5"),
        (instead("count = 2", "count = true"), r"chips\[0\].count is True"),
        (instead("count = 2", "count = 4096"), r"chips\[1\].count is 1.*all together at most 4096"),
        (
            instead("peak_flops = 8e12", 'peak_flops = "fast"'),
            "chip_kinds.big.peak_flops is 'fast'; it must be a number",
        ),
        (instead("peak_flops = 8e12", "peak_flops = 0"), "chip_kinds.big.peak_flops is 0.0; it must be positive"),
        (instead("sram_bytes = 1000", "sram_bytes = -1"), "chip_kinds.big.sram_bytes is -1.0; it must be zero or more"),
        (instead("link_bandwidth = 1e9", "link_bandwidth = nan"), "interconnect.link_bandwidth is nan"),
        (instead("1e9", "1" + "0" * 400 + "\nlink_latency_s = 1" + "0" * 400), "interconnect.link_latency_s is inf"),
        (instead("1e9", "1e9\nlink_latency_s = inf"), "interconnect.link_latency_s is inf.*finite"),
        (instead("1e9", "1e9\nlink_latency_s = 1e31"), r"it must be zero or more and finite \(from 0 to 1e\+30\)"),
        (instead("sram_bytes = 1000", "sram_bytes = 1e31"), r"it must be zero or more \(from 0 to 1e\+30, or inf\)"),
        (instead("1e9", "1e-31"), r"link_bandwidth is 1e-31; it must be positive \(from 1e-30 to 1e\+30, or inf\)"),
        (instead('"serial"', "3"), "interconnect.transfers is 3; choose one of"),
        (instead('"chain"', '"torus"'), "interconnect.topology is 'torus'"),
        (instead("triangle = false", 'triangle = "off"'), "rules.triangle is 'off'; it must be true or false"),
        (instead("triangle = false", "acyclic = false"), "a chain carries tensors forward only"),
        (instead('name = "two kinds"', "name = 3"), "name is 3; it must be text"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_field(
    change: Callable[[str], str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidHardware, match=message) as caught:
        from_toml(change(VALID), tmp_path)
    assert "package.toml" in str(caught.value)


def test_tables_of_the_wrong_form_are_refused(tmp_path: Path) -> None:
    start = 'chips = [{kind = "a"}]\n'
    link = '[interconnect]\ntopology = "ring"\nlink_bandwidth = 1\n'
    for text, message in [
        ("", r"no \[chip_kinds\] table"),
        ("chip_kinds = 3", r"no \[chip_kinds\] table"),
        (f"{start}chip_kinds = {{a = 3}}\n{link}", "chip_kinds.a is 3; it must be a table"),
        (f"{start}chip_kinds = {{a = {{peak_flops = 1}}}}", r"no \[interconnect\] table"),
        (f"{start}rules = 3\nchip_kinds = {{a = {{peak_flops = 1}}}}\n{link}", "rules is 3; it must be a table"),
        (f"chips = [3]\nchip_kinds = {{a = {{peak_flops = 1}}}}\n{link}", r"chips\[0\] is 3; it must be a table"),
    ]:
        with pytest.raises(InvalidHardware, match=message):
            from_toml(text, tmp_path)


def test_a_folder_is_not_a_hardware_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    with pytest.raises(InvalidHardware, match=r"cannot read hardware file .*folder\.toml"):
        load_hardware(str(folder))
