"""Progress on a terminal or in a log; fed by ``on_progress``, prints to stderr only."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import Any, TextIO

from partition.results.progress import Progress
from partition.text import printable


class Display:
    """A live line where stderr is a terminal and ``rich`` is there, plain lines otherwise; a context manager."""

    def __init__(self, stream: TextIO | None = None, *, unit: str = "s", quiet: bool = False) -> None:
        self.stream = stream or sys.stderr
        self.unit = unit
        self.quiet = quiet
        self._lock = threading.Lock()
        self._last: object = ()
        self._live: Any = None

    def __enter__(self) -> Display:
        if self.stream.isatty() and not self.quiet:
            try:
                from rich.console import Console
                from rich.live import Live
            except ImportError:
                return self
            self._live = Live(
                console=Console(file=self.stream, markup=False, emoji=False), transient=True, refresh_per_second=8
            )
            self._live.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._live is not None:
            self._live.__exit__(*exception)
            self._live = None

    def __call__(self, progress: Progress) -> None:
        """Show one report."""
        self.show(self.line(progress), key=(progress.phase, progress.period, f"{progress.bound:.4g}"))

    def show(self, text: str, *, key: object) -> None:
        """Show a line; where lines stay, only if ``key`` is another one than before."""
        if self.quiet:
            return
        with self._lock, contextlib.suppress(OSError):  # a stream that takes no more must not cost the answer
            if self._live is not None:
                self._live.update(text)
            elif key != self._last:
                print(text, file=self.stream, flush=True)
            self._last = key

    def line(self, progress: Progress) -> str:
        """Seconds, phase, period, bound and gap in one line."""
        period = "none yet" if progress.period is None else f"{progress.period:.6g} {self.unit}"
        gap = "" if progress.gap is None else f"  gap {100 * progress.gap:.3f}%"
        bound = f"{progress.bound:.6g} {self.unit}"
        return printable(f"{progress.seconds:7.2f} s  {progress.phase:<14}  period {period}  bound {bound}{gap}")
