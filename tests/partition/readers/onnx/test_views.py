"""A view of a tensor takes no time, whichever reader found it, and the same model costs the same by two readers."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx_programs import I64, F, const, model, node, vi, weight

from partition import Graph, GraphBuilder, InvalidGraph, load_hardware, partition
from partition.readers.onnx.model import read_onnx
from partition.readers.several import join_models
from partition.replay.proof_file import proof_from
from partition.replay.replaying import replay_file
from partition.results.proof_file import proof_of


def times(graph: Graph) -> dict[str, float]:
    """Microseconds of every operation on a chip of ring2."""
    return dict(zip(graph.names, (load_hardware("ring2").times(graph)[0] * 1e6).tolist(), strict=True))


def idle(graph: Graph) -> set[str]:
    return {name for name, time in times(graph).items() if time == 0} - {"x", "y"}


X, Y = vi("x", F, [2, 3, 8]), vi("z", F, None)
PLACES = [const("one", 1), const("pair", [0, 2]), const("uneven", [0, 1, 3]), const("begin", [1]), const("end", [5]),
          const("axis", [2]), const("sizes", [3, 5]), const("flat", [6, 8]), weight("ones", 3, 1),
          const("zero", 0.0, np.float32), weight("higher", 2, 2, 1, 1)]  # fmt: skip
FREE = [
    node("Reshape", "x flat", "z", name="it"), node("Unsqueeze", "x begin", "z", name="it"),
    node("Identity", "x", "z", name="it"), node("Flatten", "x", "z", name="it"),
    node("Gather", "x one", "z", name="it", axis=1), node("Gather", "x pair", "z", name="it", axis=2),
    node("Slice", "x begin end axis", "z", name="it"), node("Split", "x sizes", "z w", name="it", axis=2),
    node("Cast", "x", "z", name="it", to=F), node("Dropout", "x", "z", name="it"),
    node("Mul", "x ones", "z", name="it"), node("Add", "zero x", "z", name="it"), node("Div", "x ones", "z", name="it"),
]  # fmt: skip
MOVES = [
    node("Gather", "x uneven", "z", name="it", axis=2), node("Gather", "x places", "z", name="it", axis=1),
    node("Slice", "x places end axis", "z", name="it"), node("Cast", "x", "z", name="it", to=I64),
    node("Transpose", "x", "z", name="it"), node("Relu", "x", "z", name="it"),
    node("Concat", "x x", "z", name="it", axis=0), node("Mul", "x x", "z", name="it"),
    node("Div", "ones x", "z", name="it"), node("Sub", "x ones", "z", name="it"),
    node("Mul", "x higher", "z", name="it"),
]  # fmt: skip


@pytest.mark.parametrize("it", FREE, ids=lambda it: it.op_type)
def test_a_part_at_known_places_or_another_shape_takes_no_time(it: Any) -> None:
    graph = read_onnx(model([it], [X], [Y], PLACES))
    assert idle(graph) == {"it"} and graph.bytes_accessed.tolist() == [0, 0]


@pytest.mark.parametrize("it", MOVES, ids=lambda it: it.op_type)
def test_what_moves_or_computes_takes_time(it: Any) -> None:
    graph = read_onnx(model([it], [X, vi("places", I64, [1])], [Y], PLACES))
    assert "it" not in idle(graph)


def transposed(*readers: Any, perm: tuple[int, ...] = (0, 2, 1)) -> Graph:
    """``x`` (2, 3, 8) transposed to ``t``, and what reads it."""
    nodes = [node("Transpose", "x", "t", name="t", perm=list(perm)), *readers]
    more = [weight("w", 3, 4), weight("wide", 24, 4), const("rows", [16, 3]), const("merged", [2, 24])]
    return read_onnx(model(nodes, [X, vi("ids", I64, [5])], [Y], [*PLACES, *more]))


def test_products_and_lookups_read_a_transposed_tensor_along_its_strides() -> None:
    for reader in (
        [node("MatMul", "t w", "z")],
        [node("MatMul", "x t", "z")],
        [node("Gather", "t ids", "z", axis=1)],
        [node("Reshape", "t rows", "r"), node("Gather", "r ids", "z")],
        [node("Unsqueeze", "t begin", "r"), node("MatMul", "r w", "z")],
    ):
        assert "t" in idle(transposed(*reader))


def test_a_transposed_tensor_is_copied_for_every_other_reader() -> None:
    for reader in (
        [node("Relu", "t", "z")],
        [node("MatMul", "t w", "a"), node("Relu", "t", "z")],
        [node("Slice", "t begin end", "a"), node("Relu", "a", "z")],  # a slice copies nothing itself
        [node("Reshape", "t merged", "r"), node("MatMul", "r wide", "z")],  # strides cannot tell the merged axis
    ):
        assert "t" not in idle(transposed(*reader))
    held = helper.make_graph([node("Identity", "t", "b")], "body", [], [vi("b", F, None)])
    branch = node("If", "flag", "z", then_branch=held, else_branch=held)
    built = model([node("Transpose", "x", "t", name="t"), branch], [X, vi("flag", 9, [])], [Y])
    assert "t" not in idle(read_onnx(built))


def two_views() -> Graph:
    b = GraphBuilder("views")
    b.operation("x", "Input", outputs={"x": 64})
    b.operation("half", "Slice", inputs=["x"], outputs={"h": 32}, view=True)
    b.operation("y", "Relu", inputs=["h"], outputs={"y": 32}, flops=8)
    return b.build()


def test_views_are_written_read_and_joined(tmp_path: Path) -> None:
    graph = two_views()
    graph.to_json(tmp_path / "g.json")
    again = Graph.from_json(tmp_path / "g.json")
    assert again.fingerprint == graph.fingerprint and idle(again) == {"half"}
    assert join_models([graph, graph], [2, 1]).views.tolist() == [False, True, False] * 2


def test_a_view_that_computes_or_moves_is_refused() -> None:
    b = GraphBuilder()
    b.operation("v", "Reshape", outputs={"t": 4}, flops=1, view=True)
    with pytest.raises(InvalidGraph, match="operation 'v' is a view, so its flops and bytes_accessed must be 0"):
        b.build()


def test_pytorch_and_onnx_agree_on_a_small_recommender() -> None:
    torch = pytest.importorskip("torch")

    class Recommender(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, tables: int = 6, width: int = 16) -> None:
            super().__init__()
            self.bags = torch.nn.ModuleList([torch.nn.EmbeddingBag(50, width, mode="sum") for _ in range(tables)])
            self.bottom = torch.nn.Sequential(torch.nn.Linear(13, width), torch.nn.ReLU())
            self.top = torch.nn.Linear(width + tables * (tables + 1) // 2, 1)
            i, j = torch.tril_indices(tables + 1, tables + 1, -1)
            self.register_buffer("i", i)
            self.register_buffer("j", j)

        def forward(self, dense: Any, sparse: Any) -> Any:
            x = self.bottom(dense)
            rows = torch.stack([x, *(bag(sparse[k]) for k, bag in enumerate(self.bags))], 1)
            pairs = torch.bmm(rows, rows.transpose(1, 2))
            return self.top(torch.cat([x, pairs[:, self.i, self.j]], 1))

    module, args = Recommender().eval(), (torch.zeros(8, 13), torch.zeros(6, 8, 4, dtype=torch.long))
    direct = Graph.from_torch(torch.export.export(module, args))
    file = io.BytesIO()
    torch.onnx.export(module, args, file, dynamo=False, opset_version=18)
    exported = read_onnx(onnx.load_from_string(file.getvalue()))
    assert exported.guessed == ()
    for hardware in ("ring2:memory=off", "ring4:memory=off"):
        periods = [partition(graph, load_hardware(hardware)).period for graph in (direct, exported)]
        assert periods[1] == pytest.approx(periods[0], rel=0.05)


def test_slices_of_jax_take_no_time() -> None:
    jnp = pytest.importorskip("jax.numpy")
    graph = Graph.from_jax(lambda x: jnp.tanh(jnp.split(x, 2)[1][1:3].reshape(-1)), jnp.zeros((8, 4)))
    busy = {kind for kind, time in zip(graph.op_types, times(graph).values(), strict=True) if time > 0}
    assert busy == {"tanh"}


def test_a_proof_over_views_is_replayed() -> None:
    graph = two_views()
    proof = proof_from(json.loads(json.dumps(proof_of(partition(graph, "ring2", proof=True)))))
    assert [time is not None and time > 0 for time in proof.question.times[0]] == [False, False, True]
    assert replay_file(proof).verdict != "rejected"
