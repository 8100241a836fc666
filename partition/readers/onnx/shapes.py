"""The shape of every tensor of an ONNX model, node by node.

Not by onnx's inference over the whole model: there a file of 1 kB can grow without bound (each Gather or Concat of a
tensor with itself doubles its axes or its values). Here every step is checked before the next.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

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
)

from partition.errors import InvalidModelFile
from partition.problem.operator_call import TensorSpec
from partition.problem.operators import FLOPS
from partition.readers.onnx import inference, sequences
from partition.readers.onnx.file import MOST_AXES, MOST_ELEMENTS
from partition.readers.onnx.types import Shaped, agreed, filled, of_shape, static_spec
from partition.readers.onnx.values import Evaluator, is_small, most_kept, shape_of
from partition.readers.onnx.walk import subgraphs

ScopedValue = TypeVar("ScopedValue")

STANDARD_DOMAINS = frozenset({"", "ai.onnx"})

_PURE_DOMAINS = frozenset({"com.microsoft", "ai.onnx.ml"})
_DRAWING = ("Random", "Dropout", "Sampling", "Search", "Bernoulli", "Multinomial")  # in names of what draws numbers
_BY_THEIR_BODIES = frozenset({"If", "Loop", "Scan", "SequenceMap", "AffineGrid"})  # onnx says: not deterministic


class _NestedNames(ChainMap[str, ScopedValue]):
    """What is known in a graph before what is known around it; ChainMap's own test for a name is slow."""

    def __contains__(self, key: object) -> bool:
        for layer in self.maps:  # noqa: SIM110 - a generator costs more than the look-up
            if key in layer:
                return True
        return False


@dataclass
class Iterations:
    """Iterations of the loops of a model that are read one by one.

    Attributes
    ----------
    nodes : that were read so.
    followed : what was found, by all that it depends on.
    choices : of an If between branches that were left open.
    """

    nodes: int = 0
    choices: int = 0
    followed: dict[tuple[Any, ...], Any] = field(default_factory=dict)


