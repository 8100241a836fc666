"""Goals other than the period: least traffic, energy, latency or number of chips, within a limit on the period.

Each is a linear objective over the one formulation, within the windows of the period allowed. Several goals in a row
are lexicographic: what an earlier goal reached becomes a row of the next model.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from milp import budget
from milp.formulation.choices import Goal, goal_unit
from milp.formulation.memory_cuts import LEARNT, MemoryCuts
from milp.search.period import search
from milp.solver.ask import affordable, write
from milp.state.incumbent import Incumbent
from milp.state.run import Run
from milp.tolerances import BOUND_SAFETY, MARGIN, ROUNDING
from milp.windows.windows import WindowRules, Windows, propagate
from partition.errors import RefutedBound
from partition.heuristics.completion import close_gaps, satisfy_triangle
from partition.instance.contract import contract
from partition.instance.features import ABSORBED, Feature, Scope, named
from partition.instance.instance import Instance
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.scoring.cost import CostModel
from partition.scoring.goals import Reached, reached_by, value_of
from partition.scoring.rules import check
from partition.stopping import Stop

SCOPE = Scope(
    engine="goals",
    claims="the least value of a goal within a period",
    covers=ABSORBED
    | named(
        "CHAIN RING CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC ANY_ORDER NO_SKIPPING SKIPPING "
        "TRIANGLE LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS RELAYS MIXED_KINDS UNSUPPORTED "
        "FREE_TRANSFERS SHARED_WEIGHTS FREE_EDGES ZERO_TIMES TRAFFIC ENERGY LATENCY CHIPS"
    ),
    refuses={
        Feature.ROUTES: "it depends on the places of the stages",
        Feature.FREE_ORDER: "the model has the chips in one order, and says nothing of others",
    },
)


WIDTH = 3
"""Adjacent chips solved again together."""


class GoalSearch:
    """Minimises one goal on one package from a placement that keeps all limits.

    Parameters
    ----------
    limits : goal -> largest value allowed; ``period`` among them. used : only the chips before this one may be used.
    """

    def __init__(
        self,
        instance: Instance,
        placement: Placement,
        goal: Goal,
        limits: Mapping[Goal, float],
        used: int,
        stop: Stop,
        seed: int,
    ) -> None:
        self.used = used
        self.instance, self.goal, self.limits, self.stop, self.seed = instance, goal, dict(limits), stop, seed
        self.graph, self.hw = instance.graph, instance.hardware
        self.covered = SCOPE.admits(instance.features | {Feature(f"goal {goal}")})
        self.model = instance.problem.kept(CostModel)
        self.cuts = MemoryCuts(self.graph, self.hw)
        self.placement = placement
        self.value = value_of(placement, self.model.evaluate_placement(placement), goal)
        self.bound = self._trivial_bound()
        self.unit = self._factor(goal)
        period = self.limits["period"] / instance.unit
        self.period_limit = period if np.isfinite(period) else None
        self.caps: dict[Goal, float] = {
            g: v / self._factor(g) * (1 + ROUNDING) for g, v in limits.items() if g != "period" and np.isfinite(v)
        }

    @property
    def reached(self) -> Reached:
        """What is known so far."""
        return Reached(self.goal, self.value, min(self.bound, self.value))

    def run(self, gap: float) -> None:
        """Neighbourhoods, then the whole model; until the gap is closed or time is up."""
        walk = self.stop.limited(budget.WALK * self.stop.remaining)
        windows = WindowRules(self.instance).windows(
            float("inf") if self.period_limit is None else self.period_limit * (1 + ROUNDING)
        )
        windows = Windows(windows.lo, np.minimum(windows.hi, self.used - 1))
        open_choices = windows.free or self.instance.replicable.any()
        if open_choices and not self._closed(gap):
            if not affordable(self.instance, windows, walk):
                self._walk(windows, gap, walk)
            if affordable(self.instance, windows, self.stop) and not self.stop():
                learnt, better = -1, True
                while (better or learnt < len(self.cuts)) and not (self._closed(gap) or self.stop()):
                    learnt = len(self.cuts)
                    better = self._solve(windows, self.stop.remaining, prove=True)  # a smaller model, finer figures
                self._walk(windows, gap, walk)
        elif not open_choices:
            self._prove(self.value / self.unit)

    def _factor(self, goal: Goal) -> float:
        """What 1.0 of the model's objective stands for in the goal's own unit."""
        bandwidth = self.hw.interconnect.link_bandwidth
        return goal_unit(self.instance, goal) * (bandwidth if goal == "traffic" else 1.0)

    def _trivial_bound(self) -> float:
        inst = self.instance
        if self.goal == "energy":
            least = np.where(inst.supported, inst.energy, np.inf)[inst.problem.present].min(axis=0)
            return float(least.sum()) * (1 - ROUNDING)
        if self.goal == "latency":
            end = inst.fastest.copy()
            for u, w in inst.edges[np.argsort(inst.edges[:, 1], kind="stable")].tolist():
                end[w] = max(end[w], end[u] + inst.fastest[w])
            return float(end.max()) * inst.unit * (1 - ROUNDING)
        return 0.0

    def _closed(self, gap: float) -> bool:
        return self.value - self.bound <= gap * self.value

    def _walk(self, windows: Windows, gap: float, stop: Stop) -> None:
        """Solve a few adjacent chips again, from one end to the other, until nothing helps."""
        chips = self.instance.chips
        helped = True
        while helped:
            helped = False
            for first in range(max(1, chips - WIDTH + 1)):
                if stop() or self._closed(gap):
                    return
                chip = np.clip(self.instance.chip_of_nodes(self.placement), windows.lo, windows.hi)
                inside = (chip >= first) & (chip < first + WIDTH)
                lo = np.where(inside, np.maximum(first, windows.lo), chip)
                hi = np.where(inside, np.minimum(first + WIDTH - 1, windows.hi), chip)
                around = propagate(self.instance, Windows(lo, hi))
                if not around.empty and around.free and affordable(self.instance, around, stop):
                    helped |= self._solve(around, min(budget.ADJACENT_CHIPS, stop.remaining), prove=False)

    def _solve(self, windows: Windows, seconds: float, *, prove: bool) -> bool:
        """Solve the model over some windows; whether the placement got better. ``prove``: the windows lose nothing."""
        before = self.value
        cap = self.value / self.unit * (1 - MARGIN)
        written = write(
            self.instance,
            windows,
            stop=self.stop,
            upper=None if self.period_limit is None else self.period_limit * (1 + ROUNDING),
            goal=self.goal,
            caps={**self.caps, self.goal: cap},
            cuts=self.cuts.known,
        )
        if written is None:
            if prove:
                self._prove(cap)
            return False

        def proved(bound: float) -> None:
            if np.isfinite(bound):
                self._prove(min(bound, cap), within=cap)

        outcome = written.solve(
            seconds=seconds,
            stop=self.stop,
            seed=self.seed,
            offer=self._offer,
            on_bound=proved if prove else None,
        )
        if outcome.x is not None:
            self._offer(written.placement(outcome.x))
        if prove and outcome.status == "infeasible":
            self._prove(cap)
        elif prove:
            proved(outcome.bound)
        return self.value < before

    def _prove(self, bound: float, *, within: float = 0.0) -> None:
        """Raise the bound, given in the model's unit; ``within`` is the largest value in the model behind it."""
        if not self.covered:
            return
        safe = (bound - BOUND_SAFETY * max(bound, within)) * self.unit
        self.bound = max(self.bound, min(safe, self.value))

    def _heed(self, value: float) -> None:
        """Withdraw a bound that a valid placement of this value refutes: all of them come from one model."""
        if value >= self.bound * (1 - ROUNDING):
            return
        refuted, simple = self.bound, self._trivial_bound()
        self.bound = simple if simple <= value * (1 + ROUNDING) else 0.0
        warnings.warn(
            f"a valid placement of {self.goal} {value:.9g} refutes the bound {refuted:.9g}, which is withdrawn to "
            f"{self.bound:.9g}; please report this model and package",
            RefutedBound,
            stacklevel=3,
        )

    def _offer(self, placement: Placement) -> None:
        if self.hw.identical_chips and self.hw.rules.no_skipping:
            placement = close_gaps(placement, self.hw.chips)
        placement = satisfy_triangle(self.graph, self.hw, placement)
        cost = self.model.evaluate_placement(placement)
        kept = all(value_of(placement, cost, goal) <= most * (1 + ROUNDING) for goal, most in self.limits.items())
        value = value_of(placement, cost, self.goal)
        if not (kept and value < self.value):
            return
        broken = check(self.graph, self.hw, placement)
        if not broken:
            self._heed(value)
            self.placement, self.value = placement, value
        elif all(violation.rule in LEARNT for violation in broken):
            self.cuts.learn(placement)


