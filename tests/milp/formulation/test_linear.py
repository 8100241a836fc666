"""The algebra of batches: whatever is computed with expressions is what numpy computes with their values."""

from __future__ import annotations

import numpy as np
import pytest

from milp.formulation.linear import Linear, matched, spans
from partition.arrays import FloatArray

COLUMNS = 7


def value(batch: Linear, x: FloatArray) -> FloatArray:
    """What every expression is worth at a point."""
    terms = batch.coefficient * x[batch.column]
    return batch.constant + np.bincount(batch.row, weights=terms, minlength=batch.size)


def draw(rng: np.random.Generator, size: int) -> Linear:
    """Expressions of any number of terms, some of them twice, in any order; some constants."""
    count = int(rng.integers(0, 4 * size + 1))
    row, column = rng.integers(0, size, count), rng.integers(0, COLUMNS, count)
    return Linear(row, column, rng.integers(-3, 4, count).astype(float), rng.integers(-2, 3, size).astype(float))


@pytest.mark.parametrize("seed", range(30))
def test_batches_behave_as_the_arrays_of_their_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    a, b, one, x = draw(rng, n), draw(rng, n), draw(rng, 1), rng.integers(-4, 5, COLUMNS).astype(float)
    at_a, at_b, factor = value(a, x), value(b, x), rng.integers(-3, 4, n).astype(float)
    np.testing.assert_array_equal(value(a + b, x), at_a + at_b)
    np.testing.assert_array_equal(value(a - b, x), at_a - at_b)
    np.testing.assert_array_equal(value(-a * 2.0, x), -2.0 * at_a)
    np.testing.assert_array_equal(value(factor * a, x), factor * at_a)
    np.testing.assert_array_equal(value(a.plus(factor), x), at_a + factor)
    np.testing.assert_array_equal(value(a + one, x), at_a + value(one, x))
    np.testing.assert_array_equal(value(one - a, x), value(one, x) - at_a)
    into, chosen, order = rng.integers(0, 4, n), rng.integers(0, n, 5), rng.permutation(n)
    np.testing.assert_array_equal(value(a.sum(into, 4), x), np.bincount(into, weights=at_a, minlength=4))
    np.testing.assert_array_equal(value(a.total(), x), [at_a.sum()])
    np.testing.assert_array_equal(value(a.take(chosen), x), at_a[chosen])
    np.testing.assert_array_equal(value(a.moved(order), x)[order], at_a)
    np.testing.assert_array_equal(value(Linear.stacked([a, one, b]), x), [*at_a, *value(one, x), *at_b])


def test_a_variable_without_a_column_is_its_constant() -> None:
    batch = Linear.variables(np.array([3, -1, 0]), np.array([0.0, 1.0, 0.0]))
    assert batch.has_variables.tolist() == [True, False, True]
    np.testing.assert_array_equal(value(batch, np.arange(10.0, 17.0)), [13.0, 1.0, 10.0])


def test_batches_of_different_sizes_do_not_go_together() -> None:
    two, three = Linear.constants(np.zeros(2)), Linear.constants(np.zeros(3))
    with pytest.raises(ValueError, match="2 and 3"):
        matched(two, three)


def test_spans_are_the_integers_of_every_owner_and_none_where_the_end_is_before_the_start() -> None:
    owner, number = spans(np.array([2, 5, 1]), np.array([4, 3, 2]))
    assert owner.tolist() == [0, 0, 2] and number.tolist() == [2, 3, 1]
