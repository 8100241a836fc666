"""What each task is worth where stations are filled with parts of loads: the strongest additive measure at the root."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import highspy
import numpy as np

from milp import budget
from milp.solver.highs import SilentHighs
from partition.arrays import BoolArray, FloatArray, IntArray
from partition.stopping import Stop

CELLS = 1 << 17
"""Most tasks times ticks of a station: what one round of the linear program looks at."""

ROUNDS = 200
"""Most rounds; prices that are not the best ones are a measure too, only a weaker one."""

SCALE = 1 << 20
"""Of prices, in whole numbers; any prices give a measure, so rounding them is safe."""


def packing_measure(time: IntArray, period: int, stop: Stop) -> tuple[IntArray, IntArray] | None:
    """Worth of each task (N,), and the most that tasks are worth that fit together into a room of 0, 1, ... T ticks.

    The worths are the dual solution of the linear program of bin packing (Gilmore and Gomory 1961): the fewest loads,
    in parts, that hold every task. They grow with the times, so that a longer task is worth no less.

    Parameters
    ----------
    time : (N,) ticks of each task.
    period : ticks ``T`` of a station.

    Returns
    -------
    None where the program would be too large, or a task takes longer than a station has.
    """
    if not 0 < period * len(time) <= CELLS or time.max() > period:
        return None
    sizes, group, count = np.unique(time, return_inverse=True, return_counts=True)
    with ThreadPoolExecutor(1) as apart:  # HiGHS ties the caller's thread to a number of threads for good
        prices = apart.submit(_prices, sizes, count, period, stop).result()
    worth = np.maximum.accumulate(prices)
    return worth[group], _filled(sizes, count, worth, period)[0]


def _prices(sizes: IntArray, count: IntArray, period: int, stop: Stop) -> IntArray:
    """(D,) price of a task of each size, at which no load that was tried is worth more than ``SCALE``."""
    solver = SilentHighs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    for most in count.tolist():
        solver.addRow(float(most), highspy.kHighsInf, 0, np.zeros(0, np.int32), np.zeros(0))
    for i, size in enumerate(sizes.tolist()):
        alike = min(int(count[i]), period // size) if size else int(count[i])
        solver.addCol(1.0, 0.0, highspy.kHighsInf, 1, np.array([i], np.int32), np.array([float(alike)]))
    prices: IntArray = np.zeros(len(sizes), np.int64)
    for _ in range(ROUNDS):
        stop.charge(budget.PATTERN * int(count.sum()) * (period + 1))
        if solver.run() == highspy.HighsStatus.kError:
            return prices
        dual: FloatArray = np.asarray(solver.getSolution().row_dual)
        prices = np.floor(np.maximum(dual, 0.0) * SCALE).astype(np.int64)
        table, taken = _filled(sizes, count, prices, period)
        if stop() or table[period] <= SCALE:
            return prices
        load = _load(sizes, taken, period)
        rows = np.flatnonzero(load).astype(np.int32)
        solver.addCol(1.0, 0.0, highspy.kHighsInf, len(rows), rows, load[rows].astype(float))
    return prices


def _filled(
    sizes: IntArray, count: IntArray, prices: IntArray, period: int
) -> tuple[IntArray, list[tuple[int, int, BoolArray]]]:
    """(T + 1,) most that tasks are worth that fit into each room; and of how many of a size at once, where they pay."""
    table, taken = np.zeros(period + 1, np.int64), []
    for i, (size, left) in enumerate(zip(sizes.tolist(), count.tolist(), strict=True)):
        many = 1
        while left > 0 and size * min(many, left) <= period:
            many = min(many, left)
            room = table.copy()
            room[many * size :] = np.maximum(table[many * size :], table[: period + 1 - many * size] + many * prices[i])
            taken.append((i, many, room > table))
            table, left, many = room, left - many, 2 * many
    return table, taken


def _load(sizes: IntArray, taken: list[tuple[int, int, BoolArray]], period: int) -> IntArray:
    """(D,) tasks of each size in the load that is worth most."""
    load, room = np.zeros(len(sizes), np.int64), period
    for i, many, pays in reversed(taken):
        if pays[room]:
            load[i] += many
            room -= many * int(sizes[i])
    return load
