"""What a result says of itself: JSON, table, sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from instances import chain_of, package

from partition import GraphBuilder, load_hardware, load_model, partition


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


def test_a_period_of_zero_is_no_division_by_zero() -> None:
    b = GraphBuilder("free")
    b.operation("v", "Op", bytes_accessed=0)
    result = partition(b.build(), package(2))
    assert result.period == 0 and result.gap == 0 and result.throughput == math.inf
    assert result.to_dict()["throughput"] is None and "period 0" in result.to_table()


def test_the_verdict_names_every_goal_and_how_near_it_is() -> None:
    graph, hardware = load_model("resnet50").graph, load_hardware("ring4")
    verdict = partition(graph, hardware, objective="chips,energy", throughput=1000).verdict()
    assert "minimised chips 3 (least), then energy" in verdict and " J (least)" in verdict


def test_links_that_carry_next_to_nothing_are_told_of_as_they_are():
    """What is far below the period was told as nothing, though it is all that the link carries."""
    result = partition(chain_of([3.0, 3.0], size=2.0), package(2, bandwidth=1e10))
    assert result.to_dict()["per_link"] == [2e-10, 0.0]
