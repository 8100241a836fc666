"""Reading ONNX models: what becomes an operation, a tensor, a weight; what is refused, and with which words."""

import os
import resource
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from partition.errors import InvalidGraph, InvalidInput, InvalidModelFile
from partition.problem.graph import Graph
from partition.problem.operators import covered_operators
from partition.readers.onnx.model import read_onnx

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
FLOAT = TensorProto.FLOAT


def parsed(body: str, opset: int = 18, others: str = "") -> onnx.ModelProto:
    """A model in ONNX's text form; what it declares in ``<...>`` without a value is a weight of zeros."""
    model = parser.parse_model(f'<ir_version: 9, opset_import: ["" : {opset}{others}]>\n{textwrap.dedent(body)}')
    for value in model.graph.value_info:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        model.graph.initializer.append(numpy_helper.from_array(np.zeros(shape, np.float32), value.name))
    del model.graph.value_info[:]
    return model


def flops_of(graph: Graph, name: str) -> float:
    return float(graph.flops[graph.index[name]])


def bytes_of(graph: Graph, tensor: str) -> float:
    return float(graph.tensor_bytes[graph.tensor_names.index(tensor)])


def inputs_of(graph: Graph, name: str) -> set[str]:
    v = graph.index[name]
    return {graph.tensor_names[t] for t in graph.edge_tensor[graph.consumers == v]}


def total_weights(graph: Graph) -> float:
    return float(graph.weights.sum() + graph.shared_bytes.sum())


def linear(shape: tuple[int | str, ...] = (2, 8)) -> onnx.ModelProto:
    """y = relu(x W), W (8, 4) given as raw data."""
    nodes = [helper.make_node("MatMul", ["x", "W"], ["h"], "fc"), helper.make_node("Relu", ["h"], ["y"], "act")]
    return helper.make_model(
        helper.make_graph(
            nodes,
            "linear",
            [helper.make_tensor_value_info("x", FLOAT, shape)],
            [helper.make_tensor_value_info("y", FLOAT, None)],
            [numpy_helper.from_array(np.ones((8, 4), np.float32), "W")],
        )
    )


def with_external_weight(folder: Path, *, rows: int = 8, location: str = "weights.bin", offset: int = 0) -> Path:
    """The model of :func:`linear` with W (rows, 4) in an external file, which is not written."""
    model = linear((2, rows))
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.dims[0] = rows
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(rows * 16))):
        weight.external_data.add(key=key, value=value)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


# --- Operations, tensors, weights ---------------------------------------------------------------------------------


def test_nodes_and_inputs_become_operations_and_initializers_weights() -> None:
    graph = read_onnx(linear())
    assert (graph.names, graph.op_types) == (("x", "fc", "act"), ("Input", "MatMul", "Relu"))
    assert graph.flops.tolist() == [0, 2 * 2 * 8 * 4, 8]
    assert graph.weights.tolist() == [0, 8 * 4 * 4, 0]
    assert dict(zip(graph.tensor_names, graph.tensor_bytes, strict=True)) == {"x": 64, "h": 32, "y": 32}
    assert graph.bytes_accessed.tolist() == [0, 64 + 128 + 32, 32 + 32]
    assert graph.unknown_operators == ()


def test_path_bytes_and_model_read_alike(tmp_path: Path) -> None:
    model = linear()
    path = tmp_path / "tiny.onnx"
    path.write_bytes(model.SerializeToString())
    before = model.SerializeToString()
    graphs = [read_onnx(str(path)), read_onnx(path), read_onnx(before), read_onnx(model)]
    assert [graph.name for graph in graphs] == ["tiny", "tiny", "linear", "linear"]
    assert all(graph.flops.tolist() == graphs[0].flops.tolist() for graph in graphs)
    assert model.SerializeToString() == before
    assert Graph.from_onnx(str(path)).names == graphs[0].names


def test_a_weight_of_several_operations_is_shared_and_counted_once() -> None:
    graph = read_onnx(
        parsed("""
        g (float[2,8] x) => (float[2,8] y) <float[8,8] W> {
          a = MatMul(x, W)
          b = Relu(a)
          y = MatMul(b, W)
        }""")
    )
    assert (graph.shared_names, graph.shared_bytes.tolist()) == (("W",), [256])
    assert [graph.names[v] for v in graph.shared_users] == ["MatMul_0", "MatMul_2"]
    assert graph.weights.sum() == 0


