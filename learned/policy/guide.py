"""A policy as adviser of the solver: placements to start from, and which nodes to leave free."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from learned.policy.features import NodeFeatures
from learned.policy.policy import Policy
from learned.policy.rollouts import Environment, State, elite_of, play
from partition.arrays import FloatArray, IntArray
from partition.heuristics.slicing import Mode, slice_order, slicing_work
from partition.instance.instance import Instance
from partition.problem.placement import Placement
from partition.stopping import Stop

ROWS, ROUNDS, TURNS = 16, 5, 3
"""Rows and rounds of one turn of rollouts, and turns at most."""

SLICED = 3
"""Elite placements per turn whose order is sliced."""


class PolicyGuide:
    """A policy that advises the search (:class:`milp.state.advice.Advice`).

    What it needs of an instance is computed when first asked.
    """

    def __init__(self, policy: Policy, instance: Instance, seed: int = 0) -> None:
        self.policy, self.instance = policy, instance
        self.rng = np.random.default_rng(seed)

    @cached_property
    def _environment(self) -> Environment:
        return Environment.of(self.instance)

    @property
    def _features(self) -> NodeFeatures:
        return self._environment.features

    def placements(self, best: Placement | None, stop: Stop) -> Iterator[Placement]:
        """The elite of a few rounds of samples, and the best cuts of the orders that they stand for.

        Sorting nodes by chip turns a placement into a topological order; slicing that order never gives a worse
        placement and often a much better one.
        """
        environment = self._environment
        elite: State | None = None
        if best is not None:
            chips = self.instance.chip_of_nodes(best)
            elite = environment.score(environment.repair.fix(chips[None], self.rng))
            elite = elite.take(np.zeros(ROWS, dtype=np.int64))
        for _ in range(TURNS):
            if stop():
                return
            for rollout in play(self.policy, environment, ROWS, ROUNDS, self.rng, elite=elite):
                elite = elite_of(elite, rollout.after, ROWS)
            assert elite is not None
            for row in range(min(SLICED, ROWS)):
                if stop():
                    return
                yield Placement(elite.chips[row][self.instance.node_of])
                order = np.lexsort((np.arange(self.instance.nodes), elite.chips[row]))
                for mode in self._modes:
                    stop.charge(slicing_work(self.instance))
                    sliced = slice_order(self.instance, order, mode)
                    if sliced is not None:
                        yield sliced

    @property
    def _modes(self) -> tuple[Mode, ...]:
        if self._environment.repair.by_relays:
            return ("direct",)
        return ("relayed",) if self.instance.hardware.relays_allowed else ("neighbours",)

    def doubt(self, chip: IntArray) -> FloatArray:
        """(N,) one minus the calibrated probability with which the policy leaves each node where it is."""
        seen = self._features.seen(chip[None])
        table = self.policy.propose(self._features, seen, chip[None]).probabilities()[0]
        return np.asarray(1.0 - self.policy.confidence(table[np.arange(len(chip)), chip]))
