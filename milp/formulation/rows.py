"""Row families: where nodes are, how tensors move, and what chips and links take.

``t``, ``v``, ``u``, ``w``, ``c`` and ``b`` are arrays with one element per row: a tensor, nodes and chips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from milp.formulation.columns import Columns
from milp.formulation.linear import Linear, spans
from milp.formulation.model import Model
from partition.arrays import FloatArray, IntArray

OwnedTimes = tuple[IntArray, Linear]
"""(E,) chips, and what takes each of them time."""


def homes(model: Model, cols: Columns) -> None:
    """Every node has one home, on a chip that can run it, not before its producers', and behind cuts it is behind."""
    v, c = cols.homes.pairs
    inner = c + 1 < cols.hi[v]
    v, c = v[inner], c[inner]
    model.at_most("monotone", cols.y(v, c), cols.y(v, c + 1))
    kind = cols.hw.kind_array()
    if not cols.inst.supported[cols.inst.problem.present].all():
        v, c = spans(cols.lo, cols.hi + 1)
        cannot = ~cols.inst.supported[kind[c], v]
        model.at_most("support", cols.x(v[cannot], c[cannot]), 0.0)
    source, reader = cols.inst.edges[:, 0], cols.inst.edges[:, 1]
    edge, c = spans(cols.lo[reader], cols.hi[source])
    model.at_most("acyclic", cols.y(reader[edge], c), cols.y(source[edge], c))
    first, second = cols.inst.before[:, 0], cols.inst.before[:, 1]
    pair, c = spans(cols.lo[second], cols.hi[first] + 1)
    model.at_most("cut", cols.y(second[pair], c), cols.y(first[pair], c - 1))


def replicas(model: Model, cols: Columns) -> None:
    """A replica is on a chip behind the home."""
    v, c = cols.replicas.pairs
    model.at_most("replica_after_home", cols.p(v, c), cols.y(v, c - 1))


def transfers(model: Model, cols: Columns) -> None:
    """A reader without an instance of the producer beside it receives the tensor; the home sends what is received."""
    t, c = cols.r.pairs
    row, at = cols.readers_of(t)
    w, t, c = cols.readers[at], t[row], c[row]
    here = (cols.lo[w] <= c) & (c <= cols.last[w])
    w, t, c = w[here], t[here], c[here]
    model.at_most("receive", cols.X(w, c) - cols.X(cols.source[t], c), cols.r(t, c))
    t, c = cols.s.pairs
    owner, wanted = _wanted_elsewhere(cols, t, c)
    model.at_most("send", cols.x(cols.source[t[owner]], c[owner]) + wanted, cols.s.variables.at(owner))


def _wanted_elsewhere(cols: Columns, t: IntArray, c: IntArray) -> tuple[IntArray, Linear]:
    """What takes no more from 1 than 0 where tensor ``t``, made on chip ``c``, is wanted on another chip.

    For every reader, what it takes if it is on ``c`` too; where the producer may have replicas, for every other chip
    that may receive the tensor, what it takes if it does not. Each with the element of ``t`` that it belongs to.
    """
    replicable = cols.inst.replicable[cols.source[t]]
    single, double = np.flatnonzero(~replicable), np.flatnonzero(replicable)
    row, at = cols.readers_of(t[single])
    by_reader = single[row], -cols.x(cols.readers[at], c[single][row])
    if not len(double):
        return by_reader
    row, b = cols.reader_chips(t[double])
    other = b != c[double][row]
    row, b = row[other], b[other]
    return _in_order([by_reader, (double[row], cols.r(t[double][row], b).plus(-1.0))])


