"""Policy-gradient training (PPO: Schulman et al., 2017, arXiv 1707.06347), from scratch, over many graphs, or on one.

One iteration plays a batch of rollouts on each of a few graphs and compares rewards within graph and round. Then it
follows the clipped gradient for a few epochs. As in Xie et al. (MLSys 2022) the reward is that of the repaired
placement, and every node is a decision. The repaired placement's chips get the credit (mode SAMPLE), or the proposed
ones (mode FIX).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed

from learned.policy.distribution import log_probability, log_probability_gradient
from learned.policy.network import Adam, Array, Parameters, clipped
from learned.policy.policy import Policy, Proposal
from learned.policy.rollouts import Environment, Rollout
from partition.arguments import MOST_INPUTS, number, whole
from partition.arrays import FloatArray

LEAST_SPREAD = 1e-3
"""Added to standard deviations, so that noise is not blown up once all rewards are alike."""


@dataclass(frozen=True)
class Settings:
    """Everything that can be set, in one place.

    Attributes
    ----------
    rollouts : rows per graph and round.
    rounds : proposals per rollout, each scored.
    graphs : per iteration.
    epochs : passes over an iteration's rollouts.
    minibatches : steps per pass.
    rate : of Adam.
    clip : of the ratio.
    entropy : weight of the entropy bonus, falling to 0 over the run.
    credit : ``"repaired"`` (SAMPLE) or ``"proposed"`` (FIX).
    local : share of the local part of the advantage.
    negative : weight of negative advantages; a repaired row lies far
        from the distribution, and pushing away from it at full weight is what makes training collapse.
    """

    rollouts: int = 20
    rounds: int = 3
    graphs: int = 4
    epochs: int = 4
    minibatches: int = 4
    rate: float = 1e-3
    clip: float = 0.2
    entropy: float = 1e-3
    credit: str = "repaired"
    local: float = 0.5
    negative: float = 0.3

    def __post_init__(self) -> None:
        for name in ("rollouts", "rounds", "graphs", "epochs", "minibatches"):
            whole(name, getattr(self, name), least=1, most=MOST_INPUTS)
        number("rate", self.rate, above=0.0)
        number("clip", self.clip, above=0.0)


def loss_gradient(
    policy: Policy,
    environment: Environment,
    rollout: Rollout,
    advantage: FloatArray,
    old: Array,
    rows: np.ndarray,
    settings: Settings,
    entropy: float,
) -> tuple[float, Parameters]:
    """Loss and its gradient over some rows of a rollout: minus the clipped surrogate, minus the entropy bonus.

    Parameters
    ----------
    advantage, old : (B, N) log-probabilities when the rollout was played.
    """
    proposal, chips = _again(policy, environment, rollout, rows, settings)
    args = proposal.location, proposal.log_scale, chips, environment.instance.chips
    ratio = np.exp(np.clip(log_probability(*args) - old[rows], -10.0, 10.0))
    gain = advantage[rows].astype(ratio.dtype)
    held = np.clip(ratio, 1 - settings.clip, 1 + settings.clip) * gain
    count = ratio.size
    loss = -float(np.minimum(ratio * gain, held).mean()) - entropy * float(proposal.log_scale.mean())
    active = np.where(ratio * gain <= held, ratio * gain, 0.0)  # the clipped side has no slope
    by_location, by_scale = log_probability_gradient(*args)
    # A logistic distribution has differential entropy log s + 2.
    gradient = policy.gradient(
        proposal, -(active * by_location) / count, -(active * by_scale) / count - entropy / count
    )
    return loss, gradient


def _again(
    policy: Policy, environment: Environment, rollout: Rollout, rows: np.ndarray, settings: Settings
) -> tuple[Proposal, np.ndarray]:
    features = environment.features
    if rollout.before is None:
        proposal = policy.propose(features, features.unseen(len(rows)), None)
    else:
        previous = rollout.before.chips[rows]
        proposal = policy.propose(features, rollout.seen[rows], previous)
    return proposal, (rollout.after.chips if settings.credit == "repaired" else rollout.proposed)[rows]


def _log_probability(policy: Policy, environment: Environment, rollout: Rollout, settings: Settings) -> Array:
    proposal, chips = _again(policy, environment, rollout, np.arange(len(rollout.reward)), settings)
    return log_probability(proposal.location, proposal.log_scale, chips, environment.instance.chips)


def advantages(environment: Environment, rollout: Rollout, settings: Settings) -> FloatArray:
    """(B, N) how much better than expected each decision was.

    A global part, alike for all nodes of a row: the reward, or in later rounds what it gained, against the rest of the
    batch. And a local part, because few chips decide the period. It says how the load on the chips that the node left
    and came to has changed. In the first round it says how loaded its chip is, compared with its chips in the other
    rows.
    """
    gain = rollout.reward if rollout.before is None else rollout.reward - rollout.before.reward
    shared = (gain - gain.mean()) / (gain.std() + LEAST_SPREAD)
    local = _local(rollout)
    spread = np.sqrt(np.mean(local**2)) + LEAST_SPREAD
    mixed = (1 - settings.local) * shared[:, None] + settings.local * np.clip(local / spread, -3.0, 3.0)
    return np.asarray(np.where(mixed > 0, mixed, settings.negative * mixed))


def _local(rollout: Rollout) -> FloatArray:
    """(B, N) minus the change of :attr:`State.pressure` around each node."""
    row = np.arange(len(rollout.reward))[:, None]
    now, chips = rollout.after.pressure, rollout.after.chips
    if rollout.before is None:
        here = now[row, chips]
        return np.asarray(here.mean(axis=0) - here)
    before, previous = rollout.before.pressure, rollout.before.chips
    change = now - before
    return np.where(chips != previous, -(change[row, chips] + change[row, previous]), 0.0)


def update(
    policy: Policy,
    adam: Adam,
    played: Sequence[tuple[Environment, list[Rollout]]],
    settings: Settings,
    entropy: float,
    rng: np.random.Generator,
    *,
    jobs: int = 1,
) -> None:
    """Change the policy by the rollouts of one iteration, in place; ``jobs`` threads, with the same result for any."""
    batches = []
    for environment, rounds in played:
        for rollout in rounds:
            old = _log_probability(policy, environment, rollout, settings)
            batches.append((environment, rollout, advantages(environment, rollout, settings), old))
    for _ in range(settings.epochs):
        parts = [np.array_split(rng.permutation(len(b[1].reward)), settings.minibatches) for b in batches]
        for step in range(settings.minibatches):
            calls = [
                delayed(loss_gradient)(policy, environment, rollout, advantage, old, part[step], settings, entropy)
                for (environment, rollout, advantage, old), part in zip(batches, parts, strict=True)
                if len(part[step])
            ]
            if not calls:  # fewer rollouts than steps
                continue
            gradients = [gradient for _, gradient in Parallel(n_jobs=jobs, backend="threading")(calls)]
            gradients = [clipped(gradient, 1.0) for gradient in gradients]  # no graph drowns the others
            mean = {name: np.mean([g[name] for g in gradients], axis=0) for name in policy.parameters}
            adam.step(policy.parameters, mean)
