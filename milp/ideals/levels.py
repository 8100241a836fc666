"""A level: the ideals of some nodes of an instance, and how many chips the work before and behind each takes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milp.ideals.block_data import BlockData
from milp.ideals.enumeration import Kept
from milp.ideals.pairs import MANY
from milp.tolerances import ROUNDING, TRIFLE
from milp.windows.windows import WindowRules
from partition.arrays import BoolArray, IntArray
from partition.instance.instance import Instance

MOST_WAYS = 64
"""Most numbers of chips of each kind that may stand before an ideal, where their order is free."""


@dataclass(frozen=True)
class Elsewhere:
    """What chips spend on a stretch of nodes left out, beyond the time of these nodes.

    Attributes
    ----------
    first, last : the kept nodes before and behind all of them, -1 where there is none.
    more : in units of the instance.
    """

    first: int
    last: int
    more: float


class Level:
    """The ideals of some nodes: as bits, by work, and what lies before and behind them at least.

    Attributes
    ----------
    words : (I, words).
    work : (I,) of the nodes of the level.
    trifle : what each of them weighs besides.
    before, behind, cut : (I,) see :meth:`BlockData.sums`.
    prices : see :attr:`WindowRules.prices`; none where all chips are of one kind.
    priced : for each, ``before`` and ``behind`` with prices in place of times.
    """

    def __init__(self, instance: Instance, kept: Kept, words: NDArray[np.uint64]) -> None:
        self.kept = kept
        fastest = np.where(np.isinf(instance.fastest), 0.0, instance.fastest)
        work = kept.sums(words, fastest[kept.nodes])
        # Subsets must come first. Sums of equal work differ in their last digits from row to row, as BLAS adds them up
        # in different orders. So every node weighs a little more than any rounding.
        self.trifle = TRIFLE * float(work.max())
        size = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
        work = work + self.trifle * size
        by_work = np.argsort(work, kind="stable")
        self.words, self.work = np.ascontiguousarray(words[by_work]), work[by_work]
        assert size[by_work[-1]] == len(kept.nodes), "the ideal of all nodes must come last"
        data = BlockData(instance, kept)
        self.before, self.behind, self.cut = data.sums(self.words, fastest)
        self.prices = [] if instance.hardware.identical_chips else WindowRules(instance).prices
        self.priced = [data.sums(self.words, work)[:2] for work, _ in self.prices]

    def longest(self, threshold: float) -> float:
        """Most work of a block below the threshold, as ``work`` counts it."""
        return threshold * (1 + ROUNDING) + self.trifle * len(self.kept.nodes)

    def holds(self, node: int) -> BoolArray:
        """(I,) whether each ideal holds a kept node."""
        place = int(self.kept.place[node])
        return np.asarray(self.words[:, place // 64] >> np.uint64(place % 64) & np.uint64(1) > 0)

    def chips_needed(
        self, instance: Instance, threshold: float, elsewhere: Sequence[Elsewhere]
    ) -> tuple[IntArray, IntArray]:
        """(I,) and (I,) how many chips the work before and behind each ideal takes, and its cut, sent and received."""
        hardware = instance.hardware
        cut = self.cut if hardware.transfers_charged.all() else np.zeros(len(self.cut))
        before, behind = self.before.copy(), self.behind.copy()
        for stretch in elsewhere:
            before += stretch.more * (self.holds(stretch.last) if stretch.last >= 0 else 0.0)
            behind += stretch.more * (~self.holds(stretch.first) if stretch.first >= 0 else 0.0)
        needed = []
        for load in (before, behind):
            load = load + cut if hardware.serial else np.maximum(load, cut)
            with np.errstate(divide="ignore", invalid="ignore"):
                chips = np.where(load > 0, load / self.longest(threshold), 0.0)
            needed.append(np.ceil(np.minimum(chips, MANY) * (1 - ROUNDING)).astype(np.int64))
        needed[0][0] = needed[1][-1] = 0
        if instance.links_carry_cuts:
            needed[0][self.cut >= threshold] = MANY
        return needed[0], needed[1]

    def payable(self, instance: Instance, threshold: float, rows: IntArray) -> BoolArray:
        """(len(rows),) whether the chips can be shared out so that both sides of an ideal can be paid for.

        Time of each kind has a price: a slow chip does little of what costs much time there. Chips before an ideal are
        the first of the package, or any of it where the order of the kinds is free.
        """
        hardware, kinds = instance.hardware, np.array(instance.hardware.kind_of_chip)
        first_chips = [kinds[:c] for c in range(len(kinds) + 1)]
        if hardware.kind_order == "free":
            count = np.bincount(kinds, minlength=len(hardware.kinds))
            if np.prod(count + 1.0) > MOST_WAYS:
                return np.ones(len(rows), dtype=bool)
            ways = itertools.product(*(range(c + 1) for c in count.tolist()))
            first_chips = [np.repeat(np.arange(len(count)), way) for way in ways]
        alive = np.ones(len(rows), dtype=bool)
        for (_, paid), (before, behind) in zip(self.prices, self.priced, strict=True):
            pays = np.zeros(len(hardware.kinds))
            pays[kinds] = paid
            first = np.array([pays[chips].sum() for chips in first_chips]) * self.longest(threshold)
            rest = paid.sum() * self.longest(threshold) - first
            slack = ROUNDING * (1.0 + float(first.max()))
            some = [(before[rows] <= a + slack) & (behind[rows] <= b + slack) for a, b in zip(first, rest, strict=True)]
            alive &= np.any(some, axis=0)
        return alive
