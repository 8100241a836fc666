"""Several searches side by side: other seeds, with and without the policy; the best answer and the best bound win.

The first member works in this process, so that there is an answer in time however long the others take to start. Each
other is a whole search in a process of its own, run by joblib, so a Dask cluster serves as well
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
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import BrokenProcessPool

from milp import budget
from milp.tolerances import ROUNDING
from partition.arguments import MOST_PROCESSES, whole
from partition.errors import NoSolutionInTime, RefutedBound
from partition.processes import deaf_to_interrupts, end_local_workers
from partition.results.progress import Progress
from partition.results.result import Result
from partition.scoring.goals import Reached
from partition.solve.journal import END, Journal, best_known, read_journals
from partition.solve.question import Question
from partition.solve.search_once import answer, warn_of
from partition.stopping import Stop, interruptible

EXPECTED = (NoSolutionInTime, MemoryError, KeyboardInterrupt)
"""Why a member may have no answer without any defect of the library."""

Found: TypeAlias = "tuple[int, Result | None, BaseException | None]"
"""A member's number, its answer if there is one, and what went wrong if something did."""


@dataclass(frozen=True)
class _Terms:
    """What all members are told.

    Attributes
    ----------
    folder : of the journals.
    parent : the process that waits for them.
    deadline : when time is up, on the clock of the calendar. A member that starts late has less time.
    seconds : until then; what counts on a machine without the folder, whose calendar may differ.
    work : the work limit, if there is one.
    """

    folder: str
    parent: int
    deadline: float
    seconds: float
    work: float | None

    def begin(self) -> Stop:
        """The clock of a member that begins now."""
        here = Path(self.folder).is_dir()
        left = min(self.seconds, self.deadline - time.time()) if here else self.seconds
        return Stop(max(left, 0.0), work_limit=self.work)


def solve_side_by_side(
    question: Question, *, workers: int, stop: Stop, report: Callable[[Progress], None] | None = None
) -> Result:
    """Run ``workers`` members and join their answers; member ``i`` has seed ``seed + i``, every other one a policy.

    Ends with the first member whose answer is optimal or infeasible. First is meant in time, or by number where work is
    limited: the answer then does not depend on how many run at once. If members are lost, or after a second Ctrl-C,
    what they knew is the answer; so it is at the time limit, for which nobody is waited.

    Raises
    ------
    InvalidInput : ``workers`` is no whole number from 1 up.
    NoSolutionInTime, KeyboardInterrupt, MemoryError : no member found an answer.
    """
    whole("workers", workers, least=1, most=MOST_PROCESSES)
    other = "pretrained" if question.policy == "none" else question.policy
    policies = itertools.cycle([question.policy, other])
    questions = [
        replace(question, seed=question.seed + i, policy=advised)
        for i, advised in zip(range(workers), policies, strict=False)
    ]
    with tempfile.TemporaryDirectory(prefix="mcm-partition-", ignore_cleanup_errors=True) as folder:
        with _watched(stop, Path(folder), report):
            found = _together(questions, folder, stop)
        answers = {number: result for number, result, _ in found if result is not None}
        failures = [failure for _, _, failure in found if failure is not None]
        missing = [Path(folder) / f"{i}.json" for i in range(workers) if i not in answers]
        known = read_journals(missing, question, stop)
    for problem in failures:
        if not isinstance(problem, NoSolutionInTime | KeyboardInterrupt):
            stop.note(f"{type(problem).__name__} in a worker: {' '.join(str(problem).split())}")
    if not (answers or known):
        raise _worst(failures, stop)
    for problem in failures:
        if not isinstance(problem, EXPECTED):
            warn_of(problem)
    joined = joined_answers([*answers.values(), *known])
    faults = tuple(dict.fromkeys([*stop.faults, *(fault for each in answers.values() for fault in each.faults)]))
    return replace(joined, seconds=stop.elapsed, interrupted=joined.interrupted or stop.interrupted, faults=faults)


