"""Exact dynamic program over ideals (down-sets), for graphs that have few of them.

Chips in order cut the nodes into a chain of nested ideals, so the best placement is a shortest path over pairs
of them (Tarnawski et al., NeurIPS 2020). Here all blocks that begin at one ideal are scored at once (milp/blocks.py),
on tables of the ideals within reach alone, so that long graphs cost little more than short ones. Replicable nodes are
left out and the triangle rule is ignored: the result is a bound, and its blocks a placement to complete.

Tiny nodes (the shape computations of an exporter, say) multiply the ideals without weighing anything. Where there
are too many ideals, tiny nodes are left out as well; a block is then charged for those that lie between two of its
own nodes and so cannot be elsewhere, which keeps the bound close.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milp.blocks import BlockData, Blocks, Kept, TableTooLarge
from partition.graph import BoolArray, FloatArray, IntArray
from partition.instance import Instance
from partition.stopping import Stop

IDEAL_LIMIT = 60_000
"""Most ideals worth enumerating."""

BITS_LIMIT = 1_000_000_000
"""Most bits (ideals x nodes) worth keeping."""

WINDOW = 1024
"""Ideals that a table holds at least, where blocks reach no further."""

PAIR_LIMIT = 30_000_000
"""Most blocks (pairs of nested ideals) worth scoring."""

TRIFLE = 1e-11
"""What a node weighs besides its time, relative to all work: more than rounding can be, less than matters."""

Used = tuple[int, ...]
"""Chips of each kind."""

TINY = (0.0, 5e-4, 2e-3, 1e-2)
"""Nodes whose time and outgoing transfers stay below this (units of the instance) are tiny; tried in turn."""


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


def best_chain(
    instance: Instance,
    threshold: float,
    *,
    stop: Stop | None = None,
    ideal_limit: int = IDEAL_LIMIT,
) -> Chain | None:
    """The best chain of ideals with a period below ``threshold``, or None if there are too many ideals.

    Parameters
    ----------
    threshold : only blocks with a smaller load are looked at, in units of the instance.
    stop : asked now and then; True gives up (None).
    """
    if instance.hardware.links and not instance.forward_only:
        return None
    stop = stop or Stop()
    for tiny in TINY:
        kept = Kept(instance, ~instance.replicable & ~tiny_nodes(instance, tiny))
        if not kept.node.any():
            return None  # every node is tiny: nothing is left to bound
        masks = kept.enumerate(min(ideal_limit, BITS_LIMIT // len(kept.nodes)), stop)
        if masks is not None:
            return _Chains(instance, kept, masks, threshold, stop).solve()
    return None


def tiny_nodes(instance: Instance, limit: float) -> BoolArray:
    """(N,) nodes whose time and outgoing transfers stay below ``limit`` and whose weights hardly matter."""
    sent = np.bincount(instance.source, weights=instance.tau, minlength=instance.nodes)
    light = instance.weights <= 1e-3 * float(instance.hardware.sram_bytes.min())
    light[instance.shared_nodes] = False
    return np.asarray((instance.time.max(axis=0) + sent < limit) & light)


WORK, WORK_PER_BLOCK = 5e-5, 4e-7
"""Units of work (stopping.py) for an ideal, and for each block that begins at it."""

WORK_SLACK = 1e-9
"""Relative rounding allowance when a block's compute is compared with the threshold."""


