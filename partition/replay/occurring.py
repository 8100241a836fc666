"""Values that a period can have, in whole numbers: where all times are multiples of a unit, sums of them are too."""

from __future__ import annotations

import math
from fractions import Fraction

from partition.replay.question import ReplayQuestion

DIGITS, SAME = 15, Fraction(8, 10**16)
"""Decimal places that a figure is written in at most, and how far a double is from the decimal it stands for."""

MOST_UNITS, MOST_SUMS = 10**8, 4 * 10**6
"""Units of the longest time at most, and the sums that are listed."""


def rounded_up(question: ReplayQuestion, below: Fraction) -> Fraction | None:
    """The least period of at least ``below`` that can occur; None where times have no common unit, or weights stream.

    Every load is a sum of times and transfer times, each once; a transfer twice where a chip takes turns.
    """
    if question.streams:
        return None
    present = sorted(set(question.of_chip))
    times = [_decimal(list(question.times[k])) for k in present]
    sizes = [tensor.size for tensor in question.tensors]
    bytes_written = _decimal(list(sizes))
    if bytes_written is None or any(row is None for row in times):
        return None
    bandwidth = float(question.link["link_bandwidth"])
    pace = Fraction(0) if math.isinf(bandwidth) else 1 / Fraction(repr(bandwidth))
    moved = [size * pace for size in bytes_written if size is not None]
    rows = [[time for time in row if time is not None] for row in times if row is not None]
    everything = [time for row in [*rows, moved] for time in row if time]
    if not everything:
        return None
    unit = _common(everything)
    if max(everything) / unit > MOST_UNITS:
        return None
    least = math.ceil(below / unit)
    return unit * _next_sum(least, _loads(question, rows, moved, unit))


def _loads(
    question: ReplayQuestion, rows: list[list[Fraction]], moved: list[Fraction], unit: Fraction
) -> list[list[int]]:
    """What loads are sums of, in units: per kind, and of links and ports."""
    transfers = [int(time / unit) for time in moved if time]
    loads = [[int(time / unit) for time in row if time] for row in rows]
    if question.serial:
        loads = [[*row, *transfers, *transfers] for row in loads]
    return [*loads, transfers]


def _next_sum(least: int, loads: list[list[int]]) -> int:
    """The least sum of at least ``least``, by the bits of a whole number; ``least`` itself beyond what is listed."""
    size = min(max((sum(row) for row in loads), default=0), MOST_SUMS) + 1
    if least >= size:
        return least
    mask, found = (1 << size) - 1, 0
    for row in loads:
        sums = 1
        for item in row:
            sums |= (sums << item) & mask
        found |= sums
    above = found >> least
    return least + (above & -above).bit_length() - 1 if above else least


def _decimal(values: list[Fraction | None]) -> list[Fraction | None] | None:
    """The decimals that doubles stand for, all with the same number of places; None if they are not decimals."""
    for places in range(DIGITS + 1):
        power = 10**places
        written = [None if value is None else Fraction(round(value * power), power) for value in values]
        if all(
            value is None or told is None or abs(told - value) <= SAME * value
            for told, value in zip(written, values, strict=True)
        ):
            return written
    return None


def _common(values: list[Fraction]) -> Fraction:
    """The greatest number of which all are multiples."""
    below = math.lcm(*(value.denominator for value in values))
    return Fraction(math.gcd(*(int(value * below) for value in values)), below)
