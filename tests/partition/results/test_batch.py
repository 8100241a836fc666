"""The time of a batch, with fill and drain, and the share of it in which chips are idle."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from instances import chain_of, package

from partition import InvalidInput, Result, partition
from partition.commands.main import main
from partition.simulate.engine import simulate


def test_a_batch_takes_a_period_for_each_input_but_the_first() -> None:
    """Three chips of 2, 3 and 1 seconds: the first input takes 6, each further one 3."""
    result = partition(chain_of([2.0, 3.0, 1.0], size=0.0), package(3), batch=5, pins={"v0": 0, "v1": 1, "v2": 2})
    assert result.period == 3.0
    batch = result.batch(5)
    assert batch.time == 6.0 + 4 * 3.0
    assert batch.bubbles == pytest.approx(1 - 5 * 6.0 / (3 * 18.0))
    assert result.bubbles == pytest.approx(1 - 6.0 / 9.0)
    assert result.batch(1).time == 6.0
    told = json.loads(result.to_json())
    assert told["batch"] == {"inputs": 5, "time": batch.time, "bubbles": batch.bubbles}
    assert Result.from_json(told, result.graph, result.hardware).inputs == 5


def test_the_simulator_takes_as_long_where_transfers_cost_nothing() -> None:
    result = partition(chain_of([2.0, 3.0, 1.0, 4.0], size=0.0), package(3))
    assert result.placement is not None
    run = simulate(result.graph, result.hardware, result.placement, inputs=7, record=7)
    assert max(span.end for span in run.spans) == pytest.approx(result.batch(7).time)


def test_the_command_line_tells_of_a_batch() -> None:
    done = CliRunner().invoke(main, ["solve", "resnet50", "--hw", "ring8", "-q", "--batch", "64"])
    assert done.exit_code == 0 and "a batch of 64 inputs takes" in done.output and "bubbles:" in done.output
    wrong = CliRunner().invoke(main, ["solve", "resnet50", "--hw", "ring8", "-q", "--batch", "0"])
    assert wrong.exit_code == 2 and "batch is 0; give a whole number from 1" in wrong.output


def test_no_batch_runs_where_there_is_no_placement() -> None:
    result = partition(chain_of([1.0], size=0.0), package(2), forbid={"v0": [0, 1]}, batch=3)
    assert result.status == "infeasible" and result.bubbles is None and json.loads(result.to_json())["batch"] is None
    with pytest.raises(InvalidInput, match="no placement that a batch could run on"):
        result.batch(3)
