"""The independent checker against sums worked out by hand, brute force against the plain enumeration."""

from __future__ import annotations

import copy
import itertools
import math
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from checked import as_given
from exhaustive import brute_force
from instances import (
    answer_of,
    broadcast_mask,
    chain_of,
    diamond,
    long_skip,
    package,
    random_instance,
    random_training_instance,
    residual_block,
)
from oracle import Problem, certify, check_description, cost, energy, latency, violations

from partition import Graph, GraphBuilder, Hardware, Placement, check, evaluate_placement, partition
from partition.results.description import describe


def placed(
    chips: list[int], graph: Graph, replicas: dict[str, list[int]] | None = None, *relays: Any
) -> dict[str, Any]:
    """An answer with the operations in the order of the graph."""
    return {
        "assignment": dict(zip(graph.names, chips, strict=True)),
        "replicas": replicas or {},
        "relays": [list(pair) for pair in relays],
    }


def rules_broken(graph: Graph, hardware: Hardware, answer: dict[str, Any]) -> set[str]:
    return {text.split(":")[0] for text in violations(as_given(graph, hardware), answer)}


def replicable(problem: dict[str, Any]) -> set[str]:
    return Problem(problem).replicable


# --- the law, by hand -----------------------------------------------------------------------------------------


def test_a_tensor_crosses_each_link_once_however_far_it_is_read() -> None:
    b = GraphBuilder("fan")
    b.operation("u", "Op", outputs={"t": 3.0}, flops=1, bytes_accessed=0)
    for name in ("near", "far"):
        b.operation(name, "Op", inputs=["t"], flops=2, bytes_accessed=0)
    graph = b.build()
    found = cost(as_given(graph, package(4, bandwidth=2.0)), placed([0, 1, 3], graph))
    assert found["link"] == [1.5, 1.5, 1.5, 0]
    assert found["receive"] == [0, 1.5, 0, 1.5]
    assert found["send"] == [1.5, 0, 0, 0]
    assert found["compute"] == [1, 2, 0, 2]
    assert found["period"] == 2


def test_serial_loads_add_up() -> None:
    graph = chain_of([2, 3, 4], size=1.5)
    problem = as_given(graph, package(3, transfers="serial"))
    assert cost(problem, placed([0, 1, 2], graph))["period"] == 1.5 + 3 + 1.5


def test_round_the_ring_or_not_at_all() -> None:
    graph = chain_of([1, 1], size=1.0)
    back = placed([2, 1], graph)
    assert cost(as_given(graph, package(3, acyclic=False)), back)["link"] == [1, 0, 1]
    assert math.isinf(cost(as_given(graph, package(3, topology="chain")), back)["period"])


def test_a_relay_receives_once_and_becomes_the_source_of_what_lies_behind_it() -> None:
    graph = long_skip(3, time=1.0)  # v0 -> v1 -> v2 and v0 -> v2
    problem = as_given(graph, package(3, transfers="serial"))
    direct, relayed = placed([0, 1, 2], graph), placed([0, 1, 2], graph, None, ("t0", 1))
    assert violations(problem, direct) == ["triangle: 0 -> 2 beside 1"]
    assert violations(problem, relayed) == []
    assert cost(problem, direct)["send"] == [1, 1, 0]
    found = cost(problem, relayed)
    assert found["send"] == [1, 2, 0]
    assert found["receive"] == [0, 1, 2]
    assert found["link"] == [1, 2, 0]


def test_a_replica_runs_beside_its_reader_instead_of_a_transfer() -> None:
    graph = broadcast_mask(2)
    problem = as_given(graph, package(2))
    alone = cost(problem, placed([0, 0, 0, 1], graph))
    copied = cost(problem, placed([0, 0, 0, 1], graph, {"mask_in": [1], "mask": [1]}))
    assert alone["receive"] == [0, 1.01] and copied["receive"] == [0, 1.0]
    assert alone["compute"] == [10.01, 10] and copied["compute"] == [10.01, 10.01]


def test_a_shared_weight_counts_once_on_each_chip() -> None:
    b = GraphBuilder("shared")
    for i in range(3):
        b.operation(f"v{i}", "Op", weights={"table": 10.0, f"own{i}": 1.0})
    graph = b.build()
    assert cost(as_given(graph, package(2)), placed([0, 0, 1], graph))["sram"] == [12, 11]
    assert rules_broken(graph, package(2, sram=11), placed([0, 0, 1], graph)) == {"memory"}


