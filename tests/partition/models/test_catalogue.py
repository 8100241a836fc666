"""The built-in models: as large, as costly and as connected as the literature and their exporters say."""

import time
from collections import Counter

import numpy as np
import pytest

from partition.errors import InvalidInput
from partition.models import MODELS, available, build
from partition.problem.graph import Graph

SMALL_BERT = "layers=3,hidden=32,heads=4,intermediate=64,vocab=100"


def parameters(graph: Graph, itemsize: float = 2) -> float:
    """Number of weights, shared ones once."""
    return float(graph.weights.sum() + graph.shared_bytes.sum()) / itemsize


def kinds(graph: Graph) -> Counter[str]:
    return Counter(graph.op_types)


def readers(graph: Graph, tensor: str) -> list[str]:
    t = graph.tensor_names.index(tensor)
    return [graph.names[v] for v in graph.consumers[graph.consumer_ptr[t] : graph.consumer_ptr[t + 1]]]


def producers(graph: Graph, operation: str) -> set[str]:
    into = graph.consumers == graph.index[operation]
    return {graph.names[u] for u in graph.edge_source[into]}


def depends_on(graph: Graph, source: str) -> np.ndarray:
    """(n,) bool, the operations that a path from ``source`` reaches, itself included."""
    reached = np.zeros(graph.n, dtype=bool)
    reached[graph.index[source]] = True
    successors: dict[int, list[int]] = {}
    for u, w in zip(graph.edge_source.tolist(), graph.consumers.tolist(), strict=True):
        successors.setdefault(u, []).append(w)
    for u in graph.topological_order.tolist():
        if reached[u]:
            reached[successors.get(u, [])] = True
    return reached


# --- sizes and costs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "millions"),
    [
        ("bert-base", 108.89),  # 109.48 with the pooler [Devlin et al.; Hugging Face's BertForQuestionAnswering]
        ("bert-large", 334.09),  # 335.14 with the pooler
        ("resnet50", 25.53),  # torchvision: 25.557 with scale and shift of the batch normalisations
        ("unet", 31.03),
        ("gnmt", 278),  # Shazeer et al., ICLR 2017, table 7 (its LSTMs have one bias where ONNX's have two)
        # torchvision's documentation; what is missing are scale and shift of folded batch normalisations
        ("resnet:depth=18", 11.69),
        ("resnet:depth=34", 21.80),
        ("resnet:depth=101", 44.55),
        ("resnet:depth=152", 60.19),
        ("densenet", 7.98),
        ("densenet:depth=169", 14.15),
        ("densenet:depth=201", 20.01),
        ("inception", 7.0),  # GoogLeNet without auxiliary classifiers, with 5x5 filters as in the paper
        ("mobilenet", 3.50),
        ("vgg:depth=11", 132.86),
        ("vgg", 138.36),
        ("vgg:depth=19", 143.67),
        ("vit", 86.57),
        ("gpt:seq=1024", 124.44),  # Hugging Face's GPT-2
        ("gpt:seq=1024,layers=24,hidden=1024,heads=16,kv_heads=16,intermediate=4096", 354.82),
        ("llama", 6738.4),  # Llama 2 7B
        ("llama:hidden=5120,layers=40,heads=40,kv_heads=40,intermediate=13824", 13015.9),  # 13B
        ("dlrm:rows=1000", 26 * 0.064 + 4.77),
    ],
)
def test_parameters_are_as_many_as_the_literature_gives(spec: str, millions: float) -> None:
    assert parameters(build(spec)) / 1e6 == pytest.approx(millions, rel=0.011)


@pytest.mark.parametrize(
    ("spec", "gflops"),
    [
        ("bert-base", 22.3),
        ("bert-large", 79.5),
        ("resnet50", 8.18),  # torchvision: 4.09 G multiply-adds
        ("resnet50:batch=4", 4 * 8.18),
        ("resnet:depth=18", 2 * 1.814),  # torchvision's multiply-adds, twice
        ("resnet:depth=101", 2 * 7.801),
        ("vgg", 2 * 15.47),
        ("densenet", 2 * 2.834),
        ("vit", 2 * 17.56),
    ],
)
def test_flops_are_as_known(spec: str, gflops: float) -> None:
    assert build(spec).flops.sum() / 1e9 == pytest.approx(gflops, rel=0.02)


