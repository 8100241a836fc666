"""Array operations that are used all over."""

from __future__ import annotations

import numpy as np

from partition.arrays import csr, runs, sums


def test_runs_count_up_from_each_first_number() -> None:
    assert runs(np.array([5, 7, 0]), np.array([2, 0, 3])).tolist() == [5, 6, 0, 1, 2]


def test_sums_have_a_slot_for_each_number_up_to_the_size() -> None:
    assert sums(np.array([2, 0, 2]), np.array([1.0, 2.0, 4.0]), 4).tolist() == [2.0, 0.0, 5.0, 0.0]


def test_pairs_are_sorted_by_row_and_none_is_there_twice() -> None:
    ptr, columns = csr(3, [2, 0, 2, 2], [1, 4, 0, 1])
    assert (ptr.tolist(), columns.tolist()) == ([0, 1, 1, 3], [4, 0, 1])
