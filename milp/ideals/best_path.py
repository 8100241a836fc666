"""The best chain of blocks: Bellman over the chips used so far, how many of the package or of each kind."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milp.state.bisect import bisect
from milp.tolerances import RING_PRECISION, ROUNDING
from partition.arrays import FloatArray
from partition.problem.hardware import Hardware

Used = tuple[int, ...]
"""Chips of each kind."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Blocks between nested ideals.

    Attributes
    ----------
    start, end : (P,) ideals, by number; ``end`` ascends.
    loads : per chip kind (P,), the load of the block on a chip of that kind.
    returned : (P,) transfer time of what the block sends back round the ring; None where nothing goes round.
    """

    start: NDArray[np.int32]
    end: NDArray[np.int32]
    loads: list[FloatArray]
    returned: FloatArray | None


@dataclass(frozen=True)
class Path:
    """A chain: its period, or next below it what is proved impossible, its ideals, and the kinds of its chips."""

    period: float
    ideals: list[int]
    kinds: list[int]


def best_path(hw: Hardware, pairs: Pairs, ideals: int, threshold: float) -> Path | None:
    """The chain from the first ideal to the last of least period, None if none is below ``threshold``.

    On a ring every tensor that goes back to an earlier chip crosses the link behind the last chip. So the sum of all of
    them is a load too. A shortest path tells whether it and all blocks are within a period. Bisection finds the least
    period.
    """
    fastest = _Layers(hw, pairs, pairs.loads, np.maximum, ideals)
    if not fastest.value < threshold:
        return None
    if pairs.returned is None:
        return Path(fastest.value, *fastest.path())
    found: list[_Layers] = []  # the last is of the least period known to be possible

    def possible(period: float) -> bool:
        layers = _within(hw, pairs, period, ideals)
        if layers.value * (1 - ROUNDING) > period:
            return False
        found.append(layers)
        return True

    def ask(period: float, low: float, high: float) -> tuple[float, float]:
        return (low, period) if possible(period) else (period, high)

    least = fastest.value
    if not possible(least):
        if not possible(threshold):
            return None
        least = bisect(least, threshold, ask, precision=RING_PRECISION).low
    return Path(least, *found[-1].path())


def _within(hw: Hardware, pairs: Pairs, period: float, ideals: int) -> _Layers:
    """Chains of blocks within a period, by the sum of what they send back."""
    assert pairs.returned is not None
    costs = [np.where(load <= period, pairs.returned, np.inf) for load in pairs.loads]
    return _Layers(hw, pairs, costs, np.add, ideals)


class _Layers:
    """For each number of chips used, the least cost of a chain to each ideal; ``combine`` adds a block's cost."""

    def __init__(self, hw: Hardware, pairs: Pairs, costs: list[FloatArray], combine: Any, ideals: int) -> None:
        self.hw, self.pairs, self.costs, self.combine = hw, pairs, costs, combine
        targets, begin = np.unique(pairs.end, return_index=True)
        self.may_be_empty = not hw.identical_chips  # or hold nothing but what was left out
        first = np.full(ideals, np.inf)
        first[0] = 0.0
        self.layers: dict[Used, FloatArray] = {(0,) * len(hw.kinds): first}
        least = first.copy()
        for used in self._ways():
            best = np.full(ideals, np.inf)
            for k, before in self._steps_to(used):
                previous = self.layers[before]
                moved = np.minimum.reduceat(combine(previous[pairs.start], costs[k]), begin)
                best[targets] = np.minimum(best[targets], moved)
                if self.may_be_empty:
                    best = np.minimum(best, previous)
            self.layers[used] = best
            if hw.identical_chips and (best >= least).all():
                break  # fewer chips do as well everywhere, so more do no better
            least = np.minimum(least, best)
        self.used = min(self.layers, key=lambda way: (self.layers[way][-1], sum(way)))
        self.value = float(self.layers[self.used][-1])

    def path(self) -> tuple[list[int], list[int]]:
        """The ideals of the best chain, first to last, and the kind of the chip between each two."""
        start, end, used = self.pairs.start, self.pairs.end, self.used
        at = len(self.layers[used]) - 1
        ideals, kinds = [at], []
        while any(used):
            steps = list(self._steps_to(used))
            idle = [(k, w) for k, w in steps if self.may_be_empty and self.layers[w][at] == self.layers[used][at]]
            if idle:
                k, used = idle[0]
            else:
                span = slice(*np.searchsorted(end, [at, at + 1]))
                through = [self.combine(self.layers[w][start[span]], self.costs[k][span]) for k, w in steps]
                chosen = int(np.argmin([t.min() for t in through]))
                k, used = steps[chosen]
                at = int(start[span][int(np.argmin(through[chosen]))])
            ideals.append(at)
            kinds.append(k)
        return ideals[::-1], kinds[::-1]

    def _ways(self) -> Iterator[Used]:
        """Numbers of chips of each kind, fewer first: prefixes of the package, or all there are."""
        kinds, order = len(self.hw.kinds), self.hw.kind_of_chip
        if self.hw.kind_order == "fixed":
            yield from (tuple(order[: c + 1].count(k) for k in range(kinds)) for c in range(len(order)))
            return
        ways = itertools.product(*(range(order.count(k) + 1) for k in range(kinds)))
        yield from sorted((way for way in ways if any(way)), key=sum)

    def _steps_to(self, used: Used) -> Iterator[tuple[int, Used]]:
        """The kind of the last chip and what is used before it."""
        last = self.hw.kind_of_chip[sum(used) - 1]
        for k, number in enumerate(used):
            if number and (self.hw.kind_order == "free" or k == last):
                yield k, (*used[:k], number - 1, *used[k + 1 :])
