"""The cost model: sums worked out by hand, batches, and both of its paths."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from instances import broadcast_mask, chain_of, diamond, long_skip, package, random_instance, random_training_instance

import partition.scoring.cost
from partition import CostModel, Graph, GraphBuilder, InvalidAssignment, Placement, evaluate, evaluate_placement


def fan_out() -> Graph:
    b = GraphBuilder("fan")
    b.operation("u", "Op", outputs={"t": 3.0}, flops=1, bytes_accessed=0)
    for name in ("a", "b", "c"):
        b.operation(name, "Op", inputs=["t"], flops=1, bytes_accessed=0)
    return b.build()


def test_a_tensor_is_sent_once_and_received_once_per_chip() -> None:
    cost = evaluate(fan_out(), package(3), [0, 1, 1, 2])
    assert cost.send[0].tolist() == [3, 0, 0]
    assert cost.receive[0].tolist() == [0, 3, 3]
    assert cost.compute[0].tolist() == [1, 2, 1]


def test_a_tensor_from_chip_2_to_5_crosses_three_links() -> None:
    cost = evaluate(chain_of([1, 1]), package(6), [2, 5])
    assert cost.link[0].tolist() == [0, 0, 1, 1, 1, 0]


def test_on_a_ring_a_tensor_goes_back_round_the_end() -> None:
    cost = evaluate(chain_of([1, 1]), package(4, acyclic=False), [3, 1])
    assert cost.link[0].tolist() == [1, 0, 0, 1]


def test_a_chain_cannot_carry_a_tensor_back() -> None:
    cost = evaluate(chain_of([1, 1]), package(4, topology="chain"), [[3, 1], [1, 3]])
    assert np.isinf(cost.period[0]) and np.isinf(cost.latency[0])
    assert cost.period[1] == 1


def test_main_memory_has_no_links() -> None:
    cost = evaluate(chain_of([1, 1]), package(4, topology="memory"), [0, 3])
    assert cost.link.shape == (1, 0)
    assert cost.period[0] == 1


def test_serial_transfers_add_up_and_overlapped_ones_do_not() -> None:
    graph, chips = chain_of([2, 3, 4], size=1.5), [0, 1, 2]
    assert evaluate(graph, package(3, transfers="serial"), chips).period[0] == 3 + 1.5 + 1.5
    assert evaluate(graph, package(3), chips).period[0] == 4


def test_a_relay_receives_and_sends() -> None:
    graph, hardware = long_skip(3), package(3, transfers="serial")
    plain = evaluate_placement(graph, hardware, Placement(np.array([0, 0, 2])))
    relayed = evaluate_placement(graph, hardware, Placement(np.array([0, 0, 2]), relays=np.array([[1, 1]])))
    assert plain.receive[0].tolist() == [0, 0, 2] and relayed.receive[0].tolist() == [0, 1, 2]
    assert plain.send[0].tolist() == [2, 0, 0] and relayed.send[0].tolist() == [2, 1, 0]
    assert plain.link[0].tolist() == relayed.link[0].tolist() == [2, 2, 0]


def test_a_replica_runs_and_saves_the_transfer() -> None:
    graph, hardware = broadcast_mask(2), package(2)
    chips = np.array([0, 0, 0, 1])
    plain = evaluate_placement(graph, hardware, Placement(chips))
    copied = evaluate_placement(graph, hardware, Placement(chips, np.array([[0, 1], [1, 1]])))
    assert plain.receive[0, 1] == pytest.approx(1.01) and copied.receive[0, 1] == pytest.approx(1.0)
    assert copied.compute[0, 1] == pytest.approx(plain.compute[0, 1] + 0.01)


def test_a_shared_weight_counts_once_per_chip() -> None:
    b = GraphBuilder("shared")
    for i in range(3):
        b.operation(f"v{i}", "Op", flops=1, weights={"table": 10.0, f"own{i}": 1.0})
    cost = evaluate(b.build(), package(2), [0, 0, 1])
    assert cost.sram[0].tolist() == [12, 11]


def test_latency_is_the_longest_path_through_the_chips() -> None:
    cost = evaluate(diamond(size=0.0), package(4, topology="memory"), [0, 1, 2, 3])
    assert cost.latency[0] == 1 + 2 + 1


def test_energy_counts_work_and_every_hop() -> None:
    from partition.problem.hardware import override

    settings = {"flop_energy_j": 2.0, "link_energy_j_per_byte": 0.5}
    cost = evaluate(chain_of([1, 3], size=4.0), override(package(4), settings), [0, 3])
    assert cost.energy[0] == 2 * 4 + 0.5 * 4 * 3


def test_a_batch_equals_its_rows_and_both_paths_agree() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng) if seed % 3 else random_training_instance(rng)
        batch = rng.integers(0, hardware.chips, size=(7, graph.n))
        model = CostModel(graph, hardware)
        whole = model.evaluate(batch)
        np.testing.assert_allclose(model.period(batch), whole.period)
        for row in range(7):
            single = model.evaluate(batch[row])
            for name in ("compute", "receive", "send", "link", "sram", "load", "period", "latency", "energy"):
                np.testing.assert_allclose(getattr(single, name)[0], getattr(whole, name)[row], atol=1e-12)


def test_a_tensor_with_very_many_consumers_takes_the_same_path() -> None:
    b = GraphBuilder("wide")
    b.operation("u", "Op", outputs={"t": 1.0}, flops=1, bytes_accessed=0)
    for i in range(100):
        b.operation(f"v{i}", "Op", inputs=["t"], flops=1, bytes_accessed=0)
    graph, hardware = b.build(), package(5)
    batch = np.random.default_rng(0).integers(0, 5, size=(20, graph.n))
    model = CostModel(graph, hardware)
    np.testing.assert_allclose(model.period(batch), model.evaluate(batch).period)


def test_threads_may_share_a_model() -> None:
    graph, hardware = random_instance(np.random.default_rng(5))
    batch = np.random.default_rng(0).integers(0, hardware.chips, size=(50, graph.n))
    model = CostModel(graph, hardware)
    expected = model.period(batch)
    wrong: list[int] = []
    threads = [
        threading.Thread(target=lambda: [wrong.append(1) for _ in range(20) if (model.period(batch) != expected).any()])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    ("assignment", "words"),
    [([0, 1], "shape"), ([0, 0, 9], "chip 9"), ([0.5, 0, 0], "whole numbers"), ([-1, 0, 0], "chip -1")],
)
def test_a_wrong_assignment_is_refused(assignment: list[float], words: str) -> None:
    with pytest.raises(InvalidAssignment, match=words):
        evaluate(chain_of([1, 1, 1]), package(2), assignment)


def test_batches_too_large_for_one_go_cost_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for seed in range(6):
        graph, hardware = random_instance(np.random.default_rng(seed))
        assignments = rng.integers(0, hardware.chips, (30, graph.n))
        replicas = [[b, 0, c] for b in range(0, 30, 3) for c in range(hardware.chips) if c != assignments[b, 0]]
        model = CostModel(graph, hardware)
        whole = model.evaluate(assignments, replicas)
        with monkeypatch.context() as patch:
            patch.setattr(partition.scoring.cost, "SLICE", 1)
            parts = model.evaluate(assignments, replicas)
        for name in whole.__dataclass_fields__:
            assert np.array_equal(getattr(whole, name), getattr(parts, name))
    with pytest.raises(InvalidAssignment, match="replicas name a batch row"):
        model.evaluate(assignments, [[30, 0, 0]])
