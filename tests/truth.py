"""Every engine asked at the truth: about periods that a placement at hand has, none may say "impossible".

A *case* is a question with its optimum by brute force and valid placements of it, the best one and random ones; the
oracle says that they are valid and what they cost. An engine is asked about the period of each. It may say "possible"
or "don't know"; bounds may not lie above it; what it excludes (chips of a node, two nodes on two chips, a set of
operations on one chip) may not be so in the placement.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from exhaustive import brute_force, least_peak
from lines import both_ends, least_load, long_line
from oracle import Problem, broken_rules, cost_of, topological
from questions import Question, draw
from strata import needed_for, pinned_for

import milp.ideals.chains
import milp.ideals.program
import milp.ideals.stretches
from milp.chip_bounds.capacity import BlockCapacity
from milp.chip_bounds.pigeonholes import Shares, heaviest_crowd
from milp.formulation.build import build
from milp.formulation.linear import ImpossibleRow
from milp.formulation.memory_cuts import MemoryCuts
from milp.frontiers.program import Frontiers, narrow_frontiers
from milp.ideals.forced_relays import forced_relays
from milp.ideals.leaving_out import kept_nodes, transfers
from milp.ideals.loose import loose_nodes
from milp.ideals.program import best_chain
from milp.ideals.stretches import Stretches
from milp.search.downsets.guides import Guide
from milp.search.downsets.layers import Pass
from milp.search.downsets.line import Line
from milp.search.downsets.phase import applies, tasks_of
from milp.search.downsets.prices import prices
from milp.search.downsets.tasks import NEVER
from milp.search.downsets.threshold import Threshold
from milp.search.goals import pursue
from milp.search.period import trivial_bound
from milp.search.stage_positions import WAYS, arrange, by_model
from milp.solver.highs import solve
from milp.solver.matrix import compile_model
from milp.state.attainable import grid_of
from milp.windows.tightening import Tightening
from milp.windows.windows import WindowRules, Windows
from partition import Graph, Hardware, InvalidInput, NoSolutionInTime, Placement, RefutedBound, partition
from partition.arrays import IntArray
from partition.instance.contract import contract
from partition.instance.instance import Instance
from partition.instance.orders import diverse_orders
from partition.problem.hardware_toml import to_toml
from partition.readers.native_json import to_dict
from partition.replay.goals import Goals
from partition.replay.placement import Placed
from partition.replay.proof_file import Claim
from partition.replay.question import read_question
from partition.replay.steps import Judge
from partition.scoring.feasibility import impossible
from partition.scoring.goals import parse_goals
from partition.stopping import Stop

NEXT = 1 + 1e-8
"""How much longer than the placement's the period is that engines of plain arithmetic are asked about."""

BEYOND_THE_SLACK = 1 + 1e-6
"""The same where a threshold called impossible comes back as a bound, which is held against the period."""

SOLVED = 1 + 1e-5
"""The same for engines behind which HiGHS stands (MARGIN in milp/tolerances.py)."""

SAFE = 1 + 2e-6
"""What HiGHS's tolerance is taken off a bound for (BOUND_SAFETY)."""

LIMIT = float("inf")
"""Seconds for one question, after which an engine of plain arithmetic does not know."""

TRIALS = 20_000
"""Partial placements beyond which a question is too large for brute force."""

SAMPLES = 12
"""Random placements tried for each case."""


@dataclass(frozen=True, eq=False)
class Truth:
    """A valid placement.

    Attributes
    ----------
    placement, hardware : with the kinds and positions that it has.
    period : by the oracle, in the file's unit.
    """

    graph: Graph
    hardware: Hardware
    placement: Placement
    period: float

    @cached_property
    def instance(self) -> Instance:
        """What the engines work on."""
        return contract(self.graph, self.hardware.ports_only())

    @property
    def threshold(self) -> float:
        """The period in units of the instance."""
        return self.period / self.instance.unit

    @cached_property
    def homes(self) -> IntArray:
        """(N,) chip of each node, -1 where sources moved to their reader lie elsewhere in this placement."""
        inst, chip = self.instance, self.placement.assignment
        low = np.full(inst.nodes, self.hardware.chips)
        high = np.full(inst.nodes, -1)
        np.minimum.at(low, inst.node_of, chip)
        np.maximum.at(high, inst.node_of, chip)
        return np.where(low == high, low, -1)


