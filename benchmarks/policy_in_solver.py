"""What a policy buys the solver: time to a gap of 1%, final gap and primal integral on instances that are hard for it.

    python benchmarks/policy_in_solver.py

Arms: the solver alone (sliced orders are its seeds), with an untrained policy, with the pre-trained one. The primal
integral (Berthold, 2013) is the mean over the time limit of (period - best period known) / period, 1 before there is
one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from checked import judge

from learned.policy.features import NodeFeatures
from learned.policy.policy import Policy
from partition import NoSolutionInTime, Result, load_hardware, partition
from partition.instance.contract import contract
from partition.models import build

INSTANCES = (
    ("gnmt", "ring16"),
    ("gnmt", "ring36"),
    ("gnmt:seq=16", "ring16"),
    ("gnmt:seq=16", "ring36:transfers=serial"),
    ("towers", "ring16"),
    ("randwire", "ring16"),
    ("randwire", "ring36"),
    ("randwire:seed=2,nodes=48,channels=64", "ring16"),
    ("randwire", "ring8:relays=off"),
    ("densenet", "ring36:relays=off"),
    ("bert-base", "ring36:transfers=serial"),
)
ARMS = ("alone", "untrained", "pretrained")


def solve(model: str, hardware: str, arm: str, seconds: float, seed: int) -> Result | None:
    graph, hw = build(model), load_hardware(hardware)
    with tempfile.TemporaryDirectory() as folder:
        policy = {"alone": "none", "pretrained": "pretrained"}.get(arm, f"{folder}/untrained.npz")
        if arm == "untrained":
            Policy.new([NodeFeatures.of(contract(graph, hw))], np.random.default_rng(seed)).save(policy)
        try:
            result = partition(graph, hw, time_limit=seconds, seed=seed, policy=policy)
            judge(graph, hw, result)
            return result
        except NoSolutionInTime:
            return None


def figures(result: Result | None, seconds: float, best: float) -> tuple[float, float, float]:
    """Seconds to a gap of 1% (the limit if not reached), final gap, primal integral as a share of the limit."""
    if result is None:
        return seconds, 1.0, 1.0
    reached = [p.seconds for p in result.history if p.gap is not None and p.gap <= 0.01]
    known = [(p.seconds, p.period) for p in result.history if p.period is not None]
    times = [t for t, _ in known] + [seconds]
    area = known[0][0] + sum(
        (times[i + 1] - times[i]) * (period - best) / period for i, (_, period) in enumerate(known)
    )
    return (reached[0] if reached else seconds), result.gap, area / seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    calls = [(m, h, arm, args.seconds, s) for m, h in INSTANCES for arm in ARMS for s in range(args.seeds)]
    results = dict(zip(calls, Parallel(n_jobs=args.jobs)(delayed(solve)(*c) for c in calls), strict=True))
    print(f"{args.seconds:g} s an instance, {args.seeds} seeds, {args.jobs} at a time; medians")
    print("| instance | time to 1%, s: " + " / ".join(ARMS) + " | gap | period to best | primal integral |")
    print("| --- | ---: | ---: | ---: | ---: |")
    table = []
    for model, hardware in INSTANCES:
        runs = {a: [r for c, r in results.items() if c[:3] == (model, hardware, a)] for a in ARMS}
        best = min((r.period for rs in runs.values() for r in rs if r is not None), default=float("inf"))
        row = {}
        for arm, found in runs.items():
            columns = np.median([figures(r, args.seconds, best) for r in found], axis=0)
            period = np.median([np.inf if r is None else r.period for r in found])
            row[arm] = [*columns.tolist(), float(period / best)]
        table.append({"instance": f"{model} on {hardware}", **row})
        cells = [
            " / ".join(f"{row[a][i]:{f}}" for a in ARMS) for i, f in ((0, ".1f"), (1, ".2%"), (3, ".4f"), (2, ".4f"))
        ]
        print(f"| {model} x {hardware} | " + " | ".join(cells) + " |", flush=True)
    for i, name in ((0, "time to 1%"), (2, "primal integral")):
        means = [float(np.exp(np.mean([np.log(max(r[a][i], 1e-6)) for r in table]))) for a in ARMS]
        print(f"geometric mean of {name}: " + ", ".join(f"{a} {m:.4g}" for a, m in zip(ARMS, means, strict=True)))
    (ROOT / "benchmarks" / "results").mkdir(exist_ok=True)
    (ROOT / "benchmarks" / "results" / "policy_in_solver.json").write_text(
        json.dumps(table).replace("Infinity", "null")
    )


if __name__ == "__main__":
    main()
