"""Wishes: they are kept, they cost what brute force says they cost, and where they contradict the answer says which."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from exhaustive import brute_force
from instances import chain_of, package
from oracle import certify, violations
from questions import draw
from wish_draws import KINDS
from wished_lines import line

from partition import GraphBuilder, InvalidInput, NoSolutionInTime, Placement, check, partition
from partition.problem.modules import modules_of
from partition.problem.wishes import Wishes

TRIALS = 2_000


def agrees(seed: int, **pinned: Any) -> str:
    """The status of one random question, which brute force confirms; "" where it is too large for that."""
    question = draw(np.random.default_rng(seed), n=(2, 5), chips=(2, 3), **pinned)
    try:
        best, _ = brute_force(question.problem, limit=TRIALS)
    except OverflowError:
        return ""
    graph, hardware = question.read()
    try:
        result = partition(graph, hardware, work_limit=1 if hardware.routed else 10, **question.wishes)
    except NoSolutionInTime:
        assert graph.least is not None, f"seed {seed}: no answer"
        return ""
    certify(question.problem, json.loads(result.to_json()), gap_asked=1.0)
    if best is None:
        assert result.status == "infeasible", f"seed {seed}"
        return "infeasible"
    assert result.status == "optimal" or hardware.routed, f"seed {seed}: {result}"
    assert result.bound <= best * (1 + 1e-9) and best * (1 - 1e-9) <= result.period, f"seed {seed}"
    assert hardware.routed or result.period <= best * (1 + 1.01e-4) + 1e-18, f"seed {seed}"
    return result.status


@pytest.mark.parametrize("kind", [*KINDS, "several"])
def test_answers_agree_with_brute_force_under_wishes_of_every_kind(kind: str) -> None:
    seen = [agrees(seed, wishes=kind) for seed in range(5)]
    assert len({*seen} - {""}) >= 1 and seen.count("") < 3, seen


@pytest.mark.parametrize(("first", "second"), [*itertools.combinations(KINDS, 2)])
def test_wishes_of_any_two_kinds_go_together(first: str, second: str) -> None:
    """Where none is there in both draws, the same question is asked with the wishes of the one and of the other."""
    for seed in range(2):
        one = draw(np.random.default_rng(seed), n=(2, 5), chips=(2, 3), sram="unlimited", wishes=first)
        other = draw(np.random.default_rng(seed), n=(2, 5), chips=(2, 3), sram="unlimited", wishes=second)
        if one.hardware != other.hardware:
            continue  # free orders of kinds are drawn for wishes that name no chips alone
        wishes = {**one.wishes, **other.wishes}
        problem = {**one.problem, "wishes": wishes}
        try:
            best, _ = brute_force(problem, limit=TRIALS)
        except OverflowError:
            continue
        graph, hardware = one.read()
        result = partition(graph, hardware, work_limit=1 if hardware.routed else 10, **wishes)
        certify(problem, json.loads(result.to_json()), gap_asked=1.0)
        assert (result.status == "infeasible") == (best is None)
        if best is not None:
            assert result.bound <= best * (1 + 1e-9) and best * (1 - 1e-9) <= result.period


def test_the_rule_checker_agrees_with_the_independent_one_about_wishes() -> None:
    broken = 0
    for seed in range(70):
        question = draw(np.random.default_rng(seed), wishes="several", dynamic_memory=False)
        graph, hardware = question.read()
        rng = np.random.default_rng(seed)
        chips = np.sort(rng.integers(0, hardware.chips, graph.n))
        if rng.random() < 0.5:
            chips[graph.topological_order] = chips.copy()
        told = check(graph, hardware, Placement(chips), Wishes.of(**question.wishes))
        answer = {"assignment": dict(zip(graph.names, chips.tolist(), strict=True)), "replicas": {}, "relays": []}
        own = violations(question.problem, answer)
        kinds = {"pin", "forbid", "together", "cut", "granularity", "max_stages"}
        here = any(violation.rule in kinds for violation in told)
        there = any(entry.startswith("wish") for entry in own)
        assert here == there, (seed, told, own)
        broken += here
    assert 10 < broken < 60


def test_wishes_that_are_not_there_change_nothing() -> None:
    graph = line("a", "b", "c", "d")
    plain, empty = partition(graph, "ring4"), partition(graph, "ring4", pins={}, together=[], cuts=[], forbid={})
    assert plain.wishes is None and empty.wishes is None
    assert plain.assignment == empty.assignment and plain.bound == empty.bound


def test_a_pin_holds_every_instance_and_patterns_take_slashes_for_dots() -> None:
    graph = line("net/0/a", "net/0/b", "net/1/a", "net/1/b")
    result = partition(graph, "ring4:memory=off", pins={"net.1.*": 1})
    assert result.assignment["net/1/a"] == result.assignment["net/1/b"] == 1
    assert partition(graph, "ring4:memory=off", forbid={"*": [2, 3]}).assignment["net/1/b"] <= 1


def test_a_cut_is_a_boundary_although_everything_would_fit_on_one_chip() -> None:
    graph = line("a", "b", "c", "d", flops=0.0)
    result = partition(graph, package(4), cuts=[("b", "c")])
    assert result.assignment["b"] < result.assignment["c"]
    assert result.wishes is not None and result.wishes.cuts == (("b", "c"),)


def test_at_most_so_many_stages_use_the_first_chips_of_the_package() -> None:
    graph = line(*"abcdef")
    result = partition(graph, package(6), max_stages=2)
    assert max(result.assignment.values()) == 1 and result.period == 3.0
    assert result.hardware.chips == 6, "the answer is one of the package that was asked"


def test_a_stage_that_a_wish_names_may_stand_on_any_chip_of_a_mesh() -> None:
    graph = line(*"abcd")
    result = partition(graph, package(4, topology="biring"), pins={"d": 3})
    assert result.assignment == {"a": 0, "b": 1, "c": 2, "d": 3} and result.status == "optimal"
    assert [result.hardware.kinds[k].name for k in result.hardware.kind_of_chip] == ["unit"] * 4


def test_layers_of_bert_are_kept_whole_to_optimality_in_little_work() -> None:
    result = partition("bert-large", "ring36", granularity="layer", work_limit=2.0)
    layers = modules_of(result.graph, "layer")
    assert len(layers) == 24 and result.status == "optimal"
    assert all(len({result.assignment[result.graph.names[v]] for v in layer}) == 1 for layer in layers)
    assert result.work is not None and result.work < 2.0


def test_operations_that_a_wish_names_are_not_replicated() -> None:
    """A mask that every layer reads: replicated as a rule, on one chip where it is pinned."""
    b = GraphBuilder("mask")
    b.operation("mask", "Op", outputs={"m": 1}, flops=0.001, bytes_accessed=0)
    for i in range(4):
        b.operation(f"v{i}", "Op", inputs=["m", *([f"t{i - 1}"] if i else [])], outputs={f"t{i}": 1}, flops=10,
                    bytes_accessed=0)  # fmt: skip
    graph, hardware = b.build(), package(4, relays=False)
    free, pinned = partition(graph, hardware), partition(graph, hardware, pins={"mask": 0})
    assert free.replicas.get("mask") and not pinned.replicas
    assert free.period < pinned.period and pinned.status == "optimal"
    kept = Placement.from_names(graph, pinned.assignment, {"mask": [1]}, chips=4)
    assert "pin" in {v.rule for v in check(graph, hardware, kept, Wishes.of(pins={"mask": 0}))}
    forbidden = check(graph, hardware, kept, Wishes.of(forbid={"mask": [3]}))
    assert "replication" in {v.rule for v in forbidden}


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"pins": {"d": 0}}, "no operation of 'line' is called so"),
        ({"pins": {"abc": 0}}, "is called so"),
        ({"pins": {"a": 7}}, "the package has chips 0..3"),
        ({"pins": {"a": -1}}, "give a whole number from 0"),
        ({"pins": ["a"]}, "give operation"),
        ({"forbid": {"a": []}}, "names no chip"),
        ({"together": "a"}, "give a list"),
        ({"together": [[1]]}, "give names or patterns"),
        ({"cuts": ["ab"]}, "give two names"),
        ({"granularity": "chapter"}, "'layer', or 'module:2'"),
        ({"max_stages": 0}, "give a whole number from 1"),
    ],
)
def test_what_is_no_wish_is_refused_in_one_sentence(wishes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        partition(line("a", "b", "c"), "ring4", **wishes)


def test_where_kinds_may_stand_in_any_order_no_wish_names_a_chip() -> None:
    question = draw(np.random.default_rng(3), kinds="two", kind_order="free", chips=(3, 3), wishes="none")
    graph, hardware = question.read()
    assert not hardware.identical_chips
    with pytest.raises(InvalidInput, match="may stand in any order"):
        partition(graph, hardware, pins={graph.names[0]: 0})


def test_an_answer_tells_which_wishes_it_keeps() -> None:
    graph = chain_of([1, 2, 3, 4])
    first, second, third, _ = graph.names
    result = partition(graph, package(3), pins={first: 0}, together=[[second, third]], max_stages=2)
    assert result.to_dict()["wishes_kept"] == {"pin": 1, "together": 1, "max_stages": 1}
    assert "wishes kept: 1 of pin, 1 of together, 1 of max_stages" in result.to_table()
