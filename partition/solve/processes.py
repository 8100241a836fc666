"""Ending the processes that joblib keeps on this machine."""

from __future__ import annotations

from joblib._parallel_backends import LokyBackend
from joblib.externals.loky import get_reusable_executor
from joblib.parallel import get_active_backend


def end_local_workers() -> None:
    """End joblib's own processes, in which tasks may go on for as long as their time limit."""
    backend, _ = get_active_backend()
    if isinstance(backend, LokyBackend):
        get_reusable_executor().shutdown(wait=True, kill_workers=True)
