"""A program of ``torch.export`` with operations in parts: an exported program again, which computes the same."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.fx.node import map_arg

from partition.errors import InvalidInput, InvalidModelFile
from partition.pipeline.torch_stages import TOLERANCE, largest_difference
from partition.problem.cut_axis import CutAxis, PartCount
from partition.readers.torch.calls import kind_of
from partition.readers.torch.cut_axes import GROUPS
from partition.readers.torch.program import functional
from partition.readers.torch.reader import ProgramReader
from partition.readers.torch.signature import is_joint, new_values
from partition.readers.torch.writing import CallWriter
from partition.shards.regions import Access, CutGraph, Region
from partition.shards.rewrite import regions_of

if TYPE_CHECKING:
    from torch.export import ExportedProgram

aten = torch.ops.aten

VIEWS = (aten.view.default, aten._unsafe_view.default)
"""Operators that want their operand in one piece of memory, or nearly so."""

RESHAPES = frozenset({"view", "_unsafe_view", "reshape", "squeeze", "unsqueeze"})
"""Operators of which a part is a ``reshape``: its slice may not be contiguous, or may have extent 1 on an axis."""


def shard_torch(program: ExportedProgram, parts: Mapping[str, PartCount], *, verify: bool = True) -> ExportedProgram:
    """The program with the named operations in parts.

    Parameters
    ----------
    parts : operation of ``Graph.from_torch(program)`` -> number of parts, perhaps with the axis (``"4:rows"``).
    verify : run both programs on the example inputs and compare all results.

    Raises
    ------
    InvalidInput : no such operation, or one that cannot be cut; no example inputs to verify with.
    InvalidModelFile : it is a forward and a backward pass in one, it writes to its buffers, or the parts do not compute
        what it does.
    """
    plain = functional(program)
    if is_joint(plain) or new_values(plain):
        raise InvalidModelFile("the program trains, or writes to its buffers (a cache, say), so it cannot be cut")
    reader = ProgramReader(plain, type(program.graph_module).__name__)
    graph = reader.graph()
    cut = CutGraph(graph)
    regions = regions_of(cut, parts)
    if regions:
        _PartWriter(plain, reader, cut, regions).rewrite()
    if verify:
        try:
            difference = largest_difference(program, plain.module())
        except RuntimeError as error:  # a view that the memory of a joined tensor does not allow
            raise InvalidModelFile(f"the program in parts does not run: {error}") from error
        if not difference <= TOLERANCE:
            raise InvalidModelFile(f"the parts do not compute what the program does: results differ by {difference:g}")
    return plain


class _PartWriter:
    """Replaces the calls of regions by their parts.

    Attributes
    ----------
    pieces : tensor of the graph -> its parts, as nodes.
    """

    def __init__(self, program: Any, reader: ProgramReader, cut: CutGraph, regions: list[Region]) -> None:
        self.program, self.reader, self.cut = program, reader, cut
        self.region = {v: region for region in regions for v in region.members}
        self.leaving = {t for region in regions for t in cut.leaving(region)}
        self.pieces: dict[str, list[Any]] = {}
        self.slices: dict[tuple[str, int, int, int], Any] = {}
        self.whole: dict[str, Any] = {}  # tensor that is made in parts -> the node that joins it
        self.instead: list[tuple[Any, Any]] = []  # a node, and the one that replaces it
        self.states: list[Any] = []  # what the last part that was written hands to the next

    def rewrite(self) -> None:
        """All calls in order; what they replace is removed last, readers before what they read."""
        graph, replaced = self.program.graph, []
        for node in list(graph.nodes):
            v = self.cut.graph.index.get(self.reader.operations.get(node.name, ""))
            if v is not None and v in self.region:
                with graph.inserting_before(node):
                    self._parts(node, v, self.region[v])
                replaced.append(node)
            elif node.op == "call_function" and node.target is operator.getitem and node.args[0] in replaced:
                name = self.reader.tensor[node.name][0]
                if name in self.whole:
                    self.instead.append((node, self.whole[name]))
                replaced.append(node)
        for node, other in self.instead:
            node.replace_all_uses_with(other)
            self.program.graph_signature.replace_all_uses(node.name, other.name)
        for node in reversed(replaced):
            graph.erase_node(node)
        for node in graph.nodes:  # a joined tensor may lie in memory otherwise than the whole did
            if node.target in VIEWS:
                node.target = aten.reshape.default
        graph.lint()
        self.program.graph_module.recompile()

    def _parts(self, node: Any, v: int, region: Region) -> None:
        """The parts of one call, and what joins them."""
        axis, write = region.members[v], CallWriter(self.program.graph, node)
        names = self.reader.tensor[node.name]
        several = node.name in self.reader.several
        for part in axis.order(region.parts):
            operand = partial(self._operand, axis=axis, region=region, part=part, write=write)
            given, kwargs = map_arg((node.args, node.kwargs), operand)
            args = _adjusted(node, list(given), axis, region, part, names[0])
            if axis.before(part, region.parts) is not None:
                args[1] = self.states if isinstance(args[1], list | tuple) else self.states[0]
            call = write(aten.reshape.default if kind_of(node.target) in RESHAPES else node.target, *args, **kwargs)
            call = self._cropped(call, axis, region, part, names[0], write)
            self.states = [write(operator.getitem, call, carried.result) for carried in axis.carries]
            for i, name in enumerate(names):
                if name is not None and name not in axis.handed():
                    piece = write(operator.getitem, call, i) if several else call
                    self.pieces.setdefault(name, []).append(piece)
        for carried, state in zip(axis.carries, self.states, strict=True):
            if carried.name:
                self.whole[carried.name] = state
        for name in filter(None, names):
            t = self.cut.number.get(name)
            if t in self.leaving:
                self.whole[name] = self._joined(self.pieces[name], axis, region, t, write)
                if not several:
                    self.instead.append((node, self.whole[name]))

    def _joined(self, pieces: list[Any], axis: CutAxis, region: Region, t: int, write: CallWriter) -> Any:
        if not axis.sums:
            return write(aten.cat.default, pieces, region.cut[t])
        total = pieces[0]
        for piece in pieces[1:]:
            total = write(aten.add.Tensor, total, piece)
        return total

    def _operand(self, node: Any, *, axis: CutAxis, region: Region, part: int, write: CallWriter) -> Any:
        """What a part reads in the place of a node."""
        held = self.reader.weight_name(node)
        name = held or (self.reader.tensor.get(node.name) or [None])[0]
        if name is None:
            return node
        found = self.cut.operand(name, axis, region, part, weight=held is not None)
        if found.access is Access.NOTHING:
            return None
        if found.access is Access.PIECE:
            return self.pieces[name][part]
        if found.access is Access.SLICE:
            return self._slice(node, found.place, (found.low, found.high), write)
        return node

    def _slice(self, node: Any, place: int, ends: tuple[int, int], write: CallWriter) -> Any:
        """A view of a part of a tensor, the same node for all who read it."""
        key = (node.name, place, *ends)
        if key not in self.slices:
            self.slices[key] = write(aten.slice.Tensor, node, place, *ends)
        return self.slices[key]

    def _cropped(self, call: Any, axis: CutAxis, region: Region, part: int, name: str | None, write: CallWriter) -> Any:
        """Without what a part of an enlarging operator makes of its neighbours' elements."""
        if axis.window is None or axis.window[2].scale == 1 or name is None:
            return call
        _, place, window = axis.window
        low, high = region.range(part, axis.extent * window.scale)
        begin = low - window.reads(low, high)[0] * window.scale
        return write(aten.slice.Tensor, call, place, begin, begin + high - low)


