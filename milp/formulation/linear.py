"""Batches of linear expressions over columns: the algebra in which the row families are written.

A batch holds many expressions of one kind, as ``x(v, c)`` for arrays of nodes ``v`` and chips ``c``. Batches are added,
subtracted and scaled element by element, as numpy arrays are. A variable that is a constant has no column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from partition.arrays import BoolArray, FloatArray, IntArray, runs, sums


class ImpossibleRow(Exception):
    """A row over constants alone does not hold: no placement fits these windows."""


@dataclass(frozen=True, eq=False)
class Linear:
    """``n`` linear expressions with ``K`` terms in all.

    A batch of one expression stands for as many equal ones as it is combined with.

    Attributes
    ----------
    row : (K,) int
        The expression that each term belongs to, in any order.
    column : (K,) int
        Its variable.
    coefficient : (K,) float
        Its coefficient. Zeros stay until the matrix is written.
    constant : (n,) float
        The constant of each expression.
    """

    row: IntArray
    column: IntArray
    coefficient: FloatArray
    constant: FloatArray

    # numpy leaves ``array * batch`` and the like to the methods below.
    __array_ufunc__ = None

    @staticmethod
    def constants(values: FloatArray | IntArray | BoolArray) -> Linear:
        """Expressions without variables."""
        none = np.zeros(0, dtype=np.int64)
        return Linear(none, none, np.zeros(0), np.asarray(values, dtype=np.float64))

    @staticmethod
    def variables(column: IntArray, constant: FloatArray | None = None) -> Linear:
        """One variable each, or the ``constant`` (0 by default) where the column is -1."""
        present = np.flatnonzero(column >= 0)
        values = np.zeros(len(column)) if constant is None else constant
        return Linear(present, column[present], np.ones(len(present)), values)

    @staticmethod
    def stacked(batches: Sequence[Linear]) -> Linear:
        """All expressions of all batches, one batch after the other."""
        sizes = np.array([batch.size for batch in batches], dtype=np.int64)
        before = np.cumsum(sizes) - sizes
        return Linear(
            np.concatenate([batch.row + first for batch, first in zip(batches, before, strict=True)]),
            np.concatenate([batch.column for batch in batches]),
            np.concatenate([batch.coefficient for batch in batches]),
            np.concatenate([batch.constant for batch in batches]),
        )

    @property
    def size(self) -> int:
        """Number of expressions ``n``."""
        return len(self.constant)

    @property
    def has_variables(self) -> BoolArray:
        """(n,) whether an expression has terms."""
        found = np.zeros(self.size, dtype=bool)
        found[self.row] = True
        return found

    def __add__(self, other: Linear) -> Linear:
        """The sum of two batches, element by element."""
        one, two = matched(self, other)
        return Linear(
            np.concatenate([one.row, two.row]),
            np.concatenate([one.column, two.column]),
            np.concatenate([one.coefficient, two.coefficient]),
            one.constant + two.constant,
        )

    def __sub__(self, other: Linear) -> Linear:
        """The difference of two batches, element by element."""
        return self + -other

    def __neg__(self) -> Linear:
        """Every expression with the other sign."""
        return Linear(self.row, self.column, -self.coefficient, -self.constant)

    def __mul__(self, factor: float | FloatArray) -> Linear:
        """Every expression times a number, or times a number of its own."""
        if isinstance(factor, np.ndarray):
            return Linear(self.row, self.column, self.coefficient * factor[self.row], self.constant * factor)
        return Linear(self.row, self.column, self.coefficient * factor, self.constant * factor)

    __rmul__ = __mul__

    def plus(self, constant: float | FloatArray) -> Linear:
        """Every expression plus a number."""
        return Linear(self.row, self.column, self.coefficient, self.constant + constant)

    def sum(self, into: IntArray, size: int) -> Linear:
        """(size,) sums of the expressions by the slot ``into`` (n,) that each belongs to, added up in their order."""
        order = np.argsort(self.row, kind="stable")
        row, column, coefficient = into[self.row[order]], self.column[order], self.coefficient[order]
        return Linear(row, column, coefficient, sums(into, self.constant, size))

    def moved(self, to: IntArray) -> Linear:
        """The expressions in another order: each where the permutation ``to`` (n,) says."""
        constant = np.empty_like(self.constant)
        constant[to] = self.constant
        return Linear(to[self.row], self.column, self.coefficient, constant)

    def total(self) -> Linear:
        """The sum of all expressions, a batch of one."""
        return self.sum(np.zeros(self.size, dtype=np.int64), 1)

    def take(self, chosen: IntArray) -> Linear:
        """The expressions at these positions; a position may come again."""
        order = np.argsort(self.row, kind="stable")
        count = np.bincount(self.row, minlength=self.size)
        first = np.cumsum(count) - count
        terms = order[runs(first[chosen], count[chosen])]
        row = np.repeat(np.arange(len(chosen)), count[chosen])
        return Linear(row, self.column[terms], self.coefficient[terms], self.constant[chosen])


def matched(one: Linear, two: Linear) -> tuple[Linear, Linear]:
    """Two batches of one size: a batch of one is repeated.

    Raises
    ------
    ValueError
        The sizes differ, and neither is 1.
    """
    if one.size != two.size:
        if one.size == 1:
            return one.take(np.zeros(two.size, dtype=np.int64)), two
        if two.size == 1:
            return one, two.take(np.zeros(one.size, dtype=np.int64))
        raise ValueError(f"batches of {one.size} and {two.size} expressions do not go together")
    return one, two


def spans(start: IntArray, stop: IntArray) -> tuple[IntArray, IntArray]:
    """Owner and value of the integers ``start[i] .. stop[i] - 1`` of every owner ``i``, one owner after the other."""
    size = np.maximum(stop - start, 0)
    return np.repeat(np.arange(len(size)), size), runs(start, size)
