"""Slicing: the best cut of a topological order into contiguous blocks, one per chip, by dynamic programming.

Every quantity of a block ``[i, j)`` of an order is a sum over *rectangles* of pairs ``(i, j)``. A tensor, say, is
received by the blocks that begin after its producer and after its previous reader, and end behind this reader.
Differences along the two axes fill all blocks of interest at once, in a band of width ``L``, the longest block worth
looking at. The idea of slicing an order optimally is SliceGraph's (Archer et al., ICML 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from partition.arrays import FloatArray, IntArray
from partition.heuristics.copies import readers_of, with_replicas
from partition.instance.instance import Instance
from partition.problem.placement import Placement
from partition.stopping import Stop

Mode = Literal["direct", "neighbours", "relayed"]
"""How a tensor reaches a far block: straight, not at all, or handed on by every block between."""

BAND_LIMIT = 5_000_000
"""Entries of the band; longer orders are sliced between groups of operations only."""


CACHED = 32_768
"""Entries worked on at a time."""

WORK = 3e-8
"""Units of work (stopping.py) per entry of the band and chip."""


def slicing_work(instance: Instance, longest: float = 2.0) -> float:
    """Units of work that :func:`slice_order` takes, about."""
    band = instance.nodes**2 * min(1.0, longest / instance.chips)
    return WORK * instance.chips * min(band, BAND_LIMIT)


def longest_blocks(instance: Instance, *, at_least: float) -> float:
    """Compute of the longest blocks for which the band has room, about, in units of the instance."""
    return max(at_least, BAND_LIMIT * instance.chips / instance.nodes**2)


def slice_order(
    instance: Instance, order: IntArray, mode: Mode, *, longest: float = 2.0, stop: Stop | None = None
) -> Placement | None:
    """The best placement that cuts ``order`` into contiguous blocks on chips ``0, 1, ...``.

    Parameters
    ----------
    order : (N,) topological order of the nodes; replicable nodes run wherever a block needs them.
    mode : ``"direct"`` ignores the triangle rule, ``"neighbours"`` lets tensors reach the next block only,
        ``"relayed"`` hands them on block by block and charges it. The last two satisfy the rule.
    longest : largest compute of a block worth looking at, in units of the instance.
    stop : asked now and then; True gives up.

    Returns
    -------
    None if no slicing of this order keeps the rules within ``longest``, or if stopped. The answer is exact for forward
    tensors; those of the backward pass round a ring are left to the cost model.
    """
    return _Slicer(instance, order, longest).solve(mode, stop or Stop())


@dataclass(frozen=True)
class _Rectangles:
    """Amounts that count for blocks beginning in ``first..last`` and ending at ``end`` or later."""

    first: IntArray
    last: IntArray
    end: IntArray
    amount: FloatArray


class _Slicer:
    def __init__(self, instance: Instance, order: IntArray, longest: float) -> None:
        self.inst = inst = instance
        order = order[~inst.replicable[order]]
        self.position = np.full(inst.nodes, -1)
        self.group = 1
        while True:
            self.position[order] = np.arange(len(order)) // self.group
            self.size = int(self.position.max()) + 1 if len(order) else 0
            time = np.bincount(self.position[order], weights=inst.fastest[order], minlength=self.size)
            work = np.concatenate([[0.0], np.cumsum(time)])
            ends = np.searchsorted(work, work[:-1] + max(longest, float(time.max(initial=0.0))), side="right") - 1
            self.band = int((ends - np.arange(self.size)).max(initial=1))
            if (self.size + 1) * (self.band + 1) <= BAND_LIMIT:
                break
            self.group *= 2
        self.work = work
        self._spans()

    def _spans(self) -> None:
        """Position of the producer and of all readers of every tensor, replicable producers aside."""
        inst = self.inst
        tensor = np.repeat(np.arange(inst.tensors), np.diff(inst.reader_ptr))
        reads = (~inst.replicable[inst.source[tensor]]) & (~inst.replicable[inst.readers])
        tensor, reader = tensor[reads], self.position[inst.readers[reads]]
        made = self.position[inst.source[tensor]]
        outside = made != reader
        pairs = np.unique(np.stack([tensor[outside], reader[outside]]), axis=1)
        self.read_tensor, self.read_at = pairs
        self.made_at = self.position[inst.source[self.read_tensor]]
        self.sent, begin = np.unique(self.read_tensor, return_index=True)
        self.sent_at = self.position[inst.source[self.sent]]
        self.first_read = np.minimum.reduceat(self.read_at, begin) if len(begin) else np.zeros(0, np.int64)
        self.last_read = np.maximum.reduceat(self.read_at, begin) if len(begin) else np.zeros(0, np.int64)

    # --- quantities of all blocks in the band --------------------------------------------------------------

    def _sum(self, r: _Rectangles) -> FloatArray:
        """(size, band + 1): entry ``[i, d]`` is the sum over rectangles that contain block ``[i, i + d)``."""
        width = self.band + 2
        nearest = np.clip(r.end - r.last, 0, width - 1)
        farthest = np.clip(r.end - r.first + 1, 0, width - 1)
        rows = self.size + 1
        steps = np.bincount(r.end * width + nearest, weights=r.amount, minlength=rows * width)
        steps -= np.bincount(r.end * width + farthest, weights=r.amount, minlength=rows * width)
        by_end = steps.reshape(rows, width).cumsum(axis=1)
        begin = np.arange(self.size)[:, None]
        length = np.arange(self.band + 1)[None, :]
        end = begin + length
        gained = np.where(end <= self.size, by_end[np.minimum(end, self.size), length], 0.0)
        return np.asarray(gained.cumsum(axis=1))

    def _once_per_block(self, owner: IntArray, at: IntArray, amount: FloatArray) -> _Rectangles:
        """Amounts of things that a block holds once, however many of its positions ``at`` use them."""
        pairs = np.unique(np.stack([owner, at]), axis=1)
        owner, at = pairs
        previous = np.where(np.concatenate([[False], owner[1:] == owner[:-1]]), np.concatenate([[-1], at[:-1]]), -1)
        return _Rectangles(previous + 1, at, at + 1, amount[owner])

    def _users_of_replicable(self) -> tuple[IntArray, IntArray]:
        """(node, position) pairs: where each replicable node must be present."""
        node, reader = readers_of(self.inst, self.inst.replicable)
        return node, self.position[reader]

    def _compute(self, kind: int) -> FloatArray:
        time = self.inst.time[kind]
        plain = ~self.inst.replicable
        at = np.bincount(self.position[plain], weights=time[plain], minlength=self.size)
        compute = self._window(np.concatenate([[0.0], np.cumsum(at)]))
        copies, places = self._users_of_replicable()
        if len(copies):
            compute = compute + self._sum(self._once_per_block(copies, places, time))
        return compute

    def _window(self, prefix: FloatArray) -> FloatArray:
        end = np.minimum(np.arange(self.size)[:, None] + np.arange(self.band + 1)[None, :], self.size)
        return np.asarray(prefix[end] - prefix[:-1][:, None])

    def _memory(self, mode: Mode) -> FloatArray:
        inst = self.inst
        plain = ~inst.replicable
        at = np.bincount(self.position[plain], weights=inst.weights[plain], minlength=self.size)
        memory = self._window(np.concatenate([[0.0], np.cumsum(at)]))
        copies, places = self._users_of_replicable()
        if len(copies):
            memory = memory + self._sum(self._once_per_block(copies, places, inst.weights))
        if len(inst.shared_bytes):
            owner = np.repeat(np.arange(len(inst.shared_bytes)), np.diff(inst.shared_ptr))
            shared = self._once_per_block(owner, self.position[inst.shared_nodes], inst.shared_bytes)
            memory = memory + self._sum(shared)
        if inst.hardware.rules.dynamic_memory:
            memory = memory + self._buffers_and_live(mode)
        return memory

    def _buffers_and_live(self, mode: Mode) -> FloatArray:
        """An estimate of a block's transfer buffers and live tensors, on the safe side where ``order`` is its schedule.

        Live are the tensors that span a position of the block (some only pass over it) and those of one operation.
        """
        inst, amount = self.inst, self.inst.moved_bytes
        cut = self._cut(amount)
        begin = np.arange(self.size)[:, None]
        end = np.minimum(begin + np.arange(self.band + 1)[None, :], self.size)
        if mode == "relayed":
            receive, send = cut[begin], cut[end]
        else:
            receive, send = self._receive(amount), self._send(amount)
        plain = np.flatnonzero(~inst.replicable)
        held = np.zeros(self.size + 1)
        np.maximum.at(held, self.position[plain], inst.footprints[plain])
        held[:-1] += cut[:-1]
        live = np.maximum.accumulate(held[np.minimum(begin + np.arange(self.band + 1) - 1, self.size)], axis=1)
        return np.asarray(live + (receive + send) * (1.0 if inst.hardware.serial else 2.0))

    def _receive(self, amount: FloatArray) -> FloatArray:
        """Received by a block: read in it, produced outside of it; counted at its first reader there.

        ``amount`` (M,) is the time or the bytes of each tensor, here and below.
        """
        tau = amount[self.read_tensor]
        again = np.concatenate([[False], self.read_tensor[1:] == self.read_tensor[:-1]])
        previous = np.where(again, np.concatenate([[-1], self.read_at[:-1]]), -1) + 1
        forward = self.made_at < self.read_at
        begin = np.where(forward, np.maximum(previous, self.made_at + 1), previous)
        some = begin <= self.read_at
        received = self._sum(_Rectangles(begin[some], self.read_at[some], self.read_at[some] + 1, tau[some]))
        back = some & ~forward  # from a later producer: no longer received once the block reaches it
        if back.any():
            received -= self._sum(_Rectangles(begin[back], self.read_at[back], self.made_at[back] + 1, tau[back]))
        return received

    def _send(self, amount: FloatArray) -> FloatArray:
        """Sent by a block: produced in it, unless all readers are in it as well."""
        tau, zero = amount[self.sent], np.zeros_like(self.sent)
        first, last = np.minimum(self.sent_at, self.first_read), np.maximum(self.sent_at, self.last_read)
        produced = self._sum(_Rectangles(zero, self.sent_at, self.sent_at + 1, tau))
        return produced - self._sum(_Rectangles(zero, first, last + 1, tau))

    def _cut(self, amount: FloatArray) -> FloatArray:
        """(size + 1,) amount of the tensors alive between positions ``i - 1`` and ``i``."""
        steps = np.zeros(self.size + 2)
        forward = self.last_read > self.sent_at
        np.add.at(steps, self.sent_at[forward] + 1, amount[self.sent[forward]])
        np.add.at(steps, self.last_read[forward] + 1, -amount[self.sent[forward]])
        return np.asarray(np.maximum(steps.cumsum()[: self.size + 1], 0.0), dtype=np.float64)

    # --- the dynamic program -------------------------------------------------------------------------------

    def solve(self, mode: Mode, stop: Stop) -> Placement | None:
        if self.size == 0:
            return None
        loads = self._loads(mode)
        program = self._blocks_among_neighbours if mode == "neighbours" else self._blocks
        bounds = program(loads, stop)
        return None if bounds is None else self._placement(bounds)

    def _loads(self, mode: Mode) -> list[FloatArray]:
        """Per chip kind, (size, band + 1) load of every block; infinite where a block is not allowed."""
        hw = self.inst.hardware
        begin = np.arange(self.size)[:, None]
        end = begin + np.arange(self.band + 1)[None, :]
        outside = end > self.size
        end = np.minimum(end, self.size)
        cut = self._cut(self.inst.tau)
        if mode == "relayed":
            receive, send = cut[begin], cut[end]
        elif hw.serial or hw.links == 0:
            receive, send = self._receive(self.inst.tau), self._send(self.inst.tau)
        else:
            receive, send = np.zeros((1, 1)), np.zeros((1, 1))  # never more than the links beside the chip
        barred = ~self.inst.supported & ~self.inst.replicable
        memory = self._memory(mode) if hw.rules.memory and np.isfinite(hw.sram_bytes).any() else None
        loads = []
        room, rate = hw.room_of_kinds, self.inst.streaming_of_kinds
        for k, kind in enumerate(hw.kinds):
            compute = self._compute(k)
            if memory is not None and rate[k]:
                stream = np.maximum(memory - kind.sram_bytes, 0.0) / rate[k]
                compute = compute + stream if hw.streams_in_turn else np.maximum(compute, stream)
            paid = 0.0 if kind.free_transfers else 1.0
            own = paid * receive, paid * send
            load = compute + own[0] + own[1] if hw.serial else np.maximum(np.maximum(compute, own[0]), own[1])
            if hw.links:
                load = np.maximum(load, cut[end])
            if barred[k].any():
                at = np.bincount(self.position[barred[k]], minlength=self.size)
                load = np.where(self._window(np.concatenate([[0.0], np.cumsum(at)])) > 0, np.inf, load)
            if memory is not None:
                load = np.where(memory > room[k], np.inf, load)
            loads.append(np.where(outside, np.inf, load))
        return loads

    def _blocks(self, loads: list[FloatArray], stop: Stop) -> list[int] | None:
        """Block boundaries of least period; ``loads`` by kind."""
        by_length = [self._by_length(load) for load in loads]
        chips = self.inst.hardware.kind_of_chip
        best = np.full(self.size + 1, np.inf)
        best[0] = 0.0
        layers = [best]
        for kind in chips:
            if stop():
                return None
            best = self._one_block_more(best, by_length[kind])
            layers.append(best)
        used = int(np.argmin([layer[self.size] for layer in layers]))
        if not np.isfinite(layers[used][self.size]):
            return None
        bounds, end = [self.size], self.size
        for c in range(used - 1, -1, -1):
            lengths = np.arange(1, min(end, self.band) + 1)
            at_end = by_length[chips[c]][lengths - 1, end]
            end -= int(lengths[np.argmin(np.maximum(layers[c][end - lengths], at_end))])
            bounds.append(end)
        return bounds[::-1]

    def _by_length(self, load: FloatArray) -> FloatArray:
        """(band, size + 1): entry ``[d - 1, end]`` is the load of the block of length ``d`` that ends at ``end``."""
        found = np.full((self.band, self.size + 1), np.inf)
        for d in range(1, self.band + 1):
            found[d - 1, d:] = load[: self.size + 1 - d, d]
        return found

    def _one_block_more(self, best: FloatArray, by_length: FloatArray) -> FloatArray:
        """(size + 1,) least period up to each position, where ``best`` is that of one block less."""
        before = sliding_window_view(np.concatenate([np.full(self.band, np.inf), best]), self.size + 1)
        found = np.full(self.size + 1, np.inf)
        step = max(1, CACHED // (self.size + 1))
        for first in range(0, self.band, step):  # few enough at a time to stay in the processor's cache
            last = min(first + step, self.band)
            earlier = before[self.band - last : self.band - first][::-1]
            np.minimum(found, np.maximum(earlier, by_length[first:last]).min(axis=0), out=found)
        return found

    def _blocks_among_neighbours(self, loads: list[FloatArray], stop: Stop) -> list[int] | None:
        """As :meth:`_blocks`, where every tensor a block reads comes from the block before it."""
        n, band = self.size, self.band
        chips = self.inst.hardware.kind_of_chip
        earliest = np.arange(n)  # earliest producer read at each position
        np.minimum.at(earliest, self.read_at, np.minimum(self.made_at, self.read_at))
        begin, length = np.arange(n)[None, :], np.arange(band + 1)[:, None]
        last = np.maximum(np.minimum(begin + length, n) - 1, 0)
        source = np.minimum.accumulate(np.where(length > 0, earliest[last], n), axis=0)
        least = np.clip(begin - source, 0, band + 1)  # (band + 1, n) least length of the block before
        wanted = least * (n + 1) + begin
        by_kind = [np.ascontiguousarray(load.T) for load in loads]
        block = np.full((band + 1, n), np.inf)  # best period of blocks with this length and begin
        block[1:, 0] = by_kind[chips[0]][1:, 0]
        layers = [block]
        at_least = np.empty((band + 2, n + 1))  # the same for blocks that end here, of this length or more
        for kind in chips[1:]:
            if stop():
                return None
            at_least.fill(np.inf)
            for d in range(1, min(band, n) + 1):
                at_least[d, d:] = block[d, : n + 1 - d]
            np.minimum.accumulate(at_least[::-1], axis=0, out=at_least[::-1])
            block = np.maximum(by_kind[kind], at_least.reshape(-1)[wanted])
            layers.append(block)

        def ending_at(end: int, layer: FloatArray, shortest: int) -> tuple[int, float]:
            """Length and period of the best block of a layer that ends at ``end``."""
            lengths = np.arange(max(shortest, 1), min(end, band) + 1)
            found = layer[lengths, end - lengths]
            return (int(lengths[np.argmin(found)]), float(found.min())) if len(found) else (0, np.inf)

        final = [ending_at(n, layer, 1) for layer in layers]
        used = int(np.argmin([period for _, period in final]))
        if not np.isfinite(final[used][1]):
            return None
        bounds, end, size = [n], n, final[used][0]
        for c in range(used - 1, -1, -1):
            shortest = int(least[size, end - size])
            end -= size
            bounds.append(end)
            size, _ = ending_at(end, layers[c], shortest)
        return [*bounds, 0][::-1]

    def _placement(self, bounds: list[int]) -> Placement:
        """Homes by block; replicable nodes at home where first needed, replicas where needed again."""
        inst = self.inst
        block_of = np.searchsorted(np.array(bounds[1:]), np.arange(self.size), side="right")
        chip = np.zeros(inst.nodes, dtype=np.int64)
        plain = ~inst.replicable
        chip[plain] = block_of[self.position[plain]]
        return inst.lift(chip, with_replicas(inst, chip), [])
