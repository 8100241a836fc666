"""Compiled matrices, and columns fixed in them."""

from __future__ import annotations

import numpy as np
import pytest
from matrix_models import knapsack

from milp.solver.highs import solve
from milp.solver.matrix import compile_model


def test_the_compiled_matrices_are_those_of_the_model() -> None:
    m = knapsack()
    model = compile_model(m)
    assert model.family.tolist() == ["x"] * 6
    assert model.node.tolist() == list(range(6))
    np.testing.assert_array_equal(model.A.toarray(), [[1, 2, 3, 4, 5, 6]])
    assert model.row_upper.tolist() == [7.0] and model.row_lower.tolist() == [-np.inf]
    assert model.cost.tolist() == [-2, -3, -4, -5, -6, -7]
    assert model.integral.all() and model.lower.tolist() == [0] * 6 and model.upper.tolist() == [1] * 6


def test_fixing_columns_gives_the_optimum_among_what_is_left() -> None:
    model = compile_model(knapsack())
    values = np.full(6, np.nan)
    values[[0, 5]] = [0.0, 1.0]
    small = model.reduced(values)
    assert small is not None and small.columns == 4
    outcome = solve(small, time_limit=10)
    assert outcome.x is not None
    assert small.full(outcome.x) @ model.cost == pytest.approx(-7)
    assert small.full(outcome.x)[[0, 5]].tolist() == [0.0, 1.0]


def test_fixing_columns_against_a_row_is_noticed() -> None:
    model = compile_model(knapsack())
    assert model.reduced(np.ones(6)) is None
