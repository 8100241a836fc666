"""The most compute that one chip can hold within a threshold once its own transfers are counted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from milp.formulation import Choices, ImpossibleRow, build
from milp.highs import COVERED, MatrixModel, compile_model, solve
from milp.incumbent import BOUND_SAFETY
from milp.windows import Windows
from partition.graph import BoolArray, FloatArray
from partition.hardware import Hardware
from partition.instance import Instance
from partition.stopping import Stop

MOST_IN_CROWD = 100
"""Nodes on one chip up to which crowds are looked at; of more, the even share of the work is as good a bound."""


@dataclass(frozen=True, eq=False)
class Crowd:
    """(N,) nodes of which some chip must hold ``count``; the least ``work`` of so many, in units of the instance."""

    nodes: BoolArray
    count: int
    work: float


def heaviest_crowd(instance: Instance) -> Crowd | None:
    """The crowd of most work, by the pigeonhole principle; None if there are no more nodes than chips."""
    chips = instance.chips
    order = np.argsort(-np.where(instance.replicable, -1.0, instance.fastest), kind="stable")
    order = order[: int((~instance.replicable).sum())]
    work = instance.fastest[order]
    best: tuple[int, int, float] | None = None
    for others in range(1, min(MOST_IN_CROWD, (len(order) - 1) // chips + 1)):
        size = int(np.searchsorted(-work, -work[others * chips], side="right"))  # all that take as long count as well
        count = -(-size // chips)
        least = float(work[size - count : size].sum())
        if best is None or least > best[2]:
            best = size, count, least
    if best is None:
        return None
    size, count, least = best
    crowd = order[:size]
    crowd = crowd[np.argsort(-alone(instance)[crowd], kind="stable")]
    nodes = np.zeros(instance.nodes, dtype=bool)
    nodes[crowd[: (count - 1) * chips + 1]] = True  # enough of them, those that cost most with their transfers
    return Crowd(nodes, count, least)


def alone(instance: Instance) -> FloatArray:
    """(N,) what each node costs with a chip to itself, in units of the instance; 0 where it is replicable."""
    sent = np.bincount(instance.source, weights=instance.tau, minlength=instance.nodes)
    tensor = np.repeat(np.arange(instance.tensors), np.diff(instance.reader_ptr))
    got = np.bincount(instance.readers, weights=instance.tau[tensor], minlength=instance.nodes)
    return np.asarray(np.where(instance.replicable, 0.0, instance.fastest + sent + got))


class BlockCapacity:
    """Upper bounds on the compute of a valid block.

    A package of three chips stands for "before", the block, and "after"; only the middle one and its two links are
    limited. It relaxes every chip of the real package, so the bound holds for all of them.
    """

    def __init__(self, instance: Instance) -> None:
        hw = instance.hardware
        self.instance = instance
        self.three = replace(instance, hardware=_three_chips(hw))
        self._model: MatrixModel | None = None
        self._covers = 0.0
        self._known: list[tuple[float, float]] = []

    def most_work(self, threshold: float, *, time_limit: float, stop: Stop) -> float:
        """Upper bound on one block's compute within ``threshold``, both in units of the instance."""
        smaller = [work for known, work in self._known if known >= threshold]
        at_most = min([threshold, *smaller])
        model = self._compiled(threshold, stop)
        if model is None:
            return at_most
        capped = model.capped(threshold)
        outcome = solve(capped, time_limit=min(time_limit, stop.remaining), stop=stop)
        if outcome.status == "infeasible":
            return 0.0
        if np.isfinite(outcome.bound):
            at_most = min(at_most, -outcome.bound + BOUND_SAFETY * threshold)
        self._known.append((threshold, at_most))
        return at_most

    def least_load(self, node: int, *, upper: float, time_limit: float, stop: Stop, seed: int = 0) -> float:
        """Lower bound on the load of any valid block that holds ``node``, transfers and links beside it included.

        It bounds the period of every placement better than ``upper`` (units of the instance).
        """
        model = self._period_model(upper, stop)
        if model is None:
            return 0.0
        values = np.full(model.columns, np.nan)
        own = (model.family == "y") & (model.node == node)
        values[own] = model.chip[own]  # not before the block, and not after it
        fixed = model.reduced(values)
        if fixed is None:
            return upper
        return _least(fixed, upper, time_limit, stop, seed)[0]

    def crowded_load(
        self, crowd: BoolArray, count: int, *, upper: float, time_limit: float, stop: Stop, seed: int = 0
    ) -> tuple[float, bool]:
        """Lower bound on the load of any valid block that holds ``count`` or more of the nodes ``crowd`` (N,).

        Where there are more than ``(count - 1) * chips`` of them, some chip must, so it bounds the period of every
        placement better than ``upper`` (units of the instance).

        Returns
        -------
        The bound, and whether more time could raise it.
        """
        model = self._period_model(upper, stop)
        if model is None:
            return 0.0, False
        inside = (model.family == "y") & (model.chip <= 1)
        inside[inside] = crowd[model.node[inside]]
        crowded = model.at_least(np.where(inside, np.where(model.chip == 1, 1.0, -1.0), 0.0), count)
        return _least(crowded, upper, time_limit, stop, seed)

    def _period_model(self, upper: float, stop: Stop) -> MatrixModel | None:
        """The three-chip model with the period as objective."""
        compiled = self._compiled(upper, stop)
        return None if compiled is None else replace(compiled, cost=np.where(compiled.family == "T", 1.0, 0.0))

    def _compiled(self, threshold: float, stop: Stop) -> MatrixModel | None:
        """The three-chip model with the block's compute as objective (negated: HiGHS minimises)."""
        if self._model is None or not threshold <= self._covers <= COVERED * threshold:
            inst = self.three
            whole = Windows(np.zeros(inst.nodes, dtype=np.int64), np.full(inst.nodes, 2))
            bare = Choices(no_skipping=False, triangle=False)
            try:
                pyomo_model = build(inst, whole, choices=bare, upper=threshold, limited=(1,))
            except ImpossibleRow:
                return None
            model = compile_model(pyomo_model, stop)
            y = model.family == "y"
            cost = np.zeros(model.columns)
            sign = np.where(model.chip[y] == 1, -1.0, 1.0)
            cost[y] = sign * np.minimum(inst.fastest, threshold)[model.node[y]] / model.scale
            self._model, self._covers = replace(model, cost=cost), threshold
        return self._model


def _least(model: MatrixModel, upper: float, time_limit: float, stop: Stop, seed: int) -> tuple[float, bool]:
    """Lower bound on the period of a model, no better than ``upper``, and whether more time could raise it."""
    outcome = solve(model.capped(upper), time_limit=min(time_limit, stop.remaining), stop=stop, seed=seed)
    if outcome.status == "infeasible":
        return upper, False
    return min(outcome.bound, upper) if np.isfinite(outcome.bound) else 0.0, outcome.status != "optimal"


def _three_chips(hw: Hardware) -> Hardware:
    kind = hw.kind_of_chip[0]
    return replace(hw, kind_of_chip=(kind, kind, kind), rules=replace(hw.rules, relays=False, triangle=False))
