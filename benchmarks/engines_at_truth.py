"""Every engine asked at the truth (tests/truth.py): periods that a placement at hand has are never "impossible".

    python benchmarks/engines_at_truth.py --questions 30000                    # of each engine
    python benchmarks/engines_at_truth.py --questions 500 --engine frontiers   # of one
    python benchmarks/engines_at_truth.py --stratified --engine separations    # where it says no (tests/strata.py)
    python benchmarks/engines_at_truth.py --seed 1234                          # one question again
    python benchmarks/engines_at_truth.py --pin dram=all --pin memory=True     # only about chips that stream
    python benchmarks/engines_at_truth.py --questions 30000 --record asked.json    # goes on where it was interrupted

Prints how many questions each engine was asked, how many pairs of features met there, and every wrong answer with its
seed; then it exits with 1. Engines that a question seldom concerns get some made for them. Those that have their total
are asked no more.
"""

from __future__ import annotations

import collections
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click
import numpy as np
from questions import CHOICES, draw, to_toml
from truth import PER_CASE, PER_TRUTH, TRIALS, Tally, examine, examine_engine

from partition import RefutedBound
from partition.files import write_atomically

ENGINES = [*PER_TRUTH, *PER_CASE]


SAVED_EVERY = 20.0
"""Seconds between two records of what has been asked."""


@click.command()
@click.option("--questions", default=1000, show_default=True, help="Of each engine, at least.")
@click.option("--engine", "engines", multiple=True, type=click.Choice(ENGINES), help="Only this one; may be repeated.")
@click.option("--first-seed", default=0, show_default=True)
@click.option("--seed", type=int, help="One question alone, printed.")
@click.option("--seconds", default=float("inf"), help="Of processor time; then stop.")
@click.option("--trials", default=TRIALS, show_default=True, help="Partial placements of brute force at most.")
@click.option("--stratified", is_flag=True, help="Three of four questions from strata of each engine.")
@click.option("--pin", "pins", multiple=True, help="feature=value of tests/questions.py, or several by commas.")
@click.option("--until-wrong", is_flag=True, help="Stop at the first wrong answer.")
@click.option("--record", type=click.Path(dir_okay=False, path_type=Path), help="Keep what was asked, go on there.")
def main(
    questions: int,
    engines: tuple[str, ...],
    first_seed: int,
    seed: int | None,
    seconds: float,
    trials: int,
    stratified: bool,
    pins: tuple[str, ...],
    until_wrong: bool,
    record: Path | None,
) -> None:
    """Ask and count."""
    tally, pinned = Tally(), _pinned(pins)
    chosen = list(engines or ENGINES)
    if seed is not None:
        question = draw(np.random.default_rng(seed))
        print(question.graph, to_toml(question.hardware), sep="\n")
        examine(seed, tally, set(chosen))
    number = first_seed if record is None else _read(record, tally, first_seed)
    begun = saved = time.process_time()
    left = _left(chosen, tally, questions)
    while seed is None and left and time.process_time() - begun < seconds:
        told = len(tally.wrong)
        if pinned:
            rng = np.random.default_rng(number)
            values = {name: some[int(rng.integers(0, len(some)))] for name, some in pinned.items()}
            examine(number, tally, left, trials=trials, **values)
        else:
            _ask(number, tally, left, trials, stratified)
        for name, at, what in tally.wrong[told:]:
            print(f"{name}: seed {at}: {what[:300]}", flush=True)
        if until_wrong and tally.wrong:
            break
        left = _left(chosen, tally, questions)
        number += 1
        if record is not None and (not left or time.process_time() - saved > SAVED_EVERY):
            saved = time.process_time()
            _write(record, tally, number)
    _report(chosen, tally, time.process_time() - begun)
    sys.exit(bool(tally.wrong))


def _ask(number: int, tally: Tally, left: set[str], trials: int, stratified: bool) -> None:
    """One question of the generator to all engines, or one for each: of its strata, or that it can be asked about."""
    if number % 4 == 0:
        examine(number, tally, left, trials=trials)
        return
    for name in sorted(left):
        examine_engine(number, tally, name, trials=trials, needed=not stratified and number % 4 > 1)


def _pinned(pins: tuple[str, ...]) -> dict[str, list[Any]]:
    """Feature -> the values to draw from, by their texts."""
    found = {}
    for pin in pins:
        name, _, texts = pin.partition("=")
        known = {str(value): value for value in CHOICES.get(name, ())}
        wrong = [text for text in texts.split(",") if text not in known]
        if wrong:
            raise click.BadParameter(f"{name} has no value {wrong[0]!r}; it has {', '.join(known) or 'none'}")
        found[name] = [known[text] for text in texts.split(",")]
    return found


def _left(chosen: list[str], tally: Tally, questions: int) -> set[str]:
    return {name for name in chosen if tally.asked.get(name, 0) < questions}


def _report(chosen: list[str], tally: Tally, seconds: float) -> None:
    for name in chosen:
        print(f"{tally.asked.get(name, 0):8d} {len(tally.pairs.get(name, ())):6d}  {name}")
    met: set[tuple[str, str]] = set().union(*tally.pairs.values())
    wrong = collections.Counter(name for name, _, _ in tally.wrong)
    print(
        f"{tally.cases} cases, {len(met)} of {_pairs()} pairs of features met, "
        f"{len(tally.wrong)} wrong {dict(wrong)}, {seconds:.0f} s"
    )


def _read(record: Path, tally: Tally, first_seed: int) -> int:
    """What was asked before, and the number of the next question."""
    if not record.exists():
        return first_seed
    kept = json.loads(record.read_text(encoding="utf-8"))
    tally.cases, tally.asked = kept["cases"], kept["asked"]
    tally.wrong = [tuple(row) for row in kept["wrong"]]
    tally.pairs = {name: {tuple(pair) for pair in pairs} for name, pairs in kept["pairs"].items()}
    return int(kept["next"])


def _write(record: Path, tally: Tally, number: int) -> None:
    kept = {"next": number, "cases": tally.cases, "asked": tally.asked, "wrong": tally.wrong}
    kept["pairs"] = {name: sorted(pairs) for name, pairs in tally.pairs.items()}
    write_atomically(record, json.dumps(kept))


def _pairs() -> int:
    """How many pairs of values of two features there are."""
    counts = [len(set(values)) for values in CHOICES.values()]
    return (sum(counts) ** 2 - sum(c * c for c in counts)) // 2


if __name__ == "__main__":
    warnings.simplefilter("error", RefutedBound)
    main()
