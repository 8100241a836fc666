"""The whole ONNX model with its weights, its nodes matched with the operations of the graph."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, TensorProto, TypeProto, ValueInfoProto, helper, numpy_helper

from partition.errors import InvalidModelFile
from partition.problem.graph import Graph
from partition.readers.onnx import dims as onnx_dims
from partition.readers.onnx import file as onnx_file
from partition.readers.onnx import nodes as onnx_nodes
from partition.readers.onnx import shapes as onnx_shapes
from partition.readers.onnx.model import read_onnx
from partition.readers.onnx.types import static_spec
from partition.readers.onnx.views import SHAPES
from partition.readers.onnx.walk import reads
from partition.split.running import computed, observed_types

STATED = SHAPES | {"Constant", "ConstantOfShape"}
"""Operators that state a constant or show it under another shape: parts keep them as they are."""

MOST_FOLDED = 2**31 - 1
"""Bytes of a tensor up to which it is computed for a part to hold: what a protobuf can take."""


@dataclass(frozen=True, eq=False)
class OnnxSource:
    """An ONNX model ready to be cut.

    Attributes
    ----------
    proto : with weights, functions inlined, symbolic dimensions bound.
    graph : the same model as the partitioner sees it.
    operation : per node its operation, None for nodes that state constants.
    reads : per node the tensors it reads, those of its bodies included.
    maker : tensor -> the node that makes it.
    weights : name -> initializer, dense or sparse.
    folded : tensors computed from constants, as far as they could be computed and were asked for.
    types : of tensors, as far as inferred.
    """

    proto: ModelProto
    graph: Graph
    operation: list[int | None]
    reads: list[list[str]]
    maker: dict[str, int]
    weights: dict[str, TensorProto | onnx.SparseTensorProto]
    types: dict[str, TypeProto]
    folded: dict[str, TensorProto | None] = field(default_factory=dict)

    def constant_nodes(self, tensors: Iterable[str], known: Collection[str] = ()) -> list[int]:
        """The nodes that state the constants among the tensors, or compute them from constants, in order.

        Parameters
        ----------
        known : tensors to stop at.
        """
        chosen: set[int] = set()
        stack = list(tensors)
        while stack:
            tensor = stack.pop()
            i = None if tensor in known else self.maker.get(tensor)
            if i is not None and i not in chosen and self.operation[i] is None:
                chosen.add(i)
                stack += self.reads[i]
        return sorted(chosen)

    def fold(self, tensors: Iterable[str]) -> dict[str, TensorProto]:
        """Those of the tensors that are computed from constants, computed; without those that cannot be."""
        for tensor in tensors:
            if tensor not in self.folded:
                nodes = [self.proto.graph.node[i] for i in self.constant_nodes([tensor])]
                works = any(node.op_type not in STATED for node in nodes)
                fits = works and all(self._bytes(t) <= MOST_FOLDED for node in nodes for t in node.output if t)
                self.folded[tensor] = computed(self.proto, nodes, tensor) if fits else None
        return {t: value for t in tensors if (value := self.folded[t]) is not None}

    def _bytes(self, tensor: str) -> float:
        """Bytes of a tensor; infinite where inference does not tell."""
        spec = static_spec(self.types[tensor]) if tensor in self.types else None
        return math.inf if spec is None else spec.bytes

    def learn_types(self, tensors: Collection[str], inputs: Mapping[str, Any] | None = None) -> None:
        """Run the model once, on given or drawn inputs, to see the types of tensors that inference leaves open.

        Raises
        ------
        InvalidModelFile : onnxruntime is not there, or cannot run the model.
        """
        unknown = sorted(set(tensors) - self.types.keys())
        if unknown:
            self.types.update(observed_types(self.proto, unknown, inputs))

    def value_info(self, tensor: str, name: str) -> ValueInfoProto:
        """What a part declares of a tensor under a name of its own."""
        return helper.make_value_info(name, self.types[tensor])


def open_whole(path: str | os.PathLike[str], dims: Mapping[str, int] | None) -> OnnxSource:
    """Read a model with its weights.

    Raises
    ------
    InvalidModelFile, InvalidInput : as :func:`~partition.readers.onnx.model.read_onnx`.
    """
    graph = read_onnx(path, dims=dims)  # checks the file, external data included
    proto = onnx.load_model(str(path), load_external_data=False)
    try:
        onnx.load_external_data_for_model(proto, str(Path(path).parent))
    except Exception as error:  # a link, say, which onnx does not follow
        where, reason = onnx_file.described(path), " ".join(str(error).split())
        raise InvalidModelFile(
            f"the weights beside {where} cannot be loaded ({reason}); save the model anew"
        ) from error
    proto = onnx_file.inlined(proto, onnx_file.described(path))
    constants = {tensor.name for tensor in proto.graph.initializer}
    constants |= {tensor.values.name for tensor in proto.graph.sparse_initializer}
    inputs = [value for value in proto.graph.input if value.name not in constants]
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    onnx_dims.bind_dimensions(proto.graph, dims or {})
    names = onnx_nodes.unique_names(proto.graph, [value.name for value in inputs])
    scope = _scope(path, dims)
    _state_shapes(proto, names, graph, scope)
    weights: dict[str, TensorProto | onnx.SparseTensorProto] = {t.name: t for t in proto.graph.initializer}
    weights |= {t.values.name: t for t in proto.graph.sparse_initializer}
    maker = {tensor: i for i, node in enumerate(proto.graph.node) for tensor in node.output if tensor}
    for value in proto.graph.output:
        if value.name not in maker and value.name not in weights and value.name not in {v.name for v in inputs}:
            raise InvalidModelFile(
                f"output {value.name!r} of {onnx_file.described(path)} is produced by nothing; export it again"
            )
    return OnnxSource(
        proto=proto,
        graph=graph,
        operation=[graph.index.get(name) for name in names],
        reads=[list(dict.fromkeys(reads(node))) for node in proto.graph.node],
        maker=maker,
        weights=weights,
        types=_types(scope, proto),
    )


def _complete(found: TypeProto) -> bool:
    """Whether a type says what a part has to declare: for tensors, at least their number of axes."""
    return not found.HasField("tensor_type") or bool(found.tensor_type.HasField("shape"))


def _scope(path: str | os.PathLike[str], dims: Mapping[str, int] | None) -> onnx_shapes.GraphScope:
    """What inference finds of every tensor."""
    lean = onnx_file.open_model(path)
    onnx_dims.bind_dimensions(lean.graph, dims or {})
    scope = onnx_shapes.GraphScope(lean)
    onnx_nodes.NodeReader(scope, lean.graph).operations()  # resolves the nodes one after the other
    return scope


def _state_shapes(proto: ModelProto, names: list[str], graph: Graph, scope: onnx_shapes.GraphScope) -> None:
    """Replace, in place, nodes that tell a shape which the graph takes for a constant by that constant."""
    for node, name in zip(proto.graph.node, names, strict=True):
        if node.op_type in ("Shape", "Size") and name not in graph.index:
            value = scope.certain_value(node.output[0])
            if value is not None:
                tensor = numpy_helper.from_array(value, node.output[0])
                node.CopyFrom(helper.make_node("Constant", [], [node.output[0]], node.name, value=tensor))


def _types(scope: onnx_shapes.GraphScope, proto: ModelProto) -> dict[str, TypeProto]:
    """The types of tensors without anything that was assumed."""
    tensors = {value.name for value in proto.graph.input} | {tensor for n in proto.graph.node for tensor in n.output}
    found = {tensor: scope.type(tensor) for tensor in sorted(tensors) if tensor}
    return {tensor: type_ for tensor, type_ in found.items() if type_ is not None and _complete(type_)}