def test_constant_nodes_and_views_of_constants_are_weights_not_operations() -> None:
    graph = read_onnx(
        parsed("""
        g (float[4,2] x) => (float[4,2] y, float[4,2] z) {
          c = Constant<value = float[2] {1.0, 2.0}>()
          same = Identity(c)
          axes = Constant<value_ints = [0]>()
          row = Unsqueeze(same, axes)
          shape = Constant<value = int64[2] {1, 2}>()
          filled = ConstantOfShape<value = float[1] {0.5}>(shape)
          y = Add(x, row)
          s = Mul(x, filled)
          z = Sub(s, c)
        }""")
    )
    assert graph.op_types == ("Input", "Add", "Mul", "Sub")
    assert graph.weights[graph.index["Mul_7"]] == 8
    assert graph.shared_bytes.tolist() == [8]  # c, also seen as `row`
    assert [graph.names[v] for v in graph.shared_users] == ["Add_6", "Sub_8"]


def test_initializers_listed_as_inputs_are_not_inputs() -> None:
    model = linear()
    model.ir_version = 3
    model.graph.input.append(helper.make_tensor_value_info("W", FLOAT, (8, 4)))
    assert read_onnx(model).names == ("x", "fc", "act")


@pytest.mark.parametrize(
    ("data_type", "expected"),
    [(TensorProto.INT4, 16), (TensorProto.FLOAT16, 64), (TensorProto.INT8, 32), (TensorProto.DOUBLE, 256)],
)
def test_weights_have_the_bytes_of_their_type(data_type: int, expected: float) -> None:
    weight = helper.make_tensor("W", data_type, (8, 4), [1] * 32)
    node = helper.make_node("CastLike", ["x", "W"], ["y"], "cast")
    ends = [helper.make_tensor_value_info(name, kind, (8, 4)) for name, kind in (("x", FLOAT), ("y", data_type))]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [weight])
    assert read_onnx(helper.make_model(graph)).weights.tolist() == [0, expected]


def test_a_sparse_weight_takes_its_values_and_indices() -> None:
    model = linear()
    del model.graph.initializer[:]
    values = numpy_helper.from_array(np.ones(3, np.float32), "W")
    indices = numpy_helper.from_array(np.array([0, 5, 9]), "W_indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [8, 4]))
    graph = read_onnx(model)
    assert graph.weights[graph.index["fc"]] == 3 * 4 + 3 * 8
    assert flops_of(graph, "fc") == 2 * 2 * 8 * 4


def test_names_are_unique_and_deterministic() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"], "Relu_0"),
        helper.make_node("Relu", ["b"], ["c"], "twice"),
        helper.make_node("Relu", ["c"], ["d"], "twice"),
        helper.make_node("Relu", ["d"], ["y"], "x"),
    ]
    info = [helper.make_tensor_value_info(name, FLOAT, (2,)) for name in "xy"]
    model = helper.make_model(helper.make_graph(nodes, "g", info[:1], info[1:]))
    names = read_onnx(model).names
    assert names == ("x", "Relu_0_1", "Relu_0", "twice", "twice_1", "x_1")
    assert read_onnx(model).names == names


def test_unused_optional_outputs_and_absent_inputs_are_skipped() -> None:
    graph = read_onnx(
        parsed("""
        g (float[2,8] x) => (float[2,3] top) {
          k = Constant<value = int64[1] {3}>()
          top, where = TopK(x, k)
          free, mask = Dropout(x)
          low = Constant<value = float {0.0}>()
          c = Clip(x, , low)
        }""")
    )
    assert graph.op_types == ("Input", "TopK", "Dropout", "Clip")
    assert set(graph.tensor_names) == {"x", "top", "where", "free", "mask", "c"}
    assert set(graph.consumers.tolist()) == {1, 2, 3}
    assert bytes_of(graph, "where") == 2 * 3 * 8


