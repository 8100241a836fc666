"""Operations that share a chip in every valid placement, as one unit each, and their figures in whole ticks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from partition.arrays import BoolArray, FloatArray, IntArray
from partition.replay.question import ReplayQuestion

TICKS = 2**40
"""Ticks in the period that a claim is about. Times are rounded down to ticks, so sums of them never say too much; sums
of 2^13 periods are still exact in floating point."""

CLOSURE_LIMIT = 8_000
"""Most units of which the order is kept as a matrix."""


@dataclass(frozen=True, eq=False)
class Units:
    """The units of a question, numbered along the order of their edges.

    Attributes
    ----------
    question : where they come from.
    of : unit of each operation.
    count : number of units.
    copied : units that may be replicated; they run at home at least, and what they make need not be sent.
    edges : pairs of units of which the second is on no earlier chip than the first.
    tensors : (transfer time, producer, readers) of each tensor that other units read over edges of the order.
    free : the same of tensors that some unit may read on an earlier chip.
    """

    question: ReplayQuestion
    of: tuple[int, ...]
    count: int
    copied: frozenset[int]
    edges: tuple[tuple[int, int], ...]
    tensors: tuple[tuple[Fraction, int, tuple[int, ...]], ...]
    free: tuple[tuple[Fraction, int, tuple[int, ...]], ...]

    @cached_property
    def members(self) -> list[list[int]]:
        """Operations of each unit."""
        found: list[list[int]] = [[] for _ in range(self.count)]
        for v, unit in enumerate(self.of):
            found[unit].append(v)
        return found

    @cached_property
    def times(self) -> list[list[Fraction | None]]:
        """Per kind, the time of each unit; None where the kind cannot run it."""
        found: list[list[Fraction | None]] = []
        for row in self.question.times:
            sums: list[Fraction | None] = []
            for members in self.members:
                each = [row[v] for v in members]
                able = [time for time in each if time is not None]
                sums.append(sum(able, Fraction(0)) if len(able) == len(each) else None)
            found.append(sums)
        return found

    @cached_property
    def least_times(self) -> list[Fraction | None]:
        """Of each unit on the kind of the package that is quickest; None where no kind can run it."""
        present = sorted(set(self.question.of_chip))
        columns = zip(*(self.times[k] for k in present), strict=True)
        return [min((time for time in column if time is not None), default=None) for column in columns]

    @cached_property
    def before(self) -> BoolArray | None:
        """(U, U) at [v, u] whether u must not be behind v, or is v; None for too many units."""
        if self.count > CLOSURE_LIMIT:
            return None
        found = np.eye(self.count, dtype=bool)
        for u, v in sorted(self.edges, key=lambda edge: edge[1]):
            found[v] |= found[u]
        return found

    @cached_property
    def weights(self) -> FloatArray:
        """(U,) bytes of private weights, the least that can stand for them, rounded down."""
        return np.array([_down(sum((self.question.least[v] for v in m), Fraction(0))) for m in self.members])

    def ticks(self, below: Fraction) -> tuple[IntArray, IntArray]:
        """(K, U) times and (T,) transfer times, free ones last, in ticks of which ``below`` has :data:`TICKS`.

        They are rounded down.

        What takes as long as ``below`` or longer counts as :data:`TICKS`, a transfer as up to twice as many; so does
        what a kind cannot run.
        """
        pace = TICKS / below

        def down(time: Fraction | None, most: int = TICKS) -> int:
            if time is None:
                return TICKS
            whole = time * pace
            return min(whole.numerator // whole.denominator, most)

        times = np.array([[down(time) for time in row] for row in self.times], dtype=np.int64)
        moved = np.array([down(time, 2 * TICKS) for time, _, _ in (*self.tensors, *self.free)], dtype=np.int64)
        return times.reshape(len(self.times), self.count), moved


def _down(amount: Fraction) -> float:
    """The amount as a double that is not larger."""
    found = float(amount)
    return float(np.nextafter(found, 0.0)) if Fraction(found) > amount else found


def units_of(question: ReplayQuestion, joined: Iterable[Sequence[int]] = ()) -> Units:
    """Contract groups, what is joined, and what edges then tie into circles.

    Parameters
    ----------
    joined : operations that share a chip, for other reasons than the rules.
    """
    label = _together(question, joined)
    pairs = {
        (label[tensor.producer], label[w])
        for tensor in question.tensors
        for w in tensor.readers
        if question.not_back(tensor.producer, w)
    }
    label = _circles(label, pairs)
    edges = {(label[u], label[v]) for u, v in pairs}
    place = _in_order(sorted(set(label)), edges)
    of = tuple(place[label[v]] for v in range(len(label)))
    copied = frozenset(of[v] for v in question.replicable)
    tensors: list[tuple[Fraction, int, tuple[int, ...]]] = []
    free: list[tuple[Fraction, int, tuple[int, ...]]] = []
    for tensor in question.tensors:
        u = of[tensor.producer]
        readers = {of[w] for w in tensor.readers} - {u} - copied
        if u not in copied and readers:
            forward = all(question.not_back(tensor.producer, w) for w in tensor.readers)
            (tensors if forward else free).append((tensor.time, u, tuple(sorted(readers))))
    found = {(place[a], place[b]) for a, b in edges if a != b}
    return Units(question, of, len(place), copied, tuple(sorted(found)), tuple(tensors), tuple(free))


def _together(question: ReplayQuestion, joined: Iterable[Sequence[int]]) -> list[int]:
    """A label for each operation, the same for those of a group or joined."""
    above = list(range(len(question.names)))

    def top(v: int) -> int:
        while above[v] != v:
            above[v] = above[above[v]]
            v = above[v]
        return v

    first: dict[object, int] = {}
    for v, group in enumerate(question.group):
        if group is not None:
            above[top(v)] = top(first.setdefault(group, v))
    for members in joined:
        for v in members[1:]:
            above[top(v)] = top(members[0])
    return [top(v) for v in range(len(above))]


def _circles(label: list[int], pairs: set[tuple[int, int]]) -> list[int]:
    """Labels on a circle of edges made one (Tarjan's strongly connected components, without recursion)."""
    ahead: dict[int, list[int]] = {v: [] for v in label}
    for u, v in sorted(pairs):
        if u != v:
            ahead[u].append(v)
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    open_ones: list[int] = []
    inside: set[int] = set()
    root: dict[int, int] = {}
    for start in ahead:
        if start in index:
            continue
        index[start] = low[start] = len(index)
        open_ones.append(start)
        inside.add(start)
        walk = [(start, iter(ahead[start]))]
        while walk:
            v, following = walk[-1]
            w = next(following, None)
            if w is not None:
                if w not in index:
                    index[w] = low[w] = len(index)
                    open_ones.append(w)
                    inside.add(w)
                    walk.append((w, iter(ahead[w])))
                elif w in inside:
                    low[v] = min(low[v], index[w])
                continue
            walk.pop()
            if walk:
                low[walk[-1][0]] = min(low[walk[-1][0]], low[v])
            if low[v] == index[v]:
                while True:
                    w = open_ones.pop()
                    inside.discard(w)
                    root[w] = v
                    if w == v:
                        break
    return [root[v] for v in label]


def _in_order(labels: list[int], edges: set[tuple[int, int]]) -> dict[int, int]:
    """Numbers for the labels along their edges."""
    waiting = dict.fromkeys(labels, 0)
    ahead: dict[int, list[int]] = {v: [] for v in labels}
    for u, v in sorted(edges):
        if u != v:
            ahead[u].append(v)
            waiting[v] += 1
    ready = [v for v in labels if not waiting[v]]
    for v in ready:  # grows on the way
        for w in ahead[v]:
            waiting[w] -= 1
            if not waiting[w]:
                ready.append(w)
    return {v: i for i, v in enumerate(ready)}
