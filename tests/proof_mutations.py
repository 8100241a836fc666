"""Proofs made false in one step, with every fingerprint computed anew."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from partition.results.proof_file import seal

Proof = dict[str, Any]


def _step(proof: Proof, rng: np.random.Generator, *keys: str) -> dict[str, Any] | None:
    """A step whose evidence has all the keys."""
    some = [step for step in proof["steps"] if all(step["evidence"].get(key) for key in keys)]
    return some[int(rng.integers(len(some)))] if some else None


def beyond_the_period(proof: Proof, rng: np.random.Generator) -> bool:
    """A step that calls the placement's own period impossible."""
    step, period = _step(proof, rng), proof["answer"]["period"]
    if step is None or period is None:
        return False
    step["below"] = period * (1 + 10 ** rng.uniform(-6, 0))
    return True


def all_beyond(proof: Proof, rng: np.random.Generator) -> bool:
    """Every step and the answer's bound, with the period that is told."""
    if proof["answer"]["period"] is None or not proof["steps"]:
        return False
    factor = 1 + 10 ** rng.uniform(-4, 0)
    for step in proof["steps"]:
        step["below"] = proof["answer"]["period"] * factor
    proof["answer"]["bound"] = proof["answer"]["period"] = proof["answer"]["period"] * factor
    return True


def nothing_valid(proof: Proof, rng: np.random.Generator) -> bool:
    """A step that says that nothing is valid, beside a placement."""
    step = _step(proof, rng)
    if step is None or proof["answer"]["period"] is None:
        return False
    step["below"] = None
    return True


def by_sums_alone(proof: Proof, rng: np.random.Generator) -> bool:
    """What took a program or a solver is said to follow from counting."""
    some = [step for step in proof["steps"] if step["engine"] in ("ideals", "model", "stretches", "frontiers")]
    if not some:
        return False
    some[int(rng.integers(len(some)))]["engine"] = "counting"
    return True


def rounded_too_far(proof: Proof, rng: np.random.Generator) -> bool:
    """The step below a value that can occur proves less than it did."""
    some = [step for step in proof["steps"] if step["engine"] == "values that can occur"]
    if not some:
        return False
    under = proof["steps"][some[0]["rests_on"][0]]
    under["below"] *= 1 - 10 ** rng.uniform(-2, -0.5)
    return True


def joined_ends(proof: Proof, rng: np.random.Generator) -> bool:
    """Operations far from one another are said to share a chip."""
    step = _step(proof, rng, "joined")
    if step is None:
        return False
    home = proof["answer"]["assignment"]
    rows = proof["graph"]["operations"]
    used = sorted(set(home.values()))
    first = [v for v, row in enumerate(rows) if home[row["name"]] == used[0]]
    last = [v for v, row in enumerate(rows) if home[row["name"]] == used[-1]]
    if len(used) < 3:
        return False
    step["evidence"]["joined"].append([int(rng.choice(first)), int(rng.choice(last))])
    return True


def narrower_window(proof: Proof, rng: np.random.Generator) -> bool:
    """A window of a model without the chip on which the placement has the operation."""
    step = _step(proof, rng, "first", "last")
    if step is None or not proof["answer"]["assignment"]:
        return False
    first, last = step["evidence"]["first"], step["evidence"]["last"]
    wide = [v for v in range(len(first)) if first[v] < last[v]]
    if not wide:
        return False
    v = int(rng.choice(wide))
    first[v] = last[v] + 1
    return True


def resting_on_nothing(proof: Proof, rng: np.random.Generator) -> bool:
    """A step that only passes on or rounds up what another proves, without the other."""
    some = [step for step in proof["steps"] if step["engine"] in ("values that can occur", "all orders")]
    if not some:
        return False
    some[int(rng.integers(len(some)))]["rests_on"] = []
    return True


def in_a_circle(proof: Proof, rng: np.random.Generator) -> bool:
    """A step that rests on itself."""
    if not proof["steps"]:
        return False
    number = int(rng.integers(len(proof["steps"])))
    proof["steps"][number]["rests_on"] = [number]
    return True


def another_engine(proof: Proof, rng: np.random.Generator) -> bool:
    """An engine that does not exist."""
    step = _step(proof, rng)
    if step is None:
        return False
    step["engine"] = "intuition"
    return True


def not_concluded(proof: Proof, rng: np.random.Generator) -> bool:
    """The bound said to follow from nothing."""
    proof["proves"] = []
    return bool(proof["steps"])


def moved_operation(proof: Proof, rng: np.random.Generator) -> bool:
    """The slowest operation on another chip, and a period told that is shorter."""
    home = proof["answer"]["assignment"]
    if not home or len(set(home.values())) < 2:
        return False
    slowest = max(proof["graph"]["operations"], key=lambda row: row["flops"])["name"]
    others = sorted(set(home.values()) - {home[slowest]})
    home[slowest] = int(rng.choice(others))
    proof["answer"]["period"] *= 0.99
    return True


MUTATIONS: dict[str, Callable[[Proof, np.random.Generator], bool]] = {
    mutation.__name__: mutation
    for mutation in (
        beyond_the_period, all_beyond, nothing_valid, by_sums_alone, rounded_too_far, joined_ends, narrower_window,
        resting_on_nothing, in_a_circle, another_engine, not_concluded, moved_operation,
    )
}  # fmt: skip
"""Each makes a proof false in place, and says whether it could."""


def made_false(proof: Proof, name: str, rng: np.random.Generator) -> Proof | None:
    """The proof with one change, sealed anew; None where the change does not apply."""
    false = copy.deepcopy(proof)
    return seal(false) if MUTATIONS[name](false, rng) else None
