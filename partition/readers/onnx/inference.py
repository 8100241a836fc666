"""Types of what one node yields: the onnx package infers them, onnxruntime where it has the schema alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray
from onnx import NodeProto, OperatorSetIdProto, TensorProto, TypeProto, defs, helper, numpy_helper, shape_inference

from partition.errors import InvalidModelFile
from partition.readers.onnx.contrib import DOMAINS, runtime_types
from partition.readers.onnx.types import extents_of, of_shape, static_spec
from partition.readers.onnx.values import KEPT_ELEMENTS, value_key

_SHAPED_BY_VALUES = frozenset({
    "AffineGrid", "CenterCropPad", "Col2Im", "ConstantOfShape", "Expand", "Pad", "Reshape", "Resize", "Slice",
    "Squeeze", "Tile", "Unsqueeze", "Upsample",
})  # fmt: skip

_LIKE_FIRST = frozenset({
    "GroupNormalization", "Imputer", "MeanVarianceNormalization", "GroupNorm", "SkipGroupNorm", "BiasAdd",
    "QOrderedGelu", "QOrderedLayerNormalization",
})  # fmt: skip
"""Operators without a rule in onnx and onnxruntime (it has none for CPUs) that yield what they read."""

_FLOATS_LIKE_FIRST = frozenset({"Normalizer", "Scaler"})
"""The same, as 32-bit floats."""


_FORGETS_DEFAULTS = frozenset({"STFT"})
"""Operators whose rule in onnx takes an attribute that is left out for 0, whatever its default is."""


class TypeConflict(Exception):
    """No run can have a node with operands of these types; the message says why."""


class Inference:
    """Asks for one node at a time.

    Parameters
    ----------
    opsets, ir_version : of the model.
    """

    def __init__(self, opsets: Iterable[OperatorSetIdProto], ir_version: int) -> None:
        self.opsets: list[OperatorSetIdProto] = list(opsets)
        self.ir_version = ir_version
        self._versions = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in self.opsets}
        self._schemas: dict[tuple[str, str], defs.OpSchema | None] = {}
        self._asked: dict[tuple[Any, ...], list[TypeProto | None]] = {}
        self._told: dict[tuple[Any, ...], Mapping[str, TypeProto] | TypeConflict] = {}

    def schema(self, node: NodeProto) -> defs.OpSchema | None:
        """The onnx package's schema of the node's operator in the model's version; None if it has none."""
        key = node.op_type, "" if node.domain == "ai.onnx" else node.domain
        if key not in self._schemas:
            try:
                self._schemas[key] = defs.get_schema(key[0], self._versions.get(key[1], 1), key[1])
            except defs.SchemaError:
                self._schemas[key] = None
        return self._schemas[key]

    def infer(
        self,
        node: NodeProto,
        types: Mapping[str, TypeProto],
        values: Mapping[str, NDArray[Any]],
        sizes: Mapping[str, int],
    ) -> Mapping[str, TypeProto]:
        """Types of the outputs, by name, as far as they follow.

        Parameters
        ----------
        types, values, sizes : of the inputs, as far as known; sizes in elements.

        Raises
        ------
        InvalidModelFile : a node that onnx could not take, or onnxruntime is needed and not installed.
        Contradiction : the types of the inputs do not fit the operator or one another.
        """
        if node.domain not in DOMAINS:
            return {}
        _check(node)
        key = (
            node.SerializeToString(),
            tuple((name, found.SerializeToString()) for name, found in types.items()),
            tuple((name, *value_key(value)) for name, value in values.items()),
            tuple(sizes.get(name) for name in node.input),
        )
        if key not in self._told:
            try:
                self._told[key] = self._infer(node, types, values, sizes)
            except TypeConflict as error:
                self._told[key] = error
        told = self._told[key]
        if isinstance(told, TypeConflict):
            raise told
        return told

    def _infer(
        self,
        node: NodeProto,
        types: Mapping[str, TypeProto],
        values: Mapping[str, NDArray[Any]],
        sizes: Mapping[str, int],
    ) -> Mapping[str, TypeProto]:
        schema = self.schema(node)
        found: Mapping[str, TypeProto] = {}
        if schema is not None:
            if node.op_type in _SHAPED_BY_VALUES:
                operands = node.input if node.op_type == "ConstantOfShape" else node.input[1:]
                if any(sizes.get(name, 0) > KEPT_ELEMENTS for name in operands):
                    return {}  # onnx would make room for an axis per element
            if node.op_type in _FORGETS_DEFAULTS:
                node = _with_defaults(node, schema)
            data = {name: numpy_helper.from_array(value) for name, value in values.items()}
            try:
                found = shape_inference.infer_node_outputs(
                    schema, node, dict(types), data, opset_imports=self.opsets, ir_version=self.ir_version
                )
            except shape_inference.InferenceError as error:
                if _SHAPES_CLASH in str(error) and all(extents_of(types.get(n)) is not None for n in node.input if n):
                    raise TypeConflict(str(error).partition(_SHAPES_CLASH)[2].strip()) from None
                return {}
            except Exception:  # operands of types that the operator does not take
                return {}
            found = {**found, **_without_rule(node, types)}
        if node.op_type == "Dropout" and len(node.output) > 1 and node.input[0] in types:
            shape = extents_of(types[node.input[0]])  # the mask, of whose shape old operator sets say nothing
            mask = node.output[1]
            found = {**found, mask: of_shape(found.get(mask, types[node.input[0]]), shape)} if mask else found
        if schema is None or (node.domain == "ai.onnx.ml" and not _complete(node, found)):
            told = self._ask_runtime(node, types, values)
            return {**told, **_without_rule(node, types)} if node.domain == "com.microsoft" else told
        return found

    def _ask_runtime(
        self, node: NodeProto, types: Mapping[str, TypeProto], values: Mapping[str, NDArray[Any]]
    ) -> Mapping[str, TypeProto]:
        """The same of onnxruntime; nodes that differ in nothing but names are asked about once."""
        place = {name: i for i, name in reversed(list(enumerate(node.input)))}
        known = [types[name].SerializeToString() if name in types else None for name in node.input]
        given = [(place[name], *value_key(value)) for name, value in values.items()]
        attributes = [attribute.SerializeToString() for attribute in node.attribute]
        wired = ([place[name] if name else None for name in node.input], [bool(name) for name in node.output])
        key = (node.domain, node.op_type, repr(wired), repr(attributes), repr(known), repr(given))
        if key not in self._asked:
            found = runtime_types(node, types, values, self.opsets, self.ir_version)
            self._asked[key] = [found.get(name) for name in node.output]
        return {name: t for name, t in zip(node.output, self._asked[key], strict=True) if name and t is not None}


