"""How long it takes until HiGHS can begin with a model, so that none is built that leaves no time to be solved.

Writing a model and its matrix takes 1e-7 to 3e-7 seconds a nonzero (benchmarks/building.py). HiGHS takes longer to load
and presolve it, 1e-6 (``WORK_PER_NONZERO``). The estimates below count both.
"""

from __future__ import annotations

import numpy as np

from milp.windows.windows import Windows
from partition.instance.instance import Instance
from partition.stopping import Stop

SECONDS = 1.2e-5, 4e-5
"""Seconds per binary of a model, with links alone (about 10 nonzeros) and with receives (30)."""

SECONDS_OF_TRIANGLE = 6e-6
"""Seconds per row of the triangle rule (5 nonzeros)."""

SHARE = 0.4
"""Largest share of the time left that may pass until HiGHS can begin."""


def leaves_time(instance: Instance, windows: Windows, stop: Stop, *, triangle: bool) -> bool:
    """Whether the model over these windows, with or without the triangle rule, can be built and still be solved."""
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
