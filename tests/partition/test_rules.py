"""The rule checker on small cases, and its batch version."""

from __future__ import annotations

import numpy as np
import pytest
from instances import broadcast_mask, chain_of, diamond, long_skip, package, random_instance, random_training_instance

from partition import GraphBuilder, InvalidAssignment, Placement, check, valid
from partition.rules import violated


def rules_broken(*arguments: object) -> set[str]:
    return {violation.rule for violation in check(*arguments)}  # type: ignore[arg-type]


def test_a_valid_assignment_breaks_nothing() -> None:
    assert check(chain_of([1, 1, 1]), package(3), [0, 1, 2]) == []


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
