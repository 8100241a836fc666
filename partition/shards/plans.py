"""How many parts of which operations may pay: plans to try, what a plan cannot beat, and what no plan can.

A *plan* is the number of parts of every operation; its parts take time that follows from the roofline, so what a plan
is worth at most is known before it is solved. Plans come from targets first: every operation that takes longer than the
target is cut until its parts do not. Then they come from the wall of the best answer so far.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from partition.arrays import BoolArray, FloatArray, IntArray
from partition.problem.cut_axis import PartCount, joined_parts, split_parts
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.problem import Problem
from partition.shards.regions import CutGraph
from partition.shards.rewrite import (
    MOST_PARTS,
    Sharded,
    cut_positions,
    entering_bytes,
    shard,
)

TARGETS = 20
"""Targets between the period without parts and the finest."""

FINEST = 0.25
"""The last target, as a share of what no plan can beat: small parts fill chips more evenly than large ones."""

BELOW = 0.999
"""Share of a target that a part may take, so that an operation that takes just the target is cut."""

FIT = 0.5
"""Share of the smallest SRAM that the weights of one part may take, where an operation does not fit a chip."""


@dataclass(frozen=True, eq=False)
class Plans:
    """The operations that may be computed in parts, and what parts of them take.

    Attributes
    ----------
    able : (n,) whether an operation can be in parts.
    rigid : (n,) whether it is whole in every plan: it can neither be cut nor stay in parts beside one that is.
    words : (n,) units of the axes of each operation.
    whole : (n,) seconds (or the file's unit) of each operation on its fastest kind.
    input_bytes : (n,) bytes that every part reads again, where it cannot read a slice.
    least : (n,) parts that an operation must have for its weights to fit a chip.
    apart : whether results of the model may leave in parts.
    plain : the graph without what wishes ask of it, of which the parts are made.
    """

    graph: Graph
    hardware: Hardware
    able: BoolArray
    rigid: BoolArray
    words: tuple[tuple[str, ...], ...]
    whole: FloatArray
    input_bytes: FloatArray
    least: IntArray
    apart: bool
    plain: Graph
    _parts: dict[int, FloatArray] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(
        graph: Graph,
        hardware: Hardware,
        among: Collection[str] | None = None,
        *,
        apart: bool = False,
        plain: Graph | None = None,
    ) -> Plans:
        """Look at every operation of a graph on a package.

        Parameters
        ----------
        graph, hardware : narrowed by wishes.
        among : operations that may be cut; all that can be, if None.
        apart : whether results of the model may leave in parts.
        plain : the graph without what wishes ask of it; ``graph`` if None.

        Raises
        ------
        InvalidInput : one of them does not exist or cannot be cut.
        """
        cut = CutGraph(graph)
        able = cut.able
        if among is not None:
            chosen = np.zeros(graph.n, dtype=bool)
            chosen[list(cut_positions(graph, dict.fromkeys(among, 2)))] = True
            able = chosen
        least = np.ones(graph.n, dtype=np.int64)
        smallest = float(hardware.room.min())
        if 0 < smallest < np.inf:
            large = able & (graph.weights > smallest)
            least[large] = np.ceil(graph.weights[large] / (FIT * smallest)).astype(np.int64)
        axes = [cut.axes(v) for v in range(graph.n)]
        whole_input = np.array([not any(axis.reads or axis.window for axis in each) for each in axes], dtype=bool)
        return Plans(
            graph,
            hardware,
            able,
            np.array([not each for each in axes], dtype=bool),
            tuple(tuple(dict.fromkeys(axis.word for axis in each)) for each in axes),
            Problem.of(graph, hardware).fastest,
            np.where(whole_input, entering_bytes(graph), 0.0),
            np.minimum(least, MOST_PARTS),
            apart,
            graph if plain is None else plain,
        )

    def whole_plan(self) -> dict[str, PartCount]:
        """The plan with no more parts than the memory of the chips asks for."""
        return self._named(self.least)

    def for_target(self, target: float) -> dict[str, PartCount]:
        """The plan in which no operation that can be cut takes longer than ``target``, as far as the chips suffice."""
        count = self.least.copy()
        for v in np.flatnonzero(self.able & (self.whole > target * BELOW)).tolist():
            count[v] = max(int(count[v]), self._parts_within(v, target * BELOW))
        return self._named(count)

    def targets(self, period: float) -> Iterator[float]:
        """Targets from the period without parts down to the finest; where that is infinite, from ample ones."""
        floor = self.floor
        high = period if np.isfinite(period) else max(float(self.whole.max()), 2 * floor)
        if not 0 < floor < high:
            return
        yield from np.geomspace(high, FINEST * floor, TARGETS).tolist()

    @property
    def floor(self) -> float:
        """What the period of no plan is below: the longest operation that stays whole in all of them, or all work.

        Parts never take less together than the whole: each reads all that enters and pays the overhead again.
        """
        rigid = float(self.whole[self.rigid].max(initial=0.0))
        return max(rigid, float(self.whole.sum()) / self.hardware.chips)

    def sharded(self, plan: Mapping[str, PartCount]) -> Sharded:
        """The graph of a plan."""
        return shard(self.plain, plan, apart=self.apart, kept=self.graph.group >= 0)

    def _parts_within(self, v: int, target: float) -> int:
        """Fewest parts of operation ``v`` that each take at most ``target``; as many as there are chips at most."""
        chips = self.hardware.chips
        return next((k for k in range(2, chips) if self._part(k)[v] <= target), max(chips, 1))

    def _part(self, k: int) -> FloatArray:
        """(n,) time of one of ``k`` parts of every operation on its fastest kind that is there."""
        if k not in self._parts:
            whole = self.graph.bytes_accessed
            entering = np.minimum(whole, self.input_bytes)
            times = self.hardware.times(self.graph, parts=k, moved=entering + (whole - entering) / k)
            self._parts[k] = times[Problem.of(self.graph, self.hardware).present].min(axis=0)
        return self._parts[k]

    def _named(self, count: IntArray) -> dict[str, PartCount]:
        return {self.graph.names[v]: int(count[v]) for v in np.flatnonzero(count > 1).tolist()}


def variations(
    plans: Plans, sharded: Sharded, load: FloatArray, assignment: IntArray
) -> Iterator[dict[str, PartCount]]:
    """Plans near one whose placement is known.

    What fills its heaviest chips in more parts, or along another axis; what is cut in fewer.

    Parameters
    ----------
    load : (C,) of the chips of the placement.
    assignment : (n',) chips of the operations of the plan's graph.
    """
    plan = dict(sharded.parts)
    seen = _heaviest(plans, sharded, load, assignment)
    for name in seen:
        k, word = split_parts(plan.get(name, 1))
        for more in (1, 2):
            yield {**plan, name: joined_parts(k + more, word)}
    for name in seen:
        k, word = split_parts(plan.get(name, 1))
        for other in plans.words[plans.graph.index[name]]:
            if other != word:
                yield {**plan, name: joined_parts(max(k, 2), other)}
    for name, asked in sorted(plan.items(), key=lambda item: -split_parts(item[1])[0]):
        k, word = split_parts(asked)
        if k - 1 >= int(plans.least[plans.graph.index[name]]):
            fewer = {**plan, name: joined_parts(k - 1, word)}
            yield {other: parts for other, parts in fewer.items() if split_parts(parts)[0] > 1}


def _heaviest(plans: Plans, sharded: Sharded, load: FloatArray, assignment: IntArray) -> list[str]:
    """Operations of the original graph that fill the two heaviest chips and can be cut, longest parts first."""
    graph = sharded.graph
    times = Problem.of(graph, plans.hardware).fastest
    seen: list[str] = []
    for chip in np.argsort(-load, kind="stable")[:2].tolist():
        inside = np.flatnonzero(assignment == chip)
        for v in inside[np.argsort(-times[inside], kind="stable")][:4].tolist():
            name = graph.names[v].rpartition("#")[0] if graph.names[v] not in plans.graph.index else graph.names[v]
            name = sharded.follows.get(name, name)
            origin = plans.graph.index.get(name)
            if origin is not None and plans.able[origin] and name not in seen:
                seen.append(name)
    return seen
