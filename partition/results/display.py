"""Progress on a terminal or in a log; fed by ``on_progress``, prints to stderr only."""

from __future__ import annotations

import contextlib
import math
import re
import sys
import threading
import time
from typing import Any, TextIO

from partition.amounts import gap_text, time_text
from partition.results.progress import Progress
from partition.text import printable

WORDS = {
    "start": "reading the question",
    "work": "what the work allows",
    "given bound": "known from elsewhere",
    "static memory": "what fits in memory",
    "wishes": "whether wishes can be kept",
    "feasibility": "whether anything fits",
    "seeds": "first placements",
    "samples": "first placements",
    "advice": "asking the policy",
    "separations": "what must be apart",
    "down-sets": "all ways to cut",
    "down-sets of any order": "all ways to cut",
    "ideals": "all ways to cut",
    "few ideals": "all ways to cut",
    "frontiers": "all ways to cut",
    "stretches": "stretch by stretch",
    "blocks": "around the heaviest",
    "thresholds": "is a shorter possible?",
    "milp": "is a shorter possible?",
    "beams": "improving",
    "tabu": "improving",
    "neighbourhoods": "improving",
    "fixings": "improving",
    "goals": "the other goals",
    "workers": "side by side",
}
"""The phases of a search (``milp.state.names``) as a user would say them."""


class Display:
    """A live line where stderr is a terminal and ``rich`` is there, plain lines otherwise; a context manager.

    Parameters
    ----------
    unit : of periods.
    limit : of the search, beside the clock: seconds, or another text.
    quiet : show nothing.
    """

    def __init__(
        self, stream: TextIO | None = None, *, unit: str = "s", limit: float | str | None = None, quiet: bool = False
    ) -> None:
        self.stream = stream or sys.stderr
        self.unit = unit
        self.limit = (
            f"/{limit:g} s"
            if isinstance(limit, int | float) and limit < math.inf
            else f" s{limit if isinstance(limit, str) else ''}"
        )
        self.quiet = quiet
        self._lock = threading.Lock()
        self._last: object = ()
        self._live: Any = None
        self.begun = time.perf_counter()
        self._text = "starting"

    def __enter__(self) -> Display:
        self.begun = time.perf_counter()
        if self.stream.isatty() and not self.quiet:
            try:
                from rich.console import Console
                from rich.live import Live
            except ImportError:
                return self
            self._live = Live(
                console=Console(file=self.stream, markup=False, emoji=False),
                get_renderable=self.ticking,
                transient=True,
                refresh_per_second=8,
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

    def tell(self, text: str) -> None:
        """Show a line; where lines stay, each once."""
        self.show(text, key=text)

    def show(self, text: str, *, key: object) -> None:
        """Show a line behind the clock; where lines stay, only if ``key`` is another one than before."""
        if self.quiet:
            return
        with self._lock, contextlib.suppress(OSError):  # a stream that takes no more must not cost the answer
            self._text = printable(text)
            if self._live is not None:
                self._live.refresh()
            elif key != self._last:
                print(self.ticking(), file=self.stream, flush=True)
            self._last = key

    def line(self, progress: Progress) -> str:
        """Phase, period, bound and gap in one line."""
        unit = "" if self.unit == "s" else f" {printable(self.unit)}"
        period = "none yet" if progress.period is None else f"{time_text(progress.period, self.unit)}{unit}"
        gap = "" if progress.gap is None else f"  gap {gap_text(progress.gap)}"
        phase = WORDS.get(progress.phase, progress.phase)
        return f"{phase:<21}  period {period:<9}  bound {time_text(progress.bound, self.unit)}{unit}{gap}"

    def ticking(self) -> str:
        """The line with the seconds until now; in a narrow terminal without what it has no room for."""
        line = f"{time.perf_counter() - self.begun:6.1f}{self.limit}  {self._text}"
        return line if self._live is None else _folded(line, self._live.console.width - 1)


def _folded(line: str, width: int) -> str:
    """A line in no more than ``width`` characters: without gaps, then without the bound, the phase, its end."""
    if len(line) <= width:
        return line
    columns = [" ".join(part.split()) for part in re.split(" {2,}", line.strip())]
    if len(" ".join(columns)) > width:
        columns = [part for part in columns if not part.startswith("bound ")]
    if len(" ".join(columns)) > width and len(columns) > 2:
        del columns[1]
    folded = " ".join(columns)
    return folded if len(folded) <= width else folded[: max(0, width - 1)] + "…"
