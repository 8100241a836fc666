"""The operations of an ONNX graph: which nodes are constants, what the others read, write and cost."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, helper, numpy_helper

from partition.errors import InvalidModelFile
from partition.problem.constants import Constants
from partition.problem.cut_axis import CutAxis
from partition.problem.extension_operators import is_tree_ensemble, tree_bytes
from partition.problem.operators import OperatorCost, operator_cost
from partition.readers.onnx import loops
from partition.readers.onnx.cut_axes import cut_axes_of
from partition.readers.onnx.file import stored_bytes
from partition.readers.onnx.shapes import STANDARD_DOMAINS, GraphScope
from partition.readers.onnx.types import ITEMSIZE, Shaped
from partition.readers.onnx.views import LOOKUPS, SHAPES, changes_nothing, is_read_along_strides, is_view
from partition.readers.onnx.walk import all_nodes, reads, subgraphs

SCOPES = "pkg.torch.onnx.name_scopes"
"""Key of the metadata in which PyTorch's exporter lists the modules around a node, then the node: a Python list."""

LONGEST_SCOPES = 10_000
"""Characters of such a list."""

_COSTED_DOMAINS = STANDARD_DOMAINS | {"ai.onnx.ml", "com.microsoft"}


@dataclass(frozen=True)
class Operation:
    """One node, ready for the builder: tensor names, bytes per output, bytes per weight.

    ``cost.known`` is False where the guess was made, ``guessed`` also where its cost follows from one. A ``view`` moves
    nothing and takes no time. ``cut_axes`` are those along which it can be computed in parts.
    """

    name: str
    op_type: str
    inputs: list[str]
    outputs: dict[str, float]
    weights: dict[str, float]
    cost: OperatorCost
    guessed: bool
    module: str
    view: bool = False
    cut_axes: tuple[CutAxis, ...] = ()

    def as_view(self) -> Operation:
        """The same, moving nothing."""
        return replace(self, view=True, cost=OperatorCost(0.0, 0.0, self.cost.known))