def test_bert_layers_cost_what_their_products_cost() -> None:
    layers, hidden, inner, seq = 24, 1024, 4096, 384
    per_token = 2 * (4 * hidden * hidden + 2 * hidden * inner) + 4 * seq * hidden
    products = layers * seq * per_token + 2 * seq * hidden * 2
    graph = build(f"bert-large:seq={seq}")
    of_products = np.array([kind in ("MatMul", "Gemm") for kind in graph.op_types])
    assert graph.flops[of_products].sum() == products


def test_gnmt_costs_two_flops_per_weight_and_step_beside_attention() -> None:
    """Embeddings are looked up; everything else is multiplied with at every step, attention's energies aside."""
    graph, seq = build("gnmt:seq=20"), 20
    looked_up = 2 * 32000 * 1024
    lower = 2 * (parameters(graph) - looked_up) * seq
    assert lower * 0.99 < graph.flops.sum() < lower * 1.1


def test_unet_costs_what_its_convolutions_cost() -> None:
    size, flops = 256, 0
    widths = [64, 128, 256, 512, 1024]
    for level, width in enumerate(widths):
        pixels = (size >> level) ** 2
        below = widths[level - 1] if level else 1
        flops += 2 * pixels * 9 * (below * width + width * width)  # down
        if level < 4:
            flops += 2 * pixels * 9 * (2 * width * width + width * width)  # up, behind the concatenation
            flops += 2 * pixels * 2 * width * width  # up-convolution: each pixel comes from one
    assert build(f"unet:size={size}").flops.sum() == pytest.approx(flops + 2 * size**2 * 64 * 2, rel=0.005)


@pytest.mark.parametrize(
    ("spec", "operations"),
    [
        ("bert-large", 2135),
        ("bert-base", 12 * 87 + 47),
        ("bert-large:export=folded", 1252),
        ("bert-large:export=decomposed", 2123),
        ("bert-large:export=decomposed,dtype=float32", 2123 - 24 * 8 - 2),
        ("resnet50", 123),
        ("unet", 50),
        ("gnmt", 1515),
        ("gnmt:cells=split", 1515 + 32 * 17 * 13),
    ],
)
def test_operations_are_as_many_as_documented(spec: str, operations: int) -> None:
    assert build(spec).n == operations


def test_exports_differ_in_operators_not_in_the_model() -> None:
    dynamic, folded, decomposed = (build(f"bert-base:export={e}") for e in ("dynamic", "folded", "decomposed"))
    assert folded.flops.sum() == pytest.approx(dynamic.flops.sum(), rel=1e-6)
    assert decomposed.flops.sum() == pytest.approx(dynamic.flops.sum(), rel=3e-3)
    assert parameters(decomposed) == parameters(dynamic)
    # Folding leaves only the rows of the position table (and no ids) that are used: 128 of 512.
    assert parameters(dynamic) - parameters(folded) == (512 - 128) * 768 + 512 * 8 / 2


def test_resnet50_has_the_operators_of_its_export() -> None:
    assert kinds(build("resnet50")) == {
        "Input": 1, "Conv": 53, "Relu": 49, "Add": 16, "MaxPool": 1, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1,
    }  # fmt: skip


@pytest.mark.parametrize("spec", [*MODELS, *(f"bert-base:export={e}" for e in ("folded", "decomposed"))])
def test_every_operator_has_a_cost_of_its_own(spec: str) -> None:
    assert build(spec).unknown_operators == ()


# --- structure --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("export", ["dynamic", "folded", "decomposed"])
def test_every_bert_layer_reads_the_one_mask(export: str) -> None:
    graph = build(f"bert-base:export={export},{SMALL_BERT}")
    last = "bert/Mul" if export == "decomposed" else max(n for n in graph.names if n.startswith("bert/Where"))
    assert readers(graph, last) == [f"bert/encoder/layer.{i}/attention/self/Add" for i in range(3)]
    assert depends_on(graph, "attention_mask")[graph.index[last]]


