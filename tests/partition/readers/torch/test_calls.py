"""Writes in place: whoever reads the tensor comes after the write, through views and custom operators too."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from partition import Graph, Placement, check, load_hardware, partition

torch = pytest.importorskip("torch")
stages = importlib.import_module("torch_stages")
programs = importlib.import_module("torch_programs")
nn = torch.nn


class Slices(nn.Module):  # type: ignore[misc, name-defined]
    """Two layers write every other column of what a third reads."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(32, 16)

    def forward(self, x: Any) -> Any:
        out = torch.zeros(x.shape[0], 32)
        out[:, ::2] = self.a(x)
        out[:, 1::2] = self.b(x)
        return self.c(out)


class Cache(nn.Module):  # type: ignore[misc, name-defined]
    """Keys and values of all positions, one of them written for every input, and a step counter."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.out = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.register_buffer("keys", torch.randn(1, 2, 16, 8))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, x: Any, position: Any) -> Any:
        q, k = (f(x).view(1, 1, 1, 8).expand(1, 2, 1, 8) for f in (self.q, self.k))
        self.keys.index_copy_(2, position, k)
        self.steps.add_(1)
        scores = torch.softmax(q @ self.keys.transpose(-1, -2), -1)
        return self.out((scores @ self.keys).mean(1))


class Masked(nn.Module):  # type: ignore[misc, name-defined]
    """Parts of a bias are set to zero before it is added, as the shifted windows of Swin do."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(12, 36), nn.Linear(36, 12)

    def forward(self, x: Any) -> Any:
        bias = self.up.bias.clone()
        bias[12:24].zero_()
        h = nn.functional.linear(x, self.up.weight, bias)
        windows = x.new_zeros(4, 4)
        for i, (a, b) in enumerate([(0, 2), (2, 4)]):
            windows[a:b, a:b] = i + 1
        return self.down(h.relu_()) + windows.sum()


def _fill(x: Any, y: Any) -> Any:
    x.add_(y)
    return y * 2


def _custom() -> Any:
    """An operator that writes its first argument, as its schema says."""
    library = torch.library
    annotations = {"x": torch.Tensor, "y": torch.Tensor, "return": torch.Tensor}
    _fill.__annotations__ = annotations
    operator = library.custom_op("mcm_partition_tests::fill", _fill, mutates_args=("x",))
    operator.register_fake(lambda x, y: torch.empty_like(y))
    return operator


CUSTOM = _custom()


def views(x: Any) -> Any:
    y = x @ x
    y[1:].view(-1)[::2].copy_(torch.arange(15.0))
    y.t()[2:].unsqueeze(0)[0, :, 1::3].zero_()
    return y @ x


def masked(x: Any) -> Any:
    y = x @ x
    y[y > 0.5] = 0.0
    y.masked_fill_(y < -0.5, 1.0)
    y.diagonal().mul_(3.0)
    return y.softmax(-1)


def scattered(x: Any) -> Any:
    y, at = x @ x, torch.tensor([[0, 1, 2, 3, 4, 5]])
    y.scatter_(0, at, x[:1])
    y.index_put_((torch.tensor([1, 2]), torch.tensor([3, 3])), torch.tensor([5.0, 6.0]), accumulate=True)
    y.index_add_(1, torch.tensor([2]), x[:, :1])
    y.index_fill_(0, torch.tensor([4]), 0.25)
    return y @ y


def into_out(x: Any) -> Any:
    y = torch.empty(6, 6)
    torch.mm(x, x, out=y)
    z = torch.empty(6, 12)
    torch.cat([y, x], 1, out=z)
    return z.relu_().sum(1)


def custom(x: Any) -> Any:
    y = torch.zeros(6, 6)
    twice = CUSTOM(y[2:4], x[:2])
    return y @ x, twice


def input_written(x: Any) -> Any:
    x.mul_(2.0)
    head, tail = x.split(3)
    tail.add_(head)
    return x @ x


def accumulated(x: Any) -> Any:
    total = torch.zeros(6)
    for row in x.unbind(0):
        total += row.exp()
        row.clamp_(max=0.0)
    return total + x.sum(0)


FUNCTIONS: dict[str, Callable[[Any], Any]] = {f.__name__: f for f in (
    views, masked, scattered, into_out, custom, input_written, accumulated)}  # fmt: skip
MODULES: dict[str, tuple[Callable[[], Any], Callable[[], tuple[Any, ...]]]] = {
    "slices": (Slices, lambda: (torch.randn(3, 16),)),
    "cache": (Cache, lambda: (torch.randn(1, 8), torch.tensor([5]))),
    "masked bias": (Masked, lambda: (torch.randn(2, 12),)),
}


class Function(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


@cache
def program_of(name: str) -> tuple[Any, tuple[Any, ...]]:
    torch.manual_seed(1)
    if name in programs.PROGRAMS:
        return programs.exported(name), programs.PROGRAMS[name][1]()
    make, arguments = MODULES.get(name) or (lambda: Function(FUNCTIONS[name]), lambda: (torch.randn(6, 6),))
    args = arguments()
    return torch.export.export(make().eval(), args), args


@pytest.mark.parametrize("name", [*FUNCTIONS, *MODULES, *programs.PROGRAMS])
def test_a_placed_program_run_in_stages_computes_what_the_whole_does(name: str) -> None:
    """Every operation sees the results of its producers in the graph alone, chip after chip."""
    program, args = program_of(name)
    staged = stages.Staged(program)
    stages.assert_same(staged, staged.chips_at_random(np.random.default_rng(3), 0.2), program, args)


@pytest.mark.parametrize("name", ["slices", "cache", "scattered"])
def test_the_solvers_placement_run_in_stages_computes_what_the_whole_does(name: str) -> None:
    program, args = program_of(name)
    staged = stages.Staged(program)
    result = partition(staged.graph, load_hardware("ring3:memory=off"), time_limit=10)
    stages.assert_same(staged, result.assignment, program, args)


def test_a_reader_on_an_earlier_chip_than_the_write_is_refused() -> None:
    program, _ = program_of("slices")
    graph = Graph.from_torch(program)
    reader = next(name for name in graph.names if name.startswith("c/"))
    chips = dict.fromkeys(graph.names, 1) | dict.fromkeys((reader, "x"), 0)
    broken = check(graph, load_hardware("ring2:memory=off"), Placement.from_names(graph, chips, chips=2))
    assert any(violation.rule == "acyclic" and reader in violation.operations for violation in broken)


def test_a_cache_is_read_where_it_is_written() -> None:
    """There is one copy of it; the step counter, which follows from itself alone, may be anywhere."""
    graph = Graph.from_torch(program_of("cache")[0])
    groups = {group for group in graph.group.tolist() if group >= 0}
    assert len(groups) == 1
    members = {graph.op_types[v] for v in np.flatnonzero(graph.group >= 0)}
    assert "index_copy" in members and "add" not in members


def test_a_write_into_a_cache_counts_the_rows_it_touches() -> None:
    graph = Graph.from_torch(program_of("cache")[0])
    v = graph.op_types.index("index_copy")
    assert graph.bytes_accessed[v] == 2 * 2 * 8 * 4 + 8
