"""Heads and tails of tasks at a threshold."""

from __future__ import annotations

import numpy as np

from milp.search.downsets.tasks import Tasks, closure
from milp.search.downsets.threshold import tails


def test_a_tail_is_rounded_up_to_the_station_in_which_the_task_must_end():
    tasks = Tasks(np.array([[6, 5]]), closure(2, np.array([[0, 1]])))
    assert tails(tasks, 10).tolist() == [10, 0]
