"""One formulation, two views: the block that Pyomo sees is the matrix that HiGHS gets, row by row."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from formulation_questions import Question, draw_question
from instances import diamond, package

from milp.embedding import partition_block
from milp.formulation.build import build
from milp.formulation.choices import Choices
from milp.formulation.linear import ImpossibleRow
from milp.formulation.memory_cuts import MemoryCut
from milp.formulation.model import Model
from milp.formulation.pyomo_import import LinearStandardFormCompiler
from milp.formulation.pyomo_view import pyomo_view
from milp.windows.windows import WindowRules, Windows, propagate
from partition import InvalidInput
from partition.instance.contract import contract

ROOT = Path(__file__).parents[3]

BLOCKS, SEEDS = 4, 30


def model_of(question: Question) -> Model | None:
    """The model of a random question, None where it is seen to have none."""
    instance = question.instance
    if question.lo is None:
        windows = WindowRules(instance).windows(question.threshold)
    else:
        windows = Windows(question.lo, question.hi)
        windows = propagate(instance, windows) if question.propagated else windows
    choices: Any = question.choices
    if isinstance(choices, str):
        choices = getattr(Choices, choices)(instance)
    elif choices is not None:
        choices = Choices(*choices)
    if windows.empty or not np.isfinite(instance.unit):
        return None
    cuts = [MemoryCut(*cut) for cut in question.cuts]
    try:
        model = build(instance, windows, choices=choices, cuts=cuts, **question.rest)
        model.matrix()
    except ImpossibleRow:
        return None
    return model


@pytest.mark.parametrize("block", range(BLOCKS))
def test_pyomo_compiles_the_view_to_the_same_matrix(block: int) -> None:
    compared, families = 0, set()
    for seed in range(SEEDS * block, SEEDS * (block + 1)):
        model = model_of(draw_question(seed, contract))
        if model is None:
            continue
        matrix, view = model.matrix(), pyomo_view(model)
        form = LinearStandardFormCompiler().write(view.block, mixed_form=True, column_order=view.columns)
        assert [id(v) for v in form.columns] == [id(view.columns[i]) for i in matrix.columns.tolist()]
        kind, rhs = np.array([row.bound_type for row in form.rows]), np.asarray(form.rhs, dtype=float)
        np.testing.assert_array_equal(np.where(kind == 1, -np.inf, rhs), matrix.lower)
        np.testing.assert_array_equal(np.where(kind == -1, np.inf, rhs), matrix.upper)
        A = form.A.tocsr()
        np.testing.assert_array_equal(A.indptr, matrix.A.indptr)
        np.testing.assert_array_equal(A.indices, matrix.A.indices)
        np.testing.assert_array_equal(A.data, matrix.A.data)
        np.testing.assert_array_equal(form.c.toarray().ravel(), matrix.cost)
        bounds = [(v.lb, v.ub, v.is_continuous()) for v in view.columns]
        declared = [(f.lower, f.upper, not f.integral) for f in model.variables for _ in f.columns]
        finite = [(*(b if np.isfinite(b) else None for b in row[:2]), row[2]) for row in declared]
        assert bounds == finite
        compared += 1
        families |= {family.name for family in model.rows if len(family)}
    assert compared > SEEDS // 3
    assert families >= {"monotone", "acyclic", "receive", "send", "link", "chip_load", "direct", "triangle"}


def test_a_solve_does_not_load_pyomo() -> None:
    code = (
        "import sys; from partition import load_hardware, load_model, partition;"
        "hardware = load_hardware('ring4:transfers=serial');"
        "print(partition(load_model('resnet50').graph, hardware, work_limit=0.5).status, 'pyomo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "False"


def test_variables_and_rows_carry_the_names_of_the_formulation() -> None:
    instance = contract(diamond(), package(3))
    windows = Windows(np.zeros(4, dtype=np.int64), np.full(4, 2))
    block = pyomo_view(build(instance, windows, choices=Choices.complete(instance))).block
    assert block.y[0, 1].is_binary() and block.T.lb == 0
    first = block.acyclic[1].expr
    assert "y[1,0]" in str(first) and "y[0,0]" in str(first)
    assert block.goal.expr is not None and len(block.triangle) > 0


def test_a_block_that_was_not_solved_holds_no_placement() -> None:
    with pytest.raises(InvalidInput, match="solve the model first"):
        partition_block(diamond(), package(2)).placement()
