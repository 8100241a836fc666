"""Schedules of one chip: the least peak against all orders, and what counts towards it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from checked import as_given
from instances import answer_of, chain_of, package, random_tight_instance
from oracle import Problem, peak_of

from partition import GraphBuilder, InvalidHardware, Placement, Rules, check, partition
from partition.scoring.rules import valid, violated
from partition.scoring.schedules import ChipWork, WorkModel, schedule


def orders_of(work: ChipWork) -> Iterator[tuple[int, ...]]:
    """All orders of the operations that keep every producer before its readers."""
    for order in itertools.permutations(range(len(work.operations))):
        done = 0
        for item in order:
            if work.before[item] & ~done:
                break
            done |= 1 << item
        else:
            yield order


@pytest.mark.parametrize("transfers", ["overlapped", "serial"])
def test_a_capacity_is_enough_exactly_if_some_order_fits(transfers: str) -> None:
    rng = np.random.default_rng(5)
    compared = 0
    for _ in range(60):
        graph, hardware = random_tight_instance(rng)
        model = WorkModel(graph, hardware)
        placement = Placement(np.sort(rng.integers(0, hardware.chips, graph.n)))
        for work in model.chips(placement):
            if not 1 < len(work.operations) <= 6:
                continue
            least = min(map(work.peak, orders_of(work)))
            assert work.floor() <= least * (1 + 1e-12)
            enough, short = schedule(work, least), schedule(work, least * (1 - 1e-6) - 1e-9)
            assert enough.fits is True and enough.peak == pytest.approx(least)
            assert short.fits is False and short.peak >= least * (1 - 1e-12)
            compared += 1
    assert compared > 30


def test_peaks_agree_with_the_independent_checker() -> None:
    for seed in range(15):
        graph, hardware = random_tight_instance(np.random.default_rng(seed))
        result = partition(graph, hardware, time_limit=20)
        if result.placement is None:
            continue
        problem, answer = Problem(as_given(graph, hardware)), answer_of(result)
        for row in answer["schedules"]:
            assert row["peak"] == pytest.approx(peak_of(problem, answer, row["chip"], row["order"]))
            assert row["peak"] <= hardware.sram_bytes[row["chip"]] * (1 + 1e-9)


def test_of_two_branches_the_one_that_shrinks_goes_first() -> None:
    """Wide tensors of size 10 that end in 1: one after the other 12 bytes are enough, side by side 20 would not be."""
    b = GraphBuilder("branches")
    for side in "ab":
        b.operation(f"{side}1", "Op", outputs={f"{side}1": 10}, flops=1, bytes_accessed=0)
        b.operation(f"{side}2", "Op", inputs=[f"{side}1"], outputs={f"{side}2": 1}, flops=1, bytes_accessed=0)
    b.operation("end", "Op", inputs=["a2", "b2"], flops=1, bytes_accessed=0)
    (work,) = WorkModel(b.build(), package(1)).chips(Placement(np.zeros(5, dtype=np.int64)))
    found = schedule(work, 12)
    assert found.fits and found.peak == 12
    assert schedule(work, 11.9).fits is False


@pytest.mark.parametrize(("transfers", "first", "second"), [("overlapped", 10.0, 10.0), ("serial", 5.0, 5.0)])
def test_a_transfer_takes_two_buffers_at_either_end_where_it_overlaps(
    transfers: str, first: float, second: float
) -> None:
    graph, hardware = chain_of([1, 1], size=5), package(2, transfers=transfers)
    one, two = WorkModel(graph, hardware).chips(Placement(np.array([0, 1])))
    assert schedule(one, 1e9).peak == first
    assert schedule(two, 1e9).peak == second + 5  # its own result, which nobody reads


def test_a_relay_takes_buffers() -> None:
    graph, hardware = chain_of([1, 1], size=5), package(3, sram=100)
    placement = Placement(np.array([0, 2]), np.zeros((0, 2), dtype=np.int64), np.array([[0, 1]]))
    _, between, _ = WorkModel(graph, hardware).chips(placement)
    assert between.operations == () and schedule(between, 1e9).peak == 10


def test_batches_agree_with_the_checker() -> None:
    for seed in range(25):
        rng = np.random.default_rng(seed)
        graph, hardware = random_tight_instance(rng)
        batch = np.sort(rng.integers(0, hardware.chips, (12, graph.n)), axis=1)
        one_by_one = [not check(graph, hardware, row) for row in batch]
        assert valid(graph, hardware, batch).tolist() == one_by_one
        rules = {v.rule for v in check(graph, hardware, batch[0])}
        assert ("dynamic_memory" in rules) <= bool(violated(graph, hardware, batch[:1])["dynamic_memory"][0])


def test_the_message_says_which_chip_and_how_much() -> None:
    graph, hardware = chain_of([1, 1], size=5), package(2, sram=9, dynamic_memory=True)
    (violation, *_) = check(graph, hardware, [0, 1])
    assert violation.rule == "dynamic_memory" and violation.chips == (0,)
    assert "chip 0" in violation.message and "the best one found takes 10" in violation.message


def test_dynamic_memory_without_memory_is_refused() -> None:
    with pytest.raises(InvalidHardware, match="builds on"):
        Rules(memory=False, dynamic_memory=True)
