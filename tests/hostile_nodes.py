"""Models of a single odd operation: any operator of any version, with operands and attributes that need not fit."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from mutations import INTS, TEXTS, Rng, pick

_SMALL = (-3, -2, -1, 0, 1, 2, 3, 4, 5)


@cache
def _schemas() -> list[Any]:
    from onnx import defs

    found = [s for s in defs.get_all_schemas_with_history() if s.domain == ""]
    return sorted(found, key=lambda s: (s.name, s.since_version))


def odd_node(rng: Rng) -> bytes:
    """A serialised model."""
    from onnx import TensorProto, helper, numpy_helper

    schema = pick(rng, _schemas())
    operands = int(rng.integers(0, min(schema.max_input, 6) + 2))
    results = int(rng.integers(0, min(schema.max_output, 4) + 2))
    inputs, weights = [], []
    kinds = (TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING)
    for i in range(operands):
        shape = [int(pick(rng, (0, 1, 2, 3, 4, 5, 8))) for _ in range(int(rng.integers(0, 6)))]
        if rng.random() < 0.35:
            flat = rng.integers(-3, 6, shape[:1]) if rng.random() < 0.7 else np.array([pick(rng, INTS[:14])])
            typed = pick(rng, (np.int64, np.int64, np.int32, np.float32, np.bool_))
            weights.append(numpy_helper.from_array(flat.astype(typed), f"i{i}"))
        else:
            inputs.append(helper.make_tensor_value_info(f"i{i}", pick(rng, kinds), shape))
    names = [f"i{i}" if rng.random() < 0.93 else "" for i in range(operands)]
    node = helper.make_node(schema.name, names, [f"o{i}" for i in range(results)], name="odd")
    for name, attribute in sorted(schema.attributes.items()):
        if rng.random() < (0.9 if attribute.required else 0.5):
            value = _attribute(rng, int(attribute.type.value) if rng.random() < 0.95 else int(rng.integers(1, 9)))
            if value is not None:
                node.attribute.append(helper.make_attribute(name, value))
    outputs = [helper.make_tensor_value_info(f"o{i}", TensorProto.FLOAT, None) for i in range(results)]
    graph = helper.make_graph([node], "odd", inputs, outputs, weights)
    version = schema.since_version if rng.random() < 0.7 else int(rng.integers(1, 25))
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)]).SerializeToString())


def _attribute(rng: Rng, kind: int) -> Any:
    from onnx import AttributeProto, TensorProto, helper

    number = int(pick(rng, _SMALL if rng.random() < 0.8 else [n for n in INTS if -(2**63) <= n < 2**63]))
    match kind:
        case AttributeProto.INT:
            return number
        case AttributeProto.FLOAT:
            return float(pick(rng, (0.0, 0.5, 1.0, -1.0, 1e30, float("nan"), float("inf"))))
        case AttributeProto.STRING:
            known = (
                "SAME_UPPER",
                "SAME_LOWER",
                "VALID",
                "NOTSET",
                "linear",
                "nearest",
                "cubic",
                "ij,jk->ik",
                "...i,i->",
                "bidirectional",
                "reverse",
                "forward",
                "sum",
                "mean",
                "DCR",
                "CRD",
                "edge",
                "wrap",
            )
            if rng.random() < 0.2:
                return "".join(str(pick(rng, "ij.,-> A@0\u00e9")) for _ in range(int(rng.integers(0, 8))))
            return str(pick(rng, known if rng.random() < 0.8 else TEXTS))
        case AttributeProto.INTS:
            return [int(pick(rng, _SMALL)) for _ in range(int(rng.integers(1, 6)))] if rng.random() < 0.9 else [number]
        case AttributeProto.FLOATS:
            return [float(pick(rng, (0.0, 0.5, 1.0, 2.0, -1.0, 1e30))) for _ in range(int(rng.integers(1, 6)))]
        case AttributeProto.STRINGS:
            return [str(pick(rng, TEXTS)) for _ in range(int(rng.integers(1, 4)))]
        case AttributeProto.TENSOR:
            size = int(rng.integers(0, 4))
            return helper.make_tensor("t", pick(rng, (TensorProto.FLOAT, TensorProto.INT64)), [size], [1] * size)
        case AttributeProto.GRAPH:
            info = helper.make_tensor_value_info
            inner = helper.make_node(pick(rng, ("Relu", "Add", "Identity", "Concat")), ["a", "a"], ["b"])
            count = int(rng.integers(0, 4))
            ends = [info(name, TensorProto.FLOAT, None) for name in ("a", "c", "d")]
            return helper.make_graph(
                [inner], "body", ends[:count], [info("b", TensorProto.FLOAT, None)] * max(1, count - 1)
            )
    return None
