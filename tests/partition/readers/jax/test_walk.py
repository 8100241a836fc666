"""JAX functions as graphs: calls keep their arguments, scans over layers, lookups, train steps, names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from partition import DoubtfulModel, Graph, InvalidModelFile, load_hardware, partition

jax = pytest.importorskip("jax")
jnp, lax, ravel_pytree = jax.numpy, jax.lax, pytest.importorskip("jax.flatten_util").ravel_pytree


def shaped(*shape: int, dtype: Any = jnp.float32) -> Any:
    return jax.ShapeDtypeStruct(shape, dtype)


def reads(graph: Graph, name: str) -> list[str]:
    """Producers of what an operation reads."""
    v = graph.index[name]
    return [graph.names[u] for u, w in zip(graph.edge_source, graph.consumers, strict=True) if w == v]


def held(graph: Graph) -> float:
    return float(graph.weights.sum() + graph.shared_bytes.sum())


# --- Calls --------------------------------------------------------------------------------------------------------


def test_a_jitted_helper_called_twice_keeps_its_arguments_apart() -> None:
    """JAX hands out one jaxpr, with one set of variables, for both calls."""

    @jax.jit
    def flat(x: Any) -> Any:
        return x.reshape(-1, 256)

    graph = Graph.from_jax(lambda w, x: flat(x) @ flat(w).T, *[shaped(4, 64, 256)] * 2, weights=0)
    assert held(graph) == 4 * 64 * 256 * 4
    assert len(reads(graph, "dot_general")) + (graph.weights[graph.index["dot_general"]] > 0) == 2
    assert "flat/reshape" in reads(graph, "dot_general")


def test_calls_within_calls_keep_their_arguments_apart() -> None:
    @jax.jit
    def inner(a: Any, b: Any) -> Any:
        return a @ b

    @jax.jit
    def outer(a: Any, b: Any) -> Any:
        return inner(a, b) - inner(b, a)

    graph = Graph.from_jax(lambda w, x: outer(x, w) + outer(w, x), *[shaped(8, 8)] * 2, weights=0)
    assert graph.op_types.count("dot_general") == 4 and held(graph) == 8 * 8 * 4
    assert all(reads(graph, name) == ["x1"] for name, kind in zip(graph.names, graph.op_types, strict=True)
               if kind == "dot_general")  # fmt: skip


def test_a_constant_that_two_calls_close_over_is_held_once() -> None:
    table = jnp.ones((32, 32))
    graph = Graph.from_jax(lambda x: jnp.tanh(x @ table) @ table, shaped(4, 32))
    assert held(graph) == 32 * 32 * 4


def test_names_carry_scopes_and_called_functions() -> None:
    def model(w: Any, x: Any) -> Any:
        with jax.named_scope("encoder"), jax.named_scope("dense"):
            return jax.nn.relu(x @ w)

    names = Graph.from_jax(model, shaped(8, 8), shaped(4, 8), weights=0).names
    assert "encoder/dense/dot_general" in names
    assert any(name.startswith("encoder/dense/") and name.endswith("relu/max") for name in names)


def test_names_of_a_backward_pass_carry_the_scope_without_the_transformation() -> None:
    def loss(w: Any, x: Any) -> Any:
        with jax.named_scope("layer"):
            return jnp.tanh(x @ w).sum()

    names = Graph.from_jax(jax.grad(loss), shaped(8, 8), shaped(4, 8), weights=0).names
    assert "layer/dot_general_1" in names and not any("(" in name for name in names)


# --- Scans --------------------------------------------------------------------------------------------------------


def layers(p: Any, x: Any) -> Any:
    return lax.scan(lambda h, w: (jnp.tanh(h @ w["up"] @ w["down"]), h.sum()), x, p)


STACKED = {"up": shaped(6, 32, 64), "down": shaped(6, 64, 32)}


def test_a_scan_over_stacked_weights_is_unrolled() -> None:
    graph = Graph.from_jax(layers, STACKED, shaped(8, 32), weights=0)
    assert graph.op_types.count("dot_general") == 12 and "scan" not in graph.op_types
    assert graph.flops.sum() == pytest.approx(6 * (2 * 2 * 8 * 32 * 64), rel=0.02)
    assert held(graph) == 2 * 6 * 32 * 64 * 4
    assert graph.weights.max() == 32 * 64 * 4
    assert reads(graph, "scan/3/dot_general") == ["scan/2/tanh"]


def test_unrolled_layers_spread_over_chips_and_one_operation_does_not() -> None:
    hardware = load_hardware("ring4:memory=off")
    weights, x = shaped(8, 512, 512), shaped(64, 512)

    def model(p: Any, x: Any) -> Any:
        return lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, p)[0]

    spread, whole = (
        partition(Graph.from_jax(model, weights, x, weights=0, unroll=unroll), hardware, time_limit=10)
        for unroll in (True, False)
    )
    assert spread.period < 0.4 * whole.period


def test_layers_cast_before_the_scan_are_unrolled_too() -> None:
    """Parameters of half the precision are computed once, and every layer holds its own."""

    def half(p: Any, x: Any) -> Any:
        p = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), p)
        return lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, p)[0]

    graph = Graph.from_jax(half, shaped(3, 8, 8), shaped(4, 8, dtype=jnp.bfloat16), weights=0)
    products = [v for v, kind in enumerate(graph.op_types) if kind == "dot_general"]
    assert graph.weights[products].tolist() == [8 * 8 * 2] * 3
    drawn = Graph.from_jax(lambda x: lax.scan(lambda h, i: (h * i, None), x, jnp.arange(4.0))[0], shaped(4))
    assert drawn.op_types == ("Input", "scan")


def test_whoever_reads_all_layers_holds_the_slices_that_the_steps_hold() -> None:
    """Both were counted beside one another, which made models infeasible that fit."""

    def model(p: Any, x: Any) -> Any:
        return lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, p)[0] + (p * x.sum()).sum()

    assert held(Graph.from_jax(model, shaped(3, 8, 8), shaped(4, 8), weights=0)) == 3 * 8 * 8 * 4


def test_a_reversed_scan_starts_at_its_last_layer() -> None:
    def model(p: Any, x: Any) -> Any:
        return lax.scan(lambda h, w: (h @ w, None), x, p, reverse=True)[0]

    graph = Graph.from_jax(model, shaped(3, 8, 8), shaped(2, 8), weights=0)
    assert reads(graph, "scan/2/dot_general") == ["x1"] and reads(graph, "scan/0/dot_general") == ["scan/1/dot_general"]


def test_layers_that_also_walk_along_a_cache_read_their_part_of_it() -> None:
    def model(p: Any, cache: Any, x: Any) -> Any:
        return lax.scan(lambda h, wc: (jnp.tanh(h @ wc[0]) + wc[1], h * 2), x, (p, cache))

    graph = Graph.from_jax(model, shaped(3, 8, 8), shaped(3, 2, 8), shaped(2, 8), weights=0)
    sent = dict(zip(graph.tensor_names, graph.tensor_bytes, strict=True))
    assert sent["scan/1/slice"] == 2 * 8 * 4 and reads(graph, "scan/1/slice") == ["x1"]
    assert sent["scan/stack"] == 3 * 2 * 8 * 4 and len(reads(graph, "scan/stack")) == 3


def test_control_flow_that_depends_on_data_inside_a_scan_is_refused() -> None:
    def loop(p: Any, x: Any) -> Any:
        def body(h: Any, w: Any) -> Any:
            return lax.while_loop(lambda c: c[0] < 10, lambda c: (c[0] + 1, jnp.tanh(c[1] @ w)), (0, h))[1], None

        return lax.scan(body, x, p)[0]

    def branch(p: Any, x: Any) -> Any:
        return lax.scan(lambda h, w: (lax.cond(h.sum() > 0, lambda: h @ w, lambda: h), None), x, p)[0]

    for function, named in ((loop, "'while' in the body of 'scan'"), (branch, "'cond' in the body of 'scan'")):
        with pytest.raises(InvalidModelFile, match=named):
            Graph.from_jax(function, shaped(4, 8, 8), shaped(2, 8), weights=0)


def test_a_branch_that_does_not_depend_on_data_is_inlined() -> None:
    """``jnp.diagonal`` asks for the platform; a stated condition is settled too, in a scan and out of it."""
    x, p = shaped(8, 8), shaped(3, 8, 8)
    for function in (jnp.diagonal, jnp.linalg.det, jnp.trace):
        assert "cond" not in Graph.from_jax(function, x).op_types
    stated = Graph.from_jax(lambda x: lax.cond(True, lambda x: x @ x, lambda x: x, x), x)
    assert stated.op_types == ("Input", "dot_general") and stated.flops.tolist() == [0, 2 * 8**3]

    def step(h: Any, w: Any) -> Any:
        return lax.platform_dependent(h, cuda=lambda h: h, default=lambda h: h @ w), None

    for unroll in (True, False):
        graph = Graph.from_jax(lambda p, x: lax.scan(step, x, p)[0], p, x, weights=0, unroll=unroll)
        assert graph.flops.sum() == 3 * 2 * 8**3


@pytest.mark.parametrize("unroll", [True, False])
def test_what_all_steps_of_a_scan_share_is_computed_once(unroll: bool) -> None:
    """Of weights and numbers alone it is a constant, which takes no time; of inputs it is an operation before."""
    w, x, h = shaped(8, 8), shaped(5, 8), shaped(8)

    def scanned(w: Any, x: Any, h: Any) -> Any:
        return lax.scan(lambda h, x: (jnp.tanh(h @ (w @ w) + x), w.sum()), h, x)

    constant = Graph.from_jax(scanned, w, x, h, weights=0, unroll=unroll)
    assert constant.flops.sum() == 5 * (2 * 8**2 + 8 + 8) and constant.weights.sum() == 4 * (8**2 + 1)
    varying = Graph.from_jax(scanned, w, x, h, unroll=unroll)
    flops = dict(zip(varying.names, varying.flops.tolist(), strict=True))
    assert flops["scan/dot_general"] == 2 * 8**3 and flops["scan/reduce_sum"] == 8**2
    assert flops["scan"] == 5 * (2 * 8**2 + 8 + 8)
    closed = jnp.linspace(0.0, 1.0, 64).reshape(8, 8)
    over = Graph.from_jax(lambda x, h: lax.scan(lambda h, x: (jnp.exp(closed) @ h + x, None), h, x), x, h)
    assert over.flops.sum() == 5 * (2 * 8**2 + 8) and over.weights.sum() == 4 * 8**2


# --- Costs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index",
    [
        lambda: jnp.int32(1),
        lambda: jnp.array(3) - 2,
        lambda: jnp.where(True, 1, 0),
        lambda: jnp.int32(jnp.bfloat16(0.5) * 2),
    ],
)
def test_a_branch_whose_number_follows_from_numbers_is_inlined(index: Any) -> None:
    branches = [lambda x: x, lambda x: x @ x, lambda x: jnp.tanh(x @ x) @ x]
    for around in (lambda f: f, jax.jit, jax.checkpoint):
        graph = Graph.from_jax(around(lambda x: lax.switch(index(), branches, x)), shaped(8, 8))
        assert [kind for kind in graph.op_types if kind == "dot_general"] == ["dot_general"]


def test_keys_of_random_numbers_are_no_numbers() -> None:
    graph = Graph.from_jax(lambda x: x * jax.random.bernoulli(jax.random.key(0), 0.5, (4,)), shaped(4))
    assert "mul" in graph.op_types


def test_experts_count_each_row_once() -> None:
    def experts(w: Any, x: Any, sizes: Any) -> Any:
        return lax.ragged_dot(x, w, sizes)

    args = shaped(8, 64, 128), shaped(32, 64), shaped(8, dtype=jnp.int32)
    graph = Graph.from_jax(experts, *args, weights=0)
    assert graph.flops.sum() == 2 * 32 * 64 * 128 and graph.unknown_operators == ()
    gradient = Graph.from_jax(jax.grad(lambda *a: experts(*a).sum()), *args, weights=0)
    products = [f for f, kind in zip(gradient.flops, gradient.op_types, strict=True) if "ragged" in kind]
    assert products == [2 * 32 * 64 * 128] * len(products) and len(products) >= 1


LOOKUPS: dict[str, tuple[Any, tuple[Any, ...], float]] = {
    "gather": (lambda e, t: e[t], (shaped(30_000, 64), shaped(1, 128, dtype=jnp.int32)), 2 * 128 * 64 * 4),
    "dynamic_slice": (lambda e, i: lax.dynamic_slice(e, (i, 0), (3, 64)),
                      (shaped(30_000, 64), shaped(dtype=jnp.int32)), 2 * 3 * 64 * 4),
    "dynamic_update_slice": (lambda e, i: lax.dynamic_update_slice(e, jnp.ones((3, 64)), (i, 0)),
                             (shaped(30_000, 64), shaped(dtype=jnp.int32)), 2 * 3 * 64 * 4),
    "scatter-add": (lambda e, i: e.at[i].add(1.0), (shaped(30_000, 64), shaped(5, dtype=jnp.int32)), 3 * 5 * 64 * 4),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(LOOKUPS))
def test_lookups_and_writes_count_the_rows_they_touch(kind: str) -> None:
    function, args, right = LOOKUPS[kind]
    graph = Graph.from_jax(function, *args)
    assert right <= graph.bytes_accessed[graph.op_types.index(kind)] <= right + 2000


def test_a_product_of_scaled_blocks_counts_its_multiply_adds_and_scalings() -> None:
    a, b = (shaped(1, rows, 64, dtype=jnp.float8_e4m3fn) for rows in (32, 16))
    scales = [shaped(1, rows, 2, dtype=jnp.float8_e8m0fnu) for rows in (32, 16)]
    graph = Graph.from_jax(jax.nn.scaled_matmul, a, b, *scales)
    assert graph.flops.sum() == 32 * 16 * (2 * 64 + 2) and graph.unknown_operators == ()


def test_products_read_transposed_tensors_along_their_strides() -> None:
    x, y = shaped(8, 4), shaped(16, 8)
    folded = Graph.from_jax(lambda x, y: x.T @ y.T, x, y)
    assert {kind for kind, size in zip(folded.op_types, folded.bytes_accessed, strict=True) if size} == {"dot_general"}
    for function in (lambda x, y: (x.T @ y.T, x.T), lambda x, y: x.T @ y.T + x.T.sum()):
        kept = Graph.from_jax(function, x, y)
        moved = [size for kind, size in zip(kept.op_types, kept.bytes_accessed, strict=True) if kind == "transpose"]
        assert max(moved) == 2 * 8 * 4 * 4


def test_printing_costs_nothing() -> None:
    graph = Graph.from_jax(lambda x: (jax.debug.print("{}", x), x + 1)[1], shaped(8))
    assert graph.flops.sum() == 8 and graph.unknown_operators == ()


def test_what_the_table_lacks_is_asked_of_xla_and_what_xla_lacks_is_named() -> None:
    fourier = Graph.from_jax(lambda x: jnp.abs(lax.fft(x + 0j, "fft", (64,))), shaped(8, 64))
    v = fourier.op_types.index("fft")
    assert fourier.flops[v] > 4 * 64 * 8 and fourier.unknown_operators == ()

    def told(x: Any) -> Any:
        return jax.pure_callback(lambda y: y, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    strange = Graph.from_jax(told, shaped(8, 64))
    assert strange.unknown_operators == ("pure_callback",)


def test_what_nobody_reads_is_left_out() -> None:
    """A gradient needs no value of the function, a checkpointed one no forward pass at all."""
    w, x = shaped(16, 16), shaped(8, 16)

    def loss(w: Any, x: Any) -> Any:
        return jax.checkpoint(lambda w: jnp.tanh(jnp.tanh(x @ w) @ w))(w).sum()

    assert Graph.from_jax(jax.grad(loss), w, x, weights=0).op_types.count("dot_general") == 5
    assert Graph.from_jax(lambda x: (x @ x, x + 1)[1], shaped(8, 8)).op_types == ("Input", "add")


def test_writes_in_place_are_refused() -> None:
    """Nothing says which read of a reference comes after which write."""

    def swapped(x: Any) -> Any:
        ref = jax.new_ref(jnp.zeros(8))
        ref[...] = 2 * x
        return ref[...]

    with pytest.raises(InvalidModelFile, match="written in place"):
        Graph.from_jax(swapped, shaped(8))


def test_a_kernel_costs_what_its_author_says_and_is_named_otherwise() -> None:
    """XLA counts one step of the loop that a kernel is run in."""
    from jax.experimental import pallas

    def kernel(given: Any, made: Any) -> None:
        made[...] = given[...] + 1

    def called(**options: Any) -> Graph:
        whole = jax.ShapeDtypeStruct((32, 16), jnp.float32)
        return Graph.from_jax(pallas.pallas_call(kernel, out_shape=whole, interpret=True, **options), shaped(32, 16))

    said = pallas.CostEstimate(flops=1000, transcendentals=24, bytes_accessed=4096)
    assert called().unknown_operators == ("pallas_call",)
    stated = called(cost_estimate=said)
    assert stated.unknown_operators == () and (stated.flops[1], stated.bytes_accessed[1]) == (1024, 4096)


def test_loops_that_xla_counts_one_step_of_are_named() -> None:
    graph = Graph.from_jax(lambda x: jax.scipy.special.gammainc(x, x), shaped(8))
    assert graph.unknown_operators == ("igamma",)


def test_loops_inside_a_solver_are_found() -> None:
    def solve(a: Any, b: Any) -> Any:
        return jax.scipy.sparse.linalg.cg(lambda x: a @ x, b, maxiter=3)[0]

    with pytest.raises(InvalidModelFile, match="'while' in the body of 'custom_linear_solve'"):
        Graph.from_jax(solve, shaped(8, 8), shaped(8))


def test_a_table_that_every_step_looks_a_row_up_in_is_not_read_whole() -> None:
    def summed(e: Any, tokens: Any) -> Any:
        return lax.scan(lambda h, i: (h + e[i], None), jnp.zeros(64), tokens)[0]

    graph = Graph.from_jax(summed, shaped(30_000, 64), shaped(5, dtype=jnp.int32), weights=0)
    assert graph.bytes_accessed.sum() == 5 * 64 * 4 + 5 * 4 + 2 * 64 * 4


COUNTED: dict[str, Any] = {
    "windows": lambda x: lax.reduce_window(x, 0.0, lax.add, (2, 2), (2, 2), "VALID"),
    "windows of two steps": lambda x: lax.reduce_window(x, 1.0, lambda a, b: a * b + 1, (3, 3), (1, 1), "SAME"),
    "sigmoid": jax.nn.sigmoid,
    "select": lambda x: jnp.where(x > 0, x, 2 * x),
    "cast": lambda x: x.astype(jnp.bfloat16),
    "powers": lambda x: x**1 + x**2 + x**-3,
    "composite": lax.composite(lambda x: jnp.sin(x) * 2, "my.kernel"),
}


@pytest.mark.parametrize("kind", list(COUNTED))
def test_flops_are_those_of_xla(kind: str) -> None:
    x = shaped(32, 32)
    counted = jax.jit(COUNTED[kind]).lower(x).cost_analysis()
    right = counted.get("flops", 0) + counted.get("transcendentals", 0)
    assert Graph.from_jax(COUNTED[kind], x).flops.sum() == pytest.approx(right, rel=0.02)


# --- Train steps --------------------------------------------------------------------------------------------------


def forward(p: Any, x: Any) -> Any:
    for w in p["layers"]:
        x = jnp.tanh(x @ w)
    return x @ p["head"]


def loss(p: Any, x: Any, t: Any) -> Any:
    return ((forward(p, x) - t) ** 2).mean()


PARAMS = {"layers": [shaped(64, 64)] * 3, "head": shaped(64, 8)}
BATCH = shaped(16, 64), shaped(16, 8)


def sgd(p: Any, x: Any, t: Any) -> Any:
    return jax.tree.map(lambda a, b: a - 0.1 * b, p, jax.grad(loss)(p, x, t))


def momentum(state: Any, x: Any, t: Any) -> Any:
    value, gradients = jax.value_and_grad(loss)(state["params"], x, t)
    scale = jnp.minimum(1.0, 1.0 / sum((g**2).sum() for g in jax.tree.leaves(gradients)))
    mean = jax.tree.map(lambda m, g: 0.9 * m + scale * g, state["mean"], gradients)
    rate = 0.1 / (1 + state["step"])
    params = jax.tree.map(lambda p, m: p - rate * m, state["params"], mean)
    return {"params": params, "mean": mean, "step": state["step"] + 1}, value


STATE = {"params": PARAMS, "mean": PARAMS, "step": shaped(dtype=jnp.int32)}


def split_state(p: Any, m: Any, x: Any, t: Any) -> Any:
    new, _ = momentum({"params": p, "mean": m, "step": 1}, x, t)
    return new["params"], new["mean"]


STEPS: dict[str, tuple[Any, tuple[Any, ...], Any]] = {
    "sgd": (sgd, (PARAMS, *BATCH), 0),
    "momentum": (momentum, (STATE, *BATCH), 0),
    "state in two arguments": (split_state, (PARAMS, PARAMS, *BATCH), [0, 1]),
    "gradients alone": (jax.grad(loss), (PARAMS, *BATCH), 0),
    "loss and gradients": (jax.value_and_grad(loss), (PARAMS, *BATCH), 0),
    "gradients of a part": (lambda s, x, t: jax.grad(loss)(s["params"], x, t), (STATE, *BATCH), 0),
}


@pytest.mark.parametrize("name", list(STEPS))
def test_a_weight_its_gradient_and_its_update_share_a_chip(name: str) -> None:
    function, args, weights = STEPS[name]
    graph = Graph.from_jax(function, *args, weights=weights)
    assert graph.backward.any() and not graph.backward[graph.op_types.index("dot_general")]
    result = partition(graph, load_hardware("ring3:memory=off"), time_limit=10, gap=0.1)
    matrices = 0
    for i, weight in enumerate(graph.shared_names):
        users = graph.shared_users[graph.shared_ptr[i] : graph.shared_ptr[i + 1]]
        if not weight.startswith("stash:") and graph.shared_bytes[i] > 4:
            assert len({result.assignment[graph.names[u]] for u in users}) == 1, weight
            matrices += 1
    assert matrices >= 3


def test_a_step_counter_binds_nothing_together() -> None:
    """Every chip can keep its own: the new value follows from the old one alone."""
    graph = Graph.from_jax(momentum, STATE, *BATCH, weights=0)
    assert len({group for group in graph.group.tolist() if group >= 0}) == 8


def swapped(target: Any, p: Any, x: Any) -> Any:
    """A second network of the same structure is only read."""
    gradient = jax.grad(lambda q: loss(q, x, forward(target, x)))(p)
    return jax.tree.map(lambda w, g: w - 0.1 * g, p, gradient)


def statistics(p: Any, seen: Any, x: Any, t: Any) -> Any:
    """Running statistics come back beside the parameters."""
    return sgd(p, x, t), {"mean": 0.9 * seen["mean"] + 0.1 * x.mean(0), "steps": seen["steps"] + 1}


SEEN = {"mean": shaped(64), "steps": shaped()}
WRONG: dict[str, tuple[Any, tuple[Any, ...], Any, str]] = {
    "none": (sgd, (PARAMS, *BATCH), (), r"of \"x0.*weights="),
    "the batch": (sgd, (PARAMS, *BATCH), 1, r"of \"x0.*weights="),
    "parameters without the optimizer": (split_state, (PARAMS, PARAMS, *BATCH), 0, r"of \"x1.*weights="),
    "the optimizer alone": (split_state, (PARAMS, PARAMS, *BATCH), 1, r"of \"x0.*weights="),
    "the network that is only read": (swapped, (PARAMS, PARAMS, BATCH[0]), 0, r"of \"x1.*weights="),
    "parameters without statistics": (statistics, (PARAMS, SEEN, *BATCH), 0, r"of \"x1.*weights="),
    "one array": (lambda w, x: w - jax.grad(lambda v: (x @ v).sum())(w), (shaped(8, 4), shaped(2, 8)), (), "of 'x0'"),
    "another order": (lambda p, x, t: jax.tree.leaves(sgd(p, x, t))[::-1], (PARAMS, *BATCH), 0, "structure"),
    "one vector": (lambda p, x, t: ravel_pytree(jax.grad(loss)(p, x, t))[0], (PARAMS, *BATCH), 0, "structure"),
    "another number type": (
        lambda p, x, t: jax.grad(loss)(jax.tree.map(lambda w: w.astype(jnp.bfloat16), p), x, t),
        (PARAMS, *BATCH),
        0,
        "structure",
    ),
    "arrays of its own": (
        lambda x, t: jax.grad(loss)(jax.tree.map(lambda w: np.zeros(w.shape, w.dtype), PARAMS), x, t),
        BATCH,
        (),
        "closes over",
    ),
}


@pytest.mark.parametrize("named", list(WRONG))
def test_a_train_step_that_does_not_tell_of_its_weights_is_refused(named: str) -> None:
    function, args, weights, said = WRONG[named]
    with pytest.raises(InvalidModelFile, match=said):
        Graph.from_jax(function, *args, weights=weights)


def test_a_gradient_by_an_input_alone_is_inference_and_said_to_be() -> None:
    """Forces are the derivative of an energy by positions: no weight changes, so no order is given up."""

    def forces(p: Any, x: Any) -> Any:
        return jax.grad(lambda y: jnp.tanh(y["at"] @ p["layers"][0] + y["by"]).sum())(x)

    with pytest.warns(DoubtfulModel, match="backward pass"):
        graph = Graph.from_jax(forces, PARAMS, {"at": shaped(16, 64), "by": shaped(16, 1)}, weights=0)
    assert not graph.backward.any() and (graph.group < 0).all()


def test_a_cache_that_comes_back_shares_a_chip_with_what_writes_it() -> None:
    def decode(p: Any, cache: Any, x: Any, i: Any) -> Any:
        cache = jax.tree.map(lambda c: lax.dynamic_update_slice(c, x @ p, (i, 0)), cache)
        return jnp.tanh((cache["k"] * cache["v"]).sum(0)), cache

    cache = {"k": shaped(32, 8), "v": shaped(32, 8)}
    graph = Graph.from_jax(decode, shaped(8, 8), cache, shaped(1, 8), shaped(dtype=jnp.int32), weights=[0, 1])
    writers = [v for v, kind in enumerate(graph.op_types) if kind == "dynamic_update_slice"]
    assert len({graph.group[v] for v in writers}) == 2 and all(graph.group[v] >= 0 for v in writers)


def test_a_result_with_the_shape_of_a_weight_is_no_new_weight() -> None:
    graph = Graph.from_jax(lambda w, x: jnp.tanh(x @ w), shaped(8, 8), shaped(8, 8), weights=0)
    assert (graph.group < 0).all()


# --- dense linear algebra, functions that are cut for devices


def test_a_library_that_xla_calls_is_not_taken_for_free() -> None:
    """XLA's analysis counts a factorisation by LAPACK as next to nothing; the right values are textbook counts."""
    n, columns = 32, 4
    matrix, right = shaped(n, n), shaped(n, columns)
    programs: list[tuple[Any, tuple[Any, ...], float]] = [
        (jnp.linalg.cholesky, (matrix,), n**3 / 3),
        (jnp.linalg.solve, (matrix, right), 2 / 3 * n**3 + 2 * n * n * columns),
        (jnp.linalg.eigh, (matrix,), 9 * n**3),
        (lambda a: jnp.linalg.svd(a, compute_uv=False), (matrix,), 8 / 3 * n**3),
    ]
    for function, args, expected in programs:
        graph = Graph.from_jax(function, *args)
        assert graph.unknown_operators == ()
        assert expected <= graph.flops.sum() <= expected + 6 * n * n


def test_a_function_cut_for_one_device_is_inlined_and_one_for_several_is_refused() -> None:
    def cut(devices: int) -> Any:
        mesh, spec = jax.sharding.AbstractMesh((devices,), ("i",)), jax.sharding.PartitionSpec
        return jax.shard_map(
            lambda w, x: jax.lax.psum(x @ w, "i"), mesh=mesh, in_specs=(spec(), spec(None, None)), out_specs=spec()
        )

    graph = Graph.from_jax(cut(1), shaped(64, 32), shaped(8, 64), weights=0)
    assert (graph.flops.sum(), graph.unknown_operators) == (2 * 8 * 64 * 32, ())
    assert graph.weights.sum() == 64 * 32 * 4
    with pytest.raises(InvalidModelFile, match="'shard_map' in the function is cut for 2 devices already"):
        Graph.from_jax(cut(2), shaped(64, 32), shaped(8, 64), weights=0)
