"""What calls of a PyTorch program cost: products by PyTorch's own count, lookups by the rows they touch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from partition import Graph, load_hardware

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional


class Function(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Any:
        return self.function(*args)


def graph_of(function: Any, *args: Any) -> Graph:
    module = function if isinstance(function, nn.Module) else Function(function)
    return Graph.from_torch(torch.export.export(module.eval(), args))


def zeros(*shape: int, dtype: Any = None) -> Any:
    return torch.zeros(shape, dtype=dtype)


PRODUCTS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], float]] = {
    "tensordot": (lambda a, b: torch.tensordot(a, b, dims=1), (zeros(64, 128), zeros(128, 32)), 2 * 64 * 128 * 32),
    "inner": (torch.inner, (zeros(64, 128), zeros(32, 128)), 2 * 64 * 128 * 32),
    "addbmm": (torch.addbmm, (zeros(64, 32), zeros(4, 64, 128), zeros(4, 128, 32)), 2 * 4 * 64 * 128 * 32),
    "bilinear": (functional.bilinear, (zeros(64, 32), zeros(64, 16), zeros(8, 32, 16)),
                 2 * 64 * 8 * 32 * 16 + 2 * 64 * 8 * 16),
    "_int_mm": (torch._int_mm, (zeros(64, 128, dtype=torch.int8), zeros(128, 32, dtype=torch.int8)),
                2 * 64 * 128 * 32),
    "cdist": (torch.cdist, (zeros(128, 64), zeros(96, 64)), 2 * 128 * 96 * 64),
    "addmv": (torch.addmv, (zeros(64), zeros(64, 128), zeros(128)), 2 * 64 * 128),
    "dot": (torch.dot, (zeros(128), zeros(128)), 2 * 128),
    "chain of two": (lambda a, b: torch.linalg.multi_dot([a, b]), (zeros(64, 128), zeros(128, 32)), 2 * 64 * 128 * 32),
    "conv1d same": (lambda x, w: functional.conv1d(x, w, padding="same"), (zeros(2, 8, 40), zeros(4, 8, 5)),
                    2 * 2 * 4 * 40 * 8 * 5),
    "qr": (lambda a: torch.linalg.qr(a)[1], (zeros(64, 16),), 4 * 16 * 16 * (64 - 16 / 3)),
    "singular values": (torch.linalg.svdvals, (zeros(64, 16),), 4 * 16 * 16 * (64 - 16 / 3)),
    "eigenvalues": (torch.linalg.eigvalsh, (zeros(3, 16, 16),), 3 * 4 / 3 * 16**3),
    "grouped queries": (lambda q, k: functional.scaled_dot_product_attention(q, k, k, enable_gqa=True),
                        (zeros(1, 8, 16, 32), zeros(1, 2, 16, 32)), 8 * 16 * 16 * (4 * 32 + 6)),
    "attention that may draw": (lambda q: torch.ops.aten._scaled_dot_product_attention_math(q, q, q)[0],
                                (zeros(1, 8, 16, 32),), 8 * 16 * 16 * (4 * 32 + 6)),
    "conv_tbc": (lambda x, w, b: torch.conv_tbc(x, w, b, 1), (zeros(10, 2, 4), zeros(3, 4, 6), zeros(6)),
                 10 * 2 * 6 * (2 * 3 * 4 + 1)),
    "reflections": (lambda a, t: torch.linalg.householder_product(a, t), (zeros(64, 16), zeros(16)),
                    2 * 16 * 16 * (64 - 16 / 3)),
    "solve by factors": (torch.linalg.lu_solve, (zeros(8, 8), zeros(8, dtype=torch.int32), zeros(8, 3)), 2 * 64 * 3),
    "searchsorted": (torch.searchsorted, (zeros(63), zeros(500)), 500 * 6),
    "bucketize": (torch.bucketize, (zeros(500), zeros(63)), 500 * 6),
    "bags with weights": (lambda i, w, p: functional.embedding_bag(i, w, per_sample_weights=p, mode="sum"),
                          (zeros(6, 4, dtype=torch.long), zeros(1000, 16), zeros(6, 4)), 2 * 6 * 4 * 16),
}  # fmt: skip


@pytest.mark.parametrize("name", list(PRODUCTS))
def test_products_count_two_per_multiply_add(name: str) -> None:
    function, args, right = PRODUCTS[name]
    graph = graph_of(function, *args)
    assert graph.flops.sum() == pytest.approx(right, rel=0.02)
    assert graph.unknown_operators == ()


@pytest.mark.parametrize("equation", ["ij,jk,kl->il", "bi,ij,bj->b", "abc,cd,de,b->ae"])
def test_an_einsum_of_several_counts_pair_by_pair(equation: str) -> None:
    """As PyTorch's own counter counts what runs, not the whole index space."""
    from torch.utils.flop_counter import FlopCounterMode

    extent = dict(zip("abcdeijkl", (7, 8, 9, 10, 11, 12, 13, 14, 15), strict=True))
    operands = [zeros(*(extent[label] for label in term)) for term in equation.partition("->")[0].split(",")]
    graph = graph_of(lambda *args: torch.einsum(equation, *args), *operands)
    with FlopCounterMode(display=False) as counter:
        torch.einsum(equation, *operands)
    elementwise = 20 * sum(operand.numel() for operand in operands)
    assert counter.get_total_flops() <= graph.flops.sum() <= counter.get_total_flops() + elementwise


