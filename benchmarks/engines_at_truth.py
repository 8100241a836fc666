"""Every engine asked at the truth (tests/truth.py): periods that a placement at hand has are never "impossible".

    python benchmarks/engines_at_truth.py --questions 30000                    # of each engine
    python benchmarks/engines_at_truth.py --questions 500 --engine frontiers   # of one
    python benchmarks/engines_at_truth.py --stratified --engine separations    # where it says no (tests/strata.py)
    python benchmarks/engines_at_truth.py --seed 1234                          # one question again

Prints how many questions each engine was asked, how many pairs of features met, and every wrong answer with its seed;
then it exits with 1.
"""

from __future__ import annotations

import collections
import sys
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click
import numpy as np
from questions import CHOICES, draw, to_toml
from truth import PER_CASE, PER_TRUTH, TRIALS, Tally, examine, examine_engine

from partition import RefutedBound

ENGINES = [*PER_TRUTH, *PER_CASE]


@click.command()
@click.option("--questions", default=1000, show_default=True, help="Of each engine, at least.")
@click.option("--engine", "engines", multiple=True, type=click.Choice(ENGINES), help="Only this one; may be repeated.")
@click.option("--first-seed", default=0, show_default=True)
@click.option("--seed", type=int, help="One question alone, printed.")
@click.option("--seconds", default=float("inf"), help="Stop after this long.")
@click.option("--trials", default=TRIALS, show_default=True, help="Partial placements of brute force at most.")
@click.option("--stratified", is_flag=True, help="Three of four questions from strata of each engine.")
@click.option("--until-wrong", is_flag=True, help="Stop at the first wrong answer.")
def main(
    questions: int,
    engines: tuple[str, ...],
    first_seed: int,
    seed: int | None,
    seconds: float,
    trials: int,
    stratified: bool,
    until_wrong: bool,
) -> None:
    """Ask and count."""
    left = set(engines or ENGINES)
    tally = Tally({}, [], pairs=set())
    if seed is not None:
        question = draw(np.random.default_rng(seed))
        print(question.graph, to_toml(question.hardware), sep="\n")
        examine(seed, tally, left)
    begun, number = time.perf_counter(), first_seed
    while seed is None and left and time.perf_counter() - begun < seconds:
        told = len(tally.wrong)
        if stratified and number % 4:
            for name in sorted(left):
                examine_engine(number, tally, name, trials=trials)
        else:
            examine(number, tally, left, trials=trials)
        for name, at, what in tally.wrong[told:]:
            print(f"{name}: seed {at}: {what[:300]}", flush=True)
        if until_wrong and tally.wrong:
            break
        left = {name for name in left if tally.asked.get(name, 0) < questions}
        number += 1
    for name in engines or ENGINES:
        print(f"{tally.asked.get(name, 0):8d}  {name}")
    possible = _pairs()
    wrong = collections.Counter(name for name, _, _ in tally.wrong)
    print(
        f"{tally.cases} cases, {len(tally.pairs or ())} of {possible} pairs of features met, "
        f"{len(tally.wrong)} wrong {dict(wrong)}, {time.perf_counter() - begun:.0f} s"
    )
    sys.exit(bool(tally.wrong))


def _pairs() -> int:
    """How many pairs of values of two features there are."""
    counts = [len(set(values)) for values in CHOICES.values()]
    return (sum(counts) ** 2 - sum(c * c for c in counts)) // 2


if __name__ == "__main__":
    warnings.simplefilter("error", RefutedBound)
    main()
