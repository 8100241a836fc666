"""A second solver's opinion of a bound: OR-Tools CP-SAT, on whole numbers, is asked for any placement below it.

The rows are those of the one formulation. HiGHS, its presolve and its floating point are put to the test. So is every
bound that led to the threshold (windows, ideals, separations, blocks), where the model over all placements is small
enough to be asked. CP-SAT computes in whole numbers. Each row ``a x <= b`` over ``x >= 0`` is multiplied by a power of
two. Its coefficients and right side are then rounded such that the row only gets looser. So "infeasible" holds for the
row as it was. Variables that come out integral on their own (each only bounded by sums of others that do) are declared
so.
"""

from __future__ import annotations

import math
import os
import threading
import warnings
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import scipy.sparse as sp

from milp import budget
from milp.search.kind_orders import orders
from milp.solver.ask import rounds, write
from milp.solver.matrix import MatrixModel
from milp.state.incumbent import Incumbent
from milp.tolerances import ROUNDING
from milp.windows.windows import WindowRules, Windows
from partition.arrays import FloatArray
from partition.errors import RefutedBound
from partition.extras import require
from partition.instance.contract import contract
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.results.confirmation import Confirmation
from partition.results.progress import proofs_of, unrefuted
from partition.results.result import Result
from partition.scoring.cost import evaluate_placement
from partition.scoring.goals import Reached
from partition.stopping import Stop

SCALE = 2.0**36
"""Whole units per unit of a row. With 2^24 terms of at most 2 units a row still fits into 64 bits."""

LARGEST = 2.0**62
"""What the coefficients of a row may add up to."""

WHOLE_MODEL = 20_000
"""Most binaries for which all placements are looked at, without windows."""


@dataclass(frozen=True)
class _OrderAnswer:
    """What is known of one order of the kinds: ``excluded``, a better ``placement``, or why neither."""

    excluded: bool
    placement: Placement | None = None
    reason: str = ""
    whole: bool = True


def solver_name() -> str:
    """The second solver with its version.

    Raises
    ------
    InvalidInput : it is not installed.
    """
    require("confirming a bound", "confirm")
    return f"OR-Tools CP-SAT {version('ortools')}"


def confirmed(graph: Graph, hardware: Hardware, result: Result, *, within: float, stop: Stop, seed: int) -> Result:
    """The result with the second solver's opinion of its bound; a refuted bound is withdrawn, with a warning.

    Parameters
    ----------
    hardware : as asked for, with its kinds in the order given.
    within : the period that was required, for a result that is infeasible because of it; infinite otherwise.
    """
    solver, begun = solver_name(), stop.elapsed
    bound = result.bound if result.placement is not None else within
    packages = orders(hardware)
    if not packages:
        said = Confirmation("unsettled", solver, None, "no order", 0.0, "the kinds can stand in too many orders")
        return replace(result, confirmation=said)
    answers = []
    for i, package in enumerate(packages):
        part = stop.part(1 / (len(packages) - i))
        answers.append(_ask(graph, package, bound, part, seed))
        if not answers[-1].excluded:
            break
    last = answers[-1]
    over = "all placements" if all(answer.whole for answer in answers) else "windows"
    seconds = stop.elapsed - begun
    if last.placement is not None:
        return _refuted(result, packages[len(answers) - 1], last.placement, solver, over, seconds)
    if not last.excluded:
        said = Confirmation("unsettled", solver, None, over, seconds, last.reason)
    else:
        up_to = bound * (1 - _rounded_off(graph)) if math.isfinite(bound) else None
        said = Confirmation("confirmed", solver, up_to, over, seconds)
    return replace(result, confirmation=said, seconds=result.seconds + seconds)


def _rounded_off(graph: Graph) -> float:
    """Relative distance below a bound at which whole numbers cannot blur it: a unit for every term of a row."""
    return ROUNDING + 8.0 * (graph.n + graph.m + 16) / SCALE


def _ask(graph: Graph, package: Hardware, bound: float, stop: Stop, seed: int) -> _OrderAnswer:
    """Whether any placement has a period within a bound, in the hardware's time unit (infinite: any placement)."""
    instance = contract(graph, package.ports_only())
    threshold = bound / instance.unit * (1 - _rounded_off(graph)) if math.isfinite(bound) else None
    if threshold == 0:
        return _OrderAnswer(True)
    windows = Windows(np.zeros(instance.nodes, dtype=np.int64), np.full(instance.nodes, instance.chips - 1))
    whole = windows.free <= WHOLE_MODEL
    if not whole:
        windows = WindowRules(instance).windows(math.inf if threshold is None else threshold)
        if windows.empty:
            return _OrderAnswer(True, whole=False)
    incumbent = Incumbent(instance, 0.0, lambda: stop.seconds, None, package)
    for _ in rounds(incumbent.cuts):
        if stop():
            break
        written = write(instance, windows, upper=threshold, cuts=incumbent.cuts.known)
        if written is None:
            return _OrderAnswer(True, whole=whole)
        status, x = satisfy(written.model, stop, seed)
        if status == "infeasible":
            return _OrderAnswer(True, whole=whole)
        if x is None:
            return _OrderAnswer(False, reason="time was up", whole=whole)
        incumbent.offer(written.placement(x))
        if incumbent.placement is not None:
            if incumbent.period < bound * (1 - ROUNDING):
                return _OrderAnswer(False, placement=incumbent.placement, whole=whole)
            return _OrderAnswer(False, reason="the relaxation it was given has a placement, the problem not that one")
    return _OrderAnswer(
        False, reason="time was up" if stop() else "what it found breaks rules it cannot see", whole=whole
    )


