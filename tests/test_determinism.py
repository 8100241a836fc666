"""Limits by work: the same input and seed give the same answer, whatever the machine does meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from checked import as_given
from faults import draw
from instances import answer_of, chain_of, package
from oracle import certify

from partition import InvalidInput, load_hardware, load_model, partition
from partition.stopping import POLL, Stop

ROOT = Path(__file__).parent.parent
TIMES = ("seconds", "history", "proofs")


def without_times(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer but for the seconds in it."""
    kept = {key: value for key, value in answer.items() if key not in TIMES}
    kept["steps"] = [{k: v for k, v in row.items() if k != "seconds"} for row in answer["history"]]
    return kept


def solve_in_a_process(*arguments: str, **environment: str) -> dict[str, Any]:
    command = [sys.executable, "cli.py", "solve", *arguments, "--json", "--quiet"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return without_times(json.loads(done.stdout))


@pytest.mark.parametrize(
    "question",
    [
        ("randwire", "--hw", "ring8", "--work-limit", "0.4"),
        ("randwire:stages=1,nodes=12", "--hw", "ring8:transfers=serial,relays=off", "--work-limit", "0.6"),
    ],
    ids=lambda question: question[0],
)
def test_processes_agree_whatever_the_hash_seed_the_threads_and_the_load(question: tuple[str, ...]) -> None:
    load = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        first = solve_in_a_process(*question, PYTHONHASHSEED="1", OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    finally:
        load.kill()
        load.wait()
    second = solve_in_a_process(*question, PYTHONHASHSEED="2", OPENBLAS_NUM_THREADS="2", OMP_NUM_THREADS="2")
    assert first == second
    assert first["work"] is not None and len(first["steps"]) > 1


@pytest.mark.parametrize("options", [{"policy": "pretrained", "seed": 5}, {"objective": "period,traffic"}], ids=str)
def test_policies_seeds_and_goals_are_repeatable_too(options: dict[str, Any]) -> None:
    graph, hardware = load_model("randwire:stages=1,nodes=12").graph, load_hardware("ring8:transfers=serial,relays=off")
    first, second = (answer_of(partition(graph, hardware, work_limit=0.4, **options)) for _ in range(2))
    assert without_times(first) == without_times(second)


def test_small_instances_of_all_generators_are_repeatable_and_right() -> None:
    for seed in range(10):
        graph, hardware = draw(np.random.default_rng([77, seed]))
        first, second = (partition(graph, hardware, work_limit=20) for _ in range(2))
        certify(as_given(graph, hardware), answer_of(first))
        assert without_times(answer_of(first)) == without_times(answer_of(second))
        assert first.status == partition(graph, hardware).status


def test_members_side_by_side_agree_with_members_one_after_the_other() -> None:
    graph, hardware = load_model("randwire:stages=1,nodes=12").graph, load_hardware("ring8:transfers=serial,relays=off")
    side_by_side = answer_of(partition(graph, hardware, work_limit=0.2, workers=2))
    with joblib.parallel_config(backend="sequential"):
        in_turn = answer_of(partition(graph, hardware, work_limit=0.2, workers=2))
    assert without_times(side_by_side) == without_times(in_turn)
    assert side_by_side["status"] == "feasible"


def test_more_work_never_gives_less() -> None:
    graph, hardware = load_model("randwire").graph, load_hardware("ring8")
    gaps = [partition(graph, hardware, work_limit=limit).gap for limit in (0.05, 0.3, 0.8)]
    assert gaps == sorted(gaps, reverse=True) and gaps[-1] < gaps[0]


def test_the_time_limit_is_a_safeguard_that_says_when_it_struck() -> None:
    graph, hardware = load_model("randwire:stages=1,nodes=12").graph, load_hardware("ring8:transfers=serial,relays=off")
    result = partition(graph, hardware, work_limit=1e6, time_limit=1.5)
    certify(as_given(graph, hardware), answer_of(result))
    assert "another run may differ" in result.faults[0]


def test_without_a_work_limit_no_work_is_counted() -> None:
    result = partition(chain_of([1, 1]), package(2))
    assert result.work is None and json.loads(result.to_json())["work"] is None


def test_a_stop_by_work_runs_on_charges_alone_and_shares_them_with_its_parts() -> None:
    stop = Stop(work_limit=1.0)
    part = stop.limited(0.5)
    assert not stop() and not part()
    part.charge(0.6)
    assert part() and not stop()
    assert stop.seconds == pytest.approx(0.6, abs=10 * POLL)
    stop.charge(0.4)
    assert stop() and stop.remaining == 0.0
    timed = Stop(60.0)
    timed.charge(1e9)
    assert not timed() and timed.work == 0.0


def test_a_loop_that_only_asks_ends_too() -> None:
    stop, rounds = Stop(work_limit=0.1), 0
    while not stop():
        rounds += 1
    assert rounds <= 0.1 / POLL


@pytest.mark.parametrize("limit", [0, -1, float("nan"), "1"])
def test_no_work_is_refused(limit: object) -> None:
    with pytest.raises(InvalidInput, match="work limit"):
        partition(chain_of([1, 1]), package(2), work_limit=limit)  # type: ignore[arg-type]
