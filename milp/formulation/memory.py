"""The memory rules as rows: weights, a linear proxy of buffers and live tensors, and combinatorial cuts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from milp.formulation.memory_cuts import MemoryCut
from milp.formulation.pyomo_import import pyo
from partition.instance.instance import BEYOND
from partition.scoring.rules import MEMORY_SLACK

if TYPE_CHECKING:
    from milp.formulation.build import ModelBuilder

PROXY_NODES = 10
"""Nodes per chip, those that touch most bytes at once, whose live tensors get a row of their own."""


def memory_rows(builder: ModelBuilder, cuts: Sequence[MemoryCut]) -> list[Any]:
    """Rows of the rules ``memory`` and ``dynamic_memory`` for every limited chip."""
    if not builder.hw.rules.memory:
        return []
    rows = []
    for c, capacity in enumerate(builder.hw.sram_bytes.tolist()):
        if np.isfinite(capacity) and c in builder.limited:
            rows += _ChipMemory(builder, c, capacity).rows()
            rows += [row for cut in cuts if capacity <= cut.capacity for row in _cut_rows(builder, cut, c)]
    return rows


class _ChipMemory:
    """The rows of one chip. Bytes are scaled to the capacity, so that tolerances mean the same on every chip."""

    def __init__(self, builder: ModelBuilder, chip: int, capacity: float) -> None:
        self.builder, self.inst, self.c = builder, builder.inst, chip
        self.unit = capacity or 1.0
        self.room = capacity / self.unit * (1 + MEMORY_SLACK)
        self.here = [builder.lo[v] <= chip <= builder.last(v) for v in range(self.inst.nodes)]

    def rows(self) -> list[Any]:
        dynamic = self.builder.hw.rules.dynamic_memory
        weights, most = self._weights()
        if not dynamic:
            return [*self._holds(), pyo.quicksum(weights) <= self.room] if most > self.room else []
        moved = (self.inst.moved_bytes / self.unit).tolist()
        if most + 2 * sum(moved) + float(self.inst.footprints.max(initial=0.0)) / self.unit <= self.room:
            return []
        b, c = self.builder, self.c
        arrive = [moved[t] * b.r(t, c) for t in b.moving if moved[t]]
        leave = [moved[t] * b.s(t, c) for t in b.moving if moved[t]]
        if b.hw.serial:
            leave += [moved[t] * b.R(t, c) for t in b.may_relay]
            held = [weights + arrive, weights + leave]
            held += [weights + self._touched(v) for v in self._busiest()]
        else:
            buffers = [2 * term for term in arrive + leave]
            held = [weights + buffers, *(weights + buffers + self._local(v) for v in self._busiest())]
        return [*self._holds(), *(pyo.quicksum(terms) <= self.room for terms in held if terms)]

    def _shared(self) -> list[tuple[int, float, list[int]]]:
        """Shared weights that may be here, with bytes and the nodes here that use them."""
        inst, b = self.inst, self.builder
        users = np.split(inst.shared_nodes, inst.shared_ptr[1:-1]) if len(inst.shared_bytes) else []
        here = [[v for v in part.tolist() if b.lo[v] <= self.c <= b.hi[v]] for part in users]
        sizes = np.minimum(inst.shared_bytes / self.unit, BEYOND).tolist()
        return [(i, size, here[i]) for i, size in enumerate(sizes) if size and here[i]]

    def _holds(self) -> list[Any]:
        b, c = self.builder, self.c
        return [b.x(v, c) <= b.model.h[i, c] for i, _, nodes in self._shared() for v in nodes]

    def _weights(self) -> tuple[list[Any], float]:
        """Terms of the resident weights, and the most that they can add up to."""
        b, c = self.builder, self.c
        # What is larger than the chip is not on it: how much larger is of no interest, and spoils rows.
        weights = np.minimum(self.inst.weights / self.unit, BEYOND).tolist()
        private = [(v, w) for v, w in enumerate(weights) if w and self.here[v]]
        shared = self._shared()
        most = sum(size for _, size in private) + sum(size for _, size, _ in shared)
        return [size * b.X(v, c) for v, size in private] + [size * b.model.h[i, c] for i, size, _ in shared], most

    def _busiest(self) -> list[int]:
        """Nodes that may be here and touch most bytes at once."""
        order = np.argsort(-self.inst.footprints, kind="stable").tolist()
        return [v for v in order if self.here[v] and self.inst.footprints[v]][:PROXY_NODES]

    def _touched(self, v: int) -> list[Any]:
        """Bytes that the busiest operation of the node touches."""
        return [float(self.inst.footprints[v]) / self.unit * self.builder.X(v, self.c)]

    def _local(self, v: int) -> list[Any]:
        """The same without what is in transfer buffers already."""
        inst, b, c = self.inst, self.builder, self.c
        terms = []
        for t, size in inst.touched_tensors(v):
            row = int(inst.members[t])
            buffered = b.s(row, c) + b.r(row, c) if row >= 0 else 0
            terms.append(size / self.unit * (b.X(v, c) - buffered))
        return terms


def _cut_rows(builder: ModelBuilder, cut: MemoryCut, chip: int) -> list[Any]:
    """The cut on one chip; nothing where the windows or the contraction keep it anyway."""
    node_of, members = builder.inst.node_of, builder.inst.members
    on, off = (np.unique(node_of[part]).tolist() for part in (cut.on, cut.off))
    rows = members[cut.relays].tolist()
    if set(on) & set(off) or any(row < 0 for row in rows):
        return []
    if not all(builder.lo[v] <= chip <= builder.last(v) for v in on):
        return []
    forwarded = [builder.R(row, chip) for row in rows]
    if any(isinstance(term, int) for term in forwarded):
        return []
    total = sum(builder.X(v, chip) for v in on) - sum(builder.X(u, chip) for u in off) + sum(forwarded)
    return [total <= len(on) + len(rows) - 1]
