"""Which operations may be replicated, and how contraction keeps the problem."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from checked import as_given
from instances import broadcast_mask, long_skip, package, random_instance, random_training_instance

from partition import GraphBuilder, load_hardware, load_model, partition
from partition.instance.contract import contract
from partition.problem.problem import Problem
from partition.problem.replication import SHARE


def test_the_mask_of_a_transformer_is_replicable() -> None:
    graph = load_model("bert-base").graph
    names = {graph.names[v] for v in np.flatnonzero(Problem.of(graph, load_hardware("ring36")).replicable)}
    assert "attention_mask" in names
    assert not any("query" in name for name in names)


@pytest.mark.parametrize(("change", "value"), [("flops", 10.0), ("weights", 1e9), ("group", "g"), ("backward", True)])
def test_costly_or_bound_operations_are_not(change: str, value: object) -> None:
    b = GraphBuilder("mask")
    b.operation("in", "Input", outputs={"in": 0.01})
    options = {"flops": 0.01, "bytes_accessed": 0.0, change: value}
    b.operation("mask", "Sub", inputs=["in"], outputs={"mask": 0.01}, **options)  # type: ignore[arg-type]
    for i in range(3):
        b.operation(f"v{i}", "Op", inputs=["mask"], flops=10, bytes_accessed=0)
    assert not Problem.of(b.build(), package(3, sram=1e6)).replicable[1]


@pytest.mark.parametrize(("kind", "counts"), [("Input", True), ("Constant", False), ("Neg", False)])
def test_only_what_the_host_delivers_counts_as_memory_of_a_replica(kind: str, counts: bool) -> None:
    b = GraphBuilder("two readers")
    b.operation("source", kind, outputs={"s": 100.0}, flops=0, bytes_accessed=0)
    for name in ("a", "b"):
        b.operation(name, "Op", inputs=["s"], flops=1, bytes_accessed=0)
    graph, hardware = b.build(), package(2, topology="chain", sram=1000)
    assert Problem.of(graph, hardware).replicable[0] == (not counts)
    assert bool(oracle.Problem(as_given(graph, hardware)).replicable) == (not counts)
    result = partition(graph, hardware)
    assert result.status == "optimal"
    assert result.period == (2.0 if counts else 1.0)


def test_what_a_constant_weighs_counts() -> None:
    b = GraphBuilder("two readers")
    b.operation("source", "Constant", outputs={"s": 1.0}, weights=100.0)
    for name in ("a", "b"):
        b.operation(name, "Op", inputs=["s"], flops=1, bytes_accessed=0)
    graph, hardware = b.build(), package(2, topology="chain", sram=1000)
    assert not Problem.of(graph, hardware).replicable.any()
    assert not oracle.Problem(as_given(graph, hardware)).replicable


def test_replicable_operations_are_closed_and_cheap() -> None:
    for seed in range(100):
        graph, hardware = random_instance(np.random.default_rng(seed))
        may = Problem.of(graph, hardware).replicable
        assert may[graph.edge_source[may[graph.consumers]]].all()
        time = hardware.times(graph)[0]
        assert (time[may] <= SHARE * time.sum() / hardware.chips + 1e-12).all()


def test_switches_decide() -> None:
    graph = broadcast_mask(3)
    assert Problem.of(graph, package(3)).replicable.any()
    assert not Problem.of(graph, package(3, replication=False)).replicable.any()
    assert not Problem.of(graph, package(3, acyclic=False)).replicable.any()
    assert Problem.of(long_skip(4), package(3)).relayable.all()
    assert not Problem.of(long_skip(4), package(3, topology="memory")).relayable.any()


def test_contraction_keeps_work_weights_and_order() -> None:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng) if seed % 2 else random_training_instance(rng)
        instance = contract(graph, hardware)
        assert instance.time.sum() * instance.unit == pytest.approx(hardware.times(graph).sum())
        held = instance.weights.sum() + instance.shared_bytes.sum()
        assert held == pytest.approx(graph.weights.sum() + graph.shared_bytes.sum())
        assert (instance.edges[:, 0] < instance.edges[:, 1]).all()
        for group in np.unique(graph.group[graph.group >= 0]):
            assert len(np.unique(instance.node_of[graph.group == group])) == 1


def test_groups_that_form_a_cycle_become_one_node() -> None:
    b = GraphBuilder("sandwich")
    b.operation("a", "Op", outputs={"a": 1}, flops=1, group="g")
    b.operation("b", "Op", inputs=["a"], outputs={"b": 1}, flops=1)
    b.operation("c", "Op", inputs=["b"], flops=1, group="g")
    assert contract(b.build(), package(2)).nodes == 1
