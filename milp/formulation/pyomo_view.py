"""A model as Pyomo sees it: a block with the named variables and one list of constraints for each family of rows.

It is rendered from the same arrays as the matrix that HiGHS gets. It serves whoever writes the model to a file, solves
it with another solver, or adds rows of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from milp.formulation.linear import Linear
from milp.formulation.model import Matrix, Model, Variables
from milp.formulation.pyomo_import import LinearExpression, pyo


@dataclass(frozen=True, eq=False)
class PyomoView:
    """A block with the variables and rows of a model.

    Attributes
    ----------
    block : Pyomo block
        ``block.y[v, c]``, ``block.T`` and so on are the variables, ``block.acyclic[1]`` and so on the rows. Its
        objective is ``block.goal``.
    columns : list
        The Pyomo variable of every column of the model.
    """

    block: pyo.ConcreteModel
    columns: list[Any]

    def expression(self, linear: Linear) -> Any:
        """A batch of one as a Pyomo expression, or as a number where it has no variables."""
        if not linear.has_variables[0]:
            return float(linear.constant[0])
        terms = zip(linear.coefficient.tolist(), linear.column.tolist(), strict=True)
        return float(linear.constant[0]) + sum(a * self.columns[column] for a, column in terms)


def pyomo_view(model: Model) -> PyomoView:
    """The model as a Pyomo block.

    Raises
    ------
    ImpossibleRow
        A row whose terms cancel out does not hold.
    """
    matrix = model.matrix()
    block = pyo.ConcreteModel(name=model.name)
    columns: list[Any] = []
    for family in model.variables:
        variables = _variables(family)
        block.add_component(family.name, variables)
        columns += variables.values()
    view = PyomoView(block, columns)
    _add_rows(view, model, matrix)
    block.goal = pyo.Objective(expr=view.expression(model.objective))
    return view


def _variables(family: Variables) -> Any:
    bounds = tuple(bound if np.isfinite(bound) else None for bound in (family.lower, family.upper))
    domain = pyo.Integers if family.integral else pyo.Reals
    if family.integral and bounds == (0.0, 1.0):
        domain, bounds = pyo.Binary, (None, None)
    if family.single:
        return pyo.Var(domain=domain, bounds=bounds)
    index: list[Any] = family.first.tolist()
    if (family.second >= 0).all():
        index = list(zip(index, family.second.tolist(), strict=True))
    return pyo.Var(index, domain=domain, bounds=bounds)


def _add_rows(view: PyomoView, model: Model, matrix: Matrix) -> None:
    """The rows of the matrix, each family a list of constraints; families without rows are empty lists."""
    lists: dict[str, Any] = {}
    for family in model.rows:
        if family.name not in lists:
            lists[family.name] = pyo.ConstraintList()
            view.block.add_component(family.name, lists[family.name])
    name = np.repeat([family.name for family in model.rows], [len(family) for family in model.rows])[matrix.rows]
    A, variables = matrix.A, [view.columns[column] for column in matrix.columns.tolist()]
    ends, column, coefficient = A.indptr.tolist(), A.indices.tolist(), A.data.tolist()
    lower = [bound if np.isfinite(bound) else None for bound in matrix.lower.tolist()]
    upper = [bound if np.isfinite(bound) else None for bound in matrix.upper.tolist()]
    for i, family_name in enumerate(name.tolist()):
        terms = slice(ends[i], ends[i + 1])
        body = LinearExpression(linear_coefs=coefficient[terms], linear_vars=[variables[c] for c in column[terms]])
        lists[family_name].add((lower[i], body, upper[i]))