@dataclass(frozen=True, eq=False)
class Case:
    """A question and what is known of it.

    Attributes
    ----------
    optimum : least period of all, None if there is no valid placement.
    truths : valid placements, one of the least period first.
    broken : random placements, valid or not; truths without their replicas among them.
    """

    question: Question
    graph: Graph
    hardware: Hardware
    optimum: float | None
    truths: list[Truth]
    broken: list[Placement]
    seed: int


def case_of(question: Question, seed: int, *, trials: int = TRIALS) -> Case | None:
    """The case of a question; None if it is too large for brute force."""
    narrowed = question.narrowed()
    graph, hardware = narrowed.graph, narrowed.hardware
    try:
        optimum, best = brute_force(question.problem, limit=trials)
    except OverflowError:
        return None
    rng = np.random.default_rng(seed)
    truths = [] if best is None else [_truth(question, graph, hardware, best)]
    broken = []
    for _ in range(SAMPLES):
        answer = _random_answer(rng, question, hardware.chips)
        broken.append(_placement(graph, hardware, answer))
        if _valid(question, answer):
            truths.append(_truth(question, graph, hardware, answer))
    alone = [replace(truth.placement, replicas=truth.placement.replicas[:0]) for truth in truths]
    broken += [placement for placement, truth in zip(alone, truths, strict=True) if len(truth.placement.replicas)]
    return Case(question, graph, hardware, optimum, truths, broken, seed)


def _valid(question: Question, answer: dict[str, Any]) -> bool:
    p = Problem(question.problem)
    rules, p.rules = p.rules, p.rules | {"dynamic_memory": False}
    if broken_rules(p, answer):
        return False
    p.rules = rules
    if rules["dynamic_memory"]:
        answer["schedules"] = [least_peak(p, answer, c) for c in range(p.C)]
    return not broken_rules(p, answer)


def _random_answer(rng: np.random.Generator, question: Question, chips: int) -> dict[str, Any]:
    """Homes along a random topological order, or any; some replicas."""
    p = Problem(question.problem)
    order = topological(p)
    drawn = rng.integers(0, int(rng.integers(1, chips + 1)), len(order))
    drawn = np.sort(drawn) if rng.random() < 0.8 else drawn
    home = dict(zip(order, drawn.tolist(), strict=True))
    grouped: dict[Any, int] = {}
    for v in order:
        group = p.operations[v]["group"]
        if group is not None:
            home[v] = grouped.setdefault(group, home[v])
    copied = {v: [c for c in range(home[v] + 1, chips) if rng.random() < 0.3] for v in sorted(p.replicable)}
    replicas = {v: some for v, some in copied.items() if some and p.rules["replication"] and p.rules["acyclic"]}
    return {"assignment": home, "replicas": replicas, "relays": []}


def _placement(graph: Graph, hardware: Hardware, answer: dict[str, Any]) -> Placement:
    parts = {name: answer[name] for name in ("assignment", "replicas", "relays")}
    return Placement.from_names(graph, chips=hardware.chips, **parts)


def _truth(question: Question, graph: Graph, hardware: Hardware, answer: dict[str, Any]) -> Truth:
    p = Problem(question.problem)
    if "kinds" in answer:
        names = [kind.name for kind in hardware.kinds]
        p = p.with_kinds(answer["kinds"])
        if hardware.kind_order == "free":
            hardware = replace(hardware, kind_of_chip=tuple(names.index(kind) for kind in answer["kinds"]))
        if hardware.routed:
            p.positions = answer["positions"]
            hardware = replace(hardware, positions=tuple(answer["positions"]))
    return Truth(graph, hardware, _placement(graph, hardware, answer), float(cost_of(p, answer)["period"]))


