"""Drawing chips from each node's probabilities, restricted to intervals or to arbitrary sets of chips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from partition.arrays import BoolArray, FloatArray, IntArray
from partition.errors import InvalidInput

LEAST_MASS = 1e-4
"""Probability of an interval below which it is drawn from chip by chip in double precision."""

ChipRows = NDArray[np.int16]
"""(k, R) chips of k nodes in R rows."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Probabilities of chips, ready to draw from.

    Attributes
    ----------
    probabilities : (N, 1 or B, C), of each node in every row, or in each.
    cumulative : (N * (1 or B) * (C + 1),) running sums along the chips, flat.
    """

    probabilities: FloatArray
    cumulative: NDArray[np.float32]

    @staticmethod
    def of(probabilities: FloatArray, nodes: int, chips: int, rows: int) -> Draws:
        """From (N, C) or (B, N, C).

        Raises
        ------
        InvalidInput : another shape, or something that is not a probability.
        """
        table = np.asarray(probabilities, dtype=np.float64)
        if table.shape not in ((nodes, chips), (rows, nodes, chips)):
            raise InvalidInput(
                f"probabilities have shape {table.shape}; give ({nodes}, {chips}) or ({rows}, {nodes}, {chips})"
            )
        if not (np.isfinite(table).all() and (table >= 0).all()):
            raise InvalidInput("probabilities must be finite and not negative")
        table = table[:, None, :] if table.ndim == 2 else table.transpose(1, 0, 2)
        running = np.zeros((*table.shape[:2], chips + 1), dtype=np.float32)
        np.cumsum(table / np.maximum(table.sum(axis=2, keepdims=True), 1e-300), axis=2, out=running[:, :, 1:])
        return Draws(table, running.ravel())

    def within(self, nodes: IntArray, rows: IntArray, lo: ChipRows, hi: ChipRows, rng: np.random.Generator) -> ChipRows:
        """(k, R) chips in ``lo..hi``, for nodes (k,) in rows (R,)."""
        several, chips = self.probabilities.shape[1:]
        row = rows if several > 1 else np.zeros_like(rows)
        base = ((nodes[:, None] * several + row) * (chips + 1)).astype(np.int64)
        below, upto = self.cumulative[base + lo], self.cumulative[base + hi + 1]
        mass = upto - below
        level = below + rng.random(lo.shape, dtype=np.float32) * mass
        first, last = lo.copy(), hi.copy()
        for _ in range(int(chips).bit_length()):  # first chip whose running sum exceeds the level
            middle = (first + last) >> 1
            beyond = self.cumulative[base + middle + 1] > level
            last = np.where(beyond, middle, last)
            first = np.where(beyond, first, np.minimum(middle + 1, last))
        rare = np.argwhere((mass < LEAST_MASS) & (lo < hi))
        if len(rare):
            node, column = rare.T
            every = np.arange(chips)
            allowed = (lo[node, column, None] <= every) & (every <= hi[node, column, None])
            first[node, column] = self.among(nodes[node], rows[column], allowed, rng)
        return first

    def among(self, nodes: IntArray, rows: IntArray, allowed: BoolArray, rng: np.random.Generator) -> ChipRows:
        """(e,) chips for pairs of node and row (e,), each from its own ``allowed`` (e, C); -1 where none is allowed."""
        row = rows if self.probabilities.shape[1] > 1 else np.zeros_like(rows)
        weight = np.where(allowed, self.probabilities[nodes, row], 0.0)
        impossible = weight.sum(axis=1) <= 0.0
        weight[impossible] = allowed[impossible]  # nothing left of its probabilities: any allowed chip
        running = weight.cumsum(axis=1)
        level = rng.random(len(nodes)) * running[:, -1]
        chip = (running <= level[:, None]).sum(axis=1)
        chip = np.minimum(chip, allowed.shape[1] - 1 - allowed[:, ::-1].argmax(axis=1))
        return np.where(allowed.any(axis=1), chip, -1).astype(np.int16)
