"""The matrix that HiGHS gets: columns that know their variable, and slices of it within tighter windows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from milp import budget
from milp.formulation.model import Model
from milp.tolerances import ROW
from milp.windows.windows import Windows
from partition.arrays import BoolArray, FloatArray, IntArray
from partition.stopping import Stop

COVERED = 4.0
"""A model serves thresholds down to this much below the largest, which it is scaled for."""


@dataclass(frozen=True, eq=False)
class MatrixModel:
    """``min cost @ x`` with ``row_lower <= A @ x <= row_upper`` and ``lower <= x <= upper``.

    Attributes
    ----------
    A : (rows, columns) CSR.
    cost, lower, upper : (columns,).
    integral : (columns,) bool.
    family, node, chip : per column, the variable's name (``"y"``, ``"p"``, ``"R"``, ...) and its two indices (-1 where
        it has none).
    kept : positions of these columns in the model first compiled.
    fixed : the values of all columns of that model, NaN where kept.
    scale : what 1.0 of the columns ``T``, ``value``, ``begin`` and ``L`` stands for in the model compiled: the largest
        value allowed of it, so that tolerances mean the same in models whose figures are far from 1.
    """

    A: sp.csr_array
    row_lower: FloatArray
    row_upper: FloatArray
    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    integral: BoolArray
    family: NDArray[np.str_]
    node: IntArray
    chip: IntArray
    kept: IntArray
    fixed: FloatArray
    scale: float = 1.0

    @property
    def columns(self) -> int:
        """Number of columns."""
        return len(self.cost)

    def full(self, x: FloatArray) -> FloatArray:
        """Values of all columns of the model first compiled."""
        values = self.fixed.copy()
        values[self.kept] = x
        return values

    def reduced(self, values: FloatArray) -> MatrixModel | None:
        """The model with columns fixed to the numbers in ``values`` (NaN: left free); None if a row cannot hold.

        Rows without a free column are checked and dropped, so that the model shrinks with what is fixed.
        """
        free = np.isnan(values)
        constant = np.where(free, 0.0, values)
        shift = self.A @ constant
        A = self.A.tocsc()[:, np.flatnonzero(free)].tocsr()
        used = np.diff(A.indptr) > 0
        row_lower, row_upper = self.row_lower - shift, self.row_upper - shift
        if np.any(row_lower[~used] > ROW) or np.any(row_upper[~used] < -ROW):
            return None
        fixed = self.fixed.copy()
        fixed[self.kept[~free]] = values[~free]
        return MatrixModel(
            A=A[np.flatnonzero(used)],
            row_lower=row_lower[used],
            row_upper=row_upper[used],
            cost=self.cost[free],
            lower=self.lower[free],
            upper=self.upper[free],
            integral=self.integral[free],
            family=self.family[free],
            node=self.node[free],
            chip=self.chip[free],
            kept=self.kept[free],
            fixed=fixed,
            scale=self.scale,
        )

    def narrowed(
        self, windows: Windows, *, period: float | None = None, upper: float | None = None
    ) -> MatrixModel | None:
        """The model within tighter windows; ``period`` makes it a threshold question, ``upper`` only caps ``T``."""
        values = np.full(self.columns, np.nan)
        y = np.flatnonzero(self.family == "y")
        values[y[self.chip[y] < windows.lo[self.node[y]]]] = 0.0
        values[y[self.chip[y] >= windows.hi[self.node[y]]]] = 1.0
        T = self.family == "T"
        if period is not None:
            values[T] = period / self.scale
        model = self.reduced(values)
        return model if model is None or period is not None or upper is None else model.capped(upper)

    def at_least(self, coefficients: FloatArray, constant: float) -> MatrixModel:
        """The model with one more row: ``coefficients @ x >= constant``."""
        return replace(
            self,
            A=sp.csr_array(sp.vstack([self.A, sp.csr_array(coefficients[None])], format="csr")),
            row_lower=np.append(self.row_lower, constant),
            row_upper=np.append(self.row_upper, np.inf),
        )

    def capped(self, upper: float) -> MatrixModel:
        """The model with periods up to ``upper`` (in the units of the model compiled, not of its scale) alone."""
        return replace(self, upper=np.where(self.family == "T", upper / self.scale, self.upper))


def compile_model(model: Model, stop: Stop | None = None) -> MatrixModel:
    """The model as arrays, once; afterwards only slices of them are solved. Charged to ``stop``.

    Raises
    ------
    ImpossibleRow
        A row whose terms cancel out does not hold.
    """
    matrix = model.matrix()
    if stop is not None:
        stop.charge(budget.COMPILED_NONZERO * matrix.A.nnz)
    families, columns = model.variables, matrix.columns
    family = np.repeat(np.arange(len(families)), [len(each.first) for each in families])[columns]
    count = len(columns)
    return _scaled(
        MatrixModel(
            A=matrix.A,
            row_lower=matrix.lower,
            row_upper=matrix.upper,
            cost=matrix.cost,
            lower=np.array([each.lower for each in families])[family],
            upper=np.array([each.upper for each in families])[family],
            integral=np.array([each.integral for each in families])[family],
            family=np.array([each.name for each in families], dtype="U8")[family],
            node=np.concatenate([each.first for each in families])[columns],
            chip=np.concatenate([each.second for each in families])[columns],
            kept=np.arange(count),
            fixed=np.full(count, np.nan),
        )
    )


def _scaled(model: MatrixModel) -> MatrixModel:
    """The model with its measures, and the rows they are in, counted in the largest value of the one minimised.

    Tolerances of HiGHS are absolute. Rows and columns are scaled by the same number, so coefficients of measures stay
    as they are; other measures than the one minimised are scaled by what they may at most be themselves.
    """
    A = model.A
    column, row = np.ones(model.columns), np.ones(A.shape[0])
    row_of = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
    for families in (("T",), ("work", "begin", "L"), ("value",)):
        inside = np.isin(model.family, families)
        most = float(model.upper[inside].min(initial=np.inf))
        if np.isfinite(most) and most > 0:
            column[inside] = most
            row[row_of[inside[A.indices]]] = most
    minimised = np.flatnonzero(model.cost)
    scale = float(column[minimised].max()) if len(minimised) else 1.0
    data = (1 / row)[row_of] * A.data * column[A.indices]
    return replace(
        model,
        A=sp.csr_array((data, A.indices, A.indptr), shape=A.shape),
        row_lower=model.row_lower / row,
        row_upper=model.row_upper / row,
        lower=model.lower / column,
        upper=model.upper / column,
        scale=scale,
    )
