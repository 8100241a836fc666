"""Boards: packages that can be solved on, written and read."""

from __future__ import annotations

import pytest
from instances import chain_of

from partition import load_hardware, partition
from partition.problem.boards import BOARDS
from partition.problem.hardware_files import presets
from partition.problem.hardware_toml import to_toml


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_a_package_that_can_be_written_read_and_solved_on(name: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    hardware = load_hardware(name)
    assert name in dict(presets())
    path = tmp_path / "board.toml"
    path.write_text(to_toml(hardware))
    assert load_hardware(str(path)) == hardware
    result = partition(chain_of([1e9] * hardware.chips, size=1e3), hardware)
    assert result.status == "optimal" and len(set(result.assignment.values())) == hardware.chips


def test_settings_follow_the_name_of_a_board() -> None:
    assert load_hardware("dgx-h100:transfers=serial").serial
    assert load_hardware("dgx-a100").interconnect.link_bandwidth == 300e9
