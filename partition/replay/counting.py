"""Bounds by counting, in fractions: work over chips, the largest unit, pigeonholes, and weights that fit nowhere."""

from __future__ import annotations

from fractions import Fraction

from partition.replay.question import FITS, ReplayQuestion
from partition.replay.streaming import alone, least_spread
from partition.replay.units import Units


def least_period(units: Units) -> Fraction | None:
    """No placement has a smaller period than this; None if some unit runs nowhere."""
    least = _least_of_times(units)
    if least is None or not units.question.streams:
        return least
    present = sorted(set(units.question.of_chip))
    columns = zip(*([row for k, row in enumerate(alone(units)) if k in present]), strict=True)
    longest = [min(time for time in column if time is not None) for column in columns]
    work = sum((time for time in units.least_times if time is not None), Fraction(0))
    found: Fraction = max([least, least_spread(units.question, work), *longest])
    return found


def _least_of_times(units: Units) -> Fraction | None:
    """The same by times alone."""
    chips = units.question.chips
    times: list[Fraction] = []
    for time in units.least_times:
        if time is None:
            return None
        times.append(time)
    times.sort()
    if not times:
        return Fraction(0)
    best = max(sum(times, Fraction(0)) / chips, times[-1])
    # Of m C + 1 units some chip holds m + 1, which take as long as the m + 1 quickest of them.
    for m in range(1, (len(times) - 1) // chips + 1):
        crowd = times[-(m * chips + 1) :]
        best = max(best, sum(crowd[: m + 1], Fraction(0)))
    return best


def fits_nowhere(question: ReplayQuestion, units: Units) -> bool:
    """Whether some unit runs on no kind, or its weights (or all of them) are more than there is room for."""
    if any(time is None for time in units.least_times):
        return True
    room = [question.room(k) for k in question.of_chip]
    if any(size is None for size in room):
        return False
    sizes = [size for size in room if size is not None]
    total = sum(question.least) + sum(size for size, users in question.least_shared if users)
    if total > sum(sizes) * FITS:
        return True
    need = [sum((question.least[v] for v in members), Fraction(0)) for members in units.members]
    for size, users in question.least_shared:
        for unit in {units.of[v] for v in users}:
            need[unit] += size
    return max(need, default=Fraction(0)) > max(sizes) * FITS