def pursue(
    graph: Graph,
    hardware: Hardware,
    placement: Placement,
    goals: Sequence[str],
    reached: Sequence[Reached],
    *,
    period_limit: float,
    gap: float,
    stop: Stop,
    seed: int,
) -> tuple[Placement, list[Reached]]:
    """Minimise goals one after the other, each among the placements that are best for those before.

    On the way to a later goal a placement may turn out better for an earlier one as well. From then on nothing worse
    counts, and what is told of every goal is what the placement returned has reached.

    Parameters
    ----------
    placement : valid, with a period within ``period_limit`` (the hardware's time unit).
    goals : all of them in their order. reached : those of the first goals for which the placement is best already.
    """
    model = Problem.of(graph, hardware).kept(CostModel)
    bounds = {each.goal: each.bound for each in reached}
    limits: dict[Goal, float] = {"period": period_limit}
    used, timed = hardware.chips, "latency" in goals
    for i, goal in enumerate(goals):
        if goal in bounds:
            continue
        part = stop.limited(stop.remaining / (len(goals) - i))
        if goal == "chips":
            placement, found = fewest_chips(graph, hardware, placement, limits["period"], stop=part, seed=seed)
        else:
            alone = contract(graph, hardware, apart=timed)
            search = GoalSearch(alone, placement, cast(Goal, goal), limits, used, part, seed)
            with stop.surviving(lambda goal=goal: f"the search for least {goal}"):  # type: ignore[misc]
                search.run(gap)
            placement, found = search.placement, search.reached
        bounds[goal] = found.bound
        cost = model.evaluate_placement(placement)
        for before in bounds:
            value = value_of(placement, cost, before)
            if before == "chips":
                used = min(used, int(value))
            else:
                limits[cast(Goal, before)] = min(limits.get(cast(Goal, before), np.inf), value)
    cost = model.evaluate_placement(placement)
    return placement, [reached_by(placement, cost, goal, bound) for goal, bound in bounds.items()]


