"""Whole files of every format, small: what damage starts from."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from instances import broadcast_mask, residual_block

from learned.policy.features import FIXED_NAMES
from learned.policy.network import initial_parameters
from learned.policy.policy import INPUTS, OUTPUTS, Policy, save_arrays
from partition import Graph, GraphBuilder, load_hardware, load_model
from partition.problem.hardware_toml import to_toml
from partition.problem.placement import Placement
from partition.split import split_model

HARDWARE = ("ring3", "chain2", "mesh2x2", "biring3:transfers=serial", "crossbar3", "ring36")
EXTERNAL = "weights.bin"
"""Name of the file with the weights of one of the models; it holds 4 kB."""


@cache
def native_texts() -> list[bytes]:
    """Graphs in the project's own JSON."""
    b = GraphBuilder("everything")
    b.operation("x", "Input", outputs={"x": 64})
    b.operation(
        "f", "MatMul", inputs=["x"], outputs={"f": 64, "g": 8}, flops=1e6, weights={"own": 64, "W": 128}, group="a"
    )
    b.operation("h", "MatMul", inputs=["f"], outputs={"h": 64}, flops=1e6, weights={"W": 128}, times={"edge": 1e-5})
    b.operation(
        "back", "Grad", inputs=["h", "g"], outputs={"d": 8}, flops=2e6, group="a", backward=True, times={"npu": 3.0}
    )
    b.operation("out", "Odd", inputs=["d"], flops=5.0, unknown=True)
    graphs = [b.build(), residual_block(), broadcast_mask()]
    least = {
        "operations": [{"name": "a"}, {"name": "b"}],
        "tensors": [{"producer": "a", "bytes": 1, "consumers": ["b"]}],
    }
    return [graph.to_json().encode() for graph in graphs] + [json.dumps(least).encode()]


@cache
def placement_texts() -> list[bytes]:
    """Device-placement files: inference on accelerators, training with CPUs."""
    nodes: list[dict[str, Any]] = [
        {
            "id": i,
            "supportedOnFpga": 1,
            "cpuLatency": 9.0,
            "fpgaLatency": 1.0 + i,
            "isBackwardNode": int(i > 2),
            "size": 10.0,
            "name": f"n{i}",
        }
        for i in range(5)
    ]
    edges = [{"sourceId": i, "destId": i + 1, "cost": 0.5 * i, "size": 1} for i in range(4)]
    plain = {"maxFPGAs": 2, "maxCPUs": 0, "maxSizePerFPGA": 40.0, "nodes": nodes[:3], "edges": edges[:2]}
    colours = [{**node, "colorClass": i % 3} for i, node in enumerate(nodes)]
    return [json.dumps(data).encode() for data in (plain, {**plain, "maxCPUs": 1, "nodes": colours, "edges": edges})]


@cache
def hardware_texts() -> list[bytes]:
    """Packages as TOML, one of mixed chips."""
    mixed = """name = "mixed"
[[chips]]
kind = "npu"
count = 2
[[chips]]
kind = "edge"
[chip_kinds.npu]
peak_flops = 1e12
sram_bytes = 1e9
unsupported = ["Odd"]
[chip_kinds.edge]
peak_flops = inf
op_overhead_s = 1e-6
free_transfers = true
[interconnect]
topology = "ring"
link_bandwidth = 1e9
[rules]
triangle = false
dynamic_memory = true
"""
    return [to_toml(load_hardware(name)).encode() for name in HARDWARE] + [mixed.encode()]


@cache
def graph_of_answers() -> Graph:
    """The graph that times, results and packages are used with: of the ONNX model that answers are for."""
    return load_model(str(answer_model())).graph


@cache
def answer_model() -> Path:
    """An ONNX file that stays as long as the process."""
    path = Path(tempfile.mkdtemp(prefix="hostile-")) / "model.onnx"
    path.write_bytes(_perceptron())
    return path