def _together(questions: list[Question], folder: str, stop: Stop) -> list[Found]:
    """The members at work until one has settled the question or it is time to end; what they found."""
    left = stop.until_deadline
    terms = _Terms(folder, os.getpid(), time.time() + left, left, stop.time_limit if stop.by_work else None)
    tasks = [delayed(_member)(each, terms, i) for i, each in enumerate(questions) if i > 0]
    with _Others(tasks, Path(folder), in_order=stop.by_work) as others:
        own = _member(questions[0], terms, 0)
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C: what is known by now is the answer
            if not _settles(own):
                others.wait(stop)
    if isinstance(others.lost, BrokenProcessPool):
        stop.note("a worker process died")
    lost: list[Found] = []
    if others.lost is not None and not isinstance(others.lost, BrokenProcessPool):
        lost = [(-1, None, others.lost)]  # of joblib or its cluster: members raise nothing
    if stop.by_work and _settles(own):
        return [own, *lost]  # the first by number
    return [own, *others.found, *lost]


def _settles(found: Found) -> bool:
    """Whether a member has left nothing to find or to prove."""
    return found[1] is not None and found[1].status != "feasible"


class _Others:
    """Members in processes of their own, listened to by a thread; a context manager at whose end they end.

    Parameters
    ----------
    in_order : whether answers count by the numbers of the members, and none ends the others before its turn.
    """

    def __init__(self, tasks: list[object], folder: Path, *, in_order: bool) -> None:
        kind = "generator" if in_order else "generator_unordered"
        # Made here, as the backend that the caller chose is that of this thread. One job alone would get no process.
        self._parallel = Parallel(n_jobs=max(2, len(tasks)), return_as=kind)
        self._tasks, self._folder, self._in_order = tasks, folder, in_order
        self.found: list[Found] = []
        self.lost: Exception | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True, name="answers")

    def __enter__(self) -> _Others:
        with deaf_to_interrupts():
            self._parallel.__enter__()
            self._thread.start()  # which inherits that, as the processes do
        return self

    def __exit__(self, *exception: object) -> None:
        self._ending.set()
        self._end_all()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*tasks which were still being processed")  # not needed
            self._parallel.__exit__(None, None, None)
            end_local_workers()
            self._thread.join(budget.GRACE)

    def wait(self, stop: Stop) -> None:
        """Until all have answered or one has settled the question; not beyond the end, but for a moment."""
        until = math.inf
        while self._thread.is_alive() and time.perf_counter() < until:
            if stop.forced:
                until = min(until, time.perf_counter() + budget.GRACE)
            self._thread.join(budget.JOURNAL / 4)

    def _end_all(self) -> None:
        with contextlib.suppress(OSError):
            (self._folder / END).touch()

    def _listen(self) -> None:
        try:
            with contextlib.closing(self._parallel(self._tasks)) as answers:
                for found in answers:
                    if self._ending.is_set():
                        return
                    self.found.append(found)
                    if _settles(found):
                        if not self._in_order:
                            self._end_all()
                        return
        except Exception as lost:
            if not self._ending.is_set():
                self.lost = lost


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


def _member(question: Question, terms: _Terms, number: int) -> Found:
    """Its number, its answer and what went wrong; never raises, for joblib would end all members then."""
    if os.getpid() != terms.parent and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all processes; the parent decides
    stop = terms.begin()
    try:
        with interruptible(stop), Journal(Path(terms.folder), number, stop, terms.parent) as journal:
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


def joined_answers(answers: list[Result]) -> Result:
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
    strongest = max(honest, key=lambda answer: answer.goals[0].bound)
    bound = min(first.value, strongest.goals[0].bound)
    goals = (Reached(first.goal, first.value, bound), *best.goals[1:])
    on_period = first.goal == "period"
    return replace(best, goals=goals, bound=bound if on_period else best.bound, proof=strongest.proof)
