"""How long it takes until HiGHS can begin with a model, so that none is built that leaves no time to be solved."""

from __future__ import annotations

import numpy as np

from milp import budget
from milp.windows.windows import Windows
from partition.instance.instance import Instance
from partition.stopping import Stop

CROSSING_ROW, TRIANGLE_ROW = 5, 6
"""Nonzeros of a row for a tensor that may go round a ring, and of one of the triangle rule."""


def leaves_time(instance: Instance, windows: Windows, stop: Stop, *, triangle: bool) -> bool:
    """Whether the model over these windows, with or without the triangle rule, can be built and still be solved."""
    return budget.WRITTEN_NONZERO * nonzeros(instance, windows, triangle=triangle) <= budget.WRITING * stop.remaining


def nonzeros(instance: Instance, windows: Windows, *, triangle: bool) -> float:
    """About as many nonzeros as the model has, within a factor of two where it is large.

    Every ``y`` stands in rows of its own and in a load. Where producer and reader of a tensor can be apart, there are
    rows of edges and of ends. Where receives matter, there is a row for every chip of either.
    """
    if not instance.tensors:
        return 4.0 * windows.free
    hardware = instance.hardware
    tensor = np.repeat(np.arange(instance.tensors), np.diff(instance.reader_ptr))
    source, reader = instance.source[tensor], instance.readers
    apart = np.maximum(windows.hi[source] - windows.lo[reader], 0).sum()
    found = 4.0 * windows.free + 4.0 * float(apart)
    if triangle or hardware.serial or not hardware.links or not instance.forward_only:
        width = np.maximum(windows.hi - windows.lo + 1, 0)
        moves = (width[source] > 1) | (width[reader] > 1) | (windows.lo[source] != windows.lo[reader])
        found += 6.0 * float((width[source] + width[reader])[moves].sum())
        if not instance.forward_only:
            starts = instance.reader_ptr[:-1]
            last, first = (each[reader] for each in (windows.hi, windows.lo))
            chips = np.maximum.reduceat(last, starts) - np.minimum.reduceat(first, starts) + 1
            found += CROSSING_ROW * hardware.links * float(chips[np.logical_or.reduceat(moves, starts)].sum())
    if triangle:
        found += TRIANGLE_ROW * triangle_rows(instance, windows)
    return found


def triangle_rows(instance: Instance, windows: Windows) -> float:
    """About as many rows as the triangle rule takes: pairs of chips between which each tensor can go, and triples."""
    if not instance.tensors:
        return 0.0
    last = np.maximum.reduceat(windows.hi[instance.readers], instance.reader_ptr[:-1])
    first = windows.lo[instance.source]
    spans = np.maximum(last - first, 0).astype(float)
    reach = float(spans.max())
    return float((spans * (spans + 1)).sum()) / 2 + instance.chips * reach**2 / 3
