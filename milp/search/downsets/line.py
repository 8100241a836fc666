"""The stations of a line and the orders in which their kinds may come, as modes that are numbers."""

from __future__ import annotations

import numpy as np

from partition.arrays import IntArray

MODE_BITS = 60
"""Most bits of a mode."""


class Line:
    """Which kinds may be opened next, given those that were opened before.

    A *mode* says how many stations of each kind are still closed, and which kind is open now. On a line whose order is
    fixed, or whose stations are all alike, the modes are the positions ``0..m-1``. A later one is never better there.
    Where the order is free, a mode is the open kind and the closed stations of each kind, in some bits for each.

    Parameters
    ----------
    kinds : (m,) kind of each station, in order; any order of them where ``free``.
    free : whether the stations may stand in any order.

    Attributes
    ----------
    stations : their number ``m``.
    total : (K,) stations of each kind.
    alike : whether all stations are of one kind.
    ordered : whether a mode is a position, so that a smaller one is as good as a larger one.
    first : modes of the stations that may be opened first.

    Raises
    ------
    OverflowError : there are more modes than whole numbers; see :meth:`countable`.
    """

    def __init__(self, kinds: IntArray, free: bool) -> None:
        self.kinds, self.free = np.asarray(kinds), free
        self.stations = len(kinds)
        self.alike = len(np.unique(kinds)) == 1
        self.ordered = not free or self.alike
        self.total = np.bincount(kinds)
        count = len(self.total)
        if self.ordered:
            self._left = self.total - np.cumsum(np.eye(count, dtype=np.int64)[kinds], axis=0)
            self.first = np.array([0])
            return
        if not self.countable(kinds):
            raise OverflowError("too many modes of the line")
        bits = _bits(self.total)
        self._shift = np.cumsum(bits)[:-1]  # of the closed stations of each kind, above those of the open kind
        self._one, self._mask = 1 << self._shift, (1 << bits[1:]) - 1
        everything = int(self.total @ self._one)
        present = np.flatnonzero(self.total)
        self.first = everything - self._one[present] + present

    @staticmethod
    def countable(kinds: IntArray) -> bool:
        """Whether the modes of such a line in free order are few enough to be numbered."""
        return bool(_bits(np.bincount(kinds)).sum() <= MODE_BITS)

    def reversed(self) -> Line:
        """The same stations from the other end."""
        return Line(self.kinds[::-1], self.free)

    def kind(self, modes: IntArray) -> IntArray:
        """(S,) the open kind of each mode."""
        return np.asarray(self.kinds[modes] if self.ordered else modes & ((1 << int(self._shift[0])) - 1))

    def left(self, modes: IntArray) -> IntArray:
        """(S, K) stations of each kind that are still closed."""
        if self.ordered:
            return np.asarray(self._left[modes])
        return np.asarray((modes >> self._shift[:, None] & self._mask[:, None]).T)

    def behind(self, modes: IntArray) -> IntArray:
        """(S,) a number for the stations that are still closed, the same where they are."""
        return modes if self.ordered else np.asarray(modes - self.kind(modes))

    def position(self, modes: IntArray) -> IntArray:
        """(S,) stations opened before the open one."""
        if self.ordered:
            return modes
        return np.asarray(self.stations - 1 - self.left(modes).sum(axis=1))

    def following(self, modes: IntArray) -> tuple[IntArray, IntArray]:
        """Close the open stations: (rows of ``modes``, the mode of each station that may be opened for them)."""
        if self.ordered:
            rows = np.flatnonzero(modes + 1 < self.stations)
            return rows, modes[rows] + 1
        rows, kinds = np.nonzero(self.left(modes))
        closed = self.behind(modes)[rows]
        return rows, closed - self._one[kinds] + kinds


def _bits(total: IntArray) -> IntArray:
    """(K + 1,) bits for the number of a kind, then for the closed stations of each kind."""
    return np.array([int(most).bit_length() for most in (len(total) - 1, *total.tolist())])
