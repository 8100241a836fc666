"""When to stop: a deadline, and a flag that another thread or a signal handler may set."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator


class Stop:
    """Asked by every phase of the search; the one place that reads the clock."""

    def __init__(self, time_limit: float) -> None:
        self.begun = time.perf_counter()
        self.time_limit = time_limit
        self.flag = threading.Event()

    def limited(self, seconds: float) -> Stop:
        """A stop after this many more seconds that the same flag sets off; its clock began with this one's."""
        part = Stop(min(self.time_limit, self.seconds + seconds))
        part.begun, part.flag = self.begun, self.flag
        return part

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.begun

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.time_limit - self.seconds)

    def __call__(self) -> bool:
        """Whether to stop now."""
        return self.flag.is_set() or self.remaining <= 0.0


@contextlib.contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """Within, the first Ctrl-C sets the flag of ``stop`` and the second raises ``KeyboardInterrupt``.

    An exception raised by a signal is lost where it happens to strike inside a callback of the garbage collector, say;
    a flag is not. Handlers of the application's own, and other threads than the main one, are left alone.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        if stop.flag.is_set():
            raise KeyboardInterrupt
        stop.flag.set()

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
