"""What a result says of itself: JSON, table, sentence."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest
from instances import broadcast_mask, chain_of, long_skip, package

from partition import GraphBuilder, Progress, load_hardware, load_model, partition
from partition.results.display import Display


def test_json_has_no_infinity_even_when_infeasible(tmp_path: Path) -> None:
    b = GraphBuilder("heavy")
    b.operation("v", "Op", weights=9.0)
    result = partition(b.build(), package(1, sram=1.0))
    data = json.loads(result.to_json(tmp_path / "out.json"))
    assert data == json.loads((tmp_path / "out.json").read_text())
    assert data["status"] == "infeasible"
    assert data["period"] is data["bound"] is data["gap"] is data["throughput"] is None
    assert "memory" in data["reason"] and data["assignment"] == {}
    assert math.isnan(result.gap) and "infeasible" in str(result)


def test_figures_agree_with_one_another() -> None:
    result = partition(chain_of([1, 2, 3], size=0.5), package(2, transfers="serial"))
    data = result.to_dict()
    assert data["throughput"] == pytest.approx(1 / data["period"])
    assert data["gap"] == pytest.approx((data["period"] - data["bound"]) / data["period"], abs=1e-12)
    assert max(row["load"] for row in data["per_chip"]) == pytest.approx(data["period"])
    assert len(data["per_link"]) == 2 and len(data["per_chip"]) == 2
    assert data["assignment"] == result.assignment


def test_the_table_has_a_row_per_chip_and_says_what_was_copied() -> None:
    result = partition(broadcast_mask(4), package(4, relays=False))
    table = result.to_table()
    assert table.count("%") >= 4 and "replicated operations" in table and "<- the busiest" in table
    relayed = partition(long_skip(4, time=10.0), package(4, replication=False)).to_table()
    assert "relayed tensors: 1 over 2 hops: t0" in relayed


def test_a_period_of_zero_is_no_division_by_zero() -> None:
    b = GraphBuilder("free")
    b.operation("v", "Op", bytes_accessed=0)
    result = partition(b.build(), package(2))
    assert result.period == 0 and result.gap == 0 and result.throughput == math.inf
    assert result.to_dict()["throughput"] is None and "period 0" in result.to_table()


def test_progress_in_a_log_is_a_line_for_every_change() -> None:
    stream = io.StringIO()
    with Display(stream) as display:
        display(Progress(0.5, "seeds", None, 1.0, None))
        display(Progress(0.6, "seeds", None, 1.0, None))
        display(Progress(1.5, "milp", 2.0, 1.0, 0.5))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert "none yet" in lines[0] and "gap 50%" in lines[1]


def test_progress_on_a_terminal_is_live_and_leaves_nothing_behind() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with Display(stream) as display:
        display(Progress(0.5, "seeds", 2.0, 1.0, 0.5))
    assert "seeds" in stream.getvalue() or "\x1b" in stream.getvalue()


def test_the_verdict_names_every_goal_and_how_near_it_is() -> None:
    graph, hardware = load_model("resnet50").graph, load_hardware("ring4")
    verdict = partition(graph, hardware, objective="chips,energy", throughput=1000).verdict()
    assert "minimised chips 3 (least), then energy" in verdict and " J (least)" in verdict
