"""Blocks of a chain of ideals: what a chip between two of them computes, receives, sends and holds.

Only nodes in which the ideals of a window differ are tabulated; all others lie before every block, or behind it.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from milp.coarsening import transfers
from milp.enumeration import CHUNK, Kept, bits, member
from milp.forced_relays import ForcedRelays, forced_relays
from partition.graph import BoolArray, FloatArray, IntArray
from partition.instance import Instance

TABLE_LIMIT = 80_000_000
"""Most entries (ideals x (nodes + tensors)) worth tabulating at once."""

WEIGHTS_ROUNDING = 1e-12
"""Rounding of a block's weights, a difference of sums, relative to all of them."""


class TableTooLarge(Exception):
    """A window of ideals differs in too many nodes."""


class BlockData:
    """What all windows share: which tensors, replicable nodes and nodes left out concern which kept nodes.

    Pairs are (row, node): readers of tensors, users of shared weights, readers of replicable nodes, kept neighbours of
    nodes left out.
    """

    def __init__(self, inst: Instance, kept: Kept) -> None:
        self.inst, self.kept, self.hw = inst, kept, inst.hardware
        self._tensors()
        self._replicable()
        self._left_out()
        row = np.repeat(np.arange(len(inst.shared_bytes)), np.diff(inst.shared_ptr))
        plain = kept.node[inst.shared_nodes]
        self.users = row[plain], inst.shared_nodes[plain]
        self.limited = self.hw.rules.memory and bool(np.isfinite(self.hw.sram_bytes).any())
        # Where tensors also go back, round a ring, what a link carries depends on all blocks.
        self.links = self.hw.links > 0 and inst.forward_only
        self.round_ring = self.hw.links > 0 and not inst.forward_only and self.hw.interconnect.topology == "ring"

    def _tensors(self) -> None:
        self.moved = moved = transfers(self.inst, self.kept.node)
        self.tau, self.source, self.both_ways = moved.tau, moved.source, moved.both_ways
        self.readers = moved.row, moved.reader
        self.degree = np.bincount(moved.row, minlength=len(moved.tau)).astype(np.int16)

    @cached_property
    def forced(self) -> ForcedRelays | None:
        """What blocks must relay; found once blocks are scored."""
        return forced_relays(self.inst, self.kept.nodes, self.moved)

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
        self.presence_readers = row, pairs[1][plain]

    def _left_out(self) -> None:
        """Nodes left out (not replicable) that lie between kept ones."""
        inst, kept = self.inst, self.kept
        rows = np.flatnonzero(~kept.node & ~inst.replicable).tolist()
        rows = [v for v in rows if kept.producers[v] and kept.consumers[v]]
        self.left_out_time = inst.time[:, rows]
        before = [(i, u) for i, v in enumerate(rows) for u in bits(kept.producers[v])]
        after = [(i, w) for i, v in enumerate(rows) for w in bits(kept.consumers[v])]
        first, second = (np.array(p, dtype=np.int64).reshape(-1, 2).T for p in (before, after))
        self.before, self.after = (first[0], kept.nodes[first[1]]), (second[0], kept.nodes[second[1]])
        self.wanted = np.bincount(first[0], minlength=len(rows))

    def sums(self, words: NDArray[np.uint64], time: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of each ideal the least work of all chips up to its end, of all behind it, and what crosses between them.

        A node left out is on the side of its kept descendants inside, or of its kept ancestors outside. Tensors that
        may go back are not counted.

        Parameters
        ----------
        words : (I, words) the ideals as bits. time : (N,) least time of each node.

        Returns
        -------
        (I,), (I,) and (I,) in units of the instance.
        """
        inst, kept = self.inst, self.kept
        count = len(kept.nodes)
        place = np.full(inst.nodes, -1)
        place[kept.nodes] = np.arange(count)
        others = [v for v in np.flatnonzero(~kept.node & ~inst.replicable).tolist() if time[v] > 0]
        inside, inside_time = _patterns([kept.consumers[v] for v in others], time[others], count)
        outside, outside_time = _patterns([kept.producers[v] for v in others], time[others], count)
        row, reader = self.readers
        read = sp.csr_array((np.ones(len(row), np.float32), (place[reader], row)), shape=(count, len(self.tau)))
        forward = np.where(self.both_ways, 0.0, self.tau)
        own = time[kept.nodes]
        parts = []
        for begin in range(0, len(words), CHUNK):
            held = member(words[begin : begin + CHUNK])[:, :count].astype(np.float32)
            live = (held[:, place[self.source]] > 0) & (held @ read < self.degree)
            rest = 1 - held
            before = held @ own + (held @ inside > 0) @ inside_time
            behind = rest @ own + (rest @ outside > 0) @ outside_time
            parts.append(np.stack([before, behind, live @ forward]))
        before, behind, cut = np.concatenate(parts, axis=1)
        return before, behind, cut


def _patterns(masks: list[int], amounts: FloatArray, count: int) -> tuple[sp.csr_array, FloatArray]:
    """(count, P) 0 or 1 for each distinct mask over kept nodes, and (P,) the sum of the amounts that share it."""
    number = {mask: i for i, mask in enumerate(dict.fromkeys(mask for mask in masks if mask))}
    pairs = [(node, i) for mask, i in number.items() for node in bits(mask)]
    node, pattern = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    some = [i for i, mask in enumerate(masks) if mask]
    total = np.bincount([number[masks[i]] for i in some], weights=amounts[some], minlength=len(number))
    matrix = sp.csr_array((np.ones(len(node), np.float32), (node, pattern)), shape=(count, len(number)))
    return matrix, total.astype(np.float64)


class Blocks:
    """Tables over a window of ideals: ``[i]`` counts what ideal ``i`` holds.

    Parameters
    ----------
    words : (I, words) the ideals as bits, by work. work : (I,). longest : blocks of more work are not looked at.

    Raises
    ------
    TableTooLarge : the ideals differ in too many nodes.
    """

    def __init__(self, data: BlockData, words: NDArray[np.uint64], work: FloatArray, longest: float) -> None:
        self.data, self.inst, self.hw = data, data.inst, data.hw
        self.words, self.work, self.longest = words, work, longest
        common, some = np.bitwise_and.reduce(words, axis=0), np.bitwise_or.reduce(words, axis=0)
        self.varying = np.flatnonzero(common != some)
        nodes = data.kept.nodes
        place = np.flatnonzero(member((some & ~common)[None])[0][: len(nodes)])
        self.active = np.zeros(self.inst.nodes, dtype=bool)
        self.active[nodes[place]] = True
        self.common = np.zeros(self.inst.nodes, dtype=bool)
        self.common[nodes[np.flatnonzero(member(common[None])[0][: len(nodes)])]] = True
        self._column = np.full(self.inst.nodes, -1)
        self._column[nodes[place]] = np.arange(len(place))
        tensors, readers = data.readers
        touched = self.active[data.source]
        touched[tensors[self.active[readers]]] = True
        if len(words) * (len(place) + int(touched.sum())) > TABLE_LIMIT:
            raise TableTooLarge
        narrow = member(words[:, self.varying])
        inside = np.zeros(len(common) * 64, dtype=bool)
        inside[place] = True
        self.member = narrow[:, inside.reshape(-1, 64)[self.varying].reshape(-1)]
        self._tensors(np.flatnonzero(touched))
        active = nodes[place]
        self.time = self._sums(self.inst.time[:, active].T)
        self.barred = self._sums((~self.inst.supported)[:, active].astype(float).T)
        self.private = self._sums(self.inst.weights[active])
        self.weights, self.shared_users = self._active_rows(data.users, len(self.inst.shared_bytes))
        self.present, self.presence_readers = self._active_rows(data.presence_readers, len(data.presence_cost))
        self._between()

    def _sums(self, amounts: FloatArray) -> FloatArray:
        """(I, ...) sum of ``amounts`` over the active nodes of each ideal."""
        step = CHUNK
        parts = [self.member[b : b + step].astype(np.float64) @ amounts for b in range(0, len(self.member), step)]
        return np.concatenate(parts)

    def _counts(self, pairs: tuple[IntArray, IntArray], rows: IntArray, count: int) -> NDArray[np.int16]:
        """(I, rows) how many of the nodes paired with each of ``rows`` (of ``count``) an ideal holds."""
        number = np.full(count, -1)
        number[rows] = np.arange(len(rows))
        row, node = pairs
        row, node = number[row[number[row] >= 0]], node[number[row] >= 0]
        base = np.bincount(row[self.common[node]], minlength=len(rows)).astype(np.int16)
        here = self.active[node]
        matrix = sp.csr_array(
            (np.ones(int(here.sum()), np.float32), (self._column[node[here]], row[here])),
            shape=(self.member.shape[1], len(rows)),
        )
        step = CHUNK
        parts = [self.member[b : b + step].astype(np.float32) @ matrix for b in range(0, len(self.member), step)]
        return np.asarray(np.concatenate(parts).astype(np.int16) + base)

    def _active_rows(self, pairs: tuple[IntArray, IntArray], count: int) -> tuple[IntArray, NDArray[np.int16]]:
        """Rows paired with an active node, and their counts."""
        rows = np.unique(pairs[0][self.active[pairs[1]]])
        return rows, self._counts(pairs, rows, count)

    def _tensors(self, rows: IntArray) -> None:
        """Per ideal: how many readers of each tensor it holds, and the load of its cut."""
        data = self.data
        self.rows = rows
        self.tau, self.degree, self.both_ways = data.tau[rows], data.degree[rows], data.both_ways[rows]
        self.count = self._counts(data.readers, rows, len(data.tau))
        self.made = self._counts((np.arange(len(data.source)), data.source), rows, len(data.tau)) > 0
        live = self.made & (self.count < self.degree)
        tensor, reader = data.readers
        passing = self.common[data.source]  # made before every block, wanted behind every block
        passing[rows] = False
        passing &= np.bincount(tensor[self.common[reader]], minlength=len(passing)) < data.degree
        self.passing = np.flatnonzero(passing)
        self.passing_load = float(data.tau[passing].sum())
        self.cut = live @ self.tau + self.passing_load
        ideal, row = np.nonzero(live & ~self.both_ways)
        self.live = np.split(row, np.searchsorted(ideal, np.arange(1, len(live))))
        self.back = np.flatnonzero(self.both_ways)

    def _between(self) -> None:
        """Nodes left out that lie between kept ones: their kept neighbours inside each ideal."""
        data = self.data
        count = len(data.wanted)
        rows, read = self._active_rows(data.after, count)
        self.read = read > 0
        self.left_out_time = data.left_out_time[:, rows]
        fed = self._counts(data.before, rows, count) == data.wanted[rows]
        self.time = self.time + self.read @ self.left_out_time.T
        ideal, row = np.nonzero(fed & ~self.read)
        self.open = np.split(row, np.searchsorted(ideal, np.arange(1, len(self.words))))

    def beginning_at(self, i: int, wanted: BoolArray) -> tuple[IntArray, list[FloatArray], FloatArray]:
        """Those ideals ``j`` of ``wanted`` that contain ideal ``i`` and what the block between costs.

        Returns
        -------
        The ideals (J,), per chip kind the load (J,), and what the block sends back round the ring (J,).
        """
        last = int(np.searchsorted(self.work, self.work[i] + self.longest, side="right"))
        begin = self.words[i]
        later = i + 1 + np.flatnonzero(wanted[i + 1 : last])
        # Word by word: most candidates drop out at the first words that differ.
        for word in self.varying[begin[self.varying] != 0][::-1]:
            later = later[(self.words[later, word] & begin[word]) == begin[word]]
        receive, send = self._transfers(i, later)
        impossible = np.zeros(1, dtype=bool)
        if self.data.forced is not None:
            received, sent, impossible = self._relayed(self.data.forced, i, later)
            receive, send = receive + received, send + sent
        if self.hw.serial and len(self.present):
            present = self.presence_readers[later] > self.presence_readers[i]
            receive = receive + (present * self.data.presence_cost[self.present]).max(axis=1)
        over = self._too_heavy(i, later)
        loads = []
        for k, kind in enumerate(self.hw.kinds):
            compute = self.time[later, k] - self.time[i, k]
            if len(self.open[i]):  # could have been done before this block
                compute = compute - self.read[later[:, None], self.open[i]] @ self.left_out_time[k, self.open[i]]
            paid = 0.0 if kind.free_transfers else 1.0
            moved = paid * receive, paid * send
            load = compute + moved[0] + moved[1] if self.hw.serial else np.maximum(compute, np.maximum(*moved))
            load = np.where(impossible | (self.barred[later, k] > self.barred[i, k]), np.inf, load)
            if self.data.links:
                load = np.maximum(load, self.cut[later])
            loads.append(np.where(over > kind.sram_bytes, np.inf, load) if self.data.limited else load)
        return later, loads, self._returned(i, later)

    def _returned(self, i: int, later: IntArray) -> FloatArray:
        """Transfer time of the tensors made in a block and read before it."""
        if not self.data.round_ring:
            return np.zeros(len(later))
        back = self.back[self.count[i, self.back] > 0]
        return np.asarray((self.made[later[:, None], back] & ~self.made[i, back]) @ self.tau[back])

    def _transfers(self, i: int, later: IntArray) -> tuple[FloatArray, FloatArray]:
        if not self.hw.serial and self.data.links:
            return np.zeros(1), np.zeros(1)  # never more than the links beside the chip
        live = self.live[i]
        inside = self.count[later[:, None], live]
        receive = (inside > self.count[i, live]) @ self.tau[live]
        through = (inside < self.degree[live]) @ self.tau[live]
        if not len(self.back):
            return receive, np.maximum(self.cut[later] - self.passing_load - through, 0.0)
        back = self.back
        cut_forward = (self.made[later] & (self.count[later] < self.degree))[:, ~self.both_ways] @ self.tau[
            ~self.both_ways
        ]
        own = self.made[later[:, None], back] & ~self.made[i, back]
        got = self.count[later[:, None], back] - self.count[i, back]
        receive = receive + (~own & (got > 0)) @ self.tau[back]
        send = cut_forward - through + (own & (got < self.degree[back])) @ self.tau[back]
        return receive, np.maximum(send, 0.0)

    def _relayed(self, forced: ForcedRelays, i: int, later: IntArray) -> tuple[FloatArray, FloatArray, BoolArray]:
        """What each block receives only to relay it, what it relays, and whether it must but may not."""
        live = self.live[i]
        inside = self.count[later[:, None], live]
        rows = np.concatenate([self.rows[live], self.passing])
        relayed = forced.of(self.words[later] & ~self.words[i], rows)
        relayed[:, : len(live)] &= inside < self.degree[live]
        unread = relayed.copy()
        unread[:, : len(live)] &= inside == self.count[i, live]
        tau = self.data.tau[rows]
        return unread @ tau, relayed @ tau, (relayed & ~forced.possible[rows]).any(axis=1)

    def _too_heavy(self, i: int, later: IntArray) -> FloatArray:
        """Resident weights of each block, less a rounding allowance."""
        held = self.private[later] - self.private[i]
        if len(self.weights):
            held = held + (self.shared_users[later] > self.shared_users[i]) @ self.inst.shared_bytes[self.weights]
        return np.asarray(held * (1 - 1e-9) - WEIGHTS_ROUNDING * float(self.private.max()))