def _placement(graph: Graph) -> Placement:
    chips = np.empty(graph.n, dtype=np.int64)
    chips[graph.topological_order] = np.minimum(np.arange(graph.n) * 3 // graph.n, 2)
    return Placement(chips)


@cache
def answers() -> list[bytes]:
    """What a solve writes, what only names chips, and one for a mesh with places."""
    graph = graph_of_answers()
    assignment = dict(zip(graph.names, _placement(graph).assignment.tolist(), strict=True))
    full = {
        "model": graph.name,
        "fingerprint": graph.fingerprint,
        "chips": 3,
        "kinds": ["edge"] * 3,
        "positions": [],
        "assignment": assignment,
        "replicas": {graph.names[0]: [1]},
        "relays": [[graph.tensor_names[0], 1]],
        "period": 1.0,
    }
    mesh = {**full, "chips": 4, "kinds": ["edge"] * 4, "positions": [3, 1, 0, 2], "replicas": {}, "relays": []}
    plain = {**full, "replicas": {}, "relays": []}
    return [json.dumps(data).encode() for data in (full, plain, mesh, assignment)]


@cache
def csv_times() -> list[bytes]:
    """Times of operations in two kinds of CSV."""
    names = graph_of_answers().names
    return [
        "\n".join(["operation,seconds", *(f'"{name}",{1e-5 * i}' for i, name in enumerate(names, 1))]).encode(),
        "\n".join(["operation,edge", *(f"{name},{i}e-6" for i, name in enumerate(names[1:], 1))]).encode(),
    ]


@cache
def json_times() -> list[bytes]:
    """Times of operations in JSON."""
    names = graph_of_answers().names
    return [
        json.dumps(dict.fromkeys(names, 1e-05)).encode(),
        json.dumps({n: {"edge": 2e-5, "seconds": 1e-5} for n in names}).encode(),
    ]


@cache
def policies() -> list[bytes]:
    """A small policy, with calibration and without."""
    rng = np.random.default_rng(0)
    ones = np.ones(len(FIXED_NAMES), dtype=np.float32)
    policy = Policy(initial_parameters(INPUTS, (3,), OUTPUTS, rng), 0 * ones, ones, "small")
    line = np.linspace(0, 1, 5, dtype=np.float32)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for calibration in (policy.calibration, np.stack([line, line])):
            path = Path(folder) / "policy.npz"
            save_arrays(path, policy.saved() | {"calibration": calibration})
            found.append(path.read_bytes())
    return found


@cache
def manifests() -> list[bytes]:
    """What split writes."""
    with tempfile.TemporaryDirectory() as folder:
        split_model(answer_model(), _placement(graph_of_answers()), Path(folder) / "parts")
        return [(Path(folder) / "parts" / "manifest.json").read_bytes()]


# --- ONNX -----------------------------------------------------------------------------------------------------------


@cache
def models() -> list[bytes]:
    """Products, convolutions, shapes, bodies, functions, weights beside the model, recurrence, ONNX Runtime's own."""
    return [
        _perceptron("batch"),
        _convolution(),
        _shapes(),
        _bodies(),
        _functions(),
        _outside(),
        _recurrent(),
        _contributed(),
    ]


def _model(
    nodes: list[Any], inputs: dict[str, list[Any]], outputs: list[str], weights: dict[str, Any], **more: Any
) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(w), name) for name, w in weights.items()],
    )
    opsets = [helper.make_opsetid("", 18), *more.pop("opsets", [])]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9, **more).SerializeToString())


