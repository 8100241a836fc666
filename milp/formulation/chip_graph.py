"""The rules on the chip graph as rows: triangle and no skipping."""

from __future__ import annotations

import numpy as np

from milp.formulation.columns import Columns
from milp.formulation.linear import Linear, spans
from milp.formulation.model import Model, Variables
from partition.arrays import BoolArray, IntArray


def triangle(model: Model, cols: Columns) -> None:
    """``D`` from every constraining receive, its closure ``P``, and no direct edge beside a longer path."""
    direct = _direct(model, cols)
    D = _table(direct, cols.chips)
    a, b = np.nonzero(D >= 0)
    reachable = _closure(D >= 0)
    np.fill_diagonal(reachable, False)
    path = model.add("P", *np.nonzero(reachable))
    P = _table(path, cols.chips)
    model.at_most("path_direct", Linear.variables(D[a, b]), Linear.variables(P[a, b]))
    # A path from a to b, then an edge from b to c, is a path from a to c.
    at, c = np.nonzero(D[path.second] >= 0)
    further = c != path.first[at]
    at, c = at[further], c[further]
    step = Linear.variables(D[path.second[at], c])
    model.at_most("path_longer", path.at(at) + step.plus(-1.0), Linear.variables(P[path.first[at], c]))
    # No edge from a to c beside paths from a to b and from b to c.
    edge, between = np.nonzero((P[a] >= 0) & (P[:, b].T >= 0))
    a, c = a[edge], b[edge]
    detour = Linear.variables(P[a, between]) + Linear.variables(P[between, c])
    model.at_most("triangle", Linear.variables(D[a, c]) + detour, 2.0)


def _direct(model: Model, cols: Columns) -> Variables:
    """``D``: a chip that receives a tensor has an edge from the last chip that holds it, the home or a relay."""
    t, a, b, received = _possible(cols)
    D, which = added_for_pairs(model, "D", a, b)
    held = cols.x(cols.source[t], a) + cols.R(t, a)
    surely = held + received.plus(-1.0) - cols.relays_between(t, a, b)
    model.at_most("direct", surely, D.at(which))
    return D


def _possible(cols: Columns) -> tuple[IntArray, IntArray, IntArray, Linear]:
    """Tensor ``t``, holder ``a`` and receiver ``b`` of all that may count for the chip graph, and whether it does.

    A receive for unconstrained readers alone does not count. So where not all readers constrain, there is one
    expression for each that does.
    """
    constrains = cols.inst.reader_constrains
    some = cols.moving & (cols.over_readers(np.maximum, constrains.astype(np.int64)) > 0)
    every = cols.over_readers(np.minimum, constrains.astype(np.int64)) > 0
    relays = cols.relay_start < cols.relay_stop
    first = np.where(relays, np.minimum(cols.first_reader, cols.relay_start), cols.first_reader)
    t, b = spans(np.where(some, first, 0), np.where(some, cols.last_reader + 1, 0))
    home, end = cols.lo[cols.source], cols.hi[cols.source] + 1
    cell, a = spans(home[t], np.maximum(end, cols.relay_stop)[t])
    t, b = t[cell], b[cell]
    forward = (a < b) if cols.hw.rules.acyclic else (a != b)
    t, a, b = t[forward], a[forward], b[forward]
    if every[some].all():
        counts = cols.r.columns(t, b) >= 0
        t, a, b = t[counts], a[counts], b[counts]
        return t, a, b, cols.r(t, b)
    return _counted(cols, t, a, b, every[t])


def _counted(
    cols: Columns, t: IntArray, a: IntArray, b: IntArray, every: BoolArray
) -> tuple[IntArray, IntArray, IntArray, Linear]:
    """:func:`_possible` where only tensors at ``every`` are read by constrained readers alone."""
    mixed, plain = np.flatnonzero(~every), np.flatnonzero(every)
    row, at = cols.readers_of(t[mixed])
    bound = cols.inst.reader_constrains[at]
    owner, w = mixed[row[bound]], cols.readers[at[bound]]
    taken = cols.X(w, b[owner]) - cols.p(cols.source[t[owner]], b[owner])
    owner = np.concatenate([owner, plain])
    received = Linear.stacked([taken, cols.r(t[plain], b[plain])])
    counts = np.flatnonzero(received.has_variables | (received.constant > 0))
    chosen = counts[np.argsort(owner[counts], kind="stable")]
    return t[owner[chosen]], a[owner[chosen]], b[owner[chosen]], received.take(chosen)


def no_skipping(model: Model, cols: Columns) -> None:
    """A chip is ``used`` where it is a home; no chip is used behind one that is not."""
    chip = np.arange(cols.chips)
    used = model.add("used", chip)
    v, c = spans(cols.lo, cols.hi + 1)
    home = cols.x(v, c)
    model.at_most("used_by", home, used.at(c))
    model.at_most("used_for", used.all(), home.sum(c, cols.chips))
    model.at_most("no_skipping", used.at(chip[1:]), used.at(chip[:-1]))


def added_for_pairs(model: Model, name: str, a: IntArray, b: IntArray) -> tuple[Variables, IntArray]:
    """New variables for the pairs of chips that occur, in the order of their first occurrence.

    Also the position of each element's own among them.
    """
    chips = int(b.max(initial=0)) + 1
    key, first, which = np.unique(a * chips + b, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return model.add(name, *np.divmod(key[order], chips)), place[which]


def _table(family: Variables, chips: int) -> IntArray:
    """(C, C) column of each variable over two chips, -1 where there is none."""
    table = np.full((chips, chips), -1)
    table[family.first, family.second] = family.columns
    return table


def _closure(edges: BoolArray) -> BoolArray:
    """(C, C) whether there is a path from one chip to another."""
    reachable = edges.copy()
    for through in range(len(edges)):
        reachable |= reachable[:, through, None] & reachable[through]
    return reachable
