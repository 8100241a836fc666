"""Programs of torch.export in parts compute the same."""

from __future__ import annotations

from typing import Any

import pytest

from partition import InvalidInput
from partition.problem.graph import Graph
from partition.problem.hardware_files import load_hardware
from partition.solve.front import partition

torch = pytest.importorskip("torch")


class Mixed(torch.nn.Module):  # type: ignore[misc, name-defined]
    """An embedding, recurrent layers both ways, attention, a convolution in groups, a head that shares the table."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(20, 8)
        self.recurrent = torch.nn.LSTM(8, 4, 2, batch_first=True, bidirectional=True)
        self.project = torch.nn.Linear(8, 24)
        self.slide = torch.nn.Conv1d(8, 8, 3, stride=2, padding=1, groups=2)
        self.head = torch.nn.Linear(8, 20, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: Any) -> Any:
        y = self.recurrent(self.embed(x))[0]
        batch, length, _ = y.shape
        q, k, v = self.project(y).view(batch, length, 3, 2, 4).permute(2, 0, 3, 1, 4)
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, 8)
        return self.head(torch.relu(self.slide(y.transpose(1, 2))).transpose(1, 2))


@pytest.fixture(scope="module")
def program() -> Any:
    torch.manual_seed(0)
    return torch.export.export(Mixed().eval(), (torch.randint(0, 20, (4, 6)),), strict=False)


@pytest.mark.parametrize(
    ("kind", "asked"),
    [("embedding", "2:columns"), ("lstm", "3:inputs"), ("lstm", "4:steps"), ("scaled", "2:heads"),
     ("conv1d", "2:groups"), ("conv1d", "3:places"), ("linear", "3:inner"), ("linear", 2)],
)  # fmt: skip
def test_a_program_in_parts_computes_the_same(program: Any, kind: str, asked: int | str) -> None:
    """``shard_torch`` runs both; here the parts are counted, and what is left is an ordinary program."""
    from partition.shards.torch_program import shard_torch

    graph = Graph.from_torch(program)
    name = next(name for name, op in zip(graph.names, graph.op_types, strict=True) if op.startswith(kind))
    parts = Graph.from_torch(shard_torch(program, {name: asked}))
    count = int(str(asked)[0])
    before, after = (sum(op == graph.op_types[graph.index[name]] for op in g.op_types) for g in (graph, parts))
    assert after >= before + count - 1
    assert parts.flops.sum() == pytest.approx(graph.flops.sum(), rel=0.05)


def test_what_a_part_would_read_otherwise_is_not_cut() -> None:
    """Attention of a tensor with itself, pooling without a batch, enlarging by a factor, another type."""

    class Module(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            f = torch.nn.functional
            attended = f.scaled_dot_product_attention(x, x, x)
            return (
                f.interpolate(attended, scale_factor=2.05, mode="bilinear"),
                f.max_pool2d(x[0], 2),
                x.view(torch.int32),
            )

    graph = Graph.from_torch(torch.export.export(Module(), (torch.randn(2, 4, 8, 8),)))
    words = {name: [(axis.word, axis.extent) for axis in axes] for name, axes in graph.cut_axes.items()}
    assert words["scaled_dot_product_attention"] == [("heads", 2), ("heads", 4)]
    assert words["max_pool2d"] == [("channels", 4)]
    assert not any(name.startswith(("upsample", "view")) for name in words)


def test_what_joined_tensors_are_viewed_as_is_not_refused() -> None:
    """The projections of attention lie turned in memory; a convolution with padding "same" has channels."""
    from partition.shards.torch_program import shard_torch

    class Module(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.attend = torch.nn.MultiheadAttention(8, 2, batch_first=True)
            self.slide = torch.nn.Conv1d(5, 4, 3, padding="same")

        def forward(self, x: Any) -> Any:
            return self.slide(self.attend(x, x, x, need_weights=False)[0])

    program = torch.export.export(Module().eval(), (torch.randn(3, 5, 8),), strict=False)
    graph = Graph.from_torch(program)
    heavy = {kind: name for kind, name in zip(graph.op_types, graph.names, strict=True) if name in graph.cut_axes}
    shard_torch(program, {heavy["linear"]: "2:columns", heavy["conv1d"]: "2:channels"})


def test_a_program_in_parts_is_solved_and_split(program: Any) -> None:
    from partition.pipeline.torch_stages import split_torch
    from partition.shards.torch_program import shard_torch

    head = next(name for name in Graph.from_torch(program).names if name.startswith("head/"))
    parts = shard_torch(program, {head: 2})
    result = partition(Graph.from_torch(parts), load_hardware("ring4"), work_limit=2)
    assert split_torch(parts, result).stages
    with pytest.raises(InvalidInput, match="no operation"):
        shard_torch(program, {"nobody": 2})
