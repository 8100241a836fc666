"""Windows: the chips on which each node can sit if the period is to stay within a threshold.

A node on chip ``c`` has its ancestors on chips ``0..c``; each chip does at most ``block_work`` of compute. So a
chip whose prefix would be overfull is too early, and by symmetry one whose suffix would be is too late.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from milp.tolerances import ROUNDING
from partition.arrays import BoolArray, FloatArray, IntArray
from partition.instance.features import ABSORBED, PERIOD_ALONE, Scope, named
from partition.instance.instance import Instance

SCOPE = Scope(
    engine="windows",
    claims="chips on which each node can be within a period",
    covers=ABSORBED
    | named(
        "CHAIN RING ROUTES CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC ANY_ORDER NO_SKIPPING SKIPPING "
        "TRIANGLE LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS RELAYS MIXED_KINDS FREE_ORDER UNSUPPORTED "
        "FREE_TRANSFERS SHARED_WEIGHTS FREE_EDGES ZERO_TIMES CUTS STREAMING STREAMING_IN_TURN"
    ),
    refuses={
        **PERIOD_ALONE,
    },
)


PACKED_LIMIT = 40_000
"""Nodes up to which reachability is kept (packed, N^2 / 8 bytes); beyond it, windows stay wide open."""

KEPT_LIMIT = 2_800
"""Nodes up to which it is kept unpacked too (half of N^2 numbers, 32 MB)."""

MOST_PRICES = 8
"""Kinds of chips up to which the time of each kind alone has a price."""

CHUNK = 256
"""Rows of the reachability matrix unpacked at a time."""


@dataclass(frozen=True, eq=False)
class Windows:
    """First and last possible chip of every node, ``lo`` and ``hi`` of shape (N,)."""

    lo: IntArray
    hi: IntArray

    @property
    def empty(self) -> bool:
        """Whether some node has no chip left: the threshold is proved impossible."""
        return bool(np.any(self.lo > self.hi))

    @property
    def free(self) -> int:
        """Number of binaries a formulation over these windows has."""
        return int(np.maximum(self.hi - self.lo, 0).sum())


@dataclass(frozen=True, eq=False)
class _Price:
    """Priced work of each node (N,), and what the chips ``0..c`` and ``c..C-1`` can pay for, (C,)."""

    work: FloatArray
    before: FloatArray
    after: FloatArray

    @staticmethod
    def of(work: FloatArray, paid: FloatArray) -> _Price:
        """Of what each chip can pay, (C,)."""
        return _Price(work, paid.cumsum(), paid[::-1].cumsum()[::-1])


class WindowRules:
    """Derives windows for any threshold; holds the reachability of one instance."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance

    @cached_property
    def _reach(self) -> NDArray[np.uint8]:
        """(N, N / 8) packed bits: bit ``u`` of row ``v`` is set where ``u`` is an ancestor of ``v`` or ``v`` itself."""
        n = self.instance.nodes
        bits = np.zeros((n, (n + 63) // 64), dtype=np.uint64)
        bits[np.arange(n), np.arange(n) // 64] = np.uint64(1) << (np.arange(n) % 64).astype(np.uint64)
        for u, v in self._edges_by_reader:
            bits[v] |= bits[u]
        return bits.view(np.uint8)

    def ancestors(self) -> BoolArray:
        """(N, N) at [v, u] whether u is v or an ancestor of it."""
        n = self.instance.nodes
        return np.unpackbits(self._reach, axis=1, count=n, bitorder="little").astype(bool)

    def _sums(self, upwards: FloatArray, downwards: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(N, C) sums of ``upwards`` over each node and its ancestors, of ``downwards`` over it and its descendants."""
        over_ancestors, over_descendants = np.empty_like(upwards), np.zeros_like(downwards)
        begin = 0
        for rows in self._portions():
            end = begin + len(rows)
            over_ancestors[begin:end] = rows @ upwards[:end]
            over_descendants[:end] += rows.T @ downwards[begin:end]
            begin = end
        return over_ancestors, over_descendants

    def _portions(self) -> Iterable[FloatArray]:
        """Rows of the reachability matrix up to its diagonal: ancestors come before their descendants."""
        return self._kept if self.instance.nodes <= KEPT_LIMIT else self._unpacked()

    @cached_property
    def _kept(self) -> list[FloatArray]:
        return list(self._unpacked())

    def _unpacked(self) -> Iterator[FloatArray]:
        n = self.instance.nodes
        for begin in range(0, n, CHUNK):
            end = min(begin + CHUNK, n)
            yield np.unpackbits(self._reach[begin:end], axis=1, count=end, bitorder="little").astype(np.float64)

    @cached_property
    def _edges_by_reader(self) -> list[list[int]]:
        edges = self.instance.edges
        return edges[np.argsort(edges[:, 1], kind="stable")].tolist()  # type: ignore[no-any-return]

    def windows(self, threshold: float, block_work: float | None = None) -> Windows:
        """Windows of every placement whose period is at most ``threshold``.

        Parameters
        ----------
        threshold : period, in units of the instance.
        block_work : most compute one chip can hold within the threshold; the threshold itself by default.
        """
        inst = self.instance
        chips = inst.chips
        if not SCOPE.admits(inst.features):
            return Windows(np.zeros(inst.nodes, dtype=np.int64), np.full(inst.nodes, chips - 1))
        work = min(threshold, block_work if block_work is not None else threshold) * (1 + ROUNDING)
        windows = self._able(work, threshold * (1 + ROUNDING))
        prices = [_Price.of(time, paid * work) for time, paid in self.prices] if np.isfinite(work) else []
        prices += self._weighed(threshold * (1 + ROUNDING)) if np.isfinite(threshold) else []
        if windows.empty or any(p.work.sum() > p.before[-1] * (1 + ROUNDING) for p in prices):
            return Windows(np.full(inst.nodes, chips), np.zeros(inst.nodes, dtype=np.int64) - 1)
        if len(inst.edges) == 0 or inst.nodes > PACKED_LIMIT:
            return windows
        while True:
            tighter = windows
            for price in prices:
                tighter = self._tighten(tighter, price)
                if tighter.empty:
                    return tighter
            if tighter.empty or (np.array_equal(tighter.lo, windows.lo) and np.array_equal(tighter.hi, windows.hi)):
                return tighter
            windows = tighter

    def _able(self, work: float, threshold: float) -> Windows:
        """First and last chip whose kind can run each node within the work of a chip and the threshold."""
        inst = self.instance
        able = inst.supported & (inst.time <= work) & (inst.alone <= threshold)
        able = able[inst.hardware.kind_array()]  # (C, N)
        never = ~able.any(axis=0)
        lo, hi = able.argmax(axis=0), inst.chips - 1 - able[::-1].argmax(axis=0)
        return propagate(inst, Windows(np.where(never, inst.chips, lo), np.where(never, -1, hi)))

    def _weighed(self, threshold: float) -> list[_Price]:
        """The same of weights, where chips stream: of bytes, and of time where all stream alike in turn with compute.

        Within the threshold ``T`` chip ``c`` has at most ``sram[c] + rate[c] * T`` bytes. In turn with compute, what
        its nodes compute and would stream without SRAM is at most ``T + sram[c] / rate[c]``.
        """
        inst, rate = self.instance, self.instance.streaming
        room = inst.room(threshold)
        if not rate.any() or np.isinf(room).any():
            return []
        prices = [_Price.of(inst.weights / room.max(), room / room.max())]
        if inst.hardware.streams_in_turn and (rate == rate[0]).all():
            paid = threshold + inst.hardware.sram_bytes / rate
            prices.append(_Price.of(inst.fastest + inst.weights / rate[0], paid))
        return prices

    @cached_property
    def prices(self) -> list[tuple[FloatArray, FloatArray]]:
        """Prices of the kinds' time: all equal, by relative speed, and each kind's alone.

        Each with the priced work of every node (N,), and what every chip pays per unit of the threshold, (C,).

        For any prices >= 0 a node costs at least its cheapest kind's price, and chips can pay no more than their time.
        """
        inst = self.instance
        kinds = inst.problem.present
        time = np.where(inst.supported, inst.time, np.inf)[kinds]
        vectors = [np.ones(len(kinds))]
        if len(kinds) > 1:
            common = np.isfinite(time).all(axis=0)
            total = time[:, common].sum(axis=1)
            if (total > 0).all():
                vectors.append(total.min() / total)
            if len(kinds) <= MOST_PRICES:
                vectors += list(np.eye(len(kinds)))
        prices = []
        for vector in vectors:
            cost = np.where(np.isfinite(time), vector[:, None] * np.where(np.isfinite(time), time, 0.0), np.inf)
            paid = vector[np.searchsorted(kinds, inst.hardware.kind_array())]
            least = cost.min(axis=0)
            prices.append((np.where(np.isfinite(least), least, 0.0), paid))
        return prices

    def _tighten(self, windows: Windows, price: _Price) -> Windows:
        """One round: overfull prefixes and suffixes, given what must already lie within them."""
        inst = self.instance
        chips, time = inst.chips, price.work
        stages = np.arange(chips)
        early = (windows.hi[:, None] <= stages) * time[:, None]  # (N, C) must lie on 0..c
        late = (windows.lo[:, None] >= stages) * time[:, None]  # (N, C) must lie on c..C-1
        before, after = self._sums(time[:, None] - early, time[:, None] - late)
        before, after = before + early.sum(axis=0), after + late.sum(axis=0)
        overfull_before = before > price.before * (1 + ROUNDING) + ROUNDING * (price.before == 0)
        overfull_after = after > price.after * (1 + ROUNDING) + ROUNDING * (price.after == 0)
        lo = np.maximum(windows.lo, overfull_before.sum(axis=1))
        hi = np.minimum(windows.hi, chips - 1 - overfull_after.sum(axis=1))
        return propagate(inst, Windows(lo, hi))


def propagate(instance: Instance, windows: Windows) -> Windows:
    """``lo[u] <= lo[v]`` and ``hi[u] <= hi[v]`` along every edge ``(u, v)``, one more where there is a cut."""
    windows = _along_edges(instance, windows)
    if not len(instance.before):
        return windows
    first, second = instance.before.T
    while not windows.empty:
        low, high = windows.lo.copy(), windows.hi.copy()
        np.maximum.at(low, second, low[first] + 1)
        np.minimum.at(high, first, high[second] - 1)
        if np.array_equal(low, windows.lo) and np.array_equal(high, windows.hi):
            return windows
        windows = _along_edges(instance, Windows(low, high))
    return windows


def _along_edges(instance: Instance, windows: Windows) -> Windows:
    """``lo[u] <= lo[v]`` and ``hi[u] <= hi[v]`` along every edge ``(u, v)``."""
    low, high = windows.lo.tolist(), windows.hi.tolist()
    edges = instance.edges  # nodes are numbered topologically where there are edges
    for u, v in edges[np.argsort(edges[:, 1], kind="stable")].tolist():
        if low[u] > low[v]:
            low[v] = low[u]
    for u, v in edges[np.argsort(-edges[:, 0], kind="stable")].tolist():
        if high[v] < high[u]:
            high[u] = high[v]
    return Windows(np.array(low), np.array(high))