@pytest.mark.parametrize(
    ("chips", "broken"),
    [
        ([1, 0, 1, 1], {"acyclic"}),
        ([0, 1, 1, 2], set()),
        ([0, 1, 1, 3], {"no_skipping"}),
        ([0, 1, 2, 2], {"triangle"}),
        ([0, 0, 0, 0], set()),
    ],
)
def test_rules_on_the_diamond(chips: list[int], broken: set[str]) -> None:
    graph = diamond()
    assert rules_broken(graph, package(4), placed(chips, graph)) == broken


def test_an_edge_between_backward_operations_may_go_back_except_on_a_chain() -> None:
    b = GraphBuilder("training")
    b.operation("u", "Op", outputs={"t": 1.0}, backward=True)
    b.operation("w", "Op", inputs=["t"], backward=True)
    graph, back = b.build(), placed([1, 0], b.build())
    assert rules_broken(graph, package(2), back) == set()
    assert rules_broken(graph, package(2, topology="memory"), back) == set()
    assert rules_broken(graph, package(2, topology="chain"), back) == {"acyclic"}


def test_with_cycles_a_walk_may_come_back_to_a_chip() -> None:
    b = GraphBuilder("walk")
    b.operation("a", "Op", outputs={"ab": 1.0})
    b.operation("b", "Op", inputs=["ab"], outputs={"bc": 1.0})
    b.operation("c", "Op", inputs=["bc"], outputs={"cb": 1.0})
    b.operation("d", "Op", inputs=["cb"])
    graph = b.build()
    # 0 -> 1 -> 2 -> 1: the direct edge 0 -> 1 stands beside the walk 0 -> 1 -> 2 -> 1.
    assert rules_broken(graph, package(3, acyclic=False), placed([0, 1, 2, 1], graph)) == {"triangle"}


@pytest.mark.parametrize(
    ("replicas", "relays", "broken"),
    [
        ({"layer0": [2]}, [], "replication"),  # not cheap
        ({"mask": [0]}, [], "replication"),  # not after its home
        ({}, [("t0", 0)], "relays"),  # not after its producer
        ({"mask": [1]}, [("mask", 1)], "relays"),  # beside an instance of its producer
        ({"mask": [7]}, [], "assignment"),
        ({"nobody": [1]}, [], "assignment"),
        ({}, [("nothing", 1)], "relays"),
    ],
)
def test_copies_and_relays_out_of_place(replicas: dict[str, list[int]], relays: list[Any], broken: str) -> None:
    graph = broadcast_mask(3)
    answer = placed([0, 0, 0, 1, 2], graph, replicas, *relays)
    assert broken in rules_broken(graph, package(3), answer)


def test_latency_is_the_longest_path_and_energy_counts_every_hop() -> None:
    graph = diamond(times=(1, 5, 2, 1))
    problem = as_given(graph, package(4))
    problem["hardware"]["interconnect"] |= {"link_latency_s": 0.5, "link_energy_j_per_byte": 2.0}
    problem["hardware"]["chip_kinds"]["unit"]["flop_energy_j"] = 3.0
    answer = placed([0, 1, 2, 3], graph)
    # chips: 0 computes 1 and sends 1; 1 and 2 receive, compute 5 or 2 and send; 3 receives 2 and computes 1
    assert latency(problem, answer) == (1 + 1) + 0.5 + (1 + 5 + 1) + 2 * 0.5 + (2 + 1)
    assert energy(problem, answer) == 3 * 9 + 2 * (2 + 2 + 1)


def test_the_mask_is_replicable_and_the_layers_are_not() -> None:
    assert replicable(as_given(broadcast_mask(3), package(3))) == {"mask_in", "mask"}
    assert replicable(as_given(broadcast_mask(3), package(3, replication=False))) == set()
    assert replicable(as_given(broadcast_mask(1), package(3))) == set()  # one reader: nothing to gain


# --- brute force ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("graph", "hardware", "period"),
    [
        (chain_of([3, 3, 3, 3]), package(2), 6),
        (chain_of([5, 1, 1, 5]), package(3), 5),  # 5 | 1 1 | 5
        (chain_of([2, 2], size=9), package(2), 4),  # the transfer costs more than it saves
        (diamond(), package(2), 3),  # 1 2 | 2 1, two tensors of 1 between them
        (long_skip(4), package(4, transfers="serial", relays=False), 8),  # two chips at most: 3 3 | 3 3 and two tensors
        (residual_block(), package(2), 6),
        (broadcast_mask(3), package(3), 10.01),
        (
            broadcast_mask(3),
            package(3, replication=False, relays=False),
            20,
        ),  # again two chips at most: the mask goes with one layer
    ],
)
def test_optima_worked_out_by_hand(graph: Graph, hardware: Hardware, period: float) -> None:
    best, answer = brute_force(as_given(graph, hardware))
    assert best == pytest.approx(period), answer


