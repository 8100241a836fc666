"""Faults to inject into a solve, and what must hold whatever happens; tests and benchmarks/faults.py share them."""

from __future__ import annotations

import contextlib
import signal
import time
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import highspy
import numpy as np
from checked import as_given
from exhaustive import brute_force
from instances import answer_of, random_instance, random_mixed_instance, random_tight_instance, random_training_instance
from oracle import certify

import milp.search.dynamic_programs
import milp.search.first_placements
import milp.solver.ask
import milp.solver.highs
import milp.state.incumbent
from milp.state.incumbent import Incumbent
from partition import Graph, Hardware, NoSolutionInTime, Progress, SearchFault, partition, stopping

GENERATORS = (random_instance, random_mixed_instance, random_tight_instance, random_training_instance)

Strike = Callable[[], None]


class InjectedError(RuntimeError):
    """Stands for a defect of the library."""


class Countdown:
    """Strikes at one call of many."""

    def __init__(self, at: int, strike: Strike) -> None:
        self.left, self.strike, self.struck = at, strike, False

    def __call__(self) -> None:
        self.left -= 1
        if self.left < 0 and not self.struck:
            self.struck = True
            self.strike()


def _interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def _interrupt_twice() -> None:
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)


def _exhaust() -> None:
    raise MemoryError("injected")


def _fail() -> None:
    raise InjectedError("injected")


REPORTED: dict[str, Strike] = {
    "Ctrl-C": _interrupt,
    "Ctrl-C twice": _interrupt_twice,
    "out of memory": _exhaust,
    "error of the library": _fail,
}
"""What strikes at some report of progress: in any phase, in the main thread or in that of HiGHS."""

STATUSES = ("kUnknown", "kSolveError", "kUnbounded", "kUnboundedOrInfeasible", "kPostsolveError", "kNotset")


@contextlib.contextmanager
def clock_that_jumps(at: int) -> Iterator[Countdown]:
    """The time limit passes between two looks at the clock."""
    ahead = [0.0]

    def jump() -> None:
        ahead[0] = 1e6

    count = Countdown(at, jump)
    fake = types.SimpleNamespace(
        perf_counter=lambda: time.perf_counter() + ahead[0], process_time=lambda: time.process_time()
    )
    with mock.patch.object(stopping, "time", fake):
        yield count


def _patched(target: Any, name: str, count: Countdown, instead: Callable[..., Any] | None = None) -> Any:
    """``target.name`` counts its calls; at the chosen one ``instead`` takes its place."""
    original = getattr(target, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        before = count.struck
        count()
        if instead is not None and count.struck and not before:
            return instead(original, *args, **kwargs)
        return original(*args, **kwargs)

    return mock.patch.object(target, name, counted)


@contextlib.contextmanager
def at_every_report(strike: Strike, phase: str | None = None) -> Iterator[None]:
    """Strike behind every report of a search, or those of one phase: inside it, not in the caller's callback.

    What a callback raises is the caller's own.
    """
    record = Incumbent.record

    def recorded(incumbent: Incumbent, **more: Any) -> None:
        record(incumbent, **more)
        if incumbent.report is not None and phase in (None, incumbent.phase):
            strike()

    with mock.patch.object(Incumbent, "record", recorded):
        yield


def _nothing() -> None:
    pass


def _garbage(rng: np.random.Generator) -> Callable[..., Any]:
    def instead(original: Callable[..., Any], highs: Any) -> Any:
        count = len(original(highs).col_value)
        values = rng.choice([0.0, 1.0, 0.5, -3.0, 1e9, np.nan], count)
        return types.SimpleNamespace(col_value=values.tolist())

    return instead


def highs_fault(kind: str, at: int, rng: np.random.Generator) -> Any:
    """HiGHS does something else than its work at one run."""
    highs = milp.solver.highs.SilentHighs
    if kind == "HiGHS returns an error":
        return _patched(highs, "run", Countdown(at, _nothing), lambda *_: highspy.HighsStatus.kError)
    if kind == "HiGHS raises":
        return _patched(highs, "run", Countdown(at, _fail))
    if kind == "HiGHS is out of memory":
        return _patched(highs, "run", Countdown(at, _exhaust))
    if kind == "HiGHS refuses the model":
        return _patched(highs, "passModel", Countdown(at, _nothing), lambda *_: highspy.HighsStatus.kError)
    if kind == "HiGHS ends in an unexpected status":
        status = getattr(highspy.HighsModelStatus, str(rng.choice(STATUSES)))
        return _patched(highs, "getModelStatus", Countdown(at, _nothing), lambda *_: status)
    assert kind == "HiGHS returns a wrong solution"
    return _patched(highs, "getSolution", Countdown(at, _nothing), _garbage(rng))


HIGHS_FAULTS = (
    "HiGHS returns an error", "HiGHS raises", "HiGHS is out of memory", "HiGHS refuses the model",
    "HiGHS ends in an unexpected status", "HiGHS returns a wrong solution",
)  # fmt: skip

DEEP = (
    (milp.search.first_placements, "slice_order"), (milp.search.dynamic_programs, "best_chain"),
    (milp.solver.ask, "compile_model"), (milp.solver.ask, "build"),
    (milp.search.dynamic_programs, "propagate"), (milp.state.incumbent, "check"),
    (milp.state.incumbent.CostModel, "evaluate_placement"),
)  # fmt: skip
"""Functions that take much memory or are called everywhere."""

KINDS = (*REPORTED, "time limit", *HIGHS_FAULTS, "out of memory inside", "error inside")


def draw(rng: np.random.Generator) -> tuple[Graph, Hardware]:
    """A small instance from any generator."""
    return GENERATORS[int(rng.integers(0, len(GENERATORS)))](rng)


def survives(kind: str, seed: int) -> str | None:
    """Inject one fault into the solve of a random instance and check what comes out.

    Returns
    -------
    ``"answer"``, or ``"none yet"`` if it struck before there was one; None if the instance was too large for brute
    force. Fails if the answer is wrong, its bound above the optimum, or an answer lost.
    """
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    graph, hardware = draw(rng)
    problem = as_given(graph, hardware)
    try:
        best, _ = brute_force(problem, limit=5_000)
    except OverflowError:
        return None
    at = int(rng.integers(0, 8))
    seen: list[Progress] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", SearchFault)
        if kind in REPORTED:
            stack.enter_context(at_every_report(Countdown(at, REPORTED[kind])))
        elif kind == "time limit":
            stack.enter_context(at_every_report(stack.enter_context(clock_that_jumps(at))))
        elif kind in HIGHS_FAULTS:
            stack.enter_context(highs_fault(kind, at // 4, rng))
        else:
            target, name = DEEP[int(rng.integers(0, len(DEEP)))]
            stack.enter_context(
                _patched(target, name, Countdown(at, _exhaust if kind == "out of memory inside" else _fail))
            )

        def report(progress: Progress) -> None:
            seen.append(progress)

        try:
            result = partition(graph, hardware, time_limit=20, on_progress=report)
        except (NoSolutionInTime, KeyboardInterrupt, MemoryError, InjectedError):
            known = [progress for progress in seen[:-1] if progress.period is not None]
            assert not known, f"{kind}: an answer was lost (seed {seed})"
            return "none yet"
    certify(problem, answer_of(result))
    if result.status == "infeasible":
        assert best is None, f"{kind}: {best} is possible (seed {seed})"
    else:
        assert best is not None and result.bound <= best * (1 + 1e-9), f"{kind}: bound above {best} (seed {seed})"
        assert result.period >= best * (1 - 1e-9)
    return "answer"
