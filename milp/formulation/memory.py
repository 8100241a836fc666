"""The memory rules as rows: weights, a linear proxy of buffers and live tensors, and combinatorial cuts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from milp.formulation.columns import Columns
from milp.formulation.linear import Linear
from milp.formulation.memory_cuts import MemoryCut
from milp.formulation.model import Model
from partition.arrays import BoolArray, FloatArray, IntArray, sums
from partition.instance.instance import BEYOND
from partition.problem.chip_kind import MEMORY_SLACK

PROXY_NODES = 10
"""Nodes per chip, those that touch most bytes at once, whose live tensors get a row of their own."""


def memory(model: Model, cols: Columns, cuts: Sequence[MemoryCut], limited: IntArray) -> ChipWeights:
    """Rows of the rules ``memory`` and ``dynamic_memory`` for every limited chip; the weights that each chip holds."""
    held = ChipWeights.declared(model, cols, limited)
    capacity = cols.hw.room
    known = [_Excluded.of(cols, cut) for cut in cuts]
    for c in np.intersect1d(np.flatnonzero(np.isfinite(capacity)), limited).tolist():
        _ChipMemory(model, cols, held, c, float(capacity[c])).write()
        for cut in known:
            if cut is not None and capacity[c] <= cut.capacity:
                cut.write(model, cols, c)
    return held


@dataclass(frozen=True, eq=False)
class ChipWeights:
    """The weights that each chip holds, private ones and, as ``h[w,c]``, those that several nodes use.

    Attributes
    ----------
    cols : Columns
    weight, node : (K,) int
        Every use of a weight by a node.
    columns : (S, C) int
        Column of ``h[w,c]``, -1 where no node that uses the weight can be.
    """

    cols: Columns
    weight: IntArray
    node: IntArray
    columns: IntArray

    @staticmethod
    def declared(model: Model, cols: Columns, limited: IntArray) -> ChipWeights:
        """The variables of every limited chip on which weights matter."""
        inst = cols.inst
        matter = np.isfinite(cols.hw.room) | (inst.streaming > 0)
        chips = np.intersect1d(np.flatnonzero(matter), limited).tolist()
        count = len(inst.shared_bytes)
        weight = np.repeat(np.arange(count), np.diff(inst.shared_ptr))
        matters = inst.shared_bytes[weight] > 0
        weight, node = weight[matters], inst.shared_nodes[matters]
        columns = np.full((count, cols.chips), -1)
        here = np.zeros((cols.chips, count), dtype=bool)
        for c in chips:
            here[c, weight[_home(cols, node, c)]] = True
        chip, held = np.nonzero(here)
        family = model.add("h", held, chip)
        columns[family.first, family.second] = family.columns
        return ChipWeights(cols, weight, node, columns)

    def on(self, chip: int, unit: float, beyond: float) -> tuple[Linear, float]:
        """The weights on a chip, one by one, and the most that they can add up to.

        Parameters
        ----------
        unit : bytes that 1.0 stands for.
        beyond : what does not fit in any case: a weight that is larger counts for so much, as more spoils rows.
        """
        cols, c = self.cols, chip
        weights = np.minimum(cols.inst.weights / unit, beyond)
        private = np.flatnonzero((weights != 0) & (cols.lo <= c) & (c <= cols.last))
        sizes = np.minimum(cols.inst.shared_bytes / unit, beyond)
        shared = np.flatnonzero(self.columns[:, c] >= 0)
        own = cols.X(private, np.full(len(private), c)) * weights[private]
        held = Linear.variables(self.columns[shared, c]) * sizes[shared]
        return Linear.stacked([own, held]), _one_by_one(weights[private]) + _one_by_one(sizes[shared])

    def write_users(self, model: Model, chip: int) -> None:
        """A shared weight is on a chip where a node that uses it is."""
        here = _home(self.cols, self.node, chip)
        weight, node = self.weight[here], self.node[here]
        held = Linear.variables(self.columns[weight, chip])
        model.at_most("memory", self.cols.x(node, np.full(len(node), chip)), held)


def _home(cols: Columns, nodes: IntArray, chip: int) -> BoolArray:
    """Which of some nodes may have their home on a chip."""
    return np.asarray((cols.lo[nodes] <= chip) & (chip <= cols.hi[nodes]))


@dataclass(frozen=True, eq=False)
class _ChipMemory:
    """The rows of one chip. Bytes are scaled to the capacity, so that tolerances mean the same on every chip."""

    model: Model
    cols: Columns
    weights: ChipWeights
    chip: int
    capacity: float

    @property
    def unit(self) -> float:
        """Bytes that 1.0 stands for."""
        return self.capacity or 1.0

    @property
    def room(self) -> float:
        """What fits, in units."""
        return self.capacity / self.unit * (1 + MEMORY_SLACK)

    def write(self) -> None:
        """Nothing where all that may be here fits in any case."""
        inst = self.cols.inst
        weights, most = self.weights.on(self.chip, self.unit, BEYOND)
        if not self.cols.hw.rules.dynamic_memory:
            if most > self.room:
                self.weights.write_users(self.model, self.chip)
                self.model.at_most("memory", weights.total(), self.room)
            return
        moved = inst.moved_bytes / self.unit
        if most + 2 * _one_by_one(moved) + float(inst.footprints.max(initial=0.0)) / self.unit <= self.room:
            return
        self.weights.write_users(self.model, self.chip)
        held = [batch.total() for batch in self._held(weights, moved)]
        self.model.at_most("memory", Linear.stacked(held), self.room)

    def _held(self, weights: Linear, moved: FloatArray) -> list[Linear]:
        """What the chip holds at once, one batch for each time that gets a row.

        Parameters
        ----------
        moved : (M,) float
            Size of each tensor, in units.
        """
        cols, t = self.cols, np.flatnonzero(self.cols.moving & (moved != 0))
        c = np.full(len(t), self.chip)
        arrive, leave = cols.r(t, c) * moved[t], cols.s(t, c) * moved[t]
        if not cols.hw.serial:
            buffers = Linear.stacked([weights, arrive * 2.0, leave * 2.0])
            return [buffers, *(Linear.stacked([buffers, self._local(v)]) for v in self._busiest())]
        relayed = np.flatnonzero(cols.may_relay)
        relays = cols.R(relayed, np.full(len(relayed), self.chip)) * moved[relayed]
        held = [Linear.stacked([weights, arrive]), Linear.stacked([weights, leave, relays])]
        return held + [Linear.stacked([weights, self._touched(v)]) for v in self._busiest()]

    def _busiest(self) -> list[int]:
        """Nodes that may be here and touch most bytes at once."""
        cols, footprints = self.cols, self.cols.inst.footprints
        here = (cols.lo <= self.chip) & (self.chip <= cols.last) & (footprints != 0)
        order = np.argsort(-footprints, kind="stable")
        return order[here[order]][:PROXY_NODES].tolist()  # type: ignore[no-any-return]

    def _touched(self, v: int) -> Linear:
        """Bytes that the busiest operation of the node touches."""
        return self.cols.X(np.array([v]), np.array([self.chip])) * (float(self.cols.inst.footprints[v]) / self.unit)

    def _local(self, v: int) -> Linear:
        """The same, tensor by tensor, without what is in transfer buffers already."""
        touched = self.cols.inst.touched_tensors(v)
        row = self.cols.inst.members[np.array([t for t, _ in touched], dtype=np.int64)]
        size = np.array([size for _, size in touched]) / self.unit
        c = np.full(len(row), self.chip)
        outside = row >= 0
        moves = np.flatnonzero(outside)
        buffered = self.cols.s(row[moves], c[moves]) + self.cols.r(row[moves], c[moves])
        return (self.cols.X(np.full(len(row), v), c) - buffered.sum(moves, len(row))) * size


@dataclass(frozen=True, eq=False)
class _Excluded:
    """A cut in nodes and tensors of the instance: not all of ``on`` and ``relays`` together with none of ``off``."""

    on: IntArray
    off: IntArray
    relays: IntArray
    capacity: float

    @staticmethod
    def of(cols: Columns, cut: MemoryCut) -> _Excluded | None:
        """None where the contraction keeps the cut anyway, or cannot say it."""
        on, off = (np.unique(cols.inst.node_of[part]) for part in (cut.on, cut.off))
        relays = cols.inst.members[cut.relays]
        if len(np.intersect1d(on, off)) or (relays < 0).any():
            return None
        return _Excluded(on, off, relays, cut.capacity)

    def write(self, model: Model, cols: Columns, chip: int) -> None:
        """The row on one chip; none where the windows keep it anyway."""
        here = (cols.lo[self.on] <= chip) & (chip <= cols.last[self.on])
        c = np.full(max(len(self.on), len(self.off), len(self.relays)), chip)
        forwarded = cols.R.columns(self.relays, c[: len(self.relays)])
        if not here.all() or (forwarded < 0).any():
            return
        on, off = cols.X(self.on, c[: len(self.on)]), cols.X(self.off, c[: len(self.off)])
        total = on.total() - off.total() + Linear.variables(forwarded).total()
        model.at_most("memory", total, len(self.on) + len(self.relays) - 1.0)


def _one_by_one(amounts: FloatArray) -> float:
    """The sum of non-negative amounts, added in their order."""
    return float(sums(np.zeros(len(amounts), dtype=np.int64), amounts, 1)[0])
