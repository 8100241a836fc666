"""Time to optimal, time to the first valid answer and peak memory of two commits, run by run in turns.

    python benchmarks/paired_times.py c7882eb HEAD --record times.json           # goes on where the record ends
    python benchmarks/paired_times.py c7882eb HEAD --record times.json --acyclic # the regime of benchmarks/run
    python benchmarks/paired_times.py c7882eb HEAD --record times.json --only bert --runs 1

Each run is a process of its own: it loads the model, solves it under a work limit and says what it found. Seconds are
of processor time from the start of the process, imports included, so they hold on a machine that others use. Memory is
the most that the process held. The commits take turns, and the table shows medians.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from compare_commits import ROOT, checkout, in_commit

SLOWER, BY_SECONDS = 1.1, 0.2
"""An instance is named when the new commit takes more than this factor and these seconds longer."""

GREATER = 1.02
"""Its memory is named beyond this factor."""

LONG, LONG_RUNS = 5.0, 3
"""An instance whose first run takes these seconds of processor time is run so often, others as often as asked."""

FIGURES = ("first", "seconds", "megabytes")
"""Seconds to the first valid answer, seconds of the whole process, most memory in MB."""


def solved(model: str, package: str, work: float) -> dict[str, Any]:
    """One solve in this process: status, period, bound, and seconds since it began, to the first answer and in all."""
    from partition import NoSolutionInTime, load_hardware, load_model, partition

    source = load_model(model)
    hardware = source.hardware if package == "-" else load_hardware(package)
    first: list[float] = []

    def seen(progress: Any) -> None:
        if not first and progress.period is not None and progress.period < float("inf"):
            first.append(time.process_time())

    try:
        result = partition(source.graph, hardware, work_limit=work, on_progress=seen)
        found = {"status": result.status, "period": result.period, "bound": result.bound}
    except NoSolutionInTime:
        found = {"status": "none", "period": None, "bound": None}
    return {**found, "first": first[0] if first else None, "seconds": time.process_time()}


def measured(tree: Path, question: tuple[str, str], work: float) -> dict[str, Any]:
    """One run in a process of its own, with its most memory in MB."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "found.json"
        child = in_commit(tree, Path(__file__).resolve(), "--solve", str(path), *question, str(work), silent=True)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = status
        if status:
            raise SystemExit(f"{' x '.join(question)} failed in {tree}")
        return {**json.loads(path.read_text()), "megabytes": usage.ru_maxrss / 1024}


def questions(acyclic: bool) -> list[tuple[str, str]]:
    """(model, package) pairs; ``-`` where the file of the model brings its package."""
    if acyclic:
        from testbed import cases

        return [(case.model, case.hardware) for case in cases() if case.regime == "acyclic"]
    from solve_models import testbed

    return [(model, hardware or "-") for model, hardware in testbed()]


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each figure that any run has."""
    found = {figure: [run[figure] for run in runs if run[figure] is not None] for figure in FIGURES}
    return {figure: statistics.median(values) if values else None for figure, values in found.items()}


def runs_of(found: list[list[dict[str, Any]]], asked: int) -> int:
    """How many runs an instance gets in each commit, by the first run of either."""
    begun = [runs[0]["seconds"] for runs in found if runs]
    return min(asked, LONG_RUNS) if max(begun, default=0.0) >= LONG else asked


def summary(record: dict[str, list[list[dict[str, Any]]]]) -> str:
    """The median over instances of each figure's ratio, new / old, the medians themselves, and how many grew."""
    lines = []
    for figure, words in zip(FIGURES, ("CPU s to the first answer", "CPU s to optimal", "MB"), strict=True):
        pairs = []
        for old, new in record.values():
            if old and new and (figure != "seconds" or _settled(old, new)):
                before, after = medians(old)[figure], medians(new)[figure]
                if before is not None and after is not None:
                    pairs.append((before, after))
        if not pairs:
            continue
        olds, news = zip(*pairs, strict=True)
        ratios = [after / before for before, after in pairs]
        lines.append(
            f"- {words}: median {statistics.median(olds):.2f} -> {statistics.median(news):.2f}, ratio "
            f"{statistics.median(ratios):.2f} (least {min(ratios):.2f}, most {max(ratios):.2f}) over {len(pairs)}"
        )
    return "\n".join(lines)


