"""Families of rows as one matrix: constants fold, rows of constants vanish or are impossible."""

from __future__ import annotations

import numpy as np
import pytest

from milp.formulation.linear import ImpossibleRow, Linear
from milp.formulation.model import Model
from milp.solver.matrix import compile_model


def constants(*values: float) -> Linear:
    """A batch without variables."""
    return Linear.constants(np.array(values))


def test_constants_move_to_the_bounds_of_a_row() -> None:
    model = Model()
    x = model.add("x", np.arange(2)).all()
    model.at_most("above", x.plus(1.0), 3.0)
    model.at_most("below", constants(1.0, 2.0), x.plus(0.5))
    model.equal("level", x.total().plus(1.0), 4.0)
    matrix = model.matrix()
    np.testing.assert_array_equal(matrix.A.toarray(), [[1, 0], [0, 1], [1, 0], [0, 1], [1, 1]])
    assert matrix.upper.tolist() == [2, 2, np.inf, np.inf, 3]
    assert matrix.lower.tolist() == [-np.inf, -np.inf, 0.5, 1.5, 3]


def test_rows_of_constants_that_hold_vanish_and_the_others_stay_in_order() -> None:
    model = Model()
    x = model.add("x", np.arange(3))
    left = Linear.variables(np.array([0, -1, 2]), np.array([0.0, 1.0, 0.0]))
    model.at_most("some", left, constants(1.0, 1.0, 0.0))
    assert model.count("some") == 2
    matrix = model.matrix()
    assert matrix.columns.tolist() == [x.base, x.base + 2] and matrix.upper.tolist() == [1.0, 0.0]


def test_a_row_of_constants_that_does_not_hold_is_impossible() -> None:
    model = Model()
    with pytest.raises(ImpossibleRow):
        model.at_most("some", constants(1.0, 3.0), constants(1.0, 2.0))


@pytest.mark.parametrize(("most", "possible"), [(0.0, True), (-1.0, False)])
def test_a_row_whose_terms_cancel_out_is_one_of_constants(most: float, possible: bool) -> None:
    model = Model()
    x = model.add("x", np.arange(1)).all()
    model.at_most("none", x - x, most)
    model.at_most("some", x, 1.0)
    if not possible:
        with pytest.raises(ImpossibleRow):
            model.matrix()
        return
    matrix = model.matrix()
    assert matrix.A.shape == (1, 1) and matrix.rows.tolist() == [1]


def test_a_compiled_model_knows_the_variable_of_every_column_that_has_a_row() -> None:
    model = Model()
    x = model.add("x", np.array([4, 5, 6]), np.array([1, 2, 3]), integral=True)
    free = model.add("T", upper=np.inf)
    model.at_most("some", x.at(np.array([2, 0])), free.all())
    model.objective = free.all()
    compiled = compile_model(model)
    assert compiled.family.tolist() == ["x", "x", "T"]
    assert compiled.node.tolist() == [4, 6, -1] and compiled.chip.tolist() == [1, 3, -1]
    assert compiled.integral.tolist() == [True, True, False] and compiled.cost.tolist() == [0, 0, 1]
    assert compiled.upper.tolist() == [1, 1, np.inf]
