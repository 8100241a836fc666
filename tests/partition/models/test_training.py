"""Training graphs made from inference graphs."""

from __future__ import annotations

import numpy as np
import pytest

from partition import partition
from partition.errors import InvalidInput
from partition.models.registry import build
from partition.models.training import OPTIMIZERS
from partition.problem.hardware_files import load_hardware
from partition.scoring.rules import check


@pytest.mark.parametrize("model", ["bert-base", "resnet50", "gpt:layers=2", "unet", "rnn:layers=2,seq=4"])
def test_training_costs_three_times_inference(model):
    inference = build(model)
    training = build(f"{model}{',' if ':' in model else ':'}training=sgd")
    assert training.flops.sum() == pytest.approx(3 * inference.flops.sum(), rel=0.05)


def test_every_backward_operation_shares_a_chip_with_its_forward_one():
    graph = build("resnet50:training=adam")
    for v in np.flatnonzero(graph.backward):
        forward = graph.index[graph.names[v].removesuffix(".grad")]
        assert graph.group[v] == graph.group[forward] >= 0


def test_gradients_flow_against_the_edges():
    graph = build("gpt:layers=2,training=adam")
    edges = set(zip(graph.edge_source.tolist(), graph.consumers.tolist(), strict=True))
    forward = {(u, w) for u, w in edges if not graph.backward[u] and not graph.backward[w]}
    back = {(u, w) for u, w in edges if graph.backward[u] and graph.backward[w]}
    own = {graph.names[v]: v for v in range(graph.n)}
    mirrored = {
        (own[f"{graph.names[w]}.grad"], own[f"{graph.names[u]}.grad"])
        for u, w in forward
        if f"{graph.names[u]}.grad" in own and f"{graph.names[w]}.grad" in own
    }
    assert back == mirrored


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_weights_grow_by_gradient_and_optimizer_state(optimizer):
    inference, training = build("vgg"), build(f"vgg:training={optimizer}")
    stashed = sum(
        size
        for name, size in zip(training.shared_names, training.shared_bytes, strict=True)
        if name.startswith("stash:")
    )
    stashed += float(training.weights.sum()) - OPTIMIZERS[optimizer] * float(inference.weights.sum())
    read_again = {
        t
        for t, w in zip(inference.edge_tensor.tolist(), inference.consumers.tolist(), strict=True)
        if f"{inference.names[w]}.grad" in training.index
    }
    assert stashed == pytest.approx(inference.tensor_bytes[sorted(read_again)].sum(), rel=1e-6)


def test_a_training_graph_is_solved_on_a_ring():
    hardware = load_hardware("ring4")
    result = partition(build("resnet50:training=adam"), hardware, time_limit=30, gap=0.01)
    assert result.status == "optimal"
    assert not check(result.graph, hardware, result.placement)


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(InvalidInput, match="training=lion is not allowed"):
        build("resnet50:training=lion")
