"""Lines of stations from the files of assembly line balancing."""

from __future__ import annotations

import pytest
from other_formats import ALB, IN2, pairs

from partition import partition
from partition.problem.hardware_files import load_hardware

LINE = "ring2:memory=off,triangle=off,relays=off,replication=off,no_skipping=off"


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
