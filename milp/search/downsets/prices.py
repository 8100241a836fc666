"""Prices of the chip kinds at which the work of all tasks costs most."""

from __future__ import annotations

import numpy as np

from milp.search.downsets.tasks import NEVER
from partition.arrays import IntArray

SCALE = 1 << 10
"""Prices are whole numbers up to this; any prices give a bound, so rounding them is safe."""


def prices(ticks: IntArray, stations: IntArray) -> IntArray:
    """(2, K) prices of the kinds for :class:`milp.search.downsets.measures.Weighted`: the best ones, and all alike.

    If a station of kind ``k`` costs ``w_k`` a tick, task ``j`` costs at least ``min_k w_k t_kj``. The best prices are
    the dual solution of the linear program that spreads the tasks over the stations in parts, without order.

    Parameters
    ----------
    ticks : (K, N) time of each task on each kind.
    stations : (K,) stations of each kind.
    """
    from scipy.optimize import linprog  # takes longer to import than most searches; needed where kinds differ alone

    kinds, count = ticks.shape
    alike = np.where(stations > 0, SCALE, 0)
    present = np.flatnonzero(stations)
    able = ticks[present] < NEVER
    scale = float(ticks[present][able].max(initial=1))
    # Maximise the sum of v_j with v_j <= w_k t_kj and sum_k stations_k w_k = 1; columns are v, then w.
    kind, task = np.nonzero(able)
    rows = np.zeros((len(task), count + len(present)))
    rows[np.arange(len(task)), task] = 1.0
    rows[np.arange(len(task)), count + kind] = -ticks[present][kind, task] / scale
    whole = np.concatenate([np.zeros(count), stations[present]])[None].astype(float)
    aim = np.concatenate([-np.ones(count), np.zeros(len(present))])
    answer = linprog(aim, rows, np.zeros(len(task)), whole, [1.0], bounds=(0, None), method="highs")
    found = np.zeros(0) if answer.x is None else answer.x[count:]
    if answer.status != 0 or not found.max(initial=0.0) > 0:
        return alike[None]
    best = np.zeros(kinds, np.int64)
    best[present] = np.rint(found / found.max() * SCALE).astype(np.int64)
    return np.stack([best, alike])
