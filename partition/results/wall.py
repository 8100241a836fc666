"""The wall: an operation, the work in all, streaming, a link or a chip that holds the period, and what is next.

Some bounds need no search: the heaviest operation on its fastest chip, the work in all spread evenly, and what has to
be streamed. Where one of them is (nearly) the period, it is the wall. Otherwise the wall is the heaviest chip or link
of the placement itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from partition.amounts import bytes_text, percent_text
from partition.instance.contract import contract
from partition.instance.instance import Instance
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.scoring.breakdown import Breakdown, Parts
from partition.scoring.cost import Cost

NEAR = 0.98
"""Share of the period from which one operation, or the work in all, is what holds it."""

FULL = 0.9
"""Share of the package's SRAM from which the weights are worth a word."""

SHOWN = 2
"""Operations of a chip that are named."""

LISTED = 20
"""Parts of the busiest chip or link that are listed one by one, the largest first."""

EQUAL = 1e-9
"""Relative difference within which two loads are the same."""

BEYOND_SRAM = "weights beyond the SRAM"
"""What is streamed, where parts of a load are named."""

WallKind = Literal["operation", "work", "streaming", "link", "chip", "nothing"]

Activity = Literal["computes", "streams", "receives", "sends", "carries"]


@dataclass(frozen=True)
class WallPart:
    """One operation or tensor of the busiest chip or link, and what it takes there in the hardware's time unit."""

    doing: Activity
    name: str
    time: float


@dataclass(frozen=True)
class Busiest:
    """The chips and links whose load is the period, and what the first of them is made of.

    Attributes
    ----------
    chips, links : by number.
    parts : of the first link, or else of the first chip, the longest first; at most 20.
    count, time : of the parts that are not listed.
    """

    chips: tuple[int, ...]
    links: tuple[int, ...]
    parts: tuple[WallPart, ...]
    count: int
    time: float


@dataclass(frozen=True)
class Wall:
    """What holds the period of one placement.

    Attributes
    ----------
    kind : ``operation``, ``work``, ``streaming``, ``link``, ``chip``, or ``nothing`` for a period of 0. ``work`` is
        that of all operations together. ``streaming`` is of one operation's weights, or of all that the SRAM cannot
        hold.
    what : the operation (of several that must share a chip, the heaviest), or the chip or link in words.
    value : what it takes by itself, in the hardware's time unit: a bound on every period for ``operation``,
        ``work`` and ``streaming``, a load of this placement for ``link`` and ``chip``.
    share : of the period.
    without : for ``operation``, ``work`` and ``streaming`` what no period is below without it; for ``link`` and
        ``chip`` the next load of this placement.
    sentence : all this in words.
    busiest : the chips and links at the period.
    """

    kind: WallKind
    what: str
    value: float
    share: float
    without: float
    sentence: str
    busiest: Busiest

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def wall_of(
    problem: Problem, placement: Placement, cost: Cost, shown: Callable[[float], str], stages: int | None = None
) -> Wall:
    """What holds the period of a placement.

    Parameters
    ----------
    cost : of the placement, a batch of one.
    shown : a time in words.
    stages : the chips that may be used, if a wish says how many.
    """
    period = float(cost.period[0])
    if not 0 < period < np.inf:
        return Wall("nothing", "", 0.0, 0.0, 0.0, "nothing takes any time", Busiest((), (), (), 0, 0.0))
    graph, hardware = problem.graph, problem.hardware
    loads = Breakdown(problem, placement)
    busiest = _busiest(loads, cost)
    instance = problem.kept(contract)
    time = instance.fastest * instance.unit
    heaviest = int(time.argmax())
    others = np.delete(time, heaviest)
    chips = min(hardware.chips, stages or hardware.chips)
    even = float(time.sum()) / chips
    without_it = max(float(others.max(initial=0.0)), float(others.sum()) / chips)
    room = _memory(graph, hardware)
    if time[heaviest] >= NEAR * period:
        name, size = _name(instance, heaviest)
        value, share = float(time[heaviest]), float(time[heaviest]) / period
        what = f"{name!r}" if size == 1 else f"{name!r} with the {size - 1} that must share its chip"
        where = int(placement.assignment[graph.names.index(name)])
        say = (
            f"the wall is one operation: {what} alone takes {shown(value)} on chip {where}, {percent_text(share)} of "
            f"the period; without it the rest needs at least {shown(without_it)}{room}"
        )
        return Wall("operation", name, value, share, without_it, say, busiest)
    if even >= NEAR * period:
        say = (
            f"the wall is the work in all: it keeps every chip busy {percent_text(even / period)} of the period; more "
            f"or faster chips would lower it, down to the {shown(float(time[heaviest]))} of "
            f"{_name(instance, heaviest)[0]!r}{room}"
        )
        return Wall("work", "all operations", even, even / period, float(time[heaviest]), say, busiest)
    streamed = _streamed(instance, placement, period, shown)
    if streamed is not None:
        kind, what, value, without, say = streamed
        return Wall(kind, what, value, value / period, without, say, busiest)
    floor = shown(max(even, instance.least_period * instance.unit))
    return _of_placement(loads, cost, busiest, shown, f"; operations and work alone would allow {floor}{room}")


