"""What a notebook shows of a result."""

from __future__ import annotations

import html
import re

import pytest

from partition import Result, load_hardware, load_model, partition
from partition.report import notebook


def test_a_notebook_shows_the_verdict_the_loads_with_names_and_the_bound() -> None:
    result = partition("towers", "ring16", work_limit=1)
    shown = result._repr_html_()
    assert html.escape(result.verdict()) in shown
    assert shown.count("<title>chip ") == 16
    assert result.wall is not None and result.why is not None
    assert html.escape(result.wall.sentence) in shown and html.escape(result.why.sentence) in shown
    assert re.search(r">period \d", shown) and (result.gap < 1e-3 or re.search(r">bound \d", shown))


def test_the_report_opens_inside_the_notebook() -> None:
    result = partition("unet", "ring4")
    frame = re.search(r'<iframe srcdoc="([^"]*)"', result._repr_html_())
    assert frame is not None
    assert html.unescape(frame.group(1)) == result.to_html()


def test_a_large_report_is_not_put_into_the_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    result = partition("unet", "ring4")
    monkeypatch.setattr(notebook, "MOST_INLINE", 10)
    assert "<iframe" not in result._repr_html_() and "to_html" in result._repr_html_()


def test_an_infeasible_result_shows_its_verdict_and_what_would_help() -> None:
    graph, hardware = load_model("unet").graph, load_hardware("ring4")
    result = Result.infeasible(graph, hardware, reason="<no room>", seconds=0, seed=0)
    shown = result._repr_html_()
    assert shown.startswith(f"<p><b>{html.escape(result.verdict())}</b></p><p>{html.escape(result.advice)}</p>")
    assert "<title>chip" not in shown and "<iframe" in shown


def test_many_chips_fit_into_a_notebook() -> None:
    shown = partition("unet", "ring300", work_limit=1)._repr_html_()
    width = float(re.search(r'<svg width="(\d+)"', shown).group(1))  # type: ignore[union-attr]
    assert width <= notebook.WIDTH + notebook.LEFT + 8
