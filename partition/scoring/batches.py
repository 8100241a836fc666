"""Batches of placements as callers give them: checked, and cut into portions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from partition.arrays import IntArray
from partition.errors import InvalidAssignment
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware


def validated_assignments(graph: Graph, hardware: Hardware, assignments: ArrayLike) -> IntArray:
    """(B, n) int copy of one assignment or a batch.

    Raises
    ------
    InvalidAssignment : wrong shape, not whole numbers, or a chip that the package does not have.
    """
    chips = np.atleast_2d(np.asarray(assignments))
    if chips.ndim != 2 or chips.shape[1] != graph.n:
        raise InvalidAssignment(
            f"assignments have shape {np.shape(assignments)}; graph {graph.name!r} needs (B, {graph.n}) or ({graph.n},)"
        )
    if not np.issubdtype(chips.dtype, np.integer):
        raise InvalidAssignment(f"assignments are of type {chips.dtype}; chips are whole numbers")
    if chips.size and (chips.min() < 0 or chips.max() >= hardware.chips):
        row, v = np.argwhere((chips < 0) | (chips >= hardware.chips))[0]
        raise InvalidAssignment(
            f"operation {graph.names[v]!r} is on chip {chips[row, v]}; the package has chips 0..{hardware.chips - 1}"
        )
    return chips.astype(np.int64)


def validated_rows(name: str, values: ArrayLike | None, limits: tuple[int, int, int]) -> IntArray | None:
    """(R, 3) int rows (batch row, item, chip) below their limits, or None where none are given.

    Raises
    ------
    InvalidAssignment : a row names something that is not there.
    """
    if values is None:
        return None
    rows = np.asarray(values, dtype=np.int64).reshape(-1, 3) if np.size(values) else np.zeros((0, 3), np.int64)
    if np.any((rows < 0) | (rows >= np.array(limits))):
        raise InvalidAssignment(f"{name} name a batch row, item or chip outside {limits}")
    return rows


def rows_between(rows: IntArray | None, begin: int, end: int) -> IntArray | None:
    """Those of the batch rows ``begin`` to ``end``, counted from ``begin``."""
    if rows is None:
        return None
    inside = rows[(rows[:, 0] >= begin) & (rows[:, 0] < end)].copy()
    inside[:, 0] -= begin
    return inside
