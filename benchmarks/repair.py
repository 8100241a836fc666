"""Valid repaired samples per second: bert-large on ring36, and with the triangle rule kept without relays.

python benchmarks/repair.py
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from learned.policy.pretrained import load_policy
from learned.policy.rollouts import Environment
from partition import load_hardware
from partition.models import build

ROWS, REPEATS = 256, 5


def rate(environment: Environment, table: np.ndarray, *, candidates: np.ndarray | None = None) -> tuple[float, float]:
    """Median of valid rows per second, and the share of rows that are valid."""
    rates, shares = [], []
    for seed in range(REPEATS):
        rng = np.random.default_rng(seed)
        begun = time.perf_counter()
        if candidates is None:
            repaired = environment.repair.sample(table, ROWS, rng)
        else:
            repaired = environment.repair.fix(candidates, rng, table)
        rates.append(repaired.valid.sum() / (time.perf_counter() - begun))
        shares.append(repaired.valid.mean())
    return float(np.median(rates)), float(np.mean(shares))


def main() -> None:
    print(f"{ROWS} rows at a time, one core, median of {REPEATS}; planning of orders included")
    print("| instance | probabilities | valid samples per second | valid |\n| --- | --- | ---: | ---: |")
    for spec in ("ring36", "ring36:transfers=serial", "ring36:relays=off"):
        environment = Environment(build("bert-large"), load_hardware(spec))
        n, chips = environment.instance.nodes, environment.instance.chips
        policy = load_policy("pretrained")
        assert policy is not None
        features = environment.features
        tables = {
            "policy": policy.propose(features, features.unseen(1), None).probabilities()[0],
            "even share of the work, +-0.5 chips": environment.balanced(0.5),
            "uniform": np.ones((n, chips)),
        }
        for name, table in tables.items():
            speed, valid = rate(environment, table)
            print(f"| bert-large x {spec} | SAMPLE, {name} | {speed:,.0f} | {valid:.1%} |", flush=True)
        candidates = np.random.default_rng(0).integers(0, chips, (ROWS, n))
        speed, valid = rate(environment, tables["uniform"], candidates=candidates)
        print(f"| bert-large x {spec} | FIX of random candidates | {speed:,.0f} | {valid:.1%} |", flush=True)


if __name__ == "__main__":
    main()