@pytest.mark.parametrize("export", ["dynamic", "folded", "decomposed"])
def test_bert_layers_have_both_residuals(export: str) -> None:
    graph = build(f"bert-base:export={export},{SMALL_BERT}")
    result = max(
        (n for n in graph.names if n.startswith("bert/encoder/layer.0/output/LayerNorm/")), key=graph.index.get
    )
    attention = "bert/encoder/layer.1/attention/output"
    assert result in producers(graph, f"{attention}/Add")
    result = max((n for n in graph.names if n.startswith(f"{attention}/LayerNorm/")), key=graph.index.get)
    assert result in producers(graph, "bert/encoder/layer.1/output/Add")


def test_heads_of_bert_divide_work_without_changing_it() -> None:
    few, many = (build(f"bert-base:export=folded,heads={h}") for h in (4, 12))
    product = np.array([kind == "MatMul" for kind in few.op_types])
    assert few.flops[product].sum() == many.flops[product].sum()


def test_shape_tensors_are_a_few_integers() -> None:
    graph = build("bert-base")
    of_shapes = np.isin(graph.producer, [v for v, kind in enumerate(graph.op_types) if kind in ("Shape", "Concat")])
    assert of_shapes.any()
    assert graph.tensor_bytes[of_shapes].max() <= 4 * 8


@pytest.mark.parametrize("depth", [1, 3, 4])
def test_unet_skips_join_equal_levels(depth: int) -> None:
    graph = build(f"unet:depth={depth},size=64,channels=4")
    for level in range(1, depth + 1):
        assert producers(graph, f"up{level}/Concat") == {f"down{level}/Relu_1", f"up{level}/upconv/ConvTranspose"}


def test_resnet50_blocks_add_their_input() -> None:
    graph = build("resnet50:size=32")
    assert producers(graph, "layer2/1/Add") == {"layer2/0/Relu_2", "layer2/1/conv3/Conv"}
    assert producers(graph, "layer2/0/Add") == {"layer2/0/conv3/Conv", "layer2/0/downsample/Conv"}


@pytest.mark.parametrize("cells", ["fused", "split"])
def test_steps_of_a_gnmt_layer_share_its_weights(cells: str) -> None:
    short, long = (build(f"gnmt:seq={seq},layers=3,hidden=16,vocab=50,cells={cells}") for seq in (3, 7))
    assert parameters(short) == parameters(long)
    users = dict(zip(long.shared_names, np.diff(long.shared_ptr), strict=True))
    for layer in ("encoder/layer.0/forward", "encoder/layer.0/backward", "encoder/layer.2", "decoder/layer.0"):
        assert users[f"{layer}/{'W' if cells == 'fused' else 'kernel'}"] == 7


def test_gnmt_encoder_reads_the_sentence_in_both_directions() -> None:
    graph = build("gnmt:seq=5,layers=2,hidden=16,vocab=50")
    first, last = (depends_on(graph, f"encoder/layer.0/{way}/LSTM") for way in ("forward", "backward"))
    upper = [graph.index[f"encoder/layer.1/LSTM{suffix}"] for suffix in ("", "_1", "_2", "_3", "_4")]
    assert first[upper].all()  # the first word matters to every step ...
    assert last[upper].all()  # ... and so does the last, which the backward layer reads first
    # Each step of a direction follows the one before it.
    assert "encoder/layer.0/backward/LSTM" in producers(graph, "encoder/layer.0/backward/LSTM_1")


def test_gnmt_decoder_attends_to_the_whole_source_at_every_step() -> None:
    graph = build("gnmt:seq=4,layers=3,hidden=16,vocab=50")
    memory = depends_on(graph, "encoder/Transpose")
    for suffix in ("", "_1", "_2", "_3"):
        assert memory[graph.index[f"decoder/layer.2/LSTM{suffix}"]]
    assert kinds(graph)["Softmax"] == 4
    # The context of a step is what the first layer reads at the next.
    step = depends_on(graph, "decoder/attention/Softmax")
    assert not step[graph.index["decoder/layer.0/LSTM"]]
    assert step[graph.index["decoder/layer.0/LSTM_1"]]


def test_gnmt_projects_to_the_vocabulary_once() -> None:
    graph = build("gnmt:seq=6,layers=2,hidden=16,vocab=50")
    products = [name for name in graph.names if name.startswith("decoder/projection")]
    assert products == ["decoder/projection/MatMul"]
    assert graph.flops[graph.index[products[0]]] == 2 * 6 * 16 * 50


