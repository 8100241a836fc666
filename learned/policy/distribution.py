"""A distribution over chips for any number of them: a logistic distribution along the package, cut into chips.

A node has a location ``m`` and a scale ``s``, in chips; chip ``c`` covers ``c..c + 1`` and the outermost chips what
lies beyond. Two numbers per node say how likely each of 4 or of 36 chips is.
"""

from __future__ import annotations

import numpy as np

from learned.policy.network import Array
from partition.arrays import FloatArray, IntArray


def probabilities(location: Array, log_scale: Array, chips: int) -> FloatArray:
    """(..., C) probability of every chip, for locations and scales of shape (...)."""
    edges = np.arange(1, chips, dtype=np.float64)
    u = (edges - location[..., None]) / np.exp(log_scale)[..., None]
    below = sigmoid(u)
    return np.diff(below, axis=-1, prepend=0.0, append=1.0)


def log_probability(location: Array, log_scale: Array, chip: IntArray, chips: int) -> Array:
    """(...) log-probability of ``chip``, accurate far from the location too."""
    upper, lower, width = _terms(location, log_scale, chip)
    result = np.zeros_like(location)
    result += np.where(chip < chips - 1, _log_sigmoid(upper), 0.0)
    result += np.where(chip > 0, _log_sigmoid(-lower), 0.0)
    # sigma(u) - sigma(l) = sigma(u) sigma(-l) (1 - exp(l - u))
    inside = (chip > 0) & (chip < chips - 1)
    return np.asarray(result + np.where(inside, np.log1p(-np.exp(-width)), 0.0), dtype=location.dtype)


def log_probability_gradient(location: Array, log_scale: Array, chip: IntArray, chips: int) -> tuple[Array, Array]:
    """Derivatives of :func:`log_probability` by location and by log-scale."""
    upper, lower, width = _terms(location, log_scale, chip)
    scale = np.exp(log_scale)
    at_upper = np.where(chip < chips - 1, sigmoid(-upper), 0.0)
    at_lower = np.where(chip > 0, sigmoid(lower), 0.0)
    inside = (chip > 0) & (chip < chips - 1)
    by_location = (at_lower - at_upper) / scale
    by_scale = -upper * at_upper + lower * at_lower - np.where(inside, width / np.expm1(np.minimum(width, 80.0)), 0.0)
    return by_location.astype(location.dtype), by_scale.astype(location.dtype)


def _terms(location: Array, log_scale: Array, chip: IntArray) -> tuple[Array, Array, Array]:
    """Upper and lower edge of the chip in units of the scale around the location, and its width."""
    scale = np.exp(log_scale)
    return (chip + 1 - location) / scale, (chip - location) / scale, 1.0 / scale


def sigmoid(x: Array) -> Array:
    """The logistic function, in the precision of ``x``."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), dtype=x.dtype)


def _log_sigmoid(x: Array) -> Array:
    return np.asarray(np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x))), dtype=x.dtype)
