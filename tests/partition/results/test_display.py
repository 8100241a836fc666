"""Progress in a log and on a terminal."""

from __future__ import annotations

import io

from partition import Progress
from partition.results.display import Display


def test_progress_in_a_log_is_a_line_for_every_change() -> None:
    stream = io.StringIO()
    with Display(stream) as display:
        display(Progress(0.5, "seeds", None, 1.0, None))
        display(Progress(0.6, "seeds", None, 1.0, None))
        display(Progress(1.5, "milp", 2.0, 1.0, 0.5))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert "none yet" in lines[0] and "gap 50%" in lines[1]


def test_progress_on_a_terminal_is_live_and_leaves_nothing_behind() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with Display(stream) as display:
        display(Progress(0.5, "seeds", 2.0, 1.0, 0.5))
    assert "seeds" in stream.getvalue() or "\x1b" in stream.getvalue()
