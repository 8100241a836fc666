"""Several searches side by side: other seeds, with and without the policy; the best answer and the best bound win.

Each member is a whole search in a process of its own, run by joblib, so a Dask cluster serves as well
(``with joblib.parallel_config(backend="dask")``). Members share nothing while they run: what one proves holds for all.
On this machine they can be told to end, and what a member knew outlives it (:mod:`partition.solve.journal`).
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import BrokenProcessPool

from milp import budget
from milp.tolerances import ROUNDING
from partition.arguments import whole
from partition.errors import NoSolutionInTime, RefutedBound
from partition.results.progress import Progress
from partition.results.result import Result
from partition.scoring.goals import Reached
from partition.solve.journal import END, Journal, best_known, read_journals
from partition.solve.processes import end_local_workers
from partition.solve.question import Question
from partition.solve.search_once import answer, warn_of
from partition.stopping import Stop, interruptible

MOST_WORKERS = 1024

EXPECTED = (NoSolutionInTime, MemoryError, KeyboardInterrupt)
"""Why a member may have no answer without any defect of the library."""

Found: TypeAlias = "tuple[int, Result | None, BaseException | None]"
"""A member's number, its answer if there is one, and what went wrong if something did."""


def solve_side_by_side(
    question: Question, *, workers: int, stop: Stop, report: Callable[[Progress], None] | None = None
) -> Result:
    """Run ``workers`` members and join their answers; member ``i`` has seed ``seed + i``, every other one a policy.

    Ends with the first member whose answer is optimal or infeasible: in time, or by number where work is limited, so
    that the answer does not depend on how many of them run at the same time. If members are lost, or after a second
    Ctrl-C, what they knew is the answer.

    Raises
    ------
    InvalidInput : ``workers`` is no whole number from 1 up.
    NoSolutionInTime, KeyboardInterrupt, MemoryError : no member found an answer.
    """
    whole("workers", workers, least=1, most=MOST_WORKERS)
    other = "pretrained" if question.policy == "none" else question.policy
    with tempfile.TemporaryDirectory(prefix="mcm-partition-") as folder, _watched(stop, Path(folder), report):
        limits = stop.until_deadline, stop.time_limit if stop.by_work else None
        tasks = [
            delayed(_member)(replace(question, seed=question.seed + i, policy=advised), limits, folder, i, os.getpid())
            for i, advised in zip(range(workers), itertools.cycle([question.policy, other]), strict=False)
        ]
        answers: dict[int, Result] = {}
        failures: list[BaseException] = []
        try:
            for number, found, failure in _answers(tasks, workers, in_order=stop.by_work):
                if failure is not None:
                    failures.append(failure)
                if found is not None:
                    answers[number] = found
                    if found.status != "feasible":
                        break
        except BrokenProcessPool:
            stop.note("a worker process died")
        except (Exception, KeyboardInterrupt) as lost:  # of joblib or its cluster: members raise nothing
            failures.append(lost)
        finally:
            end_local_workers()
        known = read_journals([Path(folder) / f"{i}.json" for i in range(workers) if i not in answers], question, stop)
        if not (answers or known or failures or stop.forced):
            return answer(question, stop)  # alone, in what is left of the time
        for problem in failures:
            if not isinstance(problem, NoSolutionInTime | KeyboardInterrupt):
                stop.note(f"{type(problem).__name__} in a worker: {' '.join(str(problem).split())}")
    if not (answers or known):
        raise _worst(failures, stop)
    for problem in failures:
        if not isinstance(problem, EXPECTED):
            warn_of(problem)
    joined = _joined([*answers.values(), *known])
    faults = tuple(dict.fromkeys([*stop.faults, *(fault for found in answers.values() for fault in found.faults)]))
    return replace(joined, seconds=stop.elapsed, interrupted=joined.interrupted or stop.interrupted, faults=faults)


def _answers(tasks: list[object], workers: int, *, in_order: bool) -> Iterator[Found]:
    """Numbers of members and what they return, as they return it or by their numbers."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*tasks which were still being processed")  # the rest is not needed
        running = Parallel(n_jobs=workers, return_as="generator" if in_order else "generator_unordered")(tasks)
        with contextlib.closing(running):
            yield from running


@contextlib.contextmanager
def _watched(stop: Stop, folder: Path, report: Callable[[Progress], None] | None) -> Iterator[None]:
    """Within, members are told to end when the flag is set, and what the best of them know is reported."""
    over = threading.Event()

    def watch() -> None:
        last: tuple[float, float] = (-1.0, 0.0)  # so that the caller hears of the start, whatever follows
        while True:
            known = best_known(folder)
            if report is not None and known != last:
                last = known
                period, bound = known
                gap = max(0.0, period - bound) / period if 0 < period < math.inf else None
                found = period if period < math.inf else None
                report(Progress(stop.elapsed, "workers", found, min(bound, period), gap))
            if stop.flag.is_set():
                with contextlib.suppress(OSError):
                    (folder / END).touch()
                return
            if over.wait(budget.JOURNAL):
                return

    thread = threading.Thread(target=watch, daemon=True, name="members")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _member(question: Question, limits: tuple[float, float | None], folder: str, number: int, parent: int) -> Found:
    """Its number, its answer and what went wrong; never raises, for joblib would end all members then."""
    if os.getpid() != parent and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all processes; the parent decides
    time_limit, work_limit = limits
    stop = Stop(time_limit, work_limit=work_limit)
    try:
        with interruptible(stop), Journal(Path(folder), number, stop, parent) as journal:
            found = answer(question, stop, watch=journal.watch)
    except (Exception, KeyboardInterrupt) as error:
        return number, None, error
    return number, found, stop.failure


def _worst(failures: list[BaseException], stop: Stop) -> BaseException:
    """What to raise where nobody has an answer: what is least expected first."""
    order = sorted(failures, key=lambda failure: isinstance(failure, EXPECTED))
    if order and not isinstance(order[0], EXPECTED):
        return order[0]
    if stop.interrupted:
        return KeyboardInterrupt()
    memory = [failure for failure in failures if isinstance(failure, MemoryError)]
    return next(iter(memory or failures), NoSolutionInTime(f"no answer in time ({'; '.join(stop.faults)})"))


def _joined(answers: list[Result]) -> Result:
    """The best answer with the best bound of each goal (later goals only count where the earlier ones agree).

    A member whose proof the placement of another refutes is believed in nothing that it claims.
    """
    placed = [answer for answer in answers if answer.placement is not None]
    if not placed:
        return answers[0]
    best = min(placed, key=lambda answer: (*(r.value for r in answer.goals), *[math.inf] * (8 - len(answer.goals))))
    first = best.goals[0]
    honest = [answer for answer in placed if answer.goals[0].bound <= first.value * (1 + ROUNDING)]
    if len(honest) < len(answers):
        warnings.warn(
            f"a worker's valid placement of {first.goal} {first.value:.9g} refutes what another proved, which is "
            "withdrawn; please report this model and package",
            RefutedBound,
            stacklevel=3,
        )
    settled = [answer for answer in honest if answer.status != "feasible"]
    if settled:
        return settled[0]
    bound = min(first.value, max(answer.goals[0].bound for answer in honest))
    goals = (Reached(first.goal, first.value, bound), *best.goals[1:])
    on_period = first.goal == "period"
    return replace(best, goals=goals, bound=bound if on_period else best.bound)
