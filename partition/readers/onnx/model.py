"""Read an ONNX model into a :class:`~partition.problem.graph.Graph`; what is counted how is in ``docs/onnx.md``."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from partition.errors import DoubtfulModel, InvalidInput, InvalidModelFile
from partition.extras import require
from partition.problem.builder import GraphBuilder
from partition.problem.graph import Graph
from partition.text import printable

if TYPE_CHECKING:
    from onnx import ModelProto

    from partition.readers.onnx.nodes import Operation
    from partition.readers.onnx.shapes import GraphScope


def read_onnx(
    source: str | os.PathLike[str] | bytes | ModelProto,
    *,
    dims: Mapping[str, int] | None = None,
    name: str | None = None,
) -> Graph:
    """Read an ONNX model: its operations, tensors and weights, with costs from shapes. Weight data is not loaded.

    Parameters
    ----------
    source : path of the model, its bytes, or a parsed model (which is left unchanged). External data is looked
        for beside the file, and only measured.
    dims : values of the symbolic dimensions, by name; one without a name is ``<input>.<axis>``.
    name : the graph's name; by default the file's, or the name in the model.

    Raises
    ------
    InvalidModelFile : the file cannot be read, is not ONNX, or weights are missing; or onnx is not installed.
    InvalidInput : a dimension has no value, a wrong one, or is not in the model.
    InvalidGraph : the operations do not form a valid graph.

    Warns
    -----
    DoubtfulModel : shapes that the file declares contradict those of its inputs, which are believed; operations, or
        branches of an ``If``, cannot run with the given dimensions.
    """
    require("reading ONNX models", "onnx")
    from partition.readers.onnx import dims as onnx_dims
    from partition.readers.onnx import file as onnx_file
    from partition.readers.onnx import nodes as onnx_nodes
    from partition.readers.onnx import shapes as onnx_shapes

    with _told_of(source):
        model = onnx_file.open_model(source)
        onnx_dims.bind_dimensions(model.graph, dims or {})
        scope = onnx_shapes.GraphScope(model)
        inputs = [value.name for value in model.graph.input]
        reader = onnx_nodes.NodeReader(scope, model.graph, taken=inputs)
        operations = reader.operations()

    _warn_of(scope, onnx_file.described(source))
    named = Path(source).stem if isinstance(source, str | os.PathLike) else model.graph.name
    builder = GraphBuilder(name or named or "model")
    builder.dims.update({label: int(value) for label, value in (dims or {}).items()})
    for tensor in inputs:
        builder.operation(tensor, "Input", outputs={tensor: scope.bytes(tensor)})
    for operation in operations:
        _add(builder, operation)
    builder.computed.update(reader.constants.computed)
    specs = {tensor: scope.spec(tensor) for row in builder.rows for tensor in row.outputs}
    builder.shapes.update({tensor: spec.shape for tensor, spec in specs.items() if spec is not None})
    builder.results += [value.name for value in model.graph.output]
    if not builder.rows:
        raise InvalidModelFile(
            f"all operations of {onnx_file.described(source)} depend on constants alone, so there is nothing to place"
        )
    return builder.build()


def symbolic_dimensions(source: str | os.PathLike[str] | bytes | ModelProto) -> tuple[str, ...]:
    """Names of the dimensions of the inputs that have no number.

    Raises
    ------
    InvalidModelFile : as for :func:`read_onnx`.
    """
    require("reading ONNX models", "onnx")
    from partition.readers.onnx.dims import open_dimensions
    from partition.readers.onnx.file import open_model

    with _told_of(source):
        return tuple(open_dimensions(open_model(source).graph))


@contextlib.contextmanager
def _told_of(source: str | os.PathLike[str] | bytes | ModelProto) -> Iterator[None]:
    """Within, what breaks the format is told with the name of the model."""
    from partition.readers.onnx import file as onnx_file

    try:
        yield
    except InvalidInput:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # nodes without outputs, and so on
        where, what = onnx_file.described(source), type(error).__name__
        raise InvalidModelFile(f"{where} breaks the ONNX format ({what}); it is corrupt, export it again") from error


def _add(builder: GraphBuilder, operation: Operation) -> None:
    """One operation as the reader of nodes has found it."""
    builder.operation(
        operation.name,
        operation.op_type,
        inputs=operation.inputs,
        outputs=operation.outputs,
        flops=operation.cost.flops,
        bytes_accessed=operation.cost.bytes_accessed,
        weights=operation.weights,
        unknown=not operation.cost.known,
        guessed=operation.guessed,
        module=operation.module,
        view=operation.view,
    )
    if operation.cut_axes:
        builder.cut_axes[operation.name] = operation.cut_axes


def _warn_of(scope: GraphScope, where: str) -> None:
    """Name the first tensors whose declared shape is not believed, and what cannot run with the given dimensions."""
    said = []
    if scope.contradictions:
        listed = _first([f"tensor {name!r}: {words}" for name, words in scope.contradictions.items()])
        said.append(
            f"{where} declares shapes that contradict those of its inputs, which are believed: {listed}; "
            "infer the shapes of the model anew to be rid of this"
        )
    if scope.left_out:
        listed = _first([f"{name} ({reason})" for name, reason in scope.left_out.items()])
        said.append(f"branches of {where} cannot run with these dimensions and are left out: {listed}")
    if scope.impossible:
        said.append(f"{where} cannot run with these dimensions: {scope.impossible}; give others with --dim")
    for words in said:
        warnings.warn(DoubtfulModel(printable(words)), stacklevel=3)


def _first(words: list[str]) -> str:
    """The first three."""
    return "; ".join(words[:3]) + (f" (and {len(words) - 3} more)" if len(words) > 3 else "")
