"""How long it takes to build and compile a model, so that none is built that leaves no time to be solved."""

from __future__ import annotations

import numpy as np

from milp.windows.windows import Windows
from partition.instance.instance import Instance
from partition.stopping import Stop

SECONDS = 1e-4, 6e-4
"""Seconds to build and compile a model per binary, with links alone and with receives, as measured."""

SECONDS_OF_TRIANGLE = 6e-5
"""The same per row of the triangle rule."""

SHARE = 0.4
"""Largest share of the time left that building a model may take."""


def leaves_time(instance: Instance, windows: Windows, stop: Stop, *, triangle: bool) -> bool:
    """Whether building the model over these windows, with or without the triangle rule, leaves time to solve it."""
    heavy = triangle or instance.hardware.serial or not instance.hardware.links
    seconds = windows.free * SECONDS[int(heavy)]
    if triangle:
        seconds += SECONDS_OF_TRIANGLE * triangle_rows(instance, windows)
    return seconds <= SHARE * stop.remaining


def triangle_rows(instance: Instance, windows: Windows) -> float:
    """About as many rows as the triangle rule takes: pairs of chips between which each tensor can go, and triples."""
    if not instance.tensors:
        return 0.0
    last = np.maximum.reduceat(windows.hi[instance.readers], instance.reader_ptr[:-1])
    first = windows.lo[instance.source]
    spans = np.maximum(last - first, 0).astype(float)
    reach = float(spans.max())
    return float((spans * (spans + 1)).sum()) / 2 + instance.chips * reach**2 / 3
