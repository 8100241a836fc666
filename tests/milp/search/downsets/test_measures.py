"""Dual feasible functions."""

from __future__ import annotations

import numpy as np
import pytest

from milp.search.downsets.line import Line
from milp.search.downsets.measures import DualFeasible
from milp.search.downsets.tasks import Tasks


@pytest.mark.parametrize("seed", range(20))
def test_measures_are_superadditive(seed):
    rng = np.random.default_rng(seed)
    period = int(rng.integers(2, 60))
    time = rng.integers(0, period + 1, (1, 12))
    table = DualFeasible(Tasks(time, np.zeros((12, 12), bool)), Line(np.zeros(3, np.int64), False), period).table
    x = np.arange(period + 1)
    a, b = np.nonzero(x[:, None] + x[None, :] <= period)
    assert (table[:, a] + table[:, b] <= table[:, a + b]).all()
