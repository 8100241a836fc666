"""A thin HiGHS backend: a matrix handed to highspy, with starts, callbacks and interruption."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import highspy
import numpy as np

from milp import budget
from milp.solver.matrix import MatrixModel
from milp.tolerances import DROPPED, HIGHS_ABSOLUTE_GAP, HIGHS_GAP
from partition.arrays import FloatArray
from partition.errors import SolverError
from partition.stopping import Stop

PRESOLVE_FROM = 5_000
"""Nonzeros up to which a model is solved without presolve, which is quick enough and keeps clear of its faults."""

PROBING_OFF = 32768
"""HiGHS's presolve rule 15; on these models it can take the whole time limit."""

ITERATIONS_PER_CHECK = 200, 20
"""Simplex iterations between two of HiGHS's checks of its limits, at the root and in the tree. HiGHS does not tell its
iterations while it runs, but how often it checks is as repeatable."""

ROOT_FIRST = 20_000
"""Nonzeros from which the relaxation is solved first where work is limited: HiGHS checks no limit within a root."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What HiGHS said.

    Attributes
    ----------
    status : ``"optimal"`` and ``"infeasible"`` are proofs; ``"limit"`` is not, and ``"error"`` (HiGHS failed, or ended
        in a status that says nothing) is as little: the question stays open.
    x : best solution found, over the columns of the model solved, or None.
    objective : its objective, in the units of the model compiled, not of its scale.
    bound : HiGHS's proved lower bound in the same units, -inf if none.
    """

    status: Literal["optimal", "infeasible", "limit", "error"]
    x: FloatArray | None
    objective: float
    bound: float


def solve(
    model: MatrixModel,
    *,
    time_limit: float,
    start: FloatArray | None = None,
    stop: Stop | None = None,
    on_incumbent: Callable[[FloatArray], None] | None = None,
    on_bound: Callable[[float], None] | None = None,
    minimise: bool = True,
    seed: int = 0,
    threads: int = 1,
) -> Outcome:
    """Solve in a worker thread, so that the caller can be interrupted while HiGHS runs.

    Parameters
    ----------
    time_limit : on the clock of ``stop``: seconds, or units of work.
    start : complete solution to begin from, or None.
    stop : when it is forced, HiGHS stops at its next check and the best answer so far is returned. A failure of HiGHS
        is noted there.
    on_incumbent, on_bound : called from the worker thread with each better solution and with bounds. What they raise
        ends the run and is raised here.
    minimise : False asks for any feasible solution.
    threads : of HiGHS; other than 1 only in a process of its own (its scheduler is set up once).

    Raises
    ------
    MemoryError : HiGHS ran out of memory.
    """
    stop = stop or Stop()
    if stop.by_work and model.A.nnz >= ROOT_FIRST and model.integral.any():
        before = stop.seconds
        relaxed = replace(model, integral=np.zeros(model.columns, dtype=bool))
        root = solve(relaxed, time_limit=time_limit, stop=stop, minimise=minimise, seed=seed)
        if root.status != "optimal":
            return replace(root, x=None, objective=float("inf"))
        time_limit -= stop.seconds - before
    run = _HighsRun(model, stop, on_incumbent, on_bound)
    if not run.load(minimise):
        return run.failed("HiGHS refused a model")
    run.options(
        threads=threads,
        random_seed=seed,
        presolve="off" if model.A.nnz <= PRESOLVE_FROM else "choose",
    )
    patience = run.limit_work(time_limit) if stop.by_work else run.limit_seconds(time_limit)
    if start is not None:
        columns = np.arange(model.columns, dtype=np.int32)
        run.highs.setSolution(model.columns, columns, np.asarray(start, dtype=float))
    run.wait(patience)
    return run.outcome()


left_behind: list[threading.Thread] = []


def still_running() -> bool:
    """Whether a run that was left behind has not ended: the process would be aborted at its end (see ``leave``)."""
    return any(thread.is_alive() for thread in left_behind)