def _in_order(batches: Sequence[tuple[IntArray, Linear]]) -> tuple[IntArray, Linear]:
    """Several batches as one, sorted by the owner of each expression."""
    owner, all_of_them = _all(batches)
    order = np.argsort(owner, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return owner[order], all_of_them.moved(place)


def relays(model: Model, cols: Columns) -> None:
    """A chip relays what it receives, behind the home; no chip relays that may be left empty."""
    t, c = cols.R.pairs
    source, relay = cols.source[t], cols.R.variables.all()
    if len(cols.K.variables.first):
        before = cols.relays_between(t, np.full(len(t), -1), c)
        model.equal("relays_so_far", cols.K.variables.all(), relay + before)
    model.at_most("relay_receives", relay, cols.r(t, c))
    if len(cols.busy.first):
        _relays_on_used_chips(model, cols)
    model.at_most("relay_after_home", relay, cols.y(source, c - 1) - cols.p(source, c))


def _relays_on_used_chips(model: Model, cols: Columns) -> None:
    """Closing the gaps of a placement is without loss only if no empty chip relays."""
    busy = cols.busy.first
    v = np.tile(np.arange(cols.inst.nodes), len(busy))
    row = np.repeat(np.arange(len(busy)), cols.inst.nodes)
    model.at_most("busy_by", cols.busy.all(), cols.x(v, busy[row]).sum(row, len(busy)))
    t, c = cols.R.pairs
    alone = np.isin(c, busy)
    slot = np.searchsorted(busy, c[alone])
    model.at_most("relay_on_busy", cols.R(t[alone], c[alone]), cols.busy.at(slot))


def links(model: Model, cols: Columns, tau: FloatArray, limited: IntArray) -> tuple[IntArray, Linear]:
    """What crosses each link takes no longer than the period.

    Parameters
    ----------
    tau : (M,) float
        Transfer time of each tensor.
    limited : int
        Chips; links into and out of others may take longer.

    Returns
    -------
    IntArray, Linear
        (X,) a tensor, and whether it crosses a link: every tensor with every link that it may cross.
    """
    link, tensor, crosses = _forward(model, cols) if cols.inst.forward_only else _round(model, cols)
    load = (crosses * tau[tensor]).sum(link, cols.hw.links)
    crossed = np.unique(link)
    near = np.isin(crossed, limited) | np.isin((crossed + 1) % cols.chips, limited)
    model.at_most("link", load.take(crossed[near]), cols.T)
    return tensor, crosses


def _round(model: Model, cols: Columns) -> tuple[IntArray, IntArray, Linear]:
    """A tensor crosses the links between its producer's home and a receiver, along the direction of the ring."""
    tensor, crossed = cols.g.pairs
    row, b = cols.reader_chips(tensor)
    t, link = tensor[row], crossed[row]
    u = cols.source[t]
    # Homes whose way to b takes the link are those behind b up to the link, round the ring.
    behind = (cols.y(u, link) - cols.y(u, b)).plus((b > link).astype(np.float64))
    behind = behind * (b != link).astype(np.float64)
    model.at_most("crosses", cols.r(t, b) + behind.plus(-1.0), cols.g(t, link))
    return crossed, tensor, cols.g.variables.all()


def _forward(model: Model, cols: Columns) -> tuple[IntArray, IntArray, Linear]:
    """A tensor crosses the links from its producer's home to the end of its life, ``z``."""
    wanted = cols.moving & (cols.hw.links > 0)
    home = cols.lo[cols.source]
    t, link = spans(np.where(wanted, home, 0), np.where(wanted, cols.last_reader, 0))
    crosses = cols.y(cols.source[t], link) - cols.end(t, link)
    _ends(model, cols)
    relayed, c = cols.R.pairs
    model.at_most("relay_before_end", cols.R.variables.all(), -cols.end(relayed, c).plus(-1.0))
    return link, t, crosses


def _ends(model: Model, cols: Columns) -> None:
    """A tensor is needed beyond ``c`` where a reader is, or, if replicas may make it, where it is received or made."""
    t, c = cols.z.pairs
    replicable = cols.inst.replicable[cols.source[t]]
    single, double = np.flatnonzero(~replicable), np.flatnonzero(replicable)
    row, at = cols.readers_of(t[single])
    ends = [(single[row], cols.y(cols.readers[at], c[single][row]))]
    if len(double):
        row, b = cols.reader_chips(t[double])
        beyond = b > c[double][row]
        row, b = row[beyond], b[beyond]
        ends.append((double[row], -cols.r(t[double][row], b).plus(-1.0)))
        ends.append((double, cols.y(cols.source[t[double]], c[double])))
    owner, end = _in_order(ends)
    model.at_most("ends", cols.z.variables.at(owner), end)


def loads(model: Model, cols: Columns, times: ChipTimes, limited: IntArray) -> None:
    """Every limited chip's work takes no longer than the period.

    Parameters
    ----------
    limited : int
        Chips.
    """
    whole = [times.computing, *times.receiving, *times.sending]
    parts = [whole] if cols.hw.serial else [[times.computing], times.receiving, times.sending]
    owner, each = _all([(c * len(parts) + k, batch) for k, part in enumerate(parts) for c, batch in part])
    size = cols.chips * len(parts)
    rows = (limited[:, None] * len(parts) + np.arange(len(parts))).ravel()
    written = rows[np.bincount(owner, minlength=size)[rows] > 0]
    model.at_most("chip_load", each.sum(owner, size).take(written), cols.T)


@dataclass(frozen=True, eq=False)
class ChipTimes:
    """What takes chips time, each with its chip.

    Attributes
    ----------
    chips : int
        How many there are.
    computing : what they compute.
    receiving, sending : what they receive, and what they send or relay.
    """

    chips: int
    computing: OwnedTimes
    receiving: list[OwnedTimes]
    sending: list[OwnedTimes]

    @staticmethod
    def of(cols: Columns, time: FloatArray, tau: FloatArray) -> ChipTimes:
        """For the time (K, N) of each node on each kind, and the transfer time (M,) of each tensor."""
        return ChipTimes(cols.chips, _computing(cols, time), *_moving(cols, tau))

    @cached_property
    def compute(self) -> Linear:
        """(C,) what each chip computes."""
        return self._sum([self.computing])

    @cached_property
    def moved(self) -> Linear:
        """(C,) what each chip receives and sends."""
        none = np.zeros(0, dtype=np.int64), Linear.constants(np.zeros(0))
        return self._sum([none, *self.receiving, *self.sending])

    def _sum(self, parts: Sequence[OwnedTimes]) -> Linear:
        owner, each = _all(parts)
        return each.sum(owner, self.chips)


def _computing(cols: Columns, time: FloatArray) -> OwnedTimes:
    """What chips compute, each with its chip; where that takes time."""
    v, c = cols.places
    spent = time[cols.hw.kind_array()[c], v]
    v, c, spent = v[spent != 0], c[spent != 0], spent[spent != 0]
    return c, cols.X(v, c) * spent


def _moving(cols: Columns, tau: FloatArray) -> tuple[list[OwnedTimes], list[OwnedTimes]]:
    """What chips receive, and what they send or relay, each with its chip; where that takes time."""
    if not cols.loads_transfers:
        return [], []
    charged = cols.hw.transfers_charged > 0
    moved = []
    for table in (cols.r, cols.s, cols.R):
        t, c = table.pairs
        counts = charged[c]
        moved.append((c[counts], table(t[counts], c[counts]) * tau[t[counts]]))
    return moved[:1], moved[1:]


def _all(batches: Sequence[tuple[IntArray, Linear]]) -> tuple[IntArray, Linear]:
    """Several batches as one, with the owner of each expression."""
    return np.concatenate([owner for owner, _ in batches]), Linear.stacked([batch for _, batch in batches])
