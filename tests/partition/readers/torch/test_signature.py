"""Programs that train or keep state: what shares a chip, what is backward, what is stashed; files and refusals."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partition import Graph, InvalidModelFile, load_hardware, load_model, partition

torch = pytest.importorskip("torch")
nn = torch.nn


class Tower(nn.Module):  # type: ignore[misc, name-defined]
    """Layers and a loss; a convolution whose input wants no gradient, so that its backward has a None among results."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)
        self.layers = nn.ModuleList([nn.Linear(72, 72), nn.Linear(72, 72)])

    def forward(self, x: Any, target: Any) -> Any:
        x = self.norm(self.conv(x)).flatten(1)
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return ((x - target) ** 2).mean()


@cache
def joint() -> Any:
    experimental = pytest.importorskip("torch.export.experimental")
    args = (torch.zeros(4, 1, 8, 8), torch.zeros(4, 72))
    return experimental._export_forward_backward(torch.export.export(Tower().train(), args))


def chips_of_weights(graph: Graph, assignment: dict[str, int]) -> dict[str, set[int]]:
    ptr, users = graph.shared_ptr, graph.shared_users
    return {
        name: {assignment[graph.names[u]] for u in users[ptr[i] : ptr[i + 1]]}
        for i, name in enumerate(graph.shared_names)
        if not name.startswith("stash:")
    }


def test_the_backward_pass_is_flagged_and_a_weight_shares_a_chip_with_its_gradient() -> None:
    program = joint()
    graph = Graph.from_torch(program)
    loss = graph.names.index(next(name for name in graph.names if name.endswith("mean")))
    assert graph.backward.any() and not graph.backward[loss]
    assert not graph.backward[graph.op_types.index("convolution")]
    assert graph.backward[graph.op_types.index("convolution_backward")]
    for gradient, parameter in program.graph_signature.backward_signature.gradients_to_parameters.items():
        makers = {graph.names[graph.producer[t]] for t, name in enumerate(graph.tensor_names)
                  if name.partition(".")[0] == gradient}  # fmt: skip
        groups = {graph.group[graph.index[name]] for name in makers}
        assert groups <= set(graph.group[graph.group >= 0].tolist()), parameter
    result = partition(graph, load_hardware("ring3:memory=off"), work_limit=0.5, gap=0.5)
    assert all(len(chips) == 1 for chips in chips_of_weights(graph, result.assignment).values())


def test_a_none_among_results_shifts_nothing() -> None:
    """``convolution_backward`` returns (None, weight gradient, bias gradient)."""
    graph = Graph.from_torch(joint())
    size = dict(zip(graph.tensor_names, graph.tensor_bytes, strict=True))
    call = next(name for name in size if name.startswith("convolution_backward")).partition(".")[0]
    assert f"{call}.0" not in size
    assert (size[f"{call}.1"], size[f"{call}.2"]) == (2 * 9 * 4, 2 * 4)


def test_what_the_backward_pass_reads_again_is_stashed() -> None:
    graph = Graph.from_torch(joint())
    stashed = {name for name in graph.shared_names if name.startswith("stash:")}
    read = {
        graph.tensor_names[t]
        for t, w in zip(graph.edge_tensor.tolist(), graph.consumers.tolist(), strict=True)
        if graph.backward[w] and not graph.backward[graph.producer[t]] and graph.tensor_bytes[t]
    }
    assert stashed <= {f"stash:{name}" for name in read} and stashed


def test_operations_that_read_two_trained_weights_join_their_groups() -> None:
    graph = Graph.from_torch(joint())
    products = [v for v, kind in enumerate(graph.op_types) if kind == "addmm"]
    assert all(graph.group[v] >= 0 for v in products) and len({graph.group[v] for v in products}) == len(products)


def test_saved_programs_are_models(tmp_path: Path) -> None:
    program = torch.export.export(nn.Sequential(nn.Linear(8, 16), nn.ReLU()), (torch.zeros(2, 8),))
    torch.export.save(program, tmp_path / "two.pt2")
    source = load_model(str(tmp_path / "two.pt2"))
    assert source.format == "torch" and source.graph.name == "two"
    assert np.array_equal(source.graph.flops, Graph.from_torch(program).flops)


def test_other_files_of_pytorch_are_refused_by_name(tmp_path: Path) -> None:
    module, x = nn.Linear(4, 4), torch.zeros(1, 4)
    torch.jit.save(torch.jit.trace(module, x), tmp_path / "traced.pt")
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    torch.save(module.state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "cut.pt2").write_bytes((tmp_path / "weights.pt").read_bytes()[:200])
    inside = {"keras": ["config.json", "model.weights.h5"], "onnx.zip": ["a/model.onnx"], "npz": ["a.npy", "b.npy"]}
    for file, names in inside.items():
        with zipfile.ZipFile(tmp_path / file, "w") as archive:
            for name in names:
                archive.writestr(name, "{}")
    said = {"traced.pt": "torch.jit", "weights.pt": "torch.save", "old.pt": "pickled", "cut.pt2": "damaged",
            "keras": "Keras", "onnx.zip": "unpack it first", "npz": "arrays of numpy"}  # fmt: skip
    for file, word in said.items():
        with pytest.raises(InvalidModelFile, match=word):
            load_model(str(tmp_path / file))


def test_programs_of_torch_jit_are_refused_in_a_sentence() -> None:
    module, x = nn.Linear(4, 4), torch.zeros(1, 4)
    for program in (torch.jit.trace(module, x), torch.jit.script(module), torch.jit.trace(torch.relu, x)):
        with pytest.raises(InvalidModelFile, match=r"torch\.export\.export"):
            Graph.from_torch(program)


