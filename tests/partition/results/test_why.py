"""Why no placement is better: each sentence follows from the placement, or from the step that proved the bound."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from instances import chain_of, package, random_instance

from partition import GraphBuilder, InvalidAssignment, Result, partition
from partition.replay.steps import ARITHMETIC, FOLLOWS, GIVEN, PROGRAMS, SOLVER
from partition.results.proof_steps import ProofStep
from partition.results.why import PASSED_ON, TOLD, proved_by
from partition.scoring.cost import CostModel
from partition.scoring.rules import valid


def why(result: Result) -> str:
    assert result.why is not None
    return result.why.sentence


def test_the_parts_of_the_wall_add_up_to_the_period() -> None:
    for spec, hardware in (
        ("resnet50", "ring4"),
        ("unet", "ring8:link_bandwidth=1e9"),
        ("unet", "ring4:transfers=serial"),
    ):
        result = partition(spec, hardware)
        assert result.wall is not None
        busiest = result.wall.busiest
        assert sum(part.time for part in busiest.parts) + busiest.time == pytest.approx(result.period)
        assert [part.time for part in busiest.parts] == sorted((part.time for part in busiest.parts), reverse=True)


def test_one_operation_that_fills_a_chip_is_the_reason() -> None:
    result = partition(chain_of([1, 7, 1]), package(3))
    assert result.why is not None and (result.why.kind, result.why.operations) == ("operation", ("v1",))
    assert why(result) == "operation 'v1' (Op) alone takes 100% of the period, and it runs on one chip"


def test_work_that_leaves_nothing_idle_is_the_reason() -> None:
    result = partition(chain_of([2, 2, 2, 2]), package(2))
    assert result.why is not None and result.why.kind == "work" and "no chip is ever idle" in why(result)


def test_more_heavy_operations_than_chips_are_the_reason() -> None:
    """Of three operations of 4 some chip of two runs two, though the work in all would allow 6.5."""
    result = partition(chain_of([4, 4, 4, 1], size=0.0), package(2))
    assert result.why is not None and result.why.kind == "crowd" and result.why.share == 1.0
    assert result.why.operations == ("v0", "v1", "v2") and "some chip runs 2 of the 3 heaviest" in why(result)


def test_a_tensor_that_every_placement_sends_is_the_reason() -> None:
    """One chip cannot run both, and the tensor between them is all that its link carries."""
    b = GraphBuilder("two")
    b.operation("a", "Op", outputs={"t": 9.0}, times={"unit": 8.0})
    b.operation("b", "Op", inputs=["t"], times={"unit": 8.0})
    result = partition(b.build(), package(2))
    assert result.period == 9.0
    assert result.why is not None and (result.why.kind, result.why.link, result.why.tensors) == ("link", 0, ("t",))
    assert "carries the tensor 't' in every placement as good: that takes 100% of the period" in why(result)


def checked_by_enumeration(result: Result) -> str:
    """The kind of the reason, once every valid assignment agrees with it."""
    said, graph, hardware = result.why, result.graph, result.hardware
    assert said is not None
    every = np.stack(np.meshgrid(*[np.arange(hardware.chips)] * graph.n, indexing="ij"), axis=-1).reshape(-1, graph.n)
    every = every[valid(graph, hardware, every)]
    model = CostModel(graph, hardware)
    period = model.period(every)
    good = every[period <= result.period * (1 + 1e-9)]
    rows = [graph.index[name] for name in said.operations]
    if said.kind == "chip":
        assert (good[:, rows] == said.chip).all()
    if said.kind == "link":
        assert said.link is not None
        for name in said.tensors:
            t = graph.tensor_names.index(name)
            readers = graph.consumers[graph.consumer_ptr[t] : graph.consumer_ptr[t + 1]]
            assert (good[:, graph.producer[t]] <= said.link).all()
            assert (good[:, readers].max(axis=1) > said.link).all()
    if said.kind == "operations":
        torn = (every[:, rows] != every[:, rows[:1]]).any(axis=1)
        assert (period[torn] >= result.bound * (1 - 1e-9)).all()
    if said.kind == "crowd":
        at_most = np.stack([(every[:, rows] == c).sum(axis=1) for c in range(hardware.chips)]).max(axis=0)
        told = re.search(r"some chip runs (\d+) of", said.sentence)
        assert told is not None and (at_most >= int(told[1])).all()
    if said.kind in ("operation", "chip", "operations") and said.share > 0:
        alone = float(result.problem.fastest[rows].sum())
        assert min(alone, result.period) == pytest.approx(said.share * result.period, rel=1e-6)
    assert 0 <= said.share <= 1
    return said.kind


def test_every_valid_assignment_agrees_with_the_reason() -> None:
    seen: dict[str, int] = {}
    for seed in range(50):
        graph, hardware = random_instance(np.random.default_rng(seed))
        hardware = hardware.with_rules(replication=False, relays=False, dynamic_memory=False, acyclic=True)
        if hardware.chips**graph.n > 70_000 or hardware.routed or not hardware.identical_chips:
            continue
        result = partition(graph, hardware, work_limit=1)
        if result.placement is not None:
            kind = checked_by_enumeration(result)
            seen[kind] = seen.get(kind, 0) + 1
    assert len(seen) >= 4 and sum(seen.values()) >= 20, seen


def test_every_engine_has_words() -> None:
    assert {*ARITHMETIC, *PROGRAMS, GIVEN, *SOLVER} == {*TOLD} and {*FOLLOWS} == {*PASSED_ON}
    page = (Path(__file__).parents[3] / "docs" / "replay.md").read_text()
    for engine in (*TOLD, *PASSED_ON):
        assert f"`{engine}`" in page


def test_a_claim_that_passes_on_another_names_the_engine_below_it() -> None:
    graph = chain_of([1, 2])
    below = ProofStep("stretches", 3.0)
    engine, said = proved_by((ProofStep("values that can occur", 4.0, rests_on=(below,)),), graph)
    assert engine == "stretches" and "stretch" in said and "no sum of operation times" in said
    assert proved_by((), graph) == ("", "")


def test_the_engine_told_is_the_one_of_the_proof() -> None:
    result = partition("resnet50", "ring4")
    assert result.why is not None and result.why.engine == "ideals" and "consecutive blocks" in why(result)
    model = partition("bert-base", "ring8:memory=off", time_limit=20)
    assert model.why is not None and model.why.engine in {*TOLD}


def test_what_is_open_is_said_to_be_open() -> None:
    result = partition("randwire", "ring16", work_limit=0.2)
    assert result.status == "feasible" and "are open: nothing is proved about them" in why(result)


def test_workers_tell_why_too() -> None:
    result = partition("resnet50", "ring4", workers=2, time_limit=20)
    assert result.why is not None and result.why.engine


def test_the_reason_is_in_the_answer_as_text_and_in_its_file(tmp_path: Path) -> None:
    result = partition("unet", "ring8")
    result.to_json(tmp_path / "a.json")
    again = Result.from_json(tmp_path / "a.json", result.graph, result.hardware)
    assert again.why == result.why and again.wall == result.wall
    assert " ".join(result.to_table().split()).count(f"why no better: {why(result)}") == 1
    told = result.to_dict() | {"why": {"kind": "work"}}
    with pytest.raises(InvalidAssignment, match="'why'"):
        Result.from_json(told, result.graph, result.hardware)


def test_on_chips_of_two_kinds_the_work_counts_at_its_dearest_prices() -> None:
    """A slow chip runs two of eight operations, a chip thrice as fast the others: both are full, and none is idle."""
    b = GraphBuilder("eight")
    for i in range(8):
        reads = [f"t{i - 1}"] if i else []
        b.operation(f"v{i}", "Op", inputs=reads, outputs={f"t{i}": 0.0}, times={"slow": 3.0, "fast": 1.0})
    one = package(2)
    kinds = tuple(replace(one.kinds[0], name=name) for name in ("slow", "fast"))
    result = partition(b.build(), replace(one, kinds=kinds, kind_of_chip=(0, 1)))
    assert result.why is not None and (result.period, result.why.kind, result.why.share) == (6.0, "work", 1.0)
    assert "however it is shared out among the kinds of chips, takes at least 100%" in why(result)
    assert "kinds of chips: 0 slow, 1 fast" in result.to_table() and "idle for 33" not in why(result)