@dataclass
class NodeReader:
    """Walks the nodes of one graph, or of one body inside it, in order.

    Attributes
    ----------
    scope : types of the tensors seen so far.
    taken : operation names that are not free.
    constants : those of the outer graphs included.
    inside : whether the graph is a body, which runs as one operation.
    """

    scope: GraphScope
    graph: GraphProto
    taken: list[str] = field(default_factory=list)
    constants: Constants = field(default_factory=Constants)
    inside: bool = False

    def operations(self) -> list[Operation]:
        """All that are no constants, in order."""
        for tensor in self.graph.initializer:
            self.constants.state(tensor.name, stored_bytes(tensor))
        found = []
        for node, name in zip(self.graph.node, unique_names(self.graph, self.taken), strict=True):
            if not self._is_constant(node):
                self.constants.vary(node.output)
                found.append((node, self._operation(node, name)))
        return [
            operation.as_view() if is_read_along_strides(node, self.scope, self._readers) else operation
            for node, operation in found
        ]

    # --- constants

    def _is_constant(self, node: NodeProto) -> bool:
        """Whether the node states a constant or is computed from constants alone; its results are then noted."""
        if node.op_type == "Constant" and node.domain in STANDARD_DOMAINS:
            tensor = _constant_tensor(node)
            self.scope.add_constant(node.output[0], tensor)
            self.constants.state(node.output[0], self.scope.bytes(node.output[0]))
            return True
        if not self.inside and self._tells_a_shape(node):
            self.constants.state(node.output[0], self.scope.bytes(node.output[0]))
            return True
        read = list(dict.fromkeys(reads(node)))
        if not all(name in self.constants for name in read) or not self._repeats(node):
            return False
        self.scope.resolve(node, loops.run(self, node, "").results if subgraphs(node) else ())
        if node.domain in STANDARD_DOMAINS and node.op_type in SHAPES:
            self.constants.alias(node.output[0], node.input[0])
            return True
        sources = [self.constants[name] for name in read]
        for tensor in node.output:
            if tensor:
                self.constants.compute(tensor, self.scope.bytes(tensor), sources)
        return True

    def inner(self, body: GraphProto, inputs: Mapping[str, Shaped], prefix: str) -> NodeReader:
        """The reader of a body of one of the nodes.

        Parameters
        ----------
        inputs : what the body's inputs take from outside.
        prefix : put before the names of its weights.
        """
        constants = Constants(self.constants, prefix)
        reader = NodeReader(self.scope.body(body, inputs), body, constants=constants, inside=True)
        reader.constants.vary(value.name for value in body.input)
        return reader

    def _tells_a_shape(self, node: NodeProto) -> bool:
        """Whether the node tells extents that are the same for every input of the given size."""
        if node.op_type not in ("Shape", "Size") or node.domain not in STANDARD_DOMAINS:
            return False
        self.scope.resolve(node)
        return self.scope.certain_value(node.output[0]) is not None

    def _repeats(self, node: NodeProto) -> bool:
        """Whether the node gives the same result every time: no random numbers, no operator that nobody knows."""
        return all(self.scope.is_deterministic(inner) for inner in all_nodes([node]))

    # --- operations

    def _operation(self, node: NodeProto, name: str) -> Operation:
        read = [tensor for tensor in node.input if tensor]
        op_type = node.op_type if node.domain in _COSTED_DOMAINS else f"{node.domain}::{node.op_type}"
        if subgraphs(node):
            run = loops.run(self, node, name)
            known = self.scope.resolve(node, run.results)
            cost, captured, weights, inner = run.cost, run.captured, run.weights, run.guessed
        else:
            known, captured, weights, inner = self.scope.resolve(node), [], {}, False
            cost = self._node_cost(node)
        weights |= self.constants.weights(read)
        if size := attribute_bytes(node):
            weights[f"{self.constants.prefix}{name}::attributes"] = size
        guessed = inner or any(self.scope.is_guessed(tensor) for tensor in (*read, *captured, *node.output))
        operation = Operation(
            name=name,
            op_type=op_type,
            inputs=[tensor for tensor in (*read, *captured) if tensor not in self.constants],
            outputs={tensor: self.scope.bytes(tensor) for tensor in node.output if tensor},
            weights=weights,
            cost=replace(cost, known=cost.known and known),
            guessed=not (cost.known and known) or guessed,
            module=module_of(node),
            cut_axes=self._cut_axes(node, guessed or bool(captured)),
        )
        idle = is_view(node, self.scope) or (not self.inside and changes_nothing(node, self.scope))
        return operation.as_view() if idle else operation

    def _cut_axes(self, node: NodeProto, doubtful: bool) -> tuple[CutAxis, ...]:
        if doubtful or self.inside:
            return ()
        return cut_axes_of(node, self.scope, self.constants, attributes_of(node))

    def _node_cost(self, node: NodeProto) -> OperatorCost:
        inputs = [self.scope.spec(tensor) if tensor else None for tensor in node.input]
        outputs = [self.scope.spec(tensor) if tensor else None for tensor in node.output]
        if node.domain in _COSTED_DOMAINS:
            trains = node.op_type == "Dropout" and not self.scope.is_deterministic(node)
            kind = "BitmaskDropout" if trains else node.op_type  # the same work
            cost = operator_cost(kind, inputs, outputs, attributes_of(node))
            if self.inside and node.op_type in LOOKUPS and self._is_read_once(node.output[0]):
                passed_on = 2.0 * self.scope.bytes(node.output[0])
                return replace(cost, bytes_accessed=max(0.0, cost.bytes_accessed - passed_on))
            return cost
        return replace(operator_cost("", inputs, outputs), known=False)

    def _is_read_once(self, tensor: str) -> bool:
        """Whether one node of this body alone reads the tensor, under whatever shape: it then reads the rows itself."""
        readers = self._readers.get(tensor, [])
        if len(readers) != 1 or subgraphs(readers[0]):
            return False
        is_view = readers[0].op_type in SHAPES and readers[0].input[0] == tensor
        return self._is_read_once(readers[0].output[0]) if is_view else True

    @cached_property
    def _readers(self) -> dict[str, list[NodeProto]]:
        """Tensor -> the nodes that read it; one that leaves the body has no single reader."""
        found: dict[str, list[NodeProto]] = {}
        for node in self.graph.node:
            for tensor in reads(node):
                found.setdefault(tensor, []).append(node)
        return found | {value.name: [] for value in self.graph.output}


