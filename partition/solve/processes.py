"""Ending the processes that joblib keeps on this machine."""

from __future__ import annotations

import contextlib
import multiprocessing.resource_tracker
import signal
from collections.abc import Iterator

from joblib._parallel_backends import LokyBackend
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.backend import resource_tracker
from joblib.parallel import get_active_backend


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
