"""Many models on many packages: every pair once, in order, the same side by side as one after the other."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from partition import InvalidHardware, InvalidInput
from partition.commands.main import main
from partition.solve.bench import BenchRow, bench, geometric_mean_quality

MODELS, PACKAGES = ("resnet50", "unet"), ("ring2", "ring4")


def timeless(row: BenchRow) -> BenchRow:
    return replace(row, seconds=0.0, loading_seconds=0.0)


def test_side_by_side_gives_the_same_rows_in_the_same_order() -> None:
    alone = [timeless(row) for row in bench(MODELS, PACKAGES, time_limit=30)]
    together = [timeless(row) for row in bench(MODELS, PACKAGES, time_limit=30, jobs=2)]
    assert alone == together
    assert [(row.model, row.hardware) for row in alone] == [(m, p) for m in MODELS for p in PACKAGES]
    assert all(row.status == "optimal" for row in alone)


def test_what_is_infeasible_has_no_period_and_does_not_count() -> None:
    rows = list(bench(["resnet50"], ["ring2:sram_bytes=1000", "ring2"], time_limit=30))
    assert rows[0].status == "infeasible" and rows[0].quality is None
    assert geometric_mean_quality(rows) == rows[1].quality


@pytest.mark.parametrize(
    ("models", "packages", "jobs"), [(["resnet50"], ["nothing7"], 1), ([], ["ring2"], 1), (["resnet50"], ["ring2"], 0)]
)
def test_bad_input_is_refused_before_anything_is_solved(models: list[str], packages: list[str], jobs: int) -> None:
    with pytest.raises((InvalidInput, InvalidHardware)):
        next(bench(models, packages, jobs=jobs))


def test_the_command_prints_a_row_for_every_pair_and_the_mean() -> None:
    done = CliRunner().invoke(main, ["bench", "unet", "--hw", "ring2", "--hw", "ring4", "--time-limit", "30"])
    assert done.exit_code == 0, done.output
    assert done.output.count("optimal") == 2 and "geometric mean" in done.output
    done = CliRunner().invoke(main, ["bench", "unet", "--hw", "ring2", "--json"])
    assert json.loads(done.stdout)["rows"][0]["status"] == "optimal"
