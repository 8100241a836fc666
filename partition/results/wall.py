"""The wall: one operation, the work in all, a link or a chip that holds the period, and what is next without it.

Two bounds need no search: no period is below the time of the heaviest indivisible operation on its fastest chip, nor
below the work in all spread evenly over the chips. Where one of them is (nearly) the period, it is the wall. Otherwise
the wall is the heaviest chip or link of the placement itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from partition.amounts import bytes_text
from partition.instance.contract import contract
from partition.instance.instance import Instance
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.scoring.cost import Cost

NEAR = 0.98
"""Share of the period from which one operation, or the work in all, is what holds it."""

FULL = 0.9
"""Share of the package's SRAM from which the weights are worth a word."""

SHOWN = 2
"""Operations of a chip that are named."""

EQUAL = 1e-9
"""Relative difference within which two loads are the same."""

Kind = Literal["operation", "work", "link", "chip", "nothing"]


@dataclass(frozen=True)
class Wall:
    """What holds the period of one placement.

    Attributes
    ----------
    kind : ``operation``, ``work`` (of all operations together), ``link``, ``chip``, or ``nothing`` for a period of 0.
    what : the operation (of several that must share a chip, the heaviest), or the chip or link in words.
    value : what it takes by itself, in the hardware's time unit: a bound on every period for ``operation`` and
        ``work``, a load of this placement for ``link`` and ``chip``.
    share : of the period.
    without : for ``operation`` and ``work`` what no period is below without it; for ``link`` and ``chip`` the next load
        of this placement.
    sentence : all this in words.
    """

    kind: Kind
    what: str
    value: float
    share: float
    without: float
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in ("kind", "what", "value", "share", "without", "sentence")}


def wall_of(problem: Problem, placement: Placement, cost: Cost, shown: Callable[[float], str]) -> Wall:
    """What holds the period of a placement.

    Parameters
    ----------
    cost : of the placement, a batch of one.
    shown : a time in words.
    """
    period = float(cost.period[0])
    if not 0 < period < np.inf:
        return Wall("nothing", "", 0.0, 0.0, 0.0, "nothing takes any time")
    graph, hardware = problem.graph, problem.hardware
    instance = contract(graph, hardware)
    time = instance.fastest * instance.unit
    heaviest = int(time.argmax())
    others = np.delete(time, heaviest)
    even = float(time.sum()) / hardware.chips
    without_it = max(float(others.max(initial=0.0)), float(others.sum()) / hardware.chips)
    room = _memory(graph, hardware)
    if time[heaviest] >= NEAR * period:
        name, size = _name(instance, heaviest)
        value, share = float(time[heaviest]), float(time[heaviest]) / period
        what = f"{name!r}" if size == 1 else f"{name!r} and the {size - 1} that share its chip"
        say = (
            f"the wall is one operation: {what} alone takes {shown(value)}, {_percent(share)} of the period; "
            f"without it the rest needs at least {shown(without_it)}{room}"
        )
        return Wall("operation", name, value, share, without_it, say)
    if even >= NEAR * period:
        say = (
            f"the wall is the work in all: it keeps every chip busy {_percent(even / period)} of the period; more or "
            f"faster chips would lower it, down to {shown(float(time[heaviest]))} of the heaviest operation{room}"
        )
        return Wall("work", "all operations", even, even / period, float(time[heaviest]), say)
    floor = shown(max(even, float(time[heaviest])))
    return _of_placement(
        problem,
        cost,
        shown,
        f"; operations and work alone would allow {floor}{room}",
        _heaviest(problem, placement, shown),
    )


def _of_placement(
    problem: Problem, cost: Cost, shown: Callable[[float], str], tail: str, made_of: Callable[[int], str]
) -> Wall:
    """The heaviest link or chip of the placement, where no single operation nor all work explains the period."""
    hardware, period, load, link = problem.hardware, float(cost.period[0]), cost.load[0], cost.link[0]
    every = np.concatenate([link, load])
    at_period = every >= period * (1 - EQUAL)
    after = float(every[~at_period].max(initial=0.0))
    rest = f"; the next load is {shown(after)}{tail}"
    if at_period[: len(link)].any():
        what = _link(problem, int(at_period[: len(link)].argmax()))
        size = period * hardware.interconnect.link_bandwidth
        say = f"the wall is {what}: it carries {bytes_text(size)} for every input, which takes {shown(period)}{rest}"
        return Wall("link", what, period, 1.0, after, say)
    chip = int(at_period[len(link) :].argmax())
    compute, receive, send = (float(x[0, chip]) for x in (cost.compute, cost.receive, cost.send))
    if hardware.serial and receive + send > 0:
        why = f"it computes {shown(compute)}{made_of(chip)}, receives {shown(receive)} and sends {shown(send)}"
    elif compute >= max(receive, send):
        why = f"it computes {shown(compute)}{made_of(chip)}"
    else:
        why = f"it receives {shown(receive)} and sends {shown(send)}, and computes {shown(compute)}"
    return Wall("chip", f"chip {chip}", period, 1.0, after, f"the wall is chip {chip}: {why}{rest}")


def _heaviest(problem: Problem, placement: Placement, shown: Callable[[float], str]) -> Callable[[int], str]:
    """Tells the heaviest operations of a chip in brackets."""
    names_of, kind = problem.graph.names, problem.hardware.kind_of_chip

    def made_of(chip: int) -> str:
        copies = placement.replicas[placement.replicas[:, 1] == chip, 0]
        inside = np.concatenate([np.flatnonzero(placement.assignment == chip), copies])
        times = problem.times[kind[chip], inside]
        first = inside[np.argsort(-times, kind="stable")[:SHOWN]]
        names = ", ".join(f"{names_of[v]!r} {shown(float(times[inside == v][0]))}" for v in first.tolist())
        more = len(inside) - len(first)
        return f" ({names}{f' and {more} more' if more else ''})"

    return made_of


def _name(instance: Instance, node: int) -> tuple[str, int]:
    """The heaviest operation of a node, and how many operations the node has that take time."""
    inside = np.flatnonzero(instance.node_of == node)
    times = instance.problem.fastest[inside]
    return instance.graph.names[int(inside[times.argmax()])], max(1, int((times > 0).sum()))


def _link(problem: Problem, link: int) -> str:
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
    if not (hardware.rules.memory and 0 < total < np.inf):
        return ""
    share = graph.weight_bytes / total
    return f"; weights fill {_percent(share)} of all SRAM, which leaves little choice" if share >= FULL else ""


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