class GraphScope:
    """The types and small constant values known in a graph, or in the body of an If, Loop or Scan inside it.

    Call :meth:`resolve` on the nodes in order; afterwards :meth:`spec` answers for each of their outputs.

    Attributes
    ----------
    contradictions : tensor -> what the file declares of it against what its inputs make it; the latter is believed.
    left_out : branch of an If -> why it cannot run with these shapes, of those that are left out for that.
    impossible : why this graph or body cannot run with these shapes; empty where nothing speaks against it.
    iterations : of loops, read one by one.
    """

    def __init__(self, model: ModelProto) -> None:
        self._inference = inference.Inference(model.opset_import, model.ir_version)
        self._evaluator = Evaluator(self._inference.opsets, model.ir_version)
        self._types: _NestedNames[TypeProto] = _NestedNames()
        self._specs: _NestedNames[TensorSpec] = _NestedNames()
        self._guessed: _NestedNames[bool] = _NestedNames()
        self._tensors: _NestedNames[TensorProto] = _NestedNames()
        self._values: _NestedNames[NDArray[Any] | None] = _NestedNames()
        self._doubtful: _NestedNames[bool] = _NestedNames()  # values that rest on a guessed shape
        self._elements: _NestedNames[sequences.Elements] = _NestedNames()
        self.contradictions: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self.impossible = ""
        self.iterations = Iterations()
        self._enter(model.graph)

    def body(self, graph: GraphProto, inputs: Mapping[str, Shaped] | None = None) -> GraphScope:
        """The scope of a body inside this one; ``inputs``: what its inputs take from outside."""
        inner = object.__new__(GraphScope)
        inner.__dict__.update(self.__dict__)
        inner.impossible = ""
        for attribute, value in self.__dict__.items():
            if isinstance(value, ChainMap):
                setattr(inner, attribute, value.new_child())
        inner._enter(graph)
        for name, found in (inputs or {}).items():
            inner._settle(name, found.type)
            inner._note(name, found)
            if name not in inner._specs.maps[0] and found.spec is not None:
                inner._assume(name, found.spec)
        return inner

    # --- what is known

    def spec(self, name: str) -> TensorSpec | None:
        """Shape and item size of a tensor; None if it has no type (or is no tensor)."""
        return self._specs.get(name)

    def bytes(self, name: str) -> float:
        """Bytes of a tensor; one float where there is no size to know (a sequence that the host delivers)."""
        return self._specs.get(name, _SCALAR).bytes

    def type(self, name: str) -> TypeProto | None:
        """ONNX's type of a tensor; extents that can vary or are not known are open."""
        return self._types.get(name)

    def shaped(self, name: str) -> Shaped:
        """All that is known of a tensor."""
        return Shaped(self._types.get(name), self._specs.get(name), self.certain_value(name), self._elements.get(name))

    def is_guessed(self, name: str) -> bool:
        """Whether the shape of a tensor rests on a guess."""
        return self._guessed.get(name, False)

    def value(self, name: str) -> NDArray[Any] | None:
        """The value of a small constant, or of a computation on shapes; None if it is not known."""
        if name in self._values:
            return self._values[name]
        tensor = self._tensors.get(name)
        if tensor is None or tensor.data_location == TensorProto.EXTERNAL or tensor.data_type == TensorProto.STRING:
            return None
        if math.prod(tensor.dims) > most_kept(tensor.data_type):
            return None
        try:
            self._values[name] = numpy_helper.to_array(tensor)
        except (TypeError, ValueError):  # declared without its data
            return None
        return self._values[name]

    def certain_value(self, name: str) -> NDArray[Any] | None:
        """The same, None also where the value rests on a guessed shape."""
        return None if self._doubtful.get(name) else self.value(name)

    def is_deterministic(self, node: NodeProto) -> bool:
        """Whether the node (its bodies aside) gives the same result for the same inputs; False where nobody knows."""
        draws = any(part in node.op_type for part in _DRAWING)
        if node.domain not in STANDARD_DOMAINS:
            return node.domain in _PURE_DOMAINS and not draws
        if node.op_type == "Dropout":
            training = self.value(node.input[2]) if len(node.input) > 2 and node.input[2] else np.array(False)
            return training is not None and not training.any()
        if node.op_type in _BY_THEIR_BODIES:
            return True
        schema = self._inference.schema(node)
        if schema is None:
            return node.op_type in FLOPS
        return not getattr(schema, "non_deterministic", draws)  # since onnx 1.19

    @property
    def opsets(self) -> list[OperatorSetIdProto]:
        """The operator sets that the model imports."""
        return self._inference.opsets

    @property
    def ir_version(self) -> int:
        """The version of the format of the model."""
        return self._inference.ir_version

    def schema(self, node: NodeProto) -> defs.OpSchema | None:
        """The onnx package's schema of the node's operator."""
        return self._inference.schema(node)

    # --- what becomes known

    def add_constant(self, name: str, tensor: TensorProto) -> None:
        """Make a constant known: its shape, and its value if it is small."""
        self._tensors[name] = tensor
        self._values.maps[0].pop(name, None)
        self._declare(name, helper.make_tensor_type_proto(tensor.data_type, tensor.dims))

    def resolve(self, node: NodeProto, results: Iterable[Shaped] = ()) -> bool:
        """Find the shapes of the node's outputs. What its inputs make them goes before what the file declares.

        Parameters
        ----------
        results : its outputs where the caller knows them (the results of a body).

        Returns
        -------
        bool
            False if a shape had to be guessed here: an open dimension such that the output is as large as the largest
            input, or, with nothing known, the largest input's shape. What follows from such a guess is true, but
            :meth:`is_guessed`.
        """
        outputs = [name for name in node.output if name]
        given = {name: found for name, found in zip(node.output, results, strict=False) if name}
        certain = {} if subgraphs(node) else self._infer(node, certain=True)
        for name in outputs:
            self._settle(name, given[name].type if name in given else certain.get(name))
            if name in given:
                self._note(name, given[name])
        self._settle_sequences(node)
        self._fold(node)
        opened = [name for name in outputs if name not in self._specs]
        if opened:
            assumed = {} if subgraphs(node) else self._infer(node, certain=False)
            for name in opened:
                spec = given[name].spec if name in given else None
                spec = spec or (static_spec(assumed[name]) if name in assumed else None)
                self._assume(name, spec or self._guess(name, node))
            self._fold(node)
        return not opened or any(self.is_guessed(name) for name in node.input)

    # --- inside

    def _enter(self, graph: GraphProto) -> None:
        for value in (*graph.value_info, *graph.output, *graph.input):
            self._declare(value.name, value.type)
        for tensor in graph.initializer:
            self.add_constant(tensor.name, tensor)

    def _note(self, name: str, found: Shaped) -> None:
        """Note the value of a tensor and the elements of a sequence, as far as they are known."""
        self._values[name], self._doubtful[name] = found.value, False
        if found.elements is not None:
            self._hold(name, found.elements)

    def _declare(self, name: str, found: TypeProto) -> None:
        """Note a type; one that is fully known is never replaced by one that is not."""
        axes = len(found.tensor_type.shape.dim)
        if axes > MOST_AXES:
            raise InvalidModelFile(
                f"tensor {name!r} has {axes} axes, at most {MOST_AXES} are possible; export the model again"
            )
        spec = static_spec(found)
        if spec is not None and spec.size > MOST_ELEMENTS:
            raise InvalidModelFile(f"tensor {name!r} has over 2**62 elements; export the model again")
        if spec is not None:
            self._types[name], self._specs[name], self._guessed[name] = found, spec, False
        elif name not in self._specs and found.WhichOneof("value") is not None:
            self._types[name] = found

    def _settle(self, name: str, inferred: TypeProto | None) -> None:
        """Note what the inputs make of a tensor; where the file says otherwise, it is not believed."""
        if inferred is None or inferred.WhichOneof("value") is None:
            return
        declared = self._types.get(name)
        if declared is None or not declared.HasField("tensor_type") or not inferred.HasField("tensor_type"):
            self._declare(name, inferred)
            return
        merged, contradiction = agreed(declared, inferred)
        if contradiction:
            self.contradictions.setdefault(name, contradiction)
            self._specs.pop(name, None)
        self._declare(name, merged)

    def _settle_sequences(self, node: NodeProto) -> None:
        """Note the elements of a sequence that the node makes, or the type of the one that it takes out."""
        read = [self._elements.get(name) for name in node.input]
        if node.op_type == "SequenceLength" and read and read[0] is not None and read[0].parts is not None:
            self._values[node.output[0]] = np.array(len(read[0].parts), np.int64)
        found = sequences.follow(node, read, [self.shaped(name) for name in node.input], self.certain_value)
        if isinstance(found, sequences.Elements):
            self._hold(node.output[0], found)
        elif found is not None:
            self._settle(node.output[0], found)

    def _hold(self, name: str, elements: sequences.Elements) -> None:
        self._elements[name] = elements
        if elements.bytes is not None:
            self._specs[name] = TensorSpec((int(elements.bytes),), 1.0)

    def _assume(self, name: str, spec: TensorSpec) -> None:
        if len(spec.shape) > MOST_AXES or spec.size > MOST_ELEMENTS:
            raise InvalidModelFile(f"tensor {name!r} has over 2**62 elements; export the model again")
        self._specs[name], self._guessed[name] = spec, True

    def _infer(self, node: NodeProto, *, certain: bool) -> Mapping[str, TypeProto]:
        """Types of the node's outputs; with guesses in place of what is open unless ``certain``."""
        types, values = {}, {}
        for name in node.input:
            found = self._types.get(name)
            if found is not None and not certain and self._guessed.get(name):
                found = of_shape(found, self._specs[name].shape)
            if found is not None:
                types[name] = found
            value = self.certain_value(name) if certain else self.value(name)
            if value is not None:
                values[name] = value
        sizes = {name: spec.size for name in node.input if (spec := self._specs.get(name)) is not None}
        try:
            return self._inference.infer(node, types, values, sizes)
        except inference.TypeConflict as error:
            if certain and not self.impossible:
                self.impossible = f"{node.op_type} {node.name or node.output[0]!r}: {error}"
            return {}

    def _guess(self, name: str, node: NodeProto) -> TensorSpec:
        inputs = [spec for t in node.input if (spec := self._specs.get(t)) is not None]
        largest = max(inputs, key=lambda spec: spec.bytes, default=_SCALAR)
        partial = self._types.get(name)
        if partial is None:
            first = next(
                (self._types[t] for t in node.input if self._specs.get(t) is largest and t in self._types), None
            )
            self._types[name] = of_shape(first, None)
            return largest
        if not partial.HasField("tensor_type"):
            return largest
        itemsize = (static_spec(of_shape(partial, ())) or _SCALAR).itemsize
        shape = filled(partial, largest.size) if partial.tensor_type.HasField("shape") else largest.shape
        return TensorSpec(shape, itemsize)

    def _fold(self, node: NodeProto) -> None:
        """Compute what the node yields if it is a small computation on known shapes and constants."""
        if node.domain not in STANDARD_DOMAINS or subgraphs(node) or not node.output:
            return
        if node.op_type in ("Shape", "Size"):
            spec = self.spec(node.input[0])
            if spec is not None:
                self._values[node.output[0]] = shape_of(node, spec.shape)
                self._doubtful[node.output[0]] = self.is_guessed(node.input[0])
            return
        feeds = {name: value for name in node.input if name and (value := self.value(name)) is not None}
        if any(name not in feeds for name in node.input if name) or not self.is_deterministic(node):
            return
        sizes = [spec.size if (spec := self._specs.get(name)) else None for name in node.output if name]
        if not is_small(node, feeds, sizes):
            return
        doubtful = any(self._doubtful.get(name, False) for name in node.input)
        for name, value in self._evaluator.evaluate(node, feeds).items():
            self._values[name], self._doubtful[name] = value, doubtful
            if name not in self._specs and not doubtful:
                kind = helper.np_dtype_to_tensor_dtype(value.dtype)
                self._declare(name, helper.make_tensor_type_proto(kind, value.shape))


_SCALAR = TensorSpec((), 4.0)