def at_most(bound: float, truth: float, slack: float = 1e-9, what: str = "bound") -> None:
    """AssertionError if a bound lies above what there is."""
    assert bound <= truth * (1 + slack) + 1e-300, f"{what} {bound!r} above {truth!r}"


# --- the engines: each returns how many questions it was asked --------------------------------------------------


def ask_trivial(case: Case, truth: Truth) -> int:
    """Work spread evenly, the largest node, pigeonholes."""
    at_most(trivial_bound(truth.instance) * (1 - 1e-9), truth.threshold)
    return 1


def ask_feasibility(case: Case, truth: Truth) -> int:
    """Counting alone must not exclude a placement."""
    assert impossible(case.graph, case.hardware) is None
    return 1


def ask_windows(case: Case, truth: Truth) -> int:
    """Each node's chip is in its window."""
    _inside(WindowRules(truth.instance).windows(truth.threshold * NEXT), truth)
    return 1


def _inside(windows: Windows, truth: Truth, homes: IntArray | None = None) -> None:
    assert not windows.empty, "windows empty"
    homes = truth.homes if homes is None else homes
    out = (homes >= 0) & ((homes < windows.lo) | (homes > windows.hi))
    assert not out.any(), f"node {int(np.argmax(out))} on chip {homes[out][0]} is outside its window"


def ask_separations(case: Case, truth: Truth) -> int:
    """Neighbours said to share a chip do, and windows over what is left hold the placement."""
    tight = Tightening(truth.instance, Stop(LIMIT))
    if tight.separation is None:
        return 0
    threshold = truth.threshold * NEXT
    found = tight.at(threshold)
    assert not found.rules.windows(threshold).empty, "windows of separations empty"
    together: dict[int, int] = {}
    for node, joined in zip(truth.instance.node_of.tolist(), found.instance.node_of.tolist(), strict=True):
        home = int(truth.homes[node])
        if home >= 0:
            assert together.setdefault(joined, home) == home, "neighbours on two chips were joined"
    return 1


def ask_ideals(case: Case, truth: Truth) -> int:
    """The exact program over ideals."""
    return _chain(truth, truth.instance)


def _chain(truth: Truth, instance: Instance) -> int:
    chain = best_chain(instance, truth.threshold * NEXT + 1e-300, stop=Stop(LIMIT))
    if chain is None:
        return 0
    at_most(chain.period, truth.threshold * NEXT, 1e-8, "chain")
    return 1


def ask_tight_ideals(case: Case, truth: Truth) -> int:
    """The same with inseparable neighbours joined."""
    tight = Tightening(truth.instance, Stop(LIMIT))
    return 0 if tight.separation is None else _chain(truth, tight.at(truth.threshold * NEXT).instance)


def ask_levels(case: Case, truth: Truth) -> int:
    """Ideals on several levels, with more left out than in earnest."""
    rng = np.random.default_rng(case.seed)
    limits = sorted(float(x) for x in rng.choice([0.0, 1e-3, 0.05, 0.1, 0.3, 0.6, 1.0], 3, replace=False))
    with (
        patched(milp.ideals.program, TINY=(limits[0],), COARSE=tuple(limits[1:]), FEW=2, COARSER=1),
        patched(milp.ideals.chains, WINDOW=1),
    ):
        return _chain(truth, truth.instance)


def ask_loose_nodes(case: Case, truth: Truth) -> int:
    """Ideals without the nodes that nothing binds, for which blocks are charged, and at times without small ones."""
    loose = loose_nodes(truth.instance)
    if not loose.any():
        return 0
    limit = float(np.random.default_rng(case.seed).choice([0.0, 0.05, 0.4]))
    with patched(
        milp.ideals.program,
        kept_nodes=lambda instance, limit: kept_nodes(instance, limit) & ~loose,
        **({"TINY": (limit,), "COARSE": (1.0,), "FEW": 2, "COARSER": 1} if limit else {}),
    ):
        return _chain(truth, truth.instance)


