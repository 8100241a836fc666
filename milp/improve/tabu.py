"""Tabu search over single nodes and what must move with them, scored in batches by the cost model.

Neighbourhoods of adjacent chips (milp/improve/adjacent_chips.py) lower the heaviest chips one after the other. Where
transfers dominate, whole branches have to change chips and every load is near the top. There a norm of all loads guides
better than their maximum. Every step takes a heavy chip and tries to move each of its nodes to every other chip.
Ancestors or descendants that the order of the chips would forbid to stay go with it. The step takes the best move that
does not undo a recent one (Glover, "Tabu Search, Part I", 1989).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from milp import budget
from milp.tolerances import LOWERED, ROUNDING
from milp.windows.windows import WindowRules
from partition.arrays import BoolArray, FloatArray, IntArray
from partition.instance.instance import Instance
from partition.scoring.cost import CostModel
from partition.stopping import Stop

NODE_LIMIT = 4_000
"""Most nodes for which the order is kept as a matrix."""

NORMS = (8.0, 6.0, 12.0, 20.0)
"""Exponents of the norm of the loads that stands for their maximum; the next one after each restart."""

TENURE = 12
"""Steps for which a node may not return to a chip, and up to as many more at random."""

MOST_TOGETHER = 16
"""Nodes in one move."""

PATIENCE = 300
"""Steps without a better period before the search begins again at the best placement."""


@dataclass
class _Walk:
    """The best homes (N,) so far, their largest load, and whether that is good enough."""

    chip: IntArray
    best: float
    done: bool = False


class Tabu:
    """Searches around placements without replicas and relays, of one instance."""

    def __init__(self, instance: Instance, rules: WindowRules, rng: np.random.Generator) -> None:
        hardware = instance.hardware
        self.instance, self.rng = instance, rng
        self.model = instance.problem.kept(CostModel)
        self.above = rules.ancestors()  # [v, u]: u is v or an ancestor
        self.room = hardware.room * (1 + ROUNDING) if np.isfinite(hardware.room).any() else None
        self.able = instance.supported[hardware.kind_array()]  # (C, N)

    @staticmethod
    def applies(instance: Instance) -> bool:
        """Loads of homes alone must tell the period: no relays that cost something, and no schedules."""
        rules = instance.hardware.rules
        free = not rules.triangle or instance.triangle_by_relays or instance.chips <= 2
        return free and not rules.dynamic_memory and 1 < instance.nodes <= NODE_LIMIT and instance.chips > 1

    def run(self, chip: IntArray, better: Callable[[IntArray], bool], stop: Stop) -> None:
        """Search from the homes of the nodes ``chip`` (N,) until ``stop``.

        ``better`` gets every better one and says whether that is good enough.
        """
        walk = _Walk(chip, float(self._loads(chip[None])[0].max()))
        for turn in itertools.count():
            if walk.done or walk.best <= 0.0 or stop():
                return
            self._walk(walk, NORMS[turn % len(NORMS)], better, stop)

    def _walk(self, walk: _Walk, norm: float, better: Callable[[IntArray], bool], stop: Stop) -> None:
        """Steps from the best homes until nothing better has come for a while."""
        banned_until = np.zeros((self.instance.nodes, self.instance.chips), dtype=np.int64)
        chip, load = walk.chip, self._loads(walk.chip[None])[0]
        step = since = 0
        while since < PATIENCE and walk.best > 0.0 and not (walk.done or stop()):
            step, since = step + 1, since + 1
            heavy = int(self.rng.choice(len(load), p=_weights(load, 2 * norm))) % self.instance.chips
            moved, target = self._moves(chip, heavy)
            stop.charge(budget.TABU_NODE * (1 + len(moved)) * len(chip))
            if not len(moved):
                continue
            candidates = np.where(moved, target[:, None], chip)
            loads = self._loads(candidates)
            highest = loads.max(axis=1)
            score = highest * np.sum((loads / highest[:, None]) ** norm, axis=1) ** (1 / norm)
            banned = (moved & (step < banned_until[:, target].T)).any(axis=1)
            score[banned & (highest >= walk.best * (1 - LOWERED))] = np.inf
            score[self._overfull(candidates)] = np.inf
            chosen = int(score.argmin())
            if not np.isfinite(score[chosen]):
                continue
            nodes = np.flatnonzero(moved[chosen])
            banned_until[nodes, chip[nodes]] = step + TENURE + int(self.rng.integers(TENURE))
            chip, load = candidates[chosen], loads[chosen]
            if highest[chosen] < walk.best * (1 - LOWERED):
                walk.best, walk.chip, since = float(highest[chosen]), chip, 0
                walk.done = better(chip)

    def _moves(self, chip: IntArray, heavy: int) -> tuple[BoolArray, IntArray]:
        """(K, N) nodes that move, and (K,) where to, for every node of a chip and every other chip."""
        own = np.flatnonzero(chip == heavy)
        moved, target = [], []
        for c in range(self.instance.chips):
            if c == heavy or not len(own):
                continue
            along = self.above[:, own].T & (chip < c) if c > heavy else self.above[own] & (chip > c)
            able = ~(along & ~self.able[c]).any(axis=1)
            few = along.sum(axis=1) <= MOST_TOGETHER
            moved.append(along[able & few])
            target.append(np.full(len(moved[-1]), c))
        if not moved:
            return np.zeros((0, len(chip)), dtype=bool), np.zeros(0, dtype=np.int64)
        return np.concatenate(moved), np.concatenate(target)

    def _loads(self, chips: IntArray) -> FloatArray:
        """(B, C + L) loads of the chips, then of the links, which leave the chips of the same number."""
        cost = self.model.loads(chips[:, self.instance.node_of])
        return np.concatenate([cost.load, cost.link], axis=1)

    def _overfull(self, chips: IntArray) -> BoolArray:
        if self.room is None:
            return np.zeros(len(chips), dtype=bool)
        return np.asarray((self.model.sram(chips[:, self.instance.node_of]) > self.room).any(axis=1))


def _weights(load: FloatArray, power: float) -> FloatArray:
    """Probabilities that favour the heaviest."""
    weight = (load / load.max()) ** power
    return np.asarray(weight / weight.sum())
