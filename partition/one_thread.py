"""Matrix products of a search on one thread.

They are small. Threads of a BLAS then wait for one another longer than they compute, for seconds where other programs
keep the cores busy. And how many there are must not change how sums are rounded.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType

from threadpoolctl import threadpool_limits

FLOWS = "scipy.sparse.csgraph"


class _Limit:
    """The limit of this process, and the thread that has set it; OpenBLAS heeds that thread alone."""

    def __init__(self) -> None:
        self.free = threading.Lock()
        self.owner = 0
        self.limits = ExitStack()

    def apply(self) -> None:
        """Limit all libraries that are loaded by now."""
        self.limits.enter_context(threadpool_limits(limits=1, user_api="blas"))


_LIMIT = _Limit()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let matrix products of this process run on one thread; where another search sees to that, nothing is changed."""
    if not _LIMIT.free.acquire(blocking=False):
        yield
        return
    try:
        _LIMIT.owner = threading.get_ident()
        _LIMIT.apply()
        yield
    finally:
        _LIMIT.limits.close()
        _LIMIT.owner = 0
        _LIMIT.free.release()


def flows() -> ModuleType:
    """SciPy's flows and ways in networks, which take longer to load than a small graph to place.

    They bring another BLAS, which sets the number of threads anew for those that are there.
    """
    loaded = FLOWS in sys.modules
    import scipy.sparse.csgraph as found

    if not loaded and _LIMIT.owner == threading.get_ident():
        _LIMIT.apply()
    return found
