"""On which chips each unit can be within a period, by sums of work alone; in whole ticks."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from partition.arrays import BoolArray, IntArray
from partition.replay.streaming import priced
from partition.replay.units import TICKS, Units


@dataclass(frozen=True, eq=False)
class UnitWindows:
    """First and last chip of each unit, (U,) each. ``empty``: some unit has none, or all work is too much."""

    first: IntArray
    last: IntArray

    @property
    def empty(self) -> bool:
        """Whether no placement is within the period."""
        return bool((self.first > self.last).any())


def reach(
    units: Units, kinds: tuple[int, ...], times: IntArray, room: int = TICKS - 1, below: Fraction | None = None
) -> UnitWindows:
    """What sums of work leave of each unit's chips.

    Parameters
    ----------
    kinds : kind of each chip, in their order.
    times : (K, U) in ticks.
    room : ticks that a chip has for its compute at most.
    below : the period, where weights that chips stream count as well.
    """
    chips = len(kinds)
    able = times[list(kinds)] <= room  # (C, U)
    never = ~able.any(axis=0)
    first = np.where(never, chips, able.argmax(axis=0))
    last = np.where(never, -1, chips - 1 - able[::-1].argmax(axis=0))
    found = _along(units, first, last)
    prices = _prices(times, kinds, room)
    if below is not None:
        prices += [_whole(*each) for each in priced(units, kinds, below)]
    if any(int(price.work.sum()) > int(price.before[-1]) for price in prices):
        return UnitWindows(np.full(units.count, chips), np.full(units.count, -1))
    before = units.before
    while before is not None and not found.empty:
        tighter = found
        for price in prices:
            tighter = _tighten(units, before, tighter, price)
        if np.array_equal(tighter.first, found.first) and np.array_equal(tighter.last, found.last):
            break
        found = tighter
    return found


@dataclass(frozen=True, eq=False)
class _UnitPrices:
    """What each unit costs at least (U,), and what chips ``0..c`` and ``c..C-1`` can pay (C,); whole numbers."""

    work: IntArray
    before: IntArray
    after: IntArray


def _prices(times: IntArray, kinds: tuple[int, ...], room: int) -> list[_UnitPrices]:
    """Each kind's time for a price: all equal, by speed, and each kind's alone.

    Whatever the prices, a unit costs at least what it does where it is cheapest, and a chip pays for its time at most.
    """
    present = sorted(set(kinds))
    rows = [[int(x) for x in times[k]] for k in present]
    vectors = [[Fraction(1)] * len(present)]
    if len(present) > 1:
        common = [i for i in range(times.shape[1]) if all(row[i] < TICKS for row in rows)]
        total = [sum(row[i] for i in common) for row in rows]
        if all(total):
            vectors.append([Fraction(min(total), each).limit_denominator(1 << 20) for each in total])
        vectors += [[Fraction(int(i == j)) for j in range(len(present))] for i in range(len(present))]
    found = []
    for vector in vectors:
        costs = [[price * t if t <= room else None for t in row] for price, row in zip(vector, rows, strict=True)]
        columns = zip(*costs, strict=True)
        work = [min((cost for cost in column if cost is not None), default=Fraction(0)) for column in columns]
        paid = [vector[present.index(k)] * room for k in kinds]
        found.append(_rounded(work, paid, Fraction(1)))
    return found


def _whole(work: list[Fraction], paid: list[Fraction]) -> _UnitPrices:
    """In whole numbers whose sums are exact."""
    most = max(sum(work, Fraction(0)), sum(paid, Fraction(0)), Fraction(1, 1 << 52))
    return _rounded(work, paid, (1 << 52) / most)


def _rounded(work: list[Fraction], paid: list[Fraction], scale: Fraction) -> _UnitPrices:
    """In whole units of ``1 / scale``, costs rounded down and what is paid up."""
    before, after = itertools.accumulate(paid), itertools.accumulate(reversed(paid))
    return _UnitPrices(
        np.array([math.floor(cost * scale) for cost in work], dtype=np.int64),
        np.array([math.ceil(total * scale) for total in before], dtype=np.int64),
        np.array([math.ceil(total * scale) for total in after][::-1], dtype=np.int64),
    )


def _tighten(units: Units, before: BoolArray, found: UnitWindows, price: _UnitPrices) -> UnitWindows:
    """Units whose ancestors, with all that must lie there anyway, overfill the chips up to some chip; or behind."""
    chips = np.arange(len(price.before))
    work = price.work[:, None].astype(np.float64)  # sums of whole numbers below 2^53 are exact
    early = (found.last[:, None] <= chips) * work
    late = (found.first[:, None] >= chips) * work
    order = before.astype(np.float64)
    up_to = order @ (work - early) + early.sum(axis=0)
    from_there = order.T @ (work - late) + late.sum(axis=0)
    first = np.maximum(found.first, (up_to > price.before).sum(axis=1))
    last = np.minimum(found.last, len(chips) - 1 - (from_there > price.after).sum(axis=1))
    return _along(units, first, last)


def _along(units: Units, first: IntArray, last: IntArray) -> UnitWindows:
    """First chips do not fall along edges, last chips not against them."""
    low, high = first.tolist(), last.tolist()
    for u, v in sorted(units.edges, key=lambda edge: edge[1]):
        low[v] = max(low[v], low[u])
    for u, v in sorted(units.edges, key=lambda edge: -edge[0]):
        high[u] = min(high[u], high[v])
    return UnitWindows(np.array(low, dtype=np.int64), np.array(high, dtype=np.int64))
