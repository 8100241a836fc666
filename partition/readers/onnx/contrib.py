"""Types of what operators yield whose schemas the onnx package lacks (``com.microsoft``): onnxruntime is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray
from onnx import NodeProto, OperatorSetIdProto, TensorProto, TypeProto, helper, numpy_helper

from partition.extras import require
from partition.readers.onnx.walk import subgraphs

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Domains whose schemas onnxruntime has."""

_KINDS = {
    "float": TensorProto.FLOAT, "double": TensorProto.DOUBLE, "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16, "bool": TensorProto.BOOL, "string": TensorProto.STRING,
    **{name.lower(): kind for name, kind in TensorProto.DataType.items() if name.startswith(("INT", "UINT", "FLOAT8"))},
}  # fmt: skip
"""onnxruntime's name of an element type -> ONNX's number."""


def runtime_types(
    node: NodeProto,
    types: Mapping[str, TypeProto],
    values: Mapping[str, NDArray[Any]],
    opsets: Sequence[OperatorSetIdProto],
    ir_version: int,
) -> dict[str, TypeProto]:
    """Types of the node's outputs, by name, as onnxruntime infers them for a model of this node alone.

    Parameters
    ----------
    types : of its inputs, possibly with open dimensions.
    values : of those inputs that are small constants.

    Returns
    -------
    dict
        Empty where onnxruntime cannot tell: it has no kernel of the operator for CPUs, or a type is missing.

    Raises
    ------
    InvalidModelFile : onnxruntime is not installed.
    """
    require(f"operator {node.op_type!r} of {node.domain or 'ai.onnx'!r}, which has its schema there,", "run")
    import onnxruntime as ort

    read = list(dict.fromkeys(name for name in node.input if name))
    if subgraphs(node) or any(name not in types for name in read):
        return {}
    domain = "" if node.domain == "ai.onnx" else node.domain
    imports = [o for o in opsets if o.domain in ("", "ai.onnx", domain)]
    if domain not in {o.domain for o in imports}:
        imports.append(helper.make_opsetid(domain, 1))
    graph = helper.make_graph(
        [node],
        "alone",
        [helper.make_value_info(name, types[name]) for name in read if name not in values],
        [helper.make_empty_tensor_value_info(name) for name in node.output if name],
        [numpy_helper.from_array(values[name], name) for name in read if name in values],
    )
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        model = helper.make_model(graph, opset_imports=imports, ir_version=ir_version)
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return {value.name: found for value in session.get_outputs() if (found := _type(value)) is not None}
    except Exception:  # onnxruntime's exceptions share no base class
        return {}


def _type(value: Any) -> TypeProto | None:
    """A tensor type as ONNX writes it; None for sequences and maps, and for element types without a number."""
    kind = _KINDS.get(value.type.removeprefix("tensor(").removesuffix(")"))
    if kind is None or not value.type.startswith("tensor("):
        return None
    if not value.shape:  # a scalar, or of an unknown number of axes: onnxruntime tells both alike
        return helper.make_tensor_type_proto(kind, None)
    return helper.make_tensor_type_proto(kind, [extent if isinstance(extent, int) else None for extent in value.shape])
