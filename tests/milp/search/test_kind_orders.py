"""Kinds of chips whose order along the pipeline is free: what holds for every order at once."""

from __future__ import annotations

from dataclasses import replace

from instances import chain_of, package

from partition import ChipKind, Hardware, partition


def package_of_two_kinds(chips: int) -> Hardware:
    """Half of the chips twice as fast as the others, in any order."""
    kinds = (ChipKind("slow", 1.0), ChipKind("fast", 2.0))
    of_chip = tuple(c % 2 for c in range(chips))
    return replace(package(chips), kinds=kinds, kind_of_chip=of_chip, kind_order="free")


def test_a_search_without_time_has_the_bound_of_work() -> None:
    """Each operation on its fastest kind, spread evenly: 18 s of FLOPs at 2 per second over 4 chips."""
    graph, hardware = chain_of([2, 4, 3, 3, 4, 2], size=0.5), package_of_two_kinds(4)
    result = partition(graph, hardware, work_limit=0.002)
    assert 2.25 * (1 - 1e-6) <= result.bound <= result.period
    assert partition(graph, hardware, work_limit=5.0).status == "optimal"