def ask_round_a_ring(case: Case, truth: Truth) -> int:
    """Chains whose tensors also go back, round the ring."""
    hw = truth.hardware
    if hw.interconnect.topology != "ring" or truth.instance.forward_only or hw.chips == 1:
        return 0
    return _chain(truth, truth.instance)


def ask_forced_relays(case: Case, truth: Truth) -> int:
    """Chains where blocks must relay what passes over them."""
    inst = truth.instance
    kept = ~inst.replicable
    if not kept.any() or forced_relays(inst, np.flatnonzero(kept), transfers(inst, kept)) is None:
        return 0
    return _chain(truth, inst)


def ask_stretches(case: Case, truth: Truth) -> int:
    """Stretches between waists, at first sight and in full."""
    few = int(np.random.default_rng(case.seed).choice([5_000, 4, 0]))
    with (
        patched(milp.ideals.stretches, PART=2.0, FEW_ALIVE=few),
        patched(milp.ideals.program, FEW=2, STEP=1, STEPS=(0.1, 0.2, 0.4)),
    ):
        stretches = Stretches(truth.instance, 2 * truth.threshold, 0.0)
        if not stretches.found or not truth.threshold:
            return 0
        factors = (BEYOND_THE_SLACK, 1.3)
        for factor in factors:
            bound = stretches.ask(truth.threshold * factor, Stop(LIMIT)).bound
            at_most(bound, truth.threshold, 1e-7, f"stretches at {factor}")
    return len(factors)


def ask_frontiers(case: Case, truth: Truth) -> int:
    """The program over frontiers, with and without tiny nodes."""
    inst = truth.instance
    if not Frontiers.applies(inst):
        return 0
    asked = 0
    with patched_tiny(case):
        for program in narrow_frontiers(inst, diverse_orders(inst, np.random.default_rng(case.seed))):
            assert program.decide(truth.threshold * NEXT, stop=Stop(LIMIT)).possible is not False, (
                "frontiers say impossible"
            )
            asked += 1
    return asked


def ask_capacity(case: Case, truth: Truth) -> int:
    """The most compute of a block, and the cheapest block around a node."""
    inst = truth.instance
    if not BlockCapacity.applies(inst) or not truth.threshold:
        return 0
    capacity, stop = BlockCapacity(inst), Stop(20)
    threshold = truth.threshold * SOLVED
    most = capacity.most_work(threshold, time_limit=5, stop=stop)
    _inside(WindowRules(inst).windows(threshold, most), truth)
    plain = (truth.homes >= 0) & ~inst.replicable
    if not plain.any():
        return 1
    work = np.bincount(truth.homes[plain], weights=inst.fastest[plain], minlength=inst.chips)
    at_most(float(work.max()), most, 1e-5, "the work of a chip is above the capacity:")
    node = int(np.random.default_rng(case.seed).choice(np.flatnonzero(plain)))
    found = capacity.cheapest(node, upper=threshold, time_limit=5, stop=stop)
    at_most(found.bound, threshold, 2e-6, "cheapest block")
    return 2


def ask_crowds(case: Case, truth: Truth) -> int:
    """Pigeonholes by work and by the blocks around each node."""
    inst = truth.instance
    crowd = heaviest_crowd(inst)
    if crowd is None:
        return 0
    at_most(crowd.work, truth.threshold, 1e-9, "crowd")
    if not BlockCapacity.applies(inst) or not truth.threshold:
        return 1
    capacity, shares, stop = BlockCapacity(inst), Shares(inst, crowd), Stop(20)
    upper = truth.threshold * SOLVED
    rng = np.random.default_rng(case.seed)
    for node in rng.permutation(np.flatnonzero(crowd.nodes))[:3].tolist():
        shares.ask(node, capacity, upper=upper, time_limit=5, stop=stop)
        at_most(shares.bound(), upper, 4e-6, "shares")
    shares.ask_together(capacity, upper=upper, time_limit=5, stop=stop)
    at_most(shares.bound(), upper, 4e-6, "shares together")
    return 3


