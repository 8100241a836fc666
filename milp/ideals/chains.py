"""Chains of ideals on one level: the blocks between them, and the best chain."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milp import budget
from milp.ideals.best_path import Pairs, Path, best_path
from milp.ideals.block_data import BlockData
from milp.ideals.blocks import Blocks, TableTooLarge
from milp.ideals.enumeration import member
from milp.ideals.levels import Elsewhere, Level
from milp.ideals.pairs import MANY, Candidates, Reach
from partition.arrays import BoolArray, FloatArray, IntArray
from partition.instance.instance import Instance
from partition.stopping import Stop

WINDOW = 1024
"""Ideals that a table holds at least, where blocks reach no further."""

PAIR_LIMIT = 30_000_000
"""Most blocks (pairs of nested ideals) worth scoring."""


@dataclass(frozen=True)
class Chain:
    """The outcome of the dynamic program.

    Attributes
    ----------
    period : least period of any chain of blocks below the threshold asked about, or infinity: none exists.
    chip : (N,) chip of every node in the best chain, -1 for nodes left out. None if there is no chain.
    kept : (N,) bool, the nodes that ideals were made of; None if none were.
    kind_of_chip : the kinds of the chips; another order than the package's where that is free.
    """

    period: float
    chip: IntArray | None
    kind_of_chip: tuple[int, ...] = ()
    kept: BoolArray | None = None


class Chains:
    """Scores the blocks between ideals, window by window, and finds the best chain.

    Attributes
    ----------
    words, work, rows : (I, words), (I,) and (I,) the ideals that leave enough chips to the rest: as bits, their work,
        and which of the level's they are.
    starts, ends : ideals at which blocks below the threshold begin, ascending, and for each those at which they end.
    best : the best chain; None until solved.
    """

    def __init__(
        self,
        inst: Instance,
        level: Level,
        threshold: float,
        stop: Stop,
        coarser: Chains | None,
        elsewhere: Sequence[Elsewhere] = (),
    ) -> None:
        self.inst, self.kept, self.hw, self.threshold, self.stop = inst, level.kept, inst.hardware, threshold, stop
        self.level, self.words, self.work, self.rows = level, level.words, level.work, np.arange(len(level.work))
        self.best: Chain | None = None
        self.longest = level.longest(threshold)
        self.data = BlockData(inst, level.kept)
        self.before, self.behind = level.chips_needed(inst, threshold, elsewhere)
        self.coarser, self.image = coarser.reach() if coarser is not None else None, np.full(len(self.work), -1)
        self._leave_out()
        if self.coarser is not None:
            self.image = self.coarser.images(level.kept, self.words)
            for needed, there in ((self.before, self.coarser.before), (self.behind, self.coarser.behind)):
                np.maximum(needed, np.where(self.image < 0, MANY, there[self.image]), out=needed)
            self._leave_out()

    def _leave_out(self) -> None:
        """Forget ideals that leave too few chips to the rest."""
        alive = self.before + self.behind <= self.inst.chips
        if self.level.prices:
            alive &= self.level.payable(self.inst, self.threshold, self.rows)
        alive[[0, -1]] = True
        self.words, self.work = np.ascontiguousarray(self.words[alive]), self.work[alive]
        self.before, self.behind, self.image = self.before[alive], self.behind[alive], self.image[alive]
        self.rows = self.rows[alive]

    def _reach(self, first: IntArray) -> IntArray:
        """One behind the last ideal that a block beginning at each of ``first`` may end at."""
        return np.asarray(np.searchsorted(self.work, self.work[first] + self.longest, side="right"))

    def _windows(self) -> Iterator[tuple[int, int, int]]:
        """(first, last, end): blocks that begin at ``first..last - 1`` end before ``end``."""
        last, reach = 0, self._reach(np.arange(len(self.work)))
        while last < len(self.work) - 1:
            first = last
            most = max(2 * int(reach[first] - first), WINDOW)
            last = max(first + 1, int(np.searchsorted(reach, first + most, side="right")))
            last = min(last, len(self.work) - 1)
            yield first, last, int(reach[last - 1])

    def solve(self) -> bool:
        """Bellman over numbers of chips; blocks at or above the threshold, or in no chain, are never kept.

        Returns
        -------
        False if that is too much, or it was stopped.
        """
        chips, count = self.inst.chips, len(self.work)
        self.starts: list[int] = []
        self.ends: list[NDArray[np.int32]] = []
        self.loads: list[list[FloatArray]] = []
        self.returned: list[FloatArray] = []
        self.pairs = 0
        self.reached = np.full(count, MANY)  # fewest chips before each ideal
        self.reached[0] = 0
        candidates = Candidates(self.words, self.before, self.behind, chips, self.coarser, self.image)
        for first, last, end in self._windows():
            if (np.maximum(self.reached, self.before) + self.behind)[first:last].min() > chips:
                continue
            try:
                blocks = Blocks(self.data, self.words[first:end])
            except TableTooLarge:
                return False
            starts = np.arange(first, last)[(self.before + self.behind)[first:last] <= chips]
            for some in candidates.portions(starts, end):
                alive = self.reached[some] < MANY
                some = some[int(np.argmax(alive)) if alive.any() else len(some) :]
                if not len(some):
                    continue
                reach = self._reach(some)
                begins, ends = candidates.after(some, reach)
                worth, loads, back = blocks.charge(begins - first, ends - first, self.threshold)
                self.stop.charge(budget.IDEAL_IN_CHAIN * len(some) + budget.BLOCK * len(ends))
                good = np.min(loads, axis=0) < self.threshold
                begins, ends = begins[worth], ends[worth]
                self._keep(begins[good], ends[good].astype(np.int32), [load[good] for load in loads], back[good])
                if self.pairs > PAIR_LIMIT or self.stop():
                    return False
        self.before = np.maximum(self.reached, self.before)
        reached = self.reached[-1] <= chips
        path = best_path(self.hw, self._pairs(), count, self.threshold) if reached else None
        self.best = Chain(float("inf"), None, kept=self.kept.node) if path is None else self._chain(path)
        return True

    def _keep(self, begins: IntArray, ends: NDArray[np.int32], loads: list[FloatArray], back: FloatArray) -> None:
        """Those blocks that begin where a chain can get in time, in the order of the ideals at which they begin."""
        change = np.flatnonzero(np.diff(begins, prepend=-1)).tolist()
        for a, b in itertools.pairwise([*change, len(begins)]):
            i = int(begins[a])
            used = max(int(self.reached[i]), int(self.before[i]))
            if used + self.behind[i] > self.inst.chips:
                continue
            some = a + np.flatnonzero(used + 1 + self.behind[ends[a:b]] <= self.inst.chips)
            self.reached[ends[some]] = np.minimum(self.reached[ends[some]], used + 1)
            self.starts.append(i)
            self.ends.append(ends[some])
            self.loads.append([load[some] for load in loads])
            if self.data.round_ring:
                self.returned.append(back[some])
            self.pairs += len(some)

    def _pairs(self) -> Pairs:
        start = np.repeat(np.array(self.starts, dtype=np.int32), [len(ends) for ends in self.ends])
        end = np.concatenate(self.ends)
        by_end = np.argsort(end, kind="stable")
        return Pairs(
            start=start[by_end],
            end=end[by_end],
            loads=[np.concatenate(kind)[by_end] for kind in zip(*self.loads, strict=True)],
            returned=np.concatenate(self.returned)[by_end] if self.data.round_ring else None,
        )

    def _chain(self, path: Path) -> Chain:
        chip = np.full(self.inst.nodes, -1)
        for c, (first, last) in enumerate(itertools.pairwise(path.ideals)):
            block = member((self.words[last] & ~self.words[first])[None])[0]
            chip[self.kept.nodes[np.flatnonzero(block)]] = c
        return Chain(path.period, chip, self._completed(path.kinds), self.kept.node)

    def reach(self) -> Reach:
        """What this level, once solved, says to finer ones."""
        behind = np.full(len(self.work), MANY)
        behind[-1] = 0
        for i, ends in zip(reversed(self.starts), reversed(self.ends), strict=True):
            behind[i] = 1 + behind[ends].min(initial=MANY)
        return Reach(self.kept, self.words, self.before, np.maximum(behind, self.behind), self.starts, self.ends)

    def _completed(self, kinds: list[int]) -> tuple[int, ...]:
        """The order with the chips that are not used at its end."""
        if self.hw.kind_order == "fixed":
            return self.hw.kind_of_chip
        left = list(self.hw.kind_of_chip)
        for k in kinds:
            left.remove(k)
        return (*kinds, *left)