def _experts(x: Any, w: Any, ends: Any) -> Any:
    return torch.stack([row @ w[int((ends <= i).sum())] for i, row in enumerate(x)])


def test_what_pytorch_writes_with_other_operators_is_known() -> None:
    """A loss of its table of decompositions, and an operator on lists of tensors."""
    x = zeros(6, 6)
    for function, least in (
        (lambda x: torch._foreach_addcmul([x, x], [x, x], [x, x], 0.5), 3 * 72),
        (lambda x: torch._foreach_norm([x]), 2 * 36),
        (lambda x: functional.multi_margin_loss(x, torch.arange(6)), 36),
        (lambda x: functional.soft_margin_loss(x, x), 36),
        (torch.pdist, 3 * 15 * 6),
        (lambda x: torch.linalg.slogdet(x)[1], 2 / 3 * 6**3),
        (lambda x: torch.stft(x[0], 4, return_complex=True, window=torch.ones(4)), 2.5 * 7 * 4 * 2),
    ):
        graph = graph_of(function, x)
        assert graph.unknown_operators == () and graph.flops.sum() >= least


def test_experts_count_each_row_once() -> None:
    """Rows in groups with a matrix for each group: 2 x rows x in x out, whatever the number of groups."""
    _experts.__annotations__ = {"x": torch.Tensor, "w": torch.Tensor, "ends": torch.Tensor, "return": torch.Tensor}
    operator = torch.library.custom_op("mcm_partition_tests::grouped_mm", _experts, mutates_args=())
    operator.register_fake(lambda x, w, ends: x.new_empty(x.shape[0], w.shape[2]))
    graph = graph_of(operator, zeros(128, 32), zeros(8, 32, 64), zeros(8, dtype=torch.int32))
    assert graph.flops.sum() == 2 * 128 * 32 * 64 and graph.unknown_operators == ()


def test_an_operator_registered_with_pytorchs_counter_is_known_and_another_is_named() -> None:
    from torch.utils.flop_counter import register_flop_formula

    def twice(x: Any) -> Any:
        return x * 2

    twice.__annotations__ = {"x": torch.Tensor, "return": torch.Tensor}
    for name in ("counted", "strange"):
        operator = torch.library.custom_op(f"mcm_partition_tests::{name}", twice, mutates_args=())
        operator.register_fake(torch.empty_like)
    register_flop_formula(torch.ops.mcm_partition_tests.counted)(lambda shape, out_shape=None, **_: 77)
    counted = graph_of(torch.ops.mcm_partition_tests.counted, zeros(4, 5))
    assert counted.flops.sum() == 77 and counted.unknown_operators == ()
    strange = graph_of(torch.ops.mcm_partition_tests.strange, zeros(4, 5))
    assert strange.flops.sum() == 20 and strange.unknown_operators == ("strange",)