def module_of(node: NodeProto) -> str:
    """Path of the module that PyTorch's exporter found the node in: the last scope before the node's own name."""
    for entry in getattr(node, "metadata_props", ()):
        if entry.key == SCOPES and len(entry.value) <= LONGEST_SCOPES:
            with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
                scopes = ast.literal_eval(entry.value)
                if isinstance(scopes, list) and len(scopes) > 1 and isinstance(scopes[-2], str):
                    return scopes[-2]
    return ""


def attributes_of(node: NodeProto) -> dict[str, Any]:
    """Attribute name -> value of a node, those that are tensors or graphs left out."""
    plain = (AttributeProto.FLOAT, AttributeProto.INT, AttributeProto.STRING,
             AttributeProto.FLOATS, AttributeProto.INTS, AttributeProto.STRINGS)  # fmt: skip
    return {a.name: helper.get_attribute_value(a) for a in node.attribute if a.type in plain}


def attribute_bytes(node: NodeProto) -> float:
    """Bytes of the data that a node holds in its attributes: trees, coefficients, vocabularies, tables."""
    if node.op_type == "Constant" and node.domain in STANDARD_DOMAINS:
        return 0.0
    tensors = [t for a in node.attribute for t in (*a.tensors, *([a.t] if a.HasField("t") else []))]
    size = float(sum(stored_bytes(tensor) for tensor in tensors if tensor.data_type in ITEMSIZE))
    if node.domain == "ai.onnx.ml" and is_tree_ensemble(node.op_type):
        return size + tree_bytes(attributes_of(node))
    if node.domain == "ai.onnx.ml" or node.op_type == "TfIdfVectorizer":
        lists = [a for a in node.attribute if a.ints or a.floats or a.strings]
        size += sum(8.0 * len(a.ints) + 4.0 * len(a.floats) + sum(map(len, a.strings)) for a in lists)
    return size


def _constant_tensor(node: NodeProto) -> TensorProto:
    """The value of a Constant node, whichever of its attributes holds it."""
    for attribute in node.attribute:
        if attribute.name == "value":
            tensor: TensorProto = attribute.t
            return tensor
        if attribute.name == "sparse_value":
            values = attribute.sparse_tensor.values
            return TensorProto(
                dims=attribute.sparse_tensor.dims, data_type=values.data_type, data_location=TensorProto.EXTERNAL
            )
        value = helper.get_attribute_value(attribute)
        if attribute.name in ("value_string", "value_strings"):
            # Without the strings: no shape is computed from them, and numpy would make all as long as the longest.
            shape = [] if attribute.name == "value_string" else [len(value)]
            return TensorProto(dims=shape, data_type=TensorProto.STRING)
        if attribute.name.startswith("value_"):
            kind = np.float32 if "float" in attribute.name else np.int64
            return numpy_helper.from_array(np.array(value, dtype=kind))
    raise InvalidModelFile(f"Constant node {node.name or node.output[0]!r} has no value; export the model again")


def unique_names(graph: GraphProto, taken: list[str]) -> list[str]:
    """A name for every node: its own, a suffix where that repeats, ``MatMul_17`` (its position) where it has none."""
    used = set(taken) | {node.name for node in graph.node if node.name}
    seen = set(taken)
    tried: dict[str, int] = {}
    names = []
    for i, node in enumerate(graph.node):
        name = node.name or f"{node.op_type}_{i}"
        repeats = name in seen or (not node.name and name in used)
        suffix = tried.get(name, 1)
        while repeats and f"{name}_{suffix}" in used:
            suffix += 1
        tried[name] = suffix
        name = f"{name}_{suffix}" if repeats else name
        used.add(name)
        seen.add(name)
        names.append(name)
    return names
