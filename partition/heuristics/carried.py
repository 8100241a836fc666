"""A placement of one graph carried over to another that gained, lost or renamed operations.

Operations are matched by name first. Those left over are matched by structure: kind, costs and neighbourhood, refined
round by round as in the colour refinement of Weisfeiler and Leman, the finest round first; equals are paired in
topological order. What has no match goes between its neighbours, and what then breaks a rule is repaired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from partition.arrays import BoolArray, IntArray
from partition.heuristics.completion import satisfy_triangle
from partition.heuristics.repair import Repair
from partition.instance.contract import contract
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.scoring.rules import check

ROUNDS = 8
"""Rounds of refinement: operations that differ only further away count as equal."""

REPAIRS = 16
"""Repaired rows of which the one of least period is taken."""

MOST_NODES = 40_000
"""Nodes up to which a placement is repaired: repair keeps the ancestors of each as bits."""

NOWHERE = -1


@dataclass(frozen=True, eq=False)
class Carried:
    """Where operations were.

    Attributes
    ----------
    chips : (n,) int, chip of the match of each operation; -1 where there is none, or no such chip any more.
    by_name, by_structure, new : operations that were matched so, and those without a match.
    gone : operations of the earlier graph that no operation was matched with.
    """

    chips: IntArray
    by_name: int
    by_structure: int
    new: int
    gone: int

    def in_parts(self, whole: Graph, graph: Graph) -> Carried:
        """The same beside a placement of the graph with some operations in parts; parts were nowhere."""
        return replace(self, chips=chips_in_parts(self.chips, whole, graph))

    def stayed(self, placement: Placement) -> int:
        """How many operations a placement leaves where their match was."""
        return int((placement.assignment == self.chips).sum())

    def to_dict(self, placement: Placement) -> dict[str, int]:
        """For JSON, with how many a placement leaves where they were."""
        counts = {"by_name": self.by_name, "by_structure": self.by_structure, "new": self.new, "gone": self.gone}
        return {**counts, "stayed": self.stayed(placement)}

    def sentence(self, placement: Placement) -> str:
        """The same in words."""
        stayed, known = self.stayed(placement), self.by_name + self.by_structure
        matched = f"{self.by_name} operations matched by name, {self.by_structure} by structure"
        return f"start: {matched}, {self.new} new, {self.gone} gone; {stayed} of {known} are where they were"


def chips_in_parts(chips: IntArray, whole: Graph, graph: Graph) -> IntArray:
    """(n',) chips of the operations of a graph with some in parts, from (n,) those of the whole; -1 for parts."""
    homes = dict(zip(whole.names, chips.tolist(), strict=True))
    return np.array([homes.get(name, NOWHERE) for name in graph.names], dtype=np.int64)


def carry(graph: Graph, hardware: Hardware, given: Mapping[str, int], earlier: Graph | None = None) -> Carried:
    """Where the operations of a graph were in an earlier one.

    Parameters
    ----------
    given : operation of the earlier graph -> chip.
    earlier : that graph; without it operations are matched by name alone.
    """
    found = np.full(graph.n, NOWHERE)
    named = np.array([name in given for name in graph.names], dtype=bool)
    found[named] = [given[name] for name in graph.names if name in given]
    by_structure = 0
    if earlier is not None:
        match = _matched(earlier, graph)
        fits = np.flatnonzero(~named & (match >= 0))
        names = [earlier.names[u] for u in match[fits].tolist()]
        known = np.array([name in given for name in names], dtype=bool)
        found[fits[known]] = [given[name] for name in names if name in given]
        by_structure = int(known.sum())
    gone = len(given) - int(named.sum()) - by_structure
    found[(found < 0) | (found >= hardware.chips)] = NOWHERE
    matched = int(named.sum()) + by_structure
    return Carried(found, int(named.sum()), by_structure, graph.n - matched, gone)


def placed(graph: Graph, hardware: Hardware, carried: Carried, rng: np.random.Generator) -> Placement | None:
    """A valid placement that leaves operations where they were as far as the rules allow; None if repair finds none."""
    chips = _between_neighbours(graph, carried.chips)
    as_it_was = satisfy_triangle(graph, hardware, Placement(chips))
    if not check(graph, hardware, as_it_was):
        return as_it_was
    instance = contract(graph, hardware.ports_only())
    if instance.nodes > MOST_NODES:
        return None
    repair = Repair(instance)
    repaired = repair.fix(np.repeat(repair.of_nodes(chips[None]), REPAIRS, axis=0), rng)
    if not repaired.valid.any():
        return None
    best = repaired.placement(int(repaired.period().argmin()))
    return None if check(graph, hardware, best) else best


def _between_neighbours(graph: Graph, chips: IntArray) -> IntArray:
    """(n,) chips with those unknown filled in: not before the producers, not behind the readers, as far as both go."""
    filled = chips.copy()
    order = np.argsort(np.argsort(graph.topological_order))
    edges = np.stack([graph.edge_source, graph.consumers])
    latest = np.where(chips >= 0, chips, np.iinfo(np.int64).max)
    for e in np.argsort(-order[edges[0]], kind="stable").tolist():
        u, w = edges[:, e].tolist()
        if chips[u] < 0:
            latest[u] = min(latest[u], latest[w])
    earliest = np.maximum(chips, 0)
    for e in np.argsort(order[edges[1]], kind="stable").tolist():
        u, w = edges[:, e].tolist()
        if chips[w] < 0:
            earliest[w] = max(earliest[w], earliest[u])
    sources = np.bincount(graph.consumers, minlength=graph.n) == 0
    late = np.where(latest < np.iinfo(np.int64).max, latest, earliest)
    unknown = chips < 0
    filled[unknown] = np.where(sources, late, earliest)[unknown]
    return filled


def _matched(earlier: Graph, graph: Graph) -> IntArray:
    """(n,) operation of the earlier graph for each of this one, -1 where there is none."""
    match = np.full(graph.n, NOWHERE)
    taken = np.zeros(earlier.n, dtype=bool)
    for v, name in enumerate(graph.names):
        u = earlier.index.get(name)
        if u is not None:
            match[v], taken[u] = u, True
    rounds = _labels(earlier, graph, match)
    ranks = [np.argsort(g.topological_order) for g in (earlier, graph)]
    for old, new in reversed(rounds):
        _pair_equals(old, new, match, taken, ranks)
    return match


def _pair_equals(old: IntArray, new: IntArray, match: IntArray, taken: BoolArray, ranks: list[IntArray]) -> None:
    """Match operations of equal labels, if both graphs have as many of them, in topological order."""
    waiting: tuple[dict[int, list[int]], dict[int, list[int]]] = ({}, {})
    for side, label, free, rank in ((0, old, ~taken, ranks[0]), (1, new, match < 0, ranks[1])):
        inside = np.flatnonzero(free)
        for v in inside[np.argsort(rank[inside], kind="stable")].tolist():
            waiting[side].setdefault(int(label[v]), []).append(v)
    for key, some in waiting[1].items():
        others = waiting[0].get(key, [])
        if len(others) == len(some):
            match[some] = others
            taken[others] = True


def _labels(earlier: Graph, graph: Graph, match: IntArray) -> list[tuple[IntArray, IntArray]]:
    """Labels of both graphs' operations, coarse to fine; what is matched by name is told apart from all else."""
    numbers: dict[object, int] = {}
    anchored = {int(u): int(u) for u in match[match >= 0].tolist()}
    first = [
        _numbered(earlier, numbers, [anchored.get(u, NOWHERE) for u in range(earlier.n)]),
        _numbered(graph, numbers, match.tolist()),
    ]
    rounds = [(first[0], first[1])]
    for _ in range(ROUNDS):
        rounds.append((_refined(earlier, rounds[-1][0], numbers), _refined(graph, rounds[-1][1], numbers)))
    return rounds


def _numbered(graph: Graph, numbers: dict[object, int], anchors: list[int]) -> IntArray:
    rows = zip(graph.op_types, graph.flops.tolist(), graph.weights.tolist(), anchors, strict=True)
    keys: list[object] = [("anchor", row[3]) if row[3] >= 0 else row for row in rows]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _refined(graph: Graph, label: IntArray, numbers: dict[object, int]) -> IntArray:
    """Each label with those of the operations before and behind."""
    before: list[list[int]] = [[] for _ in range(graph.n)]
    behind: list[list[int]] = [[] for _ in range(graph.n)]
    of = label.tolist()
    for u, w in zip(graph.edge_source.tolist(), graph.consumers.tolist(), strict=True):
        behind[u].append(of[w])
        before[w].append(of[u])
    keys = [(of[v], tuple(sorted(before[v])), tuple(sorted(behind[v]))) for v in range(graph.n)]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)
