"""The variables as index tables, and the expressions over them: constants stand where the windows leave no choice.

The tables say where each variable exists: ``y[v,c]`` inside the window of ``v``, ``r[t,c]`` where a reader or a relay
of ``t`` may be, and so on. Every expression takes arrays of indices and gives a batch, one expression per element.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from milp.formulation.choices import Choices, Goal
from milp.formulation.linear import ImpossibleRow, Linear, spans
from milp.formulation.model import Model, Variables
from milp.windows.windows import Windows
from partition.arrays import BoolArray, IntArray
from partition.instance.instance import Instance

LONG_SUM = 16
"""Chips up to which relays between two chips are added up in every row. Beyond, rows would have more entries than fit:
there they are the difference of two running sums, which weakens HiGHS on small models."""

NOWHERE = -1


@dataclass(frozen=True, eq=False)
class Table:
    """Where the variables ``name[i, j]`` of a family are.

    They exist for ``start[i] <= j < stop[i]``, except at ``hole[i]``, and are numbered row by row.

    Attributes
    ----------
    start, stop, hole : (F,) int
        ``hole`` is :data:`NOWHERE` where there is none.
    variables : Variables
    """

    start: IntArray
    stop: IntArray
    hole: IntArray
    before: IntArray
    variables: Variables

    @staticmethod
    def declared(
        model: Model,
        name: str,
        start: IntArray,
        stop: IntArray,
        *,
        hole: IntArray | None = None,
        upper: float = 1.0,
        integral: bool = False,
    ) -> Table:
        """The table of new variables of the model, each between 0 and ``upper``."""
        hole = np.full(len(start), NOWHERE) if hole is None else hole
        first, second = spans(start, stop)
        exists = second != hole[first]
        first, second = first[exists], second[exists]
        count = np.bincount(first, minlength=len(start))
        family = model.add(name, first, second, upper=upper, integral=integral)
        return Table(start, stop, hole, np.cumsum(count) - count + family.base, family)

    @property
    def pairs(self) -> tuple[IntArray, IntArray]:
        """Both indices of every variable."""
        return self.variables.first, self.variables.second

    def columns(self, i: IntArray, j: IntArray) -> IntArray:
        """Column of ``name[i, j]`` for each element, -1 where it does not exist."""
        start, hole = self.start[i], self.hole[i]
        inside = (start <= j) & (j < self.stop[i]) & (j != hole)
        behind_hole = (hole >= start) & (j > hole)
        return np.where(inside, self.before[i] + j - start - behind_hole, -1)

    def __call__(self, i: IntArray, j: IntArray) -> Linear:
        """``name[i, j]``, 0 where it does not exist."""
        return Linear.variables(self.columns(i, j))


class Columns:
    """The variables of one problem over its windows, declared in a model.

    Attributes
    ----------
    lo, hi : (N,) int
        First and last possible home of each node.
    last : (N,) int
        Last chip on which an instance of each node can be.
    reach : (N,) int
        Last chip on which a replica of each node can be of use; -1 for nodes that are not replicable.
    first_reader, last_reader : (M,) int
        First and last chip on which a reader of each tensor can be.
    moving : (M,) bool
        Whether a tensor can leave its producer's chip at all.
    relay_start, relay_stop : (M,) int
        Chips ``relay_start <= c < relay_stop`` may relay each tensor.
    received, may_relay : (M,) bool
        Whether a tensor has receives, and relays.
    loads_transfers : bool
        Whether receiving and sending takes time or room on a chip.
    homes, replicas, r, s, R, K, z, g : Table
        Where ``y``, ``p`` and the other variables of two indices are.
    period, busy : Variables
        ``T``, and whether a chip that may relay is anybody's home.
    """

    def __init__(
        self,
        model: Model,
        instance: Instance,
        windows: Windows,
        choices: Choices,
        goals: Collection[Goal],
        upper: float | None,
    ) -> None:
        if windows.empty:
            raise ImpossibleRow
        self.inst, self.hw, self.chips = instance, instance.hardware, instance.chips
        self.choices, self.lo, self.hi = choices, windows.lo, windows.hi
        timed = self.hw.serial or self.hw.links == 0 or "latency" in goals
        self.loads_transfers = timed or self.hw.rules.dynamic_memory
        self.receives_matter = self.loads_transfers or choices.triangle or not instance.forward_only
        self.source, self.readers = instance.source, instance.readers
        self.count = np.diff(instance.reader_ptr)
        self.reach = self._reach_of_replicas()
        self.last = np.maximum(self.hi, self.reach)
        self.first_reader = self.over_readers(np.minimum, self.lo[self.readers])
        self.last_reader = self.over_readers(np.maximum, self.last[self.readers])
        home, end = self.lo[self.source], self.hi[self.source]
        self.moving = (home != end) | (self.first_reader != home) | (self.last_reader != home)
        self.received = self.moving & (self.receives_matter | instance.replicable[self.source])
        self.may_relay = self.received & instance.relayable & choices.triangle
        self.relay_start = np.where(self.may_relay, home + 1, 0)
        self.relay_stop = np.where(self.may_relay, np.maximum(self.last_reader, home + 1), 0)
        self._declare(model, np.inf if upper is None else upper)

    def _declare(self, model: Model, upper: float) -> None:
        """All variables but those of the chip graph, of shared weights and of other goals, which follow from rows."""
        self.period = model.add("T", upper=upper)
        self.homes = Table.declared(model, "y", self.lo, self.hi, integral=True)
        replicable = self.inst.replicable
        stop = np.where(replicable, self.reach + 1, 0)
        self.replicas = Table.declared(model, "p", np.where(replicable, self.lo + 1, 0), stop, integral=True)
        home, end = self.lo[self.source], self.hi[self.source]
        self.r = Table.declared(model, "r", *self._places(self.received), hole=np.where(home == end, home, NOWHERE))
        sending = self.moving & self.loads_transfers
        self.s = Table.declared(model, "s", np.where(sending, home, 0), np.where(sending, end + 1, 0))
        self.R = Table.declared(model, "R", self.relay_start, self.relay_stop, integral=True)
        counted = self.relay_stop if self.chips > LONG_SUM else self.relay_start
        self.K = Table.declared(model, "K", self.relay_start, counted, upper=np.inf)
        self.busy = model.add("busy", self._relaying_alone())
        self.z, self.g = self._crossings(model)

    def _places(self, received: BoolArray) -> tuple[IntArray, IntArray]:
        """(M,) first chip that may receive each tensor, and the one behind the last: readers and relays."""
        relays = self.relay_start < self.relay_stop
        start = np.where(relays, np.minimum(self.first_reader, self.relay_start), self.first_reader)
        return np.where(received, start, 0), np.where(received, self.last_reader + 1, 0)

    def _relaying_alone(self) -> IntArray:
        """Chips that may relay and are not sure to hold a node, where empty chips must not relay."""
        if not self.hw.rules.no_skipping or self.choices.no_skipping:
            return np.zeros(0, dtype=np.int64)
        return np.setdiff1d(self.R.variables.second, self.anchored)

    def _crossings(self, model: Model) -> tuple[Table, Table]:
        """``z`` where tensors only move forward, ``g`` where they also go round; each empty otherwise."""
        nothing = np.zeros(self.inst.tensors, dtype=np.int64)
        if not self.inst.forward_only:
            z = Table.declared(model, "z", nothing, nothing)
            return z, Table.declared(model, "g", nothing, np.where(self.moving, self.hw.links, 0))
        g = Table.declared(model, "g", nothing, nothing)
        # Not before the last reader's first chip: there the tensor is needed beyond in any case.
        home = self.lo[self.source]
        sure = np.maximum(home, self.over_readers(np.maximum, self.lo[self.readers]))
        start = np.where(self.inst.replicable[self.source], home, sure)
        wanted = self.moving & (self.hw.links > 0) & ~self.one_reader
        return Table.declared(model, "z", np.where(wanted, start, 0), np.where(wanted, self.last_reader, 0)), g

    # --- what follows from the windows --------------------------------------------------------------------

    def _reach_of_replicas(self) -> IntArray:
        reach = np.full(self.inst.nodes, -1)
        own = np.flatnonzero(self.inst.replicable[self.source])
        for u in np.flatnonzero(self.inst.replicable)[::-1].tolist():
            for t in own[self.source[own] == u].tolist():
                readers = self.inst.tensor_readers(t)
                reach[u] = max(reach[u], self.hi[readers].max(), reach[readers].max())
        return reach

    def over_readers(self, reduction: np.ufunc, values: IntArray) -> IntArray:
        """(M,) a reduction of what is given for every reader of every tensor."""
        if not len(self.count):
            return np.zeros(0, dtype=np.int64)
        return np.asarray(reduction.reduceat(values, self.inst.reader_ptr[:-1]))

    @cached_property
    def one_reader(self) -> BoolArray:
        """(M,) whether a tensor is needed as far as one node is, whose ``y`` then says so."""
        return np.asarray((self.count == 1) & ~self.inst.replicable[self.source])

    @cached_property
    def anchored(self) -> IntArray:
        """Chips that hold a node in any case."""
        return np.unique(self.lo[self.lo == self.hi])

    @cached_property
    def places(self) -> tuple[IntArray, IntArray]:
        """Node and chip of every pair where an instance of the node may be, node by node."""
        return spans(self.lo, self.last + 1)

    def readers_of(self, t: IntArray) -> tuple[IntArray, IntArray]:
        """Element and position among all readers, for each reader of the tensor of every element."""
        return spans(self.inst.reader_ptr[t], self.inst.reader_ptr[t + 1])

    def reader_chips(self, t: IntArray) -> tuple[IntArray, IntArray]:
        """Element and chip, for every chip where a reader of the tensor of an element may be."""
        return spans(self.first_reader[t], self.last_reader[t] + 1)

    # --- the expressions ----------------------------------------------------------------------------------

    @property
    def T(self) -> Linear:
        """The period, a batch of one."""
        return self.period.all()

    def y(self, v: IntArray, c: IntArray) -> Linear:
        """1 iff the home of ``v`` is on ``0..c``."""
        return Linear.variables(self.homes.columns(v, c), (c >= self.hi[v]).astype(np.float64))

    def x(self, v: IntArray, c: IntArray) -> Linear:
        """1 iff the home of ``v`` is ``c``."""
        return self.y(v, c) - self.y(v, c - 1)

    def p(self, v: IntArray, c: IntArray) -> Linear:
        """1 iff chip ``c`` holds a replica of ``v``."""
        return self.replicas(v, c)

    def X(self, v: IntArray, c: IntArray) -> Linear:
        """1 iff chip ``c`` runs ``v``, at home or as a replica."""
        return self.x(v, c) + self.p(v, c)

    def relays_between(self, t: IntArray, a: IntArray, b: IntArray) -> Linear:
        """How many chips strictly between ``a`` and ``b`` relay tensor ``t``."""
        first = np.maximum(a + 1, self.relay_start[t])
        stop = np.minimum(b, self.relay_stop[t])
        if self.chips <= LONG_SUM:
            owner, k = spans(first, stop)
            return self.R(t[owner], k).sum(owner, len(t))
        some = first < stop
        before = some & (first > self.relay_start[t])
        upto = np.where(some, self.K.columns(t, stop - 1), -1)
        without = np.where(before, self.K.columns(t, first - 1), -1)
        return Linear.variables(upto) - Linear.variables(without)

    def end(self, t: IntArray, c: IntArray) -> Linear:
        """``z[t,c]``: 1 only if no chip beyond ``c`` needs the tensor."""
        single = self.one_reader[t]
        reader = self.readers[self.inst.reader_ptr[t]]
        sure = single & (c >= self.hi[reader])
        column = np.where(single, self.homes.columns(reader, c), self.z.columns(t, c))
        return Linear.variables(column, sure.astype(np.float64))
