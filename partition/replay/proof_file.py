"""The file of a proof, read and held against its fingerprints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any

from partition.errors import InvalidInput
from partition.files import read_bounded
from partition.replay.question import ReplayQuestion, exact, read_question

FORMAT, VERSION = "mcm-partition-proof", 1
LARGEST = 50 * 10**6
"""Bytes of a proof at most."""


@dataclass(frozen=True)
class Claim:
    """A step of a proof: no valid placement has a period below this.

    Attributes
    ----------
    number, engine : place in the file, and who says so.
    below : None if there is no valid placement at all.
    kinds : kind of each chip in the order it is about; empty for every order.
    rests_on : numbers of steps before it.
    evidence : see docs/replay.md.
    """

    number: int
    engine: str
    below: Fraction | None
    kinds: tuple[int, ...]
    rests_on: tuple[int, ...]
    evidence: Mapping[str, Any]

    def operations(self, key: str) -> list[int]:
        """A list of operations, or of whole numbers, of the evidence."""
        return [int(v) for v in self.evidence.get(key, ())]

    @property
    def joined(self) -> tuple[tuple[int, ...], ...]:
        """Sets of operations said to share a chip."""
        return tuple(tuple(int(v) for v in members) for members in self.evidence.get("joined", ()))


@dataclass(frozen=True, eq=False)
class ProofFile:
    """What a file holds.

    Attributes
    ----------
    proves : numbers of the steps that the answer's bound follows from.
    """

    question: ReplayQuestion
    answer: Mapping[str, Any]
    claims: tuple[Claim, ...]
    proves: tuple[int, ...]


def read_proof(path: str | PathLike[str]) -> ProofFile:
    """Read a file.

    Raises
    ------
    InvalidInput : it cannot be read, is no proof, or its fingerprints do not fit its content.
    """
    try:
        data = json.loads(read_bounded(Path(path), LARGEST))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"cannot read the proof {str(path)!r}: {reason}") from error
    return proof_from(data)


def proof_from(data: Any) -> ProofFile:
    """The same from parsed JSON."""
    if not isinstance(data, dict) or data.get("format") != FORMAT or data.get("version") != VERSION:
        raise InvalidInput(f"this is no {FORMAT} of version {VERSION}; write one with solve --proof")
    try:
        _check_fingerprints(data)
        question = read_question(data["graph"], data["hardware"])
        claims = tuple(_claim(question, number, row) for number, row in enumerate(data["steps"]))
        proves = tuple(int(number) for number in data["proves"])
        answer = dict(data["answer"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"a part of the proof is missing or damaged ({error!r}); write the proof again") from error
    if not set(proves) <= set(range(len(claims))):
        raise InvalidInput("the proof names steps that it does not have; the file is damaged")
    return ProofFile(question, answer, claims, proves)


def _claim(question: ReplayQuestion, number: int, row: Mapping[str, Any]) -> Claim:
    rests_on = tuple(int(under) for under in row["rests_on"])
    kinds = tuple(question.kinds.index(name) for name in row["kinds"])
    below = None if row["below"] is None else exact(row["below"])
    if not set(rests_on) <= set(range(number)):
        raise InvalidInput(f"step {number} of the proof rests on steps that are not before it; the file is damaged")
    if kinds and sorted(kinds) != sorted(question.of_chip):
        raise InvalidInput(f"step {number} of the proof is about chips that the package does not have")
    count = len(question.names)
    claim = Claim(number, str(row["engine"]), below, kinds, rests_on, dict(row["evidence"]))
    named = [*claim.operations("left_out"), *claim.operations("around"), *(v for each in claim.joined for v in each)]
    if not all(0 <= v < count for v in named):
        raise InvalidInput(f"step {number} of the proof names operations that the graph does not have")
    return claim


def _check_fingerprints(data: Mapping[str, Any]) -> None:
    """Each is of what it stands beside and of all before it."""
    seen = _fingerprint("", {key: data[key] for key in ("format", "version", "graph", "hardware", "answer")})
    good = seen == data["question_fingerprint"]
    for step in data["steps"]:
        seen = _fingerprint(seen, {key: value for key, value in step.items() if key != "fingerprint"})
        good = good and seen == step["fingerprint"]
    if not good or _fingerprint(seen, data["proves"]) != data["fingerprint"]:
        raise InvalidInput("a fingerprint of the proof does not fit its content; the file was changed or is damaged")


def _fingerprint(before: str, content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256((before + text).encode()).hexdigest()
