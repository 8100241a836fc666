"""One load of a line, asked about from both ends: what one end is bound to lose, the other cannot spare."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from milp.search.downsets.guides import Guide
from milp.search.downsets.layers import Pass, PassOutcome
from milp.search.downsets.line import Line
from milp.search.downsets.measures import alike_times
from milp.search.downsets.packing import packing_measure
from milp.search.downsets.tasks import Tasks
from milp.search.downsets.threshold import Threshold
from partition.arrays import IntArray
from partition.stopping import Stop

PACKED_FROM = 300
"""Down-sets in a layer beyond which it pays to know what tasks are worth in a fractional packing."""

UNSETTLED = PassOutcome(None)
"""Nothing was found."""


@dataclass(frozen=True, eq=False)
class End:
    """One end of a line, from which it is filled.

    Attributes
    ----------
    tasks, line : as they are seen from there.
    prices : of the kinds, where stations differ (:mod:`milp.search.downsets.prices`).
    backwards : whether it is the last station that is filled first.
    """

    tasks: Tasks
    line: Line
    prices: IntArray | None
    backwards: bool

    def turned(self, verdict: PassOutcome) -> PassOutcome:
        """A verdict of a pass from this end, with stations and kinds in order of the line."""
        if not self.backwards or verdict.station is None or verdict.kind is None:
            return verdict
        return PassOutcome(verdict.possible, self.line.stations - 1 - verdict.station, verdict.kind[::-1])


@dataclass(eq=False)
class BothEnds:
    """A load, and how far the passes for a proof from both ends have come.

    Attributes
    ----------
    ends : of the line, and what is to be placed.
    load : largest one of a station, in ticks, at least 1.
    passes : for a proof, one from either end.
    """

    ends: tuple[End, End]
    load: int
    passes: list[Pass] = field(init=False)

    def __post_init__(self) -> None:
        self._packed, self._failed = False, 0
        self._begin(None)

    def _begin(self, packing: tuple[IntArray, IntArray] | None) -> None:
        """Begin at both ends, with a measure that was found for tasks and stations of one kind."""
        self.passes = [Pass(Threshold(end.tasks, end.line, self.load, end.prices, packing)) for end in self.ends]

    def _pack(self, stop: Stop) -> None:
        """Begin anew with what the tasks are worth in a fractional packing, where that can be told; once."""
        self._packed, (end, _) = True, self.ends
        packing = packing_measure(alike_times(end.tasks, end.line), self.load, stop) if end.line.alike else None
        if packing is not None:
            self._begin(packing)

    def prove(self, width: int, stop: Stop) -> PassOutcome:
        """Whether the load is possible; None if more than ``width`` down-sets would have to be kept at both ends.

        Layer by layer from the end that has fewer states. Asked again with more width, it goes on where it ended; with
        no more width, it says nothing at once.
        """
        if width <= self._failed:
            return UNSETTLED
        if width > PACKED_FROM and not self._packed:
            self._pack(stop)
        going = [True, True]
        while any(going):
            way = min((i for i in (0, 1) if going[i]), key=lambda i: len(self.passes[i].states))
            this, other = self.passes[way], self.passes[1 - way]
            verdict = this.advance(width, stop, proof=True)
            if verdict is None:
                losses, before = np.maximum(this.losses(), other.forced), len(other.states)
                if (losses > other.forced).any():
                    other.heed(losses)
                    going[1 - way] |= len(other.states) < before
                if not len(other.states):
                    return PassOutcome(False)
            elif verdict.possible is not None:
                return self.ends[way].turned(verdict)
            elif stop():
                return UNSETTLED
            else:
                going[way] = False
        self._failed = width
        return UNSETTLED

    @property
    def progress(self) -> float:
        """Part of the tasks that both passes together have reached: how likely it is that a proof will come."""
        reached = sum(each.reached for each in self.passes)
        return min(reached / max(self.ends[0].tasks.count, 1), 1.0)

    def find(self, way: int, guide: Guide, width: int, stop: Stop) -> PassOutcome:
        """What a beam of so many down-sets finds from one end, with what the other one is bound to lose."""
        proof = self.passes[way]
        search = Pass(proof.threshold, guide, proof.forced)
        return self.ends[way].turned(search.decide(width, stop))
