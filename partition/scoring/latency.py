"""When one input is at each chip, and out of the package: longest paths through the graph of the chips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partition.arrays import FloatArray, IntArray, sums
from partition.problem.hardware import Hardware
from partition.problem.routes import Routes
from partition.scoring.transfers import Transfers


@dataclass(frozen=True, eq=False)
class ChipEdges:
    """Edges of the chip graphs of a batch: row, chip from, chip to, and the delay on the way, (k,) each."""

    batch: IntArray
    source: IntArray
    chip: IntArray
    delay: FloatArray

    @staticmethod
    def of(moved: Transfers, hardware: Hardware, routes: Routes | None) -> ChipEdges:
        """Each pair of chips that exchange something, once."""
        C, hop = hardware.chips, hardware.interconnect.link_latency_s
        edge = np.unique((moved.batch * C + moved.source) * C + moved.chip)
        batch, source, chip = edge // (C * C), edge // C % C, edge % C
        if routes is not None:
            delay = hop * routes.hops[source, chip]
        else:
            delay = hop * ((chip - source) % C if hardware.links else np.ones(len(edge)))
        return ChipEdges(batch, source, chip, delay)


def finish(busy: FloatArray, edges: ChipEdges) -> FloatArray:
    """(B, C) when each chip is done with an input that enters at time 0; infinite where chips form a circle.

    Parameters
    ----------
    busy : (B, C) what one input takes of each chip, one thing after the other.
    """
    done = busy
    for _ in range(busy.shape[1] + 1):
        arrival = np.zeros_like(busy)
        np.maximum.at(arrival, (edges.batch, edges.chip), done[edges.batch, edges.source] + edges.delay)
        previous, done = done, busy + arrival
        growing = (done != previous).any(axis=1)
        if not growing.any():
            break
    return np.where(growing[:, None], np.inf, done)  # longest paths of an acyclic chip graph have settled by now


def latency(busy: FloatArray, edges: ChipEdges) -> FloatArray:
    """(B,) when the input is out; the sum of everything where chips form a circle."""
    done = finish(busy, edges)
    total = busy.sum(axis=1) + sums(edges.batch, edges.delay, len(busy))
    return np.asarray(np.where(np.isinf(done).any(axis=1), total, done.max(axis=1)))
