"""Graphs beyond brute force, wide ones above all: CP-SAT on a plain model of its own is the judge.

    python benchmarks/mid_sizes.py --instances 1000 --seconds 10

Each instance (tests/questions.py; 15 to 60 operations on 4 to 16 chips, smaller ones with relays and replicas) is
solved by the library, 5 s each; then CP-SAT (tests/plain_model.py) is asked for any placement with a period below the
proved bound, or for any at all where the answer is "infeasible". Every answer also passes tests/oracle.py, and every
engine of plain arithmetic is asked about the period of the placement found. Undecided questions are counted apart.
"""

from __future__ import annotations

import collections
import json
import sys
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click
import numpy as np
import truth as engines
from oracle import Problem, broken_rules, certify, cost_of
from plain_model import ask, modelled
from questions import Question, draw
from truth import BUILDING, PER_TRUTH, Case, Truth

from partition import NoSolutionInTime, RefutedBound, Result, partition

WIDE = ("layers", "layers", "parallel", "isolated", "grid", "star", "broadcast", "random", "ladder", "mirror")
ALLOWED = {
    "times": ("whole", "equal"), "sizes": ("whole", "whole", "none"), "bandwidth": (1.0, 0.5, 4.0),
    "profiled": ("none", "some"), "traffic": ("none",), "speeds": ("equal", "unequal"), "kind_order": ("fixed",),
    "topology": ("chain", "ring", "memory", "crossbar"), "sram": ("unlimited", "unlimited", "chipwise"),
}  # fmt: skip
"""Figures in whole numbers of a unit, and what the plain model speaks of."""


def question(seed: int) -> Question:
    """Wide graphs in whole numbers; the more operations, the fewer ways to choose for each."""
    rng = np.random.default_rng(seed)
    pinned = {name: values[int(rng.integers(0, len(values)))] for name, values in ALLOWED.items()}
    pinned |= {"shape": str(rng.choice(WIDE)), "dynamic_memory": False, "wishes": "none"}
    if pinned["times"] == "equal":
        pinned["times"] = "whole"
    large = rng.random() < 0.5
    if large:
        pinned |= {"relays": False, "replication": False}
    n, chips = ((30, 60), (4, 16)) if large else ((15, 30), (4, 6))
    return draw(rng, n=n, chips=chips, **pinned)


def judge(seed: int, seconds: float) -> str:
    """What came of one instance; AssertionError on a wrong answer."""
    asked = question(seed)
    p = Problem(asked.problem)
    if not modelled(p):
        return "not in whole numbers"
    graph, hardware = asked.read()
    try:
        result = partition(graph, hardware, time_limit=5)
    except NoSolutionInTime:
        return "no answer in time"
    if result.status == "infeasible":
        verdict = ask(p, float("inf"), seconds=seconds)
        assert verdict.status != "feasible", "infeasible, yet CP-SAT has a placement"
        return f"infeasible, {verdict.status}"
    certify(asked.problem, json.loads(result.to_json()))
    _engines(asked, seed, result)
    verdict = ask(p, result.bound, seconds=seconds)
    if verdict.status == "feasible":
        assert verdict.answer is not None
        broken = broken_rules(p, verdict.answer)
        assert broken, f"bound {result.bound}, yet {cost_of(p, verdict.answer)['period']} can be had"
        return f"the judge broke a rule: {broken[0].split(':')[0]}"
    proved = "proved" if result.status == "optimal" else "with a gap"
    return f"{proved}, {'confirmed' if verdict.status == 'infeasible' else 'undecided'}"


def _engines(asked: Question, seed: int, result: Result) -> None:
    """The engines of plain arithmetic about the period of the placement found."""
    assert result.placement is not None
    truth = Truth(result.graph, result.hardware, result.placement, result.period)
    case = Case(asked, result.graph, result.hardware, None, [truth], [], seed)
    for name, engine in PER_TRUTH.items():
        if name not in BUILDING | {"stages"}:
            try:
                engine(case, truth)
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from error


@click.command()
@click.option("--instances", default=100, show_default=True)
@click.option("--first-seed", default=0, show_default=True)
@click.option("--seconds", default=10.0, show_default=True, help="For CP-SAT, each.")
@click.option("--limit", default=float("inf"), help="Stop after so many seconds.")
def main(instances: int, first_seed: int, seconds: float, limit: float) -> None:
    """Compare and count."""
    counts: collections.Counter[str] = collections.Counter()
    begun = time.perf_counter()
    for seed in range(first_seed, first_seed + instances):
        if time.perf_counter() - begun > limit:
            break
        try:
            counts[judge(seed, seconds)] += 1
        except Exception as error:
            print(f"seed {seed}: {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True)
            counts["WRONG"] += 1
    for what, count in sorted(counts.items()):
        print(f"{count:6d}  {what}")
    print(f"{counts.total()} instances, {counts['WRONG']} wrong, {time.perf_counter() - begun:.0f} s")
    sys.exit(counts["WRONG"] > 0)


if __name__ == "__main__":
    warnings.simplefilter("error", RefutedBound)
    engines.LIMIT = 1.0
    main()
