"""Bisection between what is disproved and what is known, for every question that has a threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from milp.tolerances import SPLIT


@dataclass(frozen=True)
class Interval:
    """Where the least value lies.

    Attributes
    ----------
    low : float
        Nothing less is possible.
    high : float
        A value known.
    given_up : bool
        Whether a question remained open, moved neither end (no number lies between them), or was not worth asking.
        Otherwise the interval is narrow enough, or it was time to stop.
    """

    low: float
    high: float
    given_up: bool = False


def middle(low: float, high: float) -> float:
    """Halfway."""
    return (low + high) / 2


def off_the_middle(low: float, high: float) -> float:
    """Near the middle, not on it, where round figures may be attainable."""
    return low + SPLIT * (high - low)


def bisect(
    low: float,
    high: float,
    ask: Callable[[float, float, float], tuple[float, float] | None],
    *,
    stop: Callable[[], bool] | None = None,
    split: Callable[[float, float], float | None] = middle,
    precision: float = 0.0,
    step: float = 0.0,
) -> Interval:
    """Ask about one threshold after the other, each between the ends that the answers leave.

    Parameters
    ----------
    low, high : float
        What is disproved already, and the best value known.
    ask : (threshold, low, high) -> (low, high), or None
        The ends afterwards; None where the question remains open, which ends the bisection.
    stop : -> bool
        Whether it is time to end; never by default.
    split : (low, high) -> threshold, or None
        What to ask about; None where no question is worth asking, which ends the bisection.
    precision : float
        Width of the interval, relative to ``high``, at which to end.
    step : float
        The same in absolute terms, for whole numbers.
    """
    while high - low > max(precision * high, step) and not (stop and stop()):
        threshold = split(low, high)
        ends = None if threshold is None else ask(threshold, low, high)
        if ends is None or ends == (low, high):
            return Interval(low, high, given_up=True)
        low, high = ends
    return Interval(low, high)
