"""PyTorch and JAX programs as graphs: structure, weights, and FLOPs against the frameworks' own counters."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from checked import as_given
from instances import answer_of
from oracle import certify

from partition import Graph, InvalidInput, InvalidModelFile, load_hardware, partition

torch = pytest.importorskip("torch")
programs = importlib.import_module("torch_programs")
PROGRAMS = programs.PROGRAMS


class Block(torch.nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = torch.nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm, self.norm2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.up, self.down = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        h = self.norm(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        return x + self.down(torch.nn.functional.gelu(self.up(self.norm2(x))))


class Encoder(torch.nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(1000, 256)
        self.layers = torch.nn.ModuleList([Block(256, 4) for _ in range(4)])
        self.head = torch.nn.Linear(256, 1000, bias=False)
        self.head.weight = self.embed.weight  # tied

    def forward(self, tokens: Any) -> Any:
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


class Recurrent(torch.nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = torch.nn.LSTM(64, 128, num_layers=2, batch_first=True), torch.nn.Linear(128, 10)

    def forward(self, x: Any) -> Any:
        return self.out(self.lstm(x)[0][:, -1])


def convolutional() -> Any:
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.ConvTranspose2d(64, 32, 2, stride=2), nn.Flatten(), nn.Linear(32 * 16 * 16, 10),
    ).eval()  # fmt: skip


CASES = {
    "encoder": (Encoder, lambda: (torch.zeros(2, 64, dtype=torch.long),)),
    "convolutional": (convolutional, lambda: (torch.zeros(2, 3, 32, 32),)),
    "recurrent": (Recurrent, lambda: (torch.zeros(2, 12, 64),)),
}
COUNTED = {
    "linear", "addmm", "baddbmm", "mm", "bmm", "matmul", "einsum", "conv1d", "conv2d", "conv3d",
    "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "scaled_dot_product_attention", "lstm", "gru",
    "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell",
}  # fmt: skip


def exported(name: str) -> tuple[Any, Any, Any]:
    make, args = CASES[name]
    module = make().eval()
    return module, args(), torch.export.export(module, args())


@pytest.mark.parametrize("name", list(PROGRAMS | CASES))
def test_flops_agree_with_pytorchs_own_counter(name: str) -> None:
    """It counts products and convolutions alone; so they are compared alone, and everything else must be small."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    make, args = (PROGRAMS | CASES)[name]
    program = programs.exported(name) if name in PROGRAMS else torch.export.export(make().eval(), args())
    # Without the fused paths that the counter does not know.
    plain = (torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH), torch.no_grad())
    with plain[0], plain[1], plain[2], FlopCounterMode(display=False) as counter:
        program.module()(*args())
    graph = Graph.from_torch(program)
    kinds = np.array([kind in COUNTED for kind in graph.op_types])
    assert graph.flops[kinds].sum() == pytest.approx(counter.get_total_flops(), rel=0.02)
    assert graph.flops[~kinds].sum() < 0.1 * graph.flops.sum()
    assert graph.unknown_operators == ()


def test_recurrent_layers_count_their_weights_once_per_step() -> None:
    _, _, program = exported("recurrent")
    graph = Graph.from_torch(program)
    first = 2 * 4 * 128 * (64 + 128) * 2 * 12
    second = 2 * 4 * 128 * (128 + 128) * 2 * 12
    layers = [v for v, kind in enumerate(graph.op_types) if kind == "lstm"]
    assert graph.flops[layers].tolist() == [first, second]


@pytest.mark.parametrize("name", list(CASES))
def test_all_parameters_are_weights(name: str) -> None:
    module, _, program = exported(name)
    graph = Graph.from_torch(program)
    used = sum(p.numel() * p.element_size() for p in module.parameters())
    buffers = sum(b.numel() * b.element_size() for b in module.buffers())
    held = graph.weights.sum() + graph.shared_bytes.sum()
    assert used <= held <= 1.01 * (used + buffers)  # and what is computed from constants: masks, first states


def test_tied_weights_are_shared_and_names_carry_their_module() -> None:
    graph = Graph.from_torch(exported("encoder")[2])
    assert len(graph.shared_names) == 1 and graph.shared_bytes[0] == 1000 * 256 * 4
    assert any(name.startswith("layers.2") for name in graph.names)
    assert graph.op_types.count("Input") == 1 and graph.op_types.count("scaled_dot_product_attention") == 4


def test_an_exported_program_is_partitioned() -> None:
    graph, hardware = Graph.from_torch(exported("encoder")[2]), load_hardware("ring4")
    result = partition(graph, hardware, time_limit=20)
    certify(as_given(graph, hardware), answer_of(result))
    assert result.status == "optimal"


