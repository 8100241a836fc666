"""The experiment of Xie et al. (MLSys 2022): policies against random search and annealing, with equal samples.

    python benchmarks/policy_against_search.py                  bert-large on ring36, 5 seeds
    python benchmarks/policy_against_search.py --corpus         the 16 test models on ring16

Writes benchmarks/results/policy*.json, and for bert-large a picture.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from checked import judge

from learned.comparison.comparison import METHODS, MethodComparison, Trial, compare, sample_marks
from learned.comparison.plots import save_figure
from learned.policy.pretrained import load_policy
from learned.training.corpus import specs
from partition import load_hardware, partition
from partition.models import build

RESULTS = ROOT / "benchmarks" / "results"
MANY = ("random", "balanced", "annealing", "slicing", "scratch", "zero-shot", "fine-tuned")


def run(model: str, hardware: str, samples: int, seeds: int, methods: tuple[str, ...], jobs: int) -> MethodComparison:
    graph, hw = build(model), load_hardware(hardware)
    reference = partition(graph, hw, time_limit=20.0)
    judge(graph, hw, reference)
    trial = Trial(samples, range(seeds), methods, jobs)
    return compare(graph, hw, trial, policy=load_policy("pretrained"), reference=reference)


def one(args: argparse.Namespace) -> None:
    comparison = run("bert-large", "ring36", args.samples, args.seeds, tuple(args.methods), args.jobs)
    print(comparison.to_table())
    if set(args.methods) != set(METHODS):
        return
    tuned = comparison.median("fine-tuned")
    for rival in ("random", "balanced", "annealing", "greedy", "slicing"):
        gain = comparison.median(rival) / tuned - 1
        print(f"fine-tuned over {rival}: {gain:+.2%} throughput")
    goal = comparison.median("scratch")
    final = float(np.median([c.seconds[-1] for c in comparison.curves["scratch"]]))
    for method in ("zero-shot", "fine-tuned"):
        needed = [s or args.samples for s in comparison.samples_to(method, goal)]
        seconds = [s or final for s in comparison.seconds_to(method, goal)]
        print(
            f"{method} reaches what training from scratch ends with ({goal:.6g}) after {np.median(needed):.0f} "
            f"samples ({args.samples / np.median(needed):.0f} times fewer) and {np.median(seconds):.2f} s "
            f"(scratch: {final:.1f} s)"
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "policy.json").write_text(json.dumps(comparison.to_dict()))
    save_figure(comparison, RESULTS / "policy.png")


def many(args: argparse.Namespace) -> None:
    marks = sample_marks(args.samples)
    shares: dict[str, list[np.ndarray]] = {m: [] for m in MANY}
    tables = []
    for model in specs("test"):
        comparison = run(model, args.hw, args.samples, args.seeds, MANY, args.jobs)
        tables.append(comparison.to_dict())
        line = []
        for method in MANY:
            best = np.median([c.best for c in comparison.curves[method]], axis=0)
            share = comparison.bound / best[np.array(marks) - 1]
            shares[method].append(share)
            line.append(f"{method} {share[-1]:.3f}")
        gap = comparison.reference.gap if comparison.reference else 1.0
        print(f"{model:<62} gap of proof {gap:.2%}  " + "  ".join(line), flush=True)
    print(f"\ngeometric mean over {len(tables)} models of throughput / proved bound, medians of {args.seeds} seeds")
    print("| samples | " + " | ".join(MANY) + " |\n| ---: |" + " ---: |" * len(MANY))
    for k, mark in enumerate(marks):
        means = [float(np.exp(np.mean([np.log(max(s[k], 1e-9)) for s in shares[m]]))) for m in MANY]
        print(f"| {mark} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "policy_corpus.json").write_text(json.dumps(tables))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", action="store_true", help="the 16 test models instead of bert-large")
    parser.add_argument("--hw", default="ring16", help="package for --corpus")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS, help="of bert-large")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    (many if given.corpus else one)(given)
