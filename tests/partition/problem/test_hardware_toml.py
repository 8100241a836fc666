"""Packages from TOML files: what they say in order, and a sentence for each one that cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from partition.errors import InvalidHardware
from partition.problem.hardware import Hardware, Interconnect, Rules
from partition.problem.hardware_files import load_hardware

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
