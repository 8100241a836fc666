"""Run ONNX models with onnxruntime."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from partition.errors import InvalidInput, InvalidModelFile
from partition.extras import require
from partition.split.inputs import checked_inputs, random_inputs

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, TypeProto


RUN_LIMIT = 600.0
"""Seconds of one run on drawn or given inputs."""

LAST_WAIT = 5.0
"""Seconds for a run that is told to end."""

SILENT = 4
"""Of onnxruntime's own log: its exceptions say what its lines on stderr would say once more."""

_FAILED_NODE = re.compile(r"running (\S+) node\. Name:'([^']*)' Status Message: ")
"""How onnxruntime names a node that failed, and before it every node that the failed one stands in."""

_WITHOUT_NUMPY = frozenset({
    "tensor(bfloat16)", "tensor(int4)", "tensor(uint4)", "tensor(int2)", "tensor(uint2)", "tensor(float8e4m3fn)",
    "tensor(float8e4m3fnuz)", "tensor(float8e5m2)", "tensor(float8e5m2fnuz)", "tensor(float4e2m1)",
})  # fmt: skip
"""Element types, as onnxruntime names them, that numpy lacks: their bits pass from part to part."""


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
    require("running models", "run")
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = SILENT
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


def run_session(
    session: Any, outputs: Sequence[str], feeds: Mapping[str, Any], model: Path | bytes, *, within: float | None = None
) -> list[Any]:
    """The values of ``outputs``: arrays, lists and dictionaries; onnxruntime's own where numpy lacks the type.

    Parameters
    ----------
    within : seconds after which the run is ended; Ctrl-C then ends it at once, too. Without end by default.

    Raises
    ------
    InvalidModelFile : onnxruntime cannot run the model, or not within that time.
    """
    import onnxruntime as ort

    options = ort.RunOptions()
    options.log_severity_level = SILENT
    kinds = {value.name: value.type for value in session.get_outputs()}
    bare = any(kinds.get(name) in _WITHOUT_NUMPY for name in outputs)

    def run() -> list[Any]:
        if not bare:
            return list(session.run(list(outputs), dict(feeds), options))
        given = {name: _as_ort_value(value) for name, value in feeds.items()}
        return list(session.run_with_ort_values(list(outputs), given, options))

    try:
        return run() if within is None else _bounded(run, options, within)
    except TimeoutError:
        raise InvalidModelFile(
            f"onnxruntime has not run {_called(model)} within {within:g} s, so the run was ended; give values of "
            "inputs that make it shorter"
        ) from None
    except Exception as error:  # onnxruntime's exceptions share no base class
        raise InvalidModelFile(f"onnxruntime cannot run {_called(model)}: {_first_line(error)}") from error


def _bounded(run: Callable[[], list[Any]], options: Any, within: float) -> list[Any]:
    """What ``run`` returns or raises; told to end, and a TimeoutError, if that takes longer; Ctrl-C ends it too."""
    told: list[Any] = []

    def work() -> None:
        try:
            told.append(run())
        except Exception as error:  # raised in the thread that waits
            told.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        thread.join(within)
    except KeyboardInterrupt:
        options.terminate = True
        thread.join(LAST_WAIT)
        raise
    if thread.is_alive():
        options.terminate = True
        thread.join(LAST_WAIT)
        raise TimeoutError
    if isinstance(told[0], Exception):
        raise told[0]
    return list(told[0])


def _as_ort_value(value: Any) -> Any:
    import onnxruntime as ort

    if hasattr(value, "data_ptr"):
        return value
    if not isinstance(value, np.ndarray | np.generic):
        raise TypeError("a sequence or map beside a tensor of a type that numpy lacks")
    return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value))


def _first_line(error: Exception) -> str:
    """What onnxruntime says, from the innermost node on that failed."""
    line = " ".join((str(error).strip().splitlines() or [type(error).__name__])[0].split())
    failed = list(_FAILED_NODE.finditer(line))
    if failed:
        kind, name = failed[-1].groups()
        line = f"{kind} node {name!r}: {line[failed[-1].end() :]}"
    return line[:300]


def observed_types(
    model: ModelProto, tensors: Collection[str], inputs: Mapping[str, Any] | None = None
) -> dict[str, TypeProto]:
    """Types of tensors inside a model as one run shows them; extents are left open.

    Parameters
    ----------
    inputs : values of the model's inputs; drawn by default.

    Raises
    ------
    InvalidInput, InvalidModelFile : as :func:`open_session` and :func:`run_session`.
    """
    from onnx import helper

    whole = with_outputs(model, tensors)
    session = open_session(whole)
    feeds = checked_inputs(session, inputs) if inputs else random_inputs(session, {}, 0)
    found = run_session(session, list(tensors), feeds, whole, within=RUN_LIMIT)
    types = {}
    for tensor, value in zip(tensors, found, strict=True):
        if isinstance(value, list | dict) or value is None:
            raise InvalidModelFile(f"tensor {tensor!r} is a sequence or map, whose type the model does not tell")
        bare = hasattr(value, "data_ptr")
        kind = value.element_type() if bare else helper.np_dtype_to_tensor_dtype(value.dtype)
        types[tensor] = helper.make_tensor_type_proto(kind, [None] * len(value.shape() if bare else value.shape))
    return types


def with_outputs(model: ModelProto, tensors: Collection[str]) -> bytes:
    """The model with further tensors among its outputs, as a file holds it.

    Raises
    ------
    InvalidModelFile : it is beyond the 2 GB that a protobuf can have.
    """
    from onnx import ModelProto, helper

    open_ended = ModelProto()
    open_ended.CopyFrom(model)
    known = {value.name for value in model.graph.output}
    open_ended.graph.output.extend(helper.make_empty_tensor_value_info(t) for t in tensors if t not in known)
    try:
        return bytes(open_ended.SerializeToString())
    except Exception as error:  # protobuf's own
        raise InvalidModelFile(
            f"the model cannot be run to see its tensors ({_first_line(error)}); "
            "export it with the shapes of all tensors"
        ) from error


def computed(model: ModelProto, nodes: Sequence[NodeProto], tensor: str) -> TensorProto | None:
    """A tensor that the nodes, in order, compute from constants; None if nothing here can run them.

    By onnxruntime if it is installed, so that a part holds exactly what the whole model computes; otherwise by the
    reference implementation of onnx.
    """
    from onnx import helper, numpy_helper, reference

    from partition.readers.onnx.walk import reads

    read = {name for node in nodes for name in reads(node)}
    graph = helper.make_graph(
        list(nodes),
        "constants",
        [],
        [helper.make_empty_tensor_value_info(tensor)],
        [weight for weight in model.graph.initializer if weight.name in read],
        sparse_initializer=[weight for weight in model.graph.sparse_initializer if weight.values.name in read],
    )
    alone = helper.make_model(graph, opset_imports=model.opset_import, ir_version=max(model.ir_version, 4))
    try:
        try:
            [value] = open_session(alone.SerializeToString()).run([tensor], {})
        except (InvalidInput, InvalidModelFile):  # not installed, or it lacks the operator
            [value] = reference.ReferenceEvaluator(alone).run([tensor], {})
        return numpy_helper.from_array(value, tensor) if isinstance(value, np.ndarray) else None
    except Exception:  # beyond 2 GB, of a type that numpy lacks, no operator: the part then holds the nodes
        return None


def _called(model: Path | bytes) -> str:
    return repr(str(model)) if isinstance(model, Path) else "the model"