def test_data_dependent_control_flow_is_named() -> None:
    class Branches(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x * 2, (x,))

    program = torch.export.export(Branches(), (torch.zeros(3),))
    with pytest.raises(InvalidModelFile, match=r"'cond' is torch.cond"):
        Graph.from_torch(program)


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda x: torch.while_loop(lambda y: y.sum() < 9, lambda y: (y + 1,), (x,))[0], "'while_loop' is torch"),
        (lambda x: torch.nonzero(x).sum(0), r"'nonzero' \(nonzero\).*depends on data"),
    ],
)
def test_loops_and_shapes_that_depend_on_data_are_named(function: Any, named: str) -> None:
    class Module(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return function(x)

    with pytest.raises(InvalidModelFile, match=named):
        Graph.from_torch(torch.export.export(Module(), (torch.ones(3),)))


def test_dynamic_dimensions_take_the_examples_value() -> None:
    batch = torch.export.Dim("batch", min=2, max=64)
    module = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU())
    program = torch.export.export(module, (torch.zeros(5, 8),), dynamic_shapes=({0: batch},))
    graph = Graph.from_torch(program)
    assert graph.flops[graph.op_types.index("linear")] == 2 * 5 * 8 * 16


def test_what_is_no_exported_program_is_refused() -> None:
    with pytest.raises(InvalidModelFile, match="not an exported program"):
        Graph.from_torch(torch.nn.Linear(2, 2))


# --- JAX ----------------------------------------------------------------------------------------------------------

jax = pytest.importorskip("jax")
jnp = jax.numpy


def transformer(params: dict[str, Any], x: Any) -> Any:
    for p in params["layers"]:
        q, k, v = (x @ p[n] for n in "qkv")
        scores = jax.nn.softmax(q @ k.transpose(0, 2, 1) / 8.0)
        x = x + (scores @ v) @ p["o"]
        x = x + jax.nn.gelu(x @ p["up"]) @ p["down"]
    return x @ params["head"]


def transformer_args() -> tuple[Any, Any]:
    def w(*shape: int) -> Any:
        return jax.ShapeDtypeStruct(shape, jnp.float32)

    layer = {n: w(128, 128) for n in "qkvo"} | {"up": w(128, 512), "down": w(512, 128)}
    return {"layers": [dict(layer) for _ in range(3)], "head": w(128, 500)}, w(2, 64, 128)


def cnn(params: list[Any], x: Any) -> Any:
    for kernel in params[:-1]:
        x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jax.nn.relu(x)
    return x.mean((1, 2)) @ params[-1]


def cnn_args() -> tuple[Any, Any]:
    shapes = [(3, 3, 3, 32), (3, 3, 32, 64), (3, 3, 64, 64), (64, 10)]
    return [jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes], jax.ShapeDtypeStruct((2, 24, 24, 3), jnp.float32)


def einsums(w: Any, x: Any) -> Any:
    heads = jnp.einsum("bnd,hde->bhne", x, w)
    return jnp.einsum("bhne,bhme->bhnm", heads, heads)


def conv(x: Any, kernel: Any, **options: Any) -> Any:
    return jax.lax.conv_general_dilated(
        x, kernel, options.pop("strides", (1, 1)), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), **options
    )


def resnet(params: list[Any], x: Any) -> Any:
    x = jax.nn.relu(conv(x, params[0], strides=(2, 2)))
    x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
    x = x + jax.nn.relu(conv(jax.nn.relu(conv(x, params[1])), params[2]))
    return x.mean((1, 2)) @ params[3]


def decoder(params: dict[str, Any], x: Any) -> Any:
    """Causal attention and a gated feed-forward."""
    q, k, v = (jnp.einsum("bnd,dhe->bhne", x, params[name]) for name in "qkv")
    scores = jnp.where(jnp.tril(jnp.ones(q.shape[2:3] * 2, bool)), jnp.einsum("bhne,bhme->bhnm", q, k) / 8, -1e9)
    mixed = jnp.einsum("bhnm,bhme->bnhe", jax.nn.softmax(scores), v)
    x = x + jnp.einsum("bnhe,hed->bnd", mixed, params["o"])
    return x + (jax.nn.silu(x @ params["gate"]) * (x @ params["up"])) @ params["down"]


