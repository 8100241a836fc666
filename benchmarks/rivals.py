"""One method on one instance, in a process of its own: ours, HiGHS on the plain formulation, or CP-SAT on its rows.

    python benchmarks/rivals.py METHOD MODEL HARDWARE SECONDS      # prints one JSON object

Methods are ours (one core), ours-2 (two searches side by side on two cores), highs and cp-sat (both on two cores).

Rivals get the same formulation over whole windows (every node on every chip), the period as objective, and the same
time, model building included. CP-SAT wants integers: rows are scaled by 2^20 and rounded so that they only get looser
(coefficients of "<=" rows down, right-hand sides up), so its bound stays a bound; what it finds is scored again by our
cost model. Variables that come out integral on their own are declared integral for it.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

SCALE = 2.0**20
WORKERS_START = 2.5
"""Seconds until processes side by side begin with their time; all has to be over within the limit."""

LARGEST = 400_000
"""Most binaries of a plain model that a rival is given; larger ones count as not built."""


def main(method: str, model: str, hardware: str, seconds: float) -> dict[str, Any]:
    from partition.problem.hardware_files import load_hardware
    from partition.readers.load import load_model

    source = load_model(model)
    package = load_hardware(hardware) if hardware else source.hardware
    assert package is not None
    if method == "ours":
        return _ours(source.graph, package, seconds)
    if method == "ours-2":
        return _ours(source.graph, package, seconds - WORKERS_START, workers=2)
    return _rival(method, source.graph, package, seconds)


def _ours(graph: Any, hardware: Any, seconds: float, workers: int = 1) -> dict[str, Any]:
    from checked import as_given
    from oracle import certify

    from partition import NoSolutionInTime, partition

    begun = time.perf_counter()
    try:
        result = partition(graph, hardware, time_limit=seconds, workers=workers)
    except NoSolutionInTime:
        return {"status": "none", "period": None, "bound": None, "seconds": time.perf_counter() - begun}
    answer = json.loads(result.to_json())
    certify(as_given(graph, hardware), answer)
    return {
        "status": result.status,
        "period": answer["period"],
        "bound": answer["bound"],
        "seconds": result.seconds,
        "history": [[p.seconds, p.period, p.bound] for p in result.history if math.isfinite(p.bound)],
        "proof": result.proofs[-1].phase if result.proofs else "",
    }


def _rival(method: str, graph: Any, hardware: Any, seconds: float) -> dict[str, Any]:
    from milp.formulation.build import build
    from milp.solver.matrix import compile_model
    from milp.state.incumbent import Incumbent
    from milp.windows.windows import Windows
    from partition.instance.contract import contract

    begun = time.perf_counter()
    instance = contract(graph, hardware)
    whole = Windows(np.zeros(instance.nodes, dtype=np.int64), np.full(instance.nodes, instance.chips - 1))
    incumbent = Incumbent(instance, 0.0, lambda: time.perf_counter() - begun, None)
    if whole.free > LARGEST:
        return {"status": "too large", "period": None, "bound": None, "seconds": 0.0}
    model = compile_model(build(instance, whole))
    left = seconds - (time.perf_counter() - begun)
    if left > 0:
        (_with_highs if method == "highs" else _with_cp_sat)(instance, whole, model, incumbent, left)
    known = incumbent.placement is not None
    return {
        "status": "optimal" if known and incumbent.gap <= 1e-4 else ("feasible" if known else "none"),
        "period": incumbent.period if known else None,
        "bound": incumbent.bound,
        "seconds": time.perf_counter() - begun,
        "history": [[p.seconds, p.period, p.bound] for p in incumbent.history],
    }


def _with_highs(instance: Any, whole: Any, model: Any, incumbent: Any, seconds: float) -> None:
    from milp.solver.highs import solve
    from milp.solver.reading import placement_of

    def found(x: Any) -> None:
        incumbent.offer(placement_of(instance, whole, model, model.full(x)))

    outcome = solve(
        model,
        time_limit=seconds,
        on_incumbent=found,
        on_bound=lambda bound: incumbent.prove(bound) if math.isfinite(bound) else None,
        threads=2,
    )
    if outcome.x is not None:
        found(outcome.x)
    if math.isfinite(outcome.bound):
        incumbent.prove(outcome.bound)


def _with_cp_sat(instance: Any, whole: Any, model: Any, incumbent: Any, seconds: float) -> None:
    from ortools.sat.python import cp_model

    from milp.solver.reading import placement_of

    begun = time.perf_counter()
    problem = cp_model.CpModel()
    top = int(SCALE * 4 * max(instance.chips, 1.0 + float(instance.tau.sum())))
    variables = [
        problem.new_int_var(0, top, "T") if family == "T" else problem.new_bool_var("") for family in model.family
    ]
    is_period = model.family == "T"
    A = model.A.tocsr()
    for row in range(A.shape[0]):
        span = slice(A.indptr[row], A.indptr[row + 1])
        columns, values = A.indices[span], A.data[span]
        for sign, limit in ((1.0, model.row_upper[row]), (-1.0, -model.row_lower[row])):
            if not math.isfinite(limit):
                continue
            signed = sign * values
            whole_row = (
                not is_period[columns].any() and np.array_equal(values, np.round(values)) and limit == round(limit)
            )
            scale = 1.0 if whole_row else SCALE
            # The period is counted in units of 1 / SCALE already.
            terms = [
                (variables[c], int(v) if is_period[c] else math.floor(v * scale + 1e-9))
                for c, v in zip(columns.tolist(), signed.tolist(), strict=True)
            ]
            problem.add(sum(a * x for x, a in terms) <= math.ceil(limit * scale - 1e-9))
    problem.minimize(variables[int(np.flatnonzero(is_period)[0])])
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 2
    solver.parameters.max_time_in_seconds = max(0.1, seconds - (time.perf_counter() - begun))

    class Watch(cp_model.CpSolverSolutionCallback):
        def on_solution_callback(self) -> None:
            x = np.array([self.value(v) for v in variables], dtype=float)
            incumbent.offer(placement_of(instance, whole, model, model.full(x)))

    status = solver.solve(problem, Watch())
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE, cp_model.UNKNOWN):
        incumbent.prove(solver.best_objective_bound / SCALE)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))))
