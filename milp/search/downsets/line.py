"""The stations of a line and the orders in which their kinds may come, as an automaton of modes."""

from __future__ import annotations

import numpy as np

from partition.arrays import IntArray


class Line:
    """Which kinds may be opened next, given those that were opened before.

    A *mode* says how often each kind has been opened, and which one is open now. On a line whose order is fixed (or
    whose stations are all alike) the modes are the positions ``0..m-1``, and a later one is never better. Where the
    order is free, modes are numbered as they come up.

    Parameters
    ----------
    kinds : (m,) kind of each station, in order; any order of them where ``free``.
    free : whether the stations may stand in any order.

    Attributes
    ----------
    kind : (Q,) the open kind of each mode known so far.
    total : (K,) stations of each kind.
    left : (Q, K) stations of each kind that are still closed.
    position : (Q,) stations opened before this one.
    alike : whether all stations are of one kind.
    ordered : whether the number of a mode is its position, so that a smaller one is as good as a larger one.
    """

    def __init__(self, kinds: IntArray, free: bool) -> None:
        self.stations, self._kinds, self._free = len(kinds), np.asarray(kinds), free
        self.alike = len(np.unique(kinds)) == 1
        self.ordered = not free or self.alike
        count = int(kinds.max()) + 1
        self.total = total = np.bincount(kinds, minlength=count)
        self._known: dict[tuple[int, ...], int] = {}
        self._next: list[IntArray] = []
        if self.ordered:
            opened = np.cumsum(np.eye(count, dtype=np.int64)[kinds], axis=0)
            self.kind, self.left = np.asarray(kinds), total - opened
            self.position = np.arange(self.stations)
            self._next = [np.array([q + 1] if q + 1 < self.stations else [], np.int64) for q in range(self.stations)]
            self.first = np.array([0])
            return
        self.kind, self.position = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.left = np.zeros((0, count), np.int64)
        self.first = self._following(total, 0)

    def reversed(self) -> Line:
        """The same stations from the other end."""
        return Line(self._kinds[::-1], self._free)

    def _following(self, left: IntArray, position: int) -> IntArray:
        """Modes of the stations that may be opened next, numbered if they are new."""
        found = []
        for kind in np.flatnonzero(left).tolist():
            rest = left.copy()
            rest[kind] -= 1
            name = (kind, *rest.tolist())
            if name not in self._known:
                self._known[name] = len(self._known)
                self.kind = np.append(self.kind, kind)
                self.left = np.vstack([self.left, rest])
                self.position = np.append(self.position, position)
                self._next.append(np.zeros(0, np.int64) if not rest.any() else np.full(1, -1))
            found.append(self._known[name])
        return np.array(found, dtype=np.int64)

    def following(self, modes: IntArray) -> tuple[IntArray, IntArray]:
        """Close the open stations: (rows of ``modes``, the mode of each station that may be opened for them)."""
        distinct, inverse = np.unique(modes, return_inverse=True)
        for mode in distinct.tolist():
            known = self._next[mode]
            if len(known) and known[0] < 0:
                self._next[mode] = self._following(self.left[mode], int(self.position[mode]) + 1)
        lists = [self._next[mode] for mode in distinct.tolist()]
        counts = np.array([len(x) for x in lists], dtype=np.int64)
        flat = np.concatenate(lists) if lists else np.zeros(0, np.int64)
        begin = np.cumsum(counts) - counts
        many = counts[inverse]
        rows = np.repeat(np.arange(len(modes)), many)
        offset = np.arange(len(rows)) - np.repeat(np.cumsum(many) - many, many)
        return rows, flat[begin[inverse][rows] + offset] if len(rows) else np.zeros(0, np.int64)
