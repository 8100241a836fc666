"""What a guide sees of the states of a beam, and what it says of them; never part of a proof.

All is scale-free, so that one guide serves all graphs and packages: times are in chips' periods or in shares of the
work, positions are shares of the work. Sums over what is done and over what crosses (*marks*) are kept up to date with
each node, as the loads are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from milp.search.downsets.tasks import Words, unpacked
from milp.search.downsets.transfers import Flow
from milp.state.advice import Opinion
from milp.tolerances import ROUNDING, TINIEST
from partition.arrays import Array32, BoolArray, FloatArray, IntArray, sums
from partition.problem.hardware import Hardware

FAR = 8.0
"""Features beyond this all look alike."""

PACKAGE_NAMES = ("chips", "nodes per chip", "transfers", "serial", "triangle", "heaviest node", "slack")
"""Columns that are the same for all states and tensors of one beam."""

TENSOR_NAMES = (
    "time",
    "share of what is sent",
    "readers",
    "reach",
    "made at",
    "first read at",
    "last read at",
    "spread of readers",
    "work that follows",
    "producer's time",
    "heaviest reader",
    *PACKAGE_NAMES,
)
"""Columns of :meth:`Outlook.of_tensors`."""

STATE_NAMES = (
    "done",
    "slack",
    "part of slack",
    "chips left",
    "cut",
    "toll",
    "reach of cut",
    "lead of cut",
    "tensors that cross",
    "advance",
    "heaviness of rest",
    "longest path of rest",
    "computed",
    "received",
    "sent",
    "node's time",
    "node's height",
    "node's place",
    "node's freedom",
    "more crosses",
    "more is received",
    *PACKAGE_NAMES,
)
"""Columns of :meth:`Outlook.of_states`."""

MARKS = ("advance", "squares", "reach", "lead", "count")
"""Sums over the nodes done (the first two) and over the tensors that cross."""


@dataclass(frozen=True, eq=False)
class BeamStates:
    """Numbers of states of a beam, (K,) each; see ``Boundaries`` and ``Children`` for those of the same name.

    Attributes
    ----------
    longest : time on the longest path through what is not done.
    node : the node that came last, or None at boundaries.
    more_cut, more_received : what came with it.
    """

    work: FloatArray
    cut: FloatArray
    toll: FloatArray
    marks: FloatArray
    compute: FloatArray
    receive: FloatArray
    send: FloatArray
    longest: FloatArray
    node: IntArray | None = None
    more_cut: FloatArray | float = 0.0
    more_received: FloatArray | float = 0.0


@dataclass(frozen=True, eq=False)
class Terrain:
    """Where the nodes of a flow lie in its work; the same for all periods. Measured when a guide first looks."""

    flow: Flow

    @property
    def time(self) -> FloatArray:
        """(N,) fastest time of each node."""
        return self.flow.fastest

    @property
    def total(self) -> float:
        """Work in all, more than 0."""
        return max(float(self.time.sum()), TINIEST)

    @cached_property
    def height(self) -> FloatArray:
        """(N,) time on the longest path that begins with each node."""
        edges, height = self.flow.edges, self.time.copy()
        for u, v in edges[np.argsort(-edges[:, 0], kind="stable")].tolist():
            height[u] = max(height[u], self.time[u] + height[v])
        return height

    @cached_property
    def _around(self) -> tuple[FloatArray, FloatArray]:
        """(N,) shares of the work among ancestors, and among descendants."""
        share = (self.time / self.total).astype(np.float32)
        below = unpacked(self.flow.descendants)[:, : self.flow.count].astype(np.float32)
        return (share @ below).astype(np.float64), (below @ share).astype(np.float64)

    @property
    def before(self) -> FloatArray:
        """(N,) share of the work among the ancestors of each node."""
        return self._around[0]

    @property
    def after(self) -> FloatArray:
        """(N,) share of the work among the descendants of each node."""
        return self._around[1]

    @property
    def middle(self) -> FloatArray:
        """(N,) share of the work before each node, where as much of what is free comes before as after."""
        return np.asarray((self.before + 1.0 - self.after) / 2)

    def ends(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """(M,) places of the first and last readers of each tensor, their heaviest's time, and what follows them."""
        flow, reader = self.flow, self.flow.readers
        if not len(flow.tau):
            return (np.zeros(0),) * 4
        at, first = self.middle[reader.column], reader.ptr[:-1]
        last = np.maximum.reduceat(at, first)
        heaviest, follows = (np.maximum.reduceat(x[reader.column], first) for x in (self.time, self.after))
        return np.minimum.reduceat(at, first), last, heaviest, follows


