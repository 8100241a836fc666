"""What tasks are worth in a fractional packing: no load that fits is worth more than the table says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import highspy
import numpy as np
import pytest

from milp.search.downsets.packing import CELLS, packing_measure
from partition.stopping import Stop


@pytest.mark.parametrize("seed", range(20))
def test_the_table_is_the_most_that_any_set_of_tasks_is_worth(seed):
    rng = np.random.default_rng(seed)
    time, period = rng.integers(0, 9, 9), int(rng.integers(8, 20))
    found = packing_measure(time, period, Stop())
    assert found is not None
    worth, most = found
    sets = (np.arange(1 << 9)[:, None] >> np.arange(9) & 1).astype(np.int64)
    ticks, value = sets @ time, sets @ worth
    assert most.tolist() == [int(value[ticks <= room].max()) for room in range(period + 1)]
    order = np.argsort(time, kind="stable")
    assert (np.diff(worth[order]) >= 0).all()


def test_what_is_too_large_or_fits_no_station_has_no_such_measure():
    assert packing_measure(np.array([5, 9]), 8, Stop()) is None
    assert packing_measure(np.array([5, 9]), CELLS, Stop()) is None


def solved_by_the_caller(threads: int) -> highspy.HighsStatus:
    """What the caller's own run of HiGHS says, in a thread where a packing was priced before."""
    assert packing_measure(np.array([5, 9, 3, 4, 4]), 12, Stop()) is not None
    own = highspy.Highs()
    own.setOptionValue("output_flag", False)
    own.setOptionValue("threads", threads)
    own.addVar(0.0, 1.0)
    own.addRow(1.0, 1.0, 1, np.zeros(1, np.int32), np.ones(1))
    return own.run()


def test_the_caller_may_still_run_highs_with_any_number_of_threads():
    for threads in (1, 2, 3):
        with ThreadPoolExecutor(1) as fresh:
            assert fresh.submit(solved_by_the_caller, threads).result() == highspy.HighsStatus.kOk
