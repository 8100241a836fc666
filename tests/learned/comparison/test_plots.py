"""Curves of a comparison as pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from learned.comparison.comparison import METHODS, MethodComparison


def test_pictures_are_written(comparison: MethodComparison, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from learned.comparison.plots import plot_samples, plot_seconds, save_figure

    save_figure(comparison, tmp_path / "both.png")
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    for plot in (plot_samples, plot_seconds):
        assert len(plot(comparison).get_lines()) == len(METHODS) + 1
