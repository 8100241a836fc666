"""Wishes that cannot be kept together, told without one too many."""

from __future__ import annotations

from typing import Any

import pytest
from checked import as_given
from exhaustive import brute_force
from instances import package
from wished_lines import line, told

from partition import Graph, Hardware, partition
from partition.problem.wishes import Wishes
from partition.solve import contradictions

SETS: list[dict[str, Any]] = [
    {"pins": [("a", 0), ("a", 1)]},
    {"pins": {"a": 2, "f": 1}},
    {"pins": {"b": 1, "d": 0}, "together": [["e", "f"]], "max_stages": 3},
    {"pins": {"a": 1, "b": 1, "f": 3}},
    {"pins": {"f": 3}, "max_stages": 3},
    {"pins": {"f": 3}, "forbid": {"f": [3]}},
    {"forbid": {"c": [0, 1, 2, 3]}},
    {"forbid": [("c", [0, 1]), ("c", [2, 3])]},
    {"together": [["a", "f"]], "cuts": [("b", "c")]},
    {"together": [["a", "b"], ["b", "c"]], "cuts": [("a", "c")]},
    {"cuts": [("c", "c")]},
    {"cuts": [("d", "b")]},
    {"cuts": [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")]},
    {"cuts": [("a", "b"), ("b", "c")], "max_stages": 2},
    {"cuts": [("a", "b"), ("c", "d")], "max_stages": 3, "pins": {"c": 0}},
    {"granularity": "layer", "cuts": [("m.0.x", "m.0.y")]},
    {"granularity": "layer", "pins": {"m.0.x": 0, "m.0.y": 1}},
    {"forbid": {"f": [1, 2, 3]}, "pins": {"b": 1}},
    {"forbid": {"*": [1]}, "pins": {"f": 2}},
    {"together": [["*"]], "max_stages": 1, "weights": 3.0},
    {"max_stages": 1, "forbid": {"a": [3]}, "weights": 3.0},
    {"cuts": [("a", "b"), ("c", "d")], "pins": {"e": 1}, "forbid": {"b": [3]}},
]


def six(wishes: dict[str, Any]) -> tuple[Graph, dict[str, Any]]:
    """Six operations in a row, some in modules where that matters, and the wishes without the size of weights."""
    names = ("m.0.x", "m.0.y", "m.1.x", "d", "e", "f") if "granularity" in wishes else tuple("abcdef")
    rest = dict(wishes)
    return line(*names, weights=rest.pop("weights", 0.0)), rest


def without(wishes: dict[str, Any]) -> list[dict[str, Any]]:
    """The wishes without any one of them."""
    whole = Wishes.of(**wishes).to_dict()
    found = []
    for kind, entries in whole.items():
        if isinstance(entries, list):
            found += [{**whole, kind: entries[:i] + entries[i + 1 :]} for i in range(len(entries))]
        elif entries is not None:
            found.append({**whole, kind: None})
    return found


@pytest.mark.parametrize("wishes", SETS, ids=str)
def test_a_contradiction_is_told_and_irreducible(wishes: dict[str, Any]) -> None:
    """Brute force by the independent checker: none keeps what is told, and some keeps all but any one of it."""
    graph, wishes = six(wishes)
    hardware = package(4, sram=12.0)
    result = partition(graph, hardware, **wishes)
    assert result.status == "infeasible" and result.contradiction is not None
    assert result.contradiction.irreducible
    named = told(result, wishes, graph)
    assert named, "at least one wish"
    rules = dict.fromkeys(("acyclic", "no_skipping", "triangle", "memory", "dynamic_memory"), False)
    only = hardware.with_rules(**{**rules, **dict.fromkeys(result.contradiction.rules, True)})
    assert brute_force(as_given(graph, only, named))[0] is None, "no placement keeps what is told"
    for fewer in without(named):
        assert brute_force(as_given(graph, only, fewer))[0] is not None, f"{fewer} can be kept"
    for rule in result.contradiction.rules:
        relaxed = only.with_rules(**{rule: False})
        assert brute_force(as_given(graph, relaxed, named))[0] is not None, f"without rule {rule} it can be kept"


def test_a_required_throughput_may_be_part_of_a_contradiction() -> None:
    result = partition(line(*"abcdef"), package(4), max_stages=2, throughput=0.5, pins={"a": 0})
    assert result.contradiction is not None
    assert result.contradiction.wishes == ("at most 2 stages",) and result.contradiction.rules == ("throughput",)


def test_memory_is_asked_about_where_dynamic_memory_turns_out_needless_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule that builds on it speaks for it only as long as it is needed."""
    ask, opened = contradictions._possible, []

    def once_open(graph: Graph, hardware: Hardware, asked: Any, *rest: Any) -> bool | None:
        if "dynamic_memory" not in asked.rules and not opened:
            opened.append(asked)
            return None
        return ask(graph, hardware, asked, *rest)

    monkeypatch.setattr(contradictions, "_possible", once_open)
    hardware = package(2, sram=1e6).with_rules(dynamic_memory=True)
    told = partition(line(*"ab"), hardware, pins=[("a", 0), ("a", 1)]).contradiction
    assert opened and told is not None and told.irreducible
    assert told.rules == () and told.wishes == ("'a' is on chip 0", "'a' is on chip 1")


def test_where_wishes_have_no_part_the_reason_is_the_usual_one() -> None:
    result = partition(line("a", "b", weights=100.0), package(2, sram=12.0), pins={"a": 0})
    assert result.status == "infeasible" and result.contradiction is None and "rule memory" in result.reason
