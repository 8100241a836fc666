"""What a model minimises: the period, or traffic, energy or latency within it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from milp.formulation import rows
from milp.formulation.chip_graph import added_for_pairs
from milp.formulation.choices import Goal, goal_unit
from milp.formulation.columns import Columns
from milp.formulation.linear import Linear, spans
from milp.formulation.model import Model
from milp.formulation.streaming import Streams
from partition.arrays import FloatArray, IntArray
from partition.instance.instance import BEYOND

CrossingTensors = tuple[IntArray, Linear]
"""(X,) a tensor, and whether it crosses a link."""


def objective(
    model: Model, cols: Columns, goal: Goal, caps: Mapping[Goal, float], crossings: CrossingTensors, streams: Streams
) -> None:
    """The variable to minimise, and a row for every other goal that must stay within a cap.

    Parameters
    ----------
    caps : goal -> float
        Most of it, in :func:`goal_unit`.
    crossings : (X,) IntArray, Linear
        A tensor, and whether it crosses a link.
    streams : Streams
        What chips stream.
    """
    written: dict[Goal, Linear] = {"period": cols.T}
    for each in sorted({goal, *caps}):
        most = caps.get(each, np.inf)
        if each == "traffic":
            written[each] = traffic(cols, crossings, _below(cols.inst.tau, most))
        elif each == "energy":
            written[each] = energy(cols, crossings, most)
        elif each == "latency":
            written[each] = latency(model, cols, most, streams)
        elif each == "moves":
            written[each] = moves(cols)
    # A variable takes up the constants that fixed nodes leave in a goal: only rows survive slicing.
    value = model.add("value", lower=-np.inf, upper=caps.get(goal, np.inf))
    if goal != "period":
        model.at_most("valued", written[goal], value.all())
    model.objective = cols.T if goal == "period" else value.all()
    for each, cap in caps.items():
        if each != goal:
            model.at_most("caps", written[each] * (1 / (cap or 1.0)), 1.0 if cap else 0.0)


def _below(figures: FloatArray, most: float) -> FloatArray:
    """Parts of a sum of at most so much: what alone exceeds it cannot be, and how far it does spoils rows.

    Where nothing may be left, any part counts as 1.
    """
    return np.minimum(figures, BEYOND * most) if most else np.asarray(figures > 0, dtype=np.float64)


def moves(cols: Columns) -> Linear:
    """Operations whose home is another chip than the one where they shall stay."""
    limits = cols.inst.graph.limits
    assert limits is not None and limits.reference is not None
    chips = np.minimum(limits.reference, cols.chips)
    known = np.flatnonzero((chips >= 0) & (chips < cols.chips))
    pairs = np.stack([cols.inst.node_of[known], chips[known]])
    places, count = np.unique(pairs, axis=1, return_counts=True)
    staying = (cols.x(places[0], places[1]) * count.astype(np.float64)).total()
    return (-staying).plus(float(np.count_nonzero(chips >= 0)))


def traffic(cols: Columns, crossings: CrossingTensors, figures: FloatArray) -> Linear:
    """The figures (M,) of all that crosses links (where there are none: of all that is received), added up."""
    if cols.hw.links:
        tensor, crosses = crossings
        return (crosses * figures[tensor]).total()
    return (cols.r.variables.all() * figures[cols.r.variables.first]).total()


def energy(cols: Columns, crossings: CrossingTensors, most: float) -> Linear:
    """Energy of all instances and transfers, in :func:`goal_unit`."""
    unit, kind = goal_unit(cols.inst, "energy"), cols.hw.kind_array()
    v, c = cols.places
    working = (cols.X(v, c) * _below(cols.inst.energy / unit, most)[kind[c], v]).total()
    link = cols.hw.interconnect
    if not link.link_energy_j_per_byte or link.topology == "memory":
        return working
    joules = link.link_energy_j_per_byte * link.link_bandwidth * cols.inst.unit / unit
    # on a crossbar, one hop for all that is received
    return working + traffic(cols, crossings, _below(cols.inst.tau * joules, most))


def latency(model: Model, cols: Columns, cap: float, streams: Streams) -> Linear:
    """The end of the last chip; a chip begins when all it receives from have ended and their tensors arrived."""
    inst, chips = cols.inst, cols.chips
    t, b = cols.r.pairs
    end = np.maximum(cols.hi[cols.source] + 1, cols.relay_stop)
    row, a = spans(cols.lo[cols.source[t]], np.minimum(end[t], b))
    t, b = t[row], b[row]
    hop, which = added_for_pairs(model, "hop", a, b)
    sends = cols.x(cols.source[t], a) + cols.R(t, a)
    model.at_most("hops", sends + cols.r(t, b).plus(-1.0) - cols.relays_between(t, a, b), hop.at(which))
    wait = cols.hw.interconnect.link_latency_s / inst.unit
    instances = np.where(inst.replicable, chips, 1)
    moved = 2 * float(inst.tau.sum()) + wait
    longest = 1.0 + float(inst.time.max(axis=0) @ instances) + (moved + inst.most_streaming) * chips
    longest = min(longest, cap + wait * chips)  # no chip ends behind the last
    times = rows.ChipTimes.of(cols, np.minimum(inst.time, BEYOND * cap), np.minimum(inst.tau, BEYOND * cap))
    busy = streams.work(model, times) + times.moved
    begin = model.add("begin", np.arange(chips), upper=np.inf)
    last = model.add("L", upper=cap)
    a, b = hop.first, hop.second
    hops = (b - a if cols.hw.links else np.ones_like(a)).astype(np.float64)
    ended = begin.at(a) + busy.take(a).plus(wait * hops)
    model.at_most("after", ended + hop.all() * longest + Linear.constants(np.full(len(a), -longest)), begin.at(b))
    model.at_most("ends_by", begin.all() + busy, last.all())
    return last.all()
