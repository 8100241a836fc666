"""Annealed populations of solutions."""

from __future__ import annotations

import numpy as np
import pytest
from lines import check_solution, least_load, random_line

from milp.search.downsets.annealing import FEWEST, SOLUTIONS, Population, anneal, solutions
from milp.search.downsets.line import Line
from milp.search.downsets.tasks import NEVER, Tasks, closure
from partition.stopping import Stop


@pytest.mark.parametrize("free", [False, True])
def test_steps_keep_the_order_and_the_loads_are_those_of_the_tasks(free):
    rng = np.random.default_rng(4)
    ticks = rng.integers(1, 20, (3, 14))
    ticks[1, 3] = ticks[2, 8] = NEVER
    before = closure(14, np.argwhere(np.triu(rng.random((14, 14)) < 0.2, 1)))
    population = Population(Tasks(ticks, before), Line(np.array([0, 1, 1, 2, 0]), free), 25, 40, rng)
    source, target = np.nonzero(before)
    for temperature in (30.0, 3.0):
        population.steps(temperature)
        population.select(1.0 / (1.0 + population.excess()))
        station, kind = population.station[:, :14], population.kind
        assert (station[:, source] <= station[:, target]).all()
        assert ((station >= 0) & (station < 5)).all()
        if free:
            assert (np.sort(kind, axis=1) == np.array([0, 0, 1, 1, 2])).all()
        else:
            assert (kind == np.array([0, 1, 1, 2, 0])).all()
        loads = np.zeros((40, 5), np.int64)
        for task in range(14):
            row = np.arange(40)
            loads[row, station[:, task]] += population.ticks[task, kind[row, station[:, task]]]
        assert (population.load == loads).all()


def test_annealing_finds_the_least_load_of_small_lines():
    rng, reached = np.random.default_rng(5), 0
    for _ in range(6):
        tasks, kinds, free = random_line(rng, most=7)
        least, line = least_load(tasks, kinds, free), Line(kinds, free)
        if not 0 < least < NEVER:
            continue
        top = int(np.where(tasks.ticks >= NEVER, 0, tasks.ticks).max(axis=0).sum())
        seen = [top + 1]

        def better(solution, tasks=tasks, seen=seen):
            ticks = tasks.ticks[solution.kind[solution.station], np.arange(tasks.count)]
            seen.append(int(np.bincount(solution.station, ticks).max()))
            check_solution(tasks, solution.kind, solution.station, seen[-1])
            assert seen[-1] < seen[-2]
            return seen[-1] - 1

        population = Population(tasks, line, top, 64, rng)
        anneal(population, 600, max(least, 1), better, lambda least=least, seen=seen: seen[-1] <= least, Stop())
        reached += seen[-1] == least
    assert reached >= 4


def test_populations_are_smaller_where_stations_and_kinds_are_many():
    assert solutions(Line(np.zeros(4, np.int64), False)) == SOLUTIONS
    assert solutions(Line(np.arange(40), False)) > FEWEST
    assert solutions(Line(np.arange(400), False)) == FEWEST
