"""Views of weights: parts that are apart are held apart, parts that overlap have their bytes once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from partition import Graph, load_hardware, partition

torch = pytest.importorskip("torch")
nn = torch.nn


class Reads(nn.Module):  # type: ignore[misc, name-defined]
    """A parameter, read in some way."""

    def __init__(self, function: Any, *shape: int) -> None:
        super().__init__()
        self.function, self.w = function, nn.Parameter(torch.randn(shape))

    def forward(self, x: Any) -> Any:
        return self.function(self.w, x)


def graph_of(function: Any, shape: tuple[int, ...], x: Any) -> Graph:
    return Graph.from_torch(torch.export.export(Reads(function, *shape), (x,)))


def held(graph: Graph) -> float:
    """Bytes of all weights, each once."""
    return float(graph.weights.sum() + graph.shared_bytes.sum())


def held_by(graph: Graph, operation: str) -> float:
    v = graph.index[operation]
    ends = zip(graph.shared_ptr, graph.shared_ptr[1:], graph.shared_bytes, strict=False)
    return float(graph.weights[v] + sum(size for a, b, size in ends if v in graph.shared_users[a:b]))


def unbound(w: Any, x: Any) -> Any:
    for layer in w.unbind(0):
        x = torch.tanh(x @ layer)
    for i in range(4):
        x = x @ w[i]
    return x


WAYS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "the same slices, by unbind and by select": (unbound, (4, 8, 8)),
    "all of it and a part": (lambda w, x: (x @ w).sum() + (x[:, :4] @ w[4:]).sum(), (8, 8)),
    "parts that overlap": (lambda w, x: x @ w[0:8] + x @ w[4:12], (12, 8)),
    "columns side by side": (lambda w, x: x @ w[:, :8] + x @ w[:, 8:], (8, 16)),
    "columns of a transposed part": (lambda w, x: x @ w.t()[:, :8] + (x @ w.t()).sum(), (12, 8)),
    "three chunks": (lambda w, x: sum(torch.relu(x @ part.t()) for part in w.chunk(3)), (24, 8)),
    "bits as other numbers": (lambda w, x: x @ w + (x.int() + w.view(torch.int32)[:4]), (8, 8)),
}


@pytest.mark.parametrize("way", list(WAYS))
def test_every_byte_of_a_weight_is_held_once(way: str) -> None:
    function, shape = WAYS[way]
    assert held(graph_of(function, shape, torch.zeros(4, 8))) == torch.zeros(shape).numel() * 4


def test_a_reader_of_a_part_holds_that_part_alone() -> None:
    graph = graph_of(*WAYS["parts that overlap"], torch.zeros(4, 8))
    assert [held_by(graph, name) for name in ("matmul", "matmul_1")] == [8 * 8 * 4, 8 * 8 * 4]
    chunks = graph_of(*WAYS["three chunks"], torch.zeros(4, 8))
    assert sorted(chunks.weights.tolist())[-3:] == [8 * 8 * 4] * 3 and not chunks.shared_names


def test_a_weight_and_its_part_fit_where_the_weight_does() -> None:
    """They were counted beside one another, and the model was called infeasible."""
    graph = graph_of(*WAYS["all of it and a part"], torch.zeros(4, 8))
    package = load_hardware("ring2")
    hardware = replace(package, kinds=(replace(package.kinds[0], sram_bytes=8 * 8 * 4 + 8.0),))
    assert partition(graph, hardware).status == "optimal"


def test_parts_of_too_many_pieces_are_taken_for_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from partition.readers.torch import weights

    for name, most in (("MOST_UNITS", 1), ("MOST_PIECES", 0)):
        monkeypatch.setattr(weights, name, most)
        assert held(graph_of(*WAYS["parts that overlap"], torch.zeros(4, 8))) == 12 * 8 * 4
        monkeypatch.undo()
