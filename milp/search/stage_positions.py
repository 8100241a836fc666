"""Where the stages of a pipeline stand in a package with routes: the order of least link contention for a partition.

Local search over swaps of two stages, then, on small packages, an exact model: p[s,q] = 1 iff stage s stands on
physical chip q, g[k,l] = 1 if the transfers of kind k cross link l. Nothing is gained below the heaviest chip, so both
stop there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from milp.formulation.model import Model
from milp.solver.highs import solve
from milp.solver.matrix import compile_model
from milp.tolerances import CHOSEN, ROUNDING
from partition.arrays import BoolArray, FloatArray, IntArray
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.problem.routes import find_routes
from partition.scoring.cost import CostModel
from partition.stopping import Stop

EXACT_CHIPS = 9
"""Most chips for which the exact model is built."""


@dataclass(frozen=True, eq=False)
class LinkDemand:
    """Transfers of ``K`` kinds (same home, same receivers), their time, and what they cross.

    Attributes
    ----------
    home : (K,) stage.
    ptr, receiver : CSR of the stages that receive it.
    tau : (K,) time.
    crosses : (C, C, L) bool, whether the route between two physical chips takes a link.
    """

    home: IntArray
    ptr: IntArray
    receiver: IntArray
    tau: FloatArray
    crosses: BoolArray

    def link_loads(self, positions: IntArray) -> FloatArray:
        """(L,) load of every link with the stages on ``positions``."""
        owner = np.repeat(np.arange(len(self.home)), np.diff(self.ptr))
        each = self.crosses[positions[self.home[owner]], positions[self.receiver]]
        return np.asarray(self.tau @ np.logical_or.reduceat(each, self.ptr[:-1], axis=0))


def link_demand(graph: Graph, hardware: Hardware, placement: Placement) -> LinkDemand | None:
    """What the stages of a placement send one another; None if they send nothing."""
    model = Problem.of(graph, hardware).kept(CostModel)
    moved = model.transfers.find(placement.assignment[None], placement.replica_rows)
    if not len(moved.tensor):
        return None
    kinds: dict[tuple[int, tuple[int, ...]], float] = {}
    cuts = np.flatnonzero(np.diff(moved.tensor)) + 1
    for tensor, home, chips in zip(
        np.split(moved.tensor, cuts), np.split(moved.home, cuts), np.split(moved.chip, cuts), strict=True
    ):
        key = (int(home[0]), tuple(chips.tolist()))
        kinds[key] = kinds.get(key, 0.0) + float(model.tau[tensor[0]])
    physical = find_routes(replace(hardware, positions=tuple(range(hardware.chips))))
    C = hardware.chips
    crosses = np.zeros((C * C, len(physical.ends)), dtype=bool)
    crosses[np.repeat(np.arange(C * C), np.diff(physical.ptr)), physical.link] = True
    counts = [len(chips) for _, chips in kinds]
    return LinkDemand(
        home=np.array([home for home, _ in kinds]),
        ptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        receiver=np.array([c for _, chips in kinds for c in chips]),
        tau=np.array(list(kinds.values())),
        crosses=crosses.reshape(C, C, -1),
    )


def by_swaps(demand: LinkDemand, positions: IntArray, enough: float, stop: Stop) -> IntArray:
    """The best swap of two stages again and again; ties of the largest load by the sum of squares."""

    def score(at: IntArray) -> tuple[float, float]:
        loads = demand.link_loads(at)
        return float(max(loads.max(), enough)), float(loads @ loads)

    best = score(positions)
    improved = True
    while improved and best[0] > enough * (1 + ROUNDING):
        improved = False
        for a in range(len(positions)):
            for b in range(a):
                if stop():
                    return positions
                other = positions.copy()
                other[[a, b]] = other[[b, a]]
                found = score(other)
                if found < best:
                    positions, best, improved = other, found, True
    return positions


def _order_of_stages(demand: LinkDemand, unit: float, enough: float) -> Model:
    """The model of :func:`by_model`: every stage on a chip of its own, every link crossed within ``T``.

    Parameters
    ----------
    unit : float
        Time that 1.0 of the model stands for, and the largest ``T``.
    enough : float
        Time below which a link is no bottleneck.
    """
    C, links, kinds = len(demand.crosses), demand.crosses.shape[2], len(demand.home)
    model = Model("stages")
    T = model.add("T", lower=enough / unit)
    stage, place = np.divmod(np.arange(C * C), C)
    p = model.add("p", stage, place, integral=True)
    kind, link = np.divmod(np.arange(kinds * links), max(links, 1))
    g = model.add("g", kind, link)
    model.equal("stage", p.all().sum(stage, C), 1.0)
    model.equal("place", p.all().sum(place, C), 1.0)
    # With the home of a kind at q and a receiver beyond a link, the kind crosses it.
    q, crossed = np.nonzero(demand.crosses.any(axis=1))
    at, r = np.nonzero(demand.crosses[q, :, crossed])
    route, k = np.arange(len(demand.receiver)), np.repeat(np.arange(kinds), np.diff(demand.ptr))
    row, way = (each.ravel() for each in np.meshgrid(route, np.arange(len(q)), indexing="ij"))
    target, reached = (each.ravel() for each in np.meshgrid(route, np.arange(len(r)), indexing="ij"))
    beyond = p.at(demand.receiver[target] * C + r[reached]).sum(target * len(q) + at[reached], len(row))
    home = p.at(demand.home[k[row]] * C + q[way])
    model.at_most("route", home + beyond.plus(-1.0), g.at(k[row] * links + crossed[way]))
    carried = g.all() * (demand.tau / unit)[kind]
    model.at_most("carried", carried.sum(link, links), T.all())
    model.objective = T.all()
    return model


def by_model(demand: LinkDemand, positions: IntArray, enough: float, stop: Stop) -> IntArray:
    """The positions of least largest link load by the MILP; the given ones if none better is found in time."""
    C = len(positions)
    if C > EXACT_CHIPS:
        return positions
    unit = float(demand.link_loads(positions).max())
    compiled = compile_model(_order_of_stages(demand, unit, enough), stop)
    outcome = solve(compiled, time_limit=stop.remaining, stop=stop)
    if outcome.x is None:
        return positions
    chosen = (compiled.family == "p") & (outcome.x > CHOSEN)
    found = np.empty(C, dtype=np.int64)
    found[compiled.node[chosen]] = compiled.chip[chosen]
    return found if demand.link_loads(found).max() < unit else positions


Arrangement = Callable[[LinkDemand, IntArray, float, Stop], IntArray]
"""Better positions than the given ones (C,), where some link takes longer than ``enough``; or the given ones."""

WAYS: tuple[Arrangement, ...] = (by_swaps, by_model)
"""What is tried, in this order, while some link is a bottleneck."""


def arrange(
    graph: Graph, hardware: Hardware, placement: Placement, *, stop: Stop, ways: Sequence[Arrangement] = WAYS
) -> Hardware:
    """The package with the stages of a placement where the largest link load is least, as far as found in time.

    Parameters
    ----------
    hardware : routed, of identical chips; its own positions are where the search begins.
    ways : see :data:`WAYS`.
    """
    demand = link_demand(graph, hardware, placement)
    if demand is None:
        return hardware
    cost = Problem.of(graph, hardware).kept(CostModel).evaluate_placement(placement)
    heaviest = float(cost.load.max())
    if float(cost.link.max(initial=0.0)) <= heaviest * (1 + ROUNDING):
        return hardware
    positions = np.array(hardware.stage_positions)
    for way in ways:
        if demand.link_loads(positions).max() > heaviest * (1 + ROUNDING) and not stop():
            positions = way(demand, positions, heaviest, stop)
    return replace(hardware, positions=tuple(positions.tolist()))
