"""Stations filled anew."""

from __future__ import annotations

import numpy as np
import pytest
from lines import check_solution

from milp.search.downsets.line import Line
from milp.search.downsets.mending import Filled, Mending
from milp.search.downsets.tasks import Tasks, closure
from partition.stopping import Stop


@pytest.mark.parametrize("seed", range(12))
def test_stations_filled_anew_hold_no_more_and_keep_the_order(seed):
    rng = np.random.default_rng(seed)
    ticks = rng.integers(1, 20, (5, 14))
    before = closure(14, np.argwhere(np.triu(rng.random((14, 14)) < 0.15, 1)))
    tasks, free = Tasks(ticks, before), bool(seed % 2)
    mending = Mending(tasks, Line(np.arange(5), free), rng)
    known = Filled(np.arange(14) * 5 // 14, np.arange(5))
    for _ in range(6):
        most = int(mending.loads(known).max())
        walked = mending.other(known, Stop())
        better = mending.better(walked, Stop()) or walked
        check_solution(tasks, walked.kind, walked.station, most)
        check_solution(tasks, better.kind, better.station, most)
        fullest = mending.loads(walked) == mending.loads(walked).max()
        assert better is walked or ((mending.loads(better) == most) <= fullest).all()
        used = better.kind[better.kind >= 0].tolist()
        assert len(set(used)) == len(used) and (free or used == sorted(used))
        known = better


def test_filling_anew_betters_a_line_that_is_full_at_one_end():
    """Four equal tasks on the first of four stations: pairs of stations share them until each has one."""
    tasks = Tasks(np.array([[5, 5, 5, 5], [5, 5, 5, 5]]), np.zeros((4, 4), dtype=bool))
    mending = Mending(tasks, Line(np.array([0, 1, 0, 1]), False), np.random.default_rng(0))
    known = Filled(np.zeros(4, np.int64), np.array([0, -1, -1, -1]))
    for _ in range(9):
        known = mending.better(known, Stop()) or known
    assert mending.loads(known).tolist() == [5, 5, 5, 5]
