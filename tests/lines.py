"""Small lines of stations, what is asked about them, and their least load by trying every assignment."""

from __future__ import annotations

import itertools

import numpy as np

from milp.search.downsets.both_ends import BothEnds, End
from milp.search.downsets.line import Line
from milp.search.downsets.prices import prices
from milp.search.downsets.tasks import NEVER, Tasks, closure


def random_line(rng, *, most: int = 7):
    """Tasks, kinds of the stations and whether their order is free; ties, zeros and impossible tasks among them."""
    count, kinds = int(rng.integers(1, most + 1)), int(rng.integers(1, 4))
    high = int(rng.choice([2, 4, 10, 40]))
    ticks = rng.integers(0, high + 1, (kinds, count))
    if rng.random() < 0.5:
        ticks[:] = ticks[0]
    never = rng.random(ticks.shape) < 0.15
    never[0] &= kinds > 1
    ticks = np.where(never & (rng.random() < 0.5), NEVER, ticks)
    edges = np.argwhere(np.triu(rng.random((count, count)) < rng.choice([0.0, 0.2, 0.5]), 1))
    stations = rng.integers(0, kinds, int(rng.integers(1, 5)))
    return Tasks(ticks, closure(count, edges)), stations, bool(rng.random() < 0.4)


def both_ends(tasks, stations, free, load):
    """The question about a load, as the search asks it."""
    ordered, line = tasks.without_symmetry(), Line(stations, free)
    chosen = None if line.alike else prices(tasks.ticks[: len(line.total)], line.total)
    ends = End(ordered, line, chosen, False), End(ordered.reversed(), line.reversed(), chosen, True)
    return BothEnds(ends, load)


def placed(tasks, stations, free):
    """(kinds of the stations in order, station of each task, loads) of all assignments that keep the order."""
    pairs = np.argwhere(tasks.before).tolist()
    for kinds in sorted(set(itertools.permutations(stations.tolist()))) if free else [tuple(stations.tolist())]:
        for chip in itertools.product(range(len(kinds)), repeat=tasks.count):
            if all(chip[i] <= chip[j] for i, j in pairs):
                load = [0] * len(kinds)
                for j, c in enumerate(chip):
                    load[c] += int(tasks.ticks[kinds[c], j])
                yield kinds, chip, load


def least_load(tasks, stations, free):
    """The least largest load of all assignments, task by task, on every order of the stations."""
    orders = sorted(set(itertools.permutations(stations.tolist()))) if free else [tuple(stations.tolist())]
    before = [np.flatnonzero(tasks.before[:, j]).tolist() for j in range(tasks.count)]
    ticks, best = tasks.ticks.tolist(), int(NEVER)

    def place(kinds, chip, load):
        nonlocal best
        if max(load) >= best:
            return
        if len(chip) == tasks.count:
            best = max(load)
            return
        for c in range(max((chip[i] for i in before[len(chip)]), default=0), len(kinds)):
            more = ticks[kinds[c]][len(chip)]
            place(kinds, [*chip, c], [*load[:c], load[c] + more, *load[c + 1 :]])

    for kinds in orders:
        place(kinds, [], [0] * len(kinds))
    return best


def long_line(rng):
    """A line of equal stations with more tasks, of which many must come before others."""
    count, high = int(rng.integers(8, 12)), int(rng.choice([10, 40]))
    edges = np.argwhere(np.triu(rng.random((count, count)) < rng.choice([0.2, 0.3]), 1))
    stations = np.zeros(int(rng.integers(3, 5)), np.int64)
    return Tasks(rng.integers(1, high + 1, (1, count)), closure(count, edges)), stations, False


def check_solution(tasks, kind, station, load):
    assert all(station[i] <= station[j] for i, j in np.argwhere(tasks.before))
    loads = np.zeros(len(kind), np.int64)
    np.add.at(loads, station, tasks.ticks[kind[station], np.arange(tasks.count)])
    assert loads.max() <= load
