"""Beams alone: how short a period each way to judge states reaches, with equal expansions or equal work.

    python benchmarks/beams.py randwire:8:acyclic randwire:16:acyclic --price 0.5 --work 15
    python benchmarks/beams.py --expansions 20000 --price 0.5 --price 1 --price 2 --in-turn --guide guide.npz
    python benchmarks/beams.py --work 10 --price 0.5 --guide guide.npz --guide untrained.npz

A question is a model, a number of chips and a regime of the test-bed (benchmarks/testbed.py); without any, those on
which the guide was never taught. The price is what a unit of transfer time that crosses a boundary counts for, in a
chip's time. A guide is a file (``python -m learned.guide`` makes one). Nothing but slicing and separations runs before.
Every answer is a line of benchmarks/results/beams.jsonl; what is there of this commit for the same files is not
measured again, unless files of the project were changed since.
"""

from __future__ import annotations

import hashlib
import math
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import click
import numpy as np
from record import commit, keep, kept
from testbed import REGIMES

from learned.guide.guide import BeamGuide
from learned.guide.trials import Course, ground_of, reached
from milp.search.beams import Arm
from milp.tolerances import TOLLS

RESULTS = ROOT / "benchmarks" / "results" / "beams.jsonl"

HELD_OUT = (
    "randwire:8:acyclic", "randwire:16:acyclic", "towers:8:acyclic", "towers:16:acyclic", "rnn:8:acyclic",
    "rnn:16:acyclic", "gnmt:seq=16:8:acyclic", "gnmt:seq=16:16:acyclic", "inception:8:acyclic", "densenet:16:acyclic",
    "randwire:16:rules", "towers:16:rules",
)  # fmt: skip
"""Of families that no guide was taught on."""

IN_TURN = "in turn"
"""The arm of all constants of the search, one after the other at each width."""

WIDTH = 8
"""Of the first beams; every way's next ones are twice as wide."""


def judge(arm: str) -> tuple[list[Arm], str]:
    """The ways that an arm names, and the same name with what tells files of one name apart."""
    if arm == IN_TURN:
        return [Arm(price) for price in TOLLS], arm
    if not arm.startswith("guide "):
        return [Arm(float(arm.removeprefix("price ")))], arm
    guide = BeamGuide.load(arm.removeprefix("guide "))
    told = hashlib.sha256(guide.vector().tobytes()).hexdigest()[:8]
    return [Arm(opinion=guide)], f"{arm} {told}"


def measure(question: str, arm: list[Arm], expansions: float, work: float) -> dict[str, Any]:
    """Periods after slicing and after beams, in seconds, with what the beams took."""
    model, chips, regime = question.rsplit(":", 2)
    ground = ground_of(Course(model, f"ring{chips}:{REGIMES[regime]}"))
    begun = time.process_time()
    found = reached(ground, arm, expansions, WIDTH, work)
    unit = ground.instance.unit
    return {
        "sliced": ground.period * unit,
        "period": found.period * unit,
        "expanded": found.expanded,
        "work": found.work,
        "cpu_s": time.process_time() - begun,
    }


def summary(rows: dict[tuple[str, str], float], questions: list[str], arms: list[str]) -> list[str]:
    """Geometric means of period over that of the best constant of each question; what guides recover of the rest."""
    prices = [arm for arm in arms if arm.startswith("price ")]
    if not prices:
        return []
    least = {q: min(rows[q, p] for p in prices) for q in questions}
    mean = {arm: float(np.mean([np.log(rows[q, arm] / least[q]) for q in questions])) for arm in arms}
    best = min(prices, key=lambda p: mean[p])
    lines = [f"best constant for all: {best}; over the best constant of each question, geometric mean of the period:"]
    for arm in arms:
        shares = f"; recovers {1 - mean[arm] / mean[best]:.0%}" if arm not in prices and mean[best] > 0 else ""
        wins, losses = (
            sum(sign * (rows[q, arm] - rows[q, best]) < -1e-9 * rows[q, best] for q in questions) for sign in (1, -1)
        )
        lines.append(f"- {arm}: {np.exp(mean[arm]):.4f}{shares}; shorter on {wins}, longer on {losses}")
    return lines


@click.command()
@click.argument("questions", nargs=-1)
@click.option("--price", "prices", multiple=True, type=float, help="A constant; repeatable.")
@click.option("--guide", "guides", multiple=True, help="A guide's file; repeatable.")
@click.option("--in-turn", is_flag=True, help="The constants of the search, one after the other at each width.")
@click.option("--expansions", default=math.inf, help="Most blocks expanded.")
@click.option("--work", default=math.inf, help="Units of work for the beams.")
def main(
    questions: tuple[str, ...],
    prices: tuple[float, ...],
    guides: tuple[str, ...],
    in_turn: bool,
    expansions: float,
    work: float,
) -> None:
    """Print a row for each question, a column for each way, and a summary."""
    if math.isinf(expansions) and math.isinf(work):
        raise click.UsageError("limit the beams by --expansions or by --work")
    limit = f"{expansions:g} expansions, {work:g} units of work"
    wanted = [*(f"price {p:g}" for p in prices), *([IN_TURN] if in_turn else []), *(f"guide {g}" for g in guides)]
    arms = {name: ways for ways, name in map(judge, wanted)}
    asked, of = list(questions or HELD_OUT), commit()
    before = {(row["question"], row["arm"], row["limit"]): row for row in kept(RESULTS, of)}
    print(f"{limit}\n\n| question | sliced | " + " | ".join(arms) + " |\n| --- |" + " ---: |" * (len(arms) + 1))
    periods: dict[tuple[str, str], float] = {}
    spent = dict.fromkeys(arms, 0.0)
    for question in asked:
        for name, arm in arms.items():
            row = before.get((question, name, limit))
            if row is None:
                row = {"commit": of, "question": question, "arm": name, "limit": limit}
                row |= measure(question, arm, expansions, work)
                keep(RESULTS, row)
            periods[question, name] = row["period"]
            spent[name] += row["cpu_s"]
        shown = " | ".join(f"{periods[question, name]:.6g}" for name in arms)
        print(f"| {question} | {row['sliced']:.6g} | {shown} |", flush=True)
    print("\n" + "\n".join(summary(periods, asked, list(arms))))
    print("CPU seconds: " + ", ".join(f"{name} {seconds:.0f}" for name, seconds in spent.items()))


if __name__ == "__main__":
    main()
