"""Blocks of a chain of ideals: what a chip between two of them computes, receives, sends and holds.

Only nodes in which the ideals of a window differ are tabulated; all others lie before every block, or behind it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from milp.ideals.block_data import BlockData
from milp.ideals.forced_relays import ForcedRelays
from milp.ideals.loose import LooseCharges
from milp.ideals.window import Window
from milp.tolerances import DIFFERENCE, ROUNDING
from partition.arrays import BoolArray, FloatArray, IntArray

TABLE_LIMIT = 80_000_000
"""Most entries (ideals x (nodes + tensors)) worth tabulating at once."""

PACKED_WORDS = 8
"""Most words of tensors that tell at once which blocks are not worth a closer look."""

ENTRIES = 300_000
"""Most entries (blocks x tensors) worked on at a time."""


class TableTooLarge(Exception):
    """A window of ideals differs in too many nodes."""


class Blocks:
    """Tables over a window of ideals: ``[i]`` counts what ideal ``i`` holds.

    Parameters
    ----------
    words : (I, words) the ideals as bits, subsets first.

    Raises
    ------
    TableTooLarge : the ideals differ in too many nodes.
    """

    def __init__(self, data: BlockData, words: NDArray[np.uint64]) -> None:
        self.data, self.inst, self.hw = data, data.inst, data.hw
        self.words = words
        self.window = window = Window(data.kept, words)
        touched = data.touched(window)
        if len(words) * (len(window.nodes) + int(touched.sum())) > TABLE_LIMIT:
            raise TableTooLarge
        self._tensors(touched)
        active = window.nodes
        self.time = window.sums(self.inst.time[:, active].T)
        self.barred = window.sums((~self.inst.supported)[:, active].astype(float).T)
        self.private = window.sums(self.inst.weights[active])
        self.weights, self.shared_users = self._active_rows(data.users, len(self.inst.shared_bytes))
        self.present, self.presence_readers = self._active_rows(data.presence_readers, len(data.presence_cost))
        self._between()
        self.loose = LooseCharges(self.inst, data.loose, window)
        self.rounding = DIFFERENCE * float(self.time.max(initial=0.0) + self.packed_cut.max(initial=0.0))

    def _active_rows(self, pairs: tuple[IntArray, IntArray], count: int) -> tuple[IntArray, NDArray[np.int16]]:
        """Rows paired with an active node, and their counts."""
        rows = self.window.active_rows(pairs)
        return rows, self.window.counts(pairs, rows, count)

    def _tensors(self, touched: BoolArray) -> None:
        """Per ideal: how many readers of each tensor it holds, and the load of its cut."""
        data = self.data
        self.rows = rows = np.flatnonzero(touched)
        self.tau, self.degree, self.both_ways = data.tau[rows], data.degree[rows], data.both_ways[rows]
        self.count = self.window.counts(data.readers, rows, len(data.tau))
        self.made = data.made(self.window, rows)
        live = self.made & (self.count < self.degree)
        passing = data.passing(self.window, touched)
        self.passing = np.flatnonzero(passing)
        self.passing_load = float(data.tau[passing].sum())
        self.cut = live @ self.tau + self.passing_load
        self.back = np.flatnonzero(self.both_ways)
        self._pair()
        self.forward_cut = live[:, ~self.both_ways] @ self.tau[~self.both_ways]
        self._pack(live)
        self.live, some = _padded(live & ~self.both_ways)
        self.live_tau = np.where(some, self.tau[self.live], 0.0)
        self.live_count = self.count[np.arange(len(live))[:, None], self.live]
        self.live_degree = self.degree[self.live]

    def _pair(self) -> None:
        """Tensors that may go back to their only reader, of one time each: which ideals hold one end alone, as bits.

        A block between two ideals holds one end alone where just one of the two does, and then it moves the tensor.
        """
        alone = self.both_ways & (self.degree == 1) & self.hw.serial
        self.several = np.flatnonzero(self.both_ways & ~alone)
        self.paired = []
        for tau in np.unique(self.tau[alone & (self.tau > 0)]).tolist():
            rows = np.flatnonzero(alone & (self.tau == tau))
            for some in np.split(rows, range(64, len(rows), 64)):
                self.paired.append((_as_bits(self.made[:, some] ^ (self.count[:, some] > 0)), tau))

    def _moved_both_ways(self, begin: IntArray, end: IntArray) -> FloatArray:
        """(P,) what blocks receive and send of the tensors that :meth:`_pair` knows."""
        moved = np.zeros(len(begin))
        for held, tau in self.paired:
            moved += tau * np.bitwise_count(held[begin] ^ held[end])
        return moved

    def _between(self) -> None:
        """Nodes left out that lie between kept ones: their kept neighbours inside each ideal."""
        data = self.data
        count = len(data.wanted)
        rows, read = self._active_rows(data.after, count)
        self.read = read > 0
        self.left_out_time = data.left_out_time[:, rows]
        fed = self.window.counts(data.before, rows, count) == data.wanted[rows]
        self.time = self.time + self.read @ self.left_out_time.T
        self.open, some = _padded(fed & ~self.read)
        self.open_time = np.where(some, self.left_out_time[:, self.open], 0.0)
        self.done = self.time + self.open_time.sum(axis=2).T  # with all that could have been done by then

    def charge(self, begin: IntArray, end: IntArray, threshold: float) -> tuple[IntArray, list[FloatArray], FloatArray]:
        """What blocks cost that lie between the ideals ``begin`` (P,) and ``end`` (P,), each containing the other.

        Returns
        -------
        Three things, (K,) each: the blocks that may have a load below ``threshold`` on some kind of chip; per kind,
        their loads; what they send back round the ring.
        """
        worth = np.flatnonzero(self.least_load(begin, end) < threshold)
        begin, end = begin[worth], end[worth]
        step = max(1, ENTRIES // (1 + self.live.shape[1] + self.open.shape[1] + len(self.several)))
        spans = [slice(first, first + step) for first in range(0, max(len(begin), 1), step)]
        parts = [(*self._loads(begin[span], end[span]), self._returned(begin[span], end[span])) for span in spans]
        *loads, returned = (np.concatenate(part) for part in zip(*parts, strict=True))
        return worth, loads, returned

    def least_load(self, begin: IntArray, end: IntArray) -> FloatArray:
        """(P,) less than any chip's load: what has to be done there, and of ``packed`` what lives on one side alone."""
        work = self.time[end] - self.done[begin]
        if not self.hw.serial and self.data.links:
            return np.asarray(work.min(axis=1))
        through = np.zeros(len(begin))
        for live, tau in self.packed:
            through += tau * np.bitwise_count(live[begin] & live[end])
        receive, send = self.packed_cut[begin] - through, self.packed_cut[end] - through
        moved = receive + send if self.hw.serial else np.maximum(receive, send)
        moved += self._moved_both_ways(begin, end)
        paid = moved[:, None] * np.array([not kind.free_transfers for kind in self.hw.kinds])
        return np.asarray((work + paid if self.hw.serial else np.maximum(work, paid)).min(axis=1) - self.rounding)

    def _pack(self, live: BoolArray) -> None:
        """The tensors alive at each ideal as bits, a word for up to 64 of the same time: those that take most."""
        value, group = np.unique(self.tau, return_inverse=True)
        group[self.both_ways] = -1
        rows = [np.flatnonzero(group == g) for g in range(len(value))]
        words = [
            (each[first : first + 64], float(tau))
            for each, tau in zip(rows, value, strict=True)
            for first in range(0, len(each), 64)
        ]
        words = sorted(words, key=lambda word: -word[1] * len(word[0]))[:PACKED_WORDS]
        self.packed = [(_as_bits(live[:, some]), tau) for some, tau in words]
        cut = [tau * np.bitwise_count(bits) for bits, tau in self.packed]
        self.packed_cut = np.sum(cut, axis=0) if cut else np.zeros(len(live))

    def _loads(self, begin: IntArray, end: IntArray) -> list[FloatArray]:
        receive, send = self._transfers(begin, end)
        impossible = np.zeros(len(begin), dtype=bool)
        if self.data.forced is not None:
            received, sent, impossible = self.relayed(self.data.forced, begin, end)
            receive, send = receive + received, send + sent
        if self.hw.serial and len(self.present):
            present = self.presence_readers[end] > self.presence_readers[begin]
            receive = receive + (present * self.data.presence_cost[self.present]).max(axis=1)
        read = self.read[end[:, None], self.open[begin]]
        held = self._held(begin, end) if self.data.limited else np.zeros(1)
        loose = self.loose.transfers(begin, end)
        room, rate = self.hw.room_of_kinds, self.inst.streaming_of_kinds
        loads = []
        for k, kind in enumerate(self.hw.kinds):
            compute = self.time[end, k] - self.time[begin, k]
            compute = compute - _dot(read, self.open_time[k][begin])  # could have been done before this block
            if rate[k]:
                stream = np.maximum(held - kind.sram_bytes, 0.0) / rate[k]
                compute = compute + stream if self.hw.streams_in_turn else np.maximum(compute, stream)
            paid = 0.0 if kind.free_transfers else 1.0
            moved = paid * receive, paid * send
            load = compute + moved[0] + moved[1] if self.hw.serial else np.maximum(compute, np.maximum(*moved))
            load = load + self.loose.charge(k, loose, paid)
            load = np.where(impossible | (self.barred[end, k] > self.barred[begin, k]), np.inf, load)
            if self.data.links:
                load = np.maximum(load, self.cut[end])
            loads.append(np.where(held > room[k], np.inf, load) if self.data.limited else load)
        return loads

    def _returned(self, begin: IntArray, end: IntArray) -> FloatArray:
        """Transfer time of the tensors made in a block and read before it."""
        if not self.data.round_ring:
            return np.zeros(len(begin))
        back, first, last = self.back, begin[:, None], end[:, None]
        sent = self.made[last, back] & ~self.made[first, back] & (self.count[first, back] > 0)
        return np.asarray(sent @ self.tau[back])

    def _transfers(self, begin: IntArray, end: IntArray) -> tuple[FloatArray, FloatArray]:
        if not self.hw.serial and self.data.links:
            return np.zeros(1), np.zeros(1)  # never more than the links beside the chip
        inside = self.count[end[:, None], self.live[begin]]
        tau = self.live_tau[begin]
        receive = _dot(inside > self.live_count[begin], tau)
        through = _dot(inside < self.live_degree[begin], tau)
        if not len(self.back):
            return receive, np.maximum(self.cut[end] - self.passing_load - through, 0.0)
        receive = receive + self._moved_both_ways(begin, end)
        back, first, last = self.several, begin[:, None], end[:, None]
        own = self.made[last, back] & ~self.made[first, back]
        got = self.count[last, back] - self.count[first, back]
        receive = receive + (~own & (got > 0)) @ self.tau[back]
        send = self.forward_cut[end] - through + (own & (got < self.degree[back])) @ self.tau[back]
        return receive, np.maximum(send, 0.0)

    def relayed(self, forced: ForcedRelays, begin: IntArray, end: IntArray) -> tuple[FloatArray, FloatArray, BoolArray]:
        """What each block receives only to relay it, what it relays, and whether it must but may not."""
        if not len(begin):
            return np.zeros(0), np.zeros(0), np.zeros(0, dtype=bool)
        parts = []
        for i, later in zip(*_by_first(begin, end), strict=True):
            live = self.live[i][self.live_tau[i] > 0]
            inside = self.count[later[:, None], live]
            rows = np.concatenate([self.rows[live], self.passing])
            relayed = forced.of(self.words[later] & ~self.words[i], rows)
            relayed[:, : len(live)] &= inside < self.degree[live]
            unread = relayed.copy()
            unread[:, : len(live)] &= inside == self.count[i, live]
            tau = self.data.tau[rows]
            parts.append((unread @ tau, relayed @ tau, (relayed & ~forced.possible[rows]).any(axis=1)))
        received, sent, impossible = (np.concatenate(part) for part in zip(*parts, strict=True))
        return received, sent, impossible

    def _held(self, begin: IntArray, end: IntArray) -> FloatArray:
        """Weights of each block, less a rounding allowance."""
        held = self.private[end] - self.private[begin]
        if len(self.weights):
            held = held + (self.shared_users[end] > self.shared_users[begin]) @ self.inst.shared_bytes[self.weights]
        return np.asarray(held * (1 - ROUNDING) - DIFFERENCE * float(self.private.max()))


