"""Array operations used all over, with the types that numpy's own stubs leave open."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from partition.problem.graph import BoolArray, FloatArray, IntArray


def sums(slot: NDArray[np.integer], amounts: NDArray[np.floating], size: int) -> FloatArray:
    """(size,) sum of the ``amounts`` that fall into each slot."""
    return np.asarray(np.bincount(slot, weights=amounts, minlength=size), dtype=np.float64)


def runs(first: IntArray, size: IntArray) -> IntArray:
    """``first[i], first[i] + 1, ...``, ``size[i]`` of them, one run after the other."""
    before = np.cumsum(size) - size
    return np.asarray(np.repeat(first - before, size) + np.arange(int(size.sum())))


def any_of(values: BoolArray, axis: int | tuple[int, ...]) -> BoolArray:
    """Whether any value along an axis is true."""
    return np.asarray(values.any(axis=axis), dtype=np.bool_)
