"""Values that can occur: where all times are multiples of a common unit, sums of them are too.

So are sums of bytes, each times the links that it crosses, and numbers of operations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from milp.tolerances import DECIMAL, ROUNDING
from partition.arrays import FloatArray, IntArray
from partition.instance.features import ABSORBED, Feature, Scope, named
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.problem import Problem

DIGITS = 15
"""Most decimal places of a figure that counts as written in decimals."""

MOST_UNITS = 10**8
"""Most units in the longest time: beyond, rounding up says less than the margins that bounds keep."""

SUMS_LIMIT = 4 * 10**6
"""Largest period in units for which the sums that can occur are tabulated."""

SUMS_WORK = 2 * 10**9
"""Most bits shifted for that."""


SCOPE = Scope(
    engine="values that can occur",
    claims="no value lies between a bound and what it is rounded up to",
    covers=ABSORBED
    | named(
        "CHAIN RING ROUTES CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC ANY_ORDER NO_SKIPPING SKIPPING TRIANGLE "
        "LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS RELAYS MIXED_KINDS FREE_ORDER UNSUPPORTED FREE_TRANSFERS "
        "SHARED_WEIGHTS FREE_EDGES ZERO_TIMES CUTS TRAFFIC MOVES"
    ),
    refuses={
        **dict.fromkeys((Feature.ENERGY, Feature.LATENCY, Feature.CHIPS), "it knows no unit of these"),
        **dict.fromkeys((Feature.STREAMING, Feature.STREAMING_IN_TURN), "what is streamed is no sum of times"),
    },
)
"""Every load is a sum of times of operations, each once, and of transfer times, each once. Where a chip's transfers add
to its compute, they count twice: received, and sent on."""


@dataclass(frozen=True, eq=False)
class Multiples:
    """The unit of which all values that can occur are whole multiples.

    Attributes
    ----------
    unit : in the unit of the value.
    """

    unit: Fraction

    def up(self, bound: float) -> float:
        """The least value that can occur, and is not less than ``bound``."""
        if not 0 < bound < math.inf:
            return bound
        units = math.ceil(Fraction(bound) / self.unit)
        return float(self._next(units) * self.unit)

    def below(self, value: float) -> float:
        """The largest value that can occur and is less than ``value`` by more than rounding."""
        units = math.ceil(Fraction(value * (1 - ROUNDING)) / self.unit) - 1
        return float(self._last(units) * self.unit)

    def _next(self, units: int) -> int:
        return units

    def _last(self, units: int) -> int:
        return units


@dataclass(frozen=True, eq=False)
class Grid(Multiples):
    """The unit of which all times and transfer times are whole multiples, and the multiples themselves.

    Every load is a sum of times and transfer times, so every period is a multiple of the unit. The unit is found from
    the decimal figures, exactly: floating point enters neither the unit nor the multiples.

    Attributes
    ----------
    unit : in the hardware's time unit.
    times : (K, n) multiples for each operation on each kind; -1 where the kind cannot run it.
    transfers : (m,) multiples for each tensor.
    serial : whether a chip's transfers add to its compute.
    """

    times: IntArray
    transfers: IntArray
    serial: bool

    @cached_property
    def _reach(self) -> tuple[int, int]:
        """(bits of the sums that can occur, the number of sums looked at); (0, 0) where that is too much."""
        computes = [row[row > 0] for row in self.times]
        moved = self.transfers[self.transfers > 0]
        loads = [*computes, moved]
        if self.serial:  # a tensor may be received, and sent on
            loads = [np.concatenate([row, moved, moved]) for row in computes]
        size = min(max(int(row.sum()) for row in loads), SUMS_LIMIT) + 1
        if size * sum(len(row) for row in loads) > SUMS_WORK:
            return 0, 0
        mask, found = (1 << size) - 1, 0
        for row in loads:
            sums = 1
            for item in np.sort(row).tolist():
                sums |= (sums << item) & mask
            found |= sums
        return found, size

    def _next(self, units: int) -> int:
        found, size = self._reach
        if units >= size:
            return units
        after = found >> units
        return units + (after & -after).bit_length() - 1 if after else units

    def _last(self, units: int) -> int:
        found, size = self._reach
        if units >= size or units < 0:
            return units
        return max((found & ((1 << (units + 1)) - 1)).bit_length() - 1, 0)


def multiples_of(goal: str, graph: Graph) -> Multiples | None:
    """The common unit of the values of another goal than the period; None if there is none."""
    if goal == "moves":
        return Multiples(Fraction(1))
    if goal != "traffic" or not graph.tensor_bytes.any():
        return None
    moved = _decimals(graph.tensor_bytes)
    if moved is None:
        return None
    size, byte = moved
    return Multiples(byte * int(np.gcd.reduce(size)))


def grid_of(graph: Graph, hardware: Hardware) -> Grid | None:
    """The common unit of all times; None if there is none that is not tiny beside them, or weights are streamed."""
    if hardware.streams:
        return None
    problem = Problem.of(graph, hardware)
    times = problem.times[problem.present]
    able = np.isfinite(times)
    found = _decimals(times[able])
    moved = _decimals(graph.tensor_bytes)
    bandwidth = hardware.interconnect.link_bandwidth
    if found is None or moved is None or not able.any():
        return None
    whole, unit = found
    size, byte = moved
    tick = unit * int(np.gcd.reduce(whole, initial=0))
    if math.isfinite(bandwidth) and size.any():
        pace = byte / Fraction(repr(float(bandwidth)))
        tick = _common(tick, pace * int(np.gcd.reduce(size)))
    else:
        pace = Fraction(0)
    longest = max(int(whole.max(initial=0)) * unit, int(size.max(initial=0)) * pace)
    if tick == 0 or longest / tick > MOST_UNITS:
        return None
    multiples = np.full(times.shape, -1, np.int64)
    multiples[able] = _times(whole, unit / tick)
    return Grid(tick, multiples, _times(size, pace / tick), hardware.serial)


def _decimals(values: FloatArray) -> tuple[IntArray, Fraction] | None:
    """Whole numbers and the power of ten that the values are multiples of, as they would be written."""
    for places in range(DIGITS + 1):
        scaled = values * 10.0**places
        whole = np.rint(scaled)
        if whole.max(initial=0.0) >= 2.0**53:
            return None
        if (np.abs(whole / 10.0**places - values) <= DECIMAL * values).all():
            return whole.astype(np.int64), Fraction(1, 10**places)
    return None


def _common(a: Fraction, b: Fraction) -> Fraction:
    """The greatest number of which both are multiples."""
    top = math.gcd(a.numerator * b.denominator, b.numerator * a.denominator)
    return Fraction(top, a.denominator * b.denominator)


def _times(whole: IntArray, factor: Fraction) -> IntArray:
    """Whole numbers times a fraction, where every product is whole; exact however large numbers in between are."""
    common = int(np.gcd.reduce(whole, initial=0))
    if common == 0:
        return np.zeros_like(whole)
    each = factor * common
    assert each.denominator == 1
    return np.asarray((whole // common) * int(each))
