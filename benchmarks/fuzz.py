"""Damaged files of every format, read as users would: each is read and usable, or refused in one printable line.

    python benchmarks/fuzz.py --files 50000 --seed 0
    python benchmarks/fuzz.py --only onnx --files 5000
    python benchmarks/fuzz.py --show onnx 1234           # write that file of the seed and read it, with a traceback

The files are drawn from format, seed and number alone (tests/hostile.py). They are read in one process, which is
started anew should it die or hang; a file that takes over 20 s of work or 2 GB is a defect. Prints a table by format
and every defect with the number that gives it again; exits with 1 if there are any.
"""

from __future__ import annotations

import collections
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click
import numpy as np
from hostile import ENDINGS, Verdict, formats, hostile_file, tried
from hostile_seeds import EXTERNAL, outside_weights

SECONDS, BYTES = 20.0, 2 * 2**30
"""Most work and memory for a file; hangs outside Python are ended after three times as much.

Work is processor time, so that other programs, or a pause of this one, make no defect."""

IDLE = 120.0
"""Seconds without work or pause after which a process counts as waiting for ever."""


class TooLong(BaseException):
    """Not an Exception: nothing on the way may take it for a fault of the file."""


def late(*_: object) -> None:
    raise TooLong


def worker(pipe: Connection, kind: str, seed: int, begin: int, end: int) -> None:
    """Try some files; send the number of each before and the verdict after."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, used + BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, late)
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)  # other libraries' remarks
    os.dup2(sink, 2)
    with tempfile.TemporaryDirectory() as outer:
        folder = Path(outer) / "folder"
        folder.mkdir()
        (folder / EXTERNAL).write_bytes(outside_weights())
        for index in range(begin, end):
            pipe.send(index)
            started = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            try:
                verdict = one(kind, seed, index, folder)
            except TooLong:
                verdict = Verdict("defect: time", f"over {SECONDS:g} s of work")
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            pipe.send((verdict, time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
    pipe.send(None)


def answers(pipe: Connection, pid: int) -> bool:
    """Wait for the next message; False if the process works or waits for too long."""
    first, idle = work_of(pid), 0.0
    while not pipe.poll(5):
        work = work_of(pid)
        idle += 0.0 if paused(pid) else 5.0
        if work - first > 3 * SECONDS or (idle > IDLE and work - first < 1):
            return False
    return True


def work_of(pid: int) -> float:
    """Seconds of processor time so far; 0 if there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def paused(pid: int) -> bool:
    """Whether somebody has stopped the process (as opposed to ended it)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def one(kind: str, seed: int, index: int, folder: Path) -> Verdict:
    """Write the file, read it, and look whether anything was written beside what it may write."""
    path = folder / f"case{ENDINGS.get(kind, '.json')}"
    path.write_bytes(hostile_file(kind, seed, index))
    verdict = tried(kind, path, np.random.default_rng([seed, index]))
    found = {entry.name for entry in folder.iterdir()} | {f"../{entry.name}" for entry in folder.parent.iterdir()}
    strange = found - {path.name, EXTERNAL, "inside", "manifest", "../folder"}
    if strange or (folder / EXTERNAL).read_bytes() != outside_weights():
        return Verdict("defect: files", f"wrote {sorted(strange)}")
    return verdict


def campaign(kind: str, seed: int, files: int) -> dict[str, Any]:
    """The files of one format; a new process takes over from one that died."""
    told: collections.Counter[str] = collections.Counter()
    row: dict[str, Any] = {"tried": 0, "refused": 0, "read": 0, "worst": 0.0, "memory": 0, "defects": [], "told": told}
    begin = 0
    context = multiprocessing.get_context("fork")
    while begin < files:
        ours, theirs = context.Pipe()
        process = context.Process(target=worker, args=(theirs, kind, seed, begin, files))
        process.start()
        theirs.close()
        index = begin
        before = None
        try:
            while True:
                message = ours.recv() if answers(ours, process.pid or 0) else False
                if message is None:
                    begin = files
                    break
                if message is False:
                    os.kill(process.pid or 0, signal.SIGKILL)
                    raise EOFError
                if isinstance(message, int):
                    index = message
                    continue
                verdict, seconds, memory = message
                before = memory if before is None else before
                row["tried"] += 1
                row["worst"] = max(row["worst"], seconds)
                row["memory"] = max(row["memory"], memory - before)
                if verdict.outcome in ("read", "refused"):
                    row[verdict.outcome] += 1
                    told[verdict.told[:40]] += 1
                else:
                    row["defects"].append((index, verdict.outcome, verdict.told))
        except EOFError:
            process.join()
            row["tried"] += 1
            row["defects"].append((index, "defect: process", f"ended with {process.exitcode}"))
            begin = index + 1
        process.join()
    return row


def show(kind: str, seed: int, index: int) -> None:
    """One file again, with its traceback."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-")) / "folder"
    folder.mkdir()
    (folder / EXTERNAL).write_bytes(outside_weights())
    path = folder / f"case{ENDINGS.get(kind, '.json')}"
    path.write_bytes(hostile_file(kind, seed, index))
    click.echo(f"{path}: {path.stat().st_size} bytes")
    click.echo(tried(kind, path, np.random.default_rng([seed, index]), loud=True))


@click.command()
@click.option("--files", default=50_000, show_default=True, help="Over all formats.")
@click.option("--seed", default=0, show_default=True)
@click.option("--only", multiple=True, type=click.Choice(formats()), help="Formats; repeatable.")
@click.option("--show", "shown", type=(click.Choice(formats()), int), help="Format and number of a file to try again.")
@click.option("--messages", is_flag=True, help="Also print the commonest refusals.")
def main(files: int, seed: int, only: tuple[str, ...], shown: tuple[str, int] | None, messages: bool) -> None:
    """Try damaged files."""
    if shown:
        show(shown[0], seed, shown[1])
        return
    kinds = only or tuple(formats())
    share = {kind: 3 if kind == "onnx" else 1 for kind in kinds}
    click.echo(f"{'format':<17}{'tried':>7}{'refused':>9}{'read':>7}{'worst':>9}{'memory':>9}  defects")
    total: collections.Counter[str] = collections.Counter()
    for kind in kinds:
        row = campaign(kind, seed, -(-files * share[kind] // sum(share.values())))
        click.echo(
            f"{kind:<17}{row['tried']:>7}{row['refused']:>9}{row['read']:>7}{row['worst']:>7.2f} s"
            f"{row['memory'] / 1024:>6.0f} MB  {len(row['defects'])}"
        )
        for index, outcome, told in row["defects"]:
            click.echo(f"   --seed {seed} --show '{kind}' {index}: {outcome}: {told!r}")
        if messages:
            for told, count in row["told"].most_common(12):
                click.echo(f"   {count:>6} {told!r}")
        total.update({"tried": row["tried"], "defects": len(row["defects"])})
    click.echo(f"{total['tried']} files, {total['defects']} defects")
    sys.exit(1 if total["defects"] else 0)


if __name__ == "__main__":
    main()