def ask_formulation(case: Case, truth: Truth) -> int:
    """The placement keeps the rows of the model over its own homes."""
    homes = truth.homes
    if (homes < 0).any():
        return 0
    return _rows_hold(truth.instance, Windows(homes, homes), truth.threshold * SOLVED)


def ask_thresholds(case: Case, truth: Truth) -> int:
    """The model over the windows of the threshold has a solution."""
    tight = Tightening(truth.instance, Stop(LIMIT)).at(truth.threshold * SOLVED)
    windows = tight.rules.windows(truth.threshold * SOLVED)
    assert not windows.empty, "windows empty"
    return _rows_hold(tight.instance, windows, truth.threshold * SOLVED)


def _rows_hold(instance: Instance, windows: Windows, threshold: float) -> int:
    if not threshold:
        return 0
    try:
        model = compile_model(build(instance, windows, upper=threshold), Stop())
    except ImpossibleRow as error:
        raise AssertionError("a row cannot hold") from error
    narrowed = model.narrowed(windows, period=threshold)
    assert narrowed is not None, "narrowed to nothing"
    outcome = solve(narrowed, time_limit=10, stop=Stop(10), minimise=False)
    assert outcome.status != "infeasible", "HiGHS says infeasible"
    return int(outcome.x is not None)


def ask_memory_cuts(case: Case, truth: Truth) -> int:
    """What placements that break the memory rules teach holds for those that keep them."""
    cuts = MemoryCuts(case.graph, truth.hardware)
    for placement in case.broken:
        cuts.learn(placement)
    capacity = truth.hardware.room
    runs = {*enumerate(truth.placement.assignment.tolist()), *map(tuple, truth.placement.replicas.tolist())}
    relays = set(map(tuple, truth.placement.relays.tolist()))
    for cut, c in itertools.product(cuts.known, range(truth.hardware.chips)):
        if capacity[c] <= cut.capacity:
            total = sum((v, c) in runs for v in cut.on.tolist()) - sum((v, c) in runs for v in cut.off.tolist())
            total += sum((t, c) in relays for t in cut.relays.tolist())
            assert total <= len(cut.on) + len(cut.relays) - 1, "a cut excludes a valid placement"
    return len(cuts.known)


def ask_stages(case: Case, truth: Truth) -> int:
    """Stages stand on every chip once, and moving them makes nothing worse."""
    if not (truth.hardware.routed and truth.hardware.identical_chips):
        return 0
    start = replace(truth.hardware, positions=())
    ways = [by_model] if case.seed % 2 else WAYS
    moved = arrange(case.graph, start, truth.placement, stop=Stop(20), ways=ways)
    assert sorted(moved.stage_positions) == list(range(moved.chips))
    p = Problem(case.question.problem).with_kinds([moved.kinds[k].name for k in moved.kind_of_chip])
    answer = {"assignment": dict(zip(case.graph.names, truth.placement.assignment.tolist(), strict=True))}
    answer |= {"replicas": {}, "relays": []}
    for v, c in truth.placement.replicas.tolist():
        answer["replicas"].setdefault(case.graph.names[v], []).append(c)
    p.positions = list(moved.stage_positions)
    after = cost_of(p, answer)["period"]
    if len(case.graph.names) and case.optimum is not None:
        assert after >= case.optimum * (1 - 1e-9), "better than the best"
    least = truth.period
    for places in itertools.permutations(range(moved.chips)) if moved.chips <= 4 else ():
        p.positions = list(places)
        least = min(least, cost_of(p, answer)["period"])
    if moved.chips <= 9:
        assert after <= least * (1 + 1e-5), f"positions of period {least} exist, found {after}"
    return 1


