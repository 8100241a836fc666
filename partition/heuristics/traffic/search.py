"""Placements of ever less traffic: starts, each refined by moves and flows, then pairs of chips begun anew."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from partition.arrays import IntArray
from partition.heuristics.traffic.flows import move_cut
from partition.heuristics.traffic.moves import Moves
from partition.heuristics.traffic.network import Network
from partition.heuristics.traffic.starts import Starts
from partition.stopping import Stop

REACHES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Regions of the flows, in multiples of the room that is left."""

STARTS, ROUND = 6, 24
"""Starts of the whole at the head of every round of tries; the others begin a few chips of the best anew."""

IDLE = 150
"""Placements tried in a row without a better one after which the search ends; fewer for fewer nodes than this."""

MOST_NODES = 30_000
"""Larger networks are left to others: a start would take minutes."""

MOVE, FLOW, ARC = 3e-5, 5e-4, 1e-6
"""Units of work (stopping.py) of a move considered, of a flow, and of each of its arcs."""


def little_traffic(network: Network, given: IntArray, rng: np.random.Generator, stop: Stop) -> Iterator[IntArray]:
    """Yield placements (N,) that fit, each of less traffic than those before, until stopped or none has come for long.

    Parameters
    ----------
    given : (N,) a placement to begin with; one that does not fit is left aside.
    """
    if network.nodes > MOST_NODES or network.chips < 2:
        return
    search = _Refinement(network, rng, stop)
    best, least, idle = given, np.inf, 0
    if network.fits(given):
        best = search.refined(given)
        least = network.traffic(best)
        if least < network.traffic(given):
            yield best
    starts = Starts(network, rng)
    while idle < min(IDLE, network.nodes) and least > 0 and not stop():
        anew = np.isfinite(least) and search.tried % ROUND >= STARTS
        found = search.tried_anew(starts, best if anew else None)
        idle += 1
        if found is not None and network.traffic(found) < least * (1 - 1e-12):
            best, least, idle = found, network.traffic(found), 0
            yield best


class _Refinement:
    """Refines placements of one network."""

    def __init__(self, network: Network, rng: np.random.Generator, stop: Stop) -> None:
        self.network, self.rng, self.stop = network, rng, stop
        self.tried = 0

    def tried_anew(self, starts: Starts, best: IntArray | None) -> IntArray | None:
        """A new start, or a few chips of the best placement begun anew, refined; None if it does not fit."""
        self.tried += 1
        found = self._drawn(starts) if best is None else self._few_anew(best)
        return self.refined(found) if self.network.fits(found) else None

    def refined(self, chip: IntArray) -> IntArray:
        """Moves and flows in turns until neither helps."""
        least, before = self.network.traffic(chip), np.inf
        while least < before and not self.stop():
            before = least
            chip = self._moved(chip)
            for first in range(self.network.chips - 1):
                for reach in REACHES:
                    self._charge_flows(1, 2 * len(self.network.edges) // self.network.chips)
                    moved = move_cut(self.network, chip, first, reach)  # of equals, the new one
                    chip = min([*moved, chip], key=self.network.traffic)
            least = self.network.traffic(chip)
        return chip

    def _moved(self, chip: IntArray) -> IntArray:
        gain = np.inf
        while gain > 0 and not self.stop():
            self.stop.charge(MOVE * self.network.nodes)
            chip, gain = Moves(self.network, chip, self.rng).run()
        return chip

    def _few_anew(self, chip: IntArray) -> IntArray:
        """Two or three neighbouring chips begun anew, the rest as it is."""
        width = min(self.network.chips, int(self.rng.integers(2, 4)))
        first = int(self.rng.integers(self.network.chips - width + 1))
        chips = range(first, first + width)
        inside = (chip >= chips.start) & (chip < chips.stop)
        if inside.sum() < 2:
            return chip
        new = chip.copy()
        new[inside] = first + self._drawn(Starts(self.network.among(inside, chips), self.rng))
        return new

    def _drawn(self, starts: Starts) -> IntArray:
        self._charge_flows(starts.flows, len(starts.network.edges))
        return starts.draw()

    def _charge_flows(self, count: int, arcs: int) -> None:
        self.stop.charge(count * (FLOW + ARC * arcs))