def lstm(params: dict[str, Any], xs: Any, unroll: bool = False) -> Any:
    def step(carry: Any, x: Any) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(x @ params["x"] + h @ params["h"], 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zero = jnp.zeros((xs.shape[1], params["h"].shape[0]))
    return jax.lax.scan(step, (zero, zero), xs, unroll=unroll)[1]


def shaped(*shape: int) -> Any:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


JAX_PROGRAMS: dict[str, tuple[Any, Any]] = {
    "transformer": (transformer, transformer_args()),
    "cnn": (cnn, cnn_args()),
    "einsum": (einsums, (shaped(4, 32, 16), shaped(2, 9, 32))),
    "batched product": (lambda w, x: jax.lax.batch_matmul(x, w), (shaped(6, 30, 10), shaped(6, 20, 30))),
    "resnet": (resnet, ([shaped(7, 7, 3, 32), *[shaped(3, 3, 32, 32)] * 2, shaped(32, 10)], shaped(2, 64, 64, 3))),
    "depthwise": (lambda w, x: conv(x, w, feature_group_count=16), (shaped(3, 3, 1, 16), shaped(2, 24, 24, 16))),
    "dilated": (lambda w, x: conv(x, w, rhs_dilation=(2, 2)), (shaped(3, 3, 8, 16), shaped(2, 24, 24, 8))),
    "upwards": (lambda w, x: jax.lax.conv_transpose(x, w, (2, 2), "SAME"), (shaped(3, 3, 8, 4), shaped(2, 12, 12, 8))),
    "vmap": (lambda w, x: jax.vmap(lambda row: jnp.tanh(w @ row))(x), (shaped(8, 16), shaped(4, 16))),
    "remat": (lambda w, x: jax.checkpoint(lambda h: jnp.sin(h @ w))(x), (shaped(16, 16), shaped(4, 16))),
    "decoder": (decoder, ({name: shaped(64, 4, 16) for name in "qkv"} | {
        "o": shaped(4, 16, 64), "gate": shaped(64, 256), "up": shaped(64, 256), "down": shaped(256, 64)},
        shaped(2, 20, 64))),
}  # fmt: skip


def xla_count(function: Any, *args: Any) -> float:
    counted = jax.jit(function).lower(*args).cost_analysis()
    return float(counted["flops"] + counted.get("transcendentals", 0.0))


@pytest.mark.parametrize("name", list(JAX_PROGRAMS))
def test_flops_agree_with_xlas_own_count(name: str) -> None:
    function, args = JAX_PROGRAMS[name]
    graph = Graph.from_jax(function, *args, weights=0)
    assert graph.flops.sum() == pytest.approx(xla_count(function, *args), rel=0.02)
    bytes_of_weights = sum(4 * np.prod(leaf.shape) for leaf in jax.tree_util.tree_leaves(args[0]))
    computed = graph.weights.sum() + graph.shared_bytes.sum() - bytes_of_weights
    assert 0 <= computed <= 0.1 * bytes_of_weights  # masks
    assert graph.unknown_operators == ()


def test_a_recurrence_counts_as_its_steps_written_out() -> None:
    """XLA counts the body of a loop once, however often it runs."""
    args = {"x": shaped(24, 128), "h": shaped(32, 128)}, shaped(7, 2, 24)
    graph = Graph.from_jax(lstm, *args, weights=0)
    assert graph.flops.sum() == pytest.approx(xla_count(lambda p, xs: lstm(p, xs, unroll=True), *args), rel=0.02)


def test_a_traced_function_is_partitioned() -> None:
    function, args = JAX_PROGRAMS["transformer"]
    result = partition(Graph.from_jax(function, *args, weights=0), load_hardware("ring4"), time_limit=20)
    assert result.status == "optimal"


def test_arguments_are_inputs_unless_they_are_weights() -> None:
    args = cnn_args()
    assert Graph.from_jax(cnn, *args).op_types.count("Input") == 5
    assert Graph.from_jax(cnn, *args, weights=0).op_types.count("Input") == 1
    with pytest.raises(InvalidInput, match="argument 2"):
        Graph.from_jax(cnn, *args, weights=[0, 2])


def test_a_scan_is_one_operation_of_all_its_steps() -> None:
    def recurrent(w: Any, xs: Any) -> Any:
        return jax.lax.scan(lambda h, x: (jnp.tanh(h @ w + x), None), jnp.zeros(16), xs)[0]

    shape = jax.ShapeDtypeStruct
    graph = Graph.from_jax(recurrent, shape((16, 16), jnp.float32), shape((10, 16), jnp.float32), weights=0)
    assert graph.flops[graph.op_types.index("scan")] == pytest.approx(10 * (2 * 16 * 16 + 2 * 16), rel=0.05)


def test_control_flow_that_depends_on_data_is_named_in_jax() -> None:
    shape = jax.ShapeDtypeStruct((3,), jnp.float32)
    with pytest.raises(InvalidModelFile, match="'cond'"):
        Graph.from_jax(lambda x: jax.lax.cond(x.sum() > 0, lambda y: y, lambda y: -y, x), shape)
    with pytest.raises(InvalidModelFile, match="'while'"):
        Graph.from_jax(lambda x: jax.lax.while_loop(lambda y: y.sum() < 9, lambda y: y + 1, x), shape)
    with pytest.raises(InvalidModelFile, match="cannot be traced"):
        Graph.from_jax(lambda x: x if x.sum() > 0 else -x, shape)
