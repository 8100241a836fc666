"""Exploring one graph with a policy, which may learn on the way: the samples of training and of fine-tuning."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from learned.policy.network import Adam
from learned.policy.policy import Policy
from learned.policy.rollouts import Environment, State, elite_of, play
from learned.training.ppo import Settings, update
from partition.arrays import FloatArray

Method = Callable[[Environment, int, np.random.Generator], Iterator[FloatArray]]
"""From an environment, a number of samples and random numbers to the periods of the samples, batch by batch."""


def policy_search(policy: Policy, settings: Settings, *, learn: bool) -> Method:
    """Rollouts of a policy, each from the best of its row so far; with ``learn`` it is trained on them as they come."""

    def method(environment: Environment, samples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
        return explore(policy.copy(), environment, samples, rng, settings, learn=learn)

    return method


def explore(
    policy: Policy,
    environment: Environment,
    samples: int,
    rng: np.random.Generator,
    settings: Settings,
    *,
    learn: bool,
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
        if learn:
            adam.rate = settings.rate * max(0.0, 1.0 - drawn / samples)
            update(policy, adam, [(environment, played)], settings, settings.entropy, rng)
