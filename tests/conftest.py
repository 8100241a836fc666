"""Shared instances importable from every test, the independent checker on every answer, bounds for hostile files."""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def pytest_collection(session: pytest.Session) -> None:
    """Put the checker behind every answer, and make errors of warnings that tell of a defect.

    Both import the library, which coverage must see; above, or in pyproject.toml, it would not.
    """
    import checked

    checked.install(trials=checked.TRIALS)
    for warning in ("RefutedBound", "SearchFault"):
        session.config.addinivalue_line("filterwarnings", f"error::partition.errors.{warning}")


@pytest.fixture
def bounded() -> Iterator[None]:
    """15 s of work and a gigabyte for each test."""

    def late(*_: object) -> None:
        raise TimeoutError

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, hard))
    previous = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, 15)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, previous)
    resource.setrlimit(resource.RLIMIT_AS, (before, hard))