def _streamed(
    instance: Instance, placement: Placement, period: float, shown: Callable[[float], str]
) -> tuple[WallKind, str, float, float, str] | None:
    """Kind, what it is, its value, what is next and the sentence, where weights that are streamed hold the period."""
    if not instance.streaming.any():
        return None
    unit, hw, alone = instance.unit, instance.hardware, instance.least_alone * instance.unit
    compute = max(float(instance.fastest.sum()) / hw.chips, float(instance.fastest.max())) * unit
    heaviest, even = int(alone.argmax()), instance.least_spread * unit
    turn = "computes, and then streams" if hw.streams_in_turn else "streams"
    if alone[heaviest] >= NEAR * period:
        name, _ = _name(instance, heaviest)
        where = int(placement.assignment[instance.graph.names.index(name)])
        over = float(instance.all_weights[heaviest] - hw.sram_bytes[where])
        value, without = float(alone[heaviest]), float(np.delete(alone, heaviest).max(initial=0.0))
        say = (
            f"the wall is streaming: {name!r} alone {turn} {bytes_text(over)} of weights beyond the SRAM of chip "
            f"{where}, {shown(value)} or {percent_text(value / period)} of the period; more SRAM or dram_bandwidth "
            f"would lower it, and the work alone would allow {shown(compute)}"
        )
        return "streaming", name, value, without, say
    if even >= NEAR * period:
        over = instance.graph.weight_bytes - float(hw.sram_bytes.sum())
        beside = "with the work in all, " if hw.streams_in_turn else ""
        say = (
            f"the wall is streaming: {bytes_text(over)} of weights are beyond all SRAM; {beside}they keep every chip "
            f"busy {percent_text(even / period)} of the period; more chips, SRAM or dram_bandwidth would lower it, and "
            f"the work alone would allow {shown(compute)}"
        )
        return "streaming", BEYOND_SRAM, even, compute, say
    return None


def _busiest(loads: Breakdown, cost: Cost) -> Busiest:
    """The chips and links at the period, and what the first link, or else the first chip, is made of."""
    problem, near = loads.problem, float(cost.period[0]) * (1 - EQUAL)
    chips = np.flatnonzero(cost.load[0] >= near).tolist()
    links = np.flatnonzero(cost.link[0] >= near).tolist()
    graph = problem.graph
    made_of: list[tuple[Activity, tuple[str, ...], Parts]] = []
    if links:
        made_of = [("carries", graph.tensor_names, loads.link(links[0]))]
    elif chips:
        moved: list[tuple[Activity, tuple[str, ...], Parts]] = [
            ("receives", graph.tensor_names, loads.receive(chips[0])),
            ("sends", graph.tensor_names, loads.send(chips[0])),
        ]
        work = _work(loads, chips[0], float(cost.stream[0, chips[0]]))
        made_of = [*work, *moved]
        if not problem.hardware.serial:  # the longest of the three alone is the load
            made_of = max([work, *([part] for part in moved)], key=lambda parts: sum(part[2].total for part in parts))
    parts = [
        WallPart(doing, names[v], t)
        for doing, names, part in made_of
        for v, t in zip(part.rows.tolist(), part.times.tolist(), strict=True)
        if t > 0
    ]
    parts.sort(key=lambda part: -part.time)
    rest = parts[LISTED:]
    return Busiest(tuple(chips), tuple(links), tuple(parts[:LISTED]), len(rest), float(sum(p.time for p in rest)))


