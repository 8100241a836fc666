"""The rule checker on small cases, and its batch version."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import oracle
import pytest
from checked import as_given
from exhaustive import brute_force
from instances import broadcast_mask, chain_of, diamond, long_skip, package, random_instance, random_training_instance

from partition import ChipKind, GraphBuilder, InvalidAssignment, Placement, check, evaluate_placement, partition, valid
from partition.scoring.rules import violated


def rules_broken(*arguments: object) -> set[str]:
    return {violation.rule for violation in check(*arguments)}  # type: ignore[arg-type]


def test_a_valid_assignment_breaks_nothing() -> None:
    assert check(chain_of([1, 1, 1]), package(3), [0, 1, 2]) == []


def test_a_replica_may_receive_what_its_chip_does_not_hold() -> None:
    graph, hardware = broadcast_mask(2), package(2)
    mask, layer = graph.index["mask"], graph.index["layer1"]
    home = np.zeros(graph.n, dtype=np.int64)
    home[layer] = 1
    copied = Placement(home, np.array([[mask, 1]]))  # the mask, but not what it is made of
    assert check(graph, hardware, copied) == []
    cost = evaluate_placement(graph, hardware, copied)
    assert cost.receive[0].tolist() == [0.0, 1.01]  # mask_in and the output of the first layer
    answer = {
        "assignment": dict(zip(graph.names, home.tolist(), strict=True)),
        "replicas": {"mask": [1]},
        "relays": [],
    }
    assert oracle.violations(as_given(graph, hardware), answer) == []
    assert oracle.cost(as_given(graph, hardware), answer)["receive"] == [0.0, 1.01]


@pytest.mark.parametrize("kind", ["Input", "Constant", "Op"])
def test_a_kind_of_chip_runs_nothing_that_it_lists_as_unsupported(kind: str) -> None:
    b = GraphBuilder("source")
    b.operation("source", kind, outputs={"s": 1.0}, flops=1, bytes_accessed=0)
    b.operation("reader", "Other", inputs=["s"], flops=4, bytes_accessed=0)
    graph = b.build()
    kinds = ChipKind("cut off", 1.0, unsupported=(kind,)), ChipKind("slow", 0.5)
    hardware = replace(
        package(2, topology="memory", acyclic=False, no_skipping=False), kinds=kinds, kind_of_chip=(0, 1)
    )
    assert rules_broken(graph, hardware, [0, 0]) == {"support"}
    answer = {"assignment": {"source": 0, "reader": 0}, "replicas": {}, "relays": []}
    assert [fault.split(":")[0] for fault in oracle.violations(as_given(graph, hardware), answer)] == ["support"]
    result = partition(graph, hardware)
    assert (result.status, result.placement.assignment.tolist()) == ("optimal", [1, 0])


@pytest.mark.parametrize("positions", [(), (2, 0, 1)])
def test_a_stage_keeps_its_kind_and_its_place_where_kinds_differ(positions: tuple[int, ...]) -> None:
    kinds = ChipKind("plain", 1.0), ChipKind("fast", 4.0)
    hardware = replace(package(3, topology="bichain"), kinds=kinds, kind_of_chip=(0, 1, 0), positions=positions)
    graph = chain_of([1, 4, 1], size=0.5)
    cost = evaluate_placement(graph, hardware, Placement(np.arange(3)))
    assert cost.compute[0].tolist() == [1.0, 1.0, 1.0]  # the kind of stage 1, wherever it stands
    result = partition(graph, hardware)
    assert result.hardware.stage_positions == (positions or (0, 1, 2))
    best, _ = brute_force(as_given(graph, hardware))
    assert result.period == best


def test_going_back_names_both_operations_and_chips() -> None:
    (violation,) = check(chain_of([1, 1]), package(2), [1, 0])
    assert violation.rule == "acyclic"
    assert violation.operations == ("v0", "v1") and violation.chips == (1, 0)


def test_a_skipped_chip_is_named() -> None:
    (violation,) = check(chain_of([1, 1]), package(3), [0, 2])
    assert violation.rule == "no_skipping" and violation.chips == (1,)


def test_a_direct_edge_beside_a_path_breaks_the_triangle_rule() -> None:
    (violation,) = check(long_skip(3), package(3), [0, 1, 2])
    assert violation.rule == "triangle" and violation.chips == (0, 2) and violation.tensors == ("t0",)


def test_a_longer_path_counts_as_well() -> None:
    assert rules_broken(long_skip(4), package(4), [0, 1, 2, 3]) == {"triangle"}


def test_two_ways_of_equal_length_are_fine() -> None:
    assert check(diamond(), package(4), [0, 1, 2, 3]) == []


def test_a_relay_satisfies_the_triangle_rule() -> None:
    placement = Placement(np.array([0, 1, 2]), relays=np.array([[0, 1]]))
    assert check(long_skip(3), package(3), placement) == []
    assert rules_broken(long_skip(3), package(3, relays=False), placement) == {"relays"}


def test_a_replica_satisfies_the_triangle_rule() -> None:
    graph, chips = broadcast_mask(3), np.array([0, 0, 0, 1, 2])
    copies = np.array([(v, c) for v in (0, 1) for c in (1, 2)])
    assert rules_broken(graph, package(3), chips) == {"triangle"}
    assert check(graph, package(3), Placement(chips, copies)) == []
    assert "replication" in rules_broken(graph, package(3, replication=False), Placement(chips, copies))


def test_a_replica_before_its_home_is_refused() -> None:
    placement = Placement(np.array([1, 1, 1, 1, 1]), np.array([[1, 0]]))
    assert "replication" in rules_broken(broadcast_mask(3), package(2, no_skipping=False), placement)


def test_too_many_weights_name_the_chip() -> None:
    b = GraphBuilder("heavy")
    for i in range(3):
        b.operation(f"v{i}", "Op", weights=4.0)
    (violation,) = check(b.build(), package(2, sram=9.0), [0, 0, 0])
    assert violation.rule == "memory" and violation.chips == (0,) and len(violation.operations) == 3


def test_a_group_apart_is_named() -> None:
    b = GraphBuilder("group")
    for i in range(2):
        b.operation(f"v{i}", "Op", group="g")
    (violation,) = check(b.build(), package(2), [0, 1])
    assert violation.rule == "colocation" and violation.operations == ("v0", "v1")


@pytest.mark.parametrize("rule", ["acyclic", "no_skipping", "triangle", "memory"])
def test_a_rule_switched_off_is_not_checked(rule: str) -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng)
        if hardware.interconnect.topology == "chain" and rule == "acyclic":
            continue
        chips = rng.integers(0, hardware.chips, graph.n)
        assert rule not in rules_broken(graph, hardware.with_rules(**{rule: False}), chips)


def test_the_batch_version_agrees_row_by_row() -> None:
    for seed in range(80):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng) if seed % 3 else random_training_instance(rng)
        batch = np.sort(rng.integers(0, hardware.chips, size=(6, graph.n)), axis=1)
        broken = violated(graph, hardware, batch)
        for row in range(6):
            assert {rule for rule, rows in broken.items() if rows[row]} == rules_broken(graph, hardware, batch[row])
        np.testing.assert_array_equal(
            valid(graph, hardware, batch), [not check(graph, hardware, chips) for chips in batch]
        )


def test_an_assignment_for_other_operations_is_refused() -> None:
    with pytest.raises(InvalidAssignment, match="shape"):
        check(chain_of([1, 1]), package(2), [0, 0, 0])
    with pytest.raises(InvalidAssignment, match="lacks operation 'v1'"):
        Placement.from_names(chain_of([1, 1]), {"v0": 0}, chips=2)
