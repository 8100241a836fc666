"""Bisection between a bound and the best period known."""

from __future__ import annotations

from collections.abc import Callable

from partition.stopping import Stop


def bisect(
    low: float,
    high: float,
    disproved: Callable[[float], bool],
    *,
    precision: float,
    stop: Stop,
    split: float | None = None,
) -> float:
    """The largest threshold that was disproved, to a relative precision of the interval left.

    Parameters
    ----------
    low, high : float
        What is disproved already, and the best period known.
    disproved : threshold -> bool
        Whether no placement has a period within it; a no is no proof.
    split : float, optional
        Where the interval is split; in the middle by default.
    """
    while high - low > precision * high and not stop():
        middle = (low + high) / 2 if split is None else low + split * (high - low)
        if disproved(middle):
            low = middle
        else:
            high = middle
    return low
