"""Ways to search for a good placement sample by sample, all with the same repair, so that they can be compared.

A method is called with an environment, a number of samples and a generator of random numbers. Batch by batch it yields
the periods of its samples, in the hardware's unit of time and in the order in which it drew them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from learned.policy.rollouts import STEEPNESS, Environment, State
from partition.arrays import FloatArray, IntArray
from partition.heuristics.slicing import slice_order
from partition.instance.orders import diverse_orders
from partition.problem.placement import Placement

BATCH = 64
"""Rows that random search draws at a time."""

WARM, COLD = 0.1, 0.001
"""Relative worsening that annealing accepts with probability 1/e at the start and at the end (docs/learned.md)."""


def random_search(environment: Environment, samples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """SAMPLE with uniform probabilities: the random search of Xie et al. (MLSys 2022)."""
    uniform = np.ones((environment.instance.nodes, environment.instance.chips))
    return _drawn_from(environment, uniform, samples, rng)


def balanced_random_search(environment: Environment, samples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """SAMPLE around the chip on which an even share of the work would put each node: random search, tuned."""
    return _drawn_from(environment, environment.balanced(TUNED_SPREAD), samples, rng)


TUNED_SPREAD = 0.05
"""Chips within which balanced random search draws; the best of 0.02, 0.05, 0.1, 0.2, 0.3 and 0.5 (docs/learned.md)."""


def _drawn_from(
    environment: Environment, table: FloatArray, samples: int, rng: np.random.Generator
) -> Iterator[FloatArray]:
    for begin in range(0, samples, BATCH):
        yield environment.repair.sample(table, min(BATCH, samples - begin), rng).period()


def annealing(environment: Environment, samples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Simulated annealing (Kirkpatrick et al., Science 1983) from a random placement, cooled geometrically.

    A move takes a node to the next chip together with all that must not stay behind: its descendants on the same
    chip; or to the chip before together with its ancestors on its chip. What still breaks a rule is repaired by FIX.
    The energy is a power mean of the loads rather than the period, which most moves leave as it is.
    """
    instance, repair = environment.instance, environment.repair
    precedence = repair.precedence
    current = environment.score(repair.sample(np.ones((instance.nodes, instance.chips)), 1, rng))
    energy, chips = _energy(current), current.chips[0]
    yield environment.periods(current)
    for step in range(1, samples):
        temperature = WARM * (COLD / WARM) ** (step / samples)
        candidate = moved_along(chips, precedence.ancestors, precedence.descendants, repair.nodes, instance.chips, rng)
        near = np.exp(-2.0 * np.abs(np.arange(instance.chips) - candidate[:, None]))
        repaired = repair.fix(candidate[None], rng, near)
        found = environment.score(repaired)
        yield environment.periods(found)
        after = _energy(found)
        if after <= energy or rng.random() < np.exp((1.0 - after / energy) / temperature):
            chips, energy = found.chips[0], after


def _energy(state: State) -> float:
    """Power mean of the loads; infinite for a row that could not be repaired."""
    return float(np.mean(state.pressure[0]) ** (1.0 / STEEPNESS)) if state.reward[0] > 0 else np.inf


def moved_along(
    chips: IntArray, ancestors: list[int], descendants: list[int], nodes: IntArray, count: int, rng: np.random.Generator
) -> IntArray:
    """A neighbour of ``chips`` (N,)."""
    result = chips.copy()
    v = int(nodes[rng.integers(len(nodes))])
    c = int(chips[v])
    step = 1 if c == 0 or (c + 1 < count and rng.random() < 0.5) else -1
    if not 0 <= c + step < count:
        return result
    bits = (descendants if step == 1 else ancestors)[v] | 1 << v
    together = np.unpackbits(
        np.frombuffer(bits.to_bytes((len(chips) + 7) // 8, "little"), dtype=np.uint8), bitorder="little"
    )[: len(chips)].astype(bool)
    result[together & (chips == c)] = c + step
    return result


def greedy(environment: Environment, samples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """A compiler's heuristic, one sample: in file order, each node where an even share of the work puts its middle."""
    instance = environment.instance
    chips = np.minimum((environment.features.position * instance.chips).astype(np.int64), instance.chips - 1)
    yield environment.repair.fix(chips[None], rng).period()


def slicing(environment: Environment, samples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """The best cuts of up to five topological orders (:mod:`partition.heuristics.slicing`), one sample each."""
    instance = environment.instance
    for _, order in zip(range(min(5, samples)), diverse_orders(instance, rng), strict=False):
        placement = slice_order(instance, order, "direct")
        if placement is not None:
            chips = instance.chip_of_nodes(Placement(placement.assignment))
            yield environment.repair.fix(chips[None], rng).period()