def test_flex_attention_counts_like_attention() -> None:
    from torch.nn.attention.flex_attention import flex_attention

    graph = graph_of(lambda q, k, v: flex_attention(q, k, v), *(zeros(1, 4, 128, 32) for _ in range(3)))
    attention = graph.flops[graph.op_types.index("flex_attention")]
    assert attention == 4 * 128 * 128 * (4 * 32 + 6) and graph.unknown_operators == ()


LOOKUPS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], float]] = {
    "embedding_bag": (lambda w, i: functional.embedding_bag(i, w, mode="sum"),
                      (zeros(10_000, 64), zeros(64, 4, dtype=torch.long)),
                      64 * 4 * (64 * 4 + 8) + 64 * 64 * 4 + 64 * 8),
    "embedding": (lambda w, i: functional.embedding(i, w),
                  (zeros(10_000, 64), zeros(128, dtype=torch.long)), 2 * 128 * 64 * 4 + 128 * 8),
    "gather": (lambda w, i: w.gather(0, i), (zeros(10_000, 64), zeros(2, 64, dtype=torch.long)),
               2 * 2 * 64 * 4 + 2 * 64 * 8),
    "index": (lambda w, i: w[i], (zeros(10_000, 64), zeros(3, dtype=torch.long)), 2 * 3 * 64 * 4 + 3 * 8),
    "index_copy": (lambda w, i: w.index_copy(0, i, torch.ones(3, 64)), (zeros(10_000, 64), zeros(3, dtype=torch.long)),
                   2 * 3 * 64 * 4 + 3 * 8),
    "index_put": (lambda w, i: w.index_put((i,), torch.ones(64)), (zeros(10_000, 64), zeros(3, dtype=torch.long)),
                  2 * 3 * 64 * 4 + 3 * 8),
    "index_add": (lambda w, i: w.index_add(0, i, torch.ones(3, 64)), (zeros(10_000, 64), zeros(3, dtype=torch.long)),
                  3 * 3 * 64 * 4 + 3 * 8),
    "scatter": (lambda w, i: w.scatter(0, i, torch.ones(3, 64)), (zeros(10_000, 64), zeros(3, 64, dtype=torch.long)),
                2 * 3 * 64 * 4 + 3 * 64 * 8),
    "embedding_renorm": (lambda w, i: functional.embedding(i, w.clone(), max_norm=1.0),
                         (zeros(10_000, 64), zeros(3, dtype=torch.long)), 2 * 3 * 64 * 4 + 3 * 8),
    "slice_scatter": (lambda w, x: w.slice_scatter(x, 0, 5, 8), (zeros(10_000, 64), zeros(3, 64)), 2 * 3 * 64 * 4),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(LOOKUPS))
def test_lookups_and_writes_count_the_rows_they_touch(kind: str) -> None:
    function, args, right = LOOKUPS[kind]
    graph = graph_of(function, *args)
    assert graph.bytes_accessed[graph.op_types.index(kind)] == right
    assert graph.unknown_operators == ()


def test_views_move_nothing_whatever_they_are_called() -> None:
    def chunks(x: Any) -> Any:
        q, k, v = x.chunk(3, -1)
        return q + k + v

    def parts(x: Any) -> Any:
        q, k, v = x.view(2, 16, 3, 32).unbind(2)
        return q + k + v

    def others(x: Any) -> Any:
        y = torch.view_as_real(torch.view_as_complex(x.view(2, 16, 48, 2))).flatten(1).narrow(1, 0, 90).select(0, 1)
        return y.as_strided((3, 5), (5, 1)).diagonal().expand(4, 3).movedim(0, 1).mT.clone()

    for function in (chunks, parts, others):
        graph = graph_of(function, zeros(2, 16, 96))
        moved = {kind for kind, size in zip(graph.op_types, graph.bytes_accessed, strict=True) if size}
        assert moved <= {"add", "clone"}
        assert graph.unknown_operators == ()


