"""What advice buys the solver: work to optimal, final gap and primal integral, with equal work.

    python benchmarks/policy_in_solver.py --work 20                    # instances that are hard for the solver
    python benchmarks/policy_in_solver.py --work 20 --sample 24        # drawn from the test-bed
    python benchmarks/policy_in_solver.py --work 20 --arm none --arm pretrained --arm guide.npz

Arms: ``none``; ``pretrained``; ``untrained``, the policy shipped with a guide that has learned nothing; or the path of
a policy or guide. The primal integral (Berthold, 2013) is the mean over the work of (period - best period known) /
period, 1 before there is one; work is taken to be spread evenly over the seconds of a search. Every answer is checked,
and is a line of benchmarks/results/policy_in_solver.jsonl; what is there of this commit for the same files is not
measured again, unless files of the project were changed since.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import click
import numpy as np
from checked import judge
from record import commit, keep, kept
from testbed import cases

from learned.guide.guide import INPUTS, BeamGuide
from partition import NoSolutionInTime, load_hardware, partition
from partition.models import build

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


def sampled(count: int) -> list[tuple[str, str]]:
    """So many instances of the test-bed whose models are built in, drawn without replacement."""
    built_in = [(case.model, case.hardware) for case in cases() if case.regime in ("acyclic", "rules")]
    chosen = np.random.default_rng(SEED).choice(len(built_in), min(count, len(built_in)), replace=False)
    return [built_in[k] for k in sorted(chosen.tolist())]


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


def solve(model: str, hardware: str, arm: str, work: float) -> dict[str, Any]:
    """One search: its status, gap, period, and how period and bound came about."""
    graph, hw = build(model), load_hardware(hardware)
    row = {"model": model, "hardware": hardware, "arm": arm, "limit": work}
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = partition(graph, hw, work_limit=work, seed=SEED, policy=file_of(arm, Path(folder)))
        except NoSolutionInTime:
            return {**row, "status": "none", "gap": 1.0, "period": None, "work": work, "history": []}
    judge(graph, hw, result)
    rate = (result.work or 0.0) / max(result.seconds, 1e-9)
    history = [(p.seconds * rate, p.period) for p in result.history if p.period is not None]
    return {
        **row,
        "status": result.status,
        "gap": result.gap,
        "period": result.period,
        "work": result.work,
        "history": history,
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


def summary(rows: dict[tuple[str, str, str], dict[str, Any]], asked: list[tuple[str, str]], arms: list[str]) -> None:
    """Print what the other arms come to beside the first."""
    first = arms[0]
    best = {
        q: min((rows[*q, a]["period"] for a in arms if rows[*q, a]["period"] is not None), default=1.0) for q in asked
    }
    for arm in arms[1:]:
        pairs = [(rows[*q, first], rows[*q, arm], best[q]) for q in asked]
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
@click.option("--arm", "arms", multiple=True, default=("none", "untrained", "pretrained"), show_default=True)
def main(work: float, sample: int, arms: tuple[str, ...]) -> None:
    """Print a row for each instance, and what the arms come to."""
    of, files = commit(), {named(arm): arm for arm in arms}
    known = {(r["model"], r["hardware"], r["arm"], r["limit"]): r for r in kept(RESULTS, of)}
    asked = sampled(sample) if sample else list(HARD)
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    print(f"{work:g} units of work; " + " / ".join(files))
    print("| instance | gap | period | primal integral |\n| --- | ---: | ---: | ---: |")
    for model, hardware in asked:
        for arm, file in files.items():
            row = known.get((model, hardware, arm, work))
            if row is None:
                row = {"commit": of, **solve(model, hardware, file, work), "arm": arm}
                keep(RESULTS, row)
            rows[model, hardware, arm] = row
        found = [rows[model, hardware, arm] for arm in files]
        best = min((r["period"] for r in found if r["period"] is not None), default=1.0)
        gaps = " / ".join(f"{r['gap']:.2%}" for r in found)
        periods = " / ".join("-" if r["period"] is None else f"{r['period']:.6g}" for r in found)
        areas = " / ".join(f"{integral(r, best):.4f}" for r in found)
        print(f"| {model} x {hardware} | {gaps} | {periods} | {areas} |", flush=True)
    summary(rows, asked, list(files))


if __name__ == "__main__":
    main()
