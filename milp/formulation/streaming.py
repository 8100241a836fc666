"""Streaming as rows: what a chip's weights exceed its SRAM by comes from DRAM in every period.

The excess is ``max(0, weights - sram)``, so a load with it stays within the period where it does with the difference
and without: each load that streaming is part of becomes two rows, and only the goal latency needs a variable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from milp.formulation.columns import Columns
from milp.formulation.linear import Linear
from milp.formulation.memory import ChipWeights
from milp.formulation.model import Model
from milp.formulation.rows import ChipTimes
from partition.arrays import FloatArray, IntArray

STEEP = 1e3
"""Periods in which a chip could stream its whole SRAM, from which a row is counted in SRAM instead of in periods."""


@dataclass(frozen=True, eq=False)
class Streams:
    """What chips stream.

    Attributes
    ----------
    cols : Columns
    chips : (S,) int
        Limited chips that may hold more than their SRAM.
    excess : Linear
        (S,) time in which the weights beyond the SRAM are streamed; negative where all fit.
    scale : (S,) float
        What each row is multiplied by.
    """

    cols: Columns
    chips: IntArray
    excess: Linear
    scale: FloatArray

    @staticmethod
    def written(
        model: Model, cols: Columns, held: ChipWeights, times: ChipTimes, most: float, limited: IntArray
    ) -> Streams:
        """Those of the limited chips, with their rows.

        Parameters
        ----------
        most : float
            Time that does not fit into any period of interest, infinity where there is none.
        """
        rate, chips = cols.inst.streaming, list[int]()
        excess, scale = [Linear.constants(np.zeros(0))], list[float]()
        for c in np.intersect1d(np.flatnonzero(rate), limited).tolist():
            fits = float(cols.hw.sram_bytes[c]) / float(rate[c])
            weights, largest = held.on(c, float(rate[c]), fits + most)
            if largest > fits:
                held.write_users(model, c)
                chips.append(c)
                excess.append(weights.total().plus(-fits))
                scale.append(1 / max(1.0, fits / (STEEP * most)) if np.isfinite(most) else 1.0)
        streams = Streams(cols, np.array(chips, dtype=np.int64), Linear.stacked(excess), np.array(scale))
        if chips:
            streams._limit(model, times)
        return streams

    def _limit(self, model: Model, times: ChipTimes) -> None:
        """Streaming, and what takes turns with it, takes no longer than the period."""
        load = self._in_turn(times)
        if self.cols.hw.serial:
            load = load + times.moved.take(self.chips)
        model.at_most("streaming", load * self.scale, self.cols.T.take(np.zeros_like(self.chips)) * self.scale)

    def work(self, model: Model, times: ChipTimes) -> Linear:
        """(C,) what each chip computes and streams: a variable where it may stream."""
        if not len(self.chips):
            return times.compute
        work = model.add("work", self.chips, upper=np.inf)
        model.at_most("working", times.compute.take(self.chips), work.all())
        model.at_most("working", self._in_turn(times), work.all())
        others = np.setdiff1d(np.arange(self.cols.chips), self.chips)
        both = Linear.stacked([times.compute.take(others), work.all()])
        return both.sum(np.concatenate([others, self.chips]), self.cols.chips)

    def _in_turn(self, times: ChipTimes) -> Linear:
        """(S,) the excess, and the compute that takes turns with it."""
        return self.excess + times.compute.take(self.chips) if self.cols.hw.streams_in_turn else self.excess
