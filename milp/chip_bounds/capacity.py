"""The most compute one chip can hold once its own transfers are counted, and what a chip with given nodes costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from milp.formulation.building_time import leaves_time
from milp.formulation.choices import Choices
from milp.solver.ask import write
from milp.solver.highs import solve
from milp.solver.matrix import COVERED, MatrixModel
from milp.tolerances import BOUND_SAFETY, CHOSEN, ROUNDING
from milp.windows.windows import KEPT_LIMIT, WindowRules, Windows
from partition.arrays import BoolArray, FloatArray, IntArray
from partition.instance.features import ABSORBED, PERIOD_ALONE, PORTS_FOR_ROUTES, Feature, Scope, named
from partition.instance.instance import Instance
from partition.problem.hardware import Hardware
from partition.stopping import Stop

SCOPE = Scope(
    engine="block capacity",
    claims="the most compute of a chip, the least load of a chip with given nodes",
    covers=ABSORBED
    | named(
        "CHAIN RING CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC ANY_ORDER NO_SKIPPING SKIPPING "
        "TRIANGLE LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS RELAYS UNSUPPORTED FREE_TRANSFERS SHARED_WEIGHTS "
        "FREE_EDGES ZERO_TIMES CUTS STREAMING STREAMING_IN_TURN"
    ),
    refuses={
        **PERIOD_ALONE,
        Feature.ROUTES: PORTS_FOR_ROUTES,
        Feature.MIXED_KINDS: "one block stands for every chip",
        Feature.FREE_ORDER: "one block stands for every chip",
    },
)


@dataclass(frozen=True, eq=False)
class Cheapest:
    """What is known of the cheapest block asked for.

    Attributes
    ----------
    bound : lower bound on its load, in units of the instance; infinity if no placement good enough has such a block.
    load : of the cheapest one found; infinity if none is.
    nodes : (N,) what that holds, replicas aside; None if none is found.
    settled : whether more time would tell no more.
    """

    bound: float
    load: float = np.inf
    nodes: BoolArray | None = None
    settled: bool = True


def alone(instance: Instance) -> FloatArray:
    """(N,) what each node costs with a chip to itself, in units of the instance; 0 where it is replicable."""
    sent = np.bincount(instance.source, weights=instance.tau, minlength=instance.nodes)
    tensor = np.repeat(np.arange(instance.tensors), np.diff(instance.reader_ptr))
    got = np.bincount(instance.readers, weights=instance.tau[tensor], minlength=instance.nodes)
    return np.asarray(np.where(instance.replicable, 0.0, instance.fastest + sent + got))


class BlockCapacity:
    """Upper bounds on the compute of a valid block, lower bounds on its load.

    A package of three chips stands for "before", the block, and "after"; only the middle one and its two links are
    limited. It relaxes every chip of the real package, so the bound holds for all of them. Cuts are left out: nodes on
    two chips before the block stand on one.

    Parameters
    ----------
    rules : WindowRules or None
        Of the instance, where somebody has them already.
    """

    def __init__(self, instance: Instance, rules: WindowRules | None = None) -> None:
        hw = instance.hardware
        self.instance, self.rules = instance, rules or WindowRules(instance)
        self.three = replace(instance, hardware=_three_chips(hw), before=np.zeros((0, 2), dtype=np.int64))
        self._model: MatrixModel | None = None
        self._covers = 0.0
        self._known: list[tuple[float, float]] = []

    @staticmethod
    def applies(instance: Instance) -> bool:
        """Every chip is such a block, and what it sends and receives counts for the chip itself.

        A single chip has no others beside it, and may be of a package that three could not have.
        """
        hw = instance.hardware
        return SCOPE.admits(instance.features) and instance.chips > 1 and (hw.serial or not hw.links)

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

    def cheapest(
        self,
        node: int | None,
        *,
        upper: float,
        time_limit: float,
        stop: Stop,
        seed: int = 0,
        crowd: BoolArray | None = None,
        count: int = 0,
    ) -> Cheapest:
        """The cheapest valid block that holds ``node``, if any, and ``count`` or more of the nodes ``crowd`` (N,).

        Its load includes transfers and the links beside it. Only blocks of placements better than ``upper`` (units of
        the instance) are looked at.
        """
        model = self._period_model(upper, stop)
        if model is None:
            return Cheapest(0.0, settled=False)
        y, sign = _held(model)
        of = model.node[y]
        if crowd is not None:
            held = np.zeros(model.columns)
            held[y] = np.where(crowd[of], sign, 0.0)
            model = model.at_least(held, count)
        values = np.full(model.columns, np.nan)
        if node is not None:
            before, after = self.outside(node, upper)
            values[y[before[of]]], values[y[after[of]]] = 1.0, 0.0
            own = y[of == node]
            values[own] = model.chip[own]  # not before the block, and not after it
        fixed = model.reduced(values)
        if fixed is None:
            return Cheapest(np.inf)
        outcome = solve(fixed.capped(upper), time_limit=min(time_limit, stop.remaining), stop=stop, seed=seed)
        if outcome.status == "infeasible":
            return Cheapest(np.inf)
        bound = outcome.bound if np.isfinite(outcome.bound) else 0.0
        if outcome.x is None:
            return Cheapest(bound, settled=False)
        nodes = self._block(model, fixed.full(outcome.x))
        return Cheapest(bound, outcome.objective, nodes, settled=outcome.status == "optimal")

    @cached_property
    def _reach(self) -> BoolArray | None:
        """(N, N) at [v, u] whether u is v or an ancestor of it; None where that is too large."""
        return self.rules.ancestors() if self.instance.nodes <= KEPT_LIMIT else None

    def outside(self, node: int, threshold: float) -> tuple[BoolArray, BoolArray]:
        """(N,) twice: what is before, and what is after every block with ``node`` of a load within the threshold.

        A block that holds two nodes holds all on the paths between them: where those take too long, it holds one.
        """
        inst, reach = self.instance, self._reach
        if reach is None:
            nothing = np.zeros(inst.nodes, dtype=bool)
            return nothing, nothing
        time = np.where(inst.replicable, 0.0, inst.fastest)
        above, below = reach[node], reach[:, node]
        up, down = time[above] @ reach[above], reach[:, below] @ time[below]
        limit = threshold * (1 + ROUNDING)
        return above & (up > limit) & ~inst.replicable, below & (down > limit) & ~inst.replicable

    def _block(self, model: MatrixModel, values: FloatArray) -> BoolArray:
        """(N,) the nodes of the block, from the values of all columns of the model."""
        y, sign = _held(model)
        held = np.bincount(model.node[y], weights=sign * values[model.kept[y]], minlength=self.three.nodes)
        return np.asarray((held > CHOSEN) & ~self.three.replicable)

    def _period_model(self, upper: float, stop: Stop) -> MatrixModel | None:
        """The three-chip model with the period as objective."""
        compiled = self._compiled(upper, stop)
        return None if compiled is None else replace(compiled, cost=np.where(compiled.family == "T", 1.0, 0.0))

    def _compiled(self, threshold: float, stop: Stop) -> MatrixModel | None:
        """The three-chip model with the block's compute as objective (negated: HiGHS minimises).

        None if nothing fits, or if building it would take too much of the time left.
        """
        if self._model is None or not threshold <= self._covers <= COVERED * threshold:
            inst = self.three
            whole = Windows(np.zeros(inst.nodes, dtype=np.int64), np.full(inst.nodes, 2))
            bare = Choices(no_skipping=False, triangle=False)
            if not leaves_time(inst, whole, stop, triangle=bare.triangle):
                return None
            written = write(inst, whole, stop=stop, choices=bare, upper=threshold, limited=(1,))
            if written is None:
                return None
            model = written.model
            y, sign = _held(model)
            cost = np.zeros(model.columns)
            cost[y] = -sign * np.minimum(inst.fastest, threshold)[model.node[y]] / model.scale
            self._model, self._covers = replace(model, cost=cost), threshold
        return self._model


def _held(model: MatrixModel) -> tuple[IntArray, FloatArray]:
    """Columns of a three-chip model, and signs with which those of a node add up to whether the block holds it."""
    y = np.flatnonzero(model.family == "y")
    return y, np.where(model.chip[y] == 1, 1.0, -1.0)


def _three_chips(hw: Hardware) -> Hardware:
    kind = hw.kind_of_chip[0]
    return replace(hw, kind_of_chip=(kind, kind, kind), rules=replace(hw.rules, relays=False, triangle=False))
