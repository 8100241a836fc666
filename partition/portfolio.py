"""Several searches side by side: other seeds, with and without the policy; the best answer and the best bound win.

Each member is a whole search in a process of its own, run by joblib, so a Dask cluster serves as well
(``with joblib.parallel_config(backend="dask")``). Members share nothing while they run: what one proves holds for all.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from joblib import Parallel, delayed
from joblib._parallel_backends import LokyBackend
from joblib.externals.loky import get_reusable_executor
from joblib.parallel import get_active_backend

from partition.errors import InvalidInput, NoSolutionInTime
from partition.graph import Graph
from partition.hardware import Hardware
from partition.objectives import Reached
from partition.placement import Placement

if TYPE_CHECKING:
    from partition.result import Result

MOST_WORKERS = 1024


def solve_side_by_side(
    graph: Graph,
    hw: Hardware,
    *,
    workers: int,
    time_limit: float,
    gap: float,
    seed: int,
    warm_start: Placement | None,
    policy: str,
    objective: str | Sequence[str],
    throughput: float | None,
) -> Result:
    """Run ``workers`` members and join their answers; member ``i`` has seed ``seed + i``, every other one a policy.

    Ends with the first member whose answer is optimal or infeasible.

    Raises
    ------
    InvalidInput : ``workers`` is no whole number from 1 up.
    NoSolutionInTime : no member found an answer.
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= MOST_WORKERS:
        raise InvalidInput(f"workers is {workers!r}; give a whole number from 1 to {MOST_WORKERS}")
    other = "pretrained" if policy == "none" else policy
    tasks = [
        delayed(_member)(graph, hw, time_limit, gap, seed + i, warm_start, advised, objective, throughput)
        for i, advised in zip(range(workers), itertools.cycle([policy, other]), strict=False)
    ]
    answers: list[Result] = []
    missed = ""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*tasks which were still being processed")  # the rest is not needed
        running = Parallel(n_jobs=workers, return_as="generator_unordered")(tasks)
        for answer in running:
            if isinstance(answer, str):
                missed = answer
                continue
            answers.append(answer)
            if answer.status != "feasible":
                running.close()
                _end_local_workers()
                break
    if not answers:
        raise NoSolutionInTime(missed)
    return _joined(answers)


def _end_local_workers() -> None:
    """End joblib's own processes, in which members may go on for as long as their time limit."""
    backend, _ = get_active_backend()
    if isinstance(backend, LokyBackend):
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _member(
    graph: Graph,
    hw: Hardware,
    time_limit: float,
    gap: float,
    seed: int,
    warm_start: Placement | None,
    policy: str,
    objective: str | Sequence[str],
    throughput: float | None,
) -> Result | str:
    from partition.front import partition

    try:
        return partition(
            graph,
            hw,
            time_limit=time_limit,
            gap=gap,
            seed=seed,
            warm_start=warm_start,
            policy=policy,
            objective=objective,
            throughput=throughput,
        )
    except NoSolutionInTime as error:
        return str(error)


def _joined(answers: list[Result]) -> Result:
    """The best answer with the best bound of each goal (later goals only count where the earlier ones agree)."""
    settled = [answer for answer in answers if answer.status != "feasible"]
    if settled:
        return settled[0]
    best = min(answers, key=lambda answer: tuple(r.value for r in answer.goals))
    first = best.goals[0]
    bound = min(first.value, max(answer.goals[0].bound for answer in answers))
    goals = (Reached(first.goal, first.value, bound), *best.goals[1:])
    on_period = first.goal == "period"
    return replace(best, goals=goals, bound=bound if on_period else best.bound)
