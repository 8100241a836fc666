"""A question with wishes as one without: wishes become groups, kinds of chips, fewer chips, and cuts.

Groups of operations become colocation groups. Chips that some operations may not use become kinds of their own, alike
but for those operations. Where nothing runs behind the last stage allowed, the package ends there. So every engine
sees a question of the form that it knows; only a cut is something new (``Limits.before``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from partition.arrays import BoolArray, IntArray
from partition.errors import InvalidInput
from partition.order import components
from partition.problem.graph import Graph, Limits
from partition.problem.hardware import MOST_KINDS, Hardware
from partition.problem.problem import Problem
from partition.problem.replication import replicable
from partition.problem.wishes import Wish

MOST_PAIRS = 200_000
"""Most pairs of operations with a cut between them."""


@dataclass(frozen=True, eq=False)
class Narrowed:
    """What is searched instead of a question with wishes.

    Attributes
    ----------
    graph, hardware : with all that the wishes ask for. Chips keep their numbers.
    """

    graph: Graph
    hardware: Hardware


def narrow(graph: Graph, hardware: Hardware, wishes: Sequence[Wish]) -> Narrowed:
    """The question that has exactly those placements of a graph on a package that keep some wishes.

    Raises
    ------
    InvalidInput : a wish names chips of a package on which kinds may stand in any order. Or wishes tell apart more
        kinds of chips, or more pairs of operations, than there is room for.
    """
    if not wishes:
        return Narrowed(graph, hardware)
    grouped = replace(graph, group=_groups(graph, wishes))
    fixed, allowed = _allowed(graph, hardware.chips, wishes)
    open_ = np.ones(hardware.chips, dtype=bool)
    for wish in wishes:
        if wish.kind == "max_stages":
            open_[list(wish.chips)] = False
    before = _pairs(graph, hardware, wishes)
    by_chip = len(fixed) > 0 or not open_.all()
    if not by_chip and not len(before):
        return Narrowed(grouped, hardware)
    if by_chip and hardware.kind_order == "free" and not hardware.identical_chips:
        raise InvalidInput(
            f"a wish names chips or stages, and on {hardware.name!r} kinds of chips may stand in any order; "
            'set kind_order = "fixed", or leave that wish out'
        )
    copies = _copies(grouped, hardware, fixed)
    lightest = copies if graph.least is None else _copies(grouped.lightest, hardware, fixed)
    searched, package = grouped, hardware
    if by_chip:
        searched, package = _told_apart(grouped, hardware, fixed, allowed, open_)
    return Narrowed(replace(searched, limits=Limits(before, copies, lightest)), package)


def tied(graph: Graph, wishes: Sequence[Wish]) -> BoolArray:
    """(n,) operations that share a chip with others, by the graph's own groups or by a wish."""
    return np.asarray(_groups(graph, wishes) >= 0, dtype=np.bool_)


def remembering(graph: Graph, hardware: Hardware, chips: IntArray) -> Graph:
    """The same question, in which operations may be told to stay on chips (n,); -1 where it does not matter."""
    limits = graph.limits
    if limits is None:
        copies = Problem.of(graph, hardware).replicable
        limits = Limits(np.zeros((0, 2), dtype=np.int64), copies, copies)
    return replace(graph, limits=replace(limits, reference=chips))


def _copies(graph: Graph, hardware: Hardware, fixed: IntArray) -> BoolArray:
    """(n,) what may be replicated where wishes say of some operations on which chips they can be."""
    problem = Problem.of(graph, hardware)
    return replicable(graph, hardware, problem.times[problem.present], fixed)


def _groups(graph: Graph, wishes: Sequence[Wish]) -> IntArray:
    """(n,) colocation groups, those that share an operation joined."""
    sets = [members for wish in wishes if wish.kind in ("together", "granularity") for members in wish.groups]
    sets += [np.flatnonzero(graph.group == g) for g in np.unique(graph.group[graph.group >= 0])]
    sets = [members for members in sets if len(members) > 1]
    if not sets:
        return graph.group
    ties = np.concatenate([np.stack([np.full(len(members), members[0]), members]) for members in sets], axis=1)
    label = components(graph.n, ties, "weak")
    alone = np.bincount(label)[label] == 1
    alone &= graph.group < 0
    return np.where(alone, -1, label)