# --- Architectures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "gflops", "million_parameters"),
    [  # multiply-adds (x 2) and parameters as published with the architectures
        ("resnet50", 8.2, 25.6),
        ("vgg19", 39.3, 143.7),
        ("densenet121", 5.7, 8.0),
        ("squeezenet", 0.7, 1.24),
        ("inception_v1", 2.9, 7.0),
        ("inception_v2", 4.06, 11.2),
        ("bvlc_alexnet", 1.34, 61.0),
    ],
)
def test_known_architectures_have_their_published_size(name: str, gflops: float, million_parameters: float) -> None:
    graph = read_onnx(LIGHT / f"light_{name}.onnx")
    assert graph.flops.sum() / 1e9 == pytest.approx(gflops, rel=0.03)
    assert total_weights(graph) / 4e6 == pytest.approx(million_parameters, rel=0.03)
    assert graph.unknown_operators == ()
    assert list(graph.op_types).count("Input") == 1


@pytest.mark.parametrize("path", sorted(LIGHT.glob("*.onnx")), ids=lambda path: path.stem)
def test_every_light_model_keeps_each_node_that_computes(path: Path) -> None:
    nodes = Counter(node.op_type for node in onnx.load(path).graph.node)
    graph = read_onnx(path)
    kept = Counter(graph.op_types)
    assert kept.pop("Input") == 1
    for views in ("Unsqueeze", "Reshape"):  # those of weights become weights
        assert kept.pop(views, 0) <= nodes.pop(views, 0)
    del nodes["ConstantOfShape"]
    assert kept == nodes
    assert graph.unknown_operators == ()


ENCODER_LAYER = """
    g (float[batch,seq,64] x, float[batch,1,1,seq] mask) => (float[batch,seq,64] y)
      <float[64,64] Wq, float[64,64] Wk, float[64,64] Wv, float[64,64] Wo, float[64,256] W1, float[256,64] W2,
       float[64] gain, float[64] bias, float root> {
      heads = Constant<value = int64[4] {0, 0, 4, 16}>()
      q0 = MatMul(x, Wq)
      q1 = Reshape(q0, heads)
      q = Transpose<perm = [0, 2, 1, 3]>(q1)
      k0 = MatMul(x, Wk)
      k1 = Reshape(k0, heads)
      k = Transpose<perm = [0, 2, 3, 1]>(k1)
      v0 = MatMul(x, Wv)
      v1 = Reshape(v0, heads)
      v = Transpose<perm = [0, 2, 1, 3]>(v1)
      s0 = MatMul(q, k)
      s1 = Div(s0, root)
      s2 = Add(s1, mask)
      p = Softmax<axis = -1>(s2)
      c0 = MatMul(p, v)
      c1 = Transpose<perm = [0, 2, 1, 3]>(c0)
      joined = Constant<value = int64[3] {0, 0, 64}>()
      c2 = Reshape(c1, joined)
      o = MatMul(c2, Wo)
      r = Add(o, x)
      n = LayerNormalization<axis = -1>(r, gain, bias)
      f0 = MatMul(n, W1)
      f1 = Gelu(f0)
      f2 = MatMul(f1, W2)
      y = Add(f2, n)
    }"""


def test_a_transformer_layer_costs_its_products() -> None:
    batch, seq = 2, 32
    graph = read_onnx(parsed(ENCODER_LAYER, opset=20), dims={"batch": batch, "seq": seq})
    products = sum(f for f, kind in zip(graph.flops, graph.op_types, strict=True) if kind == "MatMul")
    assert products == 2 * batch * seq * (4 * 64 * 64 + 2 * 64 * 256 + 2 * seq * 64)
    assert graph.flops.sum() < 1.2 * products
    assert graph.unknown_operators == ()
    assert bytes_of(graph, "s0") == 4 * batch * 4 * seq * seq
    assert total_weights(graph) == 4 * (4 * 64 * 64 + 2 * 64 * 256 + 64 + 64 + 1) + 8 * 4 + 8 * 3


def test_an_lstm_keeps_its_weights_and_skips_its_absent_inputs() -> None:
    graph = read_onnx(
        parsed("""
        g (float[12,3,16] x, float[1,3,32] h0) => (float[12,1,3,32] y, float[1,3,32] h)
          <float[1,128,16] W, float[1,128,32] R> {
          y, h, c = LSTM<hidden_size = 32>(x, W, R, , , h0)
        }""")
    )
    assert graph.op_types == ("Input", "Input", "LSTM")
    assert flops_of(graph, "LSTM_0") >= 2 * 12 * 3 * 128 * (16 + 32)
    assert graph.weights[graph.index["LSTM_0"]] == 4 * 128 * (16 + 32)
    assert inputs_of(graph, "LSTM_0") == {"x", "h0"}


