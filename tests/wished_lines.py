"""A line of operations, and what an answer tells of wishes."""

from __future__ import annotations

from typing import Any

from partition import Graph, GraphBuilder
from partition.problem.wishes import Wishes
from partition.results.result import Result


def line(*names: str, flops: float = 1.0, weights: float = 0.0) -> Graph:
    """Operations one after the other."""
    b = GraphBuilder("line")
    for i, name in enumerate(names):
        b.operation(name, "Op", inputs=[f"t{i - 1}"] if i else [], outputs={f"t{i}": 0}, flops=flops, bytes_accessed=0,
                    weights=weights)  # fmt: skip
    return b.build()


def told(result: Result, wishes: dict[str, Any], graph: Graph) -> dict[str, Any]:
    """The wishes that an explanation names."""
    assert result.contradiction is not None
    names = set(result.contradiction.wishes)
    whole = Wishes.of(**wishes).to_dict()
    kept: dict[str, Any] = {}
    for kind, entries in whole.items():
        some = entries if isinstance(entries, list) else [entries] if entries is not None else []
        for entry in some:
            alone = {kind: [entry] if isinstance(entries, list) else entry}
            (wish,) = Wishes.of(**alone).on(graph, 4)
            if wish.text in names:
                kept[kind] = [*kept.get(kind, []), entry] if isinstance(entries, list) else entry
    return kept
