"""First placements: topological orders sliced, random placements repaired, and any that HiGHS finds."""

from __future__ import annotations

import numpy as np

from milp.solver.ask import ask, rounds
from milp.state.grounds import by_model
from milp.state.names import Doing
from milp.state.run import Phase, Run, always
from milp.windows.windows import PACKED_LIMIT, WindowRules
from partition.arrays import IntArray
from partition.heuristics.repair import Repair
from partition.heuristics.slicing import Mode, longest_blocks, slice_order, slicing_work
from partition.instance.instance import Instance
from partition.instance.orders import diverse_orders
from partition.problem.placement import Placement
from partition.results.proof_steps import ProofStep

ORDERS = 6
"""Topological orders that are sliced."""

SAMPLES = 64
"""Random placements that are repaired where nothing else gives a first one."""

LONGEST_BLOCK = 4.0
"""Work of the longest blocks worth looking at in any graph, in units of the instance."""


def slice_orders(run: Run, instance: Instance | None = None, orders: int = ORDERS) -> None:
    """Slice a handful of diverse topological orders of the run's instance, or of one with more nodes contracted."""
    instance = instance or run.instance
    run.incumbent.offer(Placement(np.zeros(instance.graph.n, dtype=np.int64)))  # everything on one chip
    longest = LONGEST_BLOCK  # until a period is known that is worth anything
    for _, order in zip(range(orders), diverse_orders(instance, run.rng), strict=False):
        slice_one(run, instance, order, longest)
        longest = longest_worth(run, instance)


def longest_worth(run: Run, instance: Instance) -> float:
    """Compute of the longest blocks of a better placement, as far as slicing has room for them."""
    room = longest_blocks(instance, at_least=LONGEST_BLOCK)
    return min(run.incumbent.upper, room) if run.incumbent.known else LONGEST_BLOCK


def slice_one(run: Run, instance: Instance, order: IntArray, longest: float) -> None:
    """Slice one topological order in every way that fits the rules."""
    for mode in _slicing_modes(instance):
        if run.stop() or run.incumbent.closed:
            return
        run.stop.charge(slicing_work(instance, longest))
        placement = slice_order(instance, order, mode, longest=longest, stop=run.stop)
        if placement is not None:
            run.incumbent.offer(placement)
            if instance.replicable.any() and mode == "direct":
                run.incumbent.offer(Placement(placement.assignment))


def _slicing_modes(instance: Instance) -> list[Mode]:
    hw = instance.hardware
    if not hw.rules.triangle or instance.triangle_by_relays:
        return ["direct"]
    return ["relayed", "direct", "neighbours"] if hw.relays_allowed else ["neighbours", "direct"]


def _nothing_yet(run: Run) -> bool:
    return not (run.incumbent.known or run.stop())


def _few_enough(run: Run) -> bool:
    """Repair keeps ancestors and descendants as bits."""
    return run.instance.nodes <= PACKED_LIMIT and _nothing_yet(run)


def _sample(run: Run) -> None:
    """Where no order could be cut: the best of a batch of repaired random placements."""
    instance = run.instance
    repaired = Repair(instance).sample(np.ones((instance.nodes, instance.chips)), SAMPLES, run.rng)
    if repaired.valid.any():
        run.incumbent.offer(repaired.placement(int(repaired.period().argmin())))


def _find_any(run: Run) -> None:
    """Ask HiGHS for any valid placement, or for the proof that there is none."""
    windows = WindowRules(run.instance).windows(float("inf"))
    if windows.empty:
        run.incumbent.exclude_all(because=lambda: ProofStep("windows"))
        return
    for _ in rounds(run.incumbent.cuts):
        if run.incumbent.known or run.stop():
            return
        # Any period will do; named, it is what times are counted in, however far transfers are beyond compute.
        longest = run.instance.longest
        if ask(run, windows, upper=longest, minimise=False, seconds=run.stop.remaining).excluded:
            run.incumbent.exclude_all(because=lambda: by_model(run.instance, run.instance, windows))
            return


def _wished(run: Run) -> bool:
    """Whether wishes say where operations can be."""
    return run.instance.graph.limits is not None and _nothing_yet(run)


def _look_at_wishes(run: Run) -> None:
    """Look whether wishes and edges leave some node no chip; or all a first one, or a last one, which may be valid.

    Slicing an order finds nothing where tensors go back, or operations stand on chips that no order explains.
    """
    windows = WindowRules(run.instance).windows(float("inf"))
    if windows.empty:
        run.incumbent.exclude_all(because=lambda: ProofStep("windows"))
        return
    for homes in (windows.lo, windows.hi):
        run.incumbent.offer(Placement(homes[run.instance.node_of]))


WISHED = Phase(Doing.WISHES, _wished, _look_at_wishes, first=True)
SEEDS = Phase(Doing.SEEDS, always, slice_orders, first=True)
SAMPLED = Phase(Doing.SAMPLES, _few_enough, _sample, first=True)
ANY_PLACEMENT = Phase(Doing.FEASIBILITY, _nothing_yet, _find_any, first=True)
