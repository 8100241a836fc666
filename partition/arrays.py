"""Types of arrays, and array operations used all over, with the types that numpy's own stubs leave open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Array32 = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def frozen(values: object, dtype: type) -> NDArray[Any]:
    """A read-only copy."""
    array: NDArray[Any] = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array


def csr(
    rows: int, row_of: Sequence[int] | NDArray[np.integer], column: Sequence[int] | NDArray[np.integer]
) -> tuple[IntArray, IntArray]:
    """Sorted, duplicate-free CSR of (row, column) pairs: (rows + 1,) pointers and the columns."""
    pairs = np.unique(np.array([row_of, column], dtype=np.int64).reshape(2, -1), axis=1)
    ptr = np.searchsorted(pairs[0], np.arange(rows + 1))
    return ptr.astype(np.int64), pairs[1]


def sums(slot: NDArray[np.integer], amounts: NDArray[np.floating], size: int) -> FloatArray:
    """(size,) sum of the ``amounts`` that fall into each slot."""
    return np.asarray(np.bincount(slot, weights=amounts, minlength=size), dtype=np.float64)


def runs(first: IntArray, size: IntArray) -> IntArray:
    """``first[i], first[i] + 1, ...``, ``size[i]`` of them, one run after the other."""
    before = np.cumsum(size) - size
    return np.asarray(np.repeat(first - before, size) + np.arange(int(size.sum())))


def ranks(group: IntArray) -> IntArray:
    """(n,) place of each entry among those of its group, from 0; groups are whole numbers, equal ones together."""
    begins = np.flatnonzero(np.diff(group, prepend=-1))
    return np.arange(len(group)) - np.repeat(begins, np.diff(np.append(begins, len(group))))


def any_of(values: BoolArray, axis: int | tuple[int, ...]) -> BoolArray:
    """Whether any value along an axis is true."""
    return np.asarray(values.any(axis=axis), dtype=np.bool_)
