"""What numbers a caller may give: one check for the functions of the library and the options of the command line."""

from __future__ import annotations

import math
from numbers import Integral, Real

from partition.errors import InvalidInput
from partition.text import shown

MOST_PROCESSES = 1024
"""That may work side by side."""

MOST_INPUTS = 10_000_000
"""Of a stream, a draw or a run of training: what is kept of each must fit in memory."""


def whole(name: str, value: object, *, least: int = 0, most: int | None = None) -> int:
    """The value as a whole number from ``least`` up (to ``most``).

    Raises
    ------
    InvalidInput : it is no whole number, or outside.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not _within(float(value), least, most):
        end = "" if most is None else f" to {most}"
        raise InvalidInput(f"{name} is {shown(value)}; give a whole number from {least}{end}")
    return int(value)


def number(name: str, value: object, unit: str = "", *, above: float | None = None, least: float = 0.0) -> float:
    """The value as a finite number: greater than ``above`` where that is given, otherwise from ``least`` up.

    Raises
    ------
    InvalidInput : it is no number, not finite, or too small.
    """
    real = isinstance(value, Real) and not isinstance(value, bool)
    if not real or not math.isfinite(value) or (value <= above if above is not None else value < least):  # type: ignore[arg-type, operator]
        limit = f"from {least:g}" if above is None else f"greater than {above:g}"
        raise InvalidInput(f"{name} is {shown(value)}; give a number{unit and f' of {unit}'} {limit}")
    return float(value)  # type: ignore[arg-type]


def _within(value: float, least: float, most: float | None) -> bool:
    return value >= least and (most is None or value <= most)
