"""The search over down-sets: asked at the truth, it never says impossible; left alone, it finds and proves it."""

from __future__ import annotations

import numpy as np
import pytest
from lines import check_solution, least_load, random_line

from milp.search.downsets.guides import Guide
from milp.search.downsets.layers import Pass
from milp.search.downsets.line import Line
from milp.search.downsets.tasks import NEVER, Tasks, closure
from milp.search.downsets.threshold import Threshold
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
    for each, load, possible in ((tasks.without_symmetry(), 20, True), (spread, 103, None)):
        search, found = Pass(Threshold(each, line, load)), None
        while found is None:
            found = search.advance(1, Stop(), proof=True)
        assert found.possible is possible


def test_a_task_that_takes_longer_and_has_as_many_followers_goes_first():
    """Of the tasks alone on a station that either fills, the one with the longest that comes first is kept."""
    tasks = Tasks(np.array([[6, 7, 9, 9]]), np.zeros((4, 4), dtype=bool))
    threshold = Threshold(tasks, Line(np.zeros(4, np.int64), False), 10)
    search = Pass(threshold)
    assert search.advance(1_000, Stop()) is None
    assert search.states.task.tolist() == [2]


def test_stations_that_stay_empty_are_not_tried_in_every_order():
    """One worker of ten can do the first task: the others stand before it in 9! orders, all as good."""
    ticks = np.full((10, 3), 5)
    ticks[:9, 0] = NEVER
    before = closure(3, np.array([[0, 1], [0, 2]]))
    search = Pass(Threshold(Tasks(ticks, before), Line(np.arange(10), True), 5))
    assert len(search.states) <= 2**9
    assert search.complete
    assert search.decide(10**4, Stop()).possible
