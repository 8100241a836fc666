"""The test-bed, ours and the rivals: tables, JSON and pictures.

    benchmarks/run --methods ours-2 --time-limit 60                # certificates (hours at most; resumes where it was)
    benchmarks/run --methods ours,highs,cp-sat --time-limit 20 --chips 8 --chips 32 --regime acyclic
    benchmarks/run --report                                        # tables and pictures of what has been run

Results are kept, a line each, in benchmarks/results/run.jsonl; what is there already is not run again (--fresh begins
anew). Our answers are recomputed by tests/oracle.py. Every run is a process of its own, killed when it overruns or
grows too large.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from joblib import Parallel, delayed

sys.path.insert(0, str(Path(__file__).resolve().parent))

from testbed import ROOT, Case, cases

RESULTS = ROOT / "benchmarks" / "results"
MEMORY = 8 * 2**30
GRACE = 60.0
"""Seconds that a process may take beyond its limit, to start and to be checked."""


def run_one(case: Case, method: str, seconds: float) -> dict[str, Any]:
    """Run and describe one process."""
    command = [sys.executable, str(ROOT / "benchmarks/rivals.py"), method, case.model, case.hardware, str(seconds)]
    begun = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=seconds + GRACE,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
        )
        lines = done.stdout.strip().splitlines()
        found = json.loads(lines[-1]) if done.returncode == 0 and lines else None
        reason = (done.stderr.strip().splitlines() or ["?"])[-1]
    except subprocess.TimeoutExpired:
        found, reason = None, "killed after its time"
    if found is None:
        found = {"status": "failed", "period": None, "bound": None, "seconds": seconds, "reason": reason}
    return {"case": case.name, "regime": case.regime, "chips": case.chips, "method": method, "limit": seconds,
            "process_seconds": time.perf_counter() - begun, **found}  # fmt: skip


def quality(rows: list[dict[str, Any]]) -> str:
    """Geometric mean of bound / period by regime and number of chips; what is proved infeasible has neither."""
    groups: dict[tuple[str, str, float], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in (row for row in rows if row["status"] != "infeasible"):
        ratio = row["bound"] / row["period"] if row["period"] and row["bound"] else 0.0
        groups[row["regime"], row["method"], row["limit"]][row["chips"]].append(max(ratio, 1e-3))
    lines = []
    for (regime, method, limit), by_chips in sorted(groups.items()):
        cells = [f"{c or 'own'}: {np.exp(np.mean(np.log(r))):.4f} ({len(r)})" for c, r in sorted(by_chips.items())]
        lines.append(f"| {regime} | {method} | {limit:g} | " + ", ".join(cells) + " |")
    return "\n".join(
        [
            "| regime | method | s | chips: geometric mean of bound / period (instances) |",
            "| --- | --- | ---: | --- |",
            *lines,
        ]
    )


def duel(rows: list[dict[str, Any]]) -> str:
    """How our period and bound compare with each rival's, where both ran under the same limit."""
    by_key = {(r["case"], r["limit"], r["method"]): r for r in rows}
    columns = (
        "rival", "instances", "period better / equal / worse", "bound better / equal / worse", "their period / ours",
        "our mean gap", "theirs",
    )  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    for rival in ("highs", "cp-sat"):
        pairs = [
            (by_key[case, limit, "ours"], row)
            for (case, limit, method), row in by_key.items()
            if method == rival and (case, limit, "ours") in by_key
        ]
        if not pairs:
            continue
        infinite = float("inf")
        periods = [((a["period"] or infinite), (b["period"] or infinite)) for a, b in pairs]
        bounds = [((a["bound"] or 0.0), (b["bound"] or 0.0)) for a, b in pairs]
        ratios = [b / a for a, b in periods if np.isfinite(a) and np.isfinite(b)]
        gaps = [[1 - (r["bound"] or 0) / r["period"] if r["period"] else 1.0 for r in pair] for pair in pairs]
        lines.append(
            f"| {rival} | {len(pairs)} | {_score([(b, a) for a, b in periods])} | {_score(bounds)} "
            f"| {np.exp(np.mean(np.log(ratios))):.3f} ({len(ratios)}) "
            f"| {100 * np.mean([g[0] for g in gaps]):.2f}% | {100 * np.mean([g[1] for g in gaps]):.2f}% |"
        )
    return "\n".join(lines)


def _score(pairs: list[tuple[float, float]]) -> str:
    """Larger first entries win."""
    better = sum(a > b * (1 + 2e-4) for a, b in pairs)
    worse = sum(b > a * (1 + 2e-4) for a, b in pairs)
    return f"{better} / {len(pairs) - better - worse} / {worse}"