def test_control_flow_inside_a_region_is_refused() -> None:
    class Inside(nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            with torch.no_grad():
                return torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y * 2, (x,))

    with pytest.raises(InvalidModelFile, match=r"torch\.cond"):
        Graph.from_torch(torch.export.export(Inside(), (torch.zeros(3),)))


def test_what_depends_on_constants_alone_is_computed_once() -> None:
    """A rotary table, a cast weight, a stacked parameter: no operations, and weights of whoever reads them."""

    class Rotary(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.stacked = nn.Parameter(torch.zeros(2, 8, 8))

        def forward(self, x: Any) -> Any:
            angles = torch.arange(4.0)[:, None] / 10 ** torch.arange(8.0)
            half = (x * angles.cos()).bfloat16()
            return half @ self.stacked[0].bfloat16() + half @ self.stacked[1].bfloat16()

    graph = Graph.from_torch(torch.export.export(Rotary(), (torch.zeros(4, 8),)))
    assert graph.op_types == ("Input", "mul", "_to_copy", "matmul", "matmul", "add")
    assert graph.weights.tolist() == [0, 4 * 8 * 4, 0, 8 * 8 * 2, 8 * 8 * 2, 0]
    assert graph.unknown_operators == ()


def test_random_numbers_and_what_follows_from_state_are_computed_every_time() -> None:
    class Counts(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("steps", torch.zeros(8))

        def forward(self, x: Any) -> Any:
            self.steps.add_(1)
            return x + torch.cos(self.steps) + torch.rand(8)

    kinds = Graph.from_torch(torch.export.export(Counts(), (torch.zeros(8),))).op_types
    assert {"cos", "rand"} <= set(kinds)


def test_only_counters_are_kept_by_every_chip() -> None:
    """A matrix that decays by itself has one copy; its readers share a chip with what overwrites it."""

    class Decays(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("w", torch.zeros(8, 8))
            self.register_buffer("steps", torch.zeros((), dtype=torch.long))

        def forward(self, x: Any) -> Any:
            self.steps.add_(1)
            y = x @ self.w * self.steps
            self.w.mul_(0.9)
            return y

    graph = Graph.from_torch(torch.export.export(Decays(), (torch.zeros(4, 8),)))
    group = dict(zip(graph.op_types, graph.group.tolist(), strict=True))
    assert group["matmul"] >= 0 and group["add"] < 0


# --- Backward passes of which the signature says nothing


class Layers(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x: Any) -> Any:
        return self.down(torch.relu(self.up(x)))


def traced(function: Callable[..., Any], *args: Any) -> Any:
    """What PyTorch exports of a function once its derivatives have been traced."""
    from torch.fx.experimental.proxy_tensor import make_fx

    return torch.export.export(make_fx(function)(*args), args)


def gradients(params: Any, x: Any) -> Any:
    return torch.func.grad(lambda p: torch.func.functional_call(LAYERS, p, (x,)).pow(2).mean())(params)


def own_gradients(x: Any) -> Any:
    return gradients({name: value.detach() for name, value in LAYERS.named_parameters()}, x)


def forces(x: Any) -> Any:
    params = {name: value.detach() for name, value in LAYERS.named_parameters()}
    return torch.func.grad(lambda y: torch.func.functional_call(LAYERS, params, (y,)).sum())(x)


class Overwrites(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("w", torch.zeros(8, 8))

    def forward(self, x: Any) -> Any:
        y = torch.relu(x @ self.w)
        self.w.sub_(x.t() @ torch.ops.aten.threshold_backward(torch.ones(3, 8), y, 0))
        return y.mean()


LAYERS, X = Layers(), torch.zeros(3, 8)
TRAINS: dict[str, tuple[Callable[[], Any], str]] = {
    "parameters are inputs": (lambda: traced(gradients, dict(LAYERS.named_parameters()), X), "the shape of 'params"),
    "parameters are its own": (lambda: traced(own_gradients, X), "the shape of '_param_constant0'"),
    "decomposed": (lambda: traced(own_gradients, X).run_decompositions(), "of all 4 parameters"),
    "overwritten": (lambda: torch.export.export(Overwrites(), (X,)), "'w' is overwritten"),
}


@pytest.mark.parametrize("kind", list(TRAINS))
def test_a_backward_pass_that_the_signature_does_not_tell_of_is_refused(kind: str) -> None:
    make, said = TRAINS[kind]
    with pytest.raises(InvalidModelFile, match=said):
        Graph.from_torch(make())


def test_a_gradient_by_an_input_alone_is_inference() -> None:
    graph = Graph.from_torch(traced(forces, X))
    assert "threshold_backward" in graph.op_types and not graph.backward.any()


def test_the_backward_pass_of_attention_counts_five_products() -> None:
    class Attention(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(8))

        def forward(self, x: Any) -> Any:
            return nn.functional.scaled_dot_product_attention(x * self.scale, x, x).mean()

    experimental = pytest.importorskip("torch.export.experimental")
    program = experimental._export_forward_backward(torch.export.export(Attention(), (torch.zeros(2, 3, 16, 8),)))
    graph = Graph.from_torch(program)
    v = next(i for i, kind in enumerate(graph.op_types) if "attention" in kind and kind.endswith("backward"))
    assert graph.unknown_operators == ()
    assert graph.flops[v] == 2 * 3 * 16 * 16 * (5 * 2 * 8 + 9)


@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
def test_sparse_tensors_are_refused(layout: str) -> None:
    """How large they are depends on their data."""

    class Sparse(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("w", getattr(torch.eye(8), layout)())

        def forward(self, x: Any) -> Any:
            return torch.sparse.mm(self.w, x)

    with pytest.raises(InvalidModelFile, match="layout sparse_"):
        Graph.from_torch(torch.export.export(Sparse(), (torch.zeros(8, 2),)))
