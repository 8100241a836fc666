"""The file of a proof: the question, the answer, and every step behind the bound, each sealed with those before it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from os import PathLike
from typing import Any

from partition.files import write_atomically
from partition.problem.hardware_toml import to_toml
from partition.problem.narrowed import narrow
from partition.readers.native_json import to_dict
from partition.results.proof_steps import ProofStep
from partition.results.result import Result

FORMAT, VERSION = "mcm-partition-proof", 1

ANSWER = (
    "status", "period", "bound", "goals", "kinds", "positions", "assignment", "replicas", "relays", "schedules",
    "reason", "seconds",
)  # fmt: skip
"""What a proof has of an answer's JSON."""


def write_proof(result: Result, path: str | PathLike[str]) -> None:
    """Write what proved the bound of a result that was asked for with ``proof=True`` (docs/replay.md).

    Raises
    ------
    OSError : the file cannot be written.
    """
    write_atomically(path, json.dumps(proof_of(result), allow_nan=False) + "\n")


def proof_of(result: Result) -> dict[str, Any]:
    """The same as plain data."""
    result = _as_searched(result)
    told = result.to_dict()
    limit = result.period_limit if math.isfinite(result.period_limit) else None
    answer = {key: told[key] for key in ANSWER} | {"period_limit": limit}
    question = {"graph": to_dict(result.graph), "hardware": to_toml(result.hardware), "answer": answer}
    number: dict[int, int] = {}
    steps: list[dict[str, Any]] = []
    for step in _from_the_ground(result.proof):
        if id(step) in number:
            continue
        number[id(step)] = len(steps)
        steps.append(
            {
                "engine": step.engine,
                "below": step.below if math.isfinite(step.below) else None,
                "kinds": [result.hardware.kinds[k].name for k in step.kinds],
                "rests_on": [number[id(under)] for under in step.rests_on],
                "evidence": dict(step.evidence),
            }
        )
    proves = [number[id(step)] for step in result.proof]
    return seal({"format": FORMAT, "version": VERSION, **question, "steps": steps, "proves": proves})


def _as_searched(result: Result) -> Result:
    """The answer to the question that wishes come to: operations in groups, kinds of chips, fewer chips."""
    if not result.wishes:
        return result
    graph, hardware = result.graph, result.hardware
    narrowed = narrow(graph, hardware, result.wishes.on(graph, hardware.chips))
    return replace(result, graph=replace(narrowed.graph, limits=None), hardware=narrowed.hardware)


def _from_the_ground(steps: tuple[ProofStep, ...]) -> Iterator[ProofStep]:
    """All steps, each behind those that it rests on."""
    for step in steps:
        yield from _from_the_ground(step.rests_on)
        yield step


def seal(proof: dict[str, Any]) -> dict[str, Any]:
    """The proof with its fingerprints: of the question, and of each step with all before it."""
    seen = _fingerprint("", {key: proof[key] for key in ("format", "version", "graph", "hardware", "answer")})
    proof = proof | {"question_fingerprint": seen}
    steps = []
    for step in proof["steps"]:
        plain = {key: value for key, value in step.items() if key != "fingerprint"}
        seen = _fingerprint(seen, plain)
        steps.append(plain | {"fingerprint": seen})
    return proof | {"steps": steps, "fingerprint": _fingerprint(seen, proof["proves"])}


def _fingerprint(before: str, content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256((before + text).encode()).hexdigest()