def satisfy(model: MatrixModel, stop: Stop, seed: int) -> tuple[str, FloatArray | None]:
    """``infeasible``, ``feasible`` with the columns, or ``unknown``."""
    from ortools.sat.python import cp_model

    problem = cp_model.CpModel()
    columns = [problem.new_bool_var("") for _ in range(model.columns)]
    for indices, coefficients, most in loosened_rows(model):
        terms = cp_model.LinearExpr.weighted_sum([columns[i] for i in indices], coefficients)
        problem.add(terms <= most)
    solver = cp_model.CpSolver()
    seconds = stop.remaining if stop.by_work else stop.until_deadline  # it works on all processors
    solver.parameters.num_workers = os.cpu_count() or 1
    solver.parameters.random_seed = seed
    solver.parameters.max_time_in_seconds = max(seconds, budget.LEAST)
    solver.parameters.catch_sigint_signal = False
    status: list[Any] = []
    thread = threading.Thread(target=lambda: status.append(solver.solve(problem)), daemon=True, name="cp-sat")
    thread.start()
    while thread.is_alive():
        thread.join(budget.LOOK)
        if stop.flag.is_set():
            solver.stop_search()
    if not status or status[0] == cp_model.MODEL_INVALID:
        return "unknown", None
    if status[0] == cp_model.INFEASIBLE:
        return "infeasible", None
    if status[0] in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return "feasible", np.array([float(solver.value(v)) for v in columns])
    return "unknown", None


def loosened_rows(model: MatrixModel) -> list[tuple[list[int], list[int], int]]:
    """Every row as (columns, whole coefficients, most): each 0/1 point that keeps the row keeps this one.

    Rows of whole numbers stay as they are. In all others a coefficient is rounded down and the right side up. Both go
    one unit further, for the rounding of the floating point numbers themselves. Rows beyond 64 bits are left out. The
    period is as long as it may be; where it has no limit, its rows say nothing.
    """
    rows = []
    period = model.family == "T"
    silent = model.A @ (period & np.isinf(model.upper)) != 0
    shift = model.A @ np.where(period & ~np.isinf(model.upper), model.upper, 0.0)
    row_lower, row_upper = model.row_lower - shift, model.row_upper - shift
    A = sp.csr_array(model.A @ sp.diags_array((~period).astype(float)))
    A.eliminate_zeros()
    for i in np.flatnonzero(~silent).tolist():
        span = slice(A.indptr[i], A.indptr[i + 1])
        columns, values = A.indices[span].tolist(), A.data[span]
        for sign, limit in ((1.0, float(row_upper[i])), (-1.0, -float(row_lower[i]))):
            if not math.isfinite(limit):
                continue
            exact = limit == round(limit) and np.array_equal(values, np.round(values))
            scale = 1.0 if exact else SCALE
            signed = [math.floor(sign * v * scale) for v in values.tolist()]
            if sum(map(abs, signed)) + abs(limit * scale) >= LARGEST:
                continue
            rows.append((columns, signed, int(limit) if exact else math.floor(limit * scale) + 1))
    return rows


def _refuted(result: Result, package: Hardware, placement: Placement, solver: str, over: str, seconds: float) -> Result:
    """The better placement instead, and the best bound on the way that it does not refute."""
    cost = evaluate_placement(result.graph, package, placement)
    period = float(cost.period[0])
    left = unrefuted(proofs_of(result.history), period)
    bound = left[-1].bound if left else 0.0
    history = tuple(entry for entry in result.history if entry.bound <= bound)
    claim = "that there is no valid placement" if result.placement is None else f"the bound {result.bound:.9g}"
    reason = f"a valid placement has a period of {period:.9g}, which refutes {claim}; withdrawn to {bound:.9g}"
    warnings.warn(f"{reason}; please report this model and package", RefutedBound, stacklevel=4)
    return replace(
        result,
        hardware=package,
        placement=placement,
        status="feasible",
        period=period,
        bound=bound,
        history=history,
        cost=cost,
        reason="",
        goals=(Reached("period", period, bound),),
        confirmation=Confirmation("refuted", solver, None, over, seconds, reason),
        seconds=result.seconds + seconds,
        proof=(),
    )
