"""Exact dynamic program over ideals (down-sets), for graphs that have few of them.

Chips in order cut the nodes into a chain of nested ideals, so the best placement is a shortest path over pairs
of them (Tarnawski et al., NeurIPS 2020). Here all blocks that begin at one ideal are scored at once
(milp/ideals/blocks.py), on tables of the ideals within reach alone, so that long graphs cost little more than short
ones. Replicable nodes are left out; of the triangle rule only the relays that it forces are kept
(milp/ideals/forced_relays.py). Of the links of a ring on which tensors also go back, the one that all of those cross is
kept. So the result is a bound, and its blocks a placement to complete.

Tiny nodes (the shape computations of an exporter, say) multiply the ideals without weighing anything. Where there
are too many ideals, tiny nodes are left out as well; a block is then charged for those that lie between two of its
own nodes and so cannot be elsewhere, which keeps the bound close.

Where there are still many, levels with fewer nodes come first. The chain of a placement has an image on every level, so
what the image of an ideal needs in chips before and behind it, the ideal needs too, and a chip lies between two ideals
only if it can lie between their images: a finer level looks at no others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milp.ideals.best_path import Pairs, Path, best_path
from milp.ideals.blocks import BlockData, Blocks, TableTooLarge
from milp.ideals.enumeration import Crossing, Kept, member
from milp.ideals.leaving_out import kept_nodes, transfers
from milp.ideals.pairs import MANY, Candidates, Reach
from partition.arrays import BoolArray, FloatArray, IntArray
from partition.instance.features import ABSORBED, PERIOD_ALONE, PORTS_FOR_ROUTES, Feature, Scope, named
from partition.instance.instance import Instance
from partition.stopping import Stop

SCOPE = Scope(
    engine="ideals",
    claims="the least period of a chain of blocks",
    covers=ABSORBED
    | named(
        "CHAIN RING CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC ANY_ORDER NO_SKIPPING SKIPPING "
        "TRIANGLE LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS RELAYS MIXED_KINDS FREE_ORDER UNSUPPORTED "
        "FREE_TRANSFERS SHARED_WEIGHTS FREE_EDGES ZERO_TIMES"
    ),
    refuses={
        **PERIOD_ALONE,
        Feature.ROUTES: PORTS_FOR_ROUTES,
    },
)


IDEAL_LIMIT = 60_000
"""Most ideals worth enumerating."""

BITS_LIMIT = 1_000_000_000
"""Most bits (ideals x nodes) worth keeping."""

WINDOW = 1024
"""Ideals that a table holds at least, where blocks reach no further."""

PAIR_LIMIT = 30_000_000
"""Most blocks (pairs of nested ideals) worth scoring."""

ALIVE_LIMIT = 200_000
"""Most ideals that leave enough chips to the rest between which blocks are worth looking for."""

TRIFLE = 1e-11
"""What a node weighs besides its time, relative to all work: more than rounding can be, less than matters."""

FEW, COARSER = 3_000, 4
"""From so many ideals on, a level with this many times fewer comes first."""

TINY = (0.0, 1e-9, 1e-4, 5e-4, 7e-4, 1e-3, 1.4e-3, 2e-3, 1e-2)
"""Nodes of less time than this (units of the instance) are left out where they can be; tried in turn."""

COARSE = (2e-2, 5e-2, 0.1, 0.2)
"""The same for levels that can only prepare finer ones."""

STEP = 2
"""How many times more ideals the next finer level of a stretch has at least."""

STEPS = tuple(1e-2 * 2 ** (i / 2) for i in range(10))
"""The same for stretches, where whatever is left out bounds the rest."""


@dataclass(frozen=True)
class Chain:
    """The outcome of the dynamic program.

    Attributes
    ----------
    period : least period of any chain of blocks below the threshold asked about, or infinity: none exists.
    chip : (N,) chip of every node in the best chain, -1 for nodes left out. None if there is no chain.
    kind_of_chip : the kinds of the chips; another order than the package's where that is free.
    """

    period: float
    chip: IntArray | None
    kind_of_chip: tuple[int, ...] = ()


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


def best_chain(
    instance: Instance, threshold: float, *, stop: Stop | None = None, ideal_limit: int = IDEAL_LIMIT
) -> Chain | None:
    """The best chain of ideals with a period below ``threshold``; None if there are too many, or they do not apply.

    Parameters
    ----------
    threshold : only blocks with a smaller load are looked at, in units of the instance.
    stop : asked now and then; True gives up (None).
    """
    stop = stop or Stop()
    if not Ideals.applies(instance):
        return None
    return Ideals(instance.within(threshold), threshold, stop, ideal_limit).best_chain(threshold, stop)


class Ideals:
    """The ideals of an instance on levels, each of fewer nodes than the one before, for any number of thresholds.

    Parameters
    ----------
    most : ideals that more crosses are left out where a link carries all of it.
    limit : most ideals on the first level; no level if there are more.
    among : (N,) nodes that ideals may be made of, however much work they leave out; all by default.
    always : (N,) those of them that every level has, however light.
    """

    def __init__(
        self,
        instance: Instance,
        most: float,
        stop: Stop,
        limit: int,
        among: BoolArray | None = None,
        always: BoolArray | None = None,
    ) -> None:
        self.instance, self.most = instance, most
        self.always = np.zeros(instance.nodes, dtype=bool) if always is None else always
        found = self._from_the_finest(stop, limit) if among is None else self._from_the_coarsest(stop, limit, among)
        self.levels = [Level(instance, kept, words) for kept, words in found]  # finest first

    @staticmethod
    def applies(instance: Instance) -> bool:
        """Whether chips in order cut what the instance contains into blocks."""
        return SCOPE.admits(instance.features)

    def _all_of(self, kept: Kept, limit: int, stop: Stop) -> NDArray[np.uint64] | None:
        crossing = Crossing(transfers(self.instance, kept.node), self.most) if self.instance.links_carry_cuts else None
        return kept.enumerate(min(limit, BITS_LIMIT // len(kept.nodes)), stop, crossing)

    # Levels are nested: a finer one has all nodes of a coarser one. The nodes that matter alone would not be: with a
    # light node left out, the next one may join tensors, and is kept.

    def _from_the_finest(self, stop: Stop, limit: int) -> list[tuple[Kept, NDArray[np.uint64]]]:
        """The finest level with few enough ideals, if it leaves out next to no work, and coarser ones to prepare it."""
        found: list[tuple[Kept, NDArray[np.uint64]]] = []
        for tiny, node in self._choices((*TINY, *COARSE)):
            if stop():
                break
            if (not found and tiny > TINY[-1]) or (found and len(found[-1][1]) < FEW):
                break
            kept = Kept(self.instance, node & found[-1][0].node if found else node)
            words = self._all_of(kept, len(found[-1][1]) // COARSER if found else limit, stop)
            if words is not None:
                found.append((kept, words))
        return found

    def _from_the_coarsest(self, stop: Stop, limit: int, among: BoolArray) -> list[tuple[Kept, NDArray[np.uint64]]]:
        """The same whatever is left out; begun with the coarsest, as too many ideals take long to be found too many."""
        found: list[tuple[Kept, NDArray[np.uint64]]] = []
        for _, node in self._choices((*TINY[:-1], *STEPS)[::-1], among):
            if stop():
                break
            kept = Kept(self.instance, node | found[-1][0].node if found else node)
            words = self._all_of(kept, limit, stop)
            if words is None:
                break
            while found and len(words) < STEP * len(found[-1][1]):
                found.pop()
            found.append((kept, words))
        return [level for i, level in enumerate(found[::-1]) if i == 0 or len(found[-i][1]) >= FEW]

    def _choices(self, limits: Sequence[float], among: BoolArray | None = None) -> Iterator[tuple[float, BoolArray]]:
        """Different sets of nodes that matter, and the time below which others do not."""
        tried: BoolArray | None = None
        for tiny in limits:
            node = kept_nodes(self.instance, tiny)
            if among is not None:
                node = (node & among) | self.always
            if node.any() and (tried is None or not np.array_equal(node, tried)):
                tried = node
                yield tiny, node

    def best_chain(self, threshold: float, stop: Stop) -> Chain | None:
        """See :func:`best_chain`; None also if there is no level."""
        if np.isinf(self.instance.within(threshold).fastest).any():
            return Chain(float("inf"), None)
        chains = self.solve(threshold, stop)
        return None if chains is None else chains.best

    def solve(
        self,
        threshold: float,
        stop: Stop,
        elsewhere: Sequence[Elsewhere] = (),
        limit: int = ALIVE_LIMIT,
    ) -> Chains | None:
        """All blocks below the threshold that chains may have, on the finest level that can be looked at.

        Parameters
        ----------
        elsewhere : what stretches of nodes left out take at least, in any placement that is asked about.
        limit : most ideals of a level between which blocks are worth looking for.
        """
        instance = self.instance.within(threshold)  # blocks are differences of sums
        solved: Chains | None = None
        for level in reversed(self.levels):
            if stop():
                break
            finer = Chains(instance, level, threshold, stop, solved, elsewhere)
            if len(finer.work) > limit or not finer.solve():
                break
            solved = finer
            if solved.best is not None and solved.best.chip is None:
                break  # none exists
        return solved


WORK, WORK_PER_BLOCK = 5e-5, 4e-7
"""Units of work (stopping.py) for an ideal, and for each block that begins at it."""

WORK_SLACK = 1e-9
"""Relative rounding allowance when a block's compute is compared with the threshold."""


