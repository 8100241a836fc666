"""The search over down-sets: asked at the truth, it never says impossible; left alone, it finds and proves it."""

from __future__ import annotations

import numpy as np
import pytest
from instances import package
from lines import check_solution, least_load, random_line

from milp.search.downsets.engine import LineSearch
from milp.search.downsets.guides import Guide
from milp.search.downsets.layers import Pass
from milp.search.downsets.line import Line
from milp.search.downsets.measures import DualFeasible
from milp.search.downsets.mending import Filled, Mending
from milp.search.downsets.states import Index
from milp.search.downsets.tasks import NEVER, Tasks, closure, places
from milp.search.downsets.threshold import Threshold, tails
from partition import ChipKind, GraphBuilder, Hardware, Interconnect, Rules, partition
from partition.scoring.rules import check
from partition.stopping import Stop


@pytest.mark.parametrize("seed", range(40))
def test_no_end_calls_the_least_load_impossible_or_a_smaller_one_possible(seed):
    rng = np.random.default_rng(seed)
    for _ in range(4):
        tasks, stations, free = random_line(rng, most=5)
        least = least_load(tasks, stations, free)
        if not 0 < least < NEVER:
            continue
        ordered = tasks.without_symmetry()
        for end, kinds in ((ordered, stations), (ordered.reversed(), stations[::-1])):
            line = Line(kinds, free)
            verdict = Pass(Threshold(end, line, least)).decide(10_000, Stop())
            assert verdict.possible
            check_solution(end, verdict.kind, verdict.station, least)
            for guide in Guide:
                assert Pass(Threshold(end, line, least), guide).decide(1, Stop()).possible is not False
            if least > 1:
                assert Pass(Threshold(end, line, least - 1)).decide(10_000, Stop()).possible is False


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


@pytest.mark.parametrize("seed", range(20))
def test_measures_are_superadditive(seed):
    rng = np.random.default_rng(seed)
    period = int(rng.integers(2, 60))
    time = rng.integers(0, period + 1, (1, 12))
    table = DualFeasible(Tasks(time, np.zeros((12, 12), bool)), Line(np.zeros(3, np.int64), False), period).table
    x = np.arange(period + 1)
    a, b = np.nonzero(x[:, None] + x[None, :] <= period)
    assert (table[:, a] + table[:, b] <= table[:, a + b]).all()


def test_a_tail_is_rounded_up_to_the_station_in_which_the_task_must_end():
    tasks = Tasks(np.array([[6, 5]]), closure(2, np.array([[0, 1]])))
    assert tails(tasks, 10).tolist() == [10, 0]


def test_equal_tasks_with_equal_neighbours_are_put_in_order():
    tasks = Tasks(np.array([[3, 2, 2, 3]]), closure(4, np.array([[0, 1], [0, 2], [1, 3], [2, 3]])))
    assert tasks.without_symmetry().before[1, 2]
    unlike = Tasks(np.array([[3, 2, 2]]), closure(3, np.array([[0, 1]])))
    assert not unlike.without_symmetry().before[1, 2] and unlike.without_symmetry().before[2, 1]