def _node(op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> Any:
    from onnx import helper

    return helper.make_node(op, inputs, outputs, name=outputs[0] + "_op", **attributes)


def _ones(*shape: int) -> Any:
    return np.ones(shape, dtype=np.float32)


def _perceptron(rows: str | int = 2) -> bytes:
    nodes = [
        _node("MatMul", ["x", "w"], ["a"]),
        _node("Add", ["a", "b"], ["c"]),
        _node("Relu", ["c"], ["d"]),
        _node("MatMul", ["d", "w"], ["e"]),
        _node("Softmax", ["e"], ["y"]),
    ]
    return _model(nodes, {"x": [rows, 4]}, ["y"], {"w": _ones(4, 4), "b": _ones(4)})


def _convolution() -> bytes:
    nodes = [
        _node("Conv", ["x", "k"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        _node("MaxPool", ["a"], ["b"], kernel_shape=[2, 2]),
        _node("BatchNormalization", ["b", "s", "s", "s", "s"], ["c"]),
        _node("GlobalAveragePool", ["c"], ["d"]),
        _node("Flatten", ["d"], ["e"]),
        _node("Gemm", ["e", "w"], ["y"], alpha=0.5, transB=1),
    ]
    return _model(nodes, {"x": ["batch", 3, 8, 8]}, ["y"], {"k": _ones(4, 3, 3, 3), "s": _ones(4), "w": _ones(5, 4)})


def _shapes() -> bytes:
    from onnx import numpy_helper

    nodes = [
        _node("Shape", ["x"], ["s"]),
        _node("Constant", [], ["zero"], value=numpy_helper.from_array(np.array([0]))),
        _node("Gather", ["s", "zero"], ["n"]),
        _node("Concat", ["n", "rest"], ["t"], axis=0),
        _node("Reshape", ["x", "t"], ["a"]),
        _node("Unsqueeze", ["a", "zero"], ["u"]),
        _node("Squeeze", ["u", "zero"], ["v"]),
        _node("Constant", [], ["c"], value_ints=[1, 2]),
        _node("ConstantOfShape", ["t"], ["z"]),
        _node("Expand", ["z", "t"], ["e"]),
        _node("Where", ["m", "v", "e"], ["w"]),
        _node("NonZero", ["w"], ["nz"]),
        _node("Slice", ["w", "zero", "one"], ["p"]),
        _node("Tile", ["p", "c"], ["q"]),
        _node("Range", ["r0", "r1", "r2"], ["r"]),
        _node("Cast", ["q"], ["y"], to=1),
        _node("Split", ["y"], ["y1", "y2"], num_outputs=2),
        _node("Resize", ["x4", "", "scales"], ["big"]),
        _node("Pad", ["y", "pads"], ["padded"]),
        _node("TopK", ["y", "one"], ["top", "at"]),
        _node("Einsum", ["a", "a"], ["dots"], equation="ij,kj->ik"),
        _node("Loop", ["trips", "", "y"], ["l"], body=_body()),
    ]
    weights = {
        "rest": np.array([8]),
        "m": np.array(True),
        "one": np.array([1]),
        "r0": np.array(0),
        "r1": np.array(9),
        "r2": np.array(2),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "pads": np.array([0, 1, 0, 1]),
        "trips": np.array(3),
    }
    return _model(nodes, {"x": ["batch", 8], "x4": [1, 1, 2, 2]}, ["padded", "big", "nz", "r", "dots", "l"], weights)


def _body() -> Any:
    from onnx import TensorProto, helper

    info = helper.make_tensor_value_info
    return helper.make_graph(
        [_node("Identity", ["go"], ["on"]), _node("Relu", ["state"], ["next"])],
        "body",
        [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("state", TensorProto.FLOAT, None)],
        [info("on", TensorProto.BOOL, []), info("next", TensorProto.FLOAT, None)],
    )


def _bodies() -> bytes:
    from onnx import TensorProto, helper

    info = helper.make_tensor_value_info
    branches = [
        helper.make_graph([_node(op, ["a", "w"], ["r"])], op, [], [info("r", TensorProto.FLOAT, None)])
        for op in ("Add", "Mul")
    ]
    nested = helper.make_graph(
        [_node("If", ["flag"], ["r"], then_branch=branches[0], else_branch=branches[1])],
        "n",
        [],
        [info("r", TensorProto.FLOAT, None)],
    )
    scan = helper.make_graph(
        [_node("Add", ["s", "v"], ["t"]), _node("Relu", ["t"], ["o"])],
        "scan",
        [info("s", TensorProto.FLOAT, None), info("v", TensorProto.FLOAT, None)],
        [info("t", TensorProto.FLOAT, None), info("o", TensorProto.FLOAT, None)],
    )
    nodes = [
        _node("Relu", ["x"], ["a"]),
        _node("ReduceMax", ["x"], ["top"]),
        _node("Cast", ["top"], ["flag"], to=TensorProto.BOOL),
        _node("If", ["flag"], ["b"], then_branch=nested, else_branch=branches[1]),
        _node("Scan", ["w", "b"], ["last", "y"], body=scan, num_scan_inputs=1),
    ]
    return _model(nodes, {"x": ["batch", 4]}, ["last", "y"], {"w": _ones(4)})


def _functions() -> bytes:
    from onnx import helper

    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    inner = helper.make_function("own", "Inner", ["a"], ["b"], [_node("Relu", ["a"], ["b"])], opsets)
    outer = helper.make_function(
        "own",
        "Outer",
        ["a"],
        ["c"],
        [
            helper.make_node("Inner", ["a"], ["b"], domain="own"),
            helper.make_node("Inner", ["b"], ["c"], domain="own"),
        ],
        opsets,
    )
    nodes = [
        helper.make_node("Outer", ["x"], ["h"], domain="own"),
        helper.make_node("Unheard", ["h"], ["y"], domain="strange"),
    ]
    strange = [helper.make_opsetid("own", 1), helper.make_opsetid("strange", 1)]
    return _model(nodes, {"x": ["batch", 4]}, ["y"], {}, functions=[inner, outer], opsets=strange)


def _outside() -> bytes:
    from onnx import ModelProto, TensorProto

    model = ModelProto.FromString(_perceptron("batch"))
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", EXTERNAL), ("offset", "0"), ("length", "64")):
        weight.external_data.add(key=key, value=value)
    sparse = model.graph.sparse_initializer.add(dims=[4, 4])
    sparse.values.CopyFrom(TensorProto(name="sparse", dims=[1], data_type=TensorProto.FLOAT, float_data=[1.0]))
    sparse.indices.CopyFrom(TensorProto(name="", dims=[1], data_type=TensorProto.INT64, int64_data=[3]))
    model.graph.node.append(_node("MatMul", ["y", "sparse"], ["z"]))
    return bytes(model.SerializeToString())


def _recurrent() -> bytes:
    nodes = [
        _node("LSTM", ["x", "w", "r"], ["h", "last", "cell"], hidden_size=5),
        _node("Squeeze", ["last"], ["l"]),
        _node("LayerNormalization", ["l", "g"], ["n"]),
        _node("Dropout", ["n"], ["y", "mask"]),
    ]
    return _model(nodes, {"x": [6, "batch", 4]}, ["y"], {"w": _ones(1, 20, 4), "r": _ones(1, 20, 5), "g": _ones(5)})


def _contributed() -> bytes:
    from onnx import helper

    nodes = [
        helper.make_node("FusedMatMul", ["x", "w"], ["a"], domain="com.microsoft", transB=1),
        helper.make_node("Gelu", ["a"], ["b"], domain="com.microsoft"),
        helper.make_node("MultiHeadAttention", ["b", "b", "b"], ["c"], domain="com.microsoft", num_heads=2),
        helper.make_node("SkipLayerNormalization", ["c", "b", "g"], ["y"], domain="com.microsoft"),
    ]
    return _model(
        nodes,
        {"x": ["batch", 3, 4]},
        ["y"],
        {"w": _ones(4, 4), "g": _ones(4)},
        opsets=[helper.make_opsetid("com.microsoft", 1)],
    )


def outside_weights() -> bytes:
    """What the file beside one of the models holds."""
    return np.ones(1024, dtype=np.float32).tobytes()
