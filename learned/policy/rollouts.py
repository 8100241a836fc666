"""Rollouts: proposals of a policy, repaired and scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from learned.policy.features import OVERFULL, NodeFeatures, busy
from learned.policy.network import Array
from learned.policy.policy import Policy
from partition.arrays import Array32, FloatArray, IntArray
from partition.heuristics.repair import Repair, Repaired
from partition.instance.contract import contract
from partition.instance.instance import Instance
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware

DEAD = 0.0
"""Reward of a row that could not be repaired."""

STEEPNESS = 6
"""Power of a chip's load by which it counts for local credit: the heaviest chips decide the period."""


class Environment:
    """A graph on a package, ready to be played: features, repair and reward. Cheap to send, built where it is used."""

    def __init__(self, graph: Graph, hardware: Hardware) -> None:
        self._prepare(contract(graph, hardware))

    @staticmethod
    def of(instance: Instance) -> Environment:
        """Of an instance that exists already."""
        environment = Environment.__new__(Environment)
        environment._prepare(instance)
        return environment

    def _prepare(self, instance: Instance) -> None:
        self.instance, self.graph, self.hardware = instance, instance.graph, instance.hardware
        self.features = NodeFeatures.of(instance)
        self.repair = Repair(instance)

    @property
    def name(self) -> str:
        """Of model and package."""
        return f"{self.graph.name} on {self.hardware.name}"

    def balanced(self, spread: float) -> FloatArray:
        """(N, C) probabilities around the chip on which an even share of the work puts each node.

        They fall by a factor of e for every ``spread`` chips of distance.
        """
        away = np.arange(self.instance.chips) + 0.5 - self.instance.chips * self.features.position[:, None]
        return np.asarray(np.exp(-np.abs(away) / spread))

    def score(self, repaired: Repaired) -> State:
        """Throughput relative to that of the trivial bound, which no placement exceeds: from 0 to 1."""
        unit = self.instance.unit
        reward = np.where(repaired.valid, unit / np.maximum(repaired.period(), unit), DEAD)
        loads = self.features.model.loads(repaired.assignments)
        return State(repaired.chips, reward, (busy(loads) / unit).clip(max=OVERFULL) ** STEEPNESS)

    def periods(self, state: State) -> FloatArray:
        """(B,) periods of scored rows; infinite where a row could not be repaired."""
        with np.errstate(divide="ignore"):
            return np.asarray(self.instance.unit / state.reward)


@dataclass(frozen=True, eq=False)
class State:
    """Repaired placements of ``B`` rows.

    Attributes
    ----------
    chips : (B, N).
    reward : (B,) from 0 to 1.
    pressure : (B, C) load of every chip and the links beside it, in units of the trivial bound, to a high power.
    """

    chips: IntArray
    reward: FloatArray
    pressure: FloatArray

    FIELDS = ("chips", "reward", "pressure")

    @staticmethod
    def of(arrays: Mapping[str, Array]) -> State:
        """From what :meth:`arrays` gives."""
        reward, pressure = (np.asarray(arrays[name], dtype=np.float64) for name in ("reward", "pressure"))
        return State(np.asarray(arrays["chips"], dtype=np.int64), reward, pressure)

    def arrays(self) -> dict[str, FloatArray | IntArray]:
        """By name."""
        return {name: getattr(self, name) for name in self.FIELDS}

    def take(self, rows: IntArray) -> State:
        """Some of the rows."""
        return State(self.chips[rows], self.reward[rows], self.pressure[rows])

    def best(self, rows: int) -> State:
        """The rows of highest reward."""
        return self.take(np.argsort(-self.reward, kind="stable")[:rows])

    def joined(self, other: State) -> State:
        """The rows of both."""
        return State(*(np.concatenate([getattr(self, f), getattr(other, f)]) for f in self.FIELDS))

    def better(self, other: State) -> State:
        """Row by row whichever has the higher reward, ``other`` where they are equal."""
        mine = self.reward > other.reward
        return State(
            np.where(mine[:, None], self.chips, other.chips),
            np.where(mine, self.reward, other.reward),
            np.where(mine[:, None], self.pressure, other.pressure),
        )


@dataclass(frozen=True, eq=False)
class Rollout:
    """One round of a batch of ``B`` rows.

    Attributes
    ----------
    before : what the policy saw, or None in the first round.
    seen : (B, N, S) its features.
    proposed : (B, N) what it said.
    after : what the repair made of it.
    valid : (B,) whether it needed no repair.
    """

    before: State | None
    seen: Array32
    proposed: IntArray
    after: State

    @property
    def reward(self) -> FloatArray:
        """(B,)."""
        return self.after.reward


def play(
    policy: Policy,
    environment: Environment,
    rows: int,
    rounds: int,
    rng: np.random.Generator,
    *,
    elite: State | None = None,
    fix: bool = False,
) -> list[Rollout]:
    """Rounds of a batch of rollouts: the first sees nothing, later ones the best placement of their row so far.

    Parameters
    ----------
    elite : good placements of ``rows`` rows; the rows go on from the best of these and of the first round's.
    fix : draw a candidate and repair it (FIX), instead of drawing within the repair (SAMPLE).
    """
    features, played = environment.features, []
    before: State | None = None
    for _ in range(rounds):
        seen = features.unseen(rows) if before is None else features.seen(before.chips)
        table = policy.propose(features, seen, None if before is None else before.chips).probabilities()
        if before is None:
            table = table[0]  # all rows alike
        proposed = draw(table, rows, rng)
        repair = environment.repair
        repaired = repair.fix(proposed, rng, table) if fix else repair.sample(table, rows, rng)
        after = environment.score(repaired)
        played.append(Rollout(before, seen, proposed, after))
        if before is not None:
            before = after.better(before)
        else:
            before = after if elite is None else after.joined(elite).best(rows)
    return played


def draw(table: FloatArray, rows: int, rng: np.random.Generator) -> IntArray:
    """(B, N) chips drawn from ``table`` (N, C) or (B, N, C), every node on its own: usually breaks the rules."""
    running = np.cumsum(table, axis=-1)
    level = rng.random((rows, running.shape[-2])) * running[..., -1]
    return np.asarray((running <= level[..., None]).sum(axis=-1).clip(max=running.shape[-1] - 1), dtype=np.int64)


def elite_of(elite: State | None, found: State, rows: int) -> State:
    """The best distinct placements of those known and those found; as many rows as are wanted, repeated if need be."""
    state = found if elite is None else found.joined(elite)
    distinct = state.take(np.sort(np.unique(state.chips, axis=0, return_index=True)[1])).best(rows)
    return distinct.take(np.resize(np.arange(len(distinct.reward)), rows))
