"""Give the symbolic dimensions of an ONNX model their values."""

from __future__ import annotations

import ast
import operator
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Set

from onnx import GraphProto, TensorShapeProto, ValueInfoProto

from partition.errors import InvalidInput, InvalidModelFile
from partition.readers.onnx.walk import subgraphs

_LARGEST = 2**31 - 1
_LONGEST = 200  # characters of arithmetic over dimensions
_LISTED = 8  # dimensions in a message
_NAME = re.compile(r"[^\W\d]")  # without a letter, as in "?" or "-1", nothing is named, and two need not be equal

_ARITHMETIC = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv, ast.Div: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip


def bind_dimensions(graph: GraphProto, dims: Mapping[str, int]) -> None:
    """Write the values of ``dims`` into every shape of ``graph``, in place.

    A dimension is called by its name in the model; one without a name, or with one like ``?``, ``<input>.<axis>``.
    A dimension that is arithmetic over other ones (``"past + seq"``) takes its value from them, unless it is set
    itself.

    Raises
    ------
    InvalidInput : a value is no size, a name is not in the model, or a dimension has no value.
    InvalidModelFile : an input has no shape at all.
    """
    inputs = open_dimensions(graph)
    derived = {label for label in inputs if _is_arithmetic(label, inputs.keys())}
    _check_given(dims, inputs, derived)
    missing = [label for label in inputs if label not in dims and label not in derived]
    if missing:
        raise InvalidInput(_missing_sentence(missing, graph))
    values = {label: int(value) for label, value in dims.items()}
    for label in derived - values.keys():
        values[label] = _derived_value(label, inputs[label], values)
    for value in graph.input:
        for label, dim in _symbols(value):
            dim.dim_value = values[label]
    _bind_inner(graph, values)


def open_dimensions(graph: GraphProto) -> dict[str, str]:
    """Every dimension without a number -> the first input that has it.

    Raises
    ------
    InvalidModelFile : an input has no shape at all.
    """
    inputs: dict[str, str] = {}
    for value in graph.input:
        for label, _ in _symbols(value):
            inputs.setdefault(label, value.name)
    return inputs


def _symbols(value: ValueInfoProto) -> Iterator[tuple[str, TensorShapeProto.Dimension]]:
    """The dimensions of an input that have no number, each with its name."""
    return ((label, dim) for label, dim in _axes(value) if label is not None)


def _axes(value: ValueInfoProto) -> Iterator[tuple[str | None, TensorShapeProto.Dimension]]:
    """Every dimension of an input, with its name if it has no number."""
    if not value.type.HasField("tensor_type"):
        return  # a sequence or an optional has no size before it runs
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        raise InvalidModelFile(
            f"input {value.name!r} has no shape, so its size is unknown; export the model with the shapes of its inputs"
        )
    for axis, dim in enumerate(tensor.shape.dim):
        if dim.HasField("dim_value") and dim.dim_value >= 0:
            yield None, dim
        else:
            yield dim.dim_param if _NAME.search(dim.dim_param) else f"{value.name}.{axis}", dim


def _check_given(dims: Mapping[str, int], inputs: Mapping[str, str], derived: Iterable[str]) -> None:
    for label, value in dims.items():
        if label not in inputs:
            known = ", ".join(repr(name) for name in inputs if name not in set(derived))
            has = f"its symbolic dimensions are {known}" if known else "it has no symbolic dimensions"
            raise InvalidInput(f"the model has no dimension {label!r}; {has}")
        if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= int(value) <= _LARGEST:
            raise InvalidInput(f"dimension {label!r} is set to {value!r}; it must be an integer from 0 to {_LARGEST}")


def _missing_sentence(missing: list[str], graph: GraphProto) -> str:
    """What has no value, the shape that it stands in, and options to paste: 1 along a first axis, 128 elsewhere."""
    inputs = open_dimensions(graph)
    listed = missing[:_LISTED]
    owners = {value.name: value for value in graph.input if value.name in {inputs[label] for label in listed}}
    named = ", ".join(
        f"{', '.join(repr(label) for label in listed if inputs[label] == owner)} of input {owner!r} {_shape(value)}"
        for owner, value in owners.items()
    )
    first = {dim for value in owners.values() for dim in _labels(value)[:1]}
    how = " ".join(f"--dim {shlex.quote(f'{label}={1 if label in first else 128}')}" for label in listed)
    if len(missing) == 1:
        return f"dimension {named} has no value; set it, for instance with {how}"
    more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
    return f"dimensions {named}{more} have no value; set them, for instance with {how}"


def _shape(value: ValueInfoProto) -> str:
    """A shape as a reader of the model writes it, such as ``(batch, 3, 224, 224)``."""
    labels = _labels(value)
    return f"({', '.join(labels)}{',' * (len(labels) == 1)})"


def _labels(value: ValueInfoProto) -> list[str]:
    """The size of every axis of an input, or the name of its dimension where it has no number."""
    return [str(dim.dim_value) if label is None else label for label, dim in _axes(value)]


def _is_arithmetic(label: str, labels: Set[str]) -> bool:
    """Whether the name is an expression over other names of the model ("batch-size" is not, nor is "batch")."""
    tree = _parsed(label)
    if tree is None or isinstance(tree, ast.Name):
        return False
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names <= labels


def _parsed(label: str) -> ast.expr | None:
    if len(label) > _LONGEST:
        return None
    try:
        tree = ast.parse(label.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # the last two: nested too deeply
        return None
    allowed = (ast.BinOp, ast.Name, ast.Load, ast.Constant, *_ARITHMETIC)
    return tree if all(isinstance(node, allowed) for node in ast.walk(tree)) else None


def _derived_value(label: str, owner: str, values: Mapping[str, int]) -> int:
    def evaluate(node: ast.expr) -> int:
        if isinstance(node, ast.BinOp):
            return int(_ARITHMETIC[type(node.op)](evaluate(node.left), evaluate(node.right)))
        return values[node.id] if isinstance(node, ast.Name) else int(node.value)  # type: ignore[attr-defined]

    tree = _parsed(label)
    try:
        value = evaluate(tree) if tree is not None else -1
    except (ZeroDivisionError, KeyError, TypeError, ValueError):
        value = -1
    if not 0 <= value <= _LARGEST:
        raise InvalidInput(
            f"dimension {label!r} of input {owner!r} comes to no size; set it with --dim {shlex.quote(label + '=128')}"
        )
    return value


def _bind_inner(graph: GraphProto, values: Mapping[str, int]) -> None:
    """Known names get their value in every other shape too; the rest is left for inference to find."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim if value.type.HasField("tensor_type") else ():
            if dim.dim_param in values:
                dim.dim_value = values[dim.dim_param]
            elif dim.HasField("dim_param") or dim.dim_value < 0:
                dim.Clear()
    for node in graph.node:
        for body in subgraphs(node):
            _bind_inner(body, values)
