"""The search over down-sets as a whole, against the least load of all lines."""

from __future__ import annotations

import numpy as np
import pytest
from instances import package
from lines import check_solution, least_load, random_line

from milp.search.downsets.engine import LineSearch
from milp.search.downsets.layers import Pass
from milp.search.downsets.line import Line
from milp.search.downsets.tasks import NEVER, Tasks, closure
from milp.search.downsets.threshold import Threshold
from partition import ChipKind, GraphBuilder, Hardware, Interconnect, Rules, partition
from partition.scoring.rules import check
from partition.stopping import Stop


@pytest.mark.parametrize("seed", range(20))
def test_the_search_ends_at_the_least_load(seed):
    rng = np.random.default_rng(1000 + seed)
    tasks, stations, free = random_line(rng, most=6)
    least = least_load(tasks, stations, free)
    if not 0 < least < NEVER:
        pytest.skip("nothing to do, or a task that can run nowhere")
    top = int(np.where(tasks.ticks >= NEVER, 0, tasks.ticks).max(axis=0).sum()) + 1
    told, seen = [0], []
    found = LineSearch(
        tasks, Line(stations, free), 0, top, lambda station, kind: seen.append((station, kind)), told.append
    )
    found.run(Stop())
    assert (found.low, found.high) == (least, least)
    assert max(told) <= least
    check_solution(tasks, seen[-1][1], seen[-1][0], least)


def line_of_workers(ticks, before, *, topology="memory"):
    """Operations with a time for each of several chips, one of each kind, in free order; None where it cannot run."""
    b = GraphBuilder("workers")
    for j, row in enumerate(ticks):
        inputs = [f"t{i}" for i in range(len(ticks)) if before[i, j]]
        times = {f"w{k}": float("inf") if t is None else float(t) for k, t in enumerate(row)}
        b.operation(f"v{j}", "Task", inputs=inputs, outputs={f"t{j}": 0}, flops=0, bytes_accessed=0, times=times)
    kinds = tuple(ChipKind(f"w{k}", 1.0, float("inf")) for k in range(len(ticks[0])))
    rules = Rules(memory=False, triangle=False, relays=False, replication=False, no_skipping=False)
    link = Interconnect(topology, 1.0)
    return b.build(), Hardware("workers", kinds, tuple(range(len(kinds))), link, rules, kind_order="free")


@pytest.mark.parametrize("seed", range(3))
def test_more_orders_than_can_be_listed_are_answered_and_proved(seed):
    rng = np.random.default_rng(seed)
    ticks = rng.integers(1, 12, (7, 6)).tolist()
    ticks[2][3] = ticks[4][0] = None
    before = closure(7, np.argwhere(np.triu(rng.random((7, 7)) < 0.3, 1)))
    graph, hardware = line_of_workers(ticks, before)
    result = partition(graph, hardware, work_limit=5)
    numbers = np.array([[NEVER if t is None else t for t in row] for row in ticks]).T
    assert result.status == "optimal"
    assert not check(result.graph, result.hardware, result.placement)
    line = Line(np.arange(6), True)
    least = round(result.period)
    assert Pass(Threshold(Tasks(numbers, before), line, least)).decide(10**6, Stop()).possible
    assert Pass(Threshold(Tasks(numbers, before), line, least - 1)).decide(10**6, Stop()).possible is False


def test_an_operation_that_no_worker_can_do_makes_it_infeasible():
    ticks = [[3] * 6, [None] * 6]
    graph, hardware = line_of_workers(ticks, np.zeros((2, 2), dtype=bool))
    assert partition(graph, hardware, work_limit=2).status == "infeasible"


def test_a_line_of_stations_is_proved_by_down_sets_alone():
    times = [5, 3, 3, 4, 6, 2, 7, 1]
    before = closure(8, np.array([[j - 3, j] for j in range(3, 8)]))
    least = least_load(Tasks(np.array([times]), before), np.zeros(3, np.int64), False)
    b = GraphBuilder("line")
    for j, t in enumerate(times):
        inputs = [f"t{j - 3}"] if j >= 3 else []
        b.operation(f"v{j}", "Task", inputs=inputs, outputs={f"t{j}": 0}, flops=t, bytes_accessed=0)
    result = partition(b.build(), package(3, triangle=False, memory=False), work_limit=2)
    assert (result.period, result.bound) == (least, least)
