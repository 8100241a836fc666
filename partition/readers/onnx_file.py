"""Open an ONNX file, check that all its weights are there, and keep only what shapes and costs need: no weight data."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto

from partition.errors import InvalidModelFile
from partition.operators import TensorSpec

KEPT_ELEMENTS = 1024  # constants up to this size keep their values: shapes are computed from them
_PROTOBUF_LIMIT = 2**31 - 1

_BITS = {
    "FLOAT": 32, "FLOAT16": 16, "BFLOAT16": 16, "DOUBLE": 64, "COMPLEX64": 64, "COMPLEX128": 128, "BOOL": 8,
    "INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64, "UINT8": 8, "UINT16": 16, "UINT32": 32, "UINT64": 64,
    "FLOAT8E4M3FN": 8, "FLOAT8E4M3FNUZ": 8, "FLOAT8E5M2": 8, "FLOAT8E5M2FNUZ": 8, "FLOAT8E8M0": 8,
    "INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2, "STRING": 64,
}  # fmt: skip
ITEMSIZE = {number: _BITS[name] / 8 for name, number in TensorProto.DataType.items() if name in _BITS}


def open_model(source: str | os.PathLike[str] | bytes | ModelProto) -> ModelProto:
    """The model in ``source`` without its weight data, checked to be complete.

    Weights keep their shape and type; constants of at most :data:`KEPT_ELEMENTS` elements keep their values.
    Model-local functions are inlined. ``source`` itself, if a model, is not changed.

    Raises
    ------
    InvalidModelFile : the file cannot be read, is not ONNX, or (external) weights are missing or too short.
    """
    where = described(source)
    model, folder = _parse(source, where)
    if not model.graph.node:
        raise InvalidModelFile(f"{where} holds no operations; it is not an ONNX model, or it was cut short")
    if not model.opset_import:
        raise InvalidModelFile(f"{where} names no operator set (opset_import); export it again")
    _check_names(model.graph, where)
    lengths: dict[Path, int] = {}
    for tensor in _tensors(model):
        _check_tensor(tensor, where, folder, lengths)
    return inlined(_without_data(model), where)


def tensor_spec(tensor: TensorProto) -> TensorSpec:
    """Shape and type of a constant, without touching its data."""
    return TensorSpec(tuple(tensor.dims), ITEMSIZE[tensor.data_type])


def subgraphs(node: NodeProto) -> list[GraphProto]:
    """The bodies of If, Loop, Scan and their like."""
    bodies = [attribute.g for attribute in node.attribute if attribute.type == AttributeProto.GRAPH]
    for attribute in node.attribute:
        bodies.extend(attribute.graphs)
    return bodies


def described(source: str | os.PathLike[str] | bytes | ModelProto) -> str:
    """What messages call the model."""
    if isinstance(source, ModelProto):
        return "the ONNX model"
    if isinstance(source, bytes):
        return "the ONNX model given as bytes"
    return f"model file {os.fspath(source)!r}"


def _parse(source: str | os.PathLike[str] | bytes | ModelProto, where: str) -> tuple[ModelProto, Path | None]:
    """The parsed model, and the folder of its external data (None: unknown)."""
    if isinstance(source, ModelProto):
        return source, None
    if isinstance(source, bytes):
        try:
            return onnx.load_model_from_string(source), None
        except Exception as error:
            raise InvalidModelFile(f"{where} is corrupt or truncated; export it again") from error
    path = Path(source)
    try:
        if not path.is_file():
            raise InvalidModelFile(f"{where} does not exist or is not a file; check the path")
        size = path.stat().st_size
        if size == 0:
            raise InvalidModelFile(f"{where} is empty; export it again")
        if size > _PROTOBUF_LIMIT:
            raise InvalidModelFile(f"{where} exceeds the 2 GB an ONNX file can have; save its weights as external data")
        return onnx.load_model(str(path), load_external_data=False), path.parent
    except InvalidModelFile:
        raise
    except OSError as error:
        raise InvalidModelFile(f"{where} cannot be read ({error.strerror or error}); check its permissions") from error
    except Exception as error:  # protobuf, text and JSON parsers each have their own
        raise InvalidModelFile(
            f"{where} is not a readable ONNX model: it is corrupt or truncated; export it again"
        ) from error


# --- Is everything there? ---------------------------------------------------------------------------------------


def _check_names(graph: GraphProto, where: str) -> None:
    """Names that are not UTF-8 come out of the parser as bytes."""
    for node in graph.node:
        if not all(isinstance(text, str) for text in (node.op_type, node.domain, node.name, *node.input, *node.output)):
            raise InvalidModelFile(f"{where} has an operation whose names are not text; it is corrupt, export it again")
        for body in subgraphs(node):
            _check_names(body, where)


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    yield from _tensors_of_graph(model.graph)
    for function in model.functions:
        yield from _tensors_of_nodes(function.node)


def _tensors_of_graph(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t
            elif attribute.type == AttributeProto.SPARSE_TENSOR:
                yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
        for body in subgraphs(node):
            yield from _tensors_of_graph(body)


def _check_tensor(tensor: TensorProto, where: str, folder: Path | None, lengths: dict[Path, int]) -> None:
    if tensor.data_type not in ITEMSIZE:
        raise InvalidModelFile(
            f"weight {tensor.name!r} in {where} has unknown data type {tensor.data_type}; export the model again"
        )
    if any(extent < 0 for extent in tensor.dims):
        raise InvalidModelFile(f"weight {tensor.name!r} in {where} has a negative dimension; export the model again")
    if tensor.data_location == TensorProto.EXTERNAL:
        if folder is not None:
            _check_external(tensor, where, folder, lengths)
        return
    if tensor.HasField("raw_data"):
        have, need = len(tensor.raw_data), tensor_spec(tensor).bytes
        if 0 < have < need:  # with no data at all, only the size was kept on purpose
            raise InvalidModelFile(
                f"weight {tensor.name!r} in {where} holds {have} bytes, its shape needs {need:.0f}; export it again"
            )


def _check_external(tensor: TensorProto, where: str, folder: Path, lengths: dict[Path, int]) -> None:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    pure = PurePath(location)
    if not location or pure.is_absolute() or ".." in pure.parts:
        raise InvalidModelFile(
            f"weight {tensor.name!r} in {where} names {location!r}, which is not inside the model's folder; "
            "save the model with its data beside it"
        )
    try:
        offset = int(entries.get("offset") or 0)
        length = int(entries.get("length") or tensor_spec(tensor).bytes)
    except ValueError:
        offset = length = -1
    if offset < 0 or length < tensor_spec(tensor).bytes:
        raise InvalidModelFile(
            f"weight {tensor.name!r} in {where} has an offset or length that does not fit its shape; export it again"
        )
    path = folder / pure
    if path not in lengths:
        if not path.is_file():
            raise InvalidModelFile(
                f"weights file {location!r} of {where} is missing; put it into the folder {str(folder)!r}"
            )
        lengths[path] = path.stat().st_size
    if lengths[path] < offset + length:
        raise InvalidModelFile(
            f"weights file {location!r} of {where} has {lengths[path]} bytes, but weight {tensor.name!r} ends at "
            f"{offset + length}; it was cut short, copy it again"
        )


# --- Leave the data behind ----------------------------------------------------------------------------------------


def _without_data(model: ModelProto) -> ModelProto:
    """A small copy: large constants become stubs (marked external) that still have shape and type."""
    graph = model.graph
    constants = [_stub(tensor) if _is_large(tensor) else tensor for tensor in graph.initializer]
    constants += [_dense_stub(sparse) for sparse in graph.sparse_initializer]
    names = {tensor.name for tensor in constants}
    lean = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    lean.graph.name = graph.name
    lean.graph.node.extend(graph.node)
    lean.graph.initializer.extend(constants)
    # Up to IR version 3 weights are listed among the inputs too; inference must not take them for variables.
    lean.graph.input.extend(value for value in graph.input if value.name not in names)
    lean.graph.output.extend(graph.output)
    lean.graph.value_info.extend(graph.value_info)
    return lean


def _is_large(tensor: TensorProto) -> bool:
    return tensor.data_location == TensorProto.EXTERNAL or tensor_spec(tensor).size > KEPT_ELEMENTS


def _stub(tensor: TensorProto) -> TensorProto:
    stub = TensorProto(
        name=tensor.name, dims=tensor.dims, data_type=tensor.data_type, data_location=TensorProto.EXTERNAL
    )
    stub.external_data.add(key="location", value="left-behind")
    return stub


def _dense_stub(sparse: SparseTensorProto) -> TensorProto:
    """A stub of the tensor's full shape; its stored bytes are noted for :func:`stored_bytes`."""
    stub = _stub(sparse.values)
    stub.ClearField("dims")
    stub.dims.extend(sparse.dims)
    stored = tensor_spec(sparse.values).bytes + tensor_spec(sparse.indices).bytes
    stub.external_data.add(key="length", value=str(int(stored)))
    return stub


def stored_bytes(tensor: TensorProto) -> float:
    """Bytes a constant of the opened model takes in memory; sparse ones take their values and indices."""
    if tensor.data_location == TensorProto.EXTERNAL:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if entries.get("location") == "left-behind" and "length" in entries:
            return float(entries["length"])
    return tensor_spec(tensor).bytes


def inlined(model: ModelProto, where: str) -> ModelProto:
    """The model with the calls of its own functions replaced by their bodies."""
    if not model.functions:
        return model
    try:
        from onnx import inliner
    except ImportError:  # before onnx 1.15: its calls then fall to the default cost
        return model
    try:
        return inliner.inline_local_functions(model)
    except Exception as error:
        raise InvalidModelFile(f"the functions of {where} cannot be inlined ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
