"""Names of 64 random bits: what is alike has one name, and what differs has another but for one case in 2^64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from milp.tolerances import TINIEST
from partition.arrays import FloatArray, IntArray

RandomNames = NDArray[np.uint64]

SCATTER = np.uint64(0x9E3779B97F4A7C15)
"""Odd factor that makes one name of several."""

ALIKE = 1e9
"""Steps from nothing to the largest of some amounts; smaller differences are rounding."""


def mixed(x: RandomNames) -> RandomNames:
    """A permutation of 64 bits that looks random (splitmix64)."""
    x = x + SCATTER
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def names_of_numbers(numbers: IntArray) -> RandomNames:
    """(K,) a name for each number."""
    return mixed(numbers.astype(np.uint64) * SCATTER)


def names_of_amounts(amounts: FloatArray) -> RandomNames:
    """(K,) a name for each amount, the same for amounts that differ by rounding only."""
    largest = max(float(np.where(np.isfinite(amounts), amounts, 0.0).max(initial=0.0)), TINIEST)
    return mixed(np.round(np.clip(amounts / largest, -2.0, 2.0) * ALIKE).astype(np.int64).view(np.uint64))
