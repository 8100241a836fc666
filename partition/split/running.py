"""Run ONNX models with onnxruntime."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partition.errors import InvalidInput, InvalidModelFile

if TYPE_CHECKING:
    from onnx import ModelProto, TypeProto


def open_session(model: Path | bytes, optimised: bool = False, profile: str | None = None) -> Any:
    """An onnxruntime session on one thread, operators as they are unless ``optimised``.

    Parameters
    ----------
    profile : start onnxruntime's profiler, which writes a file of a name that begins so.

    Raises
    ------
    InvalidInput : onnxruntime is not installed.
    InvalidModelFile : it cannot load the model; its reason names the operator.
    """
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise InvalidInput("running models needs onnxruntime; pip install 'mcm-partition[run]'") from error
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, profile
    try:
        given = model if isinstance(model, bytes) else str(model)
        return ort.InferenceSession(given, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # onnxruntime's exceptions share no base class
        raise InvalidModelFile(f"onnxruntime cannot load {_called(model)}: {_first_line(error)}") from error


def run_session(session: Any, outputs: list[str], feeds: Mapping[str, Any], model: Path | bytes) -> list[Any]:
    """The values of ``outputs``."""
    try:
        return list(session.run(outputs, dict(feeds)))
    except Exception as error:
        raise InvalidModelFile(f"onnxruntime cannot run {_called(model)}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return " ".join((str(error).strip().splitlines() or [type(error).__name__])[0].split())[:300]


MOST_DRAWN = 2**28
"""Elements of an input for which random values are drawn."""

_TYPES: dict[str, Any] = {
    "float": np.float32, "float16": np.float16, "double": np.float64, "int8": np.int8, "int16": np.int16,
    "int32": np.int32, "int64": np.int64, "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32,
    "uint64": np.uint64, "bool": np.bool_,
}  # fmt: skip


def random_inputs(session: Any, dims: Mapping[str, int], seed: int) -> dict[str, NDArray[Any]]:
    """Values for every input: floats normal, integers and booleans 0 or 1."""
    rng = np.random.default_rng(seed)
    feeds: dict[str, NDArray[Any]] = {}
    for value in session.get_inputs():
        kind = _TYPES.get(value.type.removeprefix("tensor(").removesuffix(")"))
        if kind is None:
            raise InvalidInput(f"input {value.name!r} is of type {value.type}; give its values, none can be drawn")
        shape = [_extent(value.name, axis, extent, dims) for axis, extent in enumerate(value.shape)]
        if math.prod(shape) > MOST_DRAWN:
            raise InvalidInput(f"input {value.name!r} has over {MOST_DRAWN} elements; give its values, none are drawn")
        drawn = rng.standard_normal(shape) if np.issubdtype(kind, np.floating) else rng.integers(0, 2, shape)
        feeds[value.name] = np.asarray(drawn).astype(kind)
    return feeds


def _extent(name: str, axis: int, extent: Any, dims: Mapping[str, int]) -> int:
    if isinstance(extent, int) and extent >= 0:
        return extent
    for label in (extent, f"{name}.{axis}"):
        if label in dims:
            return int(dims[label])
    raise InvalidInput(
        f"input {name!r} has the dimension {extent!r}, for which the manifest has no value; give its values"
    )


def observed_types(model: ModelProto, tensors: Collection[str]) -> dict[str, TypeProto]:
    """Types of tensors inside a model as one run on random inputs shows them; extents are left open.

    Raises
    ------
    InvalidInput, InvalidModelFile : as :func:`open_session` and :func:`run_session`.
    """
    from onnx import ModelProto, helper

    open_ended = ModelProto()
    open_ended.CopyFrom(model)
    known = {value.name for value in model.graph.output}
    open_ended.graph.output.extend(helper.make_empty_tensor_value_info(t) for t in tensors if t not in known)
    try:
        whole = open_ended.SerializeToString()
    except Exception as error:  # protobuf's own: beyond 2 GB
        raise InvalidModelFile(
            f"the model cannot be run to see its types ({_first_line(error)}); export it with the shapes of all tensors"
        ) from error
    session = open_session(whole)
    found = run_session(session, list(tensors), random_inputs(session, {}, 0), whole)
    return {
        tensor: helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(value.dtype), [None] * value.ndim)
        for tensor, value in zip(tensors, (np.asarray(value) for value in found), strict=True)
    }


def _called(model: Path | bytes) -> str:
    return repr(str(model)) if isinstance(model, Path) else "the model"
