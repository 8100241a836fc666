"""Run a benchmark and keep its table, with what it takes to judge the figures: commit, date, machine, command.

    python benchmarks/record.py readme -- benchmarks/readme_figures.py
    python benchmarks/record.py models -- benchmarks/solve_models.py

The first Markdown table that the benchmark prints is written to benchmarks/measured/NAME.json. Then
``python docs/results.py`` writes it into the pages that show it.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "benchmarks" / "measured"
sys.path.insert(0, str(ROOT))

import click

from partition.version import VERSION


@dataclass(frozen=True)
class Record:
    """A table and where it comes from.

    Attributes
    ----------
    command : what was run, from the root of the checkout.
    commit, version : of the code that was measured; a commit ends in ``+`` if files were changed since.
    date : day of the run, UTC.
    machine : cores, memory, Python and solver, and how busy it was: the load average when the run began and ended.
    seconds : the run took, wall clock.
    header, rows : the table, cell by cell; the second line of the Markdown table is ``alignment``.
    """

    command: str
    commit: str
    version: str
    date: str
    machine: str
    seconds: int
    header: list[str]
    alignment: list[str]
    rows: list[list[str]]


def first_table(text: str) -> tuple[list[str], list[str], list[list[str]]]:
    """Header, alignment and rows of the first Markdown table in a text.

    Raises
    ------
    click.ClickException : there is none.
    """
    lines = text.splitlines()
    begins = [i for i, line in enumerate(lines[1:]) if line.startswith(("| ---", "|---")) and lines[i].startswith("|")]
    if not begins:
        raise click.ClickException("the benchmark printed no Markdown table")
    found = []
    for line in lines[begins[0] :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return found[0], found[1], found[2:]


def machine() -> str:
    """This machine in a line."""
    import highspy

    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    name = names[0] if names else platform.processor() or platform.machine()
    room = f", {memory[0] / 1e6:.0f} GB" if memory else ""
    highs = highspy.Highs().version()
    return f"{os.cpu_count()} cores ({name}){room}, Python {platform.python_version()}, HiGHS {highs}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def commit() -> str:
    """The commit of the checkout."""
    asked = [["git", "rev-parse", "--short=7", "HEAD"], ["git", "status", "--porcelain", "--untracked-files=no"]]
    head, changed = (
        subprocess.run(each, cwd=ROOT, capture_output=True, text=True, check=True).stdout for each in asked
    )
    return head.strip() + ("+" if changed.strip() else "")


def kept(store: Path, of: str) -> list[dict[str, Any]]:
    """The rows of a file, a line each, that were measured at a commit; none where files were changed since."""
    if of.endswith("+") or not store.exists():
        return []
    return [row for row in map(json.loads, store.read_text().splitlines()) if row.get("commit") == of]


def keep(store: Path, row: dict[str, Any]) -> None:
    """Add a row to a file, which is made where there is none."""
    store.parent.mkdir(parents=True, exist_ok=True)
    with store.open("a") as file:
        file.write(json.dumps(row) + "\n")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def main(name: str, command: tuple[str, ...]) -> None:
    """Run COMMAND (a benchmark with its options) and keep its table as NAME."""
    of = commit()
    begun, busy = time.perf_counter(), os.getloadavg()[0]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    seconds = round(time.perf_counter() - begun)
    header, alignment, rows = first_table(done.stdout)
    day = datetime.now(UTC).date().isoformat()
    told = f"python {' '.join(command)}"
    where = f"{machine()}, load {busy:.1f} to {os.getloadavg()[0]:.1f}"
    record = Record(told, of, VERSION, day, where, seconds, header, alignment, rows)
    MEASURED.mkdir(exist_ok=True)
    path = MEASURED / f"{name}.json"
    path.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {len(rows)} rows in {seconds} s; now run python docs/results.py")


if __name__ == "__main__":
    main()
