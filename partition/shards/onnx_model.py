"""An ONNX model with operations in parts: an ordinary ONNX model again, which computes the same.

A part is the same operator with its slice of the weights, so every element of its output is the same sum as before.
What stays in parts behind it gets its slice of its own weights (a bias, a normalisation). A ``Concat`` joins the parts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TypeProto, helper, numpy_helper

from partition.errors import InvalidInput
from partition.shards.rewrite import BY_CHANNEL, BY_COLUMN, ELEMENTWISE, PER_CHANNEL
from partition.split.source import open_whole

CHANNEL, COLUMN = 1, -1
"""The axis of the output that parts cut."""


@dataclass(frozen=True, eq=False)
class _OperatorCut:
    """How one operator is cut.

    Attributes
    ----------
    axis : of the output.
    extent : of that axis.
    slices : position among the inputs -> axis of that weight which is cut with the output.
    """

    axis: int
    extent: int
    slices: Mapping[int, int]


def shard_onnx(
    model: str | os.PathLike[str], parts: Mapping[str, int], *, dims: Mapping[str, int] | None = None
) -> ModelProto:
    """The model with the named operations in parts.

    Parameters
    ----------
    parts : operation, by its name in the graph, -> number of parts; more than it has channels or columns count as many.
    dims : values of symbolic dimensions.

    Raises
    ------
    InvalidInput : no such operation, or one that cannot be cut: another operator, weights that are computed or shared,
        a convolution in groups.
    InvalidModelFile : as :func:`partition.readers.onnx.model.read_onnx`.
    """
    whole = open_whole(model, dims)
    names = {whole.graph.names[v]: i for i, v in enumerate(whole.operation) if v is not None}
    rewriter = _Rewriter(whole.proto, whole.types)
    wanted = {}
    for name, count in parts.items():
        if name not in names:
            raise InvalidInput(f"shard: the model has no operation {name!r}")
        node = whole.proto.graph.node[names[name]]
        cut = rewriter.cut(node)
        if isinstance(cut, str):
            raise InvalidInput(f"shard: {name!r} ({node.op_type}) cannot be cut: {cut}")
        wanted[names[name]] = (cut, min(int(count), cut.extent))
    label = {i: name for name, i in names.items()}
    return rewriter.rewritten({i: w for i, w in wanted.items() if w[1] > 1}, label)


def can_cut(model: str | os.PathLike[str], *, dims: Mapping[str, int] | None = None) -> dict[str, int]:
    """Operation that can be cut -> parts it can have at most."""
    whole = open_whole(model, dims)
    rewriter = _Rewriter(whole.proto, whole.types)
    found = {}
    for node, v in zip(whole.proto.graph.node, whole.operation, strict=True):
        cut = rewriter.cut(node)
        if v is not None and not isinstance(cut, str) and cut.extent > 1:
            found[whole.graph.names[v]] = cut.extent
    return found


class _Rewriter:
    """Cuts nodes of one model, and what follows them."""

    def __init__(self, proto: ModelProto, types: Mapping[str, TypeProto]) -> None:
        self.proto, self.types = proto, types
        self.weights = {tensor.name: tensor for tensor in proto.graph.initializer}
        self.arrays: dict[str, NDArray[np.generic]] = {}
        self.readers: dict[str, list[int]] = {}
        for i, node in enumerate(proto.graph.node):
            for tensor in dict.fromkeys(_read_by(node)):
                self.readers.setdefault(tensor, []).append(i)
        self.outputs = {value.name for value in proto.graph.output}
        self.made: set[str] = set()  # names of slices already among the initializers

    def array(self, name: str) -> NDArray[np.generic]:
        """An initializer as an array."""
        if name not in self.arrays:
            self.arrays[name] = numpy_helper.to_array(self.weights[name])
        return self.arrays[name]

    def cut(self, node: NodeProto) -> _OperatorCut | str:
        """How a node can be cut, or why it cannot."""
        rule = _RULES.get(node.op_type)
        if rule is None or node.domain not in ("", "ai.onnx"):
            return "it is neither a convolution nor a matrix product or lookup with weights"
        return rule(self, node)

    def weight(self, node: NodeProto, position: int) -> NDArray[np.generic] | None:
        """An input that is an initializer, or None."""
        if position >= len(node.input) or node.input[position] not in self.weights:
            return None
        return self.array(node.input[position])

    # --- rewriting -------------------------------------------------------------------------------------------------

    def rewritten(self, wanted: Mapping[int, tuple[_OperatorCut, int]], label: Mapping[int, str]) -> ModelProto:
        """The model with nodes in parts: position -> how and in how many."""
        replaced: dict[int, list[NodeProto]] = {}
        for i, (cut, count) in wanted.items():
            bounds = np.linspace(0, cut.extent, count + 1).round().astype(int).tolist()
            chain = [(i, cut), *self._followers(i, cut, wanted)]
            for j, how in chain:
                node = self.proto.graph.node[j]
                name = label.get(j, node.name)
                replaced[j] = [self._part(node, how, part, bounds, name, follows=j != i) for part in range(count)]
            last = chain[-1][0]
            tensor = self.proto.graph.node[last].output[0]
            join = helper.make_node(
                "Concat", [_part_name(tensor, part) for part in range(count)], [tensor], axis=self._axis(tensor, cut),
                name=f"{label.get(last, self.proto.graph.node[last].name)}#join",
            )  # fmt: skip
            replaced[last].append(join)
        nodes = [new for i, node in enumerate(self.proto.graph.node) for new in replaced.get(i, [node])]
        result = ModelProto()
        result.CopyFrom(self.proto)
        del result.graph.node[:]
        result.graph.node.extend(nodes)
        self._drop_unread(result)
        return result

    def _axis(self, tensor: str, cut: _OperatorCut) -> int:
        """The axis that parts cut, counted from the front where that is known: older opsets ask for it."""
        found = self.types.get(tensor)
        if cut.axis >= 0 or found is None or not found.tensor_type.HasField("shape"):
            return cut.axis
        return len(found.tensor_type.shape.dim) + cut.axis

    def _followers(self, leader: int, cut: _OperatorCut, wanted: Collection[int]) -> list[tuple[int, _OperatorCut]]:
        """The nodes that stay in parts behind one, in order."""
        found: list[tuple[int, _OperatorCut]] = []
        i = leader
        while True:
            outputs = [tensor for tensor in self.proto.graph.node[i].output if tensor]
            if len(outputs) != 1 or outputs[0] in self.outputs or len(self.readers.get(outputs[0], [])) != 1:
                break
            i = self.readers[outputs[0]][0]
            node = self.proto.graph.node[i]
            how = self._following(node, outputs[0], cut) if i not in wanted else None
            if how is None:
                break
            found.append((i, how))
        return found if all(len([t for t in self.proto.graph.node[j].output if t]) == 1 for j, _ in found) else []

    def _following(self, node: NodeProto, tensor: str, cut: _OperatorCut) -> _OperatorCut | None:
        """How a node stays in parts behind a cut, or None if it cannot."""
        elementwise = node.op_type in ELEMENTWISE
        if node.domain not in ("", "ai.onnx") or not (
            elementwise or (node.op_type in PER_CHANNEL and cut.axis == CHANNEL)
        ):
            return None
        if len([name for name in node.output if name]) != 1 or any(a.type == a.GRAPH for a in node.attribute):
            return None
        slices: dict[int, int] = {}
        for position, name in enumerate(node.input):
            if not name or name == tensor:
                continue
            array = self.weight(node, position)
            if array is None:
                return None
            if node.op_type in ("BatchNormalization", "InstanceNormalization"):
                slices[position] = 0
                continue
            axis = _broadcast_axis(array.shape, cut)
            if axis == "unknown":
                return None
            if isinstance(axis, int):
                slices[position] = axis
        return _OperatorCut(cut.axis, cut.extent, slices)

    def _part(
        self, node: NodeProto, cut: _OperatorCut, part: int, bounds: list[int], name: str, *, follows: bool
    ) -> NodeProto:
        """One part of a node, with its slices among the initializers."""
        new = NodeProto()
        new.CopyFrom(node)
        new.name = f"{name}#{part}"
        for position, tensor in enumerate(node.input):
            if position in cut.slices:
                new.input[position] = self._slice(tensor, cut.slices[position], part, bounds)
            elif follows and tensor and tensor not in self.weights:
                new.input[position] = _part_name(tensor, part)
        for position, tensor in enumerate(node.output):
            if tensor:
                new.output[position] = _part_name(tensor, part)
        return new

    def _slice(self, tensor: str, axis: int, part: int, bounds: list[int]) -> str:
        """The name of a part of an initializer; one name for the same cut, so that a shared one is stored once."""
        name = f"{tensor}#{part}of{len(bounds) - 1}.{axis}"
        if name not in self.made:
            self.made.add(name)
            array = self.array(tensor)
            index = [slice(None)] * array.ndim
            index[axis] = slice(bounds[part], bounds[part + 1])
            self.proto.graph.initializer.append(
                numpy_helper.from_array(np.ascontiguousarray(array[tuple(index)]), name)
            )
        return name

    def _drop_unread(self, model: ModelProto) -> None:
        """Remove the initializers of which only parts are left, and what was inferred about tensors."""
        read = {tensor for node in model.graph.node for tensor in _read_by(node)} | self.outputs
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


def _part_name(tensor: str, part: int) -> str:
    return f"{tensor}#{part}"


def _broadcast_axis(shape: tuple[int, ...], cut: _OperatorCut) -> int | str | None:
    """Axis along which an operand of an elementwise operator is cut; None if it is the same for all, or 'unknown'.

    By columns, the last axes of both meet. By channel the operand has the axes behind the channel as well. They are
    known only of an operand of at least two axes whose others are all 1.
    """
    if int(np.prod(shape)) == 1:
        return None
    if cut.axis == COLUMN:
        if shape[-1] == cut.extent:
            return len(shape) - 1
        return None if shape[-1] == 1 else "unknown"
    wide = [axis for axis, extent in enumerate(shape) if extent != 1]
    behind = len(wide) == 1 and shape[wide[0]] == cut.extent and len(shape) >= 3 and wide[0] == len(shape) - 3
    return wide[0] if behind else "unknown"


# --- one rule an operator ------------------------------------------------------------------------------------------


def _groups(node: NodeProto) -> int:
    return next((a.i for a in node.attribute if a.name == "group"), 1)


def _flag(node: NodeProto, name: str) -> int:
    return next((a.i for a in node.attribute if a.name == name), 0)


def _convolution(
    weight: int, axis: int, along: tuple[int, ...]
) -> Callable[[_Rewriter, NodeProto], _OperatorCut | str]:
    """``weight`` : position of the weights, ``axis`` of their channels; ``along`` : inputs of one per channel."""

    def rule(rewriter: _Rewriter, node: NodeProto) -> _OperatorCut | str:
        array = rewriter.weight(node, weight)
        if array is None:
            return "its weights are computed, not stored"
        if _groups(node) != 1:
            return "its channels are in groups, which read different inputs"
        extent = int(array.shape[axis])
        slices = {weight: axis}
        for position in along:
            if position >= len(node.input) or not node.input[position]:
                continue
            more = rewriter.weight(node, position)
            if more is None:
                return "its bias or scales are computed, not stored"
            if more.ndim == 1 and more.shape[0] == extent and extent > 1:
                slices[position] = 0
        return _OperatorCut(CHANNEL, extent, slices)

    return rule


def _gemm(rewriter: _Rewriter, node: NodeProto) -> _OperatorCut | str:
    array = rewriter.weight(node, 1)
    if array is None:
        return "its weights are computed, not stored"
    axis = 0 if _flag(node, "transB") else 1
    extent = int(array.shape[axis])
    slices = {1: axis}
    if len(node.input) > 2 and node.input[2]:
        bias = rewriter.weight(node, 2)
        if bias is None:
            return "its bias is computed, not stored"
        if bias.ndim and bias.shape[-1] == extent and extent > 1:
            slices[2] = bias.ndim - 1
    return _OperatorCut(COLUMN, extent, slices)


def _product(weight: int, along: tuple[int, ...]) -> Callable[[_Rewriter, NodeProto], _OperatorCut | str]:
    """A matrix product by stored columns; ``along`` : inputs that may have one figure a column."""

    def rule(rewriter: _Rewriter, node: NodeProto) -> _OperatorCut | str:
        array = rewriter.weight(node, weight)
        if array is None:
            return "its weights are computed, not stored"
        if array.ndim < 2:
            return "its weights are a vector"
        extent = int(array.shape[-1])
        slices = {weight: array.ndim - 1}
        for position in along:
            more = rewriter.weight(node, position)
            if more is not None and more.ndim == 1 and more.shape[0] == extent and extent > 1:
                slices[position] = 0
        return _OperatorCut(COLUMN, extent, slices)

    return rule


def _gather(rewriter: _Rewriter, node: NodeProto) -> _OperatorCut | str:
    array = rewriter.weight(node, 0)
    if array is None:
        return "its table is computed, not stored"
    if array.ndim < 2 or _flag(node, "axis") not in (0, -array.ndim):
        return "it does not look up rows of a table"
    return _OperatorCut(COLUMN, int(array.shape[-1]), {0: array.ndim - 1})


_RULES: Mapping[str, Callable[[_Rewriter, NodeProto], _OperatorCut | str]] = {
    "Conv": _convolution(1, 0, (2,)),
    "ConvTranspose": _convolution(1, 1, (2,)),
    "ConvInteger": _convolution(1, 0, (3,)),
    "QLinearConv": _convolution(3, 0, (4, 5, 8)),
    "Gemm": _gemm,
    "MatMul": _product(1, ()),
    "MatMulInteger": _product(1, (3,)),
    "QLinearMatMul": _product(3, (4, 5)),
    "Gather": _gather,
}
assert set(_RULES) <= BY_CHANNEL | BY_COLUMN
