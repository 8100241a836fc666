"""Rows of states found by name."""

from __future__ import annotations

import numpy as np

from milp.search.downsets.states import Index


def test_rows_are_found_by_name_and_names_that_nobody_has_are_not():
    names = np.array([3, 1 << 63, 7, 3], np.uint64)
    place, row = Index(names).find(np.array([5, 7, 3, 1 << 63], np.uint64))
    assert (place.tolist(), row.tolist()) == ([1, 2, 3], [2, 0, 1])
