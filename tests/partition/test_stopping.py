"""The search's clock: seconds worked where nobody limits the work, and shares of it."""

from __future__ import annotations

import signal
import types
from typing import Any

import pytest

from partition import stopping
from partition.stopping import Interrupts, Stop, interruptible


class Clocks:
    """Two clocks that tests move: of the wall, and of the processors."""

    def __init__(self) -> None:
        self.wall = self.worked = 100.0

    def go(self, wall: float, worked: float) -> None:
        self.wall += wall
        self.worked += worked


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    fake = types.SimpleNamespace(perf_counter=lambda: clocks.wall, process_time=lambda: clocks.worked)
    monkeypatch.setattr(stopping, "time", fake)
    return clocks


def test_a_slice_is_of_the_seconds_worked(clocks: Clocks) -> None:
    """On a machine that is three quarters busy, a slice of 2 s takes 8 s on the wall."""
    stop = Stop(60.0)
    part = stop.limited(2.0)
    clocks.go(wall=7.6, worked=1.9)
    assert not part() and part.remaining == pytest.approx(0.1)
    clocks.go(wall=0.8, worked=0.2)
    assert part() and not stop()


def test_what_is_left_is_told_at_the_pace_so_far(clocks: Clocks) -> None:
    """A minute on a machine that gives a third of its time is 20 s on an idle one, and so are its shares."""
    busy, idle = Stop(6000.0), Stop(2000.0)
    assert (busy.remaining, idle.remaining) == (6000.0, 2000.0)
    clocks.go(wall=3000.0, worked=1000.0)
    assert busy.remaining == pytest.approx(1000.0, rel=1e-3)
    assert busy.limited(0.5 * busy.remaining).remaining == pytest.approx(500.0, rel=1e-3)


def test_the_whole_search_ends_on_the_wall(clocks: Clocks) -> None:
    stop = Stop(60.0)
    clocks.go(wall=60.1, worked=15.0)
    assert stop() and stop.limited(10.0)() and stop.forced


def test_a_part_leaves_time_on_the_wall_to_the_next(clocks: Clocks) -> None:
    stop = Stop(60.0)
    part = stop.part(0.5)
    clocks.go(wall=30.1, worked=3.0)
    assert part() and not stop()
    assert part.limited(20.0)()


def test_several_threads_count_as_one(clocks: Clocks) -> None:
    stop = Stop(60.0)
    clocks.go(wall=10.0, worked=80.0)
    assert stop.seconds == pytest.approx(10.0) and stop.pace == 1.0


def test_the_pace_is_what_the_machine_leaves(clocks: Clocks) -> None:
    stop = Stop(60.0)
    assert stop.pace == 1.0
    clocks.go(wall=8000.0, worked=2000.0)
    assert stop.pace == pytest.approx(0.25, rel=1e-3)
    clocks.go(wall=1e6, worked=0.0)
    assert stop.pace == stopping.SLOWEST


def test_parts_of_a_search_by_work_know_no_clock(clocks: Clocks) -> None:
    """But for the safeguard."""
    stop = Stop(60.0, work_limit=10.0)
    part = stop.part(0.5)
    clocks.go(wall=59.0, worked=59.0)
    assert not part() and part.pace == 1.0
    part.charge(5.0)
    assert part() and not stop()


@pytest.mark.parametrize("handler", [signal.default_int_handler, Interrupts()])
def test_an_interrupt_is_a_flag_while_a_search_runs_in_a_command_too(handler: Any) -> None:
    """An exception might be lost where it strikes."""
    before, stop = signal.signal(signal.SIGINT, handler), Stop()
    try:
        with interruptible(stop):
            signal.raise_signal(signal.SIGINT)
        assert stop.interrupted and signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
