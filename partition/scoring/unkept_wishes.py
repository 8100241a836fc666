"""Which wishes a placement does not keep (docs/problem.md, *Wishes*)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from partition.arrays import IntArray
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.narrowed import narrow
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.problem.wishes import Wish
from partition.scoring.violation import Violation


def unkept_wishes(graph: Graph, hardware: Hardware, placement: Placement, wishes: Sequence[Wish]) -> list[Violation]:
    """Every wish that the placement does not keep, and every replica that wishes do not allow."""
    homes = np.stack([np.arange(graph.n), placement.assignment], axis=1)
    instances = np.concatenate([homes, placement.replicas])
    found = [violation for wish in wishes for violation in _wish(graph, placement, instances, wish)]
    may = Problem.of(narrow(graph, hardware, wishes).graph, hardware).replicable
    for v, c in placement.replicas.tolist():
        if not may[v]:
            message = f"{graph.names[v]!r} has a replica on chip {c}, but a wish names it or what it depends on"
            found.append(Violation("replication", message, (graph.names[v],), (c,)))
    return found


def _wish(graph: Graph, placement: Placement, instances: IntArray, wish: Wish) -> list[Violation]:
    """How a placement breaks one wish: a violation for each set of operations, or for all chips that it names."""
    home = placement.assignment
    if wish.kind in ("together", "granularity"):
        spread = [members for members in wish.groups if len(np.unique(home[members])) > 1]
        return [_unkept(graph, wish, members, home[members]) for members in spread]
    if wish.kind == "cut":
        last, first = (int(home[wish.groups[0]].max()), int(home[wish.groups[1]].min()))
        both = np.concatenate(wish.groups)
        wrong = both[(home[both] <= last) & (home[both] >= first)]
        return [_unkept(graph, wish, wrong, home[wrong])] if last >= first else []
    named = np.isin(instances[:, 1], wish.chips)
    if wish.kind == "max_stages":
        relaying = placement.relays[np.isin(placement.relays[:, 1], wish.chips), 1]
        used = np.concatenate([instances[named, 1], relaying])
        return [_unkept(graph, wish, instances[named, 0], used)] if len(used) else []
    outside = np.isin(instances[:, 0], wish.groups[0]) & (~named if wish.kind == "pin" else named)
    return [_unkept(graph, wish, instances[outside, 0], instances[outside, 1])] if outside.any() else []


def _unkept(graph: Graph, wish: Wish, operations: IntArray, chips: IntArray) -> Violation:
    names = tuple(graph.names[v] for v in np.unique(operations).tolist())
    where = tuple(np.unique(chips).tolist())
    shown = f"{names[0]!r}" if names else "a relay"
    more = f" ({len(names)} operations)" if len(names) > 1 else ""
    message = f"not kept: {wish.text}; {shown}{more} on chips {', '.join(map(str, where))}"
    return Violation(wish.kind, message, names, where)