def test_functions_of_the_model_are_inlined() -> None:
    model = parsed(
        "g (float[2,8] x) => (float[2,4] y) <float[8,4] W> { y = local.dense(x, W) }", others=', "local" : 1'
    )
    dense = """<domain: "local", opset_import: ["" : 18]> dense (a, w) => (out) { h = MatMul(a, w) out = Relu(h) }"""
    model.functions.append(parser.parse_function(dense))
    graph = read_onnx(model)
    assert graph.op_types == ("Input", "MatMul", "Relu")
    assert graph.weights[1] == 128
    assert graph.unknown_operators == ()


# --- If, Loop, Scan -----------------------------------------------------------------------------------------------


def test_an_if_costs_its_dearer_branch_and_holds_the_weights_of_both() -> None:
    graph = read_onnx(
        parsed("""
        g (float[2,8] x, bool c) => (float[2,8] z) <float[8,8] W> {
          y = Relu(x)
          z = If(c) <
            then_branch = cheap () => (float[2,8] a) { b = Constant<value = float {1.0}>() a = Add(y, b) },
            else_branch = dear () => (float[2,8] a) { b = Constant<value = float {1.0}>() h = MatMul(y, W)
                                                       a = Mul(h, b) }
          >
        }""")
    )
    assert graph.op_types == ("Input", "Input", "Relu", "If")
    assert inputs_of(graph, "If_1") == {"y", "c"}
    assert flops_of(graph, "If_1") == 2 * 2 * 8 * 8 + 16
    assert graph.weights[graph.index["If_1"]] == 256 + 4 + 4
    assert bytes_of(graph, "z") == 64
    assert graph.unknown_operators == ()


LOOP = """
    g (float[2,8] x, float[8] bias) => (float[2,8] y, float[3,2,8] all) <float[8,8] W, bool go = {1}> {
      COUNT
      y, all = Loop(count, go, x) <
        body = step (int64 i, bool on, float[2,8] state) => (bool on_out, float[2,8] out, float[2,8] trace) {
          on_out = Identity(on)
          h = MatMul(state, W)
          out = Add(h, bias)
          trace = Identity(out)
        }
      >
    }"""


def test_a_loop_costs_its_body_for_every_iteration() -> None:
    graph = read_onnx(parsed(LOOP.replace("COUNT", "count = Constant<value = int64 {3}>()")))
    assert "Loop" in graph.op_types
    loop = graph.names[graph.op_types.index("Loop")]
    assert flops_of(graph, loop) == 3 * (2 * 2 * 8 * 8 + 16)
    assert inputs_of(graph, loop) == {"x", "bias"}
    assert graph.weights[graph.index[loop]] == 8 * 8 * 4 + 1 + 8
    assert bytes_of(graph, "all") == 3 * 2 * 8 * 4


def test_a_trip_count_computed_from_shapes_is_found() -> None:
    graph = read_onnx(
        parsed(
            LOOP.replace("[3,2,8]", "[2,2,8]").replace(
                "COUNT", "s = Shape(x) zero = Constant<value = int64 {0}>() count = Gather(s, zero)"
            )
        )
    )
    loop = graph.names[graph.op_types.index("Loop")]
    assert flops_of(graph, loop) == 2 * (2 * 2 * 8 * 8 + 16)


def test_a_scan_costs_its_body_for_every_slice() -> None:
    graph = read_onnx(
        parsed("""
        g (float[8] h0, float[5,8] xs) => (float[8] h, float[5,8] ys) <float[8,8] W> {
          h, ys = Scan<num_scan_inputs = 1, body = step (float[8] state, float[8] x) => (float[8] out, float[8] y) {
            m = MatMul(state, W)
            out = Add(m, x)
            y = Identity(out)
          }>(h0, xs)
        }""")
    )
    assert graph.op_types == ("Input", "Input", "Scan")
    assert flops_of(graph, "Scan_0") == 5 * (2 * 8 * 8 + 8)
    assert graph.weights[2] == 256
    assert bytes_of(graph, "ys") == 5 * 8 * 4


# --- Shapes -------------------------------------------------------------------------------------------------------


