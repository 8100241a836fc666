"""When to stop: a clock with a limit, a flag that another thread or a signal handler may set, and what went wrong."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator

from partition.errors import InvalidInput
from partition.text import shown

POLL = 1e-4
"""Work of whatever lies between two questions whether to stop; larger pieces are charged by themselves."""


LOOK = 0.05
"""Seconds between two looks whether the search is over, while waiting for an event."""

SLOWEST = 0.05
"""Least pace that is believed."""

BELIEVED = 0.2
"""Seconds on an idle machine that are taken for measured before any are."""


class _Shared:
    """What a stop and all its parts have in common."""

    def __init__(self) -> None:
        self.begun, self.begun_work = time.perf_counter(), time.process_time()
        self.flag = threading.Event()
        self.work = 0.0
        self.faults: list[str] = []
        self.failure: Exception | None = None


class Stop:
    """Asked by every phase of the search; the one place that reads the clock.

    The search's clock counts the seconds that processors worked for this process; on an idle machine it goes like the
    clock on the wall. With a work limit it is a meter that every phase advances by what it does (:meth:`charge`). All
    shares and slices are of that clock. So a minute on a machine that gives this process a third of its time is the
    search of 20 s on an idle one. A search by work is the same search, repeatable to the last digit: nothing in it
    depends on how fast the machine is.

    Parameters
    ----------
    time_limit : seconds. With a work limit it is only a safeguard, whose striking is not repeatable.
    work_limit : units of work, each about a second of one core.

    Attributes
    ----------
    time_limit : on the search's clock, in its units.
    by_work : whether the clock is the meter.
    """

    def __init__(self, time_limit: float = math.inf, *, work_limit: float | None = None) -> None:
        self._shared = _Shared()
        self._deadline = time_limit
        self.by_work = work_limit is not None
        self.time_limit = time_limit if work_limit is None else work_limit

    def limited(self, seconds: float) -> Stop:
        """A stop after this much more on the same clock; the same flag sets it off."""
        limited = Stop()
        limited._shared, limited._deadline, limited.by_work = self._shared, self._deadline, self.by_work
        limited.time_limit = min(self.time_limit, self.seconds + seconds)
        return limited

    def part(self, share: float) -> Stop:
        """A stop after a share of what is left, on the search's clock and on the wall alike.

        For what must leave something to those who come after, however busy the machine becomes. The safeguard of a
        search by work stays as it is.
        """
        part = self.limited(share * self.remaining)
        if not self.by_work:
            part._deadline = min(self._deadline, self.elapsed + share * self.until_deadline)
        return part

    @property
    def flag(self) -> threading.Event:
        """Set by whoever wants the search to end."""
        return self._shared.flag

    @property
    def elapsed(self) -> float:
        """Seconds on the wall since the start."""
        return time.perf_counter() - self._shared.begun

    @property
    def work(self) -> float:
        """Units of work done; 0 without a work limit."""
        return self._shared.work

    @property
    def seconds(self) -> float:
        """What the search's clock shows: seconds worked since the start, or units of work done.

        Several threads at work count as one, and never more than the wall shows.
        """
        if self.by_work:
            return self._shared.work
        return min(time.process_time() - self._shared.begun_work, self.elapsed)

    @property
    def pace(self) -> float:
        """How fast the search's clock has gone, measured by the wall: near 1 where the machine is idle."""
        if self.by_work:
            return 1.0
        return max(SLOWEST, (self.seconds + BELIEVED) / (self.elapsed + BELIEVED))

    @property
    def remaining(self) -> float:
        """What is left on the search's clock, never negative; at the pace so far, if that is not known."""
        left = self.time_limit - self.seconds
        return max(0.0, left if self.by_work else min(left, self.pace * self.until_deadline))

    @property
    def until_deadline(self) -> float:
        """Seconds on the wall until the time is up, or the safeguard of a search by work strikes; never negative."""
        return max(0.0, self._deadline - self.elapsed)

    @property
    def forced(self) -> bool:
        """Whether the search must end whatever its clock shows: the flag is set or the wall's time limit over."""
        return self.flag.is_set() or self.until_deadline <= 0.0

    def charge(self, work: float) -> None:
        """Advance the meter, if that is the clock; what is charged must not depend on the time."""
        if self.by_work:
            self._shared.work += work

    def __call__(self) -> bool:
        """Whether to stop now."""
        self.charge(POLL)
        return self.remaining <= 0.0 or self.forced

    # --- what went wrong -------------------------------------------------------------------------------------

    @property
    def faults(self) -> list[str]:
        """What went wrong without ending the search, a sentence each."""
        return self._shared.faults

    @property
    def failure(self) -> Exception | None:
        """The first error of the library's own that ended a step of the search."""
        return self._shared.failure

    @property
    def interrupted(self) -> bool:
        """Whether somebody wanted the search to end."""
        return self.flag.is_set()

    def note(self, fault: str) -> None:
        """Remember a fault, once."""
        if fault not in self.faults:
            self.faults.append(fault)

    @contextlib.contextmanager
    def surviving(self, what: str | Callable[[], str]) -> Iterator[None]:
        """Within, no fault loses the answer so far.

        Out of memory or an error of the library itself ends what is done here, and the search goes on with the next
        thing; Ctrl-C ends the search. The first error is kept as ``failure``, so that it is reported, not hidden.

        Parameters
        ----------
        what : is done here; or what tells it afterwards.
        """
        try:
            yield
        except KeyboardInterrupt:
            self.flag.set()
        except InvalidInput:
            raise
        except Exception as error:
            here = what if isinstance(what, str) else what()
            if isinstance(error, MemoryError):
                self.note(f"out of memory in {here}")
                return
            self.note(f"{type(error).__name__} in {here}: {' '.join(str(error).split())}")
            self._shared.failure = self._shared.failure or error


class Interrupts:
    """A handler of Ctrl-C that raises as Python's own does, and counts how often it struck."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, number: int, frame: object) -> None:
        self.count += 1
        raise KeyboardInterrupt


@contextlib.contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """Within, the first Ctrl-C sets the flag of ``stop`` and the second raises ``KeyboardInterrupt``.

    An exception raised by a signal is lost where it happens to strike inside a callback of the garbage collector, say;
    a flag is not. Handlers of the application's own, and other threads than the main one, are left alone.
    """
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if not main or not (before is signal.default_int_handler or isinstance(before, Interrupts)):
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
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def ended_by(event: threading.Event | None, stop: Stop) -> Iterator[None]:
    """Within, setting the event sets the flag of ``stop``; the event itself is only read.

    Raises
    ------
    InvalidInput : it is no event.
    """
    if event is None:
        yield
        return
    if not (hasattr(event, "wait") and hasattr(event, "is_set")):
        raise InvalidInput(f"stop is {shown(event)}; give a threading.Event")
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            if event.wait(LOOK):
                stop.flag.set()
                return

    if event.is_set():
        stop.flag.set()
    watcher = threading.Thread(target=look, daemon=True, name="stop")
    watcher.start()
    try:
        yield
    finally:
        over.set()
