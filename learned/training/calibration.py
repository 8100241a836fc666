"""Calibration: how often the chip that a policy leaves a node on is that of a proven optimum, on held-out graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from sklearn.isotonic import IsotonicRegression

from learned.policy.policy import Policy
from learned.policy.rollouts import State, elite_of, play
from learned.training.ppo import Settings
from learned.training.runs import Task, environment_of
from partition.arrays import FloatArray
from partition.errors import NoSolutionInTime
from partition.results.result import Result

POINTS = 33
"""Quantiles of what the policy said at which the calibration is kept."""

Solve = Callable[..., Result]
"""The front door :func:`partition.partition`, handed in by whoever stands above it."""


def calibrated(
    policy: Policy, tasks: Sequence[Task], settings: Settings, *, solve: Solve, seconds: float, seed: int
) -> Policy:
    """The policy with its confidence calibrated on the ``tasks`` that ``solve`` proves optimal within ``seconds``."""
    said, right = [], []
    for task in tasks:
        found = said_and_right(policy, task, settings, solve=solve, seconds=seconds, seed=seed)
        if found is not None:
            said.append(found[0])
            right.append(found[1])
    return with_calibration(policy, np.concatenate(said), np.concatenate(right)) if said else policy


def said_and_right(
    policy: Policy, task: Task, settings: Settings, *, solve: Solve, seconds: float, seed: int
) -> tuple[FloatArray, FloatArray] | None:
    """How sure the policy is of each node of its best placement, (N,), and whether that is its chip in a proven
    optimum, (N,). None where nothing was proved.
    """
    environment = environment_of(task)
    try:
        result = solve(environment.graph, environment.hardware, time_limit=seconds, seed=seed)
    except NoSolutionInTime:
        return None
    if result.placement is None or result.status != "optimal":
        return None
    environment.repair.forget_orders()
    rng = np.random.default_rng(seed)
    elite: State | None = None
    for rollout in play(policy, environment, settings.rollouts, 2 * settings.rounds, rng):
        elite = elite_of(elite, rollout.after, settings.rollouts)
    assert elite is not None
    best = elite.best(1).chips
    table = policy.propose(environment.features, environment.features.seen(best), best).probabilities()[0]
    said = table[np.arange(best.shape[1]), best[0]]
    return said, (best[0] == environment.instance.chip_of_nodes(result.placement)).astype(np.float64)


def with_calibration(policy: Policy, said: FloatArray, right: FloatArray) -> Policy:
    """The policy with its confidence calibrated by isotonic regression (Zadrozny & Elkan, KDD 2002).

    Parameters
    ----------
    said : (k,) probabilities that the policy gave.
    right : (k,) 1 where the chip was that of a proven optimum, else 0.
    """
    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(said, right)
    points = np.unique(np.quantile(said, np.linspace(0.0, 1.0, POINTS)))
    return replace(policy, calibration=np.stack([points, model.predict(points)]).astype(np.float32))
