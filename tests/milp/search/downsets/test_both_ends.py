"""A line from both ends: what one end is told that the other must lose, every solution loses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from lines import both_ends, check_solution, least_load, placed, random_line

from milp.search.downsets.both_ends import PACKED_FROM
from milp.search.downsets.guides import Guide
from milp.search.downsets.line import Line
from milp.search.downsets.tasks import NEVER, Tasks, closure
from milp.search.downsets.threshold import Threshold
from partition.stopping import Stop


def solutions(tasks, stations, free, load):
    """(kinds of the stations in order, station of each task) of all assignments that keep the order and the load."""
    return [
        (np.array(kinds), np.array(chip)) for kinds, chip, loads in placed(tasks, stations, free) if max(loads) <= load
    ]


@pytest.mark.parametrize("seed", range(30))
def test_every_solution_loses_what_either_end_says_that_the_first_stations_lose(seed):
    rng = np.random.default_rng(seed)
    tasks, stations, free = random_line(rng, most=5)
    least = least_load(tasks, stations, free)
    if not 0 < least < NEVER:
        pytest.skip("nothing to do, or a task that can run nowhere")
    load = least + int(rng.integers(0, 3))
    question = both_ends(tasks, stations, free, load)
    ordered = tasks.without_symmetry()
    for end, search in zip(question.ends, question.passes, strict=True):
        measures = search.threshold.measures
        while search.advance(1_000, Stop(), proof=True) is None:
            told = search.losses()
            for kinds, chip in solutions(ordered, stations, free, load):
                kind, place = (kinds[::-1], len(kinds) - 1 - chip) if end.backwards else (kinds, chip)
                for first in range(len(kinds) + 1):
                    done = place < first
                    if measures.changes:
                        room = measures.prices[:, kind[:first]].sum(axis=1) * load
                        lost = room - measures.least(done[None])[0]
                    else:
                        mode = np.array([len(kinds) - 1])
                        lost = first * measures.open(mode, np.array([load]))[0] - measures.total(mode, done[None])[0]
                    assert (told[first] <= lost).all()


@pytest.mark.parametrize("seed", range(60))
def test_both_ends_together_are_right_about_the_least_load_and_a_smaller_one(seed):
    rng = np.random.default_rng(500 + seed)
    tasks, stations, free = random_line(rng, most=6)
    least = least_load(tasks, stations, free)
    if not 0 < least < NEVER:
        pytest.skip("nothing to do, or a task that can run nowhere")
    possible = both_ends(tasks, stations, free, least)
    for width in (1, 3, 10_000):
        verdict = possible.prove(width, Stop())
        assert verdict.possible is not False
    assert verdict.possible
    check_solution(tasks, verdict.kind, verdict.station, least)
    for way, guide in itertools.product((0, 1), Guide):
        assert possible.find(way, guide, 1, Stop()).possible is not False
    if least > 1:
        assert both_ends(tasks, stations, free, least - 1).prove(10_000, Stop()).possible is False


@pytest.mark.parametrize("seed", range(12))
def test_what_is_found_after_states_were_given_up_for_the_other_end_is_a_solution(seed):
    rng = np.random.default_rng(seed)
    before = closure(20, np.argwhere(np.triu(rng.random((20, 20)) < 0.15, 1)))
    tasks, stations = Tasks(rng.integers(5, 40, (1, 20)), before), np.zeros(7, np.int64)
    load = max(-(-int(tasks.ticks.sum()) // 7), int(tasks.ticks.max()))
    while not (verdict := both_ends(tasks, stations, False, load).prove(10_000, Stop())).possible:
        load += 1
    check_solution(tasks, verdict.kind, verdict.station, load)


def test_either_end_is_told_what_the_other_loses():
    """Of three tasks of 9 at either end, two leave a station of 20 with 2 that nothing fills."""
    middle = np.array([7, 5, 6, 4, 3, 5, 6, 7, 4, 3, 6, 4])
    ticks = np.concatenate([[9] * 3, middle, [9] * 3])[None]
    edges = [pair for j in range(3, 15) for end in range(3) for pair in ((end, j), (j, 15 + end))]
    question = both_ends(Tasks(ticks, closure(18, np.array(edges))), np.zeros(6, np.int64), False, 20)
    assert question.prove(2, Stop()).possible is None
    assert [search.forced[1, 0] for search in question.passes] == [2, 2]


@pytest.mark.parametrize("seed", range(20))
def test_a_station_is_stuck_only_where_no_way_to_go_on_loses_as_little_as_is_allowed(seed):
    rng = np.random.default_rng(seed)
    tasks, stations, _ = random_line(rng, most=6)
    load = int(rng.integers(1, 30))
    if tasks.least.max() > load:
        pytest.skip("a task that fits nowhere")
    line = Line(stations, False)
    threshold = Threshold(tasks, line, load)
    for mode, used, allowed in itertools.product(range(len(stations)), range(load + 1), (0, 1, 3)):
        for done in itertools.product((False, True), repeat=tasks.count):
            inside = np.array(done)
            if (tasks.before & ~inside[:, None] & inside[None, :]).any():
                continue
            ready = ~inside & ~(tasks.before & ~inside[:, None]).any(axis=0)
            sets = np.array([[sum(1 << int(i) for i in np.flatnonzero(ready))]], np.uint64)
            stuck = threshold.stuck(np.array([mode]), np.array([used]), sets, np.array([allowed]))[0]
            if stuck:
                ways = fillings(tasks, line.kinds[mode], inside, load - used)
                assert load - used - max(ways) > allowed


def fillings(tasks, kind, inside, room):
    """What can be added to a station with so much room, in ticks."""
    found = {0}
    for j in np.flatnonzero(~inside & (tasks.ticks[kind] <= room)).tolist():
        if not (tasks.before[:, j] & ~inside).any():
            more = inside.copy()
            more[j] = True
            rest = fillings(tasks, kind, more, room - int(tasks.ticks[kind, j]))
            found |= {int(tasks.ticks[kind, j]) + each for each in rest}
    return found


@pytest.mark.parametrize("seed", range(30))
def test_with_a_fractional_packing_both_ends_are_right_too(seed):
    """With a width of more than 300 the passes measure what tasks are worth in it; no end calls the truth false."""
    rng = np.random.default_rng(900 + seed)
    times = rng.integers(0, 15, (1, 7))
    tasks = Tasks(times, closure(7, np.argwhere(np.triu(rng.random((7, 7)) < 0.2, 1))))
    stations = np.zeros(3, np.int64)
    least = least_load(tasks, stations, False)
    question = both_ends(tasks, stations, False, least)
    verdict = question.prove(PACKED_FROM + 1, Stop())
    assert verdict.possible
    check_solution(tasks, verdict.kind, verdict.station, least)
    if least > 1:
        assert both_ends(tasks, stations, False, least - 1).prove(PACKED_FROM + 1, Stop()).possible is False


def test_a_fractional_packing_disproves_what_no_function_of_the_times_does():
    """Of 7, 8 and 11 ticks none fills a station of 25: 4 loads do not hold all, and parts of loads need 4.17."""
    tasks = Tasks(np.array([[7] * 2 + [8] * 5 + [11] * 4]), np.zeros((11, 11), dtype=bool))
    question = both_ends(tasks, np.zeros(4, np.int64), False, 25)
    assert all((each.threshold.measures.slack >= 0).all() for each in question.passes)
    assert question.prove(PACKED_FROM + 1, Stop()).possible is False
    assert question.progress == 0.0