def test_shape_computations_are_followed_where_inference_stops() -> None:
    graph = read_onnx(
        parsed("""
        g (float[b,6,4] x) => (float[?,?] y, float[?,?,?] w) {
          s = Shape(x)
          two = Constant<value = int64[1] {2}>()
          half = Div(s, two)
          wide = Mul(half, two)
          total = ReduceProd<keepdims = 1>(wide)
          minus = Constant<value = int64[1] {-1}>()
          shape = Concat<axis = 0>(total, minus)
          y = Reshape(x, shape)
          ones = Constant<value = int64[3] {1, 1, 1}>()
          isone = Equal(s, ones)
          target = Where(isone, ones, s)
          one = ReduceMax<keepdims = 0>(x)
          w = Expand(one, target)
        }"""),
        dims={"b": 2},
    )
    assert graph.unknown_operators == ()
    assert graph.op_types == ("Input", "Reshape", "ReduceMax", "Expand")
    assert bytes_of(graph, "y") == bytes_of(graph, "w") == 2 * 6 * 4 * 4


def test_a_data_dependent_shape_is_taken_as_large_as_the_input_and_listed() -> None:
    graph = read_onnx(
        parsed("""
        g (float[4,6] x) => (float[N] y) {
          at = NonZero(x)
          turned = Transpose<perm = [1, 0]>(at)
          y = GatherND(x, turned)
        }""")
    )
    assert graph.unknown_operators == ("NonZero",)
    assert bytes_of(graph, "at") == 24 * 8
    assert bytes_of(graph, "y") == 12 * 4  # of the 24 (row, column) numbers assumed, 12 pairs


def test_operators_of_other_domains_fall_to_the_default() -> None:
    graph = read_onnx(
        parsed("g (float[4,6] x) => (float[4,6] y) { a = mine.Magic(x) y = Relu(a) }", others=', "mine" : 1')
    )
    assert graph.unknown_operators == ("mine::Magic",)
    assert (flops_of(graph, "Magic_0"), bytes_of(graph, "a"), flops_of(graph, "Relu_1")) == (24, 96, 24)


def test_fused_operators_of_onnx_runtime_keep_shapes_flowing() -> None:
    graph = read_onnx(
        parsed(
            """
            g (float[2,8,64] x) => (float[2,8,128] y)
              <float[64,192] Wqkv, float[192] Bqkv, float[64] gain, float[64,128] W> {
              a = com.microsoft.Attention<num_heads = 4>(x, Wqkv, Bqkv)
              n, , , s = com.microsoft.SkipLayerNormalization(a, x, gain)
              m = com.microsoft.FusedMatMul(n, W)
              y = com.microsoft.FastGelu(m)
            }""",
            others=', "com.microsoft" : 1',
        )
    )
    assert graph.unknown_operators == ()
    assert (bytes_of(graph, "s"), bytes_of(graph, "y")) == (2 * 8 * 64 * 4, 2 * 8 * 128 * 4)
    assert flops_of(graph, "FusedMatMul_2") == 2 * 2 * 8 * 64 * 128


# --- Symbolic dimensions ------------------------------------------------------------------------------------------


def test_dimensions_scale_the_costs() -> None:
    small, large = (read_onnx(linear(("batch", 8)), dims={"batch": b}) for b in (1, 5))
    assert np.array_equal(large.flops, 5 * small.flops)
    assert np.array_equal(large.tensor_bytes, 5 * small.tensor_bytes)
    assert np.array_equal(large.weights, small.weights)


def test_an_unset_dimension_is_named_with_its_input_and_how_to_set_it() -> None:
    with pytest.raises(
        InvalidInput, match=r"dimension 'batch' of input 'x' \(batch, 8\) has no value; .*--dim batch=1$"
    ):
        read_onnx(linear(("batch", 8)))
    with pytest.raises(InvalidInput, match=r"'seq' of input 'x' \(batch, seq, \d+\) has no value; .*--dim seq=128$"):
        read_onnx(parsed(ENCODER_LAYER, opset=20), dims={"batch": 1})


def test_a_dimension_that_a_shell_would_expand_is_quoted() -> None:
    with pytest.raises(InvalidInput, match=r"--dim 'b\*c \$d=\d+'$"):
        read_onnx(linear(("b*c $d", 8)))


