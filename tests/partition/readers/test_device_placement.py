"""Device-placement files: what each field becomes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checked import as_given
from instances import answer_of
from oracle import certify

from partition import partition
from partition.errors import Infeasible, InvalidGraph, InvalidInput, InvalidModelFile
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.readers.device_placement import ACCELERATOR, from_device_placement
from partition.readers.load import load_model
from partition.scoring.cost import evaluate
from partition.scoring.rules import check

DATA = Path(__file__).parents[2] / "data" / "device-placement"
SAMPLES = sorted(path for path in DATA.glob("*.json") if path.name != "optima.json")
OPTIMA = json.loads((DATA / "optima.json").read_text())["optima"]


def tiny() -> dict[str, Any]:
    """Two forward nodes and their backward ones; node 1 is read by both 2 and 4."""

    def node(
        i: int, latency: float, size: float, *, backward: bool = False, color: int | None = None
    ) -> dict[str, Any]:
        row = {"id": i, "supportedOnFpga": True, "cpuLatency": 99.0, "fpgaLatency": latency,
               "isBackwardNode": backward, "size": size}  # fmt: skip
        return row if color is None else {**row, "colorClass": color}

    def edge(source: int, target: int, cost: float) -> dict[str, Any]:
        return {"sourceId": source, "destId": target, "cost": cost, "size": 123}

    return {
        "maxSizePerFPGA": 100.0,
        "maxFPGAs": 2,
        "maxCPUs": 1,
        "nodes": [
            node(1, 2.0, 10.0, color=7),
            node(2, 3.0, 20.0),
            node(3, 4.0, 0.0, backward=True),
            node(4, 5.0, 0.0, backward=True, color=7),
        ],
        "edges": [edge(1, 2, 0.5), edge(1, 4, 0.5), edge(2, 3, 1.0), edge(3, 4, 0.25)],
    }


def read(data: dict[str, Any]) -> tuple[Graph, Hardware]:
    return from_device_placement(data, name="tiny", max_cpus=0)


def test_nodes_become_operations_with_their_time_memory_class_and_direction() -> None:
    graph, hardware = read(tiny())
    assert graph.names == ("node1", "node2", "node3", "node4")
    assert graph.profiled_times[ACCELERATOR].tolist() == [2, 3, 4, 5]
    assert hardware.times(graph).tolist() == [[2, 3, 4, 5]]
    assert graph.weights.tolist() == [10, 20, 0, 0]
    assert graph.backward.tolist() == [False, False, True, True]
    a, b, c, d = graph.group.tolist()
    assert a == d >= 0
    assert b == c == -1


def test_all_edges_of_a_node_are_one_tensor_that_takes_their_cost() -> None:
    graph, hardware = read(tiny())
    assert graph.tensor_names == ("node1", "node2", "node3")
    assert hardware.transfer_times(graph).tolist() == [0.5, 1.0, 0.25]
    assert graph.edge_tensor.tolist() == [0, 0, 1, 2]


def test_edges_of_a_node_with_different_costs_are_tensors_of_their_own() -> None:
    data = tiny()
    data["edges"][1]["cost"] = 0.75
    graph, _ = read(data)
    assert graph.tensor_names[:2] == ("node1", "node1:1")
    assert graph.tensor_bytes[:2].tolist() == [0.5, 0.75]


def test_parallel_edges_count_once() -> None:
    data = tiny()
    data["edges"].append(data["edges"][0])
    assert len(read(data)[0].consumers) == len(read(tiny())[0].consumers) == 4


def test_only_edges_within_the_backward_pass_do_not_constrain() -> None:
    graph, _ = read(tiny())
    assert graph.edge_constrains.tolist() == [True, True, True, False]


def test_the_file_brings_its_hardware() -> None:
    _, hardware = read(tiny())
    assert hardware.chips == 2
    assert hardware.sram_bytes.tolist() == [100, 100]
    assert hardware.serial
    assert hardware.links == 0
    assert hardware.time_unit == "file unit"
    rules = hardware.rules
    assert (rules.acyclic, rules.memory) == (True, True)
    assert (rules.no_skipping, rules.triangle, rules.replication, rules.relays) == (False, False, False, False)


def test_a_load_is_the_times_plus_the_cost_once_of_all_that_is_read_from_or_by_the_outside() -> None:
    graph, hardware = read(tiny())
    cost = evaluate(graph, hardware, np.array([0, 1, 1, 0]))
    # Chip 0: nodes 1 and 4, sends 1 (read outside once), receives 3. Chip 1: nodes 2 and 3, receives 1, sends 3.
    assert cost.period == max(2 + 5 + 0.5 + 0.25, 3 + 4 + 0.5 + 0.25)
    assert not check(graph, hardware, np.array([0, 1, 1, 0]))


def test_edges_among_backward_nodes_may_go_against_the_order_and_forward_ones_may_not() -> None:
    graph, hardware = read(tiny())
    rules = {v.rule for v in check(graph, hardware, np.array([1, 0, 0, 1]))}
    assert rules == {"acyclic"}


def test_own_names_are_kept_where_they_are_unique() -> None:
    data = tiny()
    for node, name in zip(data["nodes"], "abcd", strict=True):
        node["name"] = name
    assert read(data)[0].names == ("a", "b", "c", "d")
    data["nodes"][1]["name"] = "a"
    assert read(data)[0].names == ("node1", "node2", "node3", "node4")


def test_switches_may_be_written_as_one_and_zero() -> None:
    data = tiny()
    for node in data["nodes"]:
        node["isBackwardNode"] = int(node["isBackwardNode"])
        node["supportedOnFpga"] = 1
    assert read(data)[0].backward.tolist() == [False, False, True, True]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_hold_what_their_files_say(path: Path) -> None:
    data = json.loads(path.read_text())
    source = load_model(str(path), max_cpus=0)
    graph, hardware = source.graph, source.hardware
    assert source.format == "device-placement" and hardware is not None
    assert graph.n == len(data["nodes"])
    assert hardware.chips == data["maxFPGAs"]
    assert graph.name == path.stem
    assert float(graph.profiled_times[ACCELERATOR].sum()) == pytest.approx(sum(v["fpgaLatency"] for v in data["nodes"]))
    assert len(graph.consumers) == len({(e["sourceId"], e["destId"]) for e in data["edges"]})
    assert graph.m == len({e["sourceId"] for e in data["edges"]})
    assert graph.backward.any() == path.stem.endswith("training")


def test_there_are_samples_and_each_has_an_optimum() -> None:
    assert len(SAMPLES) == 6
    assert {row["file"] for row in OPTIMA} == {path.name for path in SAMPLES}


@pytest.mark.parametrize("row", OPTIMA, ids=lambda row: f"{row['file']}-{row['maxFPGAs']}")
def test_no_optimum_is_below_the_mean_load(row: dict[str, Any]) -> None:
    graph = load_model(str(DATA / row["file"])).graph
    total = float(graph.profiled_times[ACCELERATOR].sum())
    assert total / row["maxFPGAs"] <= row["optimum"] * (1 + 1e-5)
    assert row["optimum"] <= total


BAD: list[tuple[str, list[str | int], Any, str]] = [
    ("nodes as an object", ["nodes"], {}, "nodes is {}; it must be a list"),
    ("node as text", ["nodes", 1], "x", r"nodes\[1\] is 'x'; it must be an object"),
    ("no nodes", ["nodes"], [], "does not exist"),
    ("repeated id", ["nodes", 1, "id"], 1, r"nodes\[1\]\.id is 1, as nodes\[0\]\.id is"),
    ("fraction as id", ["nodes", 1, "id"], 1.5, r"nodes\[1\]\.id is 1\.5; it must be a whole number"),
    ("list as id", ["nodes", 1, "id"], [1], r"nodes\[1\]\.id is \[1\]"),
    ("text for a time", ["nodes", 1, "fpgaLatency"], "fast", r"nodes\[1\]\.fpgaLatency is 'fast'; it must be a number"),
    ("negative time", ["nodes", 1, "fpgaLatency"], -1, r"nodes\[1\]\.fpgaLatency is -1; it must be a finite number"),
    ("NaN size", ["nodes", 1, "size"], float("nan"), r"nodes\[1\]\.size is nan"),
    ("list as class", ["nodes", 1, "colorClass"], [1], r"nodes\[1\]\.colorClass is \[1\]"),
    ("text for a switch", ["nodes", 1, "isBackwardNode"], "no", r"nodes\[1\]\.isBackwardNode is 'no'"),
    ("number as name", ["nodes", 1, "name"], 3, r"nodes\[1\]\.name is 3; it must be text"),
    ("dangling source", ["edges", 2, "sourceId"], 9, r"edges\[2\]\.sourceId names node 9, which does not exist"),
    ("dangling target", ["edges", 2, "destId"], "x", r"edges\[2\]\.destId names node 'x', which does not exist"),
    ("list as target", ["edges", 2, "destId"], [1], r"edges\[2\]\.destId is \[1\]"),
    ("infinite cost", ["edges", 2, "cost"], float("inf"), r"edges\[2\]\.cost is inf"),
    ("edge to itself", ["edges", 2, "destId"], 2, "'node2' reads its own output"),
    ("cycle", ["edges", 2, "destId"], 1, "cycle of 2 operations"),
    ("no accelerators", ["maxFPGAs"], 0, "maxFPGAs is 0; it must be a whole number from 1"),
    ("half an accelerator", ["maxFPGAs"], 1.5, "maxFPGAs is 1.5"),
    ("countless accelerators", ["maxFPGAs"], 10**9, "maxFPGAs is 1e\\+09"),
    ("NaN accelerators", ["maxFPGAs"], float("nan"), "maxFPGAs is nan"),
    ("negative memory", ["maxSizePerFPGA"], -1, "maxSizePerFPGA is -1"),
]


@pytest.mark.parametrize(("path", "value", "message"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_data_is_refused_with_file_and_field(path: list[str | int], value: Any, message: str) -> None:
    data = tiny()
    parent: Any = data
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    with pytest.raises((InvalidModelFile, InvalidGraph), match=message) as caught:
        read(data)
    assert str(caught.value).startswith("device-placement file 'tiny': ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (["nodes"], "nodes is missing"),
        (["edges"], "edges is missing"),
        (["maxFPGAs"], "maxFPGAs is missing"),
        (["maxSizePerFPGA"], "maxSizePerFPGA is missing"),
        (["nodes", 0, "id"], r"nodes\[0\]\.id is missing"),
        (["nodes", 0, "size"], r"nodes\[0\]\.size is missing"),
        (["nodes", 0, "fpgaLatency"], r"nodes\[0\]\.fpgaLatency is missing"),
        (["edges", 0, "cost"], r"edges\[0\]\.cost is missing"),
        (["edges", 0, "sourceId"], r"edges\[0\]\.sourceId is missing"),
    ],
)
def test_a_missing_key_is_named(path: list[str | int], message: str) -> None:
    data = tiny()
    parent: Any = data
    for key in path[:-1]:
        parent = parent[key]
    del parent[path[-1]]
    with pytest.raises(InvalidModelFile, match=message):
        read(data)


def test_an_empty_workload_is_refused() -> None:
    with pytest.raises(InvalidGraph, match="no operations"):
        read({**tiny(), "nodes": [], "edges": []})


@pytest.mark.parametrize("bad", [-1, 1.5, True, 10**9])
def test_numbers_of_cpus_that_are_none_are_refused(bad: Any) -> None:
    with pytest.raises(InvalidInput, match="max_cpus is"):
        from_device_placement(tiny(), name="tiny", max_cpus=bad)


def test_cpus_of_the_file_stand_anywhere_pay_no_transfers_and_hold_any_amount() -> None:
    graph, hardware = from_device_placement(tiny(), name="tiny")
    assert (hardware.chips, hardware.kind_order) == (3, "free")
    assert [hardware.kinds[k].name for k in hardware.kind_of_chip] == ["accelerator", "accelerator", "cpu"]
    assert hardware.sram_bytes.tolist() == [100, 100, np.inf]
    assert hardware.transfers_charged.tolist() == [1, 1, 0]
    assert hardware.times(graph)[1].tolist() == [99] * 4


def test_a_node_for_cpus_alone_runs_on_a_cpu_and_without_one_nowhere() -> None:
    data = tiny()
    data["nodes"][1]["supportedOnFpga"] = False
    graph, hardware = from_device_placement(data, name="tiny")
    result = partition(graph, hardware)
    certify(as_given(graph, hardware), answer_of(result))
    kinds = answer_of(result)["kinds"]
    assert kinds[result.assignment["node2"]] == "cpu"
    assert result.period == 99 and result.status == "optimal"
    with pytest.raises(Infeasible, match=r"'node2'.*there are none") as caught:
        read(data)
    assert caught.value.operations == ("node2",)