def ask_downsets(case: Case, truth: Truth) -> int:
    """Neither end of the line calls the loads of the placement impossible, in its order of kinds or in any."""
    inst, homes = truth.instance, truth.homes
    if not applies(inst):
        return 0
    grid = grid_of(case.graph, truth.hardware)
    tasks, tick = tasks_of(inst, grid)
    kind = inst.hardware.kind_array()
    load = int(min(truth.period * NEXT / tick, float(np.where(tasks.ticks < NEVER, tasks.ticks, 0).sum())))
    if (homes >= 0).all():
        loads = np.zeros(inst.chips, np.int64)
        np.add.at(loads, homes, tasks.ticks[kind[homes], np.arange(tasks.count)])
        load = int(loads.max())
    if not load:
        return 0
    ordered = tasks.without_symmetry()
    asked = 0
    for (end, kinds), free in itertools.product(((ordered, kind), (ordered.reversed(), kind[::-1])), (False, True)):
        line = Line(kinds, free)
        chosen = None if line.alike else prices(tasks.ticks[: len(line.total)], line.total)
        for width, guide in (*((1, guide) for guide in Guide), (1_000, Guide.BUDGET)):
            verdict = Pass(Threshold(end, line, load, chosen), guide).decide(width, Stop(LIMIT))
            assert verdict.possible is not False, f"down-sets say impossible, free={free}"
            asked += 1
    for free in (False, True):
        question = both_ends(tasks, kind, free, load)
        for width in (1, 30, 1_000):
            assert question.prove(width, Stop(LIMIT)).possible is not False, f"both ends say impossible, free={free}"
            asked += 1
        for way, guide in itertools.product((0, 1), Guide):
            assert question.find(way, guide, 1, Stop(LIMIT)).possible is not False, f"told by both ends, free={free}"
    return asked


def ask_lines(seed: int) -> int:
    """Both ends of a line about its least load, with more and more width."""
    tasks, stations, free = long_line(np.random.default_rng(seed))
    question = both_ends(tasks, stations, free, least_load(tasks, stations, free))
    widths = 2, 4, 8, 16, 32
    for width in widths:
        assert question.prove(width, Stop(LIMIT)).possible is not False, f"both ends say impossible, width={width}"
    return len(widths)


def ask_values(case: Case, truth: Truth) -> int:
    """No bound below the period is rounded up past it."""
    grid = grid_of(case.graph, truth.hardware)
    if grid is None or not truth.period:
        return 0
    for share in (1 - 1e-9, 1 - 1e-5, 0.99, 0.6):
        at_most(grid.up(truth.period * share), truth.period, 1e-12, f"rounded up from {share}")
    assert grid.below(truth.period) < truth.period
    return 1


PER_TRUTH: dict[str, Callable[[Case, Truth], int]] = {
    "trivial bounds": ask_trivial,
    "feasibility": ask_feasibility,
    "windows": ask_windows,
    "separations": ask_separations,
    "ideals": ask_ideals,
    "ideals, separated": ask_tight_ideals,
    "levels": ask_levels,
    "loose nodes": ask_loose_nodes,
    "chains round a ring": ask_round_a_ring,
    "forced relays": ask_forced_relays,
    "stretches": ask_stretches,
    "frontiers": ask_frontiers,
    "capacity": ask_capacity,
    "crowds": ask_crowds,
    "down-sets": ask_downsets,
    "values that can occur": ask_values,
    "formulation": ask_formulation,
    "thresholds": ask_thresholds,
    "memory cuts": ask_memory_cuts,
    "stages": ask_stages,
}
"""Engines asked about every placement."""

BUILDING = {"capacity", "crowds", "formulation", "thresholds"}
"""Those that build models."""

DIRECT: dict[str, Callable[[int], int]] = {"down-sets": ask_lines}
"""Engines that are asked without a graph or a package, every second time that a question is made for them."""

SLOW = BUILDING | {"down-sets"}
"""Those that take long, down-sets as they are asked in many ways: asked about two placements of a case."""