@pytest.mark.parametrize("name", ["?", "-1", "*"])
def test_marks_name_no_dimension(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"dimension 'x\.0' of input 'x'"):
        read_onnx(linear((name, 8)))
    assert read_onnx(linear((name, 8)), dims={"x.0": 3}).fingerprint == read_onnx(linear((3, 8))).fingerprint


def test_a_dimension_without_a_name_is_called_by_its_input_and_axis() -> None:
    model = linear(("batch", 8))
    model.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    with pytest.raises(InvalidInput, match=r"'x\.0' of input 'x'"):
        read_onnx(model)
    assert bytes_of(read_onnx(model, dims={"x.0": 3}), "x") == 3 * 8 * 4


def test_dimensions_computed_from_others_need_no_value() -> None:
    model = parsed("g (float[old,4] a, float[new,4] b, float[t] c) => (float[t,4] y) { y = Concat<axis=0>(a, b) }")
    model.graph.input[2].type.tensor_type.shape.dim[0].dim_param = "old + new"
    graph = read_onnx(model, dims={"old": 5, "new": 2})
    assert bytes_of(graph, "c") == 7 * 4
    assert bytes_of(graph, "y") == 7 * 4 * 4


def test_an_unknown_dimension_is_refused_naming_those_of_the_model() -> None:
    with pytest.raises(InvalidInput, match="no dimension 'sequence'; its symbolic dimensions are 'batch', 'seq'"):
        read_onnx(parsed(ENCODER_LAYER, opset=20), dims={"batch": 1, "seq": 8, "sequence": 8})
    with pytest.raises(InvalidInput, match="no symbolic dimensions"):
        read_onnx(linear(), dims={"batch": 1})


@pytest.mark.parametrize("value", [-3, 1.5, "8", True, 2**70])
def test_a_dimension_must_be_a_whole_number(value: object) -> None:
    with pytest.raises(InvalidInput, match=r"dimension 'batch' is set to .* integer from 0 to "):
        read_onnx(linear(("batch", 8)), dims={"batch": value})  # type: ignore[dict-item]


def test_an_input_without_a_shape_is_refused() -> None:
    model = linear()
    model.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(InvalidModelFile, match="input 'x' has no shape"):
        read_onnx(model)


# --- External data ------------------------------------------------------------------------------------------------


def test_external_weights_are_measured_not_read(tmp_path: Path) -> None:
    path = with_external_weight(tmp_path)
    (tmp_path / "weights.bin").write_bytes(b"\0" * 128)
    assert read_onnx(path).weights.tolist() == [0, 128, 0]


def test_weights_of_three_gigabytes_beside_the_model_do_not_enter_memory(tmp_path: Path) -> None:
    rows = 200_000_000
    path = with_external_weight(tmp_path, rows=rows)
    with open(tmp_path / "weights.bin", "wb") as file:
        file.truncate(rows * 16)  # sparse: takes no space
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB
    graph = read_onnx(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < rows * 16 / 1024 / 4
    assert graph.weights[graph.index["fc"]] == rows * 16
    assert flops_of(graph, "fc") == 2.0 * 2 * rows * 4


def test_missing_external_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelFile, match=r"weights file 'weights.bin' of .* is missing"):
        read_onnx(with_external_weight(tmp_path))


def test_short_external_data_is_named_with_the_weight(tmp_path: Path) -> None:
    path = with_external_weight(tmp_path, offset=64)
    (tmp_path / "weights.bin").write_bytes(b"\0" * 128)
    with pytest.raises(InvalidModelFile, match=r"'weights.bin' .* has 128 bytes, but weight 'W' ends at 192"):
        read_onnx(path)


@pytest.mark.parametrize("location", ["/etc/passwd", "../weights.bin", ""])
def test_external_data_outside_the_folder_is_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(InvalidModelFile, match="not inside the model's folder"):
        read_onnx(with_external_weight(tmp_path, location=location))


