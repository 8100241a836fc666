"""What the undone tasks need and the stations left can give, in several measures that add up over tasks."""

from __future__ import annotations

import numpy as np

from milp.search.downsets.line import Line
from milp.search.downsets.tasks import NEVER, Tasks
from partition.arrays import IntArray

DUAL_FEASIBLE = 5
"""Most dual feasible functions beside the plain time."""

TABLE_LIMIT = 1 << 20
"""Largest period in ticks for which dual feasible functions are tabulated."""

CANNOT = np.int64(1) << np.int64(43)
"""What a task needs in any measure that no kind left can run; more than all stations give."""


class DualFeasible:
    """Measures of a line of equal stations: dual feasible functions of the times.

    For a superadditive ``f >= 0``, ``sum f(t_j) <= f(r)`` holds for all tasks that fit together into the room ``r``.
    So what is undone, measured by ``f``, is at most ``f`` of the open station's room and ``f(T)`` for each station
    behind it.

    Parameters
    ----------
    period : largest load of a station, in ticks.
    """

    def __init__(self, tasks: Tasks, line: Line, period: int) -> None:
        self.line, self.period = line, period
        time = tasks.ticks[int(line.kind[0])]
        self.table = _functions(time, line.stations, period)
        measured = time[None, :] if self.table is None else self.table[:, np.minimum(time, period)]
        self._need = np.asarray(measured)

    def need(self, modes: IntArray, tasks: IntArray) -> IntArray:
        """(S, P) what one task needs in each state."""
        return np.asarray(self._need.T[tasks])

    def total(self, modes: IntArray, undone: np.ndarray) -> IntArray:
        """(S, P) what the undone tasks, (S, N) bool, need."""
        return np.asarray(undone.astype(np.float64) @ self._need.T.astype(np.float64)).astype(np.int64)

    def room(self, modes: IntArray, room: IntArray) -> IntArray:
        """(S, P) what the open stations, with so much room, and those behind them can give."""
        behind = (self.line.stations - 1 - self.line.position[modes])[:, None]
        if self.table is None:
            return np.asarray(behind * self.period + room[:, None])
        return np.asarray(behind * self.table[:, self.period] + self.table[:, room].T)

    changes = False
    """Whether what a task needs depends on the mode."""


def _functions(time: IntArray, stations: int, period: int) -> IntArray | None:
    """(P, T + 1) the plain time and the dual feasible functions that say most about all tasks; None if T is large."""
    if not 0 < period <= TABLE_LIMIT:
        return None
    x = np.arange(period + 1)
    known = time[time <= period]
    found = []
    for least in np.unique(np.minimum(known, period - known + 1)).tolist():
        if 1 < least <= period // 2:
            found.append(np.where(x > period - least, period, np.where(x >= least, x, 0)))
    for k in range(1, 12):
        whole = (k + 1) * x // period
        found.append(np.where((k + 1) * x % period == 0, k * x, whole * period))
    share = [float(f[known].sum()) / (stations * float(f[period])) for f in found]
    best = np.argsort(-np.array(share), kind="stable")[:DUAL_FEASIBLE]
    return np.stack([x, *(found[i] for i in best.tolist())]).astype(np.int64)


class Weighted:
    """Measures of a line of different stations: times, weighted by a price for each kind.

    With prices ``w``, the undone tasks need at least ``sum_j min_k w_k t_kj`` over the kinds that are open or
    still closed, and the stations give ``w_k`` times their room.

    Parameters
    ----------
    prices : (P, K) whole numbers, zero or more.
    """

    changes = True

    def __init__(self, tasks: Tasks, line: Line, period: int, prices: IntArray) -> None:
        self.tasks, self.line, self.period, self.prices = tasks, line, period, prices
        self._need = np.zeros((0, len(prices), tasks.count), np.int64)

    def _known(self) -> IntArray:
        """(Q, P, N) what each task needs in each mode known by now."""
        line, known = self.line, len(self._need)
        if known < len(line.kind):
            fresh = []
            for mode in range(known, len(line.kind)):
                usable = line.left[mode] > 0
                usable[line.kind[mode]] = True
                times = np.minimum(self.tasks.ticks[: len(usable)][usable], NEVER >> 12)
                fresh.append(np.minimum((self.prices[:, usable, None] * times[None]).min(axis=1), CANNOT))
            self._need = np.concatenate([self._need, np.stack(fresh)])
        return self._need

    def need(self, modes: IntArray, tasks: IntArray) -> IntArray:
        """(S, P) what one task needs in each state."""
        return np.asarray(self._known()[modes, :, tasks])

    def total(self, modes: IntArray, undone: np.ndarray) -> IntArray:
        """(S, P) what the undone tasks, (S, N) bool, need; more than there can be where no kind can run one."""
        table = self._known()
        found = np.zeros((len(modes), len(self.prices)), np.int64)
        for mode in np.unique(modes).tolist():
            rows = modes == mode
            found[rows] = undone[rows].astype(np.float64) @ table[mode].T.astype(np.float64)
        return found

    def room(self, modes: IntArray, room: IntArray) -> IntArray:
        """(S, P) what the open stations, with so much room, and those behind them can give."""
        line = self.line
        behind = line.left[modes] @ self.prices.T * self.period
        return np.asarray(behind + self.prices[:, line.kind[modes]].T * room[:, None])
