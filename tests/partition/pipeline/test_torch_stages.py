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
    InvalidAssignment,
    InvalidInput,
    InvalidModelFile,
    Placement,
)
from partition.pipeline import split_torch
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
    with pytest.raises(InvalidAssignment, match="another model"):
        split_torch(linear, Placement(np.array([0])))
    training = torch.export.export(nn.Sequential(nn.BatchNorm1d(4), nn.ReLU()).train(), (torch.zeros(2, 4),))
    graph = Graph.from_torch(training)
    with pytest.raises(InvalidModelFile, match="eval mode"):
        split_torch(training, Placement(np.zeros(graph.n, dtype=np.int64)))
