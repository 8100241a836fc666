"""Graphs of other fields: line balancing, PipeDream, dagP, hMETIS, MINOS."""

from __future__ import annotations

import json

import numpy as np
import pytest

from partition import InvalidModelFile, partition
from partition.problem.hardware_files import load_hardware
from partition.readers.load import FORMATS, load_model

LINE = "ring2:memory=off,triangle=off,relays=off,replication=off,no_skipping=off"

ALB = """<number of tasks>
4

<cycle time>
1000

<order strength>
0,5

<task times>
1 4
2 2,5
3 3
4 5

<precedence relations>
1,2
1,3
3,4

<end>
"""
IN2 = "4\n4\n2.5\n3\n5\n1,2\n1,3\n3,4\n-1,-1\n"
LAYERS = (("node1", "Input0", "0.000", "0.000", "0.0", "0.000"),
          ("node2", "Conv2d(3, 64, kernel_size=(3, 3))", "2.500", "1.500", "8.000", "32.000"),
          ("node3", "ReLU", "1.000", "2.000", "[4.0; 2.0]", "0.000"))  # fmt: skip
PIPEDREAM = (
    "".join(
        f"{name} -- {layer} -- forward_compute_time={forward}, backward_compute_time={backward}, "
        f"activation_size={activations}, parameter_size={parameters}\n"
        for name, layer, forward, backward, activations, parameters in LAYERS
    )
    + "\tnode1 -- node2\n\tnode2 -- node3"
)
DOT = """// two parts
digraph "tiny" {
  node [shape=box];
  a [label="x -> y", weight=4]; b [weight=3];
  c
  a -> b [weight=7];
  a -> c;
  b -> d -> e;
}
"""
HMETIS = "% comment\n2 4 11\n5 1 2 3\n1 3 4\n4\n3\n2\n6\n"
MINOS = json.dumps({"name": "m", "runtime": [1.0, 2.0, 3.0], "size": [8, 0, 0], "edges": [[0, 1, 0.5], [1, 2, 0.25]]})

FILES = {
    "line.alb": (ALB, "line-balancing"),
    "line.IN2": (IN2, "line-balancing"),
    "graph.txt": (PIPEDREAM, "pipedream"),
    "tiny.dot": (DOT, "dot"),
    "tiny.hgr": (HMETIS, "hmetis"),
    "minos.json": (MINOS, "minos"),
}


@pytest.fixture
def load(tmp_path):
    def write(content, name="file"):
        path = tmp_path / name
        path.write_text(content)
        return load_model(str(path))

    return write


@pytest.mark.parametrize("name", FILES)
def test_each_format_is_told_by_its_content(load, name):
    content, expected = FILES[name]
    source = load(content, "unnamed")
    assert source.format == expected
    assert source.hardware is None


def pairs(graph):
    return sorted((graph.names[u], graph.names[v]) for u, v in zip(graph.edge_source, graph.consumers, strict=True))


@pytest.mark.parametrize("content", [ALB, IN2])
def test_tasks_are_operations_and_precedences_take_nothing(load, content):
    graph = load(content).graph
    assert graph.names == ("task1", "task2", "task3", "task4") or list(graph.names) == [f"task{i}" for i in range(1, 5)]
    assert pairs(graph) == [("task1", "task2"), ("task1", "task3"), ("task3", "task4")]
    assert load_hardware(LINE).times(graph).tolist() == [[4.0, 2.5, 3.0, 5.0]]
    assert not graph.tensor_bytes.any()


def test_a_line_is_solved_in_the_units_of_its_file(load):
    result = partition(load(IN2).graph, load_hardware(LINE), work_limit=2)
    assert (result.period, result.status) == (7.5, "optimal")


def test_layers_take_forward_and_backward_time_and_send_both_ways(load):
    graph = load(PIPEDREAM).graph
    assert np.allclose(load_hardware("chain2").times(graph)[0], [0, 4e-3, 3e-3], rtol=1e-12)
    assert sorted(graph.tensor_bytes.tolist()) == [0.0, 16.0]
    assert graph.weights.tolist() == [0.0, 32.0, 0.0]


def test_nodes_and_edges_of_a_digraph_have_weights(load):
    graph = load(DOT).graph
    time = dict(zip(graph.names, load_hardware("chain2").times(graph)[0].tolist(), strict=True))
    assert time == {"a": 4.0, "b": 3.0, "c": 1.0, "d": 1.0, "e": 1.0}
    assert pairs(graph) == [("a", "b"), ("a", "c"), ("b", "d"), ("d", "e")]
    assert sorted(graph.tensor_bytes.tolist()) == [1.0, 1.0, 1.0, 7.0]


def test_the_first_pin_of_a_hyperedge_is_its_producer(load):
    graph = load(HMETIS).graph
    assert pairs(graph) == [("v1", "v2"), ("v1", "v3"), ("v3", "v4")]
    assert graph.m == 2 and sorted(graph.tensor_bytes.tolist()) == [1.0, 5.0]
    assert load_hardware("chain2").times(graph)[0].tolist() == [4.0, 3.0, 2.0, 6.0]


def test_every_edge_of_minos_is_a_tensor(load):
    graph = load(MINOS).graph
    assert graph.name == "m" and graph.m == 2
    assert graph.weights.tolist() == [8.0, 0.0, 0.0]
    assert graph.tensor_bytes.tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (ALB.replace("3,4", "3,9"), "names task 9"),
        (ALB.replace("2 2,5\n", ""), "3 tasks; there must be 4"),
        (ALB.replace("3 3\n", "3 three\n"), "time of task 3"),
        (IN2.replace("3,4", "4,4"), "depends on itself"),
        (IN2.replace("3,4", "3;4"), "two task numbers"),
        (PIPEDREAM.replace("node2 -- node3", "node2 -- node7"), "'node7', which has no time"),
        (PIPEDREAM.replace("backward_compute_time=1.500, ", ""), "no backward_compute_time"),
        (DOT.replace("weight=7", "weight=heavy"), "weight of a -> b"),
        (HMETIS.replace("5 1 2 3", "5 1 2 9"), "pins from 1 to 4"),
        (HMETIS.replace("\n6\n", "\n"), "asks for 7"),
        (MINOS.replace("[0, 1, 0.5]", "[0, 5, 0.5]"), "numbered from 0 to 2"),
        (MINOS.replace("[8, 0, 0]", "[8, 0]"), "one for each operation"),
        (MINOS.replace("[1, 2, 0.25]", "[1, 0, 0.25]"), "cycl"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(load, content, says):
    with pytest.raises(Exception, match=says) as raised:
        load(content)
    assert isinstance(raised.value, InvalidModelFile) or "cycl" in says
    assert "\n" not in str(raised.value)


def test_the_command_line_knows_every_format():
    from partition.commands.options import _format

    option = _format(lambda: None).__click_params__[0]
    assert set(option.type.choices) == set(FORMATS)