class Level:
    """The ideals of some nodes: as bits, by work, and what lies before and behind them at least.

    Attributes
    ----------
    words : (I, words). work : (I,) of the nodes of the level. trifle : what each of them weighs besides.
    before, behind, cut : (I,) see :meth:`BlockData.sums`.
    """

    def __init__(self, instance: Instance, kept: Kept, words: NDArray[np.uint64]) -> None:
        self.kept = kept
        fastest = np.where(np.isinf(instance.fastest), 0.0, instance.fastest)
        work = kept.sums(words, fastest[kept.nodes])
        # Subsets must come first. Sums of equal work differ in their last digits from row to row (BLAS adds them up in
        # different orders), so every node weighs a little more than any rounding.
        self.trifle = TRIFLE * float(work.max())
        size = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
        work = work + self.trifle * size
        by_work = np.argsort(work, kind="stable")
        self.words, self.work = np.ascontiguousarray(words[by_work]), work[by_work]
        assert size[by_work[-1]] == len(kept.nodes), "the ideal of all nodes must come last"
        self.before, self.behind, self.cut = BlockData(instance, kept).sums(self.words, fastest)

    def longest(self, threshold: float) -> float:
        """Most work of a block below the threshold, as ``work`` counts it."""
        return threshold * (1 + WORK_SLACK) + self.trifle * len(self.kept.nodes)

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
            needed.append(np.ceil(np.minimum(chips, MANY) * (1 - WORK_SLACK)).astype(np.int64))
        needed[0][0] = needed[1][-1] = 0
        if instance.links_carry_cuts:
            needed[0][self.cut >= threshold] = MANY
        return needed[0], needed[1]


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
                self.stop.charge(WORK * len(some) + WORK_PER_BLOCK * len(ends))
                good = np.min(loads, axis=0) < self.threshold
                begins, ends = begins[worth], ends[worth]
                self._keep(begins[good], ends[good].astype(np.int32), [load[good] for load in loads], back[good])
                if self.pairs > PAIR_LIMIT or self.stop():
                    return False
        self.before = np.maximum(self.reached, self.before)
        reached = self.reached[-1] <= chips
        path = best_path(self.hw, self._pairs(), count, self.threshold) if reached else None
        self.best = Chain(float("inf"), None) if path is None else self._chain(path)
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
        return Chain(path.period, chip, self._completed(path.kinds))

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
