"""A graph with some operations in parts, each with its share of weights, FLOPs and output, and joins behind them.

Along which axis an operation is cut, and what stays in parts beside it, is decided by :mod:`partition.shards.regions`.
What is read in parts from outside is sliced. What somebody reads whole is joined by a concatenation, or by a sum where
an inner axis is cut. So are results of the model, unless they may leave in parts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from partition.arrays import BoolArray, FloatArray, sums
from partition.errors import InvalidInput
from partition.problem.builder import GraphBuilder
from partition.problem.cut_axis import CutAxis, PartCount, split_parts
from partition.problem.graph import Graph
from partition.shards.regions import Access, CutGraph, Region, piece_name, state_name

JOIN, TOTAL, SLICE = "Concat", "Sum", "Slice"
"""Operators that join parts, that add summands, and that take a part of a tensor."""

MOST_PARTS = 1024
"""Parts of one operation at most."""


@dataclass(frozen=True, eq=False)
class Sharded:
    """A graph with operations in parts.

    Attributes
    ----------
    graph : the graph with parts and joins; parts are named ``operation#0``, ``operation#1``, ..., joins
        ``operation#join``.
    parts : operation of the original graph -> number of parts, for what was asked for.
    follows : operation that stays in parts beside another -> that one.
    regions : what is in parts together.
    """

    graph: Graph
    parts: Mapping[str, PartCount]
    follows: Mapping[str, str]
    regions: tuple[Region, ...] = ()


def shardable(graph: Graph) -> BoolArray:
    """(n,) whether an operation can be computed in parts.

    It takes time, has an axis that can be cut, is not of the backward pass and shares its chip with no other.
    """
    return CutGraph(graph).able


def entering_bytes(graph: Graph) -> FloatArray:
    """(n,) bytes of the tensors that each operation reads."""
    return sums(graph.consumers, graph.tensor_bytes[graph.edge_tensor], graph.n)


def shard(
    graph: Graph, parts: Mapping[str, PartCount], *, apart: bool = False, kept: BoolArray | None = None
) -> Sharded:
    """The graph with the named operations in parts.

    Parameters
    ----------
    parts : operation -> number of parts, 1 leaves it whole; or with the axis, as ``"4:rows"``.
    apart : results of the model may leave in parts, which the host puts side by side.
    kept : (n,) operations that stay whole, as wishes tie them to others; None for none.

    Raises
    ------
    InvalidInput : no such operation, one that cannot be computed in parts, or a number of parts that makes no sense.
    """
    cut = CutGraph(graph, apart, kept=kept)
    found = regions_of(cut, parts)
    if not found:
        return Sharded(graph, {}, {})
    names = graph.names
    asked = {name: k for name, k in parts.items() if split_parts(k)[0] > 1}
    follows = {names[v]: names[region.leader] for region in found for v in region.members if names[v] not in asked}
    return Sharded(_Rewriting(cut, found).graph(), asked, follows, tuple(found))


def regions_of(cut: CutGraph, parts: Mapping[str, PartCount]) -> list[Region]:
    """The regions of what is wanted, in order of their leaders; raises InvalidInput as :func:`shard`."""
    wanted = cut_positions(cut.graph, parts, able=cut.able)
    words = {cut.graph.index[name]: split_parts(k)[1] for name, k in parts.items()}
    for v in wanted:
        known = dict.fromkeys(axis.word for axis in cut.axes(v))
        if not any(word.startswith(words.get(v, "")) for word in known):
            raise InvalidInput(
                f"shard: {cut.graph.names[v]!r} ({cut.graph.op_types[v]}) has no axis {words[v]!r}; it can be cut by "
                + ", ".join(map(repr, known))
            )
    found: list[Region] = []
    taken: set[int] = set()
    rank = {v: i for i, v in enumerate(cut.graph.topological_order.tolist())}
    for v in sorted(wanted, key=rank.__getitem__):
        if v not in taken:
            region = cut.region(v, wanted[v], wanted, taken, words)
            if region.parts > 1:
                taken.update(region.members)
                found.append(region)
    return found


def cut_positions(graph: Graph, parts: Mapping[str, PartCount], able: BoolArray | None = None) -> dict[int, int]:
    """Position of an operation -> parts, for those of two or more; raises InvalidInput as :func:`shard`."""
    able = shardable(graph) if able is None else able
    wanted = {}
    for name, asked in parts.items():
        v = graph.index.get(name)
        if v is None:
            raise InvalidInput(f"shard: graph {graph.name!r} has no operation {name!r}")
        k = _counted(name, asked)
        if k > 1 and not able[v]:
            raise InvalidInput(
                f"shard: {name!r} ({graph.op_types[v]}) cannot be computed in parts; convolutions, matrix products, "
                "lookups, attention and recurrent layers can, where their shapes are known"
            )
        if k > 1:
            wanted[v] = k
    return wanted


def _counted(name: str, asked: PartCount) -> int:
    """The number of parts; InvalidInput if it makes no sense."""
    with contextlib.suppress(ValueError):
        parts, _ = split_parts(asked)
        if parts <= MOST_PARTS:
            return parts
    raise InvalidInput(
        f"shard: {name!r} in {asked!r} parts; give a whole number from 1 to {MOST_PARTS}, or one with an axis (4:rows)"
    )


class _Rewriting:
    """Builds the graph with regions in parts."""

    def __init__(self, cut: CutGraph, regions: list[Region]) -> None:
        self.cut, self.whole = cut, cut.graph
        self.builder = GraphBuilder(self.whole.name)
        self.region = {v: region for region in regions for v in region.members}
        self.leaving = {t: region for region in regions for t in cut.leaving(region)}
        self.sliced: set[str] = set()
        self.shared: list[list[int]] = [[] for _ in range(self.whole.n)]
        for s in range(len(self.whole.shared_names)):
            for v in self.whole.shared_users[self.whole.shared_ptr[s] : self.whole.shared_ptr[s + 1]].tolist():
                self.shared[v].append(s)

    def graph(self) -> Graph:
        """All operations in order."""
        for v in range(self.whole.n):
            region = self.region.get(v)
            if region is None:
                self._operation(v)
                continue
            for part in region.members[v].order(region.parts):
                self._part(v, region, part)
            for t in self.cut.makes[v].tolist():
                if t in self.leaving:
                    self._join(v, t, region)
        return self.builder.build()

    def _operation(self, v: int) -> None:
        """One that stays whole."""
        g = self.whole
        held = {g.shared_names[s]: float(g.shared_bytes[s]) for s in self.shared[v]}
        if g.weights[v]:
            held[f"{g.names[v]}::weights"] = float(g.weights[v])
        self._add(
            v, g.names[v], 1.0, [g.tensor_names[t] for t in self.cut.reads[v].tolist()],
            {g.tensor_names[t]: float(g.tensor_bytes[t]) for t in self.cut.makes[v].tolist()},
            float(g.bytes_accessed[v]), held,
        )  # fmt: skip

    def _part(self, v: int, region: Region, part: int) -> None:
        """One part of an operation."""
        g, axis, share = self.whole, region.members[v], region.share(part)
        read, made = self._all_read(v, region, part), self._made(v, region, part)
        sizes = g.tensor_bytes[self.cut.makes[v]].tolist()
        entering = min(float(g.bytes_accessed[v]), float(g.tensor_bytes[self.cut.reads[v]].sum()))
        rest = float(g.bytes_accessed[v]) - entering - min(float(g.bytes_accessed[v]) - entering, float(sum(sizes)))
        own, held = self._weights(v, axis, region, part)
        weighs = float(g.weights[v]) + sum(float(g.shared_bytes[s]) for s in self.shared[v])
        ratio = min(sum(held.values()) / weighs, 1.0) if weighs and not axis.picks else share
        written = min(float(g.bytes_accessed[v]) - entering - rest, sum(made.values()))
        if axis.window is not None:  # a window may skip elements that the whole is charged for
            read[""] = max(0.0, entering * share - sum(read.values()))
        moved = 0.0 if g.views[v] else min(entering, sum(read.values())) + rest * ratio + max(written, 0.0)
        self._add(v, own, share, [name for name in read if name], made, moved, held)

    def _all_read(self, v: int, region: Region, part: int) -> dict[str, float]:
        """Tensors that a part reads, with the bytes of them."""
        axis, names = region.members[v], self.whole.tensor_names
        before = axis.before(part, region.parts)
        later = axis.starting() if before is not None else frozenset()
        read: dict[str, float] = {}
        for t in self.cut.reads[v].tolist():
            if names[t] not in later:
                read.update(self._read(t, axis, region, part))
        if before is not None:
            for i, carried in enumerate(axis.carries):
                read[state_name(self.whole.names[v], before, i)] = carried.bytes
        return read

    def _made(self, v: int, region: Region, part: int) -> dict[str, float]:
        """Tensors that a part makes, with their bytes."""
        g, axis, share = self.whole, region.members[v], region.share(part)
        made = {
            f"{name}#{part}": size * (share if name in axis.makes else 1.0)
            for name, size in zip(
                (g.tensor_names[t] for t in self.cut.makes[v].tolist()),
                g.tensor_bytes[self.cut.makes[v]].tolist(),
                strict=True,
            )
            if name not in axis.handed()
        }
        last = part == axis.order(region.parts)[-1]
        for i, carried in enumerate(axis.carries):
            if carried.name or not last:
                made[carried.name if last else state_name(g.names[v], part, i)] = carried.bytes
        return made

    def _weights(self, v: int, axis: CutAxis, region: Region, part: int) -> tuple[str, dict[str, float]]:
        """The name of a part, and what it holds: its share of what is cut, all of the rest."""
        g, share = self.whole, region.share(part)
        name = f"{g.names[v]}#{part}"
        held: dict[str, float] = {}
        left = axis.held
        for s in self.shared[v]:
            weight, size = g.shared_names[s], float(g.shared_bytes[s])
            if weight in axis.starting() and axis.before(part, region.parts) is not None:
                continue
            if weight in axis.weights:
                found = self.cut.operand(weight, axis, region, part, weight=True)
                held[piece_name(weight, found.low, found.high, found.place)] = size * share
                left -= size
            else:
                held[weight] = size
        private = min(max(left, 0.0), float(g.weights[v]))
        if private:
            held[f"{name}::weights"] = private * share
        if g.weights[v] > private:
            held[f"{g.names[v]}::weights"] = float(g.weights[v]) - private
        return name, held

    def _read(self, t: int, axis: CutAxis, region: Region, part: int) -> dict[str, float]:
        """What a part reads of a tensor, and its bytes: a part made beside it, a slice, all of it, or nothing."""
        name, size = self.whole.tensor_names[t], float(self.whole.tensor_bytes[t])
        found = self.cut.operand(name, axis, region, part)
        if found.access is Access.NOTHING:
            return {}
        if found.access is Access.PIECE:
            return {f"{name}#{part}": size * found.share}
        if found.access is Access.SLICE:
            made = piece_name(name, found.low, found.high, found.place)
            return {self._slice(t, made, found.share): size * found.share}
        return {name: size}

    def _slice(self, t: int, made: str, share: float) -> str:
        """The operation that takes a part of a tensor: a view, and the same one for all who read it."""
        if made not in self.sliced:
            self.sliced.add(made)
            g = self.whole
            size = float(g.tensor_bytes[t]) * share
            self.builder.operation(
                f"{made}#slice", SLICE,
                inputs=[g.tensor_names[t]], outputs={made: size}, view=True,
            )  # fmt: skip
        return made

    def _join(self, v: int, t: int, region: Region) -> None:
        """The operation that joins the parts of a tensor, or adds its summands."""
        g, name = self.whole, self.whole.tensor_names[t]
        size, summed = float(g.tensor_bytes[t]), region.members[v].sums
        self.builder.operation(
            self.cut.join_name(v, t),
            TOTAL if summed else JOIN,
            inputs=[f"{name}#{part}" for part in range(region.parts)],
            outputs={name: size},
            flops=(region.parts - 1) * size / _ELEMENT if summed else 0.0,
            bytes_accessed=(region.parts + 1 if summed else 2) * size,
        )

    def _add(
        self, v: int, name: str, share: float, read: list[str], made: dict[str, float], moved: float,
        held: dict[str, float],
    ) -> None:  # fmt: skip
        g = self.whole
        self.builder.operation(
            name,
            g.op_types[v],
            inputs=read,
            outputs=made,
            flops=float(g.flops[v]) * share,
            bytes_accessed=moved,
            weights=held,
            group=f"group {g.group[v]}" if g.group[v] >= 0 else None,
            backward=bool(g.backward[v]),
            times={k: float(times[v]) * share for k, times in g.profiled_times.items() if not np.isnan(times[v])},
            unknown=g.op_types[v] in g.unknown_operators and g.names[v] in g.guessed,
            guessed=g.names[v] in g.guessed,
            module=g.modules[v] if g.modules else "",
            view=bool(g.views[v]),
        )


_ELEMENT = 4.0
"""Bytes of an element of a sum: graphs do not know, so that of float32."""