# --- scaling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(MODELS))
def test_flops_and_activations_grow_with_the_batch_and_weights_do_not(name: str) -> None:
    one, three = build(f"{name}:batch=1"), build(f"{name}:batch=3")
    assert three.flops.sum() == pytest.approx(3 * one.flops.sum(), rel=1e-3)
    rel = 2e-2 if name in ("t5", "gpt", "llama", "moe") else 1e-3  # their masks are those of one sequence
    assert three.tensor_bytes.sum() == pytest.approx(3 * one.tensor_bytes.sum(), rel=rel)
    assert parameters(three) == parameters(one) if name != "gnmt" else parameters(three) >= parameters(one)
    assert three.names == one.names


@pytest.mark.parametrize("name", list(MODELS))
def test_float32_takes_twice_the_bytes_of_bfloat16(name: str) -> None:
    narrow, wide = build(name), build(f"{name}:dtype=float32")
    assert wide.flops.sum() == narrow.flops.sum()
    assert parameters(wide, 4) == pytest.approx(parameters(narrow), rel=1e-4)  # ids are int64 in both
    assert wide.tensor_bytes.sum() == pytest.approx(2 * narrow.tensor_bytes.sum(), rel=0.01)


def test_attention_grows_with_the_square_of_the_sequence_and_the_rest_with_its_length() -> None:
    one, two = build("bert-base:export=folded"), build("bert-base:export=folded,seq=256")
    ratio = dict(zip(one.names, two.flops / np.maximum(one.flops, 1), strict=True))
    assert ratio["bert/encoder/layer.0/attention/self/Softmax"] == 4
    assert ratio["bert/encoder/layer.0/attention/self/MatMul"] == 4
    assert ratio["bert/encoder/layer.0/intermediate/dense/MatMul"] == 2


def test_a_sequence_beyond_the_position_table_extends_it() -> None:
    beyond = parameters(build("bert-base:seq=600")) - parameters(build("bert-base:seq=512"))
    assert beyond == 88 * (768 + 8 / 2)


# --- the text that names a model --------------------------------------------------------------------------------------


def test_all_of_the_models_asked_for_exist() -> None:
    names = [info.name for info in available()]
    assert names[:5] == ["bert-base", "bert-large", "resnet50", "unet", "gnmt"]
    more = {"resnet", "densenet", "inception", "mobilenet", "vgg", "gpt", "llama", "t5", "moe", "vit", "rnn", "dlrm"}
    assert more | {"towers", "randwire"} <= set(names)
    assert all(info.description and info.paper and info.parameters for info in available())


@pytest.mark.parametrize("name", list(MODELS))
def test_building_twice_gives_the_same_graph(name: str) -> None:
    a, b = build(name), build(name)
    assert (a.names, a.tensor_names, a.op_types) == (b.names, b.tensor_names, b.op_types)
    for field in ("flops", "bytes_accessed", "weights", "tensor_bytes", "producer", "consumers", "shared_users"):
        assert np.array_equal(getattr(a, field), getattr(b, field))


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("bert-base", "bert-base"),
        (" bert-base:batch=2,seq=64 ", "bert-base:batch=2,seq=64"),
        ("bert-base:seq=64, batch=2", "bert-base:batch=2,seq=64"),
        ("bert-base:seq=128", "bert-base"),
        ("unet:dtype=int8", "unet:dtype=int8"),
    ],
)
def test_a_graph_is_named_by_what_is_not_default(spec: str, name: str) -> None:
    assert build(spec).name == name
    assert build(name).name == name