class _Chains:
    """Scores the blocks between ideals, window by window, and finds the best chain."""

    def __init__(self, inst: Instance, kept: Kept, masks: list[int], threshold: float, stop: Stop) -> None:
        self.inst, self.kept, self.hw, self.threshold, self.stop = inst, kept, inst.hardware, threshold, stop
        width = (len(kept.nodes) + 63) // 64
        raw = b"".join(mask.to_bytes(width * 8, "little") for mask in masks)
        words = np.frombuffer(raw, dtype=np.uint64).reshape(len(masks), width)
        work = kept.sums(words, inst.fastest[kept.nodes])
        # Subsets must come first. Sums of equal work differ in their last digits from row to row (BLAS adds them up in
        # different orders), so every node weighs a little more than any rounding.
        trifle = TRIFLE * float(work.max())
        size = np.array([mask.bit_count() for mask in masks])
        work = work + trifle * size
        by_work = np.argsort(work, kind="stable")
        self.words, self.work = np.ascontiguousarray(words[by_work]), work[by_work]
        assert size[by_work[-1]] == len(kept.nodes), "the ideal of all nodes must come last"
        self.longest = threshold * (1 + WORK_SLACK) + trifle * len(kept.nodes)
        self.data = BlockData(inst, kept)

    def _reach(self, first: IntArray) -> IntArray:
        """One behind the last ideal that a block beginning at each of ``first`` may end at."""
        return np.searchsorted(self.work, self.work[first] + self.longest, side="right")

    def _windows(self) -> Iterator[tuple[int, int, int]]:
        """(first, last, end): blocks that begin at ``first..last - 1`` end before ``end``."""
        last, reach = 0, self._reach(np.arange(len(self.work)))
        while last < len(self.work) - 1:
            first = last
            most = max(2 * int(reach[first] - first), WINDOW)
            last = max(first + 1, int(np.searchsorted(reach, first + most, side="right")))
            last = min(last, len(self.work) - 1)
            yield first, last, int(reach[last - 1])

    def solve(self) -> Chain | None:
        """Bellman over numbers of chips; blocks at or above the threshold are never kept."""
        starts: list[IntArray] = []
        ends: list[IntArray] = []
        loads: list[list[FloatArray]] = []
        pairs = 0
        for first, last, end in self._windows():
            try:
                blocks = Blocks(self.data, self.words[first:end], self.work[first:end], self.longest)
            except TableTooLarge:
                return None
            for i in range(last - first):
                if self.hw.links and blocks.cut[i] >= self.threshold:
                    continue
                later, per_kind = blocks.beginning_at(i)
                self.stop.charge(WORK + WORK_PER_BLOCK * len(later))
                good = np.min(per_kind, axis=0) < self.threshold
                pairs += int(good.sum())
                if pairs > PAIR_LIMIT or (i % 64 == 0 and self.stop()):
                    return None
                starts.append(np.full(int(good.sum()), first + i, dtype=np.int32))
                ends.append((first + later[good]).astype(np.int32))
                loads.append([load[good] for load in per_kind])
        if not pairs:
            return Chain(float("inf"), None)
        return self._shortest(
            np.concatenate(starts), np.concatenate(ends), [np.concatenate(k) for k in zip(*loads, strict=True)]
        )

    def _shortest(self, start: NDArray[np.int32], end: NDArray[np.int32], loads: list[FloatArray]) -> Chain:
        """Bellman over the chips used so far: how many of the package, or of each kind where their order is free."""
        by_end = np.argsort(end, kind="stable")
        start, end, loads = start[by_end], end[by_end], [load[by_end] for load in loads]
        targets, begin = np.unique(end, return_index=True)
        count = len(self.work)
        may_be_empty = not self.hw.identical_chips  # or hold nothing but what was left out
        first = np.full(count, np.inf)
        first[0] = 0.0
        layers: dict[Used, FloatArray] = {(0,) * len(self.hw.kinds): first}
        for used in self._ways():
            best = np.full(count, np.inf)
            for k, before in self._steps_to(used):
                previous = layers[before]
                moved = np.minimum.reduceat(np.maximum(previous[start], loads[k]), begin)
                best[targets] = np.minimum(best[targets], moved)
                if may_be_empty:
                    best = np.minimum(best, previous)
            layers[used] = best
        used = min(layers, key=lambda way: (layers[way][-1], sum(way)))
        period = float(layers[used][-1])
        if not period < self.threshold:
            return Chain(float("inf"), None)
        chip, kinds = np.full(self.inst.nodes, -1), []
        at = count - 1
        while any(used):
            steps = list(self._steps_to(used))
            idle = [(k, before) for k, before in steps if may_be_empty and layers[before][at] == layers[used][at]]
            if idle:
                kinds.append(idle[0][0])
                used = idle[0][1]
                continue
            span = slice(*np.searchsorted(end, [at, at + 1]))
            through = [np.maximum(layers[before][start[span]], loads[k][span]) for k, before in steps]
            k, before = steps[int(np.argmin([t.min() for t in through]))]
            origin = int(start[span][int(np.argmin(np.maximum(layers[before][start[span]], loads[k][span])))])
            block = np.unpackbits((self.words[at] & ~self.words[origin]).view(np.uint8), bitorder="little")
            chip[self.kept.nodes[np.flatnonzero(block)]] = sum(used) - 1
            kinds.append(k)
            at, used = origin, before
        return Chain(period, chip, self._completed(kinds[::-1]))

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

    def _completed(self, kinds: list[int]) -> tuple[int, ...]:
        """The order with the chips that are not used at its end."""
        if self.hw.kind_order == "fixed":
            return self.hw.kind_of_chip
        left = list(self.hw.kind_of_chip)
        for k in kinds:
            left.remove(k)
        return (*kinds, *left)
