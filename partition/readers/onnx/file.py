"""Open an ONNX file, check that all its weights are there, and keep only what shapes and costs need: no weight data."""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path, PurePath

import onnx
from onnx import GraphProto, ModelProto, SparseTensorProto, TensorProto, defs

from partition.errors import InvalidModelFile
from partition.problem.operator_call import TensorSpec
from partition.readers.onnx.size import MOST_FIELDS, check_fields, check_inlined, count_fields
from partition.readers.onnx.types import ITEMSIZE
from partition.readers.onnx.values import most_kept
from partition.readers.onnx.walk import all_graphs, all_nodes, all_tensors

MOST_AXES = 64  # of a tensor; numpy's limit
MOST_ELEMENTS = 2**62  # of a tensor; dimensions are 64-bit numbers, and so are products of them wherever models run
LARGEST_TEXT = 2**24  # bytes of a model in one of onnx's text formats
_PROTOBUF_LIMIT = 2**31 - 1
_AS_TEXT = frozenset({".json", ".onnxjson", ".onnxtext", ".onnxtxt", ".pbtxt", ".prototxt", ".textproto", ".txtpb"})


def open_model(source: str | os.PathLike[str] | bytes | ModelProto) -> ModelProto:
    """The model in ``source`` without its weight data, checked to be complete.

    Weights keep their shape and type; small constants (:func:`most_kept`) keep their values.
    Model-local functions are inlined. ``source`` itself, if a model, is not changed.

    Raises
    ------
    InvalidModelFile : the file cannot be read, is not ONNX, or (external) weights are missing or too short.
    """
    where = described(source)
    model, folder = _parse(source, where)
    if not model.graph.node:
        other = _what_else(Path(source)) if isinstance(source, str | os.PathLike) else ""
        cut = "it is not an ONNX model, or it was cut short"
        raise InvalidModelFile(f"{where} holds no operations; {cut if 'corrupt' in other or not other else other}")
    if not model.opset_import:
        raise InvalidModelFile(f"{where} names no operator set (opset_import); export it again")
    for graph in all_graphs(model):
        _check_graph(graph, where)
    lengths: dict[Path, int] = {}
    for tensor in all_tensors(model):
        _check_shape(tensor, where)
        if isinstance(tensor, TensorProto):
            _check_data(tensor, where, folder, lengths)
    return inlined(_without_data(model, folder), where)


def tensor_spec(tensor: TensorProto) -> TensorSpec:
    """Shape and type of a constant, without touching its data."""
    return TensorSpec(tuple(tensor.dims), ITEMSIZE[tensor.data_type])


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
        if len(source) > 2 * MOST_FIELDS:
            count_fields(source, where)
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
        if path.suffix.lower() in _AS_TEXT:
            if size > LARGEST_TEXT:
                raise InvalidModelFile(
                    f"{where} is text of over {LARGEST_TEXT >> 20} MB; save it as a binary .onnx file"
                )
        else:
            check_fields(path, where)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # onnx calls its own text format experimental
            return onnx.load_model(str(path), load_external_data=False), path.parent
    except InvalidModelFile:
        raise
    except OSError as error:
        raise InvalidModelFile(f"{where} cannot be read ({error.strerror or error}); check its permissions") from error
    except Exception as error:  # protobuf, text and JSON parsers each have their own
        raise InvalidModelFile(f"{where} is not a readable ONNX model: {_what_else(path)}") from error


def _what_else(path: Path) -> str:
    """What a file is that cannot be read, and what to do; by its first bytes."""
    with path.open("rb") as file:
        start = file.read(1024)
    for signature, what in _SIGNATURES.items():
        if start[_PLACES.get(signature, 0) :].startswith(signature):
            return what
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return "it is a safetensors file, which holds weights and no operations; export the model to ONNX"
    text = start.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="ignore")
    if text.lstrip().lower().startswith(("<!doctype", "<html")):
        return "it is a web page; download the model itself"
    if text.lstrip().startswith(("<?xml", "<net ")):
        return "it is XML, as OpenVINO writes it; give the model that it was made from, as ONNX"
    if text and b"\0" not in start and all(c.isprintable() or c.isspace() for c in text):
        return "it is a text file; give a binary .onnx file, or JSON"
    return "it is corrupt or truncated; export it again"


