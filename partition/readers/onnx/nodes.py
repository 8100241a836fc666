"""The operations of an ONNX graph: which nodes are constants, what the others read, write and cost."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, TypeProto, helper, numpy_helper

from partition.errors import InvalidModelFile
from partition.problem.operators import OperatorCost, operator_cost
from partition.readers.onnx.file import stored_bytes
from partition.readers.onnx.shapes import STANDARD_DOMAINS, Scope
from partition.readers.onnx.walk import subgraphs

_VIEWS = frozenset({"Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"})  # the same bytes under another shape
_COSTED_DOMAINS = STANDARD_DOMAINS | {"com.microsoft"}


@dataclass(frozen=True)
class Operation:
    """One node, ready for the builder: tensor names, bytes per output, bytes per weight."""

    name: str
    op_type: str
    inputs: list[str]
    outputs: dict[str, float]
    weights: dict[str, float]
    cost: OperatorCost


@dataclass(frozen=True)
class _Constant:
    """What a tensor name stands for: a weight, possibly through views of it."""

    weight: str
    bytes: float


@dataclass
class NodeReader:
    """Walks the nodes of one graph, or of one body inside it, in order.

    Attributes
    ----------
    scope : types of the tensors seen so far.
    taken : operation names that are not free.
    constants : tensor name -> the weight it is, those of the outer graphs included.
    prefix : put before the names of weights, so that bodies may reuse names.
    """

    scope: Scope
    graph: GraphProto
    taken: list[str] = field(default_factory=list)
    constants: ChainMap[str, _Constant] = field(default_factory=ChainMap)
    prefix: str = ""

    def operations(self) -> Iterator[Operation]:
        for tensor in self.graph.initializer:
            self._add_constant(tensor.name, stored_bytes(tensor))
        names = iter(unique_names(self.graph, self.taken))
        for node in self.graph.node:
            name = next(names)
            if not self._is_constant(node):
                yield self._operation(node, name)

    # --- constants

    def _add_constant(self, name: str, size: float) -> None:
        self.constants[name] = _Constant(self.prefix + name, size)

    def _is_constant(self, node: NodeProto) -> bool:
        """Whether the node only states a constant; it is then noted as a weight of whoever reads it."""
        if node.domain not in STANDARD_DOMAINS:
            return False
        if node.op_type == "Constant":
            tensor = _constant_tensor(node)
            self.scope.add_constant(node.output[0], tensor)
            spec = self.scope.spec(node.output[0])
            self._add_constant(node.output[0], spec.bytes if spec else 0.0)
            return True
        if not all(name in self.constants for name in node.input if name):
            return False
        if node.op_type == "ConstantOfShape":
            if not self.scope.resolve(node):
                return False
            spec = self.scope.spec(node.output[0])
            self._add_constant(node.output[0], spec.bytes if spec else 0.0)
            return True
        if node.op_type in _VIEWS:
            self.scope.resolve(node)
            self.constants[node.output[0]] = self.constants[node.input[0]]
            return True
        return False

    # --- operations

    def _operation(self, node: NodeProto, name: str) -> Operation:
        read = [tensor for tensor in node.input if tensor]
        op_type = node.op_type if node.domain in _COSTED_DOMAINS else f"{node.domain}::{node.op_type}"
        bodies = subgraphs(node)
        if bodies:
            run = _Control(self, node, name)
            known = self.scope.resolve(node, run.results())
            cost, captured, weights = run.cost, run.captured, run.weights
        else:
            known, captured, weights = self.scope.resolve(node), [], {}
            cost = self._node_cost(node)
        for tensor in read:
            if tensor in self.constants:
                constant = self.constants[tensor]
                weights[constant.weight] = constant.bytes
        return Operation(
            name=name,
            op_type=op_type,
            inputs=[tensor for tensor in (*read, *captured) if tensor not in self.constants],
            outputs={tensor: self.scope.bytes(tensor) for tensor in node.output if tensor},
            weights=weights,
            cost=replace(cost, known=cost.known and known),
        )

    def _node_cost(self, node: NodeProto) -> OperatorCost:
        inputs = [self.scope.spec(tensor) if tensor else None for tensor in node.input]
        outputs = [self.scope.spec(tensor) if tensor else None for tensor in node.output]
        if node.domain in _COSTED_DOMAINS:
            return operator_cost(node.op_type, inputs, outputs, _attributes(node))
        return replace(operator_cost("", inputs, outputs), known=False)


class _Control:
    """What If, Loop, Scan and their like cost: all nodes of the body, times the iterations; of If, the dearer branch.

    Attributes
    ----------
    cost : of all iterations.
    captured : tensors of the outer graph the bodies read.
    weights : weight -> bytes, of all bodies.
    """

    def __init__(self, outer: NodeReader, node: NodeProto, name: str) -> None:
        self.outer, self.node = outer, node
        self.trips, self.trips_known = self._trip_count()
        self.captured: list[str] = []
        self.weights: dict[str, float] = {}
        self.scopes: list[Scope] = []
        self.bodies = subgraphs(node)
        costs = []
        for i, body in enumerate(self.bodies):
            scope = outer.scope.body(body, self._body_inputs(body))
            self.scopes.append(scope)
            prefix = f"{outer.prefix}{name}/{i}/" if len(self.bodies) > 1 else f"{outer.prefix}{name}/"
            reader = NodeReader(scope, body, constants=outer.constants.new_child(), prefix=prefix)
            local = {value.name for value in body.input} | {tensor for n in body.node for tensor in n.output}
            flops, traffic, known = 0.0, 0.0, True
            for operation in reader.operations():
                flops += operation.cost.flops
                traffic += operation.cost.bytes_accessed
                known &= operation.cost.known
                self.weights.update(operation.weights)
                self.captured += [tensor for tensor in operation.inputs if tensor not in local]
            # A body may hand an outer tensor on without any node that reads it.
            handed = [value.name for value in body.output if value.name not in local]
            self.captured += [tensor for tensor in handed if tensor not in reader.constants]
            costs.append(OperatorCost(flops * self.trips, traffic * self.trips, known))
        known = all(cost.known for cost in costs) and node.op_type in ("If", "Loop", "Scan")
        dearest = max(costs, key=lambda cost: (cost.flops, cost.bytes_accessed))
        self.cost = replace(dearest, known=known)

    def results(self) -> list[TypeProto | None]:
        """Types of the node's outputs, from those of the body's."""
        taken = self._taken()
        types = [self.scopes[taken].type(value.name) for value in self.bodies[taken].output]
        if self.node.op_type == "If":
            return types
        carried = len(self.node.input) - (2 if self.node.op_type == "Loop" else self._scanned())
        states = types[1 : 1 + carried] if self.node.op_type == "Loop" else types[:carried]
        stacked = types[1 + carried :] if self.node.op_type == "Loop" else types[carried:]
        if not self.trips_known:
            return list(states)
        return [*states, *(_stacked(found, self.trips) for found in stacked)]

    def _taken(self) -> int:
        """The body whose results count: of an If whose condition is known the branch taken, else the first."""
        if self.node.op_type != "If" or not self.node.input:
            return 0
        condition = self.outer.scope.value(self.node.input[0])
        if condition is None or condition.size != 1:
            return 0
        branch = "then_branch" if condition.reshape(-1)[0] else "else_branch"
        names = [a.name for a in self.node.attribute if a.type == AttributeProto.GRAPH]
        return names.index(branch) if branch in names else 0

    def _scanned(self) -> int:
        return int(_attributes(self.node).get("num_scan_inputs", 0))

    def _trip_count(self) -> tuple[int, bool]:
        node, scope = self.node, self.outer.scope
        if node.op_type == "If":
            return 1, True
        if node.op_type == "Loop":
            count = scope.value(node.input[0]) if node.input and node.input[0] else None
            return (1, False) if count is None or count.size != 1 else (max(0, int(count.reshape(-1)[0])), True)
        if node.op_type == "Scan" and self._scanned():
            scanned = scope.spec(node.input[-self._scanned()])
            axis = int(_attributes(node).get("scan_input_axes", [0])[0])
            if scanned is not None and -len(scanned.shape) <= axis < len(scanned.shape):
                return scanned.shape[axis], True
        return 1, False

    def _body_inputs(self, body: GraphProto) -> dict[str, TypeProto | None]:
        """Types of the body's inputs as the node hands them over."""
        scope, node = self.outer.scope, self.node
        formal = [value.name for value in body.input]
        if node.op_type == "Loop":
            return {name: scope.type(actual) for name, actual in zip(formal[2:], node.input[2:], strict=False)}
        if node.op_type == "Scan":
            states = len(node.input) - self._scanned()
            axes = _attributes(node).get("scan_input_axes", [0] * self._scanned())
            given = {name: scope.type(actual) for name, actual in zip(formal[:states], node.input, strict=False)}
            for name, actual, axis in zip(formal[states:], node.input[states:], axes, strict=False):
                given[name] = _sliced(scope.type(actual), axis)
            return given
        return {}


