"""What all blocks of one level share: which tensors, replicable nodes and nodes left out concern which kept nodes."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from milp.ideals.enumeration import CHUNK, Kept, bits
from milp.ideals.forced_relays import ForcedRelays, forced_relays
from milp.ideals.leaving_out import transfers
from milp.ideals.loose import LooseTensors
from milp.ideals.window import Window, patterns
from partition.arrays import BoolArray, FloatArray, IntArray
from partition.instance.instance import Instance


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
        self.links = inst.links_carry_cuts
        self.round_ring = self.hw.links > 0 and not inst.forward_only and self.hw.interconnect.topology == "ring"

    def _tensors(self) -> None:
        self.moved = moved = transfers(self.inst, self.kept.node, self.kept.loose)
        self.loose = LooseTensors.of(self.inst, self.kept.node, self.kept.loose)
        self.tau, self.source, self.both_ways = moved.tau, moved.source, moved.both_ways
        self.readers = moved.row, moved.reader
        self.degree = np.bincount(moved.row, minlength=len(moved.tau)).astype(np.int16)

    @cached_property
    def forced(self) -> ForcedRelays | None:
        """What blocks must relay; found once blocks are scored."""
        return forced_relays(self.inst, self.kept.nodes, self.moved)

    def _replicable(self) -> None:
        """Least serial cost of having a replicable node's output on a chip: receive it, or run it on what it needs.

        Running it costs nothing where some chip streams beside compute.
        """
        inst = self.inst
        fastest = inst.fastest * (not inst.compute_hides.any())
        tensor = np.repeat(np.arange(inst.tensors), np.diff(inst.reader_ptr))
        wanted = inst.replicable[inst.source[tensor]]
        pairs = np.stack([inst.source[tensor], inst.readers, tensor])[:, wanted]
        cost: dict[int, float] = {}
        for v in np.flatnonzero(inst.replicable).tolist():  # nodes are numbered topologically
            needs = max((cost[int(u)] for u in pairs[0][pairs[1] == v]), default=0.0)
            received = inst.tau[pairs[2][pairs[0] == v]].min(initial=np.inf)
            cost[v] = min(float(received), float(fastest[v]) + needs)
        plain = self.kept.node[pairs[1]]
        nodes, row = np.unique(pairs[0][plain], return_inverse=True)
        self.presence_cost = np.array([cost[int(v)] for v in nodes])
        self.presence_readers = row, pairs[1][plain]

    def _left_out(self) -> None:
        """Nodes left out (not replicable) that lie between kept ones, those between the same ones as one."""
        inst, kept = self.inst, self.kept
        rows = np.flatnonzero(~kept.node & ~inst.replicable).tolist()
        between = [(kept.producers[v], kept.consumers[v]) for v in rows]
        number = {pair: i for i, pair in enumerate(dict.fromkeys(pair for pair in between if all(pair)))}
        self.left_out_time = np.zeros((len(inst.time), len(number)))
        for v, pair in zip(rows, between, strict=True):
            if pair in number:
                self.left_out_time[:, number[pair]] += inst.time[:, v]
        before = [(i, u) for (producers, _), i in number.items() for u in bits(producers)]
        after = [(i, w) for (_, consumers), i in number.items() for w in bits(consumers)]
        first, second = (np.array(p, dtype=np.int64).reshape(-1, 2).T for p in (before, after))
        self.before, self.after = (first[0], kept.nodes[first[1]]), (second[0], kept.nodes[second[1]])
        self.wanted = np.bincount(first[0], minlength=len(number))

    def sums(self, words: NDArray[np.uint64], time: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of each ideal the least work of all chips up to its end, of all behind it, and what crosses between them.

        A node left out is on the side of its kept descendants inside, or of its kept ancestors outside. Tensors that
        may go back are not counted.

        Parameters
        ----------
        words : (I, words) the ideals as bits, fastest where similar ones are neighbours.
        time : (N,) least times.

        Returns
        -------
        (I,), (I,) and (I,) in units of the instance.
        """
        inst, kept = self.inst, self.kept
        others = [v for v in np.flatnonzero(~kept.node & ~inst.replicable).tolist() if time[v] > 0]
        inside = patterns([kept.consumers[v] for v in others], time[others], kept)
        outside = patterns([kept.producers[v] for v in others], time[others], kept)
        forward = np.where(self.both_ways, 0.0, self.tau)
        parts = []
        for begin in range(0, len(words), CHUNK):
            window = Window(kept, words[begin : begin + CHUNK])
            never = kept.node & ~window.common & ~window.active
            active = time[window.nodes]
            before = time[window.common].sum() + window.sums(active) + inside.sums(window, lambda held, _: held > 0)
            behind = time[never].sum() + (1 - window.member) @ active
            behind = behind + outside.sums(window, lambda held, size: held < size)
            touched = self.touched(window)
            rows = np.flatnonzero(touched)
            live = self.made(window, rows) & (window.counts(self.readers, rows, len(self.tau)) < self.degree[rows])
            cut = live @ forward[rows] + forward[self.passing(window, touched)].sum()
            parts.append(np.stack([before, behind, cut]))
        before, behind, cut = np.concatenate(parts, axis=1)
        return before, behind, cut

    def touched(self, window: Window) -> BoolArray:
        """(R,) tensors with a producer or a reader in which the ideals of a window differ."""
        tensors, readers = self.readers
        touched = window.active[self.source]
        touched[tensors[window.active[readers]]] = True
        return np.asarray(touched)

    def passing(self, window: Window, touched: BoolArray) -> BoolArray:
        """(R,) of the other tensors, those made in all ideals of a window and wanted behind all of them."""
        held = window.held_by_all(self.readers, len(self.tau))
        return np.asarray(window.common[self.source] & (held < self.degree) & ~touched)

    def made(self, window: Window, rows: IntArray) -> BoolArray:
        """(I, rows) whether each ideal holds the producer of each of these tensors."""
        return np.asarray(window.counts((np.arange(len(self.source)), self.source), rows, len(self.tau)) > 0)
