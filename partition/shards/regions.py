"""Which operations stay in parts together: from one that is cut, along its axis, to where parts have to meet.

A *region* has a number of parts. Each of its operations is computed in that many, along an axis of its own, and part
``i`` of one reads part ``i`` of another. What enters is read whole or sliced; what leaves is joined, or summed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

import numpy as np

from partition.arrays import BoolArray, IntArray
from partition.problem.cut_axis import CutAxis, bounds, common_units
from partition.problem.graph import Graph
from partition.shards.by_kind import axes_by_kind

LIGHT = 4.0
"""FLOPs per byte up to which an operation counts as light, so that it stays in parts beside one that is cut."""

SMALL = 0.1
"""Share of the FLOPs of the operation that is cut, up to which another counts as light too."""

LINK = 30.0
"""Bytes of SRAM traffic that take as long as one over a link, about: 500 GB/s against 16."""

ISSUED = 1e5
"""Bytes of SRAM traffic that take as long as issuing an operation, about."""


def state_name(operation: str, part: int, place: int) -> str:
    """What a part of an operation hands to the next is called, in a graph as in a file."""
    return f"{operation}#{part}.state{place}"


def piece_name(tensor: str, low: int, high: int, place: int) -> str:
    """What a slice of a tensor or weight along one of its axes is called, in a graph as in a file."""
    return f"{tensor}#{low}to{high}.{place}"


class Access(Enum):
    """How a part of an operation reads a tensor or weight.

    Attributes
    ----------
    WHOLE, NOTHING : all of it, or none.
    PIECE : the part of the same number, which is made beside it.
    SLICE : a range of one axis.
    """

    WHOLE = "whole"
    NOTHING = "nothing"
    PIECE = "piece"
    SLICE = "slice"


@dataclass(frozen=True)
class PartOperand:
    """What a part of an operation reads in the place of a tensor or weight.

    Attributes
    ----------
    place, low, high : axis and ends of a slice.
    share : of the bytes.
    """

    access: Access
    place: int = -1
    low: int = 0
    high: int = 0
    share: float = 1.0


@dataclass(eq=False)
class Region:
    """Operations in parts together.

    Attributes
    ----------
    leader : the operation that it grew from.
    parts : of each operation.
    units : that every axis can be cut in; 0 where nobody knows.
    members : operation -> the axis along which it is cut.
    cut : tensor made in parts inside -> its axis.
    """

    leader: int
    parts: int
    units: int
    members: dict[int, CutAxis] = field(default_factory=dict)
    cut: dict[int, int] = field(default_factory=dict)

    def share(self, part: int) -> float:
        """Of the work, in one part."""
        low, high = self.range(part, self.units)
        return (high - low) / self.units if self.units else 1 / self.parts

    def range(self, part: int, extent: int) -> tuple[int, int]:
        """Where a part begins and ends along an axis of that many elements."""
        ends = bounds(self.units, self.parts)
        each = extent // self.units if self.units else 0
        return ends[part] * each, ends[part + 1] * each


@dataclass(frozen=True, eq=False)
class CutGraph:
    """A graph with the axes of its operations, and its edges by operation.

    Attributes
    ----------
    apart : whether results of the model may leave in parts.
    kept : (n,) operations that stay whole, whatever axes they have; None for none.
    reads, makes : tensors of each operation, by number.
    """

    graph: Graph
    apart: bool = False
    kept: BoolArray | None = None

    @cached_property
    def reads(self) -> list[IntArray]:
        """Tensors that each operation reads."""
        order = np.argsort(self.graph.consumers, kind="stable")
        ends = np.cumsum(np.bincount(self.graph.consumers, minlength=self.graph.n))
        return np.split(self.graph.edge_tensor[order], ends[:-1])

    @cached_property
    def makes(self) -> list[IntArray]:
        """Tensors that each operation makes."""
        order = np.argsort(self.graph.producer, kind="stable")
        ends = np.cumsum(np.bincount(self.graph.producer, minlength=self.graph.n))
        return np.split(order, ends[:-1])

    @cached_property
    def number(self) -> Mapping[str, int]:
        """Tensor by name."""
        return {name: t for t, name in enumerate(self.graph.tensor_names)}

    @cached_property
    def whole(self) -> frozenset[int]:
        """Tensors that leave the model whole: its results, or all that nobody reads where nobody knows which."""
        if self.apart:
            return frozenset()
        if self.graph.results:
            return frozenset(self.number[name] for name in self.graph.results)
        unread = (np.diff(self.graph.consumer_ptr) == 0) & (self.graph.tensor_bytes > 0)
        return frozenset(np.flatnonzero(unread).tolist())

    @cached_property
    def _axes(self) -> Mapping[str, tuple[CutAxis, ...]]:
        return self.graph.cut_axes if self._shaped else axes_by_kind(self.graph, self.reads, self.makes)

    @property
    def _shaped(self) -> bool:
        """Whether the graph has what its reader knows of axes, perhaps of none: such readers name the results too."""
        return bool(self.graph.cut_axes or self.graph.results)

    @cached_property
    def free(self) -> BoolArray:
        """(n,) whether an operation is of the forward pass and shares its chip with no other."""
        free = (self.graph.group < 0) & ~self.graph.backward
        return np.asarray(free if self.kept is None else free & ~self.kept, dtype=np.bool_)

    def axes(self, v: int) -> tuple[CutAxis, ...]:
        """Of one operation."""
        return self._axes.get(self.graph.names[v], ()) if self.free[v] else ()

    def named_axes(self, v: int, words: Mapping[int, str]) -> list[CutAxis]:
        """Those of the word that was named for an operation; all where none was."""
        return [axis for axis in self.axes(v) if axis.word.startswith(words.get(v, ""))]

    def join_name(self, v: int, t: int) -> str:
        """What the operation is called that joins the parts of one result of an operation."""
        several = len(self.makes[v]) > 1
        return f"{self.graph.names[v]}#join" + (f" {self.graph.tensor_names[t]}" if several else "")

    def operand(self, name: str, axis: CutAxis, region: Region, part: int, *, weight: bool = False) -> PartOperand:
        """What a part of an operation that is cut along ``axis`` reads in the place of a tensor, or of a weight."""
        if part and name in axis.once:
            return PartOperand(Access.NOTHING, share=0.0)
        cut = (axis.weights if weight else axis.reads).get(name)
        if cut is not None:
            place, unit = cut
            if not weight and name in self.number and region.cut.get(self.number[name]) == place:
                return PartOperand(Access.PIECE, share=region.share(part))
            return PartOperand(Access.SLICE, place, *region.range(part, axis.extent * unit), region.share(part))
        if axis.window is not None and axis.window[0] == name:
            _, place, window = axis.window
            low, high = window.reads(*region.range(part, axis.extent * window.scale))
            return PartOperand(Access.SLICE, place, low, high, (high - low) / window.extent)
        return PartOperand(Access.WHOLE)

    def readers(self, t: int) -> list[int]:
        """Operations that read a tensor."""
        found: list[int] = self.graph.consumers[self.graph.consumer_ptr[t] : self.graph.consumer_ptr[t + 1]].tolist()
        return found

    @cached_property
    def able(self) -> BoolArray:
        """(n,) whether an operation can be cut for its own sake: it takes time, and has an axis."""
        axes = np.array([bool(self.axes(v)) and self._leads(v) for v in range(self.graph.n)], dtype=bool)
        return np.asarray(axes & ~self.graph.takes_no_time, dtype=np.bool_)

    def _leads(self, v: int) -> bool:
        """Whether there is an axis along which it is cut without anything before it in parts."""
        return self._shaped or not any(axis.reads for axis in self.axes(v))

    def region(
        self, leader: int, parts: int, wanted: Mapping[int, int], taken: Collection[int], words: Mapping[int, str]
    ) -> Region:
        """The region of one operation that costs least, by the bytes that it moves.

        Parameters
        ----------
        wanted : operations to cut -> parts.
        taken : operations of other regions.
        words : operation -> how the word of its axis begins, where one was named.
        """
        axes = self.named_axes(leader, words)
        grown = [_Growing(self, leader, axis, parts, wanted, taken, words).region for axis in axes]
        return min(grown, key=lambda region: self._cost(region, wanted))

    def _cost(self, region: Region, wanted: Mapping[int, int]) -> float:
        """Bytes that a region adds, those over links weighted, for each FLOP of what was wanted in it."""
        graph, k = self.graph, region.parts
        again: set[int] = set()
        sliced: set[int] = set()
        added = 0.0
        for v, axis in region.members.items():
            whole = [t for t in self.reads[v].tolist() if graph.tensor_names[t] not in axis.reads]
            around = axis.window[0] if axis.window else ""
            few = {around, *axis.once, *axis.starting()}
            again.update(t for t in whole if graph.tensor_names[t] not in few)
            sliced.update(self.number[name] for name in (*axis.reads, around) if name in self.number)
            added += (k - 1) * (float(graph.weights[v]) - min(axis.held, float(graph.weights[v])) + ISSUED)
            added += (k - 1) * (1 + LINK) * sum(carried.bytes for carried in axis.carries)
            if axis.sums:
                added += (k - 1) * (1 + LINK) * float(graph.tensor_bytes[self.makes[v]].sum())
        entering = sum((k - 1) * float(graph.tensor_bytes[t]) for t in again)
        entering += sum(float(graph.tensor_bytes[t]) for t in sliced if t not in region.cut)
        left = sum(float(graph.tensor_bytes[t]) for t in self.leaving(region) if t in region.cut)
        flops = sum(float(graph.flops[v]) for v in region.members if v in wanted)
        share = (k - 1) / k
        return (LINK * entering + (LINK * share + 2) * left + added) / max(flops, 1.0) / share

    def leaving(self, region: Region) -> list[int]:
        """Tensors made in parts that somebody reads whole, summands included; in order."""
        found = []
        for v, axis in region.members.items():
            for t in self.makes[v].tolist():
                outside = t in self.whole or any(not self._in_parts(region, w, t) for w in self.readers(t))
                if axis.sums or (outside and t in region.cut):
                    found.append(t)
        return sorted(found)

    def _in_parts(self, region: Region, v: int, t: int) -> bool:
        axis = region.members.get(v)
        return axis is not None and self.graph.tensor_names[t] in axis.reads


class _Growing:
    """A region while it grows: first to what reads it, then to what is read by it alone."""

    def __init__(
        self, cut: CutGraph, leader: int, axis: CutAxis, parts: int, wanted: Mapping[int, int], taken: Collection[int],
        words: Mapping[int, str],
    ) -> None:  # fmt: skip
        self.of, self.wanted, self.taken, self.words = cut, wanted, taken, words
        count = min(parts, axis.extent) if axis.extent else parts
        self.region = Region(leader, count, axis.extent)
        self.asked = parts
        self._add(leader, axis)
        while self._forward() or self._backward():
            pass

    def _add(self, v: int, axis: CutAxis) -> None:
        region, number = self.region, self.of.number
        region.members[v] = axis
        region.units = common_units(region.units, axis.extent)
        region.cut.update({number[name]: place for name, (place, _) in axis.makes.items() if name in number})

    def _may(self, v: int) -> bool:
        """Whether an operation may stay in parts beside the leader."""
        graph, leader = self.of.graph, self.region.leader
        if v in self.region.members or v in self.taken or not self.of.free[v]:
            return False
        if v in self.wanted:
            return self.wanted[v] == self.asked
        light = graph.flops[v] <= LIGHT * graph.bytes_accessed[v] or graph.flops[v] <= SMALL * graph.flops[leader]
        return bool(light) and graph.op_types[v] != "Input"

    def _fitting(self, v: int) -> Iterator[CutAxis]:
        """The axes along which an operation reads what is in parts part by part, with units enough."""
        region, names = self.region, self.of.graph.tensor_names
        inside = [u for u in self.of.reads[v].tolist() if u in region.cut]
        for axis in self.of.named_axes(v, self.words):
            matches = all(axis.reads.get(names[u], (None,))[0] == region.cut[u] for u in inside)
            if matches and self._units_left(axis):
                yield axis

    def _units_left(self, axis: CutAxis) -> bool:
        units = common_units(self.region.units, axis.extent)
        return units == 0 or units >= self.region.parts

    def _forward(self) -> bool:
        """Take in one operation that reads what is in parts; whether there was one."""
        for t in list(self.region.cut):
            for v in self.of.readers(t):
                axis = self._reading(v) if self._may(v) else None
                if axis is not None:
                    self._add(v, axis)
                    return True
        return False

    def _reading(self, v: int) -> CutAxis | None:
        """The axis along which a reader of a tensor in parts stays in parts."""
        for axis in self._fitting(v):
            around = {axis.window[0]} if axis.window else set()
            others = [name for name in (*axis.reads, *around) if self.of.number.get(name) not in self.region.cut]
            if v in self.wanted or not (others or axis.sums):
                return axis
        return None

    def _backward(self) -> bool:
        """Take in one operation whose result is read in parts alone; whether there was one."""
        region, number = self.region, self.of.number
        for axis in list(region.members.values()):
            for name, (place, _) in axis.reads.items():
                t = number.get(name)
                if t is None or t in region.cut:
                    continue
                v = int(self.of.graph.producer[t])
                found = self._making(v, t, place) if self._may(v) else None
                if found is not None:
                    self._add(v, found)
                    return True
        return False

    def _making(self, v: int, t: int, place: int) -> CutAxis | None:
        """The axis along which the producer of a tensor makes it in parts, if nobody reads it whole."""
        region, names = self.region, self.of.graph.tensor_names
        for u in self.of.makes[v].tolist():
            read = [region.members[w].reads if w in region.members else {} for w in self.of.readers(u)]
            if any(names[u] not in cut or (u == t and cut[names[u]][0] != place) for cut in read):
                return None
        return next((axis for axis in self._fitting(v) if axis.makes.get(names[t], (None,))[0] == place), None)
