"""Neighbourhoods: a few adjacent chips solved exactly again while the rest stays where it is."""

from __future__ import annotations

import numpy as np

from milp import budget
from milp.improve.restriction import restrict
from milp.solver.ask import write
from milp.solver.reading import choices_of
from milp.state.names import Doing
from milp.state.run import Run
from milp.tolerances import NEIGHBOURHOOD_GAIN, ROUNDING
from partition.arrays import FloatArray
from partition.heuristics.completion import prune
from partition.instance.instance import Instance
from partition.problem.placement import Placement
from partition.scoring.cost import evaluate_placement
from partition.scoring.rules import check


def improve(run: Run, *, seconds: float) -> None:
    """Walk from the best placement, each step lowering the heaviest load of 2-4 adjacent chips around a bottleneck.

    Steps that do not lower the period are kept too: they spread the load until the bottleneck can move.
    Ends when no neighbourhood of the bottlenecks helps, or after ``seconds``.
    """
    instance, incumbent, stop = run.instance, run.incumbent, run.stop
    if incumbent.placement is None or instance.chips < 2:
        return
    incumbent.enter(Doing.NEIGHBOURHOODS)
    current = incumbent.placement
    until = stop.seconds + seconds
    tried: set[tuple[int, int]] = set()
    while not (stop() or incumbent.closed or stop.seconds > until):
        load = _loads(instance, current)
        choice = _around_a_bottleneck(load, instance.chips, tried, run.rng)
        if choice is None:
            return
        first, last = choice
        better = _resolve(run, current, load, first, last)
        if better is None:
            tried.add(choice)
            continue
        if incumbent.cuts.active and check(instance.graph, incumbent.hardware, better):
            if not incumbent.cuts.learn(better):
                tried.add(choice)
            continue
        current = better
        tried = {(a, b) for a, b in tried if b < first or a > last}
        incumbent.offer(current)


def _loads(instance: Instance, placement: Placement) -> FloatArray:
    """(C,) the heavier of each chip's load and the link that leaves it, in units of the instance."""
    cost = evaluate_placement(instance.graph, instance.hardware, placement)
    load = cost.load[0].copy()
    links = cost.link[0]
    load[: len(links)] = np.maximum(load[: len(links)], links)
    return np.asarray(load / instance.unit)


def _around_a_bottleneck(
    load: FloatArray, chips: int, tried: set[tuple[int, int]], rng: np.random.Generator
) -> tuple[int, int] | None:
    """A range of adjacent chips that contains one of the heaviest, narrow ones first; None when all were tried."""
    heaviest = np.flatnonzero(load >= load.max() * (1 - ROUNDING))
    for width in range(2, min(4, chips) + 1):
        ranges = {
            (a, a + width - 1)
            for chip in heaviest.tolist()
            for a in range(max(0, chip - width + 1), min(chip, chips - width) + 1)
        }
        left = sorted(ranges - tried)
        if left:
            return left[int(rng.integers(len(left)))]
    return None


def _resolve(run: Run, current: Placement, load: FloatArray, first: int, last: int) -> Placement | None:
    """The best placement of what runs on chips ``first..last``, if it lowers their heaviest load."""
    instance, stop = run.instance, run.stop
    chip = instance.chip_of_nodes(current)
    part = restrict(instance, chip, first, last)
    heaviest = float(load[first : last + 1].max())
    upper, limited = heaviest * (1 - NEIGHBOURHOOD_GAIN), range(first, last + 1)
    cuts = run.incumbent.cuts.known
    written = write(part.instance, part.windows, stop=stop, upper=upper, limited=limited, cuts=cuts)
    if written is None:
        return None
    outcome = written.solve(seconds=min(budget.ADJACENT_CHIPS, stop.remaining), stop=stop, seed=run.seed)
    if outcome.x is None:
        return None
    homes, replicas, relays = choices_of(part.windows, written.model, outcome.x)
    replicas = [(int(part.node[v]), c) for v, c in replicas]
    moved = prune(instance.graph, instance.hardware, instance.lift(part.homes(chip, homes), replicas, relays))
    after = _loads(instance, moved)
    lower = after[first : last + 1].max() < heaviest * (1 - NEIGHBOURHOOD_GAIN / 2)
    return moved if lower and after.max() <= load.max() * (1 + ROUNDING) else None