WORK = 0.002, 0.01, 0.05, None
"""Units of work for the whole search: a bound holds wherever it ends. None: a limit that it seldom meets."""


def ask_whole(case: Case) -> int:
    """The whole search; links with routes may keep it from closing its gap, so it is not given long."""
    work = WORK[case.seed % len(WORK)]
    limits: dict[str, Any] = {"time_limit": 5} if work is None else {"work_limit": work}
    try:
        result = partition(*case.question.read(), **limits, **case.question.wishes)
    except NoSolutionInTime:
        return 0
    if case.optimum is None:
        assert result.status == "infeasible", f"{result.status}, yet there is no valid placement"
        return 1
    assert result.status != "infeasible", f"infeasible, yet {case.optimum} can be had"
    at_most(result.bound, case.optimum)
    assert result.period >= case.optimum * (1 - 1e-9)
    return 1


def ask_kind_orders(case: Case) -> int:
    """The whole search where the kinds may stand in any order."""
    if case.hardware.kind_order == "fixed" or case.hardware.identical_chips:
        return 0
    return ask_whole(case)


def ask_goals(case: Case) -> int:
    """Every other goal that is offered, within the period of a placement at hand."""
    rng = np.random.default_rng(case.seed)
    offered = [goal for goal in ("traffic", "energy", "latency", "chips") if _offered(goal, case)]
    for goal in offered if case.truths else ():
        truth = case.truths[int(rng.integers(0, len(case.truths)))]
        limit = truth.period * float(rng.choice([1 + 1e-9, 1.5]))
        least, _ = brute_force(case.question.problem, goal=goal, limits={"period": limit * (1 + 1e-9)})
        assert least is not None
        _, (reached,) = pursue(
            case.graph, truth.hardware, truth.placement, [goal], [], period_limit=limit, gap=1e-4, stop=Stop(20), seed=0
        )
        at_most(reached.bound, least, 1e-9, goal)
        assert reached.value >= least * (1 - 3e-8), f"{goal}: {reached.value} below the least, {least}"
    return len(offered) if case.truths else 0


def _offered(goal: str, case: Case) -> bool:
    """Whether a goal is offered for the graph and the package of a case."""
    try:
        return bool(parse_goals(goal, case.graph, case.hardware))
    except InvalidInput:
        return False


def ask_replay(case: Case) -> int:
    """A replay, without the placement at hand, proves no period above the optimum, and not that nothing is valid."""
    if not case.optimum or case.question.wishes:  # with wishes no proof is kept
        return 0
    judge = Judge(read_question(to_dict(case.graph), to_toml(case.hardware)), None, time.process_time() + 10)
    instance = contract(case.graph, case.hardware)
    evidence = {"left_out": np.flatnonzero(loose_nodes(instance)[instance.node_of]).tolist()}
    for below in (Fraction(case.optimum) * (1 + Fraction(1, 10**7)), None):
        found = judge.step(Claim(0, "model", below, (), (), evidence), [])
        assert found.verdict not in ("proved", "second solver"), found.how
    return 2


def ask_replayed_goals(case: Case) -> int:
    """A replay proves of no goal that all placements within a period have more than the least there is."""
    if not case.truths or case.hardware.routed:
        return 0
    rng = np.random.default_rng(case.seed)
    truth = case.truths[int(rng.integers(0, len(case.truths)))]
    limit = truth.period * float(rng.choice([1 + 1e-9, 1.5, 10.0]))
    question = read_question(to_dict(case.graph), to_toml(case.hardware))
    placement = truth.placement
    pairs = [frozenset(map(tuple, each.tolist())) for each in (placement.replicas, placement.relays)]
    kinds, where = truth.hardware.kind_of_chip, tuple(range(truth.hardware.chips))
    placed = Placed(question, tuple(placement.assignment.tolist()), pairs[0], pairs[1], kinds, where, {})
    goals = ["traffic", "energy", "latency", "chips"]
    goal = str(rng.choice(goals[: 4 if truth.instance.forward_only else 2]))
    least, _ = brute_force(case.question.problem, goal=goal, limits={"period": limit * (1 + 1e-9)})
    assert least is not None
    judge = Goals(placed, {"goals": [], "period_limit": limit}, None, time.process_time() + 10)
    assert judge.least(goal) <= Fraction(least) * (1 + Fraction(1, 10**9)), f"{goal} by sums"
    if not least:
        return 1
    found = judge.second(goal, Fraction(least) * (1 + Fraction(1, 10**7)))
    assert found[0] != "second solver", f"{goal}: {found[1]}, yet {least} is"
    return 2


