"""What a placement reaches of goals other than the period, in fractions: a twin of the library's own cost model."""

from __future__ import annotations

from fractions import Fraction

from partition.replay.placement import Placed
from partition.replay.question import ReplayQuestion, exact


def value_of(placed: Placed, goal: str) -> Fraction | None:
    """The value of a goal (bytes, joules, time or chips); None for a goal that is not known here."""
    if goal == "period":
        return placed.period()
    if goal == "chips":
        return Fraction(max(placed.home) + 1)
    if goal == "traffic":
        return traffic(placed)
    if goal == "energy":
        return energy(placed)
    return latency(placed) if goal == "latency" else None


def traffic(placed: Placed) -> Fraction:
    """Bytes times links crossed; bytes received where there are no links."""
    q, total = placed.question, Fraction(0)
    for t, chips in placed.receivers.items():
        tensor = q.tensors[t]
        times = len(placed.crossed(placed.home[tensor.producer], chips)) if q.in_line or q.routed else len(chips)
        total += tensor.size * times
    return total


def energy(placed: Placed) -> Fraction:
    """Joules of all that runs, and of what crosses links."""
    q = placed.question
    joules = sum((q.joules[placed.kind[c]][v] for v, chips in enumerate(placed.instances) for c in chips), Fraction(0))
    return joules + energy_of_a_byte(q) * traffic(placed)


def energy_of_a_byte(question: ReplayQuestion) -> Fraction:
    """Joules for a byte over a link."""
    return Fraction(0) if question.topology == "memory" else exact(question.link.get("link_energy_j_per_byte", 0.0))


def hop_times(question: ReplayQuestion, distance: int) -> Fraction:
    """Latency of the links between two stages so far apart in the order, where tensors move forward alone."""
    return exact(question.link.get("link_latency_s", 0.0)) * (distance if question.in_line else 1)


def latency(placed: Placed) -> Fraction | None:
    """The longest path through the chips; None where they form a circle, or tensors take routes."""
    q = placed.question
    edges = {(source, chip) for (_, chip), (source, _) in placed.received.items()}
    if q.routed or any(b < a for a, b in edges):
        return None
    busy = [sum(parts, Fraction(0)) for parts in placed.spent]
    end = list(busy)
    for a, b in sorted(edges):
        end[b] = max(end[b], end[a] + hop_times(q, b - a) + busy[b])
    return max(end)
