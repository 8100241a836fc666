"""Tasks of a line."""

from __future__ import annotations

import numpy as np

from milp.search.downsets.tasks import Tasks, closure


def test_equal_tasks_with_equal_neighbours_are_put_in_order():
    tasks = Tasks(np.array([[3, 2, 2, 3]]), closure(4, np.array([[0, 1], [0, 2], [1, 3], [2, 3]])))
    assert tasks.without_symmetry().before[1, 2]
    unlike = Tasks(np.array([[3, 2, 2]]), closure(3, np.array([[0, 1]])))
    assert not unlike.without_symmetry().before[1, 2] and unlike.without_symmetry().before[2, 1]
