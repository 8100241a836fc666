"""Assembly lines: ``.alb`` files (Otto, Otto and Scholl, 2013) and the older ``.IN2`` files of the same task graphs.

A task is an operation, a precedence a tensor of no bytes. The number of stations is not in the file: it is the number
of chips. The cycle time of an ``.alb`` file belongs to another question (as few stations as possible) and is not read.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from partition.errors import InvalidModelFile
from partition.problem.graph import Graph
from partition.readers.timed import Sent, number, text_of, timed_graph, whole

HEAD = "<number of tasks>"
PAIR = re.compile(r"(-?\d{1,9})\s*,\s*(-?\d{1,9})")


def looks_like_a_line(start: str) -> bool:
    """Whether a file begins as one of the two: with a tag, or with a number of tasks and a time to a line."""
    if HEAD in start[:200].lower():
        return True
    rows = [row.strip() for row in start.splitlines()[:-1] if row.strip()]
    times = list(itertools.takewhile(lambda row: re.fullmatch(r"\d+(\.\d*)?", row), rows))
    behind = rows[len(times) :]
    return len(times) > 1 and times[0].isdigit() and (not behind or PAIR.fullmatch(behind[0]) is not None)


def read_line_balancing(path: Path) -> Graph:
    """The graph of a file; raises InvalidModelFile."""
    text = text_of(path)
    times, pairs = _tagged(text) if HEAD in text[:200].lower() else _plain(text)
    edges: dict[int, list[int]] = {}
    for first, second in pairs:
        for task in (first, second):
            if not 1 <= task <= len(times):
                raise InvalidModelFile(f"a precedence names task {task}, but there are tasks 1 to {len(times)}")
        edges.setdefault(first, []).append(second)
    tensors = [Sent(f"task{first}", 0.0, [f"task{second}" for second in after]) for first, after in edges.items()]
    return timed_graph(path.stem, {f"task{i + 1}": time for i, time in enumerate(times)}, tensors)


def _tagged(text: str) -> tuple[list[float], list[tuple[int, int]]]:
    """Times and precedences of an ``.alb`` file."""
    parts = re.split(r"^\s*<([^>\n]+)>\s*$", text, flags=re.MULTILINE)
    sections = {tag.strip().lower(): body.split() for tag, body in zip(parts[1::2], parts[2::2], strict=False)}
    for tag in ("number of tasks", "task times", "precedence relations"):
        if tag not in sections:
            raise InvalidModelFile(f"section <{tag}> is missing; add it")
    count = whole(" ".join(sections["number of tasks"]), "the number of tasks")
    rows = sections["task times"]
    if len(rows) != 2 * count:
        raise InvalidModelFile(f"<task times> has {len(rows) // 2} tasks; there must be {count}")
    time = {whole(task, "a task"): number(value, f"the time of task {task}") for task, value in _twos(rows)}
    if sorted(time) != list(range(1, count + 1)):
        raise InvalidModelFile(f"<task times> must give tasks 1 to {count} once each")
    return [time[i + 1] for i in range(count)], [_pair(row) for row in sections["precedence relations"]]


def _twos(rows: list[str]) -> list[tuple[str, str]]:
    return list(zip(rows[::2], rows[1::2], strict=True))


def _plain(text: str) -> tuple[list[float], list[tuple[int, int]]]:
    """Times and precedences of an ``.IN2`` file, which ends with the pair -1,-1."""
    rows = [row.strip() for row in text.splitlines() if row.strip()]
    count = whole(rows[0], "the number of tasks")
    if len(rows) < 1 + count:
        raise InvalidModelFile(f"the file has {len(rows) - 1} lines behind the first; {count} times must follow it")
    pairs = []
    for row in rows[1 + count :]:
        if re.fullmatch(r"-1\s*,\s*-1", row):
            break
        pairs.append(_pair(row))
    return [number(row, f"the time of task {i + 1}") for i, row in enumerate(rows[1 : 1 + count])], pairs


def _pair(row: str) -> tuple[int, int]:
    found = PAIR.fullmatch(row)
    if found is None:
        raise InvalidModelFile(f"a precedence is {row[:40]!r}; it must be two task numbers, as 3,7")
    return int(found[1]), int(found[2])
