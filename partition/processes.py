"""Starting and ending the processes that joblib keeps on this machine."""

from __future__ import annotations

import contextlib
import multiprocessing.resource_tracker
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from joblib import Parallel
from joblib._parallel_backends import LokyBackend
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.backend import resource_tracker
from joblib.parallel import get_active_backend

Delayed = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
"""A function and its arguments, as ``joblib.delayed`` makes them."""


def side_by_side(calls: Iterable[Delayed], jobs: int, *, in_order: bool = True) -> Iterator[Any]:
    """What calls return, ``jobs`` at a time; however that ends early, no process of this machine goes on.

    Parameters
    ----------
    jobs : processes, by joblib, that never hear Ctrl-C. 1: everything runs in this process.
    in_order : whether answers come in the order of the calls, or as they are ready.

    Raises
    ------
    KeyboardInterrupt : as usual; all processes of this machine are gone by then.
    """
    if jobs == 1:
        yield from (function(*given, **named) for function, given, named in calls)
        return
    with deaf_to_interrupts():
        answers = Parallel(n_jobs=jobs, return_as="generator" if in_order else "generator_unordered")(calls)
    try:
        yield from answers
    except BaseException:
        end_local_workers()
        raise


def end_local_workers() -> None:
    """End joblib's own processes, in which tasks may go on for as long as their time limit."""
    backend, _ = get_active_backend()
    if isinstance(backend, LokyBackend):
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


@contextlib.contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Within, processes that this thread starts never hear Ctrl-C: whoever starts them ends them.

    Otherwise one that is still being loaded dies of it, and prints where it was.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    for tracker in (multiprocessing.resource_tracker, resource_tracker):
        tracker.ensure_running()  # which would change the mask when the first process starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
