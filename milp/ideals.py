"""Exact dynamic program over ideals (down-sets), for graphs that have few of them.

Chips in order cut the nodes into a chain of nested ideals, so the best placement is a shortest path over pairs
of them (Tarnawski et al., NeurIPS 2020). Here all blocks that begin at one ideal are scored at once. Replicable
nodes are left out and the triangle rule is ignored: the result is a bound, and its blocks a placement to complete.

Tiny nodes (the shape computations of an exporter, say) multiply the ideals without weighing anything. Where there
are too many ideals, tiny nodes are left out as well; a block is then charged for those that lie between two of its
own nodes and so cannot be elsewhere, which keeps the bound close.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from partition.graph import BoolArray, FloatArray, IntArray
from partition.instance import Instance

IDEAL_LIMIT = 60_000
"""Most ideals worth enumerating."""

TABLE_LIMIT = 80_000_000
"""Most entries (ideals x (nodes + tensors)) worth tabulating."""

CHUNK = 2048
"""Ideals unpacked from bits to numbers at a time."""

PAIR_LIMIT = 30_000_000
"""Most blocks (pairs of nested ideals) worth scoring."""

Used = tuple[int, ...]
"""Chips of each kind."""

TINY = (0.0, 5e-4, 2e-3, 1e-2)
"""Nodes whose time and outgoing transfers stay below this (units of the instance) are tiny; tried in turn."""

WORK_SLACK = 1e-9
"""Relative rounding allowance when a block's compute is compared with the threshold."""


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
    stop: Callable[[], bool] = lambda: False,
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
    ideal_limit = min(ideal_limit, TABLE_LIMIT // (instance.nodes + instance.tensors))
    for tiny in TINY:
        kept = _Kept(instance, ~instance.replicable & ~tiny_nodes(instance, tiny))
        if not kept.node.any():
            return None  # every node is tiny: nothing is left to bound
        masks = kept.enumerate(ideal_limit, stop)
        if masks is not None:
            return _Chains(instance, kept, masks, threshold, stop).solve()
    return None


def tiny_nodes(instance: Instance, limit: float) -> BoolArray:
    """(N,) nodes whose time and outgoing transfers stay below ``limit`` and whose weights hardly matter."""
    sent = np.bincount(instance.source, weights=instance.tau, minlength=instance.nodes)
    light = instance.weights <= 1e-3 * float(instance.hardware.sram_bytes.min())
    light[instance.shared_nodes] = False
    return np.asarray((instance.time.max(axis=0) + sent < limit) & light)


class _Kept:
    """The nodes that make up ideals, and the order among them, also through nodes left out."""

    def __init__(self, instance: Instance, node: BoolArray) -> None:
        self.node = node
        count = instance.nodes
        self.producers = [0] * count  # nearest kept ancestors, as bit masks
        self.consumers = [0] * count  # nearest kept descendants
        kept = node.tolist()
        edges = instance.edges  # nodes are numbered topologically
        for u, w in edges[np.argsort(edges[:, 1], kind="stable")].tolist():
            self.producers[w] |= (1 << u) if kept[u] else self.producers[u]
        for u, w in edges[np.argsort(-edges[:, 0], kind="stable")].tolist():
            self.consumers[u] |= (1 << w) if kept[w] else self.consumers[w]

    def enumerate(self, limit: int, stop: Callable[[], bool]) -> list[int] | None:
        """Every ideal as a bit mask over nodes, smaller ones first; None if there are more than ``limit``."""
        producers = self.producers
        nodes = np.flatnonzero(self.node).tolist()
        successors = {v: _bits(self.consumers[v]) for v in nodes}
        level = {0: [v for v in nodes if not producers[v]]}
        masks = [0]
        while level:
            following: dict[int, list[int]] = {}
            for mask, ready in level.items():
                for v in ready:
                    child = mask | (1 << v)
                    if child not in following:
                        freed = [w for w in successors[v] if producers[w] & child == producers[w]]
                        following[child] = [w for w in ready if w != v] + freed
            masks.extend(following)
            if len(masks) > limit or stop():
                return None
            level = following
        return masks


def _bits(mask: int) -> list[int]:
    found = []
    while mask:
        lowest = mask & -mask
        found.append(lowest.bit_length() - 1)
        mask ^= lowest
    return found


class _Chains:
    """Scores the blocks between ideals and finds the best chain."""

    def __init__(
        self, inst: Instance, kept: _Kept, masks: list[int], threshold: float, stop: Callable[[], bool]
    ) -> None:
        self.inst, self.kept, self.hw, self.threshold, self.stop = inst, kept, inst.hardware, threshold, stop
        width = (inst.nodes + 63) // 64
        raw = b"".join(mask.to_bytes(width * 8, "little") for mask in masks)
        self.words = np.frombuffer(raw, dtype=np.uint64).reshape(len(masks), width)
        work = self._sums(inst.fastest)
        by_work = np.argsort(work, kind="stable")  # stable: among equal work, subsets stay first
        self.words = np.ascontiguousarray(self.words[by_work])
        self.work = work[by_work]
        self.time = self._sums(inst.time.T)
        self.barred = self._sums((~inst.supported).astype(float).T)
        self._tensors()
        self._weights()
        self._replicable()
        self._between()

    def _sums(self, amounts: FloatArray | sp.csr_array, dtype: type = np.float64) -> NDArray[np.floating]:
        """(I, ...) sum of ``amounts`` of shape (N, ...) over the nodes of each ideal."""
        parts = []
        for begin in range(0, len(self.words), CHUNK):
            bits = self.words[begin : begin + CHUNK].view(np.uint8)
            member = np.unpackbits(bits, axis=1, bitorder="little")[:, : self.inst.nodes]
            parts.append(np.asarray(member.astype(dtype) @ amounts))
        return np.concatenate(parts)

    def _counts(self, row: IntArray, node: IntArray, rows: int) -> NDArray[np.int16]:
        """(I, rows) how many of the nodes paired with each row an ideal holds."""
        pairs = sp.csr_array((np.ones(len(row), np.float32), (node, row)), shape=(self.inst.nodes, rows))
        return self._sums(pairs, np.float32).astype(np.int16)

    def _tensors(self) -> None:
        """Per ideal: how many readers of each tensor it holds, and the load of its cut."""
        inst = self.inst
        tensor = np.repeat(np.arange(inst.tensors), np.diff(inst.reader_ptr))
        plain = self.kept.node[inst.source[tensor]] & self.kept.node[inst.readers]
        kept, tensor = np.unique(tensor[plain], return_inverse=True)
        self.tau = inst.tau[kept]
        self.degree = np.bincount(tensor, minlength=len(kept)).astype(np.int16)
        self.count = self._counts(tensor, inst.readers[plain], len(kept))
        self.made = self._counts(np.arange(len(kept)), inst.source[kept], len(kept)) > 0
        self.both_ways = np.zeros(len(kept), dtype=bool)
        self.both_ways[tensor[~inst.reader_constrains[plain]]] = True
        self.both_ways |= not self.hw.rules.acyclic
        live = self.made & (self.count < self.degree)
        self.cut = live @ self.tau
        ideal, row = np.nonzero(live & ~self.both_ways)
        self.live = np.split(row, np.searchsorted(ideal, np.arange(1, len(live))))
        self.back = np.flatnonzero(self.both_ways)

    def _weights(self) -> None:
        inst = self.inst
        self.limited = self.hw.rules.memory and bool(np.isfinite(self.hw.sram_bytes).any())
        self.private = self._sums(inst.weights)
        row = np.repeat(np.arange(len(inst.shared_bytes)), np.diff(inst.shared_ptr))
        self.shared_users = self._counts(row, inst.shared_nodes, len(inst.shared_bytes))

    def _replicable(self) -> None:
        """Least serial cost of having a replicable node's output on a chip: receive it, or run it on what it needs."""
        inst = self.inst
        tensor = np.repeat(np.arange(inst.tensors), np.diff(inst.reader_ptr))
        wanted = inst.replicable[inst.source[tensor]]
        pairs = np.stack([inst.source[tensor], inst.readers, tensor])[:, wanted]
        cost: dict[int, float] = {}
        for v in np.flatnonzero(inst.replicable).tolist():  # nodes are numbered topologically
            needs = max((cost[int(u)] for u in pairs[0][pairs[1] == v]), default=0.0)
            received = inst.tau[pairs[2][pairs[0] == v]].min(initial=np.inf)
            cost[v] = min(float(received), float(inst.fastest[v]) + needs)
        plain = self.kept.node[pairs[1]]
        nodes, row = np.unique(pairs[0][plain], return_inverse=True)
        self.presence_cost = np.array([cost[int(v)] for v in nodes])
        self.presence_readers = self._counts(row, pairs[1][plain], len(nodes))

    def _between(self) -> None:
        """Nodes left out (not replicable) that lie between kept ones: their kept neighbours inside each ideal."""
        left_out = np.flatnonzero(~self.kept.node & ~self.inst.replicable).tolist()
        left_out = [v for v in left_out if self.kept.producers[v] and self.kept.consumers[v]]
        self.left_out_time = self.inst.time[:, left_out]
        before = [(i, u) for i, v in enumerate(left_out) for u in _bits(self.kept.producers[v])]
        after = [(i, w) for i, v in enumerate(left_out) for w in _bits(self.kept.consumers[v])]
        before_pairs, after_pairs = (np.array(p, dtype=np.int64).reshape(-1, 2).T for p in (before, after))
        wanted = np.bincount(before_pairs[0], minlength=len(left_out))
        fed = self._counts(before_pairs[0], before_pairs[1], len(left_out)) == wanted
        self.read = self._counts(after_pairs[0], after_pairs[1], len(left_out)) > 0
        self.time = self.time + self.read @ self.left_out_time.T
        ideal, row = np.nonzero(fed & ~self.read)
        self.open = np.split(row, np.searchsorted(ideal, np.arange(1, len(self.words))))

    def _blocks_from(self, i: int) -> tuple[IntArray, list[FloatArray]]:
        """Ideals ``j`` that contain ideal ``i`` and, per chip kind, the load of the block between them."""
        reach = self.work[i] + self.threshold * (1 + WORK_SLACK)
        last = int(np.searchsorted(self.work, reach, side="right"))
        begin = self.words[i]
        later = np.arange(i + 1, last)
        # Word by word: most candidates drop out at the first words that differ.
        for word in np.flatnonzero(begin)[::-1]:
            later = later[(self.words[later, word] & begin[word]) == begin[word]]
        receive, send = self._transfers(i, later)
        if self.hw.serial and len(self.presence_cost):
            present = self.presence_readers[later] > self.presence_readers[i]
            receive = receive + (present * self.presence_cost).max(axis=1)
        over = self._too_heavy(i, later)
        loads = []
        for k, kind in enumerate(self.hw.kinds):
            compute = self.time[later, k] - self.time[i, k]
            if len(self.open[i]):  # could have been done before this block
                compute = compute - self.read[later[:, None], self.open[i]] @ self.left_out_time[k, self.open[i]]
            paid = 0.0 if kind.free_transfers else 1.0
            moved = paid * receive, paid * send
            load = compute + moved[0] + moved[1] if self.hw.serial else np.maximum(compute, np.maximum(*moved))
            load = np.where(self.barred[later, k] > self.barred[i, k], np.inf, load)
            if self.hw.links:
                load = np.maximum(load, self.cut[later])
            loads.append(np.where(over > kind.sram_bytes, np.inf, load) if self.limited else load)
        return later, loads

    def _transfers(self, i: int, later: IntArray) -> tuple[FloatArray, FloatArray]:
        if not self.hw.serial and self.hw.links:
            return np.zeros(1), np.zeros(1)  # never more than the links beside the chip
        live = self.live[i]
        inside = self.count[later[:, None], live]
        receive = (inside > self.count[i, live]) @ self.tau[live]
        through = (inside < self.degree[live]) @ self.tau[live]
        if not len(self.back):
            return receive, np.maximum(self.cut[later] - through, 0.0)
        back = self.back
        cut_forward = (self.made[later] & (self.count[later] < self.degree))[:, ~self.both_ways] @ self.tau[
            ~self.both_ways
        ]
        own = self.made[later[:, None], back] & ~self.made[i, back]
        got = self.count[later[:, None], back] - self.count[i, back]
        receive = receive + (~own & (got > 0)) @ self.tau[back]
        send = cut_forward - through + (own & (got < self.degree[back])) @ self.tau[back]
        return receive, np.maximum(send, 0.0)

    def _too_heavy(self, i: int, later: IntArray) -> FloatArray:
        """Resident weights of each block, less a rounding allowance."""
        held = self.private[later] - self.private[i]
        if len(self.inst.shared_bytes):
            held = held + (self.shared_users[later] > self.shared_users[i]) @ self.inst.shared_bytes
        return np.asarray(held * (1 - 1e-9))

    def solve(self) -> Chain | None:
        """Bellman over numbers of chips; blocks at or above the threshold are never kept."""
        starts: list[IntArray] = []
        ends: list[IntArray] = []
        loads: list[list[FloatArray]] = []
        pairs = 0
        for i in range(len(self.work) - 1):
            if self.hw.links and self.cut[i] >= self.threshold:
                continue
            later, per_kind = self._blocks_from(i)
            good = np.min(per_kind, axis=0) < self.threshold
            pairs += int(good.sum())
            if pairs > PAIR_LIMIT or (i % 64 == 0 and self.stop()):
                return None
            starts.append(np.full(int(good.sum()), i, dtype=np.int32))
            ends.append(later[good].astype(np.int32))
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
            chip[np.flatnonzero(block[: self.inst.nodes])] = sum(used) - 1
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