def _work(loads: Breakdown, chip: int, stream: float) -> list[tuple[Activity, tuple[str, ...], Parts]]:
    """What a chip computes and streams; the longer of the two where they overlap."""
    graph, hardware = loads.problem.graph, loads.problem.hardware
    streamed = Parts(np.zeros(1, dtype=np.int64), np.array([stream]))
    both: list[tuple[Activity, tuple[str, ...], Parts]] = [
        ("computes", graph.names, loads.compute(chip)),
        ("streams", (BEYOND_SRAM,), streamed),
    ]
    return both if hardware.streams_in_turn else [max(both, key=lambda part: part[2].total)]


def _of_placement(loads: Breakdown, cost: Cost, busiest: Busiest, shown: Callable[[float], str], tail: str) -> Wall:
    """The heaviest link or chip of the placement, where no single operation nor all work explains the period."""
    problem, period = loads.problem, float(cost.period[0])
    every = np.concatenate([cost.link[0], cost.load[0]])
    after = float(every[every < period * (1 - EQUAL)].max(initial=0.0))
    rest = f"; the next load is {shown(after)}{tail}"
    if busiest.links:
        what = link_name(problem, busiest.links[0])
        size = period * problem.hardware.interconnect.link_bandwidth
        say = f"the wall is {what}: it carries {bytes_text(size)} for every input, which takes {shown(period)}{rest}"
        return Wall("link", what, period, 1.0, after, say, busiest)
    hw, chip = problem.hardware, busiest.chips[0]
    kind = "" if hw.identical_chips else f" ({hw.kinds[hw.kind_of_chip[chip]].name})"
    compute, stream, receive, send = (float(x[0, chip]) for x in (cost.compute, cost.stream, cost.receive, cost.send))
    works = f"it computes {shown(compute)}{_heaviest(loads, chip, shown)}"
    if stream > 0:
        over = bytes_text(float(cost.sram[0, chip]) - float(hw.sram_bytes[chip]))
        works += f", streams {over} of weights beyond its SRAM {shown(stream)}"
        works += " in turn with it" if hw.streams_in_turn else " beside it"
    if hw.serial and receive + send > 0:
        why = f"{works}, receives {shown(receive)} and sends {shown(send)}"
    elif max(compute, stream) >= max(receive, send) or hw.streams_in_turn:
        why = works
    else:
        why = f"it receives {shown(receive)} and sends {shown(send)}, and computes {shown(compute)}"
    return Wall("chip", f"chip {chip}", period, 1.0, after, f"the wall is chip {chip}{kind}: {why}{rest}", busiest)


def _heaviest(loads: Breakdown, chip: int, shown: Callable[[float], str]) -> str:
    """The heaviest operations of a chip in brackets."""
    parts = loads.compute(chip)
    first = np.argsort(-parts.times, kind="stable")[:SHOWN]
    told = [f"{loads.problem.graph.told(int(parts.rows[i]))} {shown(float(parts.times[i]))}" for i in first.tolist()]
    more = len(parts.rows) - len(first)
    return f" ({', '.join(told)}{f' and {more} more' if more else ''})"


def _name(instance: Instance, node: int) -> tuple[str, int]:
    """The heaviest operation of a node, and how many operations the node has that take time."""
    inside = np.flatnonzero(instance.node_of == node)
    times = instance.problem.fastest[inside]
    return instance.graph.names[int(inside[times.argmax()])], max(1, int((times > 0).sum()))


def link_name(problem: Problem, link: int) -> str:
    """A link in words, by the chips that it joins."""
    hardware = problem.hardware
    if not hardware.routed:
        return f"the link behind chip {link}"
    stage = {place: c for c, place in enumerate(hardware.stage_positions)}
    a, b = problem.routes.ends[link].tolist()
    return f"the link from {_stand(stage, a)} to {_stand(stage, b)}"


def _stand(stage: dict[int, int], place: int) -> str:
    return f"chip {stage[place]}" if place in stage else f"place {place}"


def _memory(graph: Graph, hardware: Hardware) -> str:
    """A word on memory, where the weights nearly fill the package."""
    total = float(hardware.sram_bytes.sum())
    if hardware.streams or not (hardware.rules.memory and 0 < total < np.inf):
        return ""
    share = graph.weight_bytes / total
    return f"; weights fill {percent_text(share)} of all SRAM, which leaves little choice" if share >= FULL else ""
