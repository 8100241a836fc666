"""What is known of one package and holds on another: by how much a placement that is moved there can slow down.

docs/proof/packages.md has the claims, and why they hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from partition.arrays import FloatArray
from partition.instance.features import ABSORBED, PERIOD_ALONE, Scope, named
from partition.problem.chip_kind import MEMORY_SLACK
from partition.problem.graph import Graph
from partition.problem.hardware import ROUTED, Hardware, Rules
from partition.problem.problem import Problem

SCOPE = Scope(
    engine="other packages",
    claims="no period on a package is below what the bound of a more generous one says",
    covers=ABSORBED
    | named(
        "CHAIN RING ROUTES CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC ANY_ORDER NO_SKIPPING SKIPPING "
        "TRIANGLE LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS RELAYS MIXED_KINDS FREE_ORDER UNSUPPORTED "
        "FREE_TRANSFERS SHARED_WEIGHTS FREE_EDGES ZERO_TIMES CUTS STREAMING STREAMING_IN_TURN"
    ),
    refuses=PERIOD_ALONE,
)

Facet = TypeVar("Facet")

FOLLOWS, NOTHING = 0.0, math.inf
"""The factors of what slows nothing down, and of what shows nothing."""

LIFTS = ("acyclic", "no_skipping", "triangle", "memory", "dynamic_memory")
"""Rules that only take placements away."""

CARRIES = {
    "chain": {"chain", "ring", "crossbar", "memory"},
    "ring": {"ring", "crossbar", "memory"},
    "bichain": {"bichain", "crossbar", "memory"},
    "biring": {"biring", "crossbar", "memory"},
    "mesh": {"mesh", "crossbar", "memory"},
    "crossbar": {"crossbar", "memory"},
    "memory": {"crossbar", "memory"},
}
"""Topologies on which the placements of a topology have no more to carry, port by port and link by link."""

GROWS = ("chain", "ring", "bichain", "crossbar", "memory")
"""Topologies to whose end chips can be added without touching the transfers between the others."""


def factors(graph: Graph, generous: Sequence[Hardware], stingy: Sequence[Hardware]) -> FloatArray:
    """(G, S) by how much placements slow down at most that are moved from a stingy package to a generous one.

    Every valid placement on ``stingy[s]`` is valid on ``generous[g]`` too, its chips those of the same numbers. It has
    there at most ``factors[g, s]`` times its period. The factor is infinity where that is not shown. So a bound of
    ``generous[g]``, divided by the factor, is a bound of ``stingy[s]``. And where nothing fits on ``generous[g]``,
    nothing fits on ``stingy[s]``.
    """
    rows = _TimeRows()
    left, right = ([_Facets.of(graph, hw, rows) for hw in side] for side in (generous, stingy))
    found = np.maximum.reduce(
        [
            _table([x.frame for x in left], [x.frame for x in right], _Frame.factor),
            _table([x.sram for x in left], [x.sram for x in right], _room),
            _table([x.replicable for x in left], [x.replicable for x in right], _subset),
            _table([x.speeds for x in left], [x.speeds for x in right], rows.factor),
            _table([x.link for x in left], [x.link for x in right], _link),
        ]
    )
    return np.where(found == FOLLOWS, 1.0, found)


def _table(left: Sequence[Facet], right: Sequence[Facet], judge: Callable[[Facet, Facet], float]) -> FloatArray:
    """(G, S) factors of one facet; each two different values are judged once."""
    rows, columns = ({value: i for i, value in enumerate(dict.fromkeys(side))} for side in (left, right))
    judged = np.array([[judge(g, s) for s in columns] for g in rows], dtype=np.float64)
    return np.asarray(judged.reshape(len(rows), len(columns))[[rows[g] for g in left]][:, [columns[s] for s in right]])


@dataclass(frozen=True)
class _Frame:
    """What of a package is no figure.

    Attributes
    ----------
    positions : of the stages where they are given; empty where they make no difference or are free.
    streaming : how it goes with compute; empty where no chip streams.
    """

    chips: int
    time_unit: str
    kind_order: str
    identical: bool
    topology: str
    serial: bool
    rows: int
    columns: int
    positions: tuple[int, ...]
    rules: Rules
    relays: bool
    streaming: str

    @staticmethod
    def of(hardware: Hardware) -> _Frame:
        link, identical = hardware.interconnect, hardware.identical_chips
        return _Frame(
            chips=hardware.chips,
            time_unit=hardware.time_unit,
            kind_order=hardware.kind_order,
            identical=identical,
            topology=link.topology,
            serial=hardware.serial,
            rows=link.rows,
            columns=link.columns,
            positions=hardware.stage_positions if hardware.routed and not identical else (),
            rules=hardware.rules,
            relays=hardware.relays_allowed and hardware.chips > 1,
            streaming=link.streaming if hardware.streams else "",
        )

    def factor(self, stingy: _Frame) -> float:
        """Whether the rules and the links of this frame leave valid what is valid in a stingier one."""
        units = (self.time_unit, self.kind_order) == (stingy.time_unit, stingy.kind_order)
        transfers = self.serial == stingy.serial or (stingy.serial and not self.rules.dynamic_memory)
        lifted = all(getattr(stingy.rules, name) or not getattr(self.rules, name) for name in LIFTS)
        transfers &= self.streaming != "serial" or stingy.streaming != "overlapped"
        kept = units and transfers and lifted and self.chips >= stingy.chips and (self.relays or not stingy.relays)
        return FOLLOWS if kept and self._carries(stingy) else NOTHING

    def _carries(self, stingy: _Frame) -> bool:
        """Whether no transfer crosses more here than it does there."""
        if stingy.chips == 1:
            return True
        if self.topology not in CARRIES[stingy.topology]:
            return False
        if self.topology in ROUTED:
            placed = self.identical or (not stingy.identical and self.positions[: stingy.chips] == stingy.positions)
            if not placed or (self.rows, self.columns) != (stingy.rows, stingy.columns):
                return False
        return self.chips == stingy.chips or self.topology in GROWS


@dataclass(frozen=True)
class _Facets:
    """What each judge looks at; alike for packages that it need not tell apart.

    Attributes
    ----------
    sram : bytes of each chip, and the rate at which it streams; empty where memory is no rule.
    replicable : the operations that may be replicated, a byte each.
    speeds : of each chip, the number of its row of times, and whether its transfers are free.
    link : the bandwidth, and whether anything is ever carried.
    """

    frame: _Frame
    sram: tuple[tuple[float, float], ...]
    replicable: bytes
    speeds: tuple[tuple[int, bool], ...]
    link: tuple[float, bool]

    @staticmethod
    def of(graph: Graph, hardware: Hardware, rows: _TimeRows) -> _Facets:
        problem = Problem.of(graph, hardware)
        numbers = [rows.number(times) for times in problem.times]
        carried = hardware.chips > 1 and bool((graph.tensor_bytes > 0).any())
        return _Facets(
            _Frame.of(hardware),
            tuple(zip(hardware.sram_bytes.tolist(), hardware.stream_bandwidth.tolist(), strict=True))
            if hardware.rules.memory
            else (),
            problem.replicable.tobytes(),
            tuple((numbers[k], hardware.kinds[k].free_transfers) for k in hardware.kind_of_chip),
            (hardware.interconnect.link_bandwidth, carried),
        )


def _room(generous: tuple[tuple[float, float], ...], stingy: tuple[tuple[float, float], ...]) -> float:
    """By how much streaming slows down, if every chip has as much SRAM and streams where the stingy one does.

    A chip that does not stream may hold a little more than its SRAM, by the rule *memory*. Where there are fewer
    chips, another judge says no.
    """
    factor = FOLLOWS
    for (g, g_rate), (s, s_rate) in dict.fromkeys(zip(generous, stingy, strict=False)):
        least = s * (1 + MEMORY_SLACK) if g_rate and not s_rate else s
        if g < least or (s_rate and not g_rate and not math.isinf(g)):
            return NOTHING
        if s_rate and g_rate:
            factor = max(factor, s_rate / g_rate)
    return factor


def _subset(generous: bytes, stingy: bytes) -> float:
    """Whether all that may be replicated on the stingy package may be on the generous one."""
    return NOTHING if any(s > g for g, s in zip(generous, stingy, strict=True)) else FOLLOWS


def _link(generous: tuple[float, bool], stingy: tuple[float, bool]) -> float:
    """By how much transfers slow down."""
    if not stingy[1] or math.isinf(generous[0]):
        return FOLLOWS
    return stingy[0] / generous[0]


class _TimeRows:
    """The different rows of times of the packages compared, (n,) each, by numbers."""

    def __init__(self) -> None:
        self._rows: list[FloatArray] = []
        self._numbers: dict[bytes, int] = {}
        self._known: dict[tuple[int, int], float] = {}

    def number(self, times: FloatArray) -> int:
        """The number of a row."""
        key = times.tobytes()
        if key not in self._numbers:
            self._numbers[key] = len(self._rows)
            self._rows.append(times)
        return self._numbers[key]

    def factor(self, generous: tuple[tuple[int, bool], ...], stingy: tuple[tuple[int, bool], ...]) -> float:
        """By how much an operation slows down at most on the chip of the same number."""
        pairs = dict.fromkeys(zip(generous, stingy, strict=False))
        if any(s_free and not g_free for (_, g_free), (_, s_free) in pairs):
            return NOTHING
        return max(self._ratio(g, s) for (g, _), (s, _) in pairs)

    def _ratio(self, generous: int, stingy: int) -> float:
        if (generous, stingy) not in self._known:
            g, s = self._rows[generous], self._rows[stingy]
            runs = np.isfinite(s) & (g > 0)  # others cannot be there, or take no time here
            with np.errstate(divide="ignore", over="ignore"):
                ratio = g[runs] / s[runs]
            self._known[generous, stingy] = float(ratio.max(initial=FOLLOWS))
        return self._known[generous, stingy]
