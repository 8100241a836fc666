"""The order in which a chip runs its operations and the memory it takes (docs/problem.md, *Dynamic memory*).

A schedule of least peak is a pebbling problem; memory-aware orders of whole networks by dynamic programming over
down-sets are the subject of Ahn et al., "Ordering Chaos" (MLSys 2020). Here a depth-first search over down-sets
decides whether a capacity is enough, with one rule that shortens it greatly: an operation that fits and leaves no
more behind than there was may as well run at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.scoring.transfers import TransferModel

STATES = 20_000
"""Most down-sets looked at before a capacity is left undecided."""

SLACK = 1e-9
"""Relative rounding allowance when bytes are compared with SRAM."""


@dataclass(frozen=True, eq=False)
class ChipWork:
    """What one chip has to schedule; operations and tensors are numbered locally.

    Attributes
    ----------
    operations : of the graph, in topological order.
    resident : bytes held all the time: weights, and transfer buffers where transfers are overlapped.
    before : for each operation the set (as bits) of operations here that it reads from.
    touches : for each operation the tensors it reads or writes.
    touched_by : for each tensor the set (as bits) of operations that touch it.
    size : bytes of each tensor.
    at_start, at_end : held from the start, to the end of the period.
    """

    operations: tuple[int, ...]
    resident: float
    before: tuple[int, ...]
    touches: tuple[tuple[int, ...], ...]
    touched_by: tuple[int, ...]
    size: tuple[float, ...]
    at_start: tuple[bool, ...]
    at_end: tuple[bool, ...]

    @property
    def initial(self) -> float:
        """Bytes held before the first operation."""
        return self.resident + sum(size for size, held in zip(self.size, self.at_start, strict=True) if held)

    def change(self, done: int, item: int) -> tuple[float, float]:
        """Bytes that ``item`` acquires when it begins and frees when it ends, after the set ``done``."""
        acquired = freed = 0.0
        bit = 1 << item
        for t in self.touches[item]:
            others = self.touched_by[t] & ~bit
            if not (self.at_start[t] or others & done):
                acquired += self.size[t]
            if not (self.at_end[t] or others & ~done):
                freed += self.size[t]
        return acquired, freed

    def peak(self, order: Collection[int]) -> float:
        """Most bytes held at once when the operations run in this order of local numbers."""
        held = highest = self.initial
        done = 0
        for item in order:
            acquired, freed = self.change(done, item)
            highest = max(highest, held + acquired)
            held += acquired - freed
            done |= 1 << item
        return highest

    def floor(self) -> float:
        """A lower bound of the peak of any order: the start, the end, and each operation with what it touches."""
        through = [a and b for a, b in zip(self.at_start, self.at_end, strict=True)]
        throughout = self.resident + sum(size for size, held in zip(self.size, through, strict=True) if held)
        end = self.resident + sum(size for size, held in zip(self.size, self.at_end, strict=True) if held)
        each = (throughout + sum(self.size[t] for t in tensors if not through[t]) for tensors in self.touches)
        return max(self.initial, end, *each)


@dataclass(frozen=True)
class Schedule:
    """An order for one chip.

    Attributes
    ----------
    order : local numbers of the operations.
    peak : bytes held at once at most.
    fits : whether the capacity asked about is enough; None where the search gave up.
    """

    order: tuple[int, ...]
    peak: float
    fits: bool | None


def schedule(work: ChipWork, capacity: float, *, states: int = STATES) -> Schedule:
    """An order whose peak is within ``capacity`` if there is one; otherwise the best of a few greedy ones.

    Deterministic: it gives up after a number of ``states``, not after a time.
    """
    limit = capacity * (1 + SLACK)
    orders = [tuple(range(len(work.operations))), _greedy(work)]
    best = min(orders, key=work.peak)
    peak = work.peak(best)
    if peak <= limit:
        return Schedule(best, peak, True)
    if work.floor() > limit:
        return Schedule(best, peak, False)
    found, exhausted = _DownSetSearch(work, limit, states).run()
    if found is not None:
        return Schedule(found, work.peak(found), True)
    return Schedule(best, peak, False if exhausted else None)


def _greedy(work: ChipWork) -> tuple[int, ...]:
    """Always what frees most, and among equals what takes least."""
    followers = _followers(work)
    done, order = 0, []
    ready = [i for i, before in enumerate(work.before) if not before]
    while ready:
        costs = []
        for item in ready:
            acquired, freed = work.change(done, item)
            costs.append((max(acquired - freed, 0.0), acquired, item))
        item = min(costs)[2]
        ready.remove(item)
        order.append(item)
        done |= 1 << item
        ready += [f for f in followers[item] if not work.before[f] & ~done]
    return tuple(order)


def _followers(work: ChipWork) -> list[list[int]]:
    followers: list[list[int]] = [[] for _ in work.operations]
    for item, before in enumerate(work.before):
        while before:
            low = before & -before
            followers[low.bit_length() - 1].append(item)
            before ^= low
    return followers


class _DownSetSearch:
    """Depth first over down-sets, none visited twice."""

    def __init__(self, work: ChipWork, limit: float, states: int) -> None:
        self.work, self.limit, self.states = work, limit, states
        self.followers = _followers(work)
        self.everything = (1 << len(work.operations)) - 1

    def run(self) -> tuple[tuple[int, ...] | None, bool]:
        """An order within the limit, if found, and whether all was looked at."""
        work = self.work
        ready = tuple(i for i, before in enumerate(work.before) if not before)
        stack = [self._settle(0, work.initial, ready, ())]
        seen: set[int] = set()
        while stack:
            done, held, ready, order = stack.pop()
            if done == self.everything:
                return order, True
            if done in seen:
                continue
            seen.add(done)
            if len(seen) > self.states:
                return None, False
            moves = []
            for item in ready:
                acquired, freed = work.change(done, item)
                if held + acquired <= self.limit:
                    moves.append((acquired - freed, acquired, item))
            for more, _, item in sorted(moves, reverse=True):
                state = self._after(done, ready, item)
                stack.append(self._settle(*state[:1], held + more, state[1], (*order, item)))
        return None, True

    def _after(self, done: int, ready: tuple[int, ...], item: int) -> tuple[int, tuple[int, ...]]:
        done |= 1 << item
        freed = [f for f in self.followers[item] if not self.work.before[f] & ~done]
        return done, (*(r for r in ready if r != item), *freed)

    def _settle(
        self, done: int, held: float, ready: tuple[int, ...], order: tuple[int, ...]
    ) -> tuple[int, float, tuple[int, ...], tuple[int, ...]]:
        """Run at once whatever fits and leaves no more behind: any order within the limit may begin with it.

        Moved to the front of such an order, it acquires no more than it would later on. It frees no less, as tensors
        are freed by their last user. So everything after it finds at most as much held as before.
        """
        moved = True
        while moved:
            moved = False
            for item in ready:
                acquired, freed = self.work.change(done, item)
                if acquired <= freed and held + acquired <= self.limit:
                    done, ready = self._after(done, ready, item)
                    held += acquired - freed
                    order = (*order, item)
                    moved = True
                    break
        return done, held, ready, order


class WorkModel:
    """Makes the work of chips out of placements of one graph, or out of parts of them."""

    def __init__(self, graph: Graph, hardware: Hardware) -> None:
        self.graph, self.serial = graph, hardware.serial
        problem = Problem.of(graph, hardware)
        self.transfers = problem.kept(TransferModel.on)
        self.hardware = hardware
        rank = np.empty(graph.n, dtype=np.int64)
        rank[graph.topological_order] = np.arange(graph.n)
        self.rank = rank.tolist()
        self.reads: list[list[int]] = [[] for _ in range(graph.n)]
        for t, w in zip(graph.edge_tensor.tolist(), graph.consumers.tolist(), strict=True):
            self.reads[w].append(t)
        self.writes: list[list[int]] = [[] for _ in range(graph.n)]
        for t, u in enumerate(graph.producer.tolist()):
            self.writes[u].append(t)
        self.producer = graph.producer.tolist()
        ends = graph.consumer_ptr.tolist()
        readers = graph.consumers.tolist()
        self.readers = [readers[first:last] for first, last in itertools.pairwise(ends)]
        self.replicable = problem.replicable.tolist()
        self.bytes = graph.tensor_bytes.tolist()
        self.weights = graph.weights.tolist()
        self.shared: list[list[int]] = [[] for _ in range(graph.n)]
        row = np.repeat(np.arange(len(graph.shared_names)), np.diff(graph.shared_ptr))
        for s, v in zip(row.tolist(), graph.shared_users.tolist(), strict=True):
            self.shared[v].append(s)
        self.shared_bytes = graph.shared_bytes.tolist()

    def neighbours(self, operations: Collection[int]) -> set[int]:
        """Operations that write what these read, or read what these write."""
        before = {self.producer[t] for v in operations for t in self.reads[v]}
        return before | {w for v in operations for t in self.writes[v] for w in self.readers[t]}

    def chips(self, placement: Placement) -> Iterator[ChipWork]:
        """The work of every chip under a placement."""
        moved = self.transfers.find(placement.assignment[None], placement.replica_rows, placement.relay_rows)
        operations: list[list[int]] = [[] for _ in range(self.hardware.chips)]
        received: list[set[int]] = [set() for _ in operations]
        sent: list[set[int]] = [set() for _ in operations]
        forwarded: list[set[int]] = [set() for _ in operations]
        for v, c in enumerate(placement.assignment.tolist()):
            operations[c].append(v)
        for v, c in placement.replicas.tolist():
            operations[c].append(v)
        columns = (moved.tensor, moved.chip, moved.source, moved.home)
        for t, c, source, home in zip(*(column.tolist() for column in columns), strict=True):
            received[c].add(t)
            (sent if source == home else forwarded)[source].add(t)
        for parts in zip(operations, received, sent, forwarded, strict=True):
            yield self.work(*parts)

    def work(self, operations: Collection[int], received: set[int], sent: set[int], forwarded: set[int]) -> ChipWork:
        """The work of a chip that runs ``operations``; ``forwarded`` tensors are among the ``received``.

        A tensor in none of the sets is held from the first to the last of the operations that touch it.
        """
        local = sorted(operations, key=self.rank.__getitem__)
        place = {v: i for i, v in enumerate(local)}
        resident = sum(self.weights[v] for v in local)
        resident += sum(self.shared_bytes[s] for s in {s for v in local for s in self.shared[v]})
        buffered = set() if self.serial else received | sent
        resident += 2 * sum(self.bytes[t] for t in sorted(buffered))
        number: dict[int, int] = {}
        for t in sorted(received | sent) if self.serial else ():
            number[t] = len(number)
        before, touches = [], []
        for v in local:
            before.append(sum(1 << place[u] for u in {self.producer[t] for t in self.reads[v]} if u in place))
            own = dict.fromkeys(t for t in (*self.reads[v], *self.writes[v]) if t not in buffered)
            touches.append(tuple(number.setdefault(t, len(number)) for t in own))
        touched_by = [0] * len(number)
        for item, tensors in enumerate(touches):
            for t in tensors:
                touched_by[t] |= 1 << item
        return ChipWork(
            operations=tuple(local),
            resident=resident,
            before=tuple(before),
            touches=tuple(touches),
            touched_by=tuple(touched_by),
            size=tuple(self.bytes[t] for t in number),
            at_start=tuple(t in received for t in number),
            at_end=tuple(t in sent or t in forwarded for t in number),
        )
