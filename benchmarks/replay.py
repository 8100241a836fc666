"""Proofs of the test-bed written, replayed, made false and replayed again (docs/replay.md).

    python benchmarks/replay.py                          # the instances of benchmarks/solve_models.py
    python benchmarks/replay.py --only resnet50 --mutations 50

Prints a row an instance: how the solve ended, the size of its proof, the times of both, and what became of it.
Then as many proofs as asked for are made false, one change each with every fingerprint computed anew. Exits with 1 if a
true proof is rejected or a false one is not.
"""

from __future__ import annotations

import collections
import json
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click
import numpy as np
from proof_mutations import MUTATIONS, made_false
from solve_models import testbed

from partition import InvalidInput, NoSolutionInTime, partition
from partition.replay.proof_file import proof_from
from partition.replay.replaying import Replayed, replay_file
from partition.results.proof_file import proof_of


def row(model: str, hardware: str | None, limit: float) -> tuple[dict[str, Any], Replayed] | None:
    """Solve and replay one instance; print what became of it."""
    try:
        begun = time.process_time()
        result = partition(model, hardware, time_limit=limit, proof=True)
        solved = time.process_time() - begun
    except NoSolutionInTime as error:
        print(f"{Path(model).stem} {hardware}: {error}", flush=True)
        return None
    text = json.dumps(proof_of(result))
    begun = time.process_time()
    found = replay_file(proof_from(json.loads(text)))
    replayed = time.process_time() - begun
    how = ", ".join(f"{each.engine} {each.verdict}" for each in found.judgements)
    gap = "-" if result.placement is None else f"{100 * result.gap:.4f}%"
    print(
        f"| {Path(model).stem} | {hardware or '-'} | {result.status} | {gap} | {len(text) / 1e6:.2f} | {solved:.2f} "
        f"| {replayed:.2f} | {found.verdict} | {how} |",
        flush=True,
    )
    for reason in (*found.reasons, *found.trusted):
        print(f"    {reason}", flush=True)
    return json.loads(text), found


@click.command()
@click.option("--only", default="", help="Only instances whose model or hardware contains this.")
@click.option("--time-limit", default=20.0, show_default=True, help="Seconds per solve.")
@click.option("--mutations", default=200, show_default=True, help="Proofs made false.")
@click.option("--seed", default=0, show_default=True)
def main(only: str, time_limit: float, mutations: int, seed: int) -> None:
    """Write, replay, falsify."""
    print("| model | hardware | status | gap | MB | solve s | replay s | verdict | steps |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | --- | --- |")
    told = [row(model, hw, time_limit) for model, hw in testbed() if only in f"{model} {hw}"]
    done = [each for each in told if each is not None]
    verdicts = collections.Counter(found.verdict for _, found in done)
    thresholds, decided = (sum(getattr(found, key) for _, found in done) for key in ("thresholds", "decided"))
    print(f"{dict(verdicts)}; thresholds of HiGHS decided again: {decided} of {thresholds}")
    missed = falsify([proof for proof, _ in done], mutations, np.random.default_rng(seed))
    sys.exit(bool(verdicts["rejected"] or missed))


def falsify(proofs: list[dict[str, Any]], count: int, rng: np.random.Generator) -> int:
    """How many of the proofs made false are not rejected; each is printed."""
    tried: collections.Counter[str] = collections.Counter()
    missed = 0
    while proofs and sum(tried.values()) < count:
        proof = proofs[int(rng.integers(len(proofs)))]
        name = list(MUTATIONS)[int(rng.integers(len(MUTATIONS)))]
        false = made_false(proof, name, rng)
        if false is None:
            continue
        tried[name] += 1
        if not rejected(false):
            missed += 1
            print(f"NOT REJECTED: {name} of {proof['graph']['name']}", flush=True)
    print(f"{sum(tried.values()) - missed} of {sum(tried.values())} false proofs rejected: {dict(tried)}")
    return missed


def rejected(proof: dict[str, Any]) -> bool:
    """Whether a proof is rejected, as bad input or by what its steps say."""

    try:
        return replay_file(proof_from(proof), seconds=60).verdict == "rejected"
    except InvalidInput:
        return True


if __name__ == "__main__":
    main()
