"""Whether chips in order can hold all units within a period: the sets of units that the first chips may hold.

For every chip ``c`` all sets are listed that chips ``0..c`` may hold: they have all producers of what they have, all
units that may not be behind ``c``, and none that must be. A set can be held if one of the chip before is part of it and
a chip can do the rest. Where the set of all units cannot be held in the end, no placement is within the period.

What is left out makes this easier, never harder: units that may be replicated, relays, links that tensors go back over,
and units said to be left out. Those still count where both a producer and a reader of theirs
are on one chip, for then they are too; and where nothing binds them (:mod:`partition.replay.aside`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from partition.arrays import BoolArray, FloatArray, IntArray
from partition.replay.aside import Aside, AsideHeld
from partition.replay.cuts import carried_by_links
from partition.replay.passing import Passing, applies
from partition.replay.question import NEAR
from partition.replay.units import TICKS, Units
from partition.replay.windows import UnitWindows

MOST_CHIPS = 20
"""Sets listed at most for all chips, in those for one."""

MOST_ENTRIES = 300_000_000
"""Sets of a chip, times units and tensors."""

MOST_FORCED = 50_000_000
"""Pairs of sets, times units, that are looked at for what they must pass on; beyond, nothing is."""

PORTION = 4_000_000
"""Pairs of sets compared at a time."""


class TooMany(Exception):
    """There are more sets, or it takes more time, than there is room for."""


@dataclass(frozen=True, eq=False)
class Sets:
    """Sets of kept units that the first chips may hold.

    Attributes
    ----------
    words : (I, W) uint64 bits of the kept units.
    work : (K, I) ticks on each kind, with what is left out but surely
        there.
    done : (K, I) the same with all that is left out and might be there.
    cut : (I,) ticks of the tensors that leave.
    alive : (I, T) bool, those tensors.
    read : (I, T) how many readers of
        each tensor are inside.
    weights : (I,) bytes.
    passed, ready : (I, L) bool, of what is left out, whether any unit behind it is inside; if none is, whether all
        units before it are.
    free_made, free_read : (I, F) of tensors that may go back, whether each is made inside, and how many readers are.
    aside : the same of tensors of what is left out and bound by nothing.
    """

    words: NDArray[np.uint64]
    work: FloatArray
    done: FloatArray
    cut: FloatArray
    alive: BoolArray
    read: NDArray[np.int16]
    weights: FloatArray
    ready: BoolArray
    passed: BoolArray
    free_made: BoolArray
    free_read: NDArray[np.int16]
    aside: AsideHeld


@dataclass(frozen=True, eq=False)
class _Moved:
    """Tensors between kept units.

    Attributes
    ----------
    tau : (T,) ticks.
    source : (T,) the kept unit that makes each.
    degree : (T,) how many read it.
    reader : (kept, T)
        which those are.
    """

    tau: FloatArray
    source: IntArray
    degree: NDArray[np.int16]
    reader: sp.csr_array

    @staticmethod
    def of(tensors: Sequence[tuple[Fraction, int, tuple[int, ...]]], moved: IntArray, place: dict[int, int]) -> _Moved:
        """Those of the tensors that one kept unit makes and another reads."""
        some = [
            (int(ticks), place[u], inside)
            for (_, u, readers), ticks in zip(tensors, moved, strict=True)
            if u in place and (inside := [place[w] for w in readers if w in place])
        ]
        columns = [t for t, (_, _, inside) in enumerate(some) for _ in inside]
        return _Moved(
            tau=np.array([tau for tau, _, _ in some], dtype=np.float64),
            source=np.array([u for _, u, _ in some], dtype=np.int64),
            degree=np.array([len(inside) for _, _, inside in some], dtype=np.int16),
            reader=_pairs([w for _, _, inside in some for w in inside], columns, (len(place), len(some))),
        )

    def read(self, held: NDArray[np.float32]) -> NDArray[np.int16]:
        """(I, T) how many readers each set has."""
        return np.asarray(held @ self.reader).astype(np.int16)


def _pairs(rows: list[int], columns: list[int], shape: tuple[int, int]) -> sp.csr_array:
    return sp.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)


class ChainQuestion:
    """The question whether a line of chips holds all units.

    Parameters
    ----------
    units, reach : what is to be placed, and where it may be.
    kinds : of each chip, in order.
    times, moved : (K, U) and (T,) in ticks of the period.
    left_out : units that sets are not made of.
    """

    def __init__(
        self,
        units: Units,
        reach: UnitWindows,
        kinds: tuple[int, ...],
        times: IntArray,
        moved: IntArray,
        left_out: frozenset[int],
    ) -> None:
        self.units, self.reach, self.kinds = units, reach, kinds
        self.question = units.question
        self.kept = [u for u in range(units.count) if u not in units.copied and u not in left_out]
        left = [u for u in sorted(left_out) if u not in units.copied]
        place = {u: i for i, u in enumerate(self.kept)}
        amounts = times.astype(np.float64)
        self.time = amounts[:, self.kept]
        self._left_out(left, amounts)
        self.weight = units.weights[self.kept]
        count = len(units.tensors)
        self.forward = _Moved.of(units.tensors, moved[:count], place)
        self.free = _Moved.of(units.free, moved[count:], place)
        self.aside = Aside(units, self.kept, left, amounts, moved)
        self.links = carried_by_links(self.question)
        sent = [(u, readers) for _, u, readers in units.tensors if u in place and any(w in place for w in readers)]
        self.passing = Passing(units, self.kept, sent) if applies(self.question) else None

    @cached_property
    def _order(self) -> list[int]:
        """Per kept unit, the kept units that must not be behind it, as bits; through others as well."""
        before = self.units.before
        if before is None:
            raise TooMany
        inside = before[np.ix_(self.kept, self.kept)]
        np.fill_diagonal(inside, False)
        return [_bits(np.flatnonzero(row).tolist()) for row in inside]

    def _left_out(self, left: list[int], amounts: FloatArray) -> None:
        """Units left out between kept ones, those between the same ones together: pairs, and ticks on each kind."""
        before = self.units.before
        if before is None:
            raise TooMany
        ahead, behind = before[np.ix_(left, self.kept)], before[np.ix_(self.kept, left)].T
        counts = ahead.any(axis=1) & behind.any(axis=1) & (amounts[:, left] > 0).any(axis=0)
        around = np.packbits(np.concatenate([ahead, behind], axis=1)[counts], axis=1)
        _, first, group = np.unique(around, axis=0, return_index=True, return_inverse=True)
        self.left_time = np.zeros((len(amounts), len(first)))
        np.add.at(self.left_time.T, group.reshape(-1), amounts[:, left].T[counts])
        ahead, behind = ahead[counts][first], behind[counts][first]
        self.wanted = ahead.sum(axis=1)
        self.ahead, self.behind = (
            _pairs(unit.tolist(), row.tolist(), (len(self.kept), len(first)))
            for row, unit in map(np.nonzero, (ahead, behind))
        )

    def impossible(self, most: int, deadline: float) -> bool:
        """Whether no placement is within the period.

        Parameters
        ----------
        most : sets of one chip that are listed at most.
        deadline : seconds of ``time.process_time``.

        Raises
        ------
        TooMany : there are more sets, or it takes longer.
        """
        full = (1 << len(self.kept)) - 1
        held, listed = self._sets([0]), 0
        for chip in range(len(self.kinds)):
            last = chip == len(self.kinds) - 1
            found = [full] if last else list(self._listed(chip, most, deadline))
            listed += len(found)
            if listed > MOST_CHIPS * most:
                raise TooMany
            candidates = self._sets(found)
            reached = self._reached(held, candidates, chip, deadline)
            if not reached.any():
                return True
            held = _some(candidates, np.flatnonzero(reached))
        return False

    def _listed(self, chip: int, most: int, deadline: float) -> Iterator[int]:
        """Sets that chips up to this one may hold, by what must be and what may be among them."""
        base = _bits(i for i, u in enumerate(self.kept) if self.reach.last[u] <= chip)
        free = [i for i, u in enumerate(self.kept) if self.reach.first[u] <= chip and not base >> i & 1]
        yield from _down_sets(base, free, self._order, most, deadline)

    def _sets(self, found: list[int]) -> Sets:
        if len(found) * (len(self.kept) + len(self.forward.tau) + len(self.free.tau) + 1) > MOST_ENTRIES:
            raise TooMany
        width = max((len(self.kept) + 63) // 64, 1)
        raw = b"".join(mask.to_bytes(8 * width, "little") for mask in found)
        words = np.frombuffer(raw, dtype="<u8").reshape(len(found), width)
        member = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, : len(self.kept)]
        held = member.astype(np.float32)
        read = self.forward.read(held)
        alive = (member[:, self.forward.source] > 0) & (read < self.forward.degree)
        ready, passed = np.asarray(held @ self.ahead) >= self.wanted, np.asarray(held @ self.behind) > 0
        kept = self.time @ member.T.astype(np.float64)
        work, done = kept + self.left_time @ passed.T, kept + self.left_time @ (ready | passed).T
        weights = member.astype(np.float64) @ self.weight
        made = member[:, self.free.source] > 0
        cut = alive @ self.forward.tau
        return Sets(
            words,
            work,
            done,
            cut,
            alive,
            read,
            weights,
            ready & ~passed,
            passed,
            made,
            self.free.read(held),
            self.aside.held(held),
        )

    def _reached(self, held: Sets, ends: Sets, chip: int, deadline: float) -> BoolArray:
        """(I,) which sets a chip can complete from one of those that the chips before it hold."""
        kind = self.kinds[chip]
        room = float(TICKS - 1)
        reached = np.zeros(len(ends.words), dtype=bool)
        possible = np.ones(len(ends.words), dtype=bool)
        if self.links and chip < len(self.kinds) - 1:
            possible &= ends.cut <= room
        step = max(1, PORTION // max(len(ends.words), 1))
        for begin in range(0, len(held.words), step):
            if time.process_time() > deadline:
                raise TooMany
            open_ends = np.flatnonzero(possible & ~reached)
            if not len(open_ends):
                break
            rows = np.arange(begin, min(begin + step, len(held.words)))
            least = ends.work[kind][open_ends] - held.done[kind][rows][:, None]
            starts, columns = np.nonzero(least <= room)
            starts, columns = rows[starts], open_ends[columns]
            nested = ~(held.words[starts] & ~ends.words[columns]).any(axis=1)
            starts, columns = starts[nested], columns[nested]
            for a in range(
                0, len(starts), PORTION // max(len(self.forward.tau), len(self.free.tau), self.left_time.shape[1], 16)
            ):
                some = slice(
                    a, a + PORTION // max(len(self.forward.tau), len(self.free.tau), self.left_time.shape[1], 16)
                )
                fits = self._fits(held, ends, starts[some], columns[some], kind)
                reached[columns[some][fits]] = True
        return reached

    def _fits(self, held: Sets, ends: Sets, starts: IntArray, columns: IntArray, kind: int) -> BoolArray:
        """Whether a chip of a kind does what each set ``columns`` has more than the set ``starts``."""
        room = float(TICKS - 1)
        compute = ends.work[kind][columns] - held.work[kind][starts]
        compute -= (held.ready[starts] & ends.passed[columns]) @ self.left_time[kind]  # may have been done before
        fits = compute <= room
        size = self.question.room(kind)
        if size is not None:
            more = ends.weights[columns] - held.weights[starts]
            fits &= more <= float(size) * (1 + 2 * float(NEAR)) + 1e-9 * ends.weights[columns]
        pays = self.question.pays[kind] and (self.question.serial or not self.links)
        if not pays and (self.passing is None or self.passing.relays):
            return np.asarray(fits)  # what a port carries, the link beside it carries as well
        both = held.alive[starts] & ends.alive[columns]
        through = both & (held.read[starts] == ends.read[columns])
        passed = self._passed(held, ends, starts, columns, both)
        if self.passing is not None and not self.passing.relays:
            fits &= ~passed.any(axis=1)
        if not pays:
            return np.asarray(fits)
        own = ends.free_made[columns] & ~held.free_made[starts]
        got = ends.free_read[columns] - held.free_read[starts]
        receive = held.cut[starts] - (through & ~passed) @ self.forward.tau + (~own & (got > 0)) @ self.free.tau
        send = (
            ends.cut[columns] - (both & ~passed) @ self.forward.tau + (own & (got < self.free.degree)) @ self.free.tau
        )
        if self.question.serial:
            aside = self.aside.least(kind, held.aside.of(starts), ends.aside.of(columns))
            return np.asarray(fits & (compute + receive + send + aside <= room))
        return np.asarray(fits & (receive <= room) & (send <= room))

    def _passed(self, held: Sets, ends: Sets, starts: IntArray, columns: IntArray, both: BoolArray) -> BoolArray:
        """Of the tensors made before blocks and read behind them, those that the triangle rule makes them pass on."""
        found = np.zeros_like(both)
        if self.passing is None:
            return found
        if len(starts) * self.units.count > MOST_FORCED:
            return found
        count = len(self.kept)
        inside = _member(ends.words[columns] & ~held.words[starts], count)
        some = np.flatnonzero(both.any(axis=0))
        found[:, some] = both[:, some] & np.asarray(inside.any(axis=1))[:, None] & self.passing.forced(inside, some)
        return found


def _member(words: NDArray[np.uint64], count: int) -> BoolArray:
    """(P, count) which kept units each set has."""
    bits = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1, bitorder="little")
    return np.asarray(bits[:, :count] > 0)


def _some(sets: Sets, rows: IntArray) -> Sets:
    parts = {f.name: getattr(sets, f.name) for f in fields(Sets) if f.name != "aside"}
    some = {name: part[:, rows] if name in ("work", "done") else part[rows] for name, part in parts.items()}
    return Sets(**some, aside=sets.aside.of(rows))


def _bits(places: Iterable[int]) -> int:
    mask = 0
    for place in places:
        mask |= 1 << place
    return mask


def _down_sets(base: int, free: list[int], order: list[int], most: int, deadline: float) -> Iterator[int]:
    """Every set of ``base`` and some of the ``free`` units that has all that must not be behind what it has."""
    seen = {base}
    level = [base]
    while level:
        if len(seen) > most or time.process_time() > deadline:
            raise TooMany
        following = []
        for mask in level:
            for i in free:
                if not mask >> i & 1 and not order[i] & ~mask:
                    more = mask | 1 << i
                    if more not in seen:
                        seen.add(more)
                        following.append(more)
        level = following
    yield from seen