_SIGNATURES = {
    b"version https://git-lfs": "it is a pointer of Git LFS and not the file itself; fetch it with git lfs pull",
    b"PK\x03\x04": "it is a zip archive, as torch and Keras write them; export the model to ONNX",
    b"\x89HDF": "it is an HDF5 file, as Keras writes them; convert the model to ONNX",
    b"\x80\x02": "it is a pickle, as torch writes them; export the model to ONNX",
    b"GGUF": "it is a GGUF file; export the model to ONNX",
    b"TFL3": "it is a TensorFlow Lite file; convert the model to ONNX",
    **dict.fromkeys((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh"), "it is compressed; unpack it first"),
    b"\x93NUMPY": "it is an array of numpy; give a model",
    b"ustar": "it is a tar archive; unpack it first",
    b"ORTM": "it is in onnxruntime's own format; give the .onnx file that it was made from",
}
"""First bytes of files of other kinds -> what they are."""

_PLACES = {b"TFL3": 4, b"ORTM": 4, b"ustar": 257}
"""Where those bytes stand, if not at the start."""


# --- Is everything there? ---------------------------------------------------------------------------------------


def _check_graph(graph: GraphProto, where: str) -> None:
    """Names that are not UTF-8 come out of the parser as bytes; shapes of endless length would multiply."""
    for node in graph.node:
        if not all(isinstance(text, str) for text in (node.op_type, node.domain, node.name, *node.input, *node.output)):
            raise InvalidModelFile(f"{where} has an operation whose names are not text; it is corrupt, export it again")
    for value in (*graph.input, *graph.output, *graph.value_info):
        if not isinstance(value.name, str):
            raise InvalidModelFile(f"{where} has a tensor whose name is not text; it is corrupt, export it again")
        _check_axes(f"tensor {value.name!r}", len(value.type.tensor_type.shape.dim), where)


def _check_axes(what: str, axes: int, where: str) -> None:
    if axes > MOST_AXES:
        raise InvalidModelFile(f"{what} in {where} has {axes} axes, at most {MOST_AXES} are possible; export it again")


def _check_shape(tensor: TensorProto | SparseTensorProto, where: str) -> None:
    name = tensor.name if isinstance(tensor, TensorProto) else tensor.values.name
    if not isinstance(name, str):
        raise InvalidModelFile(f"{where} has a weight whose name is not text; it is corrupt, export it again")
    _check_axes(f"weight {name!r}", len(tensor.dims), where)
    if any(extent < 0 for extent in tensor.dims):
        raise InvalidModelFile(f"weight {name!r} in {where} has a negative dimension; export the model again")
    if math.prod(tensor.dims) > MOST_ELEMENTS:
        raise InvalidModelFile(f"weight {name!r} in {where} has over 2**62 elements; export the model again")


def _check_data(tensor: TensorProto, where: str, folder: Path | None, lengths: dict[Path, int]) -> None:
    if tensor.data_type not in ITEMSIZE:
        raise InvalidModelFile(
            f"weight {tensor.name!r} in {where} has unknown data type {tensor.data_type}; export the model again"
        )
    if tensor.data_location == TensorProto.EXTERNAL:
        if tensor.HasField("raw_data"):  # whoever saves the model would write these bytes to the file it names
            raise InvalidModelFile(f"weight {tensor.name!r} in {where} is both inside and outside; export it again")
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
        offset = length = -1  # also for endless digits
    if offset < 0 or length < tensor_spec(tensor).bytes:
        raise InvalidModelFile(
            f"weight {tensor.name!r} in {where} has an offset or length that does not fit its shape; export it again"
        )
    path = folder / pure
    if path not in lengths:
        if not os.path.isfile(path):  # unlike Path's, False for names that no file can have
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


def _without_data(model: ModelProto, folder: Path | None) -> ModelProto:
    """A small copy: large constants become stubs (marked external) that still have shape and type."""
    graph = model.graph
    constants = [_kept(tensor, folder) for tensor in graph.initializer]
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


def _kept(tensor: TensorProto, folder: Path | None) -> TensorProto:
    """The constant itself if it is small, its value read from beside the model if it is there; else a stub."""
    if tensor_spec(tensor).size > most_kept(tensor.data_type):
        return _stub(tensor)
    if tensor.data_location != TensorProto.EXTERNAL:
        return tensor
    if folder is None:
        return _stub(tensor)
    loaded = TensorProto()
    loaded.CopyFrom(tensor)
    try:
        onnx.external_data_helper.load_external_data_for_tensor(loaded, str(folder))
    except Exception:  # a link, say, which onnx does not follow: of a weight no more than the shape is needed
        return _stub(tensor)
    loaded.ClearField("external_data")
    loaded.data_location = TensorProto.DEFAULT
    return loaded


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
    """The model with the calls of its own functions replaced by their bodies, and every domain it uses imported."""
    _import_domains(model, where)
    if not model.functions:
        return model
    check_inlined(model, where)
    try:
        from onnx import inliner
    except ImportError:  # before onnx 1.15: its calls then fall to the default cost
        return model
    try:
        return inliner.inline_local_functions(model)
    except Exception as error:
        raise InvalidModelFile(f"the functions of {where} cannot be inlined ({_first_line(error)})") from error


def _import_domains(model: ModelProto, where: str) -> None:
    """Name the operator sets that onnxruntime takes for granted; without that of ONNX itself nothing can be read."""
    own = {function.domain for function in model.functions}
    named = {"" if o.domain == "ai.onnx" else o.domain for o in model.opset_import}
    used = {"" if node.domain == "ai.onnx" else node.domain for node in all_nodes(model.graph.node)}
    for domain in sorted(used - named - own):
        if not domain:
            raise InvalidModelFile(
                f"{where} names no version of the operator set of ONNX itself (opset_import); export it again"
            )
        newest = defs.onnx_ml_opset_version() if domain == "ai.onnx.ml" else 1
        model.opset_import.add(domain=domain, version=newest)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
