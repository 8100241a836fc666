"""Why no placement is better, and what would help."""

from __future__ import annotations

import re
from dataclasses import replace

from instances import chain_of, package

from partition import load_model, partition
from partition.results.lower_bound import LowerBound
from partition.solve.reasons import why_of


def test_without_a_record_that_is_said() -> None:
    result = partition("unet", "ring8")
    assert result.why is not None
    told = why_of(replace(result, proof=(), why=None))
    assert told is not None and told.engine == "" and "consecutive" not in told.sentence


def test_what_is_advised_where_nothing_fits_makes_it_fit() -> None:
    graph = load_model("resnet50").graph
    result = partition(graph, "ring2:sram_bytes=2.2e7")
    assert result.status == "infeasible" and "3 such chips" in result.advice
    room = re.search(r"sram_bytes=([0-9.e+]+)\)", result.advice)
    assert room is not None
    for better in ("ring3:sram_bytes=2.2e7", f"ring2:sram_bytes={room[1]}", "ring2:sram_bytes=2.2e7,memory=off"):
        assert partition(graph, better, time_limit=10).status != "infeasible"
    assert result.to_table().startswith(result.advice) and result.to_dict()["advice"] == result.advice
    assert partition(chain_of([1.0]), package(1)).advice == ""


def test_a_bound_that_was_given_is_told_as_given_and_not_as_search() -> None:
    result = partition("towers", "ring8", work_limit=0.3)
    told = why_of(replace(result, bound=0.95 * result.period, proof=(LowerBound(1.0, "another package").step,)))
    assert told is not None and told.engine == "given bound" and "search" not in told.sentence
    assert "the rest is not proved here: the bound was given by another package; the last 5% " in told.sentence