def _allowed(graph: Graph, chips: int, wishes: Sequence[Wish]) -> tuple[IntArray, BoolArray]:
    """(R,) operations that pins and forbidden chips speak of, and (R, C) the chips that these leave them."""
    speaking = [wish for wish in wishes if wish.kind in ("pin", "forbid")]
    if not speaking:
        return np.zeros(0, dtype=np.int64), np.ones((0, chips), dtype=bool)
    fixed = np.unique(np.concatenate([wish.groups[0] for wish in speaking]))
    allowed = np.ones((len(fixed), chips), dtype=bool)
    for wish in speaking:
        named = np.zeros(chips, dtype=bool)
        named[list(wish.chips)] = True
        allowed[np.searchsorted(fixed, wish.groups[0])] &= named if wish.kind == "pin" else ~named
    return fixed, allowed


def _pairs(graph: Graph, hardware: Hardware, wishes: Sequence[Wish]) -> IntArray:
    """(B, 2) pairs of operations with a cut between; those that follow from others along the edges are left out."""
    chain = hardware.interconnect.topology == "chain"
    binding = np.full(len(graph.consumers), True) if chain else graph.edge_constrains & hardware.rules.acyclic
    edges = np.stack([graph.edge_source, graph.consumers])[:, binding]
    found = [np.zeros((0, 2), dtype=np.int64)]
    for wish in wishes:
        if wish.kind != "cut":
            continue
        before, behind = wish.groups
        last = before[~_reach(graph, edges[::-1], before)[before]]
        first = behind[~_reach(graph, edges, behind)[behind]]
        if len(last) * len(first) > MOST_PAIRS:
            raise InvalidInput(f"{wish.text}: {len(last)} times {len(first)} operations are too many; name fewer")
        found.append(np.stack([np.repeat(last, len(first)), np.tile(first, len(last))], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _reach(graph: Graph, edges: IntArray, start: IntArray) -> BoolArray:
    """(n,) the operations that a path of at least one edge (from the first row to the second) leads to."""
    reached = np.zeros(graph.n, dtype=bool)
    order = np.argsort(edges[0], kind="stable")
    tail, head = edges[0][order], edges[1][order]
    begin, end = np.searchsorted(tail, np.arange(graph.n)), np.searchsorted(tail, np.arange(graph.n), side="right")
    waiting = start.tolist()
    while waiting:
        v = waiting.pop()
        new = np.unique(head[begin[v] : end[v]])
        new = new[~reached[new]]
        reached[new] = True
        waiting += new.tolist()
    return reached


def _told_apart(
    graph: Graph, hardware: Hardware, fixed: IntArray, allowed: BoolArray, open_: BoolArray
) -> tuple[Graph, Hardware]:
    """The graph with times for the package in which chips that are not all the same to every operation differ in kind.

    Parameters
    ----------
    fixed, allowed : (R,) operations and (R, C) the chips they can use.
    open_ : (C,) the chips that may be used at all.
    """
    if _may_end_early(graph, hardware):
        package = replace(hardware, kind_of_chip=hardware.kind_of_chip[: int(open_.sum())], kind_order="fixed")
    else:
        package = replace(hardware, kind_order="fixed")
    chips = package.chips
    used, kinds = open_[:chips], package.kind_array()
    able = allowed[:, :chips] & used
    rows = np.concatenate([kinds[None], used[None], able], axis=0)
    plain = used & able.all(axis=0)
    _, first, class_of = np.unique(rows, axis=1, return_index=True, return_inverse=True)
    times = Problem.of(graph, hardware).times
    profiled = dict(graph.profiled_times)
    described, of_chip = list(package.kinds), kinds.copy()
    for number, chip in enumerate(first.tolist()):
        if plain[chip]:
            continue
        name = f"{package.kinds[kinds[chip]].name}@{chip}"
        while any(kind.name == name for kind in described) or name in profiled:
            name += "'"
        taken = times[kinds[chip]].copy()
        taken[fixed[~able[:, chip]] if used[chip] else slice(None)] = np.inf
        profiled[name] = taken
        of_chip[class_of.ravel() == number] = len(described)
        described.append(replace(package.kinds[kinds[chip]], name=name))
    kept = np.unique(of_chip)
    if len(kept) > MOST_KINDS:
        raise InvalidInput(
            f"the wishes tell {len(kept)} kinds of chips apart; {MOST_KINDS} are the most, so pin fewer operations"
        )
    package = replace(
        package,
        kinds=tuple(described[k] for k in kept.tolist()),
        kind_of_chip=tuple(np.searchsorted(kept, of_chip).tolist()),
    )
    return replace(graph, profiled_times=profiled), package


def _may_end_early(graph: Graph, hardware: Hardware) -> bool:
    """Whether the first chips of the package, cut off, cost what they cost in the whole."""
    topology = hardware.interconnect.topology
    forward = hardware.rules.acyclic and bool(graph.edge_constrains.all())
    return topology in ("chain", "crossbar", "memory") or (topology == "ring" and forward)