def _with_defaults(node: NodeProto, schema: defs.OpSchema) -> NodeProto:
    """The node with every attribute that has a default."""
    whole, given = NodeProto(), {attribute.name for attribute in node.attribute}
    whole.CopyFrom(node)
    defaults = [a.default_value for name, a in schema.attributes.items() if name not in given]
    whole.attribute.extend(value for value in defaults if value.name)
    return whole


_SHAPES_CLASH = "[ShapeInferenceError]"


def _without_rule(node: NodeProto, types: Mapping[str, TypeProto]) -> dict[str, TypeProto]:
    """Types of what operators yield of which neither onnx nor onnxruntime has a rule, though their schemas say it."""
    first = types.get(node.input[0]) if node.input else None
    shape = extents_of(first)
    if first is None or shape is None:
        return {}
    if node.op_type in _LIKE_FIRST:
        return {name: first for name in node.output if name}
    if node.op_type == "BiasSplitGelu" and shape and shape[-1] is not None:
        return {node.output[0]: of_shape(first, [*shape[:-1], shape[-1] // 2])}
    if node.op_type == "CDist" and (other := extents_of(types.get(node.input[1]))) is not None:
        return {node.output[0]: of_shape(first, [*shape[:1], *other[:1]])}
    if node.domain != "ai.onnx.ml" or not shape:
        return {}
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    floats, rows = TensorProto.FLOAT, shape[0] if len(shape) > 1 else 1
    match node.op_type:
        case op if op in _FLOATS_LIKE_FIRST:
            columns = [shape]
        case "LinearRegressor":
            columns = [[rows, int(given.get("targets", 1))]]
        case "SVMRegressor":
            columns = [[rows, 1]]
        case "TreeEnsembleRegressor":
            columns = [[rows, int(given.get("n_targets", 1))]]
        case "TreeEnsembleClassifier" | "SVMClassifier":
            numbers = given.get("classlabels_int64s") or given.get("classlabels_ints")
            classes = given.get("classlabels_strings") or numbers or [0, 1]
            labels = TensorProto.STRING if given.get("classlabels_strings") else TensorProto.INT64
            found = {name: helper.make_tensor_type_proto(labels, [rows]) for name in node.output[:1] if name}
            return found | {
                name: helper.make_tensor_type_proto(floats, [rows, len(classes)]) for name in node.output[1:]
            }
        case "FeatureVectorizer":
            columns = [[rows, sum(given.get("inputdimensions", []))]]
        case _:
            return {}
    return {node.output[0]: helper.make_tensor_type_proto(floats, columns[0])}


def _complete(node: NodeProto, found: Mapping[str, TypeProto]) -> bool:
    """Whether nothing is left to ask; sequences and maps have no shape."""
    types = [found.get(name) for name in node.output if name]
    return all(t is not None and (not t.HasField("tensor_type") or static_spec(t) is not None) for t in types)


def _check(node: NodeProto) -> None:
    """Refuse what onnx's inference would write, or look, beyond the end of."""
    if node.op_type == "Split" and _split_in(node) not in (0, len(node.output)):
        raise InvalidModelFile(
            f"Split {node.name or node.output[0]!r} says it has {_split_in(node)} outputs, but has "
            f"{len(node.output)}; export the model again"
        )
    if node.op_type == "Einsum" and not _EQUATION.fullmatch(_equation_of(node)):
        raise InvalidModelFile(
            f"Einsum {node.name or node.output[0]!r} has the equation {_equation_of(node)!r}, which is none; "
            "export the model again"
        )


_TERM = r"[A-Za-z]*(?:\.\.\.)?[A-Za-z]*"
_EQUATION = re.compile(rf"{_TERM}(?:,{_TERM})*(?:->{_TERM})?")


def _equation_of(node: NodeProto) -> str:
    """The equation of an Einsum, without spaces."""
    given = next((a.s for a in node.attribute if a.name == "equation"), b"")
    return str(given.decode(errors="replace")).replace(" ", "")


def _split_in(node: NodeProto) -> int:
    """The number of outputs that a Split states; 0 if none."""
    return max((int(a.i) for a in node.attribute if a.name == "num_outputs"), default=0)
