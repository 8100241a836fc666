"""A mixed-integer program as families of variables and of rows, each family a few arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from milp.formulation.linear import ImpossibleRow, Linear, matched
from partition.arrays import BoolArray, FloatArray, IntArray, sums


@dataclass(frozen=True, eq=False)
class Variables:
    """A family of variables ``name[first, second]`` with consecutive columns.

    Attributes
    ----------
    name : str
    base : int
        Column of the first one.
    first, second : (n,) int
        Indices of each; -1 where it has none.
    lower, upper : float
        Bounds of all of them, infinite where there are none.
    integral : bool
        Whether they are whole.
    """

    name: str
    base: int
    first: IntArray
    second: IntArray
    lower: float
    upper: float
    integral: bool

    @property
    def single(self) -> bool:
        """Whether it is one variable without indices."""
        return len(self.first) == 1 and self.first[0] < 0

    @property
    def columns(self) -> IntArray:
        """(n,) column of each variable."""
        return np.arange(self.base, self.base + len(self.first))

    def all(self) -> Linear:
        """(n,) the variables as expressions."""
        return Linear.variables(self.columns)

    def at(self, position: IntArray) -> Linear:
        """The variables at these positions; one may come again."""
        return Linear.variables(self.base + position)


@dataclass(frozen=True, eq=False)
class Rows:
    """A family of rows ``lower <= terms <= upper``, free of constants: those are in the bounds.

    Attributes
    ----------
    name : str
    row, column, coefficient : (K,)
        Terms; a column may come several times in a row.
    lower, upper : (n,) float
        Bounds of each row; one is infinite, or they are equal.
    """

    name: str
    row: IntArray
    column: IntArray
    coefficient: FloatArray
    lower: FloatArray
    upper: FloatArray

    def __len__(self) -> int:
        return len(self.lower)


@dataclass(frozen=True, eq=False)
class Matrix:
    """All rows ``lower <= A @ x <= upper`` over the columns that stand in any.

    Attributes
    ----------
    A : (rows, columns) CSR
    lower, upper : (rows,) float
    cost : (columns,) float
        What is minimised.
    columns, rows : int
        Their numbers in the model, all families counted through.
    """

    A: sp.csr_array
    lower: FloatArray
    upper: FloatArray
    cost: FloatArray
    columns: IntArray
    rows: IntArray


class Model:
    """``min objective`` over variables and rows, written family by family.

    Attributes
    ----------
    name : str
    variables : list of Variables
        In the order of their columns.
    rows : list of Rows
        In the order of the matrix.
    objective : Linear
        What to minimise, a batch of one.
    """

    def __init__(self, name: str = "model") -> None:
        self.name = name
        self.variables: list[Variables] = []
        self.rows: list[Rows] = []
        self.objective = Linear.constants(np.zeros(1))
        self.columns = 0

    def __getitem__(self, name: str) -> Variables:
        """The family of variables of a name."""
        return next(family for family in self.variables if family.name == name)

    def count(self, name: str) -> int:
        """Number of rows in the families of a name."""
        return sum(len(family) for family in self.rows if family.name == name)

    def add(
        self,
        name: str,
        first: IntArray | None = None,
        second: IntArray | None = None,
        *,
        lower: float = 0.0,
        upper: float = 1.0,
        integral: bool = False,
    ) -> Variables:
        """A new family of variables: a single one, or one for each index or pair of indices."""
        first = np.full(1, -1, dtype=np.int64) if first is None else first
        second = np.full(len(first), -1) if second is None else second
        family = Variables(name, self.columns, first, second, lower, upper, integral)
        self.variables.append(family)
        self.columns += len(first)
        return family

    def matrix(self) -> Matrix:
        """The rows as one matrix, without zeros, without columns that no row has, and without rows that cancel out.

        Raises
        ------
        ImpossibleRow
            A row whose terms cancel out does not hold.
        """
        sizes = np.array([len(family) for family in self.rows], dtype=np.int64)
        before = np.cumsum(sizes) - sizes
        row = np.concatenate([family.row + first for family, first in zip(self.rows, before, strict=True)])
        order = np.argsort(row, kind="stable")
        column = np.concatenate([family.column for family in self.rows])[order]
        coefficient = np.concatenate([family.coefficient for family in self.rows])[order]
        ends = np.cumsum(np.bincount(row, minlength=int(sizes.sum())))
        shape = (len(ends), self.columns)
        by_column = sp.csr_array((coefficient, column, np.concatenate([[0], ends])), shape=shape).tocsc()
        by_column.sum_duplicates()
        by_column.eliminate_zeros()
        stands = np.diff(by_column.indptr) > 0
        stands[self.objective.column] = True
        columns = np.flatnonzero(stands)
        A = sp.csr_array(by_column[:, columns].tocsr())
        lower = np.concatenate([family.lower for family in self.rows])
        upper = np.concatenate([family.upper for family in self.rows])
        written = np.diff(A.indptr) > 0
        if ((lower > 0) | (upper < 0))[~written].any():
            raise ImpossibleRow
        rows = np.flatnonzero(written)
        cost = sums(self.objective.column, self.objective.coefficient, self.columns)
        return Matrix(A[rows], lower[rows], upper[rows], cost[columns], columns, rows)

    def at_most(self, name: str, left: Linear, right: Linear | float) -> None:
        """The rows ``left <= right``; those over constants alone vanish.

        Raises
        ------
        ImpossibleRow
            A row over constants alone does not hold.
        """
        left, right = matched(left, _batch(right))
        varies, right_varies = left.has_variables, right.has_variables
        # A constant on the left is a lower bound of what is on the right.
        sign = np.where(varies, -1.0, 1.0)
        difference = right.constant - left.constant
        lower = np.where(varies, -np.inf, -difference)
        upper = np.where(varies, difference, np.inf)
        self._append(name, left, right, sign, (lower, upper), keep=varies | right_varies)
        if (left.constant > right.constant)[~(varies | right_varies)].any():
            raise ImpossibleRow

    def equal(self, name: str, left: Linear, right: Linear | float) -> None:
        """The rows ``left == right``, each with a variable at least."""
        left, right = matched(left, _batch(right))
        level = right.constant - left.constant
        self._append(name, left, right, np.full(left.size, -1.0), (level, level), keep=np.ones(left.size, dtype=bool))

    def _append(
        self,
        name: str,
        left: Linear,
        right: Linear,
        sign: FloatArray,
        bounds: tuple[FloatArray, FloatArray],
        keep: BoolArray,
    ) -> None:
        """Rows of the terms on the left, and of those on the right with this ``sign``, of the rows to ``keep``."""
        place = np.cumsum(keep) - 1
        self.rows.append(
            Rows(
                name,
                place[np.concatenate([left.row, right.row])],
                np.concatenate([left.column, right.column]),
                np.concatenate([left.coefficient, right.coefficient * sign[right.row]]),
                bounds[0][keep],
                bounds[1][keep],
            )
        )


def _batch(value: Linear | float) -> Linear:
    return value if isinstance(value, Linear) else Linear.constants(np.array([float(value)]))
