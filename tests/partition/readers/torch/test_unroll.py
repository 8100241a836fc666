"""Loops of PyTorch whose number of steps is known: read step by step, and run in stages like any other program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from partition import Graph, InvalidModelFile

torch = pytest.importorskip("torch")
nn, hops = torch.nn, "torch._higher_order_ops"
scan, over, associative_scan = (
    getattr(pytest.importorskip(f"{hops}.{module}"), name)
    for module, name in (("scan", "scan"), ("map", "map"), ("associative_scan", "associative_scan"))
)
stages, unroll = pytest.importorskip("torch_stages"), pytest.importorskip("partition.readers.torch.unroll")


class Layers(nn.Module):  # type: ignore[misc, name-defined]
    """A scan over stacked weights, and the sum of every state."""

    def __init__(self, reverse: bool = False) -> None:
        super().__init__()
        self.reverse, self.w = reverse, nn.Parameter(torch.randn(5, 8, 8))

    def forward(self, h: Any) -> Any:
        return scan(lambda h, w: (torch.tanh(h @ w), h.sum()), h, self.w, reverse=self.reverse)


class Recurrence(nn.Module):  # type: ignore[misc, name-defined]
    """A scan over steps with one layer for all."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(8, 8)

    def forward(self, h: Any, xs: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            new = torch.tanh(self.cell(h) + x)
            return new, new * 2

        return scan(step, h, xs)


class Rows(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(8, 8)

    def forward(self, xs: Any) -> Any:
        return over(lambda x: torch.relu(self.cell(x)), xs)


class Sums(nn.Module):  # type: ignore[misc, name-defined]
    def forward(self, xs: Any) -> Any:
        return associative_scan(lambda a, b: a + b, xs, 0, combine_mode="generic")


class Nested(nn.Module):  # type: ignore[misc, name-defined]
    """A map inside a scan, over a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("w", torch.randn(3, 8, 8))

    def forward(self, h: Any) -> Any:
        def layer(h: Any, w: Any) -> Any:
            new = over(lambda row: torch.tanh(row @ w) + torch.ones(8), h)
            return new, new.sum()

        return scan(layer, h, self.w)


PROGRAMS: dict[str, tuple[Callable[[], Any], tuple[Any, ...]]] = {
    "layers": (Layers, (torch.randn(3, 8),)), "reversed layers": (lambda: Layers(True), (torch.randn(3, 8),)),
    "recurrence": (Recurrence, (torch.randn(3, 8), torch.randn(6, 3, 8))), "map": (Rows, (torch.randn(4, 3, 8),)),
    "associative scan": (Sums, (torch.randn(6, 3),)), "nested": (Nested, (torch.randn(4, 8),)),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_loop_run_in_stages_computes_what_the_whole_does(name: str) -> None:
    make, args = PROGRAMS[name]
    torch.manual_seed(0)
    program = torch.export.export(make().requires_grad_(False), args)
    staged = stages.Staged(program)
    assert staged.graph.unknown_operators == ()
    stages.assert_same(staged, staged.chips_at_random(np.random.default_rng(0)), program, args)


def test_every_step_has_its_own_weight_and_its_products() -> None:
    graph = Graph.from_torch(torch.export.export(Layers(), (torch.zeros(3, 8),)))
    products = [v for v, kind in enumerate(graph.op_types) if kind == "matmul"]
    assert graph.flops[products].tolist() == [2 * 3 * 8 * 8] * 5
    assert graph.weights[products].tolist() == [8 * 8 * 4] * 5


def test_steps_of_a_recurrence_share_the_weight() -> None:
    graph = Graph.from_torch(torch.export.export(Recurrence(), (torch.zeros(3, 8), torch.zeros(6, 3, 8))))
    assert graph.op_types.count("linear") == 6
    assert graph.weight_bytes == (8 * 8 + 8) * 4


def test_a_loop_of_too_many_steps_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unroll, "MOST_CALLS", 10)
    program = torch.export.export(Layers(), (torch.zeros(3, 8),))
    with pytest.raises(InvalidModelFile, match="'scan' is a scan, and the steps of all loops have 20 calls, more than"):
        Graph.from_torch(program)
