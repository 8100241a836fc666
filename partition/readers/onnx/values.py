"""Small computations on constants and shapes, which exporters leave in the graph: onnx's own reference runs them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, OperatorSetIdProto, TensorProto, helper, reference

KEPT_ELEMENTS = 1024
"""Values of up to this size are kept and computed."""

KEPT_INTEGERS = 2**14
"""The same of 64-bit and 32-bit integers, which may be sizes and offsets."""

_INTEGERS = frozenset({TensorProto.INT64, TensorProto.INT32})


def most_kept(data_type: int) -> int:
    """Elements up to which the value of a tensor of ONNX's ``data_type`` is kept."""
    return KEPT_INTEGERS if data_type in _INTEGERS else KEPT_ELEMENTS


_WINDOWS = frozenset({"auto_pad", "dilations", "kernel_shape", "output_padding", "pads", "strides"})
"""Attributes that can make an operator work on far more than it reads and writes."""

_LEFT_OUT = frozenset({
    "ImageDecoder", "MelWeightMatrix", "Pad", "RegexFullMatch", "Resize", "STFT", "StringNormalizer", "StringSplit",
    "TfIdfVectorizer", "Upsample",
})  # fmt: skip
"""Operators that can work longer than the size of what they read and write tells."""

_BOUNDED = frozenset({"Compress", "NonZero", "Unique"})
"""Operators whose result depends on values and is no larger than what they read, times its axes."""


def is_small(node: NodeProto, feeds: Mapping[str, NDArray[Any]], sizes: Sequence[int | None]) -> bool:
    """Whether the node is a small computation, however its attributes are chosen.

    Parameters
    ----------
    feeds : values of its inputs.
    sizes : elements of its outputs as inferred; None where inference does not tell.
    """
    if node.op_type in _LEFT_OUT or any(attribute.name in _WINDOWS for attribute in node.attribute):
        return False
    if any(a.HasField("t") and a.t.data_location == TensorProto.EXTERNAL for a in node.attribute):
        return False  # onnx would read the file that it names
    if node.op_type == "Range":
        start, limit, delta = (float(np.ravel(feeds[name])[0]) for name in node.input)
        return delta != 0.0 and (limit - start) / delta <= KEPT_ELEMENTS
    known = [size for size in sizes if size is not None]
    integers = bool(feeds) and all(value.dtype in (np.int64, np.int32) for value in feeds.values())
    return sum(known) <= (KEPT_INTEGERS if integers else KEPT_ELEMENTS) and (
        len(known) == len(sizes) or node.op_type in _BOUNDED
    )


class Evaluator:
    """onnx's reference implementation of one node at a time; a node that comes again is prepared once.

    Parameters
    ----------
    opsets, ir_version : of the model.
    """

    def __init__(self, opsets: Sequence[OperatorSetIdProto], ir_version: int) -> None:
        self.opsets, self.ir_version = opsets, ir_version
        self._prepared: dict[bytes, reference.ReferenceEvaluator] = {}

    def evaluate(self, node: NodeProto, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Values of the outputs, as far as they are kept; empty if the reference cannot run it."""
        numbered = {f"input {i}": feeds[name] for i, name in enumerate(node.input) if name}
        try:
            with np.errstate(all="ignore"):
                found = self._prepare(node).run(None, numbered)
        except Exception:  # an operator or a type that it cannot run
            return {}
        return {
            name: np.asarray(value)
            for name, value in zip(filter(None, node.output), found, strict=True)
            if isinstance(value, np.ndarray | np.generic)
            and np.size(value) <= (KEPT_INTEGERS if value.dtype in (np.int64, np.int32) else KEPT_ELEMENTS)
        }

    def _prepare(self, node: NodeProto) -> reference.ReferenceEvaluator:
        """The evaluator of a node; nodes that differ in names alone share one."""
        alone = _numbered(node)
        key = alone.SerializeToString(deterministic=True)
        if key not in self._prepared:
            inputs = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in alone.input if name]
            results = [helper.make_tensor_value_info(n, TensorProto.UNDEFINED, None) for n in alone.output if n]
            graph = helper.make_graph([alone], "fold", inputs, results)
            model = helper.make_model(graph, opset_imports=self.opsets, ir_version=self.ir_version)
            self._prepared[key] = reference.ReferenceEvaluator(model)
        return self._prepared[key]


def _numbered(node: NodeProto) -> NodeProto:
    """The node with numbers for the names of its inputs and outputs; what is left out stays left out."""
    numbered = NodeProto(op_type=node.op_type, domain=node.domain, overload=node.overload, attribute=node.attribute)
    numbered.input.extend(f"input {i}" if name else "" for i, name in enumerate(node.input))
    numbered.output.extend(f"output {i}" if name else "" for i, name in enumerate(node.output))
    return numbered


def value_key(value: NDArray[Any]) -> tuple[str, tuple[int, ...], bytes]:
    """What tells a value from others, in few bytes."""
    content = np.ascontiguousarray(value).tobytes()
    return value.dtype.str, value.shape, content if len(content) <= 64 else hashlib.blake2b(content).digest()


def shape_of(node: NodeProto, shape: tuple[int, ...]) -> NDArray[Any]:
    """What a Shape or Size node yields for an input of this shape."""
    if node.op_type == "Size":
        return np.array(math.prod(shape), np.int64)
    span = {a.name: a.i for a in node.attribute}
    return np.array(shape[span.get("start", 0) : span.get("end")], np.int64)
