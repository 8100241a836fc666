"""Exploring one graph with a policy, which may learn on the way: the samples of training and of fine-tuning."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from learned.policy.network import Adam
from learned.policy.policy import Policy
from learned.policy.rollouts import Environment, State, elite_of, play
from learned.training.ppo import Settings, update
from partition.arrays import FloatArray
from partition.heuristics.slicing import slice_order
from partition.problem.placement import Placement

Method = Callable[[Environment, int, np.random.Generator], Iterator[FloatArray]]
"""From an environment, a number of samples and random numbers to the periods of the samples, batch by batch."""


def policy_search(policy: Policy, settings: Settings, *, learn: bool, sliced: bool = False) -> Method:
    """Rollouts of a policy, each from the best of its row so far.

    Parameters
    ----------
    learn : train the policy on them as they come.
    sliced : after each iteration, cut the order that the best placement stands for anew; one more sample.
    """

    def method(environment: Environment, samples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
        return explore(policy.copy(), environment, samples, rng, settings, learn=learn, sliced=sliced)

    return method


def explore(
    policy: Policy,
    environment: Environment,
    samples: int,
    rng: np.random.Generator,
    settings: Settings,
    *,
    learn: bool,
    sliced: bool = False,
) -> Iterator[FloatArray]:
    """See :func:`policy_search`; the policy is changed in place where it learns.

    The best placements so far are kept, and the later rounds of every iteration go on from them.
    """
    adam = Adam(rate=settings.rate)
    rows = settings.rollouts
    elite: State | None = None
    drawn = 0
    while drawn < samples:
        rounds = min(settings.rounds, -(-(samples - drawn) // rows))
        played = play(policy, environment, rows, rounds, rng, elite=elite, fix=settings.credit == "proposed")
        for rollout in played:
            yield environment.periods(rollout.after)[: samples - drawn]
            drawn += rows
            elite = elite_of(elite, rollout.after, rows)
        if sliced and elite is not None and elite.reward[0] > 0 and drawn < samples:
            cut = _cut_anew(environment, elite, rng)
            yield environment.periods(cut)
            drawn += 1
            elite = elite_of(elite, cut, rows)
        if learn:
            adam.rate = settings.rate * max(0.0, 1.0 - drawn / samples)
            update(policy, adam, [(environment, played)], settings, settings.entropy, rng)


def _cut_anew(environment: Environment, elite: State, rng: np.random.Generator) -> State:
    """The best cuts of the order in which the best placement has the nodes; itself where there are none."""
    instance, best = environment.instance, elite.chips[0]
    placement = slice_order(instance, np.lexsort((np.arange(instance.nodes), best)), "direct")
    chips = best if placement is None else instance.chip_of_nodes(Placement(placement.assignment))
    return environment.score(environment.repair.fix(chips[None], rng))
