"""The shape of every tensor of an ONNX model, node by node.

Not by onnx's inference over the whole model: there a file of 1 kB can grow without bound (each Gather or Concat of a
tensor with itself doubles its axes or its values). Here every step is checked before the next.
"""

from __future__ import annotations

import math
import re
from collections import ChainMap
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    OperatorSetIdProto,
    TensorProto,
    TypeProto,
    defs,
    helper,
    numpy_helper,
    reference,
    shape_inference,
)

from partition.errors import InvalidModelFile
from partition.problem.operators import TensorSpec
from partition.readers.onnx.contrib import contributed_shapes
from partition.readers.onnx.file import ITEMSIZE, KEPT_ELEMENTS, MOST_AXES, MOST_ELEMENTS
from partition.readers.onnx.walk import subgraphs

STANDARD_DOMAINS = frozenset({"", "ai.onnx"})

# Computations on shapes that exporters leave in the graph; inference follows only some of them.
_FOLDED = frozenset({
    "Abs", "Add", "And", "Cast", "Ceil", "Concat", "ConstantOfShape", "CumSum", "Div", "Equal", "Expand", "Flatten",
    "Floor", "Gather", "GatherElements", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Max", "Min",
    "Mod", "Mul", "Neg", "NonZero", "Not", "Or", "Pow", "Range", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum",
    "Reshape", "Round", "ScatterND", "Shape", "Size", "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Tile", "Transpose",
    "Unsqueeze", "Where",
})  # fmt: skip

_ELEMENTWISE = frozenset({
    "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul", "Or",
    "Pow", "Sub", "Where",
})  # fmt: skip

_SHAPED_BY_VALUES = frozenset({
    "AffineGrid", "CenterCropPad", "Col2Im", "ConstantOfShape", "Expand", "Pad", "Reshape", "Resize", "Slice",
    "Squeeze", "Tile", "Unsqueeze", "Upsample",
})  # fmt: skip