def _adjusted(node: Any, args: list[Any], axis: CutAxis, region: Region, part: int, name: str | None) -> list[Any]:
    """The arguments of a part, those changed that state shapes, groups or pads of the whole."""
    kind = kind_of(node.target)
    low, high = region.range(part, axis.extent)
    if kind in (*RESHAPES, "expand") and name is not None:
        place, unit = axis.makes[name]
        shape = [int(extent) for extent in node.meta["val"].shape]
        shape[place] = (high - low) * unit
        args[1:] = [shape]
    if axis.counts and kind in GROUPS:
        args[GROUPS[kind]] = args[GROUPS[kind]] * (high - low) // axis.extent
    if axis.window is not None and kind in GROUPS:
        return _padded(args, axis, low, high)
    if axis.window is not None or kind.startswith("upsample"):
        return _sized(node, args, axis, region, part)
    return args


def _padded(args: list[Any], axis: CutAxis, low: int, high: int) -> list[Any]:
    """A convolution whose window reaches over an edge pads that side alone, by an operation of its own."""
    assert axis.window is not None
    _, place, window = axis.window
    d = len(args[1].meta["val"].shape) - 2
    pads = list(args[4]) if len(args) > 4 and isinstance(args[4], list | tuple) else [args[4] if len(args) > 4 else 0]
    pads = [0] * d if pads == ["valid"] else pads * d if len(pads) == 1 else pads
    before, behind = window.beyond(low, high)
    rank = d + 2
    if before or behind:
        sides = [0] * (2 * (rank - place))
        sides[-2:] = [before, behind]
        graph = args[0].graph
        args[0] = CallWriter(graph, args[0])(aten.constant_pad_nd.default, args[0], sides)
    pads[place - 2] = 0
    defaults = [None, None, None, [1] * d, pads, [1] * d, 1]
    args = args + defaults[len(args) :]
    args[4] = pads
    return args


def _sized(node: Any, args: list[Any], axis: CutAxis, region: Region, part: int) -> list[Any]:
    """An enlarging operator is told the size of what it makes of the part that it reads."""
    whole = [int(extent) for extent in node.meta["val"].shape]
    read = [int(extent) for extent in node.args[0].meta["val"].shape]
    mine = [int(extent) for extent in args[0].meta["val"].shape]
    size = [mine[a] * (whole[a] // read[a]) if mine[a] != read[a] else whole[a] for a in range(2, len(whole))]
    if str(node.target).endswith(".vec"):
        args[1] = size
        factors = len(args) - 1
        if args[factors] is not None and factors > 1:
            args[factors] = None
        return args
    raise InvalidInput(f"shard: {node.name!r} ({node.target}) has no form that states sizes alone")