def _as_bits(which: BoolArray) -> NDArray[np.uint64]:
    """(I,) the columns of ``which`` (I, up to 64) as bits."""
    wide = np.zeros((len(which), 64), dtype=bool)
    wide[:, : which.shape[1]] = which
    return np.packbits(wide, axis=1, bitorder="little").view(np.uint64)[:, 0]


def _padded(which: BoolArray) -> tuple[IntArray, BoolArray]:
    """(I, most) the columns that are set in each row, filled up with zeros, and (I, most) where they are not filled."""
    row, column = np.nonzero(which)
    size = np.bincount(row, minlength=len(which))
    some = np.arange(int(size.max(initial=0))) < size[:, None]
    columns = np.zeros(some.shape, dtype=np.int64)
    columns[some] = column
    return columns, some


def _dot(which: BoolArray, amounts: FloatArray) -> FloatArray:
    """(P,) sums over the rows of ``amounts`` (P, K) where ``which`` (P, K) holds."""
    return np.asarray(np.einsum("pk,pk->p", which, amounts))


def _by_first(begin: IntArray, end: IntArray) -> tuple[list[int], list[IntArray]]:
    """The ideals at which blocks begin, and where those of each end; blocks that begin together follow one another."""
    change = np.flatnonzero(np.diff(begin, prepend=-1))
    return begin[change].tolist(), np.split(end, change[1:])
