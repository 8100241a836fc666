"""How promptly limits, Ctrl-C and refusals are heeded, in seconds: the tests themselves hold no time.

    python benchmarks/promptness.py

Exits with 1 where a figure is over what is allowed beside it. On a busy machine figures say little.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from partition import GraphBuilder, load_hardware, load_model, partition
from partition.readers.native_json import read_json, write_json


def taken(what: Callable[[], object]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    what()
    return time.perf_counter() - begun


def beyond_limit(limit: float) -> float:
    """Seconds that a hard question takes beyond its time limit."""
    graph, hardware = load_model("gnmt").graph, load_hardware("ring36")
    return taken(lambda: partition(graph, hardware, time_limit=limit)) - limit


def after_ctrl_c(delay: float) -> float:
    """Seconds from Ctrl-C, ``delay`` after the start, to the answer."""
    graph, hardware = load_model("gnmt").graph, load_hardware("ring36")
    threading.Timer(delay, signal.raise_signal, [signal.SIGINT]).start()
    return taken(lambda: partition(graph, hardware, time_limit=60)) - delay


def refusal() -> float:
    """Seconds of a command whose output cannot be written, whatever its time limit."""
    command = ["cli.py", "solve", "gnmt", "--hw", "ring36", "--time-limit", "600", "-o", "no/such/folder/answer.json"]
    return taken(lambda: subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, check=False))


def round_trip(operations: int) -> float:
    """Seconds to write and read a graph in the native format."""
    b = GraphBuilder("line")
    for v in range(operations):
        b.operation(f"v{v}", "Op", inputs=[f"t{v - 1}"] if v else [], outputs={f"t{v}": 1.0 + v}, flops=float(v))
    graph = b.build()
    return taken(lambda: read_json(write_json(graph)))


def main() -> int:
    """Measure and hold against what is allowed."""
    rows = [(f"beyond a time limit of {limit:g} s", beyond_limit(limit), 1.0) for limit in (2.0, 4.0, 8.0)]
    rows += [(f"from Ctrl-C after {delay:g} s to the answer", after_ctrl_c(delay), 1.0) for delay in (1.0, 3.0, 6.0)]
    rows += [("an output that cannot be written", refusal(), 2.0)]
    rows += [("100,000 operations written and read", round_trip(100_000), 10.0)]
    for what, seconds, allowed in rows:
        print(f"{what:<44} {seconds:7.2f} s (allowed {allowed:g})")
    return int(any(seconds > allowed for _, seconds, allowed in rows))


if __name__ == "__main__":
    sys.exit(main())