class Scope:
    """The types and small constant values known in a graph, or in the body of an If, Loop or Scan inside it.

    Call :meth:`resolve` on the nodes in order; afterwards :meth:`spec` answers for each of their outputs.

    Parameters
    ----------
    assume : guess the shapes that cannot be known; without it they stay open.
    """

    def __init__(self, model: ModelProto, *, assume: bool = True) -> None:
        self._assume = assume
        self._opsets: list[OperatorSetIdProto] = list(model.opset_import)
        self._versions = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in model.opset_import}
        self._ir_version = model.ir_version
        self._types: ChainMap[str, TypeProto] = ChainMap()
        self._specs: ChainMap[str, TensorSpec] = ChainMap()
        self._tensors: ChainMap[str, TensorProto] = ChainMap()
        self._values: ChainMap[str, NDArray[Any]] = ChainMap()
        self._enter(model.graph)
        self._complete = self._is_complete(model.graph.node)

    def body(self, graph: GraphProto, inputs: Mapping[str, TypeProto | None] | None = None) -> Scope:
        """The scope of a body inside this one; ``inputs``: the types its inputs take from outside."""
        inner = object.__new__(Scope)
        inner.__dict__.update(self.__dict__)
        for attribute in ("_types", "_specs", "_tensors", "_values"):
            setattr(inner, attribute, getattr(self, attribute).new_child())
        inner._enter(graph)
        for name, found in (inputs or {}).items():
            if found is not None and name not in inner._specs.maps[0]:
                inner._declare(name, found)
        inner._complete = inner._is_complete(graph.node)
        return inner

    def spec(self, name: str) -> TensorSpec | None:
        """Shape and item size of a tensor; None if it has no type (or is no tensor)."""
        return self._specs.get(name)

    def bytes(self, name: str) -> float:
        """Bytes of a tensor; one float where there is no size to know (a sequence that the host delivers)."""
        return self._specs.get(name, _SCALAR).bytes

    def type(self, name: str) -> TypeProto | None:
        """ONNX's type of a tensor, possibly with open dimensions."""
        return self._types.get(name)

    def value(self, name: str) -> NDArray[Any] | None:
        """The value of a small constant, or of a computation on shapes; None if it is not known."""
        if name in self._values:
            return self._values[name]
        tensor = self._tensors.get(name)
        if tensor is None or tensor.data_location == TensorProto.EXTERNAL or tensor.data_type == TensorProto.STRING:
            return None
        if math.prod(tensor.dims) > KEPT_ELEMENTS:
            return None
        try:
            self._values[name] = numpy_helper.to_array(tensor)
        except (TypeError, ValueError):  # declared without its data
            return None
        return self._values[name]

    def add_constant(self, name: str, tensor: TensorProto) -> None:
        """Make a constant known: its shape, and its value if it is small."""
        self._tensors[name] = tensor
        self._declare(name, helper.make_tensor_type_proto(tensor.data_type, tensor.dims))

    def resolve(self, node: NodeProto, results: Iterable[TypeProto | None] = ()) -> bool:
        """Find the shapes of the node's outputs.

        Parameters
        ----------
        results : types of its outputs where the caller knows them (the results of a body).

        Returns
        -------
        bool
            False if a shape had to be guessed: an open dimension such that the output is as large as the
            largest input, or, with nothing known, the largest input's shape.
        """
        if not self._complete:
            self._propagate_values(node)
        known = True
        open_outputs = [name for name in node.output if name and name not in self._specs]
        if open_outputs:
            for name, found in zip(node.output, results, strict=False):
                if name in open_outputs and found is not None:
                    self._declare(name, found)
            for name, found in ({} if subgraphs(node) else self._infer(node)).items():
                if name in open_outputs and name not in self._specs:
                    self._declare(name, found)
            for name in open_outputs:
                if name not in self._specs:
                    if self._assume:
                        self._guess(name, node)
                    known &= node.op_type == "Dropout"  # the mask of old operator sets: as large as the input indeed
        return known

    # --- what is declared

    def _enter(self, graph: GraphProto) -> None:
        for value in (*graph.value_info, *graph.output, *graph.input):
            self._declare(value.name, value.type)
        for tensor in graph.initializer:
            self.add_constant(tensor.name, tensor)

    def _declare(self, name: str, found: TypeProto) -> None:
        """Note a type; one that is fully known is never replaced by one that is not."""
        axes = len(found.tensor_type.shape.dim)
        if axes > MOST_AXES:
            raise InvalidModelFile(
                f"tensor {name!r} has {axes} axes, at most {MOST_AXES} are possible; export the model again"
            )
        spec = _static_spec(found)
        if spec is not None and spec.size > MOST_ELEMENTS:
            raise InvalidModelFile(f"tensor {name!r} has over 2**62 elements; export the model again")
        if spec is not None:
            self._types[name] = found
            self._specs[name] = spec
        elif name not in self._specs and found.WhichOneof("value") is not None:
            self._types[name] = found

    def _is_complete(self, nodes: Iterable[NodeProto]) -> bool:
        """Whether no value is needed any more: every shape is known, and there is no trip count to find."""
        return all(n.op_type != "Loop" and all(name in self._specs for name in n.output if name) for n in nodes)

    # --- one node at a time

    def _infer(self, node: NodeProto) -> Mapping[str, TypeProto]:
        if node.domain not in STANDARD_DOMAINS:
            return self._contributed(node)
        try:
            schema = defs.get_schema(node.op_type, self._versions.get("", 1), "")
        except defs.SchemaError:
            return self._contributed(node)
        if node.op_type == "Split" and _split_in(node) not in (0, len(node.output)):
            raise InvalidModelFile(  # onnx would write beyond the end of its list
                f"Split {node.name or node.output[0]!r} says it has {_split_in(node)} outputs, but has "
                f"{len(node.output)}; export the model again"
            )
        if node.op_type == "Einsum" and not _EQUATION.fullmatch(_equation_of(node)):
            raise InvalidModelFile(  # onnx would look for its end for ever
                f"Einsum {node.name or node.output[0]!r} has the equation {_equation_of(node)!r}, which is none; "
                "export the model again"
            )
        if node.op_type in _SHAPED_BY_VALUES:
            operands = node.input if node.op_type == "ConstantOfShape" else node.input[1:]
            if any((spec := self.spec(name)) is not None and spec.size > KEPT_ELEMENTS for name in operands):
                return {}  # onnx would make room for an axis per element
        types = {name: self._types[name] for name in node.input if name in self._types}
        values = {name: self.value(name) for name in node.input if name}
        data = {name: numpy_helper.from_array(v) for name, v in values.items() if v is not None}
        try:
            return shape_inference.infer_node_outputs(
                schema, node, types, data, opset_imports=self._opsets, ir_version=self._ir_version
            )
        except Exception:  # the operands contradict each other, as they can after a guess
            return {}

    def _contributed(self, node: NodeProto) -> Mapping[str, TypeProto]:
        """Outputs of an operator whose schema the onnx package does not have; typed like the first input."""
        first = self._types.get(node.input[0]) if node.input else None
        if first is None or self.spec(node.input[0]) is None:
            return {}
        shapes = [spec.shape if (spec := self.spec(name)) else None for name in node.input]
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        found = contributed_shapes(node.op_type, shapes, attributes)
        kind = first.tensor_type.elem_type
        return {
            name: helper.make_tensor_type_proto(kind, shape)
            for name, shape in zip(node.output, found, strict=False)
            if name and shape is not None
        }

    def _guess(self, name: str, node: NodeProto) -> None:
        inputs = [(spec, self._types[t]) for t in node.input if (spec := self._specs.get(t)) is not None]
        largest, kind = max(inputs, key=lambda pair: pair[0].bytes, default=(_SCALAR, _FLOAT))
        partial = self._types.get(name)
        shape: tuple[int, ...] = largest.shape
        elem_type = kind.tensor_type.elem_type
        if partial is not None and partial.HasField("tensor_type"):
            elem_type = partial.tensor_type.elem_type or elem_type
            if partial.tensor_type.HasField("shape"):
                shape = _filled(partial, largest.size)
        self._declare(name, helper.make_tensor_type_proto(elem_type, shape))

    def _propagate_values(self, node: NodeProto) -> None:
        """Compute what the node yields if it is a small computation on known shapes and constants."""
        if node.domain not in STANDARD_DOMAINS or node.op_type not in _FOLDED:
            return
        if any(a.HasField("t") and a.t.data_location == TensorProto.EXTERNAL for a in node.attribute):
            return  # onnx would read the file that it names
        if node.op_type == "Shape":
            spec = self.spec(node.input[0])
            if spec is not None:
                span = {a.name: a.i for a in node.attribute}
                self._values[node.output[0]] = np.array(spec.shape[span.get("start", 0) : span.get("end")], np.int64)
            return
        if node.op_type == "Size" and (spec := self.spec(node.input[0])) is not None:
            self._values[node.output[0]] = np.array(spec.size, np.int64)
            return
        feeds = {name: self.value(name) for name in node.input if name}
        if any(value is None for value in feeds.values()) or self._grows(node, feeds):
            return
        try:
            found = self._evaluate(node, feeds)
        except Exception:  # an operator or type the reference cannot run; the shape is then guessed
            return
        for name, value in zip(node.output, found, strict=True):
            if name and isinstance(value, np.ndarray | np.generic) and value.size <= KEPT_ELEMENTS:
                self._values[name] = np.asarray(value)

    def _evaluate(self, node: NodeProto, feeds: Mapping[str, NDArray[Any] | None]) -> list[Any]:
        untyped = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in feeds]
        results = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in node.output if name]
        graph = helper.make_graph([node], "fold", untyped, results)
        model = helper.make_model(graph, opset_imports=self._opsets, ir_version=self._ir_version)
        return list(reference.ReferenceEvaluator(model).run(None, dict(feeds)))

    def _grows(self, node: NodeProto, feeds: Mapping[str, NDArray[Any] | None]) -> bool:
        """Whether the result would be too large to be a computation on shapes."""
        operands = [feeds[name] for name in node.input if name]
        match node.op_type:
            case "ConstantOfShape" | "Expand" | "Tile":
                counts = operands[-1]
                base = 1 if counts is operands[0] or operands[0] is None else max(1, operands[0].size)
                return counts is None or abs(float(np.prod(counts.astype(np.float64)))) * base > KEPT_ELEMENTS
            case "Concat":
                return sum(v.size for v in operands if v is not None) > KEPT_ELEMENTS
            case "Split":
                return _split_in(node) > len(node.output)
            case "Range":
                start, limit, delta = (float(np.ravel(v)[0]) if v is not None else 0.0 for v in operands)
                return delta == 0.0 or (limit - start) / delta > KEPT_ELEMENTS
            case op_type if op_type in _ELEMENTWISE:
                try:
                    return math.prod(np.broadcast_shapes(*(v.shape for v in operands if v is not None))) > KEPT_ELEMENTS
                except ValueError:
                    return True
        return False