def table(record: dict[str, list[list[dict[str, Any]]]]) -> str:
    """In Markdown: the medians of both commits, old -> new; an open instance has a gap in place of a time."""
    lines = [
        "| model x package | optimal, CPU s | first answer, CPU s | MB | above |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for name, (old, new) in record.items():
        if not old or not new:
            continue
        before, after = medians(old), medians(new)
        ends = [_end(runs, middle) for runs, middle in ((old, before), (new, after))]
        settled = _settled(old, new)
        named = [
            what
            for what, figure in (("optimal", "seconds"), ("first", "first"))
            if (figure == "first" or settled) and _slower(before[figure], after[figure])
        ]
        if after["megabytes"] > GREATER * before["megabytes"]:
            named.append("memory")
        firsts = " -> ".join("-" if m["first"] is None else f"{m['first']:.2f}" for m in (before, after))
        memory = " -> ".join(f"{m['megabytes']:.0f}" for m in (before, after))
        lines.append(f"| {name} | {' -> '.join(ends)} | {firsts} | {memory} | {', '.join(named)} |")
    return "\n".join(lines)


def _settled(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> bool:
    """Whether both commits came to an end of the search."""
    return all(runs[0]["status"] in ("optimal", "infeasible") for runs in (old, new))


def _end(runs: list[dict[str, Any]], middle: dict[str, float | None]) -> str:
    """Seconds to optimal, or the gap that is left."""
    last = runs[-1]
    if last["status"] == "feasible":
        return f"{100 * (last['period'] / last['bound'] - 1):.2f}% open"
    return f"{middle['seconds']:.2f}" if last["status"] == "optimal" else f"{middle['seconds']:.2f} ({last['status']})"


def _slower(before: float | None, after: float | None) -> bool:
    return before is not None and after is not None and after > SLOWER * before and after > before + BY_SECONDS


@click.command()
@click.argument("old")
@click.argument("new")
@click.option(
    "--record", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Runs, kept as they end."
)
@click.option("--runs", default=5, show_default=True, help="Of each instance in each commit.")
@click.option("--work", default=60.0, show_default=True, help="Work limit of a run.")
@click.option("--acyclic", is_flag=True, help="The acyclic regime of benchmarks/run, not benchmarks/solve_models.py.")
@click.option("--only", default="", help="Instances whose name contains this.")
@click.option("--until", default=float("inf"), help="Begin no run after so many seconds.")
def main(old: str, new: str, record: Path, runs: int, work: float, acyclic: bool, only: str, until: float) -> None:
    """Run both commits in turns and print the table."""
    begun = time.monotonic()
    commits = [
        subprocess.check_output(["git", "rev-parse", "--short", c], cwd=ROOT, text=True).strip() for c in (old, new)
    ]
    held = json.loads(record.read_text()) if record.exists() else {"commits": commits, "work": work, "runs": {}}
    if (held.get("commits"), held.get("work")) != (commits, work):
        raise click.UsageError(f"{record} holds runs of other commits or of another work limit; give another file")
    kept = held["runs"]
    asked = [q for q in questions(acyclic) if only in " x ".join(q)]
    with checkout(old) as one, checkout(new) as two:
        for turn in range(runs):
            for question in asked:
                model, package = question
                found = kept.setdefault(f"{Path(model).stem if '/' in model else model} x {package}", [[], []])
                for side, tree in ((0, one), (1, two))[:: -1 if turn % 2 else 1]:
                    if len(found[side]) <= turn < runs_of(found, runs) and time.monotonic() - begun < until:
                        found[side].append(measured(tree, question, work))
                        record.write_text(json.dumps(held, indent=1) + "\n")
    print(table(kept), summary(kept), sep="\n\n")
    often = f"medians of {runs} runs a commit ({LONG_RUNS} from {LONG:g} s on)"
    print(f"\n{commits[0]} -> {commits[1]}, {often}, work limit {work:g}.")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--solve"]:
        path, model, package, work = sys.argv[2:]
        Path(path).write_text(json.dumps(solved(model, package, float(work))))
    else:
        main()
