"""A beam over the down-sets of a graph whose transfers cost: chip after chip is filled within one period.

A *boundary* is the down-set that chips ``0..c`` hold. From each of the boundaries kept, blocks grow node by node; what
a block receives, sends and computes is kept up to date with each node, as it depends on the two boundaries alone. Of
equal blocks one is kept. Every block within the period ends in a boundary of the next chip; of equal boundaries one is
kept, as all that follows depends on the boundary alone, but for the triangle rule. Boundaries are equal, too, where one
becomes the other when nodes that look alike change places (:attr:`Flow.likeness`).

Of too many blocks the most promising stay. They have lost least of the chips' time so far, to transfers and idling, and
their boundary costs least later. Each tensor that crosses has a *toll*, a guess at the time of chips that it will take.
So a beam finds placements and proves nothing. A guide may foresee losses beyond the tolls.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from milp import budget
from milp.search.downsets.boundaries import Boundaries, most_promising
from milp.search.downsets.growing import Children, GrowingBlocks
from milp.search.downsets.guidance import MARKS, BeamStates, Guidance, Watched
from milp.search.downsets.names import SCATTER, names_of_amounts
from milp.search.downsets.relays import Ends, relayed
from milp.search.downsets.tasks import Words, holds, packed, unpacked
from milp.search.downsets.transfers import Flow
from milp.tolerances import AT_ONCE, CROSSES_AT_ONCE, ROUNDING, SIZES
from partition.arrays import BoolArray, FloatArray, IntArray, sums
from partition.instance.instance import Instance
from partition.stopping import Stop


class Beam:
    """The question whether all nodes fit within one period, for any width.

    Parameters
    ----------
    flow : Flow
        What is to be placed.
    instance : Instance
        Of the flow.
    period : float
        Largest load of a chip or link, in units of the instance.
    windows : ((N,), (N,)) of int
        First and last chip that each node of the flow can be on within the period.
    tolls : (M,) float
        What each tensor of the flow costs later where it crosses a boundary, in units of the instance.
    guidance : Guidance or None
        What foresees losses beyond the tolls.

    Attributes
    ----------
    expanded : int
        Blocks that were kept to grow, so far.
    trail : list of Boundaries
        Those behind each chip, of the last decision.
    """

    def __init__(
        self,
        flow: Flow,
        instance: Instance,
        period: float,
        windows: tuple[IntArray, IntArray],
        tolls: FloatArray,
        guidance: Guidance | None = None,
    ) -> None:
        self.flow, self.tolls, self.guidance = flow, tolls, guidance
        self.expanded, self.most, self.trail = 0, math.inf, list[Boundaries]()
        self.sent_toll = sums(flow.producer, tolls, flow.count)
        self.hardware = hardware = instance.hardware
        self.triangle = hardware.rules.triangle and not instance.triangle_by_relays
        self.links = instance.links_carry_cuts
        self.limit = period * (1 + ROUNDING)
        self.first, self.last = windows
        self.sram, self.rate = hardware.sram_bytes, instance.streaming
        self.room = instance.room(period) * (1 + ROUNDING) if hardware.rules.memory else None
        self.total = float(flow.fastest.sum()) * (1 - ROUNDING)
        self.light = min(AT_ONCE * period, (period - self.total / hardware.chips) / 2)  # less where chips must be full
        self.size = flow.fastest  # of a node: the share of a chip that it takes, of what is scarcer
        if self.room is not None:
            self.size = np.maximum(flow.fastest, self.limit * np.nan_to_num(flow.weights / self.room.min()))

    def decide(
        self, width: int, stop: Stop, *, most: float = math.inf
    ) -> tuple[IntArray, list[tuple[int, int]]] | None:
        """Chips (N,) of the nodes of the flow where all fit, and (tensor, chip) of relays.

        None if no boundary that was kept leads there, or if stopped, or where ``most`` blocks are expanded.
        """
        self.most = most
        flow, chips = self.flow, self.hardware.chips
        led = (len(flow.tau), chips) if self.triangle else (0, 0)
        self.trail = trail = [Boundaries.none_done(flow.words, *led, len(MARKS) if self.guidance is not None else 0)]
        for chip in range(chips):
            found = self._fill(trail[-1], chip, width, stop)
            if found is None:
                return None
            trail.append(found)
            complete = np.flatnonzero(np.bitwise_count(found.done).sum(axis=1) == flow.count)
            if len(complete):
                return self._placement(trail, int(complete[0]))
        return None

    def _fill(self, begun: Boundaries, chip: int, width: int, stop: Stop) -> Boundaries | None:
        """Boundaries behind a chip, at most ``width``; None if there are none."""
        blocks, found = self._open(begun), begun.take(np.zeros(0, np.int64))
        while not stop() and self.expanded < self.most:
            children = self._children(begun, blocks, chip, stop)
            children = children.take(self._kept(begun, blocks, children, chip, width))
            if not len(children.parent):
                return found if len(found) else None
            self._show(begun, blocks, children, chip)
            self.expanded += len(children.parent)
            blocks = self._grown(begun, blocks, children)
            found = found.with_others(self._ended(begun, blocks, chip), width, SIZES * self.limit)
        return None

    def _ended(self, begun: Boundaries, blocks: GrowingBlocks, chip: int) -> Boundaries:
        """Boundaries behind those blocks that may end now."""
        last = blocks.last
        least = self.total - (self.hardware.chips - 1 - chip) * self.limit
        must = packed((self.last <= chip)[None])[0]
        ends = (self._load(last, chip) <= self.limit) & (last.work >= least) & ((must & ~blocks.done) == 0).all(axis=1)
        rows = np.flatnonzero(ends)
        if not self.triangle:
            some = last.take(rows)
            return self._behind(blocks, rows, some, chip, (begun.source[some.root], begun.above[some.root]))
        found = [self._relaying(begun, blocks, rows, chip, eagerly=eagerly) for eagerly in (False, True)]
        return Boundaries.joined(found)

    def _behind(
        self, blocks: GrowingBlocks, rows: IntArray, some: Children, chip: int, led: tuple[NDArray[np.int8], Words]
    ) -> Boundaries:
        """Boundaries behind some blocks."""
        lost = some.toll - some.size
        if self.guidance is not None and len(rows):
            table = self.guidance.outlook.of_states(self._states(blocks, replace(some, parent=rows), None), chip)
            if self.guidance.watch is not None:
                self.guidance.watch(Watched(chip, True, some.root, blocks.done[rows], -some.size / self.limit, table))
            lost = lost + self.limit * self.guidance.opinion.losses(table)[:, 1]
        shown = some.name, some.work, some.size, some.cut, some.toll, lost, some.marks, some.root
        return Boundaries(blocks.done[rows], *shown, *led)

    def _states(self, blocks: GrowingBlocks, some: Children, node: IntArray | None) -> BeamStates:
        """What a guide sees of children of ``blocks``, with their last ``node`` where they go on."""
        assert self.guidance is not None
        longest = self.guidance.outlook.longest(blocks.eligible)[some.parent]
        loads = some.work, some.cut, some.toll, some.marks, some.compute, some.receive, some.send, longest
        if node is None:
            return BeamStates(*loads)
        before = blocks.last.cut[some.parent], blocks.last.receive[some.parent]
        return BeamStates(*loads, node, some.cut - before[0], some.receive - before[1])

    def _relaying(
        self, begun: Boundaries, blocks: GrowingBlocks, rows: IntArray, chip: int, *, eagerly: bool
    ) -> Boundaries:
        """Boundaries behind those of some blocks that keep the triangle rule, and the period with what they relay."""
        some = blocks.last.take(rows)
        ends = Ends(
            some.root, blocks.done[rows], blocks.below[rows], blocks.unread[rows], blocks.got[rows],
            some.inputs, some.above,
        )  # fmt: skip
        passed = relayed(self.flow, begun, ends, chip, eagerly=eagerly)
        legal = passed.legal & (self._load(some, chip, passed.receive, passed.send) <= self.limit)
        some = some.take(legal)
        if eagerly:
            some = replace(some, name=some.name ^ SCATTER)
        return self._behind(blocks, rows[legal], some, chip, (passed.source[legal], passed.above[legal]))

    # --- blocks that grow ------------------------------------------------------------------------------------

    def _open(self, begun: Boundaries) -> GrowingBlocks:
        """An empty block at each boundary."""
        flow, count = self.flow, len(begun)
        done = unpacked(begun.done)[:, : flow.count]
        zero, none, rows = np.zeros(count), np.zeros(count, np.uint64), np.arange(count)
        now = begun.name, begun.work, begun.size, begun.cut, begun.toll
        return GrowingBlocks(
            last=Children(rows, rows, rows, *now, zero, zero, zero, zero, none, none, begun.marks),
            done=begun.done,
            below=np.zeros((count, flow.words if self.triangle else 0), np.uint64),
            eligible=flow.eligible(done),
            unread=flow.unread(done),
            got=np.zeros((count, len(flow.tau)), dtype=bool),
            shared=np.zeros((count, len(flow.shared_bytes)), dtype=bool),
        )

    def _children(self, begun: Boundaries, blocks: GrowingBlocks, chip: int, stop: Stop) -> Children:
        """Each block with each node added that leaves room for it."""
        flow, last = self.flow, blocks.last
        able = (self.first <= chip) & np.isfinite(flow.time[chip])
        parent, node = np.nonzero(blocks.eligible & able)
        fits = last.compute[parent] + flow.time[chip, node] <= self.limit
        parent, node = parent[fits], node[fits]
        place, tensor = flow.reads.along(node)
        stop.charge(budget.BEAM_STEP + budget.BEAM_NODE * (len(fits) + len(place)))
        if self.guidance is not None:
            stop.charge(budget.BEAM_SIGHT + budget.BEAM_SEEN * len(parent))
        row, count = parent[place], len(parent)
        root = last.root[row]
        inside = ~_member(begun.done, root, flow.producer[tensor])
        tau, final = flow.tau[tensor], blocks.unread[row, tensor] == 1
        inputs, above = last.inputs[parent], last.above[parent]
        if self.triangle:
            outside = np.flatnonzero(~inside)
            sender = begun.source[root[outside], tensor[outside]].astype(np.int64)
            np.bitwise_or.at(inputs, place[outside], np.uint64(1) << sender.astype(np.uint64))
            np.bitwise_or.at(above, place[outside], begun.above[root[outside], sender])
        children = Children(
            parent=parent,
            node=node,
            root=last.root[parent],
            name=last.name[parent] + flow.likeness[node],
            work=last.work[parent] + flow.fastest[node],
            size=last.size[parent] + self.size[node],
            cut=last.cut[parent] + flow.sent[node] - sums(place, tau * final, count),
            toll=last.toll[parent] + self.sent_toll[node] - sums(place, self.tolls[tensor] * final, count),
            compute=last.compute[parent] + flow.time[chip, node],
            receive=last.receive[parent] + sums(place, tau * ~(inside | blocks.got[row, tensor]), count),
            send=last.send[parent] + flow.sent[node] - sums(place, tau * (final & inside), count),
            held=self._held(blocks, parent, node),
            inputs=inputs,
            above=above,
            marks=self._marks(last.marks[parent], node, place[final], tensor[final]),
        )
        growing = (self._growing(children, chip) <= self.limit) & ((inputs & above) == 0)
        if self.room is not None:
            growing &= children.held <= self.room[chip]
        return self._committed(last, children.take(growing), chip)

    def _committed(self, before: Children, children: Children, chip: int) -> Children:
        """Of blocks that a light node costs next to nothing, that child alone: nothing arrives, hardly more crosses."""
        parent = children.parent
        more = children.cut - before.cut[parent]
        free = (
            (children.receive <= before.receive[parent])
            & (more <= CROSSES_AT_ONCE * self.limit)
            & (children.toll <= before.toll[parent] + CROSSES_AT_ONCE * self.limit)
            & (self.flow.time[chip, children.node] <= self.light)
        )
        if not free.any():
            return children
        rows = np.flatnonzero(free)
        rows = rows[np.lexsort((rows, more[rows], parent[rows]))]
        first = rows[np.unique(parent[rows], return_index=True)[1]]
        kept = ~np.isin(parent, parent[first])
        kept[first] = True
        return children.take(kept)

    def _marks(self, before: FloatArray, node: IntArray, place: IntArray, tensor: IntArray) -> FloatArray:
        """(K, P) what a guide sees, with a node more that is the last reader of the tensors of ``place``."""
        return before if self.guidance is None else self.guidance.outlook.marks(before, node, place, tensor)

    def _held(self, blocks: GrowingBlocks, parent: IntArray, node: IntArray) -> FloatArray:
        """(K,) bytes of weights with one node more."""
        flow = self.flow
        held = blocks.last.held[parent] + flow.weights[node]
        if len(flow.shared_bytes):
            place, weight = flow.shared.along(node)
            held = held + sums(place, flow.shared_bytes[weight] * ~blocks.shared[parent[place], weight], len(node))
        return held

    def _work(self, blocks: Children, chip: int) -> FloatArray:
        """(K,) time of each block's nodes, and of streaming their weights."""
        compute = blocks.compute
        if not self.rate[chip]:
            return compute
        stream = np.maximum(blocks.held - self.sram[chip], 0.0) / self.rate[chip]
        return np.asarray(compute + stream if self.hardware.streams_in_turn else np.maximum(compute, stream))

    def _growing(self, blocks: Children, chip: int) -> FloatArray:
        """(K,) the part of each load that no further node lowers."""
        receive = blocks.receive * self.hardware.transfers_charged[chip]
        work = self._work(blocks, chip)
        return np.asarray(work + receive if self.hardware.serial else np.maximum(work, receive))

    def _load(
        self, blocks: Children, chip: int, received: FloatArray | float = 0.0, relayed: FloatArray | float = 0.0
    ) -> FloatArray:
        """(S,) load of each block, or of the link behind it, if it ended now, with what it relays."""
        paid = self.hardware.transfers_charged[chip]
        receive, send = paid * (blocks.receive + received), paid * (blocks.send + relayed)
        work = self._work(blocks, chip)
        load = work + receive + send if self.hardware.serial else np.maximum(work, np.maximum(receive, send))
        return np.asarray(np.maximum(load, blocks.cut) if self.links else load)

    def _kept(self, begun: Boundaries, blocks: GrowingBlocks, children: Children, chip: int, width: int) -> IntArray:
        """Rows of different children that have lost least, at most ``width``."""
        name = children.name ^ (begun.name[children.root] * SCATTER)
        for amount in (children.receive, children.send, children.compute):
            name = name * SCATTER + names_of_amounts(amount)
        rows = np.unique(name, return_index=True)[1]
        if len(rows) <= width:
            return rows
        some = children.take(rows)
        lost = self._lost(begun, some, chip)
        if self.guidance is not None:
            table = self.guidance.outlook.of_states(self._states(blocks, some, some.node), chip)
            lost = lost + self.limit * self.guidance.opinion.losses(table)[:, 0]
        return np.asarray(rows[most_promising(lost, some.root, width)])

    def _lost(self, begun: Boundaries, some: Children, chip: int) -> FloatArray:
        """(K,) what children have lost, with their tolls, less what is done where their blocks begin."""
        lost = some.toll - begun.size[some.root]
        if self.hardware.serial:
            lost = lost + self.hardware.transfers_charged[chip] * (some.receive + some.send)
        return lost

    def _show(self, begun: Boundaries, blocks: GrowingBlocks, children: Children, chip: int) -> None:
        """Show the children that are kept to whoever watches."""
        if self.guidance is None or self.guidance.watch is None:
            return
        table = self.guidance.outlook.of_states(self._states(blocks, children, children.node), chip)
        done = blocks.done[children.parent] | self.flow.bit[children.node]
        lost = (self._lost(begun, children, chip) - children.toll) / self.limit
        self.guidance.watch(Watched(chip, False, children.root, done, lost, table))

    def _grown(self, begun: Boundaries, blocks: GrowingBlocks, children: Children) -> GrowingBlocks:
        """The children as blocks."""
        flow, parent, node = self.flow, children.parent, children.node
        done = blocks.done[parent] | flow.bit[node]
        unread, got, shared = blocks.unread[parent], blocks.got[parent], blocks.shared[parent]
        place, tensor = flow.reads.along(node)
        unread[place, tensor] -= 1
        outside = _member(begun.done, children.root[place], flow.producer[tensor])
        got[place[outside], tensor[outside]] = True
        eligible = blocks.eligible[parent]
        eligible[np.arange(len(node)), node] = False
        place, after = flow.successors.along(node)
        ready = ((flow.needed[after] & ~done[place]) == 0).all(axis=1)
        eligible[place[ready], after[ready]] = True
        below = blocks.below[parent]
        if self.triangle:
            below |= flow.descendants[node]
        if len(flow.shared_bytes):
            place, weight = flow.shared.along(node)
            shared[place, weight] = True
        return GrowingBlocks(children, done, below, eligible, unread, got, shared)

    def _placement(self, trail: list[Boundaries], row: int) -> tuple[IntArray, list[tuple[int, int]]]:
        """Chips and relays along the boundaries that lead to a row of the last ones."""
        flow, relays = self.flow, []
        chip = np.zeros(flow.count, np.int64)
        for c in range(len(trail) - 1, 0, -1):
            row, found = int(trail[c].parent[row]), trail[c].take(np.array([row]))
            chip[unpacked(found.done)[0, : flow.count]] = c - 1
            before = _member(trail[c - 1].done, np.full(len(flow.tau), row), flow.producer)
            if self.triangle:
                relays += [(int(t), c - 1) for t in np.flatnonzero(before & (found.source[0] == c - 1))]
        return chip, relays


def _member(sets: Words, rows: IntArray, numbers: IntArray) -> BoolArray:
    """(E,) whether each number is in the set of its row."""
    return holds(sets[rows, numbers >> 6], numbers)
