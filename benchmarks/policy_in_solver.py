"""What advice buys the solver: work to optimal, final gap and primal integral, with equal work.

    python benchmarks/policy_in_solver.py --work 20                    # instances that are hard for the solver
    python benchmarks/policy_in_solver.py --work 20 --sample 24        # drawn from the test-bed
    python benchmarks/policy_in_solver.py --work 5 --sample 100 --data DATA_DIR    # and from the sets of others.py
    python benchmarks/policy_in_solver.py --work 20 --arm none --arm pretrained --arm guide.npz

Arms: ``none``; ``pretrained``; ``untrained``, the policy shipped with a guide that has learned nothing; or the path of
a policy or guide. The primal integral (Berthold, 2013) is the mean over the work of (period - best period known) /
period, 1 before there is one; work is taken to be spread evenly over the CPU time of a search. Where a search ends
before anybody is asked for advice, all arms are the same search, which is run once. Every answer is checked, and is a
line of benchmarks/results/policy_in_solver.jsonl; what is there of this commit for the same files is not
measured again, unless files of the project were changed since.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import click
import numpy as np
from checked import judge
from others import SETS
from record import commit, keep, kept
from testbed import cases

from learned.guide.guide import INPUTS, BeamGuide
from milp.state.names import Doing
from partition import Graph, Hardware, NoSolutionInTime, Progress, load_hardware, load_model, partition

RESULTS = ROOT / "benchmarks" / "results" / "policy_in_solver.jsonl"

HARD = (
    ("gnmt", "ring16"),
    ("gnmt:seq=16", "ring16"),
    ("gnmt:seq=16", "ring36:transfers=serial"),
    ("towers", "ring16"),
    ("towers", "ring16:transfers=serial"),
    ("randwire", "ring16"),
    ("randwire", "ring16:transfers=serial"),
    ("randwire", "ring36"),
    ("randwire:seed=2,nodes=48,channels=64", "ring16"),
    ("randwire", "ring8:relays=off"),
    ("densenet", "ring36:relays=off"),
    ("bert-base", "ring36:transfers=serial"),
)
"""Models and packages that the solver alone does not close."""

SEED = 0
"""Of the sample and of the searches."""


OTHERS = ("salbp2", "alwabp", "pipedream", "minos", "device-placement", "overflow")
"""Sets of other people that ask for the period."""

Build = Callable[[], tuple[Graph, Hardware]]


def built_in(model: str, hardware: str) -> Build:
    return lambda: (load_model(model).graph, load_hardware(hardware))


def sampled(count: int, data: Path | None) -> dict[str, Build]:
    """So many instances, drawn without replacement.

    From those of the test-bed with built-in models, and from other people's where ``data`` has their files: each set
    is as likely as the test-bed.
    """
    groups = [
        {
            f"{c.model} x {c.hardware}": built_in(c.model, c.hardware)
            for c in cases()
            if c.regime in ("acyclic", "rules")
        }
    ]
    for name in OTHERS if data is not None else ():
        assert data is not None
        groups.append({f"{name}: {each.name}": each.build for each in SETS[name](data)})
    every = [(name, build) for group in groups for name, build in group.items()]
    weights = np.concatenate([np.full(len(group), 1 / len(group)) for group in groups if group])
    chosen = np.random.default_rng(SEED).choice(
        len(every), min(count, len(every)), replace=False, p=weights / weights.sum()
    )
    return dict(every[k] for k in sorted(chosen.tolist()))


def file_of(arm: str, folder: Path) -> str:
    """What ``partition`` is given as its policy."""
    path = folder / "policy.npz"
    if arm == "untrained":
        rng = np.random.default_rng(SEED)
        plain = {name: rng.normal(size=(100, len(columns))).astype(np.float32) for name, columns in INPUTS.items()}
        BeamGuide.new(rng, plain).save(path)
    return str(path) if arm == "untrained" else arm


def named(arm: str) -> str:
    """An arm with what tells files of one name apart."""
    path = Path(arm)
    return f"{arm} {hashlib.sha256(path.read_bytes()).hexdigest()[:8]}" if path.is_file() else arm


def solve(name: str, build: Build, arm: str, work: float) -> dict[str, Any]:
    """One search: its status, gap, period, how the period came about, and whether it ever asked for advice."""
    graph, hw = build()
    row = {"instance": name, "arm": arm, "limit": work}
    phases: set[str] = set()
    improved: list[tuple[float, float]] = []
    begun = time.process_time()

    def look(progress: Progress) -> None:
        phases.add(progress.phase)
        if progress.period is not None and (not improved or progress.period < improved[-1][1]):
            improved.append((time.process_time() - begun, progress.period))

    with tempfile.TemporaryDirectory() as folder:
        policy = file_of(arm, Path(folder))
        begun = time.process_time()
        try:
            result = partition(graph, hw, work_limit=work, seed=SEED, policy=policy, on_progress=look)
        except NoSolutionInTime:
            return {**row, "status": "none", "gap": 1.0, "period": None, "work": work, "history": [], "advised": True}
    rate = (result.work or 0.0) / max(time.process_time() - begun, 1e-9)
    judge(graph, hw, result)
    return {
        **row,
        "status": result.status,
        "gap": result.gap if result.placement is not None else 0.0,
        "period": result.period if result.placement is not None else None,
        "work": result.work,
        "history": [(seconds * rate, period) for seconds, period in improved],
        "advised": bool(phases & {Doing.BEAMS, Doing.ADVICE, Doing.FIXINGS}),
    }


def integral(row: dict[str, Any], best: float) -> float:
    """The primal integral as a share of the work."""
    if not row["history"]:
        return 1.0
    times = [*(t for t, _ in row["history"]), row["limit"]]
    area = min(times[0], row["limit"])
    for i, (_, period) in enumerate(row["history"]):
        area += max(times[i + 1] - times[i], 0.0) * (period - best) / period
    return float(area / row["limit"])


def shortest(rows: list[dict[str, Any]]) -> float:
    """The least period that any arm found."""
    return min((row["period"] for row in rows if row["period"] is not None), default=1.0)


def summary(rows: dict[tuple[str, str], dict[str, Any]], asked: list[str], arms: list[str]) -> None:
    """Print what the other arms come to beside the first."""
    first = arms[0]
    best = {q: shortest([rows[q, arm] for arm in arms]) for q in asked}
    for arm in arms[1:]:
        pairs = [(rows[q, first], rows[q, arm], best[q]) for q in asked]
        closed = [b["work"] / max(a["work"], 1e-6) for a, b, _ in pairs if a["status"] == b["status"] == "optimal"]
        worse = [b["gap"] - a["gap"] for a, b, _ in pairs]
        left = [(a, b, at) for a, b, at in pairs if a["status"] != "optimal" or b["status"] != "optimal"]
        print(f"\n{arm} beside {first}, {len(pairs)} instances, {len(left)} left open by either:")
        if closed:
            print(f"- work to optimal: median ratio {np.median(closed):.3f} of {len(closed)}")
        counts = [sum(w > 1e-3 for w in worse), sum(w > 1e-2 for w in worse), sum(w < -1e-3 for w in worse)]
        print("- gap: worse by more than 0.1 points on {}, by 1 on {}; better by more than 0.1 on {}".format(*counts))
        if left:
            gaps = np.exp(np.mean([np.log(max(b["gap"], 1e-5) / max(a["gap"], 1e-5)) for a, b, _ in left]))
            areas = np.exp(
                np.mean([np.log(max(integral(b, at), 1e-5) / max(integral(a, at), 1e-5)) for a, b, at in left])
            )
            print(f"- of those left open: geometric mean of the gap {gaps:.3f}, of the primal integral {areas:.3f}")


@click.command()
@click.option("--work", default=20.0, show_default=True, help="Units of work an instance.")
@click.option("--sample", default=0, help="Draw so many instances of the test-bed instead of the hard ones.")
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Draw from these sets too.")
@click.option("--arm", "arms", multiple=True, default=("none", "untrained", "pretrained"), show_default=True)
def main(work: float, sample: int, data: Path | None, arms: tuple[str, ...]) -> None:
    """Print a row for each instance, and what the arms come to."""
    of, files = commit(), {named(arm): arm for arm in arms}
    known = {(r["instance"], r["arm"], r["limit"]): r for r in kept(RESULTS, of)}
    asked = sampled(sample, data) if sample else {f"{m} x {hw}": built_in(m, hw) for m, hw in HARD}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    print(f"{work:g} units of work; " + " / ".join(files))
    print("| instance | gap | period | primal integral |\n| --- | ---: | ---: | ---: |")
    for name, build in asked.items():
        alike: dict[str, Any] | None = None
        for arm, file in reversed(files.items()):
            row = known.get((name, arm, work))
            if row is None:
                row = {"commit": of, **(alike or solve(name, build, file, work)), "arm": arm}
                keep(RESULTS, row)
            alike = row if file != "none" and not row["advised"] else None
            rows[name, arm] = row
        found = [rows[name, arm] for arm in files]
        best = shortest(found)
        gaps = " / ".join(f"{r['gap']:.2%}" for r in found)
        periods = " / ".join("-" if r["period"] is None else f"{r['period']:.6g}" for r in found)
        areas = " / ".join(f"{integral(r, best):.4f}" for r in found)
        print(f"| {name} | {gaps} | {periods} | {areas} |", flush=True)
    summary(rows, list(asked), list(files))


if __name__ == "__main__":
    main()
