"""Lessons: of two states that a wide beam kept side by side, the one that led to a placement should be judged better.

A beam runs within a short period. Afterwards the boundaries behind each chip are known from which it came to an end. So
is every block that could still grow into one of these. Those are pairs: a state that led there, and one of the same
chip and size that did not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from learned.guide.trials import Ground, reached
from milp.search.beams import Arm
from milp.search.downsets.beam import Beam
from milp.search.downsets.boundaries import Boundaries
from milp.search.downsets.guidance import Guidance, Outlook, Terrain, Watched
from milp.search.downsets.tasks import Words, unpacked
from milp.search.downsets.transfers import Flow
from milp.tolerances import TOLLS
from partition.arrays import Array32, BoolArray, FloatArray, IntArray
from partition.stopping import Stop

EXPANSIONS, WIDTH = 30_000, 8
"""For the shortest period of each constant, and the first width of those beams."""

ROOM = (1.003, 1.02)
"""Periods of the watched beams, in shortest ones."""

WATCHED = 96
"""Width of the watched beams."""

PAIRS = 2
"""Pairs of one size of blocks at most; eight times as many of the boundaries behind a chip."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """Pairs from one beam: ``P`` pairs of a better and a worse state.

    Attributes
    ----------
    tensors : (M, T) features of the tensors.
    tau : (M,) their transfer times, in periods.
    crosses : (P, M) 1 where a tensor crosses at the better state alone, -1 where at the worse alone.
    lost : (P,) what the better loses more, tolls and opinion aside, in periods.
    better, worse : (P, F) features.
    behind : (P,) bool, whether they are boundaries.
    """

    tensors: Array32
    tau: Array32
    crosses: Array32
    lost: Array32
    better: Array32
    worse: Array32
    behind: BoolArray


class FlatOpinion:
    """One price for all tensors, nothing lost beyond."""

    def __init__(self, price: float) -> None:
        self.price = price

    def prices(self, tensors: Array32) -> FloatArray:
        return np.full(len(tensors), self.price)

    def losses(self, states: Array32) -> FloatArray:
        return np.zeros((len(states), 2))


@dataclass(eq=False)
class PairsFound:
    """Pairs as they are found: states in ``done``, ``lost`` and ``table``, better and worse ones in turn."""

    behind: list[bool] = field(default_factory=list)
    done: list[Words] = field(default_factory=list)
    lost: list[FloatArray] = field(default_factory=list)
    table: list[Array32] = field(default_factory=list)

    def add(self, shown: Watched, good: BoolArray, most: int, rng: np.random.Generator) -> None:
        """Some pairs of those that led to an end and those that did not."""
        better, worse = np.flatnonzero(good), np.flatnonzero(~good)
        count = min(most, len(better) * len(worse))
        if not count:
            return
        rows = np.stack([rng.choice(better, count), rng.choice(worse, count)], axis=1).ravel()
        self.behind += [shown.behind] * count
        for kept, found in ((self.done, shown.done), (self.lost, shown.lost), (self.table, shown.table)):
            kept.append(found[rows])


def lessons(ground: Ground, rng: np.random.Generator) -> list[Lesson]:
    """What beams of the best constant teach on one instance; none where they find nothing better than slicing."""
    prices = sorted(TOLLS)
    shortest = [reached(ground, [Arm(price)], EXPANSIONS, WIDTH).period for price in prices]
    least = min(shortest)
    if least >= ground.period * (2.0 - ROOM[0]):
        return []
    price = prices[shortest.index(least)]
    found = [_lesson(ground, least * room, price, rng) for room in ROOM]
    return [lesson for lesson in found if lesson is not None]


def _lesson(ground: Ground, period: float, price: float, rng: np.random.Generator) -> Lesson | None:
    """Pairs from one beam; None where it comes to no end."""
    tight = ground.run().tightening.at(period)
    windows = tight.rules.windows(period)
    if windows.empty:
        return None
    terrain = Terrain(Flow.of(tight.instance))
    outlook, flow = Outlook(terrain, tight.instance.hardware, period), terrain.flow
    shown: list[Watched] = []
    inside = windows.lo[flow.node], windows.hi[flow.node]
    beam = Beam(
        flow, tight.instance, period, inside, price * flow.tau, Guidance(FlatOpinion(price), outlook, shown.append)
    )
    if beam.decide(WATCHED, Stop()) is None:
        return None
    pairs = PairsFound()
    ends = _ends(beam.trail, flow.count)
    for each in shown:
        good = _led(each, beam.trail[each.chip + 1].take(ends[each.chip])) if each.chip < len(ends) else None
        if good is not None:
            pairs.add(each, good, PAIRS, rng)
    if not pairs.done:
        return None
    unread = flow.unread(unpacked(np.concatenate(pairs.done))[:, : flow.count])
    done = unpacked(np.concatenate(pairs.done))[:, flow.producer]
    crosses = (done & (unread > 0)).astype(np.float32)
    lost, table = np.concatenate(pairs.lost), np.concatenate(pairs.table)
    return Lesson(
        tensors=outlook.of_tensors(),
        tau=(flow.tau / period).astype(np.float32),
        crosses=crosses[::2] - crosses[1::2],
        lost=(lost[::2] - lost[1::2]).astype(np.float32),
        better=table[::2],
        worse=table[1::2],
        behind=np.array(pairs.behind),
    )


def _ends(trail: list[Boundaries], count: int) -> list[IntArray]:
    """For each chip the rows of the boundaries behind it from which the beam came to an end."""
    rows = np.flatnonzero(np.bitwise_count(trail[-1].done).sum(axis=1) == count)
    ends = [rows]
    for behind in reversed(trail[2:]):
        rows = np.unique(behind.parent[rows])
        ends.append(rows)
    return ends[::-1]


def _led(shown: Watched, ends: Boundaries) -> BoolArray:
    """(K,) whether a block begins where one of the ``ends`` does and is a part of it; where behind, all of it."""
    good = np.zeros(len(shown.root), dtype=bool)
    for k in range(len(ends)):
        over = (shown.done & ~ends.done[k]).any(axis=1)
        if shown.behind:
            over |= (ends.done[k] & ~shown.done).any(axis=1)
        good |= (shown.root == ends.parent[k]) & ~over
    return good
