"""A bound that a search is given."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from instances import chain_of, diamond, package

from milp.improve.tabu import Tabu
from milp.windows.windows import WindowRules
from partition import Graph, InvalidInput, LowerBound, NoSolutionInTime, RefutedBound, partition
from partition.instance.contract import contract
from partition.problem.hardware import ChipKind
from partition.replay.replaying import replay
from partition.results.proof_file import write_proof
from partition.stopping import Stop

GIVEN = LowerBound(5.0, "another package")


def test_the_search_ends_where_the_bound_is_reached() -> None:
    hw = package(2, transfers="serial")
    first = partition(diamond(), hw, work_limit=2)
    assert first.period == 5.0 and first.proofs[-1].phase == "few ideals"
    again = partition(diamond(), hw, work_limit=2, lower_bound=GIVEN, warm_start=first)
    assert (again.status, again.period, again.bound) == ("optimal", 5.0, 5.0)
    assert [step.phase for step in again.proofs] == ["given bound"]
    assert again.work is not None and first.work is not None and again.work < first.work


def test_a_false_bound_is_withdrawn_and_the_search_goes_on() -> None:
    with pytest.warns(RefutedBound, match="it was given"):
        found = partition(diamond(), package(2, transfers="serial"), work_limit=2, lower_bound=99)
    assert (found.status, found.period, found.bound) == ("optimal", 5.0, 5.0)


def test_it_holds_for_every_order_of_kinds() -> None:
    hw = package(2)
    fast, slow = ChipKind("fast", 2.0), ChipKind("slow", 1.0)
    for order in ("fixed", "free"):
        mixed = type(hw)("mixed", (slow, fast), (0, 1), hw.interconnect, hw.rules, kind_order=order)
        best = partition(chain_of([1, 2, 3]), mixed, work_limit=2)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            again = partition(chain_of([1, 2, 3]), mixed, work_limit=2, lower_bound=best.bound)
            more = partition(chain_of([1, 2, 3]), mixed, work_limit=2, lower_bound=LowerBound(best.bound / 2))
        assert again.period == more.period == best.period and more.status == "optimal"
        with pytest.warns(RefutedBound):
            false = partition(chain_of([1, 2, 3]), mixed, work_limit=2, lower_bound=best.period * 2)
        assert (false.status, false.period) == ("optimal", best.period)


def test_a_proof_names_it_as_a_step(tmp_path: Path) -> None:
    hw = package(2, transfers="serial")
    first = partition(diamond(), hw, work_limit=2)
    result = partition(diamond(), hw, work_limit=2, lower_bound=GIVEN, warm_start=first, proof=True)
    steps = [result.proof[0], *result.proof[0].rests_on]
    assert [step.engine for step in steps][-1] == "given bound" and steps[-1].evidence == {"source": "another package"}
    write_proof(result, tmp_path / "proof.json")
    assert replay(tmp_path / "proof.json").verdict == "accepted", "small enough to be proved again"


def test_a_replay_names_the_source_of_what_it_cannot_prove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hw = package(2, transfers="serial")
    result = partition(diamond(), hw, work_limit=2, lower_bound=GIVEN, proof=True, warm_start=dict.fromkeys(
        ("top", "left", "right", "bottom"), 0))  # fmt: skip
    write_proof(result, tmp_path / "proof.json")
    monkeypatch.setattr("partition.replay.steps.Judge.by_sets", lambda *_: (False, "not tried"))
    monkeypatch.setattr("partition.replay.steps.Judge.by_second_solver", lambda *_: None)
    replayed = replay(tmp_path / "proof.json")
    assert replayed.verdict == "accepted on trust"
    assert any("it was given by another package" in line for line in replayed.trusted)


def test_what_is_no_bound_is_refused() -> None:
    for wrong in (-1.0, float("nan"), float("inf"), "5"):
        with pytest.raises(InvalidInput, match="the lower bound is"):
            partition(diamond(), package(2), lower_bound=wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="say in words"):
        LowerBound(1.0, " ")
    with pytest.raises(InvalidInput, match="leave shard out"):
        partition(diamond(), package(2), lower_bound=1.0, shard="auto")


def test_moves_from_homes_that_take_no_time_end_at_once() -> None:
    """Times of zero: there is no heaviest chip to move anything from."""
    instance = contract(chain_of([0.0, 0.0], size=0.0), package(2, triangle=False))
    tabu = Tabu(instance, WindowRules(instance), np.random.default_rng(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tabu.run(np.zeros(instance.nodes, dtype=np.int64), lambda _: False, Stop(5.0))


def test_a_bound_given_is_not_one_for_lighter_weights() -> None:
    """Two operations of 100 bytes each do not share a chip of 110, but what they are computed from would."""
    operations = [
        {"name": name, "op_type": "Op", "flops": flops, "bytes_accessed": 0, "weights": 100.0, "least_weights": 10.0}
        for name, flops in (("a", 3), ("b", 1))
    ]
    tensors = [{"name": "t", "producer": "a", "bytes": 4.0, "consumers": ["b"]}]
    held = {"format": "mcm-partition-graph", "version": 1, "name": "g", "least_shared_weights": []}
    graph = Graph.from_json(json.dumps({**held, "operations": operations, "tensors": tensors}))
    hw = package(2, topology="chain", transfers="serial", sram=110.0)
    assert partition(graph, hw).period == 7.0 and partition(graph.lightest, hw).period == 4.0
    with pytest.raises(NoSolutionInTime, match="with the bound given by the caller"):
        partition(graph, hw, objective="latency", throughput=1 / 5, lower_bound=7.0)
