"""JAX and flax functions: read, and their FLOPs against XLA's analysis of the whole function, layers written out.

    pip install jax flax optax
    python benchmarks/readers.py jax

``right`` is ``no`` where the FLOPs differ by more than 2%, the weights by a byte, or a kind is costed by default. XLA
counts the body of a loop once: layers that are scanned are compared with the same layers written out. Train steps are
placed on ``ring4``; every weight must share a chip with its update.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState

from partition import Graph, load_hardware, partition

TITLE = "JAX and flax functions"
HEAD = ("function", "operations", "read, s", "held / weights", "GFLOP", "against XLA", "costed by default",
        "backward", "weights on one chip", "right")  # fmt: skip


class Block(nn.Module):
    """Pre-normalised attention and a gated or plain feed-forward."""

    width: int
    gated: bool = False

    @nn.compact
    def __call__(self, x: Any) -> Any:
        h = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(num_heads=4)(h, h)
        h = nn.LayerNorm()(x)
        up = nn.Dense(4 * self.width)(h)
        up = nn.silu(nn.Dense(4 * self.width)(h)) * up if self.gated else nn.gelu(up)
        return x + nn.Dense(self.width)(up)


class Language(nn.Module):
    layers: int = 4
    width: int = 128
    scanned: bool = False
    gated: bool = False
    remat: bool = False

    @nn.compact
    def __call__(self, tokens: Any) -> Any:
        x = nn.Embed(2000, self.width)(tokens)
        block = nn.remat(Block) if self.remat else Block
        if self.scanned:
            scan = nn.scan(lambda m, h, _: (m(h), None), variable_axes={"params": 0}, split_rngs={"params": True},
                           length=self.layers)  # fmt: skip
            x, _ = scan(block(self.width, self.gated), x, None)
        else:
            for _ in range(self.layers):
                x = block(self.width, self.gated)(x)
        return nn.Dense(2000)(nn.LayerNorm()(x))


class Image(nn.Module):
    """A residual network, or with ``patches`` a vision transformer."""

    patches: bool = False
    separable: bool = False

    @nn.compact
    def __call__(self, x: Any) -> Any:
        if self.patches:
            x = nn.Conv(64, (8, 8), strides=(8, 8))(x).reshape(x.shape[0], -1, 64)
            for _ in range(3):
                x = Block(64)(x)
            return nn.Dense(10)(x.mean(1))
        x = nn.max_pool(nn.relu(nn.Conv(32, (7, 7), strides=(2, 2))(x)), (3, 3), (2, 2), "SAME")
        for _ in range(3):
            groups = 32 if self.separable else 1
            h = nn.Conv(32, (3, 3), feature_group_count=groups)(x)
            h = nn.Conv(32, (1, 1))(nn.relu(nn.GroupNorm(8)(h)))
            x = nn.relu(x + h)
        return nn.Dense(10)(x.mean((1, 2)))


class Mixer(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        for _ in range(3):
            h = nn.LayerNorm()(x).swapaxes(1, 2)
            x = x + nn.Dense(x.shape[1])(nn.gelu(nn.Dense(128)(h))).swapaxes(1, 2)
            x = x + nn.Dense(x.shape[2])(nn.gelu(nn.Dense(256)(nn.LayerNorm()(x))))
        return x


class Autoencoder(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        near = nn.relu(nn.Conv(16, (3, 3))(x))
        far = nn.relu(nn.Conv(32, (3, 3), strides=(2, 2))(near))
        up = nn.ConvTranspose(16, (2, 2), strides=(2, 2))(far)
        return nn.Conv(3, (1, 1))(jnp.concatenate([near, up], -1))


def applied(module: nn.Module, x: Any) -> tuple[Any, tuple[Any, ...]]:
    """A function of parameters and input, and their shapes."""
    params = jax.eval_shape(module.init, jax.random.key(0), x)
    return lambda p, x: module.apply(p, x), (params, x)


def trained(module: nn.Module, optimiser: Any, x: Any, classes: bool) -> tuple[Any, tuple[Any, ...]]:
    """A train step of flax and optax."""
    params = jax.eval_shape(module.init, jax.random.key(0), x)
    state = jax.eval_shape(lambda p: TrainState.create(apply_fn=module.apply, params=p, tx=optimiser), params)

    def step(state: Any, x: Any) -> Any:
        def loss(p: Any) -> Any:
            y = module.apply(p, x)
            return optax.softmax_cross_entropy_with_integer_labels(y, x).mean() if classes else (y**2).mean()

        value, gradients = jax.value_and_grad(loss)(state.params)
        return state.apply_gradients(grads=gradients), value

    return step, (state, x)


def recurrent(p: Any, xs: Any, unroll: bool = False) -> Any:
    def step(carry: Any, x: Any) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(x @ p["x"] + h @ p["h"], 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), c

    zero = jnp.zeros((xs.shape[1], p["h"].shape[0]))
    return jax.lax.scan(step, (zero, zero), xs, unroll=unroll)[1]


def decode(p: Any, cache: Any, x: Any, at: Any) -> Any:
    q, k, v = (x @ p[n] for n in "qkv")
    cache = {n: jax.lax.dynamic_update_slice(cache[n], y[None], (at, 0)) for n, y in (("k", k), ("v", v))}
    return jax.nn.softmax(cache["k"] @ q) @ cache["v"] @ p["o"], cache


def f32(*shape: int) -> Any:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


TOKENS, PICTURE = jnp.zeros((2, 32), jnp.int32), jnp.zeros((2, 64, 64, 3))
CELL = {"x": f32(64, 512), "h": f32(128, 512)}
FUNCTIONS: dict[str, tuple[Callable[[], tuple[Any, tuple[Any, ...]]], Any]] = {
    "language model": (lambda: applied(Language(), TOKENS), 0),
    "gated language model": (lambda: applied(Language(gated=True), TOKENS), 0),
    "language model with checkpoints": (lambda: applied(Language(remat=True), TOKENS), 0),
    "language model, layers scanned": (lambda: applied(Language(scanned=True), TOKENS), 0),
    "residual network": (lambda: applied(Image(), PICTURE), 0),
    "separable residual network": (lambda: applied(Image(separable=True), PICTURE), 0),
    "vision transformer": (lambda: applied(Image(patches=True), PICTURE), 0),
    "mixer": (lambda: applied(Mixer(), jnp.zeros((2, 32, 64))), 0),
    "autoencoder": (lambda: applied(Autoencoder(), PICTURE), 0),
    "recurrent": (lambda: (recurrent, (CELL, f32(8, 4, 64))), 0),
    "decoding with a cache": (lambda: (decode, ({n: f32(64, 64) for n in "qkvo"}, {n: f32(512, 64) for n in "kv"},
                                                f32(64), jax.ShapeDtypeStruct((), jnp.int32))), [0, 1]),
    "vmapped product": (lambda: (lambda w, x: jax.vmap(lambda r: jnp.tanh(w @ r))(x), (f32(64, 32), f32(16, 32))), 0),
    "train step, sgd": (lambda: trained(Language(layers=2), optax.sgd(0.1), TOKENS, True), 0),
    "train step, adam and clipping": (lambda: trained(
        Language(layers=2), optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3)), TOKENS, True), 0),
    "train step of a convolutional network": (lambda: trained(Image(), optax.adam(1e-3), PICTURE, False), 0),
    "train step, layers scanned": (lambda: trained(Language(scanned=True), optax.sgd(0.1), TOKENS, True), 0),
}  # fmt: skip
WRITTEN_OUT: dict[str, Callable[[], tuple[Any, tuple[Any, ...]]]] = {
    "language model, layers scanned": lambda: applied(Language(), TOKENS),
    "train step, layers scanned": lambda: trained(Language(), optax.sgd(0.1), TOKENS, True),
    "recurrent": lambda: (lambda p, xs: recurrent(p, xs, unroll=True), (CELL, f32(8, 4, 64))),
}
"""What XLA is asked about instead, since it counts the body of a loop once."""


def rows(only: str) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """The cells of each function's line, and whether all is right."""
    for name, (make, weights) in FUNCTIONS.items():
        if only not in name:
            continue
        function, args = make()
        start = time.process_time()
        graph = Graph.from_jax(function, *args, weights=weights)
        seconds = time.process_time() - start
        held = sum(float(graph.shared_bytes[i]) for i, n in enumerate(graph.shared_names) if "stash:" not in n)
        held += float(graph.weights.sum())
        leaves = jax.tree.leaves([args[i] for i in ([weights] if isinstance(weights, int) else weights)])
        size = sum(float(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in leaves)
        whole, whole_args = WRITTEN_OUT.get(name, make)()
        counted = jax.jit(whole).lower(*whole_args).cost_analysis()
        right = float(counted["flops"] + counted.get("transcendentals", 0.0))
        together = _together(graph) if graph.backward.any() else "-"
        good = abs(graph.flops.sum() / right - 1) < 0.02 and not graph.unknown_operators and together in ("all", "-")
        kept = "-" if graph.backward.any() else f"{held / size:.4f}"
        yield (name, graph.n, f"{seconds:.1f}", kept, f"{graph.flops.sum() / 1e9:.4g}",
               f"{graph.flops.sum() / right - 1:+.2%}", ", ".join(graph.unknown_operators) or "none",
               int(graph.backward.sum()), together, "yes" if good else "no"), good  # fmt: skip


def _together(graph: Graph) -> str:
    """Whether no weight but counters stands on two chips in a placement by the solver."""
    result = partition(graph, load_hardware("ring4:memory=off"), time_limit=20, gap=0.2)
    apart = 0
    for i, name in enumerate(graph.shared_names):
        users = graph.shared_users[graph.shared_ptr[i] : graph.shared_ptr[i + 1]]
        chips = {result.assignment[graph.names[u]] for u in users}
        apart += len(chips) > 1 and not name.startswith("stash:") and graph.shared_bytes[i] > 8
    return "all" if not apart else f"{apart} are not"
