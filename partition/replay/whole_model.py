"""The whole question for OR-Tools CP-SAT, where it is small: with replicas, relays, the triangle rule and no skipping.

What :mod:`partition.replay.second_solver` leaves out is here as well, but for schedules, and links where the stages may
stand anywhere. Every valid placement of a period below the one asked about is a solution.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

from partition.replay.cuts import carried_by_links
from partition.replay.question import FITS
from partition.replay.routes import Link, crossed, places, stages_may_move
from partition.replay.units import Units

WEIGHT_UNITS = 2**30
"""Whole units of the room of a chip for weights."""


class WholeModel:
    """Columns and rows by unit, tensor and chip.

    Parameters
    ----------
    model : of CP-SAT, empty.
    kinds : of each chip.
    times : per kind, of each unit, and ``pace`` units per unit of time; rounded down.
    room : units of the period.
    """

    def __init__(
        self, model: Any, units: Units, kinds: tuple[int, ...], times: list[list[int]], pace: Fraction, room: int
    ) -> None:
        self.model, self.units, self.kinds, self.times, self.room = model, units, kinds, times, room
        self.pace = pace
        self.question, self.chips = units.question, range(len(kinds))
        self.tensors = [
            (t, units.of[tensor.producer], sorted({units.of[w] for w in tensor.readers} - {units.of[tensor.producer]}))
            for t, tensor in enumerate(self.question.tensors)
        ]
        self.tensors = [each for each in self.tensors if each[2]]
        moved = {t: self.question.tensors[t].time * pace for t, _, _ in self.tensors}
        self.moved = {t: min(time.numerator // time.denominator, 2 * room + 2) for t, time in moved.items()}
        self.crossing: dict[tuple[int, int], Any] = {}  # whether a tensor crosses a link, by its number
        self._homes()
        self._transfers()
        for c in self.chips:
            self._loads(c)
            self._memory(c)
        if carried_by_links(self.question):
            for c in list(self.chips)[:-1]:
                self._link(c)
        elif self.question.in_line or (self.question.routed and not stages_may_move(self.question)):
            self._routes()
        if self.question.rules["no_skipping"]:
            self._no_skipping()
        if self.question.rules["triangle"] and len(self.kinds) > 2:
            self._triangle()

    @staticmethod
    def size(units: Units, chips: int) -> int:
        """Roughly how many rows there are."""
        return units.count * chips + len(units.question.tensors) * chips * chips * (1 + chips)

    def _new(self) -> Any:
        return self.model.new_bool_var("")

    def _homes(self) -> None:
        units, chips = self.units, self.chips
        self.x = {(u, c): self._new() for u in range(units.count) for c in chips}
        copied = units.copied if self.question.rules["replication"] else ()
        self.q = {(u, c): self._new() for u in copied for c in chips if c}
        for u in range(units.count):
            self.model.add_exactly_one(self.x[u, c] for c in chips)
            for c in chips:
                if self.times[self.kinds[c]][u] > self.room:
                    self.model.add(self.on(u, c) == 0)
        for u, c in self.q:
            self.model.add(self.up(u, c - 1) >= self.q[u, c])
        for u, v in units.edges:
            for c in list(chips)[:-1]:
                self.model.add(self.up(v, c) <= self.up(u, c))

    def on(self, u: int, c: int) -> Any:
        """Whether a chip runs a unit."""
        return self.x[u, c] + self.q[u, c] if (u, c) in self.q else self.x[u, c]

    def up(self, u: int, c: int) -> Any:
        """Whether a unit's home is one of the chips ``0..c``."""
        return sum(self.x[u, b] for b in range(c + 1))

    def _transfers(self) -> None:
        add, chips = self.model.add, self.chips
        self.r = {(t, c): self._new() for t, _, _ in self.tensors for c in chips}
        self.s = {key: self._new() for key in self.r}
        relays = self.question.rules["triangle"]  # which alone they are of use to
        self.R = {(t, c): self._new() for t, c in self.r if c and relays and self._may_relay(t)}
        for t, u, readers in self.tensors:
            for c in chips:
                for w in readers:
                    add(self.r[t, c] >= self.on(w, c) - self.on(u, c))
                for b in chips:
                    if b != c:
                        add(self.s[t, c] >= self.x[u, c] + self.r[t, b] - 1)
                if (t, c) in self.R:
                    add(self.r[t, c] >= self.R[t, c])
                    add(self.s[t, c] >= self.R[t, c])
                    add(self.up(u, c - 1) >= self.R[t, c])
                    add(self.R[t, c] + self.on(u, c) <= 1)

    def _may_relay(self, t: int) -> bool:
        return self.question.may_relay(self.question.tensors[t])

    def _loads(self, c: int) -> None:
        kind = self.kinds[c]
        compute = sum(
            self.times[kind][u] * self.on(u, c) for u in range(self.units.count) if self.times[kind][u] <= self.room
        )
        pays = self.question.pays[kind]
        received = sum(self.moved[t] * self.r[t, c] for t, _, _ in self.tensors) if pays else 0
        sent = sum(self.moved[t] * self.s[t, c] for t, _, _ in self.tensors) if pays else 0
        moved = received + sent if self.question.serial else 0
        for load in [compute + moved] if self.question.serial else [compute, received, sent]:
            self._at_most(load, self.room)
        self._streams(c, compute if self.question.in_turn else 0, moved)

    def _at_most(self, load: Any, most: int) -> None:
        if not isinstance(load, int):
            self.model.add(load <= most)

    def _streams(self, c: int, compute: Any, moved: Any) -> None:
        """What a chip's weights have more than its SRAM is streamed, with what takes turns with that."""
        streaming = self.question.streaming(self.kinds[c])
        if streaming is None:
            return
        size, rate = streaming
        held = self._held(c, self.question.weights, self.question.shared, self.pace / rate, 4 * WEIGHT_UNITS)
        fits = math.ceil(size / rate * self.pace)
        if fits < WEIGHT_UNITS:  # beyond, rounding down says nothing
            self._at_most(held + compute + moved - fits, self.room)

    def _memory(self, c: int) -> None:
        size = self.question.room(self.kinds[c])
        if size is None or not size:
            return
        scale = WEIGHT_UNITS / (size * FITS)
        held = self._held(c, self.question.least, self.question.least_shared, scale, 2 * WEIGHT_UNITS)
        self._at_most(held, WEIGHT_UNITS)

    def _held(
        self, c: int, own: Sequence[Fraction], shared: Sequence[tuple[Fraction, tuple[int, ...]]], scale: Fraction,
        most: int,
    ) -> Any:  # fmt: skip
        """The weights of a chip, each once, in units of which a byte has ``scale``; rounded down, each to ``most``."""
        held: Any = 0
        for u, members in enumerate(self.units.members):
            bytes_ = sum((own[v] for v in members), Fraction(0))
            held += min(math.floor(bytes_ * scale), most) * self.on(u, c)
        for bytes_, users in shared:
            if users:
                column = self._new()
                for u in {self.units.of[v] for v in users}:
                    self.model.add(column >= self.on(u, c))
                held += min(math.floor(bytes_ * scale), most) * column
        return held

    def _link(self, c: int) -> None:
        load: Any = 0
        for t, u, _ in self.tensors:
            crosses = self.crossing[t, c] = self._new()
            for b in self.chips:
                if b > c:
                    self.model.add(crosses >= self.up(u, c) + self.r[t, b] - 1)
            load += self.moved[t] * crosses
        self._at_most(load, self.room)

    def _routes(self) -> None:
        """What goes back, or takes a route: a tensor crosses all links from its home to each chip that receives it."""
        question, where = self.question, places(self.question)
        carried: dict[Link, list[tuple[int, int]]] = {}
        for a, b in itertools.permutations(self.chips, 2):
            for link in crossed(question, where, a, {b}):
                carried.setdefault(link, []).append((a, b))
        for number, pairs in enumerate(carried.values()):
            load: Any = 0
            for t, u, _ in self.tensors:
                crosses = self.crossing[t, number] = self._new()
                for a, b in pairs:
                    self.model.add(crosses >= self.x[u, a] + self.r[t, b] - 1)
                load += self.moved[t] * crosses
            self._at_most(load, self.room)

    def _no_skipping(self) -> None:
        used = [self._new() for _ in self.chips]
        for c in self.chips:
            self.model.add_max_equality(used[c], [self.x[u, c] for u in range(self.units.count)])
        for a, b in itertools.pairwise(used):
            self.model.add(b <= a)

    def _triangle(self) -> None:
        add, pairs = self.model.add, list(itertools.permutations(self.chips, 2))
        direct, path = ({pair: self._new() for pair in pairs} for _ in range(2))
        for t, u, _ in self.tensors:
            tensor = self.question.tensors[t]
            counted = {self.units.of[w] for w in tensor.readers if self.question.constrains(tensor.producer, w)} - {u}
            for a, b in pairs:
                relayed = a < b and (t, a) in self.R
                held = self.x[u, a] + (self.R[t, a] if relayed else 0)
                between = sum(self.R[t, k] for k in self.chips if a < k < b and (t, k) in self.R)
                reads = [self.on(w, b) - self.on(u, b) for w in sorted(counted)]
                reads += [self.R[t, b]] if (t, b) in self.R else []
                for read in reads:
                    add(direct[a, b] >= held + read - 1 - between)
        for a, b in pairs:
            add(path[a, b] >= direct[a, b])
            for c in self.chips:
                if c not in (a, b):
                    add(path[a, c] >= path[a, b] + direct[b, c] - 1)
                    add(direct[a, c] + path[a, b] + path[b, c] <= 2)

    @cached_property
    def columns(self) -> tuple[dict[tuple[int, int], Any], ...]:
        """Homes, replicas and relays, by unit or tensor and chip."""
        return self.x, self.q, self.R


def told(
    units: Units, model: WholeModel, value: Callable[[Any], int]
) -> tuple[tuple[int, ...], frozenset[tuple[int, int]], frozenset[tuple[int, int]]]:
    """Home of each operation, replicas and relays of a solution; ``value`` reads a column."""
    homes, copies, relays = model.columns
    home = {u: c for (u, c), column in homes.items() if value(column)}
    replicas = {(v, c) for (u, c), column in copies.items() if value(column) for v in units.members[u]}
    return (
        tuple(home[unit] for unit in units.of),
        frozenset(replicas),
        frozenset(key for key, column in relays.items() if value(column)),
    )