class Outlook:
    """Features for one beam: a terrain, a package and a period.

    Parameters
    ----------
    terrain : Terrain
    hardware : Hardware
    limit : float
        The period, in units of the instance.
    """

    def __init__(self, terrain: Terrain, hardware: Hardware, limit: float) -> None:
        self.terrain, self.limit, self.chips = terrain, limit, hardware.chips
        flow, total = terrain.flow, terrain.total
        self.first_slack = max(self.chips - total / limit, 0.0)
        self.package = np.array(
            [
                np.log(self.chips),
                np.log(flow.count / self.chips),
                np.log1p(float(flow.tau.sum()) / (self.chips * limit)),
                float(hardware.serial),
                float(hardware.rules.triangle),
                float(terrain.time.max()) / limit,
                np.log1p(self.first_slack),
            ]
        )
        _, last, _, _ = terrain.ends()
        reach = last - terrain.middle[flow.producer]
        self.read = np.stack([np.zeros_like(reach)] * 2 + [flow.tau * reach, flow.tau * last, np.ones_like(reach)], 1)
        self.made = np.stack(
            [terrain.time / total * terrain.middle, terrain.time**2]
            + [sums(flow.producer, self.read[:, k], flow.count) for k in range(2, len(MARKS))],
            axis=1,
        )
        self.squares = float((terrain.time**2).sum())

    def marks(self, before: FloatArray, node: IntArray, place: IntArray, tensor: IntArray) -> FloatArray:
        """(K, P) marks with one ``node`` (K,) more, which ends the tensors (E,) of the rows (E,) ``place``."""
        marks = before + self.made[node]
        for k in range(2, len(MARKS)):
            marks[:, k] -= sums(place, self.read[tensor, k], len(node))
        return np.asarray(marks)

    def longest(self, eligible: BoolArray) -> FloatArray:
        """(S,) time on the longest path through what is not done, for the nodes (S, N) that may come next."""
        return np.asarray((eligible * self.terrain.height.astype(np.float32)).max(axis=1, initial=0.0))

    def of_tensors(self) -> Array32:
        """(M, T) features of the tensors."""
        terrain, flow, limit = self.terrain, self.terrain.flow, self.limit
        if not len(flow.tau):
            return np.zeros((0, len(TENSOR_NAMES)), np.float32)
        first, last, heaviest, follows = terrain.ends()
        made = terrain.middle[flow.producer]
        columns = [
            np.log1p(flow.tau / limit),
            flow.tau / np.maximum(flow.sent[flow.producer], TINIEST),
            np.log1p(flow.degree),
            last - made,
            made,
            first,
            last,
            last - first,
            follows,
            terrain.time[flow.producer] / limit,
            heaviest / limit,
        ]
        return self._table(columns, len(flow.tau))

    def of_states(self, states: BeamStates, chip: int) -> Array32:
        """(K, F) features of states while ``chip`` is filled, or behind it."""
        limit, total = self.limit, self.terrain.total
        rest = np.maximum(total - states.work, 0.0)
        left = self.chips - chip - (states.node is None)
        idle = left * limit - rest - (states.compute if states.node is not None else 0.0)
        slack, done = idle / limit, states.work / total
        advance, squares, reach, lead, count = states.marks.T
        heaviness = np.sqrt(np.maximum(self.squares - squares, 0.0) / np.maximum(rest, ROUNDING * total) / limit)
        columns = [
            done,
            slack,
            slack / (self.first_slack + 1.0),
            np.full(len(done), left / self.chips),
            np.log1p(np.maximum(states.cut, 0.0) / limit),
            np.log1p(np.maximum(states.toll, 0.0) / limit),
            reach / limit,
            (lead - states.cut * done) / limit,
            np.log1p(np.maximum(count, 0.0)),
            advance - done**2 / 2,
            heaviness,
            states.longest / np.maximum(rest, limit),
            states.compute / limit,
            states.receive / limit,
            states.send / limit,
            *self._of_nodes(states, done),
        ]
        return self._table(columns, len(done))

    def _of_nodes(self, states: BeamStates, done: FloatArray) -> list[FloatArray]:
        """Columns of the node that came last; zeros at boundaries."""
        terrain, node = self.terrain, states.node
        if node is None:
            return [np.zeros(len(done))] * 6
        return [
            terrain.time[node] / self.limit,
            terrain.height[node] / terrain.total,
            terrain.middle[node] - done,
            (1.0 - terrain.before - terrain.after)[node],
            np.asarray(states.more_cut / self.limit),
            np.asarray(states.more_received / self.limit),
        ]

    def _table(self, columns: list[FloatArray], rows: int) -> Array32:
        """(rows, columns) of float32, those of the package last."""
        table = np.empty((rows, len(columns) + len(self.package)), np.float32)
        for k, column in enumerate(columns):
            table[:, k] = column
        table[:, len(columns) :] = self.package
        return np.clip(table, -FAR, FAR, out=table)


@dataclass(frozen=True, eq=False)
class Watched:
    """What a beam shows whoever watches it: blocks of one size that go on or, where ``behind``, that may end.

    Attributes
    ----------
    chip : that is filled.
    behind : whether these are boundaries behind blocks.
    root : (K,) boundary rows where the blocks begin.
    done : (K, W) nodes done with them.
    lost : (K,) what they are judged by, apart from tolls and opinion, in periods.
    table : (K, F) features.
    """

    chip: int
    behind: bool
    root: IntArray
    done: Words
    lost: FloatArray
    table: Array32


@dataclass(frozen=True, eq=False)
class Guidance:
    """An opinion within an outlook.

    Attributes
    ----------
    watch : called with blocks that are kept and with boundaries, where somebody learns from them.
    """

    opinion: Opinion
    outlook: Outlook
    watch: Callable[[Watched], object] | None = None

    def tolls(self) -> FloatArray:
        """(M,) what each tensor costs later where it crosses, in units of the instance."""
        return np.asarray(self.opinion.prices(self.outlook.of_tensors()) * self.outlook.terrain.flow.tau)
