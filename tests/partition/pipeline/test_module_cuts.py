"""Cuts that fall on modules."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
import torch
from torch import nn

from partition import (
    Graph,
    GraphBuilder,
    InvalidAssignment,
    InvalidInput,
    Result,
    load_hardware,
    partition,
)
from partition.pipeline import device_map, layer_counts, split_points
from partition.pipeline.module_cuts import module_beginnings


def blocks(work: list[float], *, per_layer: int = 2) -> Graph:
    """Layers of some operations each, whose work is given."""
    b = GraphBuilder("blocks")
    b.operation("x", "Input", outputs={"x": 1})
    last = "x"
    for i, flops in enumerate(work):
        for k in range(per_layer):
            b.operation(
                f"layers.{i}.part{k}/linear_{i}_{k}", "linear", inputs=[last], outputs={f"t{i}_{k}": 1},
                flops=flops * 1e9, bytes_accessed=0, weights=4,
            )  # fmt: skip
            last = f"t{i}_{k}"
    return b.build()


def solved(graph: Graph, chips: int) -> Result:
    return partition(graph, load_hardware(f"cpu{chips}"))


def test_cuts_that_fall_on_modules_are_the_results_own() -> None:
    result = solved(blocks([3, 1, 1, 1]), 2)
    cuts = split_points(result)
    assert cuts.modules == ("layers.1",) and cuts.exact and cuts.best and not cuts.broken
    assert cuts.period == pytest.approx(result.period)
    assert device_map(result) == {"layers.0": 0, "layers.1": 1, "layers.2": 1, "layers.3": 1}
    assert layer_counts(result) == (1, 3)


def test_the_best_cut_by_modules_is_found_where_the_result_cuts_elsewhere() -> None:
    """One operation of a layer would have to go to the other chip; no module begins there but an inner one."""
    graph = blocks([3, 1, 1], per_layer=1)
    result = solved(graph, 2)
    cuts = split_points(result)
    costs = [result.hardware.times(graph)[0][~graph.is_source]]
    assert cuts.period >= result.period * (1 - 1e-9) and cuts.bound == result.bound
    assert cuts.modules == ("layers.1",) and costs[0][0] < cuts.period


def test_many_cuts_are_improved_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    result = solved(blocks([1, 2, 3, 4, 4, 3, 2, 1]), 4)
    best = split_points(result)
    monkeypatch.setattr("partition.pipeline.module_cuts.MOST_CUTS", 0)
    improved = split_points(result)
    assert best.best and not improved.best
    assert improved.period == pytest.approx(best.period) and not improved.broken


def test_modules_entered_twice_begin_no_stage() -> None:
    b = GraphBuilder("again")
    for i, name in enumerate(["a/x", "b/y", "a/z", "c/w"]):
        b.operation(name, "Op", inputs=[f"t{i - 1}"] if i else [], outputs={f"t{i}": 1}, flops=1)
    assert module_beginnings(b.build()) == {1: "b", 3: "c"}


def test_onnx_exports_name_their_modules_too() -> None:
    b = GraphBuilder("onnx")
    for i, name in enumerate(["/embed/Gather", "/h.0/attn/MatMul", "/h.1/attn/MatMul"]):
        b.operation(name, "Op", inputs=[f"t{i - 1}"] if i else [], outputs={f"t{i}": 1}, flops=1e9, weights=1)
    result = solved(b.build(), 3)
    assert device_map(result) == {"embed": 0, "h.0": 1, "h.1": 2} and layer_counts(result) == (0, 1, 1)


def test_what_cannot_be_said_in_modules_is_refused() -> None:
    b = GraphBuilder("one")
    for i in range(2):
        b.operation(f"m/v{i}", "Op", inputs=["t0"] if i else [], outputs={f"t{i}": 1}, flops=1e9, weights=1)
    result = solved(b.build(), 2)
    with pytest.raises(InvalidAssignment, match="0 modules at which a stage could begin, but 2 chips"):
        split_points(result)
    with pytest.raises(InvalidAssignment, match="'m' holds weights on chips 0, 1"):
        device_map(result)
    with pytest.raises(InvalidInput, match="no numbered list of layers"):
        layer_counts(result)


def test_torch_takes_the_cuts() -> None:
    """``split_spec`` of torch.distributed.pipelining; the pieces compute what the module does."""
    from torch.distributed.pipelining import pipeline

    module = nn.Sequential(*(nn.Sequential(nn.Linear(16, 16), nn.ReLU()) for _ in range(4))).eval()
    sample = (torch.randn(2, 16),)
    result = partition(Graph.from_torch(torch.export.export(module, sample)), load_hardware("cpu2"))
    cuts = split_points(result)
    pieces = pipeline(module, mb_args=sample, split_spec=cuts.spec())
    assert pieces.num_stages == 2
    (found,) = pieces(*sample)
    assert torch.allclose(found, module(*sample))
