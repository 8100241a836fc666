"""What it takes to begin: seconds of processor time of small processes, beside ``import numpy``.

python benchmarks/imports.py               # medians of nine processes each, which take turns
python benchmarks/imports.py --turns 3
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent

FIRST = """
from partition import GraphBuilder, load_hardware, partition
b = GraphBuilder("two")
b.operation("a", "Op", outputs={"t": 1.0}, flops=1)
b.operation("b", "Op", inputs=["t"], flops=1)
assert partition(b.build(), load_hardware("ring2")).status == "optimal"
"""
"""The first answer of a process."""

PROCESSES = {
    "import numpy": ["-c", "import numpy"],
    "import partition": ["-c", "import partition"],
    "cli.py --help": ["cli.py", "--help"],
    "from partition import partition": ["-c", "from partition import partition"],
    "the first partition() of two operations": ["-c", FIRST],
}
"""What is measured, and the arguments of Python."""


def seconds(arguments: list[str]) -> float:
    """Seconds of processor time of one process, bytecode of the library written before or not."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        raise SystemExit(f"python {arguments[0]} failed")
    return usage.ru_utime + usage.ru_stime


@click.command()
@click.option("--turns", default=9, show_default=True, help="Processes of each kind.")
def main(turns: int) -> None:
    """Measure and print."""
    for arguments in PROCESSES.values():
        seconds(arguments)  # writes the bytecode, unless PYTHONDONTWRITEBYTECODE forbids it
    found: dict[str, list[float]] = {name: [] for name in PROCESSES}
    for _ in range(turns):
        for name, arguments in PROCESSES.items():
            found[name].append(seconds(arguments))
    middle = {name: statistics.median(times) for name, times in found.items()}
    print("| process | CPU s | times `import numpy` |\n| --- | ---: | ---: |")
    for name, median in middle.items():
        print(f"| `{name}` | {median:.3f} | {median / middle['import numpy']:.2f} |")


if __name__ == "__main__":
    main()