def fewest_chips(
    graph: Graph,
    hardware: Hardware,
    placement: Placement,
    period_limit: float,
    *,
    stop: Stop,
    seed: int,
) -> tuple[Placement, Reached]:
    """The least number of chips with a period within the limit: bisection, each number a question to the search.

    Parameters
    ----------
    hardware : whose first chips are used (their number is what counts); what may be replicated is a matter of all.
    placement : within the limit.
    """
    used = int(placement.assignment.max()) + 1
    instance = contract(graph, hardware)
    work = float(instance.fastest.sum()) * instance.unit
    low = max(1, int(np.ceil(work / period_limit * (1 - ROUNDING)))) if work else 1
    unresolved = False
    high = used
    while low < high and not stop():
        middle = (low + high) // 2 if not unresolved else high - 1
        package = _first_chips(hardware, middle)
        few = contract(graph, package.ports_only(), legal=hardware)
        incumbent = Incumbent(few, 0.0, lambda: stop.elapsed, None, package)
        incumbent.limit, incumbent.enough = period_limit * (1 + ROUNDING), True
        part = stop.limited(stop.remaining / 2)
        feasible = True
        with stop.surviving(lambda: "the search for fewest chips"):
            feasible = search(Run.begin(few, incumbent, part, seed=seed))
        if incumbent.placement is not None and incumbent.period <= incumbent.limit:
            placement, high = incumbent.placement, middle
        elif not feasible or incumbent.bound > incumbent.limit:
            low = middle + 1
        elif unresolved or middle == high - 1:
            break
        else:
            unresolved = True
    return placement, Reached("chips", float(high), float(low))


def _first_chips(hardware: Hardware, count: int) -> Hardware:
    return replace(hardware, kind_of_chip=hardware.kind_of_chip[:count])