def _stacked(found: TypeProto | None, count: int) -> TypeProto | None:
    """The type of ``count`` values of a type, along a new first dimension."""
    if found is None or not found.tensor_type.HasField("shape"):
        return None
    extents = [dim.dim_value if dim.HasField("dim_value") else None for dim in found.tensor_type.shape.dim]
    return helper.make_tensor_type_proto(found.tensor_type.elem_type, [count, *extents])


def _sliced(found: TypeProto | None, axis: int) -> TypeProto | None:
    """The type without one of its dimensions."""
    if found is None or not found.tensor_type.HasField("shape"):
        return None
    extents = [dim.dim_value if dim.HasField("dim_value") else None for dim in found.tensor_type.shape.dim]
    if not -len(extents) <= axis < len(extents):
        return None
    del extents[axis]
    return helper.make_tensor_type_proto(found.tensor_type.elem_type, extents)


def _attributes(node: NodeProto) -> dict[str, Any]:
    """Attribute name -> value, those that are tensors or graphs left out."""
    plain = (AttributeProto.FLOAT, AttributeProto.INT, AttributeProto.STRING,
             AttributeProto.FLOATS, AttributeProto.INTS, AttributeProto.STRINGS)  # fmt: skip
    return {a.name: helper.get_attribute_value(a) for a in node.attribute if a.type in plain}


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