@pytest.mark.parametrize("info", available(), ids=lambda info: info.name)
def test_every_default_is_an_allowed_value(info) -> None:
    for parameter in info.parameters:
        assert parameter.parse(str(parameter.default)) == parameter.default
    graph = build(f"{info.name}:" + ",".join(f"{p.name}={p.default}" for p in info.parameters))
    assert graph.name == info.name


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("bert-larg", "did you mean 'bert-large'"),
        ("BERT-large", "did you mean 'bert-large'"),
        ("vgg16", "the built-in models are bert-base, bert-large, resnet50, unet, gnmt"),
        ("", "unknown model ''"),
        ("bert-base:sequ=3", "did you mean 'seq'"),
        ("resnet50:seq=3", "its parameters are batch, size, classes, dtype"),
        ("bert-base:seq=0", "seq=0 is not allowed for bert-base; give a whole number from 1"),
        ("bert-base:seq=-5", "seq=-5 is not allowed"),
        ("bert-base:seq=1.5", "seq=1.5 is not allowed"),
        ("bert-base:seq=two", "seq=two is not allowed"),
        ("bert-base:seq=²", "is not allowed"),
        ("bert-base:seq=" + "9" * 5000, "is not allowed"),
        ("gnmt:seq=100000", "from 1 to 1000"),
        ("bert-base:dtype=float8", "one of bfloat16, float16, float32, int8"),
        ("bert-base:", "is not a setting of bert-base"),
        ("bert-base:seq", "is not a setting of bert-base"),
        ("bert-base:=4", "is not a setting of bert-base"),
        ("bert-base:seq=", "seq= is not allowed"),
        ("bert-base:seq=4,seq=5", "'seq' of bert-base is given twice"),
        ("bert-base:heads=7", "hidden=768 cannot be split over heads=7"),
        ("gpt:heads=7", "hidden=768 cannot be split over heads=7"),
        ("llama:kv_heads=5", "heads=32 cannot share kv_heads=5"),
        ("moe:chosen=9", "chosen=9 of experts=8"),
        ("vit:patch=15", "size=224 cannot be cut into patches of 15"),
        ("resnet:depth=20", "one of 18, 34, 50, 101, 152"),
        ("unet:size=100", "choose a multiple of 16"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_sentence(spec: str, told: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        build(spec)
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "spec",
    [
        "bert-base:seq=1,layers=1,heads=1",
        "resnet50:size=1",
        "unet:size=2,depth=1,channels=2",
        "gnmt:seq=1,layers=1",
        "rnn:seq=2,layers=2",
        "t5:seq=1,layers=1",
        "moe:layers=1,experts=1,chosen=1",
        "dlrm:tables=1,depth=1",
        "towers:towers=1,tasks=1",
        "randwire:nodes=3,stages=1",
        "densenet:size=32",
        "mobilenet:size=1,width=1",
    ],
)
def test_smallest_models_are_graphs(spec: str) -> None:
    assert build(spec).n > 10


def test_building_takes_time_in_proportion_to_the_layers() -> None:
    """Bert-large has twice the layers of bert-base; in processor time, the best of three."""

    def best(spec: str) -> float:
        seconds = []
        for _ in range(3):
            begin = time.process_time()
            build(spec)
            seconds.append(time.process_time() - begin)
        return min(seconds)

    assert best("bert-large") < 5 * best("bert-base")


# --- architectures ----------------------------------------------------------------------------------------------------


def test_resnet_of_depth_50_is_resnet50() -> None:
    assert build("resnet:depth=50").op_types == build("resnet50").op_types
    assert np.array_equal(build("resnet:depth=50").flops, build("resnet50").flops)


def test_every_decoder_layer_of_t5_reads_the_encoders_output() -> None:
    graph = build("t5:layers=3")
    widest = max(np.diff(graph.consumer_ptr))
    assert widest >= 2 * 3  # keys and values of every decoder layer


def test_experts_stand_side_by_side() -> None:
    graph = build("moe:layers=1,experts=5")
    kinds_of_experts = [name for name in graph.names if "expert." in name and name.endswith("gate/MatMul")]
    assert len(kinds_of_experts) == 5


def test_random_wiring_follows_its_seed() -> None:
    assert build("randwire:seed=7").to_json() == build("randwire:seed=7").to_json()
    a, b = build("randwire:seed=7"), build("randwire:seed=8")
    assert a.consumers.tolist() != b.consumers.tolist()


def test_the_steps_of_a_recurrent_layer_share_its_weights() -> None:
    graph = build("rnn:layers=3,seq=5")
    assert len(graph.shared_bytes) == 3 * 3  # W, R and B
    assert set(np.diff(graph.shared_ptr).tolist()) == {5}
