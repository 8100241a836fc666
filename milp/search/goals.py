"""Least traffic, energy, latency or number of chips within a limit on the period, and the least period within others.

Each is a linear objective over the one formulation, within the windows of the period allowed. Several goals in a row
are lexicographic: what an earlier goal reached becomes a row of the next model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import cast

import numpy as np

from milp import budget
from milp.formulation.choices import Goal
from milp.search.period import search
from milp.search.routed_pairs import TensorWays, least_traffic
from milp.solver.ask import affordable, ask
from milp.state.aim import Aim
from milp.state.bisect import bisect
from milp.state.incumbent import Incumbent
from milp.state.names import Doing
from milp.state.run import Run
from milp.tolerances import ROUNDING
from milp.windows.windows import Windows, propagate
from partition.heuristics.traffic.network import Network
from partition.heuristics.traffic.search import little_traffic
from partition.instance.contract import contract
from partition.instance.features import ABSORBED, Feature, Scope, named
from partition.instance.instance import Instance
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.scoring.cost import CostModel
from partition.scoring.goals import Reached, reached_by, value_of
from partition.stopping import Stop

SCOPE = Scope(
    engine="goals",
    claims="the least value of a goal within a period",
    covers=ABSORBED
    | named(
        "CHAIN RING CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC ANY_ORDER NO_SKIPPING SKIPPING "
        "TRIANGLE LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS RELAYS MIXED_KINDS UNSUPPORTED "
        "FREE_TRANSFERS SHARED_WEIGHTS FREE_EDGES ZERO_TIMES CUTS STREAMING STREAMING_IN_TURN "
        "TRAFFIC ENERGY LATENCY CHIPS MOVES"
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
    limits : goal -> largest value allowed; ``period`` among them.
    used : only the chips before this one may be used.
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
        gap: float = 0.0,
    ) -> None:
        aim = Aim.at(instance, goal, limits)
        self.incumbent = Incumbent(instance, gap, lambda: stop.elapsed, None, aim=aim)
        self.run = Run.begin(instance, self.incumbent, stop, seed=seed)
        named_goals = {Feature(f"goal {each}") for each in (goal, *limits) if each != "period"}
        self.covered = SCOPE.admits(instance.features | named_goals)
        self.incumbent.enter(Doing.WORK)
        self.incumbent.prove(self._trivial_bound(), exact=True)
        self.incumbent.enter(Doing.GOALS)
        self.incumbent.offer(placement)
        self.used = used

    @cached_property
    def windows(self) -> Windows:
        """Of every placement that keeps the limits."""
        aim = self.incumbent.aim
        period = float("inf") if aim.period is None else aim.period
        if aim.goal == "period":
            period = min(period, self.incumbent.upper)
        within = self.run.tightening.known[0].rules.windows(period)
        return Windows(within.lo, np.minimum(within.hi, self.used - 1))

    @property
    def reached(self) -> Reached:
        """What is known so far."""
        return Reached(self.incumbent.aim.goal, self.incumbent.value, self.incumbent.bound)

    def work(self) -> None:
        """Neighbourhoods, then the whole model; until the gap is closed or time is up."""
        instance, incumbent, stop, windows = self.run.instance, self.incumbent, self.run.stop, self.windows
        if not (windows.free or instance.replicable.any()):
            self._prove(incumbent.upper)
            return
        if incumbent.closed:
            return
        if incumbent.aim.goal == "traffic":
            self._prove_traffic()
        walk = stop.part(budget.WALK)
        small = affordable(instance, windows, walk)
        if incumbent.aim.goal == "traffic" and instance.forward_only:
            self._seek_little_traffic(small)
        if not small:
            self.walk(walk)
        if affordable(instance, windows, stop) and not stop():
            learnt, better = -1, True
            while (better or learnt < len(incumbent.cuts)) and not (incumbent.closed or stop()):
                learnt = len(incumbent.cuts)
                better = self._whole_model(stop.remaining)  # a smaller model, finer figures
            self.walk(walk)

    def _trivial_bound(self) -> float:
        """What no model is needed for, in units of the model."""
        inst, goal = self.run.instance, self.incumbent.aim.goal
        if goal == "energy":
            least = np.where(inst.supported, inst.energy, np.inf)[inst.problem.present].min(axis=0)
            return float(least.sum()) / self.incumbent.aim.unit
        if goal == "latency":
            end = inst.fastest.copy()
            for u, w in inst.edges[np.argsort(inst.edges[:, 1], kind="stable")].tolist():
                end[w] = max(end[w], end[u] + inst.fastest[w])
            return float(end.max())
        if goal == "period":
            return inst.least_period
        return 0.0

    def _prove_traffic(self) -> None:
        """What must move since no chip holds more work than the limit on the period lets it; without replicas."""
        inst, aim = self.run.instance, self.incumbent.aim
        if aim.period is None or inst.replicable.any() or not (np.isfinite(inst.fastest).all() and aim.unit > 0):
            return
        tensors = TensorWays(inst.nodes, inst.source, inst.moved_bytes, inst.reader_ptr, inst.readers)
        stop = self.run.stop.part(budget.ROUTED_PAIRS)
        self.incumbent.prove(least_traffic(tensors, inst.fastest, aim.period * (1 + ROUNDING), stop) / aim.unit)

    def _seek_little_traffic(self, small: bool) -> None:
        """Placements of little traffic, ahead of a small model of the whole, and where it is far from proving."""
        stop, incumbent = self.run.stop, self.incumbent
        if small:
            self._offer_little_traffic(stop.part(budget.TRAFFIC_FIRST))
            if not incumbent.closed:
                self._whole_model(budget.TRAFFIC_MODEL * stop.remaining)
        if incumbent.bound < budget.HOPEFUL * incumbent.value:
            self._offer_little_traffic(stop.part(budget.TRAFFIC))

    @cached_property
    def _network(self) -> Network:
        """The instance as the search for little traffic sees it."""
        period, windows = self.incumbent.aim.period, self.windows
        limit = np.inf if period is None else period * (1 + ROUNDING)
        return Network.of(self.run.instance, windows.lo, windows.hi, limit, self.used)

    def _offer_little_traffic(self, stop: Stop) -> None:
        instance, incumbent = self.run.instance, self.incumbent
        if incumbent.closed or incumbent.placement is None:
            return
        given = np.clip(instance.chip_of_nodes(incumbent.placement), self.windows.lo, self.windows.hi)
        for chip in little_traffic(self._network, given, self.run.rng, stop):
            incumbent.offer(instance.lift(chip, [], []))
            if incumbent.closed:
                return

    def walk(self, stop: Stop) -> None:
        """Solve a few adjacent chips again, from one end to the other, until nothing helps."""
        instance, incumbent, windows = self.run.instance, self.incumbent, self.windows
        helped = True
        while helped:
            helped = False
            for first in range(max(1, instance.chips - WIDTH + 1)):
                if stop() or incumbent.closed:
                    return
                assert incumbent.placement is not None
                chip = np.clip(instance.chip_of_nodes(incumbent.placement), windows.lo, windows.hi)
                inside = (chip >= first) & (chip < first + WIDTH)
                lo = np.where(inside, np.maximum(first, windows.lo), chip)
                hi = np.where(inside, np.minimum(first + WIDTH - 1, windows.hi), chip)
                around = propagate(instance, Windows(lo, hi))
                if not around.empty and around.free and affordable(instance, around, stop):
                    before = incumbent.value
                    upper, seconds = incumbent.better, min(budget.ADJACENT_CHIPS, stop.remaining)
                    ask(self.run, around, upper=upper, eager=True, seconds=seconds)
                    helped |= incumbent.value < before

    def _whole_model(self, seconds: float) -> bool:
        """Solve the model over all windows, which lose nothing; whether the placement got better."""
        incumbent = self.incumbent
        before, upper = incumbent.value, incumbent.better
        answer = ask(self.run, self.windows, upper=upper, lossless=self.covered, eager=True, seconds=seconds)
        if answer.excluded:
            self._prove(upper)
        elif np.isfinite(answer.bound):
            self._prove(min(answer.bound, upper), within=upper)
        return incumbent.value < before

    def _prove(self, bound: float, *, within: float = 0.0) -> None:
        """Raise the bound, in units of the model, where the reasoning covers what the question contains."""
        if self.covered:
            self.incumbent.prove(bound, within=within)


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
    goals : all of them in their order.
    reached : those of the first goals for which the placement is best already.
    """
    model = Problem.of(graph, hardware).kept(CostModel)
    bounds = {each.goal: each.bound for each in reached}
    limits: dict[Goal, float] = {"period": period_limit}
    used, timed = hardware.chips, "latency" in goals
    for i, goal in enumerate(goals):
        if goal in bounds:
            continue
        part = stop.part(1 / (len(goals) - i))
        if goal == "chips":
            placement, found = fewest_chips(graph, hardware, placement, limits["period"], stop=part, seed=seed)
        else:
            alone = contract(graph, hardware, apart=timed)
            search = GoalSearch(alone, placement, cast(Goal, goal), limits, used, part, seed, gap)
            with stop.surviving(f"the search for least {goal}"):
                search.work()
            placement, found = search.incumbent.placement or placement, search.reached
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
    instance = contract(graph, hardware)
    work = float(instance.fastest.sum()) * instance.unit
    excluded = max(0, int(np.ceil(work / period_limit * (1 - ROUNDING))) - 1) if work else 0

    def ask(chips: float, low: float, high: float) -> tuple[float, float] | None:
        nonlocal placement
        found, impossible = _within_chips(graph, hardware, int(chips), period_limit, stop, seed)
        if found is None:
            return (chips, high) if impossible else None
        placement = found
        return low, chips

    def halve(low: float, high: float) -> float:
        return (low + 1 + high) // 2

    def one_less(low: float, high: float) -> float:
        return high - 1

    ends = bisect(excluded, placement.assignment.max() + 1, ask, split=halve, step=1, stop=stop)
    if ends.given_up and halve(ends.low, ends.high) < ends.high - 1:
        ends = bisect(ends.low, ends.high, ask, split=one_less, step=1, stop=stop)
    return placement, Reached("chips", float(ends.high), float(ends.low + 1))


def _within_chips(
    graph: Graph, hardware: Hardware, count: int, period_limit: float, stop: Stop, seed: int
) -> tuple[Placement | None, bool]:
    """A placement on the first chips within a period, and whether there is proved to be none, in half the time left."""
    package = replace(hardware, kind_of_chip=hardware.kind_of_chip[:count])
    few = contract(graph, package.ports_only(), legal=hardware)
    incumbent = Incumbent(few, 0.0, lambda: stop.elapsed, None, package)
    incumbent.limit, incumbent.enough = period_limit * (1 + ROUNDING), True
    part = stop.part(budget.FEWER_CHIPS)
    feasible = True
    with stop.surviving("the search for fewest chips"):
        feasible = search(Run.begin(few, incumbent, part, seed=seed))
    if incumbent.placement is not None and incumbent.period <= incumbent.limit:
        return incumbent.placement, False
    return None, not feasible or incumbent.bound > incumbent.limit