def test_a_pass_that_drops_sets_for_width_proves_nothing():
    rng = np.random.default_rng(7)
    tasks = Tasks(rng.integers(20, 60, (1, 14)), np.zeros((14, 14), dtype=bool))
    line = Line(np.zeros(4, np.int64), False)
    low = -(-int(tasks.ticks.sum()) // 4)
    wide = [Pass(Threshold(tasks, line, low + i)).decide(100_000, Stop()).possible for i in range(-1, 3)]
    narrow = [Pass(Threshold(tasks, line, low + i)).decide(1, Stop()).possible for i in range(-1, 3)]
    assert wide[0] is False
    assert all(n is None or n == w for n, w in zip(narrow, wide, strict=True))


def test_a_pass_for_a_proof_ends_where_sets_would_be_dropped():
    tasks = Tasks(np.full((1, 12), 5), np.zeros((12, 12), dtype=bool))
    spread = Tasks(np.arange(20, 32)[None], tasks.before)
    line = Line(np.zeros(3, np.int64), False)
    assert Pass(Threshold(tasks.without_symmetry(), line, 20)).decide(1, Stop(), proof=True).possible
    assert Pass(Threshold(spread, line, 103)).decide(1, Stop(), proof=True).possible is None


def test_a_task_that_takes_longer_and_has_as_many_followers_goes_first():
    """Of {short} and {long} on a station that either fills, the set with the short task is dropped."""
    tasks = Tasks(np.array([[6, 7, 9, 9]]), np.zeros((4, 4), dtype=bool))
    threshold = Threshold(tasks, Line(np.zeros(4, np.int64), False), 10)
    search = Pass(threshold)
    start = search._beginning()
    children = search._children(start, Stop())
    layer = search._grown(children, start)
    dropped = search._exchanged(layer, Stop())
    assert dict(zip(layer.task.tolist(), dropped.tolist(), strict=True)) == {0: True, 1: True, 2: False, 3: True}


def test_rows_are_found_by_name_and_names_that_nobody_has_are_not():
    names = np.array([3, 1 << 63, 7, 3], np.uint64)
    place, row = Index(names).find(np.array([5, 7, 3, 1 << 63], np.uint64))
    assert (place.tolist(), row.tolist()) == ([1, 2, 3], [2, 0, 1])


def test_places_count_from_nought_for_each():
    assert places(np.array([2, 0, 3])).tolist() == [0, 1, 0, 1, 2]


@pytest.mark.parametrize("guide", Guide)
def test_a_narrow_pass_finds_what_each_guide_is_for(guide):
    """Times of bins that can be filled to the brim, in a random order: a narrow pass needs little more room."""
    rng = np.random.default_rng(3)
    cuts = np.sort(rng.choice(np.arange(1, 100), (6, 4)), axis=1)
    times = np.diff(np.concatenate([np.zeros((6, 1), int), cuts, np.full((6, 1), 100)], axis=1), axis=1).ravel()
    tasks = Tasks(rng.permutation(times[times > 0])[None], np.zeros((int((times > 0).sum()),) * 2, dtype=bool))
    assert Pass(Threshold(tasks, Line(np.zeros(6, np.int64), False), 103), guide).decide(100, Stop()).possible


@pytest.mark.parametrize("seed", range(12))
def test_stations_filled_anew_hold_no_more_and_keep_the_order(seed):
    rng = np.random.default_rng(seed)
    ticks = rng.integers(1, 20, (5, 14))
    before = closure(14, np.argwhere(np.triu(rng.random((14, 14)) < 0.15, 1)))
    tasks, free = Tasks(ticks, before), bool(seed % 2)
    mending = Mending(tasks, Line(np.arange(5), free), rng)
    known = Filled(np.arange(14) * 5 // 14, np.arange(5))
    for _ in range(6):
        most = int(mending.loads(known).max())
        walked = mending.other(known, Stop())
        better = mending.better(walked, Stop()) or walked
        check_solution(tasks, walked.kind, walked.station, most)
        check_solution(tasks, better.kind, better.station, most)
        fullest = mending.loads(walked) == mending.loads(walked).max()
        assert better is walked or ((mending.loads(better) == most) <= fullest).all()
        used = better.kind[better.kind >= 0].tolist()
        assert len(set(used)) == len(used) and (free or used == sorted(used))
        known = better


def test_filling_anew_betters_a_line_that_is_full_at_one_end():
    """Four equal tasks on the first of four stations: pairs of stations share them until each has one."""
    tasks = Tasks(np.array([[5, 5, 5, 5], [5, 5, 5, 5]]), np.zeros((4, 4), dtype=bool))
    mending = Mending(tasks, Line(np.array([0, 1, 0, 1]), False), np.random.default_rng(0))
    known = Filled(np.zeros(4, np.int64), np.array([0, -1, -1, -1]))
    for _ in range(9):
        known = mending.better(known, Stop()) or known
    assert mending.loads(known).tolist() == [5, 5, 5, 5]


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
