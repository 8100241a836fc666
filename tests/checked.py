"""Puts the independent checker behind ``partition``: no answer of a test or a benchmark goes unchecked.

``conftest.py`` installs it for the tests, in-process command lines and examples included; benchmarks call
:func:`install` themselves.
"""

from __future__ import annotations

import functools
import inspect
import json
import tomllib
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from exhaustive import brute_force
from oracle import certify

import partition as library
import partition.solve.front
from partition.problem.hardware_toml import to_toml
from partition.problem.wishes import Wishes
from partition.solve.given import opened

RESOLUTION = 2e-5
"""The least gap that counts as asked for (README of ``partition``)."""

TRIALS = 150
"""Partial placements within which an answer is also held against brute force."""

answers = 0
"""How many have been checked."""


def install(*, trials: int = 0) -> None:
    """Check every answer from now on; up to ``trials`` partial placements of brute force each."""
    checked = _checked(partition.solve.front.partition, trials)
    partition.solve.front.partition = library.partition = checked  # type: ignore[attr-defined]


def _checked(solve: Callable[..., Any], trials: int) -> Callable[..., Any]:
    if hasattr(solve, "__wrapped__"):
        return solve
    signature = inspect.signature(solve)

    @functools.wraps(solve)
    def checked(*args: Any, **kwargs: Any) -> Any:
        global answers
        result = solve(*args, **kwargs)
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        asked = given.arguments
        # Where operations are in parts, the answer is one of the graph with parts (tests/partition/shards/).
        graph, package = opened(asked["graph"], asked["hw"])
        graph = graph if result.shards is None else result.graph
        wishes = Wishes.of(**{f.name: asked[f.name] for f in fields(Wishes)}).to_dict()
        judge(graph, package, result, gap=asked["gap"], throughput=asked["throughput"], trials=trials, wishes=wishes)
        answers += 1
        return result

    return checked


def as_given(graph: Any, hardware: Any, wishes: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a user would have to write for this graph and package: the problem as the independent checker reads it."""
    return {"graph": json.loads(graph.to_json()), "hardware": tomllib.loads(to_toml(hardware)), "wishes": wishes or {}}


def judge(
    graph: Any,
    hardware: Any,
    result: Any,
    *,
    gap: float = 1e-4,
    throughput: float | None = None,
    trials: int = 0,
    wishes: dict[str, Any] | None = None,
) -> None:
    """AssertionError unless the answer, read from its JSON, passes the checker and, if small, brute force."""
    problem, answer = as_given(graph, hardware, wishes), json.loads(result.to_json())
    certify(problem, answer, gap_asked=max(gap, RESOLUTION), throughput=throughput)
    if not trials:
        return
    try:
        best, _ = brute_force(problem, limit=trials)
    except OverflowError:
        return
    agree(answer, best, throughput=throughput)


def agree(answer: dict[str, Any], best: float | None, *, throughput: float | None = None) -> None:
    """AssertionError if the least period of all refutes the answer's bound, or its infeasibility."""
    out_of_reach = best is None or (throughput is not None and best * throughput > 1)
    if answer["status"] == "infeasible":
        assert out_of_reach, f"infeasible, yet brute force found a period of {best}"
        return
    assert best is not None, "brute force found no valid placement"
    assert best * (1 - 1e-9) <= answer["period"], f"period {answer['period']} below the optimum {best}"
    assert answer["bound"] <= best * (1 + 1e-9), f"bound {answer['bound']} above the optimum {best}"