def test_weights_that_fit_nowhere_are_infeasible() -> None:
    b = GraphBuilder("heavy")
    for i in range(3):
        b.operation(f"v{i}", "Op", weights=2, flops=1, bytes_accessed=0)
    assert brute_force(as_given(b.build(), package(2, sram=3))) == (None, None)
    assert brute_force(as_given(b.build(), package(2, sram=4)))[0] == 2


def every_placement(problem: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All assignments, replica sets and relay sets whatsoever: the plain enumeration."""
    p = Problem(problem)
    chips, names = range(p.C), list(p.operations)
    copies = [(v, c) for v in names if v in p.replicable for c in chips]
    forwards = [(t, c) for t, row in p.tensors.items() if row["consumers"] for c in chips]
    for homes in itertools.product(chips, repeat=len(names)):
        for chosen in _subsets(copies):
            replicas: dict[str, list[int]] = {}
            for name, c in chosen:
                replicas.setdefault(name, []).append(c)
            for relays in _subsets(forwards if p.rules["relays"] else []):
                yield {"assignment": dict(zip(names, homes, strict=True)), "replicas": replicas, "relays": relays}


def _subsets(items: list[Any]) -> list[Any]:
    return [chosen for k in range(len(items) + 1) for chosen in itertools.combinations(items, k)]


def _size(problem: dict[str, Any]) -> float:
    p = Problem(problem)
    forwards = sum(bool(row["consumers"]) for row in p.tensors.values()) * p.rules["relays"]
    return float(p.C ** len(p.operations) * 2.0 ** (p.C * (len(p.replicable) + forwards)))


def test_brute_force_finds_what_the_plain_enumeration_finds() -> None:
    compared = chosen = infeasible = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng, n=1 + seed % 4) if seed % 8 else random_training_instance(rng)
        problem = as_given(graph, hardware)
        if _size(problem) > 1200:
            continue
        valid = (
            cost(problem, answer)["period"] for answer in every_placement(problem) if not violations(problem, answer)
        )
        expected = min(valid, default=None)
        best, answer = brute_force(problem)
        assert best == (None if expected is None else pytest.approx(expected, rel=1e-12)), seed
        compared += 1
        infeasible += best is None
        chosen += answer is not None and len(set(answer["assignment"].values())) > 1
    assert compared > 50 and chosen > 10 and infeasible > 2


def three_on_three() -> tuple[Graph, Hardware]:
    """Serial transfers, and a tensor that must be relayed or a tiny operation copied for the best period."""
    b = GraphBuilder("three")
    b.operation("tiny", "Op", outputs={"s": 0.5}, flops=0.01, bytes_accessed=0)
    b.operation("a", "Op", inputs=["s"], outputs={"x": 0.5}, flops=8, bytes_accessed=0)
    b.operation("b", "Op", inputs=["s", "x"], outputs={"y": 0.5}, flops=7, bytes_accessed=0)
    b.operation("c", "Op", inputs=["s", "y"], flops=9, bytes_accessed=0)
    return b.build(), package(3, transfers="serial")


@pytest.mark.parametrize(("replication", "relays"), [(True, False), (False, True)])
def test_brute_force_uses_replicas_and_relays_as_the_plain_enumeration_does(replication: bool, relays: bool) -> None:
    graph, hardware = three_on_three()
    without = brute_force(as_given(graph, hardware.with_rules(replication=False, relays=False)))[0]
    problem = as_given(graph, hardware.with_rules(replication=replication, relays=relays))
    # Nobody reads but forward, so assignments in order are all that can be valid; here they keep it quick.
    valid = (
        cost(problem, answer)["period"]
        for answer in every_placement(problem)
        if sorted(answer["assignment"].values()) == list(answer["assignment"].values())
        and not violations(problem, answer)
    )
    best, answer = brute_force(problem)
    assert best == pytest.approx(min(valid))
    assert answer is not None and without is not None and best is not None
    assert best < without and (answer["replicas"] if replication else answer["relays"])


def test_brute_force_says_when_there_is_too_much_to_try() -> None:
    with pytest.raises(OverflowError):
        brute_force(as_given(chain_of([1.0] * 8), package(4, acyclic=False)), limit=50)


def test_brute_force_lists_no_sets_of_replicas_before_it_tries_them() -> None:
    """There are 2^18 sets of chips for those of one operation; on 36 chips the list of them filled the memory."""
    problem = as_given(broadcast_mask(), package(19))
    tracemalloc.start()
    try:
        with pytest.raises(OverflowError):
            brute_force(problem, limit=50)
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


# --- certify --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"period": 2.9}, "period"),
        ({"bound": 100.0}, "bound"),
        ({"gap": 0.5}, "gap"),
        ({"assignment": {"top": 1, "left": 1, "right": 1, "bottom": 0}}, "acyclic"),
        ({"assignment": {"top": 0}}, "assignment"),
        ({"relays": [["t", 0]]}, "relays"),
        ({"status": "infeasible"}, "infeasible"),
        ({"status": "perfect"}, "perfect"),
    ],
)
def test_certify_refuses_a_false_claim(change: dict[str, Any], words: str) -> None:
    graph, hardware = diamond(), package(3)
    answer = answer_of(partition(graph, hardware))
    certify(as_given(graph, hardware), answer)
    with pytest.raises(AssertionError, match=words):
        certify(as_given(graph, hardware), answer | copy.deepcopy(change))


def test_certify_refuses_optimal_beyond_the_gap_asked_for() -> None:
    graph, hardware = diamond(), package(3)
    answer = answer_of(partition(graph, hardware))
    answer |= {"bound": answer["period"] / 2, "gap": 0.5}
    answer["goals"] = [{"goal": "period", "value": answer["period"], "bound": answer["bound"], "gap": 0.5}]
    with pytest.raises(AssertionError, match="optimal"):
        certify(as_given(graph, hardware), answer)


# --- the library's own figures --------------------------------------------------------------------------------


def random_answer(rng: np.random.Generator, problem: dict[str, Any], *, ordered: bool) -> dict[str, Any]:
    """Any homes, replicas and relays, sensible or not."""
    p = Problem(problem)
    C, names = p.C, list(p.operations)
    chips = rng.integers(0, C, len(names))
    chips = np.sort(chips) if ordered else chips
    copies = {name: rng.choice(C, int(rng.integers(0, C + 1)), replace=False) for name in names if rng.random() < 0.3}
    forwards = [[t, int(c)] for t in p.tensors for c in range(C) if rng.random() < 0.2]
    homes = dict(zip(names, chips.tolist(), strict=True))
    replicas = {name: sorted(set(further.tolist()) - {homes[name]}) for name, further in copies.items()}
    return {"assignment": homes, "replicas": {k: v for k, v in replicas.items() if v}, "relays": forwards}


@pytest.mark.parametrize("copies", [False, True])
def test_cost_and_rules_agree_with_the_library(copies: bool) -> None:
    seen: set[str] = set()
    for seed in range(200):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng) if seed % 4 else random_training_instance(rng)
        problem = as_given(graph, hardware)
        answer = random_answer(rng, problem, ordered=seed % 3 > 0)
        if not copies:
            answer |= {"replicas": {}, "relays": []}
        elif seed % 2:  # replicas of what may be replicated only, so that shared weights stay as they are
            allowed = replicable(problem)
            answer["replicas"] = {name: c for name, c in answer["replicas"].items() if name in allowed}
        placement = Placement.from_names(graph, chips=hardware.chips, **answer)
        broken = {text.split(":")[0] for text in violations(problem, answer)}
        assert {v.rule for v in check(graph, hardware, placement)} == broken, seed
        seen |= broken
        if broken & {"replication", "relays"}:
            continue
        expected, found = cost(problem, answer), evaluate_placement(graph, hardware, placement)
        assert found.period[0] == pytest.approx(expected["period"]), seed
        assert found.latency[0] == pytest.approx(latency(problem, answer)), seed
        if math.isfinite(expected["period"]):
            assert found.energy[0] == pytest.approx(energy(problem, answer)), seed
            for name in ("compute", "receive", "send", "link", "sram"):
                np.testing.assert_allclose(getattr(found, name)[0], expected[name], atol=1e-12, err_msg=f"{seed}")
    assert seen >= {"acyclic", "no_skipping", "triangle", "memory", "colocation"} | (
        {"replication", "relays"} if copies else set()
    )


def test_what_inspect_tells_agrees_with_the_oracle() -> None:
    found = 0
    for seed in range(200):
        graph, hardware = random_instance(np.random.default_rng(seed))
        problem = as_given(graph, hardware)
        check_description(problem, describe(graph, hardware))
        found += len(replicable(problem)) > 0
    assert found > 15