def pictures(rows: list[dict[str, Any]]) -> list[Path]:
    """Mean gap against time, and the performance profile of the times to a gap of 1% (Dolan and More, 2002)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    written = []
    limits = {row["limit"] for row in rows if not row["method"].startswith("ours")} or {row["limit"] for row in rows}
    rows = [row for row in rows if row["limit"] in limits]
    by_method: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        by_method[row["method"]][row["case"]] = row
    common = set.intersection(*(set(found) for found in by_method.values()))
    limit = max(limits)
    times = np.geomspace(0.05, limit, 60)
    figure, axes = plt.subplots(1, 2, figsize=(11, 4))
    reached: dict[str, np.ndarray] = {}
    for method, found in sorted(by_method.items()):
        gaps = np.ones((len(common), len(times)))
        for i, case in enumerate(sorted(common)):
            row = found[case]
            for seconds, period, bound in [*row.get("history", []), [row["seconds"], row["period"], row["bound"]]]:
                if period:
                    gaps[i, times >= seconds] = max(0.0, 1 - (bound or 0.0) / period)
        axes[0].plot(times, 100 * gaps.mean(axis=0), label=method)
        within = gaps <= 0.01
        reached[method] = np.where(within.any(axis=1), times[within.argmax(axis=1)], np.inf)
    best = np.min(list(reached.values()), axis=0)
    ratios = np.geomspace(1, 1000, 60)
    for method, seconds in sorted(reached.items()):
        with np.errstate(invalid="ignore"):
            share = [(np.isfinite(seconds) & (seconds <= r * best)).mean() for r in ratios]
        axes[1].plot(ratios, share, drawstyle="steps-post", label=method)
    axes[0].set(xscale="log", xlabel="seconds", ylabel="mean gap, %", title=f"{len(common)} instances")
    axes[1].set(xscale="log", xlabel="times the fastest", ylabel="share at a gap of 1%", ylim=(0, 1.02))
    for ax in axes:
        ax.legend()
        ax.grid(alpha=0.3)
    figure.tight_layout()
    path = RESULTS / "run.png"
    figure.savefig(path, dpi=110)
    written.append(path)
    return written


@click.command()
@click.option("--methods", default="ours", show_default=True, help="ours, ours-2, highs, cp-sat; with commas.")
@click.option("--time-limit", default=60.0, show_default=True, help="Seconds for each method and instance.")
@click.option("--chips", type=int, multiple=True, help="Only these numbers of chips; repeatable.")
@click.option("--regime", default="", help="Only this regime: acyclic, rules, triangle, device-placement.")
@click.option("--only", default="", help="Only instances whose name contains this.")
@click.option("--jobs", default=1, show_default=True, help="Processes side by side; each method counts as one.")
@click.option("--fresh", is_flag=True, help="Forget earlier results.")
@click.option("--report", is_flag=True, help="Run nothing; tables and pictures of what there is.")
@click.option("--json", "json_path", type=click.Path(), help="Also write all rows as JSON.")
def main(
    methods: str,
    time_limit: float,
    chips: tuple[int, ...],
    regime: str,
    only: str,
    jobs: int,
    fresh: bool,
    report: bool,
    json_path: str | None,
) -> None:
    """Ours against rivals over the test-bed."""
    RESULTS.mkdir(exist_ok=True)
    store = RESULTS / "run.jsonl"
    if fresh:
        store.unlink(missing_ok=True)
    rows = [json.loads(line) for line in store.read_text().splitlines()] if store.exists() else []
    done = {(row["case"], row["method"], row["limit"]) for row in rows}
    wanted = [c for c in cases() if (not chips or c.chips in chips) and regime in c.regime and only in c.name]
    tasks = [
        delayed(run_one)(case, method, time_limit)
        for case in ([] if report else wanted)
        for method in methods.split(",")
        if (case.name, method, time_limit) not in done
    ]
    for row in Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")(tasks):
        rows.append(row)
        with store.open("a") as file:
            file.write(json.dumps(row) + "\n")
        gap = f"{1 - row['bound'] / row['period']:.4f}" if row["period"] and row["bound"] else "-"
        print(
            f"{row['case']:<45} {row['method']:<7} {row['status']:<10} gap {gap} {row['seconds']:.1f} s",
            file=sys.stderr,
        )
    print(quality(rows), "\n", duel(rows), sep="\n")
    print("\n".join(map(str, pictures(rows))) if rows else "")
    if json_path:
        Path(json_path).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