PER_CASE: dict[str, Callable[[Case], int]] = {
    "replay": ask_replay,
    "replay of goals": ask_replayed_goals,
    "whole search": ask_whole,
    "kind orders": ask_kind_orders,
    "goals": ask_goals,
}
"""Engines asked once."""


@contextlib.contextmanager
def patched(module: Any, **values: Any) -> Iterator[None]:
    """Within, constants of a module have other values."""
    before = {name: getattr(module, name) for name in values}
    for name, value in values.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


def patched_tiny(case: Case) -> contextlib.AbstractContextManager[None]:
    """Frontiers with nodes left out that are not so tiny."""
    import milp.frontiers.program

    return patched(
        milp.frontiers.program, FRONTIER_TINY=(0.0, float(np.random.default_rng(case.seed).choice([1e-2, 0.3, 1.0])))
    )


@dataclass
class Tally:
    """Questions asked of each engine, and what went wrong: (engine, seed, what).

    Attributes
    ----------
    cases : questions with a known optimum. pairs : of features that met in a case of each engine.
    """

    asked: dict[str, int] = field(default_factory=dict)
    wrong: list[tuple[str, int, str]] = field(default_factory=list)
    cases: int = 0
    pairs: dict[str, set[tuple[str, str]]] = field(default_factory=dict)


def examine(seed: int, tally: Tally, engines: set[str], *, trials: int = TRIALS, **pinned: Any) -> None:
    """Draw a question, ask the engines, note every answer that the truth contradicts."""
    question = draw(np.random.default_rng(seed), **pinned)
    try:
        case = case_of(question, seed, trials=trials)
    except InvalidInput as refused:
        tally.wrong.append(("reading", seed, str(refused)))
        return
    if case is None:
        return
    tally.cases += 1
    before = dict(tally.asked)
    for name, ask in PER_CASE.items():
        if name in engines:
            _note(tally, name, seed, lambda ask=ask: ask(case))  # type: ignore[misc]
    for (i, truth), (name, ask_one) in itertools.product(enumerate(case.truths), PER_TRUTH.items()):
        if name in engines and (i < 2 or name not in SLOW):
            _note(tally, name, seed, lambda ask=ask_one, truth=truth: ask(case, truth))  # type: ignore[misc]
    met = question.pairs()
    for name in engines:
        if tally.asked.get(name, 0) > before.get(name, 0):
            tally.pairs.setdefault(name, set()).update(met)


def examine_engine(seed: int, tally: Tally, engine: str, *, trials: int = TRIALS, needed: bool = False) -> None:
    """The same for one engine, with a question of its strata, or any that it can be asked about."""
    if engine in DIRECT and seed % 2:
        _note(tally, engine, seed, lambda: DIRECT[engine](seed))
        return
    pinned = (needed_for if needed else pinned_for)(engine, np.random.default_rng(seed))
    examine(seed, tally, {engine}, trials=trials, **pinned)


def _note(tally: Tally, name: str, seed: int, ask: Callable[[], int]) -> None:
    try:
        tally.asked[name] = tally.asked.get(name, 0) + ask()
    except (Exception, RefutedBound) as error:
        entry = (name, seed, f"{type(error).__name__}: {' '.join(str(error).split())}")
        if entry not in tally.wrong:
            tally.wrong.append(entry)
