"""A start from a graph that has changed since: what is matched, repaired and told."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checked import as_given
from click.testing import CliRunner
from exhaustive import brute_force, least_known
from instances import chain_of, package, random_instance
from oracle import certify

from partition import Graph, InvalidAssignment, InvalidInput, check, load_hardware, load_model, partition
from partition.commands.main import main
from partition.heuristics.carried import carry, placed


def renamed(graph: Graph, names: dict[str, str]) -> Graph:
    """The graph with other names for some of its operations."""
    data: dict[str, Any] = json.loads(graph.to_json())
    for row in data["operations"]:
        row["name"] = names.get(row["name"], row["name"])
    for tensor in data["tensors"]:
        tensor["producer"] = names.get(tensor["producer"], tensor["producer"])
        tensor["consumers"] = [names.get(w, w) for w in tensor["consumers"]]
    for weight in data["shared_weights"]:
        weight["users"] = [names.get(w, w) for w in weight["users"]]
    return Graph.from_json(json.dumps(data))


def test_operations_are_matched_by_name_and_then_by_structure() -> None:
    graph, hardware = chain_of([1.0, 2.0, 3.0, 4.0]), package(4)
    old = {"v0": 0, "v1": 1, "v2": 2, "v3": 3}
    found = carry(renamed(graph, {"v1": "another"}), hardware, old, graph)
    assert found.chips.tolist() == [0, 1, 2, 3]
    assert (found.by_name, found.by_structure, found.new, found.gone) == (3, 1, 0, 0)
    alone = carry(renamed(graph, {"v1": "another"}), hardware, old)
    assert alone.chips.tolist() == [0, -1, 2, 3] and alone.new == 1 and alone.gone == 1


def test_a_model_of_which_all_names_changed_is_matched_by_structure_alone() -> None:
    graph, hardware = load_model("bert-base").graph, load_hardware("ring8")
    other = renamed(graph, {name: f"n{i}" for i, name in enumerate(graph.names)})
    old = dict(
        zip(graph.names, range(graph.n), strict=True)
    )  # every operation on a chip of its own, to tell them apart
    found = carry(other, load_hardware("ring4096"), old, graph)
    assert found.by_name == 0 and found.by_structure == graph.n
    assert (found.chips == np.arange(graph.n)).mean() > 0.95, "equals are paired in topological order"
    assert hardware.chips == 8


def test_what_the_change_broke_is_repaired() -> None:
    """v2 now reads what v3 makes: the order of the two is the other way round."""
    data = json.loads(chain_of([1.0, 1.0, 1.0, 1.0]).to_json())
    order = ["v0", "v1", "v3", "v2"]
    data["tensors"] = [
        {"name": f"t{i}", "producer": u, "bytes": 1.0, "consumers": [w]}
        for i, (u, w) in enumerate(itertools.pairwise(order))
    ]
    graph, hardware = Graph.from_json(json.dumps(data)), package(4)
    found = carry(graph, hardware, {"v0": 0, "v1": 1, "v2": 2, "v3": 3})
    start = placed(graph, hardware, found, np.random.default_rng(0))
    assert start is not None and not check(graph, hardware, start)
    result = partition(graph, hardware, warm_start={"v0": 0, "v1": 1, "v2": 2, "v3": 3, "v9": 3})
    assert result.start is not None and result.start.gone == 1 and result.status == "optimal"
    assert "4 operations matched by name, 0 by structure, 0 new, 1 gone" in result.to_table()
    assert json.loads(result.to_json())["start"]["stayed"] == result.start.stayed(result.placement)  # type: ignore[arg-type]


def test_placements_carried_over_are_valid() -> None:
    found = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng, n=8, chips=3)
        names = {name: f"{name}'" for name in graph.names if rng.random() < 0.3}
        old = {name: int(rng.integers(0, 4)) for name in graph.names}
        other = renamed(graph, names)
        start = placed(other, hardware, carry(other, hardware, old, graph), rng)
        if start is not None:
            found += 1
            assert not check(other, hardware, start), seed
    assert found > 15


def test_a_start_that_knows_none_of_the_operations_is_refused() -> None:
    with pytest.raises(InvalidAssignment, match="none of the operations"):
        partition(chain_of([1.0, 1.0]), package(2), warm_start={"w": 0})


def test_the_command_line_starts_from_an_answer_for_an_earlier_version(tmp_path: Path) -> None:
    graph = chain_of([1.0, 2.0, 3.0, 4.0])
    (tmp_path / "old.json").write_text(graph.to_json())
    (tmp_path / "new.json").write_text(renamed(graph, {"v1": "another"}).to_json())
    answer = tmp_path / "answer.json"
    run = ["--hw", "ring3", "-q"]
    first = CliRunner().invoke(main, ["solve", str(tmp_path / "old.json"), *run, "-o", str(answer)])
    assert first.exit_code == 0
    done = CliRunner().invoke(main, ["solve", str(tmp_path / "new.json"), *run, "--warm-start", str(answer)])
    assert done.exit_code == 0 and "3 operations matched by name" in done.output, done.output


def test_as_few_operations_move_as_brute_force_says() -> None:
    """Last of all goals: within the least period, up to the gap."""
    compared = 0
    for seed in range(14):
        rng = np.random.default_rng(seed)
        graph, hardware = random_instance(rng, n=5, chips=3)
        old = {name: int(rng.integers(0, 3)) for name in graph.names if rng.random() < 0.8}
        problem = as_given(graph, hardware) | {"reference": old}
        best = least_known(problem, limit=1200)
        if best is None or not old:
            continue
        result = partition(graph, hardware, stability=old)
        certify(problem, json.loads(result.to_json()))
        moves = result.goals[-1]
        assert moves.goal == "moves" and result.period <= best * (1 + 1.01e-4)
        near = brute_force(problem, goal="moves", limits={"period": best * (1 + 1.01e-4)})[0]
        exact = brute_force(problem, goal="moves", limits={"period": best * (1 + 1e-9)})[0]
        assert near is not None and exact is not None
        assert moves.bound <= exact + 1e-9 and moves.value >= near - 1e-9, (seed, moves, near, exact)
        assert moves.value == moves.bound or result.status != "optimal"
        compared += 1
    assert compared > 4


def test_a_wide_gap_leaves_room_to_stay() -> None:
    """Two chips of 5 and 5 are least; within a fifth of that, 6 and 4 keep everything where it was."""
    graph, hardware = chain_of([3.0, 2.0, 1.0, 4.0], size=0.0), package(2)
    before = {"v0": 0, "v1": 0, "v2": 0, "v3": 1}
    assert partition(graph, hardware, stability=before).assignment == {"v0": 0, "v1": 0, "v2": 1, "v3": 1}
    near = partition(graph, hardware, stability=before, gap=0.2)
    assert near.assignment == before and near.goals[-1].value == 0.0
    traffic = partition(graph, hardware, stability=before, objective="traffic")
    assert [r.goal for r in traffic.goals] == ["traffic", "moves"]


def test_stability_is_not_offered_where_stages_may_stand_anywhere() -> None:
    with pytest.raises(InvalidInput, match="stages may stand anywhere"):
        partition(chain_of([1.0, 1.0]), package(2, topology="biring"), stability={"v0": 0})
