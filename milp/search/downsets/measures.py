"""What the undone tasks need and the stations left can give, in several measures that add up over tasks."""

from __future__ import annotations

import numpy as np

from milp.search.downsets.line import Line
from milp.search.downsets.tasks import NEVER, Tasks
from partition.arrays import BoolArray, IntArray

DUAL_FEASIBLE = 5
"""Most dual feasible functions beside the plain time."""

TABLE_LIMIT = 1 << 20
"""Largest period in ticks for which dual feasible functions are tabulated."""

PORTION = 4_096
"""States whose needs are added up at a time."""

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
    packing : a measure beside these functions, see :func:`milp.search.downsets.packing.packing_measure`.

    Attributes
    ----------
    slack : (P,) what all stations can give beyond what all tasks need at least.
    """

    def __init__(self, tasks: Tasks, line: Line, period: int, packing: tuple[IntArray, IntArray] | None = None) -> None:
        self.line, self.period = line, period
        time = alike_times(tasks, line)
        self.table = _functions(time, line.stations, period)
        measured = time[None, :] if self.table is None else self.table[:, np.minimum(time, period)]
        self._need = np.asarray(measured)
        if self.table is not None and packing is not None:
            worth, most = packing
            self.table, self._need = np.vstack([self.table, most]), np.vstack([self._need, worth])
        whole = np.array([period]) if self.table is None else self.table[:, period]
        self.slack = line.stations * whole - self._need.sum(axis=1)

    def need(self, modes: IntArray, rows: IntArray, tasks: IntArray) -> IntArray:
        """(C, P) what a task (C,) needs in the state of each of the ``rows`` (C,)."""
        return np.asarray(self._need.T[tasks])

    def total(self, modes: IntArray, undone: BoolArray) -> IntArray:
        """(S, P) what the undone tasks, (S, N) bool, need."""
        return np.asarray(undone.astype(np.float64) @ self._need.T.astype(np.float64)).astype(np.int64)

    def behind(self, modes: IntArray) -> IntArray:
        """(S, P) what the stations behind the open ones can give."""
        count = (self.line.stations - 1 - self.line.position(modes))[:, None]
        return np.asarray(count * (self.period if self.table is None else self.table[:, self.period]))

    def open(self, modes: IntArray, room: IntArray) -> IntArray:
        """(S, P) what the open stations, with so much room, can give."""
        return np.asarray(room[:, None] if self.table is None else self.table[:, room].T)

    def allowed(self, modes: IntArray, spare: IntArray) -> IntArray:
        """(S,) ticks that the open stations may lose, where so much can be spared in each measure."""
        return np.asarray(spare[:, 0])

    changes = False
    """Whether what a task needs depends on the mode."""


def alike_times(tasks: Tasks, line: Line) -> IntArray:
    """(N,) ticks of each task on a line whose stations are all alike."""
    return np.asarray(tasks.ticks[int(line.kind(line.first)[0])])


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

    With prices ``w``, the undone tasks need at least ``sum_j min_k w_k t_kj``, over the kinds that are open or still
    closed. The stations give ``w_k`` times their room.

    Parameters
    ----------
    prices : (P, K) whole numbers, zero or more.

    Attributes
    ----------
    slack : (P,) what all stations can give beyond what all tasks need at least.
    """

    changes = True

    def __init__(self, tasks: Tasks, line: Line, period: int, prices: IntArray) -> None:
        self.line, self.period, self.prices = line, period, prices
        ticks = np.minimum(tasks.ticks[: len(line.total)], NEVER >> 12)
        self._priced = np.minimum(prices[:, :, None] * ticks[None], CANNOT)  # (P, K, N)
        present = np.flatnonzero(line.total)
        self._least = self._priced[:, present].min(axis=1)
        self.slack = prices @ line.total * period - self._least.sum(axis=1)

    def _table(self, modes: IntArray, closed: bool) -> IntArray:
        """(Q, P, N) what each task needs in each mode: the least price among the kinds open or still closed.

        Parameters
        ----------
        closed : the open station takes no more.
        """
        usable = self.line.left(modes) > 0
        if not closed:
            usable[np.arange(len(modes)), self.line.kind(modes)] = True
        found = np.full((len(modes), len(self.prices), self._priced.shape[2]), CANNOT)
        for kind in range(usable.shape[1]):
            rows = usable[:, kind]
            found[rows] = np.minimum(found[rows], self._priced[:, kind])
        return found

    def need(self, modes: IntArray, rows: IntArray, tasks: IntArray) -> IntArray:
        """(C, P) what a task (C,) needs in the state of each of the ``rows`` (C,)."""
        distinct, row = np.unique(modes, return_inverse=True)
        return np.asarray(self._table(distinct, False)[row[rows], :, tasks])

    def total(self, modes: IntArray, undone: BoolArray, closed: bool = False) -> IntArray:
        """(S, P) what the undone tasks, (S, N) bool, need; more than there can be where no kind can run one.

        Parameters
        ----------
        closed : the open stations take no more.
        """
        distinct, row = np.unique(modes, return_inverse=True)
        table = self._table(distinct, closed)
        found = np.zeros((len(modes), len(self.prices)), np.int64)
        for begin in range(0, len(modes), PORTION):
            part = slice(begin, begin + PORTION)
            found[part] = np.einsum("spn,sn->sp", table[row[part]], undone[part])
        return found

    def behind(self, modes: IntArray) -> IntArray:
        """(S, P) what the stations behind the open ones can give."""
        priced = self.prices.astype(np.float64) @ self.line.left(modes).T.astype(np.float64)  # of small whole numbers
        return np.asarray(priced.T.astype(np.int64) * self.period)

    def open(self, modes: IntArray, room: IntArray) -> IntArray:
        """(S, P) what the open stations, with so much room, can give."""
        return np.asarray(self.prices[:, self.line.kind(modes)].T * room[:, None])

    def least(self, undone: BoolArray) -> IntArray:
        """(S, P) what the undone tasks, (S, N) bool, need at least, whichever kinds are left."""
        return np.asarray(undone.astype(np.float64) @ self._least.T.astype(np.float64)).astype(np.int64)

    def allowed(self, modes: IntArray, spare: IntArray) -> IntArray:
        """(S,) ticks that the open stations may lose, where so much can be spared in each measure."""
        price = self.prices.T[self.line.kind(modes)]
        return np.asarray(np.where(price > 0, spare // np.maximum(price, 1), NEVER).min(axis=1))