_SCALAR = TensorSpec((), 4.0)
_FLOAT = helper.make_tensor_type_proto(TensorProto.FLOAT, ())


_TERM = r"[A-Za-z]*(?:\.\.\.)?[A-Za-z]*"
_EQUATION = re.compile(rf"{_TERM}(?:,{_TERM})*(?:->{_TERM})?")


def _equation_of(node: NodeProto) -> str:
    """The equation of an Einsum, without spaces."""
    given = next((a.s for a in node.attribute if a.name == "equation"), b"")
    return str(given.decode(errors="replace")).replace(" ", "")


def _split_in(node: NodeProto) -> int:
    """The number of outputs that a Split states; 0 if none."""
    return max((int(a.i) for a in node.attribute if a.name == "num_outputs"), default=0)


def _static_spec(found: TypeProto) -> TensorSpec | None:
    if not found.HasField("tensor_type") or not found.tensor_type.HasField("shape"):
        return None
    shape = []
    for dim in found.tensor_type.shape.dim:
        if not dim.HasField("dim_value") or dim.dim_value < 0:
            return None
        shape.append(dim.dim_value)
    return TensorSpec(tuple(shape), ITEMSIZE.get(found.tensor_type.elem_type, 4.0))


def _filled(partial: TypeProto, size: int) -> tuple[int, ...]:
    """The known extents kept, the first open one as long as it takes to reach ``size`` elements, others 1."""
    extents = [
        d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else -1 for d in partial.tensor_type.shape.dim
    ]
    given = math.prod(e for e in extents if e >= 0)
    missing = max(1, math.ceil(size / given)) if given else 1
    shape = []
    for extent in extents:
        shape.append(extent if extent >= 0 else missing)
        missing = missing if extent >= 0 else 1
    return tuple(shape)
