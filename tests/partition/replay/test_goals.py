"""Goals other than the period, replayed: values and bounds are proved anew, and false ones are not accepted."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from instances import chain_of, diamond, package

from partition import ChipKind, Graph, GraphBuilder, Hardware, Interconnect, Rules, partition
from partition.problem.hardware import override
from partition.replay.proof_file import proof_from
from partition.replay.replaying import Replayed, replay_file
from partition.results.proof_file import proof_of, seal

Proof = dict[str, Any]


def proof_for(graph: Graph, hardware: Hardware, **asked: Any) -> Proof:
    found: Proof = json.loads(json.dumps(proof_of(partition(graph, hardware, proof=True, time_limit=20, **asked))))
    return found


def replayed(proof: Proof, **answer: Any) -> Replayed:
    made = copy.deepcopy(proof)
    made["answer"] |= answer
    return replay_file(proof_from(seal(made)), seconds=30)


def costly(topology: str = "ring") -> Hardware:
    """Energy for work and for links, which have a latency."""
    figures = {"flop_energy_j": 0.5, "link_energy_j_per_byte": 2.0, "link_latency_s": 0.25}
    return override(package(3, topology=topology, transfers="serial"), figures)


@pytest.mark.parametrize("topology", ["ring", "crossbar", "memory"])
@pytest.mark.parametrize("objective", ["traffic,period", "period,energy", "period,latency", "chips,traffic"])
def test_bounds_of_goals_are_proved_again(objective: str, topology: str) -> None:
    proof = proof_for(diamond(times=(2, 3, 3, 2)), costly(topology), objective=objective, throughput=1 / 11)
    assert proof["answer"]["status"] == "optimal"
    found = replayed(proof)
    assert found.verdict == "accepted" and len(found.goals) == len(objective.split(",")) - objective.startswith("per")
    assert {each.verdict for each in found.goals} <= {"proved", "second solver"}


@pytest.mark.parametrize("goal", ["traffic", "energy", "latency", "chips"])
def test_a_value_that_the_placement_has_not_is_rejected(goal: str) -> None:
    proof = proof_for(chain_of([2.0, 2.0, 2.0]), costly(), objective=f"period,{goal}" if goal != "chips" else goal)
    rows = [row | {"value": row["value"] * 0.9, "bound": 0.0} for row in proof["answer"]["goals"]]
    found = replayed(proof, goals=[row for row in rows if row["goal"] == goal])
    assert found.verdict == "rejected" and f"the goal {goal}" in found.reasons[0]


@pytest.mark.parametrize(("goal", "between"), [("traffic", 1.5), ("energy", 6.0), ("latency", 6.5), ("chips", 2.0)])
def test_a_bound_above_the_least_is_rejected_though_the_placement_has_more(goal: str, between: float) -> None:
    """On three chips there are two bytes to move, 7 J and 10.5 s; on one there is none, 3 J and 6 s."""
    proof = proof_for(chain_of([2.0, 2.0, 2.0]), costly(), objective=f"period,{goal}" if goal != "chips" else "period")
    has = {"traffic": 2.0, "energy": 7.0, "latency": 10.5, "chips": 3.0}[goal]
    found = replayed(proof, goals=[{"goal": goal, "value": has, "bound": between, "gap": 0.1}])
    assert found.verdict == "rejected", found.goals
    assert "OR-Tools CP-SAT finds a valid placement with less" in found.reasons[0]


def test_a_bound_holds_within_the_period_required_alone() -> None:
    """Two chips are the fewest within 4 s; without that one would do."""
    proof = proof_for(chain_of([2.0, 2.0, 2.0], size=0.1), package(3), objective="chips", throughput=1 / 4)
    assert proof["answer"]["period_limit"] == 4.0 and replayed(proof).verdict == "accepted"
    found = replayed(proof, period_limit=None)
    assert found.verdict == "rejected" and "finds a valid placement with less" in found.reasons[0]


def test_a_bound_that_nobody_decides_is_named_as_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    proof = proof_for(chain_of([2.0, 3.0, 2.0]), costly(), objective="period,traffic")
    monkeypatch.setattr("partition.replay.goals.MOST_ROWS", 0)
    found = replayed(proof)
    assert found.verdict == "accepted on trust" and "the goal traffic" in found.trusted[0]


@pytest.mark.parametrize("streaming", ["overlapped", "serial"])
def test_weights_that_are_streamed_count_in_what_is_proved_by_counting(streaming: str) -> None:
    """True proofs were rejected: counting knew of compute alone."""
    b = GraphBuilder("heavy")
    for i in range(2):
        b.operation(f"v{i}", "Op", outputs={f"t{i}": 0.0}, flops=1.0, bytes_accessed=0, weights=10.0)
    package_of_two = override(package(2, sram=5.0), {"dram_bandwidth": 2.0, "streaming": streaming})
    proof = proof_for(b.build(), package_of_two)
    assert [step["engine"] for step in proof["steps"]] == ["work"]
    assert replayed(proof).verdict == "accepted"


def test_a_placement_that_takes_no_time_is_replayed_as_well() -> None:
    """A limit of no period was divided by."""
    proof = proof_for(diamond(times=(0, 0, 0, 0), size=0.0), costly(), objective="period,chips")
    rows = [{"goal": "period", "value": 0.0, "bound": 0.0, "gap": 0.0}, proof["answer"]["goals"][1] | {"bound": 1.5}]
    assert replayed(proof, goals=rows).verdict != "accepted"


@pytest.mark.parametrize("streaming", ["overlapped", "serial"])
@pytest.mark.parametrize(("goal", "has"), [("chips", 2.0), ("traffic", 0.001)])
def test_a_placement_that_streams_longer_than_all_else_counts_too(goal: str, has: float, streaming: str) -> None:
    """The second solver was asked about periods without streaming, and found nothing: one chip would do, in 20 s."""
    b = GraphBuilder("heavy")
    for i in range(2):
        reads = ["t0"] if i else []
        b.operation(f"v{i}", "Op", inputs=reads, outputs={f"t{i}": 0.001}, flops=1, bytes_accessed=0, weights=1.0)
    proof = proof_for(b.build(), override(package(2, sram=0.001), {"dram_bandwidth": 0.1, "streaming": streaming}))
    found = replayed(proof, goals=[{"goal": goal, "value": has, "bound": has, "gap": 0.0}])
    assert found.verdict == "rejected" and "finds a valid placement with less" in found.reasons[0]


def odd_one_of(chips: int) -> tuple[Graph, Hardware]:
    """Two operations that one chip alone can run, wherever it stands."""
    kinds = (ChipKind("plain", 1.0, unsupported=("Op",)), ChipKind("odd", 1.0))
    chain = Interconnect("chain", link_bandwidth=1.0)
    package = Hardware("mixed", kinds, (0,) * (chips - 1) + (1,), chain, Rules(no_skipping=False), kind_order="free")
    return chain_of([1.0, 1.0]), package


def test_every_order_of_the_kinds_is_asked_about() -> None:
    """The first 10,000 permutations of nine chips have the odd one never in front, where one chip is enough."""
    proof = proof_for(*odd_one_of(9))
    proof["answer"] |= {"kinds": ["plain"] * 2 + ["odd"] + ["plain"] * 6, "assignment": {"v0": 2, "v1": 2}}
    found = replayed(proof, goals=[{"goal": "chips", "value": 3.0, "bound": 3.0, "gap": 0.0}])
    assert found.verdict == "rejected" and "finds a valid placement with less" in found.reasons[0]


def test_orders_of_the_kinds_are_listed_without_their_repetitions() -> None:
    """Of 30 chips there are 30 orders and 30! permutations, which replay went through one by one."""
    question = proof_from(seal(proof_for(*odd_one_of(30)))).question
    assert question.orders == tuple(tuple(int(c == 29 - i) for c in range(30)) for i in range(30))
    assert proof_from(seal(proof_for(*odd_one_of(31)))).question.orders is None