# --- Files that are not models ------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"not a model", os.urandom(2000), b"\x08\x03", b"{}"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(InvalidModelFile, match=r"broken\.onnx"):
        read_onnx(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_model_is_refused(tmp_path: Path, part: float) -> None:
    whole = (LIGHT / "light_squeezenet.onnx").read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(InvalidModelFile):
        read_onnx(path)


@pytest.mark.parametrize("name", [b"linear", b"Relu", b"act"])
def test_names_that_are_no_text_are_refused(name: bytes) -> None:
    content = linear().SerializeToString()
    with pytest.raises(InvalidModelFile, match="corrupt"):
        read_onnx(content.replace(name, b"\xff" + name[1:]))


def test_damaged_bytes_never_end_in_another_exception() -> None:
    whole = linear().SerializeToString()
    refused = 0
    for position in range(len(whole)):
        for damage in (0x00, 0x7F, 0xFF):
            try:
                read_onnx(whole[:position] + bytes([damage]) + whole[position + 1 :])
            except InvalidInput:
                refused += 1
    assert refused > len(whole)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelFile, match=r"absent\.onnx.* does not exist"):
        read_onnx(tmp_path / "absent.onnx")
    with pytest.raises(InvalidModelFile, match="not a file"):
        read_onnx(tmp_path)


def test_a_weight_with_too_little_data_is_named() -> None:
    model = linear()
    model.graph.initializer[0].raw_data = b"\0" * 100
    with pytest.raises(InvalidModelFile, match=r"weight 'W' .* holds 100 bytes, its shape needs 128"):
        read_onnx(model)


def test_a_weight_of_unknown_type_is_named() -> None:
    model = linear()
    model.graph.initializer[0].data_type = 0
    with pytest.raises(InvalidModelFile, match=r"weight 'W' .* unknown data type 0"):
        read_onnx(model)


def test_a_cycle_is_refused() -> None:
    nodes = [helper.make_node("Add", ["x", "b"], ["a"], "first"), helper.make_node("Relu", ["a"], ["b"], "second")]
    info = [helper.make_tensor_value_info(name, FLOAT, (2,)) for name in "xa"]
    model = helper.make_model(helper.make_graph(nodes, "g", info[:1], info[1:]))
    with pytest.raises(InvalidGraph, match=r"cycle of 2 operations.*'first'"):
        read_onnx(model)


def test_a_tensor_that_nobody_produces_is_named() -> None:
    model = linear()
    model.graph.node[0].input[0] = "ghost"
    with pytest.raises(InvalidInput, match="'ghost'"):
        read_onnx(model)


def test_without_onnx_installed_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "from partition.readers.onnx.model import read_onnx\n"
        "from partition.errors import InvalidInput\n"
        "try: read_onnx('model.onnx')\n"
        "except InvalidInput as error: print(error)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'onnx>=1.17'" in answer.stdout


def test_importing_the_reader_does_not_import_onnx() -> None:
    code = "import sys; import partition.readers.onnx.model; sys.exit('onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- Size and documentation ---------------------------------------------------------------------------------------


def chain_of_products(pairs: int) -> onnx.ModelProto:
    nodes = []
    for i in range(pairs):
        nodes.append(helper.make_node("MatMul", [f"t{2 * i}", f"W{i % 100}"], [f"t{2 * i + 1}"]))
        nodes.append(helper.make_node("Relu", [f"t{2 * i + 1}"], [f"t{2 * i + 2}"]))
    weights = [numpy_helper.from_array(np.ones((8, 8), np.float32), f"W{i}") for i in range(100)]
    ends = [helper.make_tensor_value_info(name, FLOAT, (2, 8)) for name in ("t0", f"t{2 * pairs}")]
    return helper.make_model(helper.make_graph(nodes, "long", ends[:1], ends[1:], weights))


def test_reading_takes_time_in_proportion_to_the_nodes() -> None:
    """Ten times the nodes take ten times the processor time; a reader that compares all pairs takes a hundred."""
    seconds = []
    for pairs in (500, 5_000):
        model = chain_of_products(pairs)
        started = time.process_time()
        graph = read_onnx(model)
        seconds.append(time.process_time() - started)
        assert (graph.n, len(graph.shared_names)) == (2 * pairs + 1, 100)
        assert graph.flops.sum() == pairs * (2 * 2 * 8 * 8 + 16)
    assert seconds[1] < 40 * seconds[0]


def test_the_documentation_lists_every_covered_operator() -> None:
    text = (Path(__file__).parents[4] / "docs" / "onnx.md").read_text()
    missing = [name for name in covered_operators() if f"`{name}`" not in text]
    assert missing == []