def test_a_broadcast_operand_is_read_as_large_as_it_is() -> None:
    graph = graph_of(lambda x, mask: x + mask.expand(64, 32, 32), zeros(64, 32, 32), zeros(1, 1, 32))
    assert graph.bytes_accessed[graph.op_types.index("add")] == 4 * (2 * 64 * 32 * 32 + 32)


def test_a_copy_moves_what_changes_its_layout() -> None:
    graph = graph_of(lambda x: x.transpose(1, 2).contiguous() + x.clone(), zeros(2, 8, 8))
    moved = {name: size for name, size in zip(graph.names, graph.bytes_accessed, strict=True) if "clone" in name}
    assert sorted(moved.values()) == [0.0, 2 * 4 * 2 * 8 * 8]


def test_half_precision_autocast_halves_what_is_moved() -> None:
    class Region(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(*(nn.Linear(256, 256) for _ in range(4)))

        def forward(self, x: Any) -> Any:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                x = self.layers(x)
            with torch.no_grad():
                return x * 2

    graph = graph_of(Region(), zeros(4, 256))
    assert [kind for kind in graph.op_types if kind == "linear"] == ["linear"] * 4
    assert {"layers.0/linear", "layers.3/linear_3"} <= set(graph.names)
    assert graph.flops.sum() == pytest.approx(4 * 2 * 4 * 256 * 256, rel=0.2)
    sent = dict(zip(graph.tensor_names, graph.tensor_bytes, strict=True))
    assert sent["linear_2"] == 4 * 256 * 2 and graph.unknown_operators == ()


def test_checkpointed_layers_are_operations_of_their_own() -> None:
    from torch.utils.checkpoint import checkpoint

    class Layers(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(32, 64), nn.Linear(64, 32)

        def forward(self, x: Any) -> Any:
            return checkpoint(lambda y: self.b(torch.relu(self.a(y))), x, use_reentrant=False)

    assert graph_of(Layers(), zeros(4, 32)).op_types == ("Input", "linear", "relu", "linear")


def test_the_time_of_a_lookup_does_not_depend_on_the_table() -> None:
    hardware = load_hardware("ring4")
    small, large = (
        graph_of(lambda w, i: functional.embedding_bag(i, w), zeros(rows, 16), zeros(8, 4, dtype=torch.long))
        for rows in (100, 100_000)
    )
    assert np.array_equal(hardware.times(small), hardware.times(large))


COMPOSED: dict[str, tuple[Callable[..., Any], tuple[Any, ...], float]] = {
    "take_along_dim": (
        lambda x, i: torch.take_along_dim(x, i, 0),
        (zeros(1000, 16), zeros(3, 1, dtype=torch.long)),
        2 * 3 * 16 * 4,
    ),
    "searchsorted": (torch.searchsorted, (zeros(100_000), zeros(5)), 5 * (17 * 4 + 4 + 8)),
    "meshgrid": (lambda x, y: torch.meshgrid(x, y, indexing="ij")[0], (zeros(300), zeros(300)), 0),
}


@pytest.mark.parametrize("name", list(COMPOSED))
def test_what_is_written_with_lookups_and_views_moves_no_more_than_they(name: str) -> None:
    function, args, right = COMPOSED[name]
    assert right <= graph_of(function, *args).bytes_accessed.sum() <= right + 1000


def test_only_numbers_drawn_element_by_element_are_known_by_their_tag() -> None:
    """The tag of what draws numbers was taken for one operation per element."""

    @torch.library.custom_op("partition_tests::sampled", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))  # type: ignore[untyped-decorator]
    def sampled(x: torch.Tensor) -> torch.Tensor:  # type: ignore[name-defined]
        return x.sum(1)

    sampled.register_fake(lambda x: x.sum(1))
    assert graph_of(sampled, zeros(8, 8)).unknown_operators == ("sampled",)
    assert graph_of(torch.poisson, zeros(8, 8)).unknown_operators == ()
