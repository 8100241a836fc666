"""The last goal of all: as few operations as possible elsewhere than in a given answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from milp import budget
from milp.formulation.choices import Goal
from milp.improve.tabu import Tabu
from milp.search.goals import GoalSearch
from partition.arrays import IntArray
from partition.instance.contract import contract
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.narrowed import remembering
from partition.problem.placement import Placement
from partition.scoring.goals import Reached
from partition.stopping import Stop


@dataclass(frozen=True, eq=False)
class Before:
    """Where operations were.

    Attributes
    ----------
    chips : (n,) int, -1 for operations that were nowhere.
    placement : a valid one that leaves as many of them there as is known to be possible, or None.
    """

    chips: IntArray
    placement: Placement | None


def fewest_moves(
    graph: Graph,
    hardware: Hardware,
    placement: Placement,
    before: Before,
    limits: Mapping[Goal, float],
    *,
    used: int,
    gap: float,
    stop: Stop,
    seed: int,
) -> tuple[Placement, Reached]:
    """The placement that moves the fewest operations among those within limits on all other goals.

    Parameters
    ----------
    placement : valid, and within the limits.
    used : only the chips before this one may be used.
    """
    instance = contract(remembering(graph, hardware, before.chips), hardware, apart="latency" in limits)
    search = GoalSearch(instance, placement, "moves", limits, used, stop, seed, gap)
    if before.placement is not None:
        near = _within(graph, hardware, before.placement, limits, used, stop.part(budget.APPROACH), seed)
        if near is not None:
            search.incumbent.offer(near)
    with stop.surviving("the search for the fewest moves"):
        search.work()
    return search.incumbent.placement or placement, search.reached


def _within(
    graph: Graph,
    hardware: Hardware,
    placement: Placement,
    limits: Mapping[Goal, float],
    used: int,
    stop: Stop,
    seed: int,
) -> Placement | None:
    """A placement within the limits on the way from one that may exceed the period: adjacent chips are solved again."""
    others: dict[Goal, float] = {goal: most for goal, most in limits.items() if goal != "period"}
    instance = contract(graph, hardware)
    search = GoalSearch(instance, placement, "period", others, used, stop, seed)
    incumbent = search.incumbent

    def better(chip: IntArray) -> bool:
        incumbent.offer(instance.lift(chip, [], []))
        return incumbent.closed

    incumbent.limit, incumbent.enough = limits["period"], True
    with stop.surviving("the way back within the period"):
        if incumbent.placement is not None and not incumbent.closed and Tabu.applies(instance):
            tabu = Tabu(instance, search.run.tightening.known[0].rules, search.run.rng)
            tabu.run(instance.chip_of_nodes(placement), better, stop.part(budget.SINGLE_NODES))
        if incumbent.placement is not None and not incumbent.closed:
            search.walk(stop)
    return incumbent.placement
