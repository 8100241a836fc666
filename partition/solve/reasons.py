"""Why an answer cannot be better: what every placement that is as good must do, by counting and by windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from milp.chip_bounds.pigeonholes import heaviest_crowd
from milp.tolerances import RESOLUTION, ROUNDING
from milp.windows.windows import WindowRules, Windows
from partition.amounts import percent_text
from partition.arrays import BoolArray
from partition.instance.contract import contract
from partition.instance.instance import Instance
from partition.one_thread import one_thread
from partition.results.lower_bound import GIVEN
from partition.results.result import Result
from partition.results.wall import NEAR, link_name
from partition.results.why import PLAIN, WORTH, Why, WhyKind, names_text, open_text, proved_by

MOST_NODES = 2_800
"""Nodes up to which windows are worked out for the reason alone; that takes well under a second."""


@dataclass(frozen=True)
class _Fact:
    """Something that every placement as good as the answer has to bear; ``share`` of the period, and it in words."""

    kind: WhyKind
    share: float
    sentence: str
    operations: tuple[str, ...] = ()
    tensors: tuple[str, ...] = ()
    chip: int | None = None
    link: int | None = None


def explained(result: Result) -> Result:
    """The result with the reason why it cannot be better."""
    return replace(result, why=why_of(result))


@one_thread()
def why_of(result: Result) -> Why | None:
    """Why no placement has a shorter period; None where there is no placement, or it was not asked for the period."""
    goals = [reached.goal for reached in result.goals]
    if result.placement is None or (goals and goals[0] != "period"):
        return None
    engine, how = proved_by(result.proof, result.graph)
    if not result.period > 0:
        return Why("nothing", 0.0, None, None, (), (), engine, "no period is below 0")
    gap = (result.period - result.bound) / result.period
    if not result.bound > 0:
        return Why("nothing", 0.0, None, None, (), (), engine, "nothing is proved about shorter periods")
    fact = _best_fact(result)
    worth, proved = fact.share >= WORTH, result.bound / result.period * (1 - RESOLUTION)
    parts = [fact.sentence] if worth else []
    if fact.share < min(NEAR, proved) or not worth or engine not in ("work", "windows", ""):
        if how and fact.share < proved:
            start = "the rest is not proved here" if engine == GIVEN else "the rest is by search"
            parts.append(f"{start}: {how}" if worth else how)
        elif not (how or worth):
            parts.append("no record was kept of what proved the bound")
    sentence = "; ".join(parts or [fact.sentence]) + (open_text(gap) if gap > RESOLUTION else "")
    if not worth:
        return Why("search", 0.0, None, None, (), (), engine, sentence)
    share = min(1.0, fact.share)
    return Why(fact.kind, share, fact.chip, fact.link, fact.operations, fact.tensors, engine, sentence)


def _best_fact(result: Result) -> _Fact:
    """The first fact that accounts for nearly all of the period, or else the one that does for most."""
    instance = result.problem.kept(contract)
    best: _Fact | None = None
    for find in (_counted, _by_windows):
        for fact in find(result, instance):
            if fact.share >= NEAR:
                return fact
            if best is None or fact.share > best.share:
                best = fact
        if best is not None and best.share >= PLAIN:
            break
    assert best is not None
    return best


def _counted(result: Result, instance: Instance) -> Iterator[_Fact]:
    """What counting tells, the plainest first."""
    period = result.period / instance.unit
    time = instance.fastest
    heaviest = int(time.argmax())
    names = _names(instance, np.arange(instance.nodes) == heaviest)
    more = f" with the {len(names) - 1} that must share its chip" if len(names) > 1 else ""
    alone = float(time[heaviest]) / period
    what = f"operation {names_text(names[:1], instance.graph)}{more}"
    yield _Fact(
        "operation", alone, f"{what} alone takes {percent_text(alone)} of the period, and it runs on one chip", names
    )
    yield _work(result, instance, period)
    yield from _streamed(instance, period)
    crowd = heaviest_crowd(instance)
    if crowd is not None:
        names = _names(instance, crowd.nodes)
        yield _Fact(
            "crowd",
            crowd.work / period,
            f"some chip runs {crowd.count} of the {int(crowd.nodes.sum())} heaviest operations "
            f"({names_text(names, instance.graph)}): "
            f"the lightest {crowd.count} of them take {percent_text(crowd.work / period)} of the period",
            names,
        )


def _work(result: Result, instance: Instance, period: float) -> _Fact:
    """How much of the time of all chips the work takes; of different kinds, with the prices at which that is most."""
    what = "the work in all"
    if result.hardware.identical_chips:
        even = float(instance.fastest.sum()) / instance.chips / period
        idle = f"all chips together are idle for {percent_text(1 - even)}"
        left = idle if even < 1 - RESOLUTION else "no chip is ever idle"
    else:
        what += ", however it is shared out among the kinds of chips,"
        priced = ((float(work.sum()), float(paid.sum())) for work, paid in WindowRules(instance).prices)
        even = max(work / paid for work, paid in priced if paid > 0) / period
        left = "what is left goes to operations that are not where they are fastest, and to idle time"
    if result.hardware.streams:
        left = "what is left goes to streaming weights and to transfers"
    takes = "fills" if result.hardware.identical_chips else "takes at least"
    return _Fact("work", even, f"{what} {takes} {percent_text(even)} of the time of all chips: {left}")


def _by_windows(result: Result, instance: Instance) -> Iterator[_Fact]:
    """What windows tell, and what cannot be torn apart."""
    period = result.period / instance.unit
    free_order = result.hardware.kind_order == "free" and not result.hardware.identical_chips
    if instance.nodes <= MOST_NODES and instance.chips > 1 and not free_order:
        windows = WindowRules(instance).windows(period * (1 + ROUNDING))
        if not windows.empty:
            yield from _bound_to_chips(result, instance, windows)
            yield from _bound_to_links(result, instance, windows)
    yield from _inseparable(result, instance)


def _streamed(instance: Instance, period: float) -> Iterator[_Fact]:
    """What has to be streamed, of the node that takes longest with it, and in all."""
    if not instance.streaming.any():
        return
    heaviest = int(instance.least_alone.argmax())
    share = float(instance.least_alone[heaviest]) / period
    names = _names(instance, np.arange(instance.nodes) == heaviest)
    yield _Fact(
        "streaming",
        share,
        f"operation {names[0]!r} alone takes {percent_text(share)} of the period, "
        "with the weights that its chip streams",
        names,
    )
    share = instance.least_spread / period
    beside = "the work in all, and to stream" if instance.hardware.streams_in_turn else "to stream"
    yield _Fact(
        "streaming", share, f"{beside} what all SRAM together cannot hold takes {percent_text(share)} of the period"
    )


def _inseparable(result: Result, instance: Instance) -> Iterator[_Fact]:
    """The longest of the sets of operations that a shorter placement would have to keep together, as the proof says."""
    steps = [*result.proof] if len(result.proof) == 1 else []
    best, share = np.zeros(instance.nodes, dtype=bool), 0.0
    while steps:
        step = steps.pop()
        steps += step.rests_on
        for members in step.evidence.get("joined", ()):
            nodes = np.zeros(instance.nodes, dtype=bool)
            nodes[instance.node_of[members]] = True
            load = float(instance.fastest[nodes].sum()) * instance.unit / result.period
            if load > share:
                best, share = nodes, load
    if share > 0:
        names = _names(instance, best)
        yield _Fact(
            "operations",
            share,
            f"a shorter placement would have to keep {_these(instance, names)} on one chip, as what they send each "
            f"other takes too long: together they take {percent_text(share)} of the period",
            names,
        )


def _bound_to_chips(result: Result, instance: Instance, windows: Windows) -> Iterator[_Fact]:
    """What the chip with most of it must compute, as those operations can be on no other."""
    fixed = windows.lo == windows.hi
    kinds = instance.hardware.kind_array()
    time = np.where(instance.supported, instance.time, 0.0)[kinds[windows.lo], np.arange(instance.nodes)]
    load = np.bincount(windows.lo[fixed], weights=time[fixed], minlength=instance.chips)
    chip = int(load.argmax())
    share = float(load[chip]) * instance.unit / result.period
    names = _names(instance, fixed & (windows.lo == chip) & (time > 0))
    if names:
        verb = "it takes" if len(names) == 1 else "they take"
        yield _Fact(
            "chip",
            share,
            f"in every placement as good, chip {chip} runs {_these(instance, names)}: "
            f"{verb} {percent_text(share)} of the period",
            names,
            chip=chip,
        )


def _bound_to_links(result: Result, instance: Instance, windows: Windows) -> Iterator[_Fact]:
    """What the link with most of it must carry, from chips before it to chips behind it."""
    if not instance.links_carry_cuts or not instance.tensors or result.hardware.routed:
        return
    readers = instance.readers
    last_reader = np.maximum.reduceat(windows.lo[readers], instance.reader_ptr[:-1])
    leaves = windows.hi[instance.source]
    bound = ~instance.replicable[instance.source] & (last_reader > leaves)
    chips = instance.chips
    steps = np.bincount(leaves[bound], weights=instance.tau[bound], minlength=chips + 1)
    steps -= np.bincount(last_reader[bound], weights=instance.tau[bound], minlength=chips + 1)
    load = np.cumsum(steps)[: chips - 1]
    if not len(load) or not bound.any():
        return
    link = int(load.argmax())
    share = float(load[link]) * instance.unit / result.period
    rows = np.flatnonzero(bound & (leaves <= link) & (last_reader > link))
    tensors = np.flatnonzero(np.isin(instance.members, rows) & (instance.members >= 0))
    names = tuple(instance.graph.tensor_names[t] for t in tensors.tolist())
    if names:
        them = "tensor" if len(names) == 1 else f"{len(names)} tensors"
        yield _Fact(
            "link",
            share,
            f"{link_name(result.problem, link)} carries the {them} {names_text(names)} in every placement as good: "
            f"that takes {percent_text(share)} of the period",
            tensors=names,
            link=link,
        )


def _names(instance: Instance, nodes: BoolArray) -> tuple[str, ...]:
    """Operations of nodes that take time, the longest first; all of them where none takes any."""
    inside = np.flatnonzero(nodes[instance.node_of])
    times = instance.problem.fastest[inside]
    order = np.argsort(-times, kind="stable")
    inside, times = inside[order], times[order]
    timed = inside[times > 0]
    return tuple(instance.graph.names[v] for v in (timed if len(timed) else inside).tolist())


def _these(instance: Instance, names: tuple[str, ...]) -> str:
    told = names_text(names, instance.graph)
    return told if len(names) <= 1 else f"these {len(names)} operations ({told})"
