"""When to stop: a deadline, and a flag that another thread or a signal handler may set."""

from __future__ import annotations

import threading
import time


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
