"""Memory by combinatorial cuts: what no schedule of a chip can hold is kept off every chip from then on.

A placement found without regard to schedules may not fit. For a chip that it overfills, two sets of nodes are sought,
``on`` and ``off``. With all of ``on`` on the chip and none of ``off``, no schedule fits, whatever else is there. Then
``sum of X over on - sum of X over off <= |on| - 1`` holds on every chip no larger. Both sets are made small by trial,
each trial a proof by search over the schedules (partition/scoring/schedules.py).

Weights alone have rows of their own, but HiGHS lets them exceed a chip by its tolerance, a relative 1e-6. A set of
operations whose weights do not fit is then ``on``, and ``off`` is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from partition.arrays import IntArray
from partition.instance.features import ABSORBED, Scope, named
from partition.problem.chip_kind import ROUNDED, TOO_MUCH
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.scoring.schedules import ChipWork, WorkModel, schedule

SCOPE = Scope(
    engine="memory cuts",
    claims="sets of operations that no chip holds",
    covers=ABSORBED
    | named(
        "CHAIN RING ROUTES CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC ANY_ORDER NO_SKIPPING SKIPPING "
        "TRIANGLE LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS RELAYS MIXED_KINDS FREE_ORDER UNSUPPORTED "
        "FREE_TRANSFERS SHARED_WEIGHTS FREE_EDGES ZERO_TIMES CUTS STREAMING STREAMING_IN_TURN "
        "TRAFFIC ENERGY LATENCY CHIPS MOVES"
    ),
)


LEARNT = ("memory", "dynamic_memory")
"""Rules whose violations teach cuts."""

TRIAL_STATES = 500
"""Down-sets looked at before a trial counts as failed."""


@dataclass(frozen=True, eq=False)
class MemoryCut:
    """Not all of ``on`` and of ``relays`` together with none of ``off``, on any chip of at most ``capacity`` bytes.

    Attributes
    ----------
    on, off : operations of the graph.
    relays : tensors of the graph that the chip relays.
    """

    on: IntArray
    off: IntArray
    relays: IntArray
    capacity: float


class MemoryCuts:
    """All cuts found so far for one graph on one package; nothing to do while the rules are off."""

    def __init__(self, graph: Graph, hardware: Hardware) -> None:
        self.hardware = hardware
        self.active = bool(np.isfinite(hardware.room).any())
        self.known: list[MemoryCut] = []
        self._problem = Problem.of(graph, hardware)

    def __len__(self) -> int:
        return len(self.known)

    def learn(self, placement: Placement) -> bool:
        """Cut off a placement that breaks the rules; True if there is a new cut."""
        if not self.active:
            return False
        model = self._problem.kept(WorkModel)
        before = len(self.known)
        capacity = self.hardware.room.tolist()
        for c, work in enumerate(model.chips(placement)):
            heavy = _overfull(model, work, capacity[c] * TOO_MUCH)
            if heavy:
                self.known.append(MemoryCut(_integers(heavy), _integers([]), _integers([]), capacity[c]))
            elif not self.hardware.rules.dynamic_memory or not np.isfinite(capacity[c]):
                continue
            elif schedule(work, capacity[c]).fits is False:
                relays = placement.relays[placement.relays[:, 1] == c, 0].tolist()
                cut = _Shrink(model, list(work.operations), relays, capacity[c]).run()
                if cut is not None:
                    self.known.append(cut)
        return len(self.known) > before


def _overfull(model: WorkModel, work: ChipWork, room: float) -> list[int]:
    """The fewest of a chip's operations, heaviest first, whose weights alone exceed its room; none if all fit."""
    held, shared, chosen = 0.0, set[int](), list[int]()
    for v in sorted(work.operations, key=lambda v: (-model.weights[v], v)):
        new = set(model.shared[v]) - shared
        if not model.weights[v] and not new:
            continue
        held += model.weights[v] + sum(model.shared_bytes[s] for s in new)
        shared |= new
        chosen.append(v)
        if held > room:
            return chosen
    return []


class _Shrink:
    """Makes the sets of one cut small."""

    def __init__(self, model: WorkModel, operations: list[int], relays: list[int], capacity: float) -> None:
        self.model, self.capacity, self.operations = model, capacity, operations
        self.all_relays = set(relays)
        self.single = {v for v in operations if not model.replicable[v]}  # on their chip, at home

    def run(self) -> MemoryCut | None:
        """The cut, or None where no proof was found."""
        neighbours = self.model.neighbours(self.operations) - set(self.operations)
        on, off = self.operations, sorted(neighbours)
        relays = [] if self._impossible(on, off, []) else sorted(self.all_relays)
        if not self._impossible(on, off, relays):
            return None  # a replica elsewhere could spare what is sent, say
        off = _shortened(off, lambda kept: self._impossible(on, kept, relays))
        on = _shortened(on, lambda kept: self._impossible(kept, off, relays))
        off = _shortened(off, lambda kept: self._impossible(on, kept, relays))
        return MemoryCut(_integers(on), _integers(off), _integers(relays), self.capacity)

    def _impossible(self, on: list[int], off: list[int], relays: list[int]) -> bool:
        """Whether it is proved that no chip of this capacity runs all of ``on`` without ``off``.

        Of operations in neither set nothing is assumed: a tensor shared with them is held at least while operations of
        ``on`` touch it, wherever they are.
        """
        model, away, here = self.model, set(off), set(on)
        received = {t for v in on for t in model.reads[v] if model.producer[t] in away} | set(relays)
        made = [t for v in on if v in self.single for t in model.writes[v]]
        sent = {t for t in made if not away.isdisjoint(model.readers[t])}
        work = model.work(sorted(here), received, sent, set(relays))
        return schedule(work, self.capacity * (1 + ROUNDED), states=TRIAL_STATES).fits is False


def _integers(items: list[int]) -> IntArray:
    return np.array(items, dtype=np.int64)


def _shortened(items: list[int], enough: Callable[[list[int]], bool]) -> list[int]:
    """``items`` without as many of them as can go, in ever smaller stretches, while ``enough`` holds."""
    size = len(items)
    while size:
        first = 0
        while first < len(items):
            kept = items[:first] + items[first + size :]
            if (kept or not items) and enough(kept):
                items = kept
            else:
                first += size
        size //= 2
    return items
