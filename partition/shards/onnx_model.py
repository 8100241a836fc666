"""An ONNX model with operations in parts: an ordinary ONNX model again, which computes the same.

A part is the same operator with its slice of the weights, and of what it reads in parts. So every element of its
output is the same sum as before. Where an inner axis is cut, the parts make summands, and their sum rounds otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableSequence, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, ValueInfoProto, helper, numpy_helper

from partition.errors import InvalidInput
from partition.problem.cut_axis import DIRECTIONS, CutAxis, PartCount, ReadWindow
from partition.shards.regions import Access, CutGraph, Region, piece_name, state_name
from partition.shards.rewrite import regions_of
from partition.split.source import OnnxSource, open_whole

SHAPED = {"Reshape": 1, "Expand": 1, "Resize": 3}
"""Operator -> the input that states the shape of its result."""


def shard_onnx(
    model: str | os.PathLike[str],
    parts: Mapping[str, PartCount],
    *,
    dims: Mapping[str, int] | None = None,
    apart: bool = False,
) -> ModelProto:
    """The model with the named operations in parts.

    Parameters
    ----------
    parts : operation, by its name in the graph, -> number of parts, perhaps with the axis (``"4:rows"``); more than it
        has units count as many.
    dims : values of symbolic dimensions.
    apart : a result that ends in parts leaves as ``result#0``, ``result#1``, ...; :func:`parts_of_results` says along
        which axis they stand side by side.

    Raises
    ------
    InvalidInput : no such operation, or one that cannot be cut.
    InvalidModelFile : as :func:`partition.readers.onnx.model.read_onnx`.
    """
    whole = open_whole(model, dims)
    cut = CutGraph(whole.graph, apart)
    for name in parts:
        if name in whole.graph.index and not whole.graph.cut_axes.get(name):
            raise InvalidInput(
                f"shard: {name!r} ({whole.graph.op_types[whole.graph.index[name]]}) cannot be cut: its operator has no "
                "rule, or the shapes or axes of what it reads are not known"
            )
    return _Rewriter(whole, cut, regions_of(cut, parts)).rewritten()


class _Rewriter:
    """Writes the nodes of regions in parts."""

    def __init__(self, whole: OnnxSource, cut: CutGraph, regions: Sequence[Region]) -> None:
        self.whole, self.cut = whole, cut
        self.graph = whole.graph
        self.region = {v: region for region in regions for v in region.members}
        self.leaving = {t: region for region in regions for t in cut.leaving(region)}
        self.opset = max((o.version for o in whole.proto.opset_import if o.domain in ("", "ai.onnx")), default=1)
        self.nodes: list[NodeProto] = []
        self.arrays: dict[str, NDArray[np.generic]] = {}
        self.made: set[str] = set()  # slices that are there already
        self.fresh: list[tuple[str, NDArray[np.generic]]] = []

    def rewritten(self) -> ModelProto:
        """The model with its nodes in parts."""
        for node, v in zip(self.whole.proto.graph.node, self.whole.operation, strict=True):
            region = None if v is None else self.region.get(v)
            if v is None or region is None:
                self.nodes.append(node)
                continue
            for part in region.members[v].order(region.parts):
                self.nodes.append(self._part(node, v, region, part))
            for t in self.cut.makes[v].tolist():
                if t in self.leaving:
                    self._join(v, t, region)
        result = ModelProto()
        result.CopyFrom(self.whole.proto)
        del result.graph.node[:]
        result.graph.node.extend(self.nodes)
        result.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in self.fresh)
        self._results(result)
        _drop_unread(result)
        return result

    # --- one node

    def _part(self, node: NodeProto, v: int, region: Region, part: int) -> NodeProto:
        """One part of a node; what it needs in slices is added before."""
        axis, name = region.members[v], self.graph.names[v]
        new = NodeProto()
        new.CopyFrom(node)
        new.name = f"{name}#{part}"
        for position, tensor in enumerate(node.input):
            new.input[position] = self._operand(tensor, axis, region, part)
        for position, tensor in enumerate(node.output):
            if tensor:
                new.output[position] = f"{tensor}#{part}"
        _hand_on(new, name, axis, region, part)
        while new.input and not new.input[-1]:
            del new.input[-1]
        low, high = region.range(part, axis.extent)
        for attribute in new.attribute:
            if attribute.name in axis.counts:
                attribute.i = attribute.i * (high - low) // axis.extent
        if axis.word == DIRECTIONS:
            _set_direction(new, low)
        if axis.window is not None:
            _set_pads(new, axis.window[1] - 2, axis.window[2], low, high)
        self._state_shape(new, node, axis, region, part)
        return new

    def _operand(self, tensor: str, axis: CutAxis, region: Region, part: int) -> str:
        """What a part reads in the place of a tensor or weight."""
        weight = tensor in axis.weights
        found = self.cut.operand(tensor, axis, region, part, weight=weight)
        if found.access is Access.NOTHING:
            return ""
        if found.access is Access.PIECE:
            return f"{tensor}#{part}"
        if found.access is Access.SLICE:
            where = found.place, found.low, found.high
            return self._weight(tensor, *where, axis.blocks) if weight else self._slice(tensor, *where)
        return tensor

    def _state_shape(self, new: NodeProto, node: NodeProto, axis: CutAxis, region: Region, part: int) -> None:
        """Replace the constant that states the shape of the whole result by that of the part."""
        position = SHAPED.get(node.op_type)
        if position is None or position >= len(node.input) or not node.input[position]:
            return
        made = node.output[0]
        shape = list(self.graph.shapes[self.cut.number[made]] or ())
        place, unit = axis.makes[made]
        low, high = region.range(part, axis.extent * unit)
        shape[place] = high - low
        new.input[position] = self._constant(f"{made}#{part}.shape", np.array(shape, dtype=np.int64))

    # --- pieces

    def _constant(self, name: str, array: NDArray[np.generic]) -> str:
        """A new initializer, stored once."""
        if name not in self.made:
            self.made.add(name)
            self.fresh.append((name, array))
        return name

    def _array(self, name: str) -> NDArray[np.generic] | None:
        """A constant that the file states, as an array; None for one that is computed."""
        if name not in self.arrays:
            stated = self.whole.weights.get(name)
            if stated is None and name in self.whole.maker:
                node = self.whole.proto.graph.node[self.whole.maker[name]]
                stated = next((a.t for a in node.attribute if a.name == "value"), None)
                stated = stated if node.op_type == "Constant" else None
            if stated is None or not hasattr(stated, "data_type"):
                return None
            self.arrays[name] = numpy_helper.to_array(stated)
        return self.arrays[name]

    def _weight(self, name: str, place: int, low: int, high: int, blocks: int) -> str:
        """The name of a piece of a weight; one name for the same piece, so that a shared one is stored once."""
        array = self._array(name)
        if array is None:
            return self._slice(name, place, low, high)
        own = piece_name(name, low, high, place)
        if own not in self.made:
            pieces = [np.take(block, range(low, high), place) for block in np.split(array, blocks, place)]
            self._constant(own, np.ascontiguousarray(np.concatenate(pieces, place)))
        return own

    def _slice(self, tensor: str, place: int, low: int, high: int) -> str:
        """The name of a slice of a tensor; the node that takes it is added once."""
        name = piece_name(tensor, low, high, place)
        if name in self.made:
            return name
        self.made.add(name)
        own = f"{name}#slice"
        if self.opset < 10:
            node = helper.make_node("Slice", [tensor], [name], own, starts=[low], ends=[high], axes=[place])
        else:
            numbers = [self._constant(f"#number {x}", np.array([x], dtype=np.int64)) for x in (low, high, place)]
            node = helper.make_node("Slice", [tensor, *numbers], [name], own)
        self.nodes.append(node)
        return name

    def _join(self, v: int, t: int, region: Region) -> None:
        """What joins the parts of a tensor, or adds its summands."""
        name = self.graph.tensor_names[t]
        own = self.cut.join_name(v, t)
        pieces = [f"{name}#{part}" for part in range(region.parts)]
        if region.members[v].sums:
            self.nodes.append(helper.make_node("Sum", pieces, [name], own))
        else:
            self.nodes.append(helper.make_node("Concat", pieces, [name], own, axis=region.cut[t]))

    def _results(self, model: ModelProto) -> None:
        """Results that end in parts, declared part by part."""
        declared = []
        for value in model.graph.output:
            t = self.cut.number.get(value.name)
            region = None if t is None else self.region.get(int(self.graph.producer[t]))
            if t is None or region is None or t in self.leaving or t not in region.cut:
                declared.append(value)
                continue
            place = region.cut[t]
            for part in range(region.parts):
                declared.append(self._declared(value, f"{value.name}#{part}", place, region, part))
        del model.graph.output[:]
        model.graph.output.extend(declared)

    def _declared(self, value: ValueInfoProto, name: str, place: int, region: Region, part: int) -> ValueInfoProto:
        found = ValueInfoProto()
        found.CopyFrom(value)
        found.name = name
        shape = self.graph.shapes[self.cut.number[value.name]]
        if found.type.tensor_type.HasField("shape") and shape is not None:
            low, high = region.range(part, shape[place])
            found.type.tensor_type.shape.dim[place].dim_value = high - low
        entry = found.metadata_props.add()
        entry.key, entry.value = PART_OF, f"{value.name}:{place}"
        return found


PART_OF = "part of"
"""Metadata of a result that is a part of another: its name and the axis."""


def parts_of_results(model: ModelProto) -> dict[str, tuple[list[str], int]]:
    """Result of the whole model -> its parts in order and the axis along which they stand side by side."""
    found: dict[str, tuple[list[str], int]] = {}
    for value in model.graph.output:
        for entry in value.metadata_props:
            if entry.key == PART_OF:
                name, _, place = entry.value.rpartition(":")
                found.setdefault(name, ([], int(place)))[0].append(value.name)
    return found


def _hand_on(node: NodeProto, name: str, axis: CutAxis, region: Region, part: int) -> None:
    """Let a part read the states that the one before it made, and make those that the next reads."""
    before, last = axis.before(part, region.parts), part == axis.order(region.parts)[-1]
    for i, carried in enumerate(axis.carries):
        if before is not None:
            _put(node.input, carried.operand, state_name(name, before, i))
        if carried.name or not last:
            _put(node.output, carried.result, carried.name if last else state_name(name, part, i))


def _put(names: MutableSequence[str], position: int, name: str) -> None:
    """State a name at a position, those left out before it by empty ones."""
    names.extend([""] * (position + 1 - len(names)))
    names[position] = name


def _set_direction(node: NodeProto, direction: int) -> None:
    """The part of a recurrent operator that runs forward (0) or backward (1), with the activations of that one."""
    for attribute in node.attribute:
        if attribute.name == "direction":
            attribute.s = (b"forward", b"reverse")[direction]
        elif attribute.name == "activations":
            each = len(attribute.strings) // 2
            kept = attribute.strings[direction * each : (direction + 1) * each]
            del attribute.strings[:]
            attribute.strings.extend(kept)


def _set_pads(node: NodeProto, d: int, window: ReadWindow, low: int, high: int) -> None:
    """The pads of a part that reads its window alone: of the whole, where the window reaches over its edges."""
    pads = next((a for a in node.attribute if a.name == "pads"), None)
    before, behind = window.beyond(low, high)
    if pads is None:
        if not before and not behind:
            return
        raise AssertionError("a window over the edge of an operator without pads")
    pads.ints[d] = before
    pads.ints[len(pads.ints) // 2 + d] = behind


def _drop_unread(model: ModelProto) -> None:
    """Remove the initializers of which only parts are left, and what was inferred about tensors."""
    read = {tensor for node in model.graph.node for tensor in _read_by(node)}
    read |= {value.name for value in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _read_by(node: NodeProto) -> list[str]:
    """Tensors a node reads, those that its bodies read from outside included."""
    found = [tensor for tensor in node.input if tensor]
    for attribute in node.attribute:
        for body in [attribute.g] if attribute.type == attribute.GRAPH else attribute.graphs:
            for inner in body.node:
                found += _read_by(inner)
            found += [value.name for value in body.output]
    return found