def leave(code: int) -> None:
    """End the process with this exit code, at once if a run left behind still works (HiGHS would abort it)."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    if still_running():
        os._exit(code)
    sys.exit(code)


@atexit.register
def _wait_for_left_behind() -> None:
    """Programs that do not end by :func:`leave` wait a little for such runs; they were told to stop.

    After that the process ends here, as failed if an exception brought it down: HiGHS would abort it otherwise.
    """
    until = time.monotonic() + budget.LAST_WAIT
    for thread in left_behind:
        thread.join(max(0.0, until - time.monotonic()))
    if still_running():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1 if hasattr(sys, "last_value") else 0)


def without_the_smallest(model: MatrixModel) -> tuple[FloatArray, FloatArray]:
    """Bounds of the rows such that leaving out the coefficients that HiGHS leaves out only loosens them."""
    A = model.A
    small = np.flatnonzero(np.abs(A.data) <= DROPPED)
    row_lower, row_upper = model.row_lower.copy(), model.row_upper.copy()
    row, column, value = np.searchsorted(A.indptr, small, side="right") - 1, A.indices[small], A.data[small]
    ends = np.stack([value * model.lower[column], value * model.upper[column]])
    bounded = np.isfinite(ends).all(axis=0)
    np.subtract.at(row_upper, row[bounded], np.minimum(ends.min(axis=0)[bounded], 0.0))
    np.subtract.at(row_lower, row[bounded], np.maximum(ends.max(axis=0)[bounded], 0.0))
    return row_lower, row_upper


class SilentHighs(highspy.Highs):
    """HiGHS prints its banner when callbacks are first enabled; silence it before that."""

    def enableCallbacks(self) -> None:
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()  # type: ignore[no-untyped-call]


class _HighsRun:
    def __init__(
        self,
        model: MatrixModel,
        stop: Stop,
        on_incumbent: Callable[[FloatArray], None] | None,
        on_bound: Callable[[float], None] | None,
    ) -> None:
        self.model, self.stop, self.integral = model, stop, bool(model.integral.any())
        self.on_incumbent, self.on_bound = on_incumbent, on_bound
        self.cancelled = threading.Event()
        self.done = threading.Event()
        self.abandoned = False
        self.error: BaseException | None = None
        self.failure: BaseException | str | None = None
        self.best: FloatArray | None = None
        self.work_left = self.until = float("inf")
        self.checks = [0, 0]  # at the root, and in the tree
        self.highs = SilentHighs()  # type: ignore[no-untyped-call]
        self.options(threads=1, presolve_rule_off=PROBING_OFF, mip_rel_gap=HIGHS_GAP, mip_abs_gap=HIGHS_ABSOLUTE_GAP)

    def load(self, minimise: bool) -> bool:
        """Hand the model over; False if HiGHS refuses it."""
        h, model = self.highs, self.model
        cost = model.cost if minimise else np.zeros(model.columns)
        row_lower, row_upper = without_the_smallest(model)
        status = h.passModel(
            model.columns, model.A.shape[0], model.A.nnz, int(highspy.MatrixFormat.kRowwise), 1, 0.0, cost,
            model.lower, model.upper, row_lower, row_upper, model.A.indptr.astype(np.int32),
            model.A.indices.astype(np.int32), model.A.data, model.integral.astype(np.int32),
        )  # fmt: skip
        h.cbMipImprovingSolution.subscribe(self._improved)
        h.cbMipInterrupt.subscribe(self._check)
        h.cbSimplexInterrupt.subscribe(self._check)
        return bool(status != highspy.HighsStatus.kError)

    def options(self, **values: Any) -> None:
        for name, value in values.items():
            if value is not None and self.highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
                raise SolverError(f"HiGHS does not know option {name!r} = {value!r}")

    @property
    def _per_iteration(self) -> float:
        return budget.ITERATION + budget.ITERATION_NONZERO * self.model.A.nnz

    def limit_work(self, units: float) -> float:
        """Stop after about this much work; the seconds on the wall that this may take.

        Simplex iterations are counted where there are no integers, HiGHS's checks otherwise.
        """
        self.work_left = max(units - budget.LOADED_NONZERO * self.model.A.nnz, 0.0)
        if not self.integral:
            self.options(
                simplex_iteration_limit=int(min(self.work_left / self._per_iteration, 2**30)), solver="simplex"
            )
        return self.stop.until_deadline

    def limit_seconds(self, seconds: float) -> float:
        """Stop when the search's clock shows so much more; the seconds on the wall that this may take."""
        self.until = self.stop.seconds + seconds
        patience = max(min(seconds / self.stop.pace, self.stop.until_deadline), budget.LEAST)
        self.options(time_limit=patience)
        return patience

    def _improved(self, event: Any) -> None:
        try:  # an exception inside a callback would lose the incumbent
            self.best = np.array(event.data_out.mip_solution, copy=True)
            if self.on_incumbent is not None:
                self.on_incumbent(self.best)
        except BaseException as error:
            self._end_with(error)

    def _check(self, event: Any) -> None:
        try:
            if self.integral:
                in_tree = int(event.data_out.mip_node_count > 1)
                self.checks[in_tree] += 1
                self.work_left -= self._per_iteration * ITERATIONS_PER_CHECK[in_tree]
            over = self.work_left <= 0.0 or self.stop.seconds > self.until
            if over or self.cancelled.is_set() or self.stop.forced:
                event.data_in.user_interrupt = True
            elif self.on_bound is not None and self.integral:  # HiGHS fills the bound in for integers only
                self.on_bound(self._measured(float(event.data_out.mip_dual_bound)))
        except BaseException as error:
            self._end_with(error)

    @property
    def _work(self) -> float:
        """Units of work of a run that has ended: of its iterations or between its checks, whichever is more."""
        (root, tree), nonzeros = self.checks, self.model.A.nnz
        iterations = max(int(self.highs.getInfo().simplex_iteration_count), 0)
        between = tree * self._per_iteration * ITERATIONS_PER_CHECK[1] + root * budget.CHECK_NONZERO * nonzeros
        return budget.LOADED_NONZERO * nonzeros + max(self._per_iteration * iterations, between)

    def _end_with(self, error: BaseException) -> None:
        """Stop the run; :meth:`outcome` raises what a callback raised."""
        self.error = self.error or error
        self.cancelled.set()

    def _measured(self, value: float) -> float:
        return value * self.model.scale

    def wait(self, seconds: float) -> None:
        """Until HiGHS ends; a run that heeds neither its limit nor the interrupt is left behind."""

        def work() -> None:
            try:
                if self.highs.run() == highspy.HighsStatus.kError:
                    self.failure = "HiGHS failed"
            except BaseException as error:
                self.failure = error
            finally:
                self.done.set()

        thread = threading.Thread(target=work, daemon=True, name="highs")
        thread.start()
        due = time.perf_counter() + seconds + budget.OVERRUN
        try:
            while not self.done.wait(budget.LOOK):
                if time.perf_counter() > due:
                    self._leave(thread, budget.OVERRUN)
                    return
        except BaseException:
            self._leave(thread, 5.0)
            raise

    def _leave(self, thread: threading.Thread, patience: float) -> None:
        """Interrupt the run, and leave it behind if it does not heed that."""
        self.cancelled.set()
        self.abandoned = not self.done.wait(patience)
        if self.abandoned:
            left_behind.append(thread)

    def failed(self, what: str) -> Outcome:
        """What is left of a run that failed: the best solution it reported, and no proof of anything."""
        self.stop.note(what)
        x = self.best
        return Outcome("error", x, float(self.model.cost @ x) if x is not None else float("inf"), -np.inf)

    def outcome(self) -> Outcome:
        if self.abandoned:  # HiGHS still runs: nothing of it may be touched but what it reported
            x = self.best
            objective = self._measured(float(self.model.cost @ x)) if x is not None else float("inf")
            return Outcome("limit", x, objective, -np.inf)
        self.stop.charge(self._work)
        if self.error is not None:
            raise self.error
        if isinstance(self.failure, MemoryError):
            raise self.failure
        if self.failure is not None:
            return self.failed(f"a run of HiGHS failed: {self.failure}")
        h, status = self.highs, self.highs.getModelStatus()
        info = h.getInfo()
        if status == highspy.HighsModelStatus.kInfeasible:
            return Outcome("infeasible", None, float("inf"), float("inf"))
        found = info.primal_solution_status == int(highspy.SolutionStatus.kSolutionStatusFeasible)
        x = np.array(h.getSolution().col_value) if found else self.best
        objective = self._measured(float(self.model.cost @ x)) if x is not None else float("inf")
        bound = self._measured(float(info.mip_dual_bound)) if self.integral else -np.inf
        if status == highspy.HighsModelStatus.kOptimal:
            return Outcome("optimal", x, objective, bound if self.integral else objective)
        if status == highspy.HighsModelStatus.kModelEmpty:
            return Outcome("optimal", np.zeros(self.model.columns), 0.0, 0.0)
        limits = (
            "kTimeLimit",
            "kIterationLimit",
            "kSolutionLimit",
            "kInterrupt",
            "kObjectiveTarget",
            "kObjectiveBound",
        )
        if status in {getattr(highspy.HighsModelStatus, name) for name in limits}:
            return Outcome("limit", x, objective, bound)
        return self.failed(f"a run of HiGHS ended with status {h.modelStatusToString(status)!r}")
