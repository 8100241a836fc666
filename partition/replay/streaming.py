"""What weights that are streamed take at least, in fractions; and what chips can hold of them within a period."""

from __future__ import annotations

from fractions import Fraction

from partition.replay.question import FITS, ReplayQuestion
from partition.replay.units import Units

Amounts = list[Fraction]
Priced = tuple[Amounts, Amounts]
"""What each unit costs, and what each chip can pay."""


def least_spread(question: ReplayQuestion, work: Fraction) -> Fraction:
    """The least period of all weights spread evenly, with the work where streaming takes turns with it; 0 without."""
    rates = [question.dram[k] or Fraction(0) for k in question.of_chip]
    sizes = [_held(question, k) for k in question.of_chip]
    if not question.streams or any(size is None for size in sizes):
        return Fraction(0)
    total = sum(question.weights, Fraction(0)) + sum((size for size, users in question.shared if users), Fraction(0))
    over = max(Fraction(0), total - sum((size for size in sizes if size is not None), Fraction(0)))
    spread = over / sum(rates, Fraction(0))
    return max(spread, (work + over / max(rates)) / question.chips) if question.in_turn else spread


def alone(units: Units) -> list[list[Fraction | None]]:
    """Per kind, the time of each unit with what it has to stream; None where the kind cannot run it."""
    question, weights = units.question, _all_weights(units)
    return [
        [None if time is None else question.work(k, time, held) for time, held in zip(row, weights, strict=True)]
        for k, row in enumerate(units.times)
    ]


def priced(units: Units, kinds: tuple[int, ...], below: Fraction) -> list[Priced]:
    """Weights against what chips can hold within a period, and times with them against what chips can do.

    The second where all chips stream alike, in turn with compute.
    """
    question = units.question
    rooms: Amounts = []
    for k in kinds:
        size, rate = _held(question, k), question.dram[k]
        if size is None:
            return []
        rooms.append(size + (rate or 0) * below)
    if not question.streams:
        return []
    own = [sum((question.weights[v] for v in members), Fraction(0)) for members in units.members]
    found = [(own, rooms)]
    rates = {question.dram[k] for k in kinds}
    rate = rates.pop()
    if question.in_turn and rate is not None and not rates:
        times = [time if time is not None else Fraction(0) for time in units.least_times]
        found.append(
            ([time + held / rate for time, held in zip(times, own, strict=True)], [room / rate for room in rooms])
        )
    return found


def _held(question: ReplayQuestion, kind: int) -> Fraction | None:
    """What a chip holds at most without streaming; the rule *memory* allows for rounding where it does not stream."""
    size = question.sram[kind]
    return size if size is None or question.dram[kind] else size * FITS


def _all_weights(units: Units) -> Amounts:
    """Bytes of the private and shared weights of each unit."""
    question = units.question
    held = [sum((question.weights[v] for v in members), Fraction(0)) for members in units.members]
    for size, users in question.shared:
        for unit in {units.of[v] for v in users}:
            held[unit] += size
    return held
