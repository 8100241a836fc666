"""The index tables: whatever an expression is called, it is worth what its name says, constants included."""

from __future__ import annotations

import numpy as np
import pytest
from formulation_questions import draw_question

from milp.formulation.choices import Choices
from milp.formulation.columns import Columns
from milp.formulation.linear import ImpossibleRow, Linear
from milp.formulation.model import Model
from milp.windows.windows import Windows
from partition.arrays import FloatArray, IntArray
from partition.instance.contract import contract


def value(batch: Linear, x: FloatArray) -> list[float]:
    """What every expression is worth at a point."""
    terms = np.bincount(batch.row, weights=batch.coefficient * x[batch.column], minlength=batch.size)
    return (batch.constant + terms).tolist()  # type: ignore[no-any-return]


def grid(count: int, chips: int) -> tuple[IntArray, IntArray]:
    """Every pair of an index and a chip."""
    first, second = np.divmod(np.arange(count * chips), chips)
    return first, second


@pytest.mark.parametrize("seed", range(40))
def test_expressions_are_worth_what_the_placement_says(seed: int) -> None:
    """Homes anywhere in their windows; replicas and relays wherever the tables have them."""
    instance = draw_question(7 * seed + (seed % 2) * 6, contract).instance  # random instances, and many chips
    rng = np.random.default_rng(seed)
    lo = rng.integers(0, instance.chips, instance.nodes)
    hi = rng.integers(lo, instance.chips)
    model = Model()
    cols = Columns(model, instance, Windows(lo, hi), Choices.complete(instance), {"period"}, None)
    home = rng.integers(lo, hi + 1)
    x = np.zeros(model.columns)
    v, c = cols.homes.pairs
    x[cols.homes.columns(v, c)] = home[v] <= c
    replica, relay = np.zeros((instance.nodes, instance.chips)), np.zeros((instance.tensors, instance.chips))
    for table, chosen in ((cols.replicas, replica), (cols.R, relay)):
        i, c = table.pairs
        chosen[i, c] = x[table.columns(i, c)] = rng.integers(0, 2, len(i))
    t, c = cols.K.pairs
    x[cols.K.columns(t, c)] = np.cumsum(relay, axis=1)[t, c]

    v, c = grid(instance.nodes, instance.chips)
    assert value(cols.y(v, c), x) == (home[v] <= c).tolist()
    assert value(cols.x(v, c), x) == (home[v] == c).tolist()
    assert value(cols.X(v, c), x) == ((home[v] == c) + replica[v, c]).tolist()
    t, a, b = (each.ravel() for each in np.indices((instance.tensors, instance.chips, instance.chips)))
    between = [relay[i, first + 1 : last].sum() for i, first, last in zip(t, a, b, strict=True)]
    assert value(cols.relays_between(t, a, b), x) == between
    t, c = grid(instance.tensors, instance.chips)
    single = cols.one_reader[t]
    reader = instance.readers[instance.reader_ptr[t]]
    assert value(cols.end(t[single], c[single]), x) == (home[reader] <= c)[single].tolist()


@pytest.mark.parametrize("seed", range(0, 70, 7))
def test_the_columns_of_a_table_are_those_of_its_variables_in_their_order(seed: int) -> None:
    instance = draw_question(seed, contract).instance
    whole = Windows(np.zeros(instance.nodes, dtype=np.int64), np.full(instance.nodes, instance.chips - 1))
    model = Model()
    cols = Columns(model, instance, whole, Choices.complete(instance), {"latency"}, None)
    for table in (cols.homes, cols.replicas, cols.r, cols.s, cols.R, cols.K, cols.z, cols.g):
        np.testing.assert_array_equal(table.columns(*table.pairs), table.variables.columns)
        present = np.zeros((len(table.start), instance.chips), dtype=bool)
        present[table.pairs] = True
        np.testing.assert_array_equal(table.columns(*grid(*present.shape)) >= 0, present.ravel())
    assert model.columns == sum(len(family.first) for family in model.variables)


def test_a_node_without_a_chip_fits_no_windows() -> None:
    instance = draw_question(0, contract).instance
    lo = np.full(instance.nodes, instance.chips)
    with pytest.raises(ImpossibleRow):
        Columns(Model(), instance, Windows(lo, lo - 1), Choices.complete(instance), {"period"}, None)
