"""Programs of torch.export cut into one module per chip; cuts by modules, device maps and layer counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from torch import nn
from torch_programs import PROGRAMS

from partition import (
    Graph,
    GraphBuilder,
    InvalidAssignment,
    InvalidInput,
    InvalidModelFile,
    Placement,
    Result,
    load_hardware,
    partition,
)
from partition.pipeline import device_map, layer_counts, split_points, split_torch
from partition.pipeline.module_cuts import module_beginnings
from partition.pipeline.torch_stages import largest_difference


def random_placement(graph: Graph, chips: int, seed: int) -> Placement:
    """Homes along the program; replicas and relays wherever they may be."""
    rng = np.random.default_rng(seed)
    homes = np.zeros(graph.n, dtype=np.int64)
    homes[graph.topological_order] = np.sort(rng.integers(0, chips, graph.n))
    pairs = [(v, c) for v in range(graph.n) for c in range(int(homes[v]) + 1, chips) if rng.random() < 0.1]
    relays = [
        (t, c)
        for t in range(graph.m)
        for c in range(int(homes[graph.producer[t]]) + 1, chips)
        if rng.random() < 0.1 and (int(graph.producer[t]), c) not in pairs
    ]
    return Placement(homes, np.array(pairs).reshape(-1, 2), np.array(relays).reshape(-1, 2))


@pytest.mark.parametrize("name", ["resnet", "unet", "decoder", "attention", "lstm", "cells"])
def test_stages_compute_what_the_program_does_wherever_operations_are_placed(name: str) -> None:
    torch.manual_seed(0)
    module = PROGRAMS[name][0]().eval()
    for weight in module.parameters():
        nn.init.normal_(weight, 0, 0.1)
    arguments = tuple(
        torch.randn_like(x) if x.is_floating_point() else torch.randint(0, 9, x.shape) for x in PROGRAMS[name][1]()
    )
    program = torch.export.export(module, arguments)
    graph = Graph.from_torch(program)
    for seed in range(2):
        stages = split_torch(program, random_placement(graph, 3, seed), verify=False)
        assert largest_difference(program, stages) == 0.0
        assert sum(len(stage.inputs) for stage in stages.stages) > 0


class Odd(nn.Module):
    """Results in a dictionary, one of them a constant and one an input; arguments by name; a tied weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 8)

    def forward(self, tokens: Any, *, scale: Any) -> Any:
        h = self.embed(tokens)
        a, b = (h * scale).chunk(2, dim=-1)
        return {"logits": torch.cat([b, a], -1) @ self.embed.weight.t(), "rest": (a, scale, 7)}


def test_structures_constants_and_ties_survive() -> None:
    module = Odd().eval()
    given = {"tokens": torch.arange(6)[None], "scale": torch.tensor(2.0)}
    program = torch.export.export(module, (given["tokens"],), {"scale": given["scale"]})
    graph = Graph.from_torch(program)
    stages = split_torch(program, random_placement(graph, 3, 1))
    found, expected = stages(given["tokens"], scale=given["scale"]), module(given["tokens"], scale=given["scale"])
    assert torch.equal(found["logits"], expected["logits"]) and found["rest"][2] == 7
    assert torch.equal(found["rest"][0], expected["rest"][0]) and torch.equal(found["rest"][1], given["scale"])
    tied = [p for stage in stages.stages for name, p in stage.module.named_parameters()]
    assert len({p.data_ptr() for p in tied}) == 1
    assert {name for stage in stages.stages for name in stage.weights.values()} == {"embed.weight"}
    with pytest.raises(InvalidInput, match="not of the form"):
        stages(given["tokens"])


def test_answers_for_other_programs_and_programs_with_state_are_refused() -> None:
    linear = torch.export.export(nn.Linear(4, 4), (torch.zeros(1, 4),))
    with pytest.raises(InvalidAssignment, match="another program"):
        split_torch(linear, Placement(np.array([0])))
    training = torch.export.export(nn.Sequential(nn.BatchNorm1d(4), nn.ReLU()).train(), (torch.zeros(2, 4),))
    graph = Graph.from_torch(training)
    with pytest.raises(InvalidModelFile, match="eval mode"):
        split_torch(training, Placement(np.zeros(graph.n, dtype=np.int64)))


# --- cuts by modules ----------------------------------------------------------------------------------------------


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
