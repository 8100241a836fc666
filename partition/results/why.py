"""Why no placement is better: the fact that accounts for most of the bound, and what proved the rest, in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from partition.amounts import gap_text
from partition.problem.graph import Graph
from partition.results.lower_bound import GIVEN
from partition.results.proof_steps import ProofStep

SHOWN = 3
"""Operations or tensors that are named in a sentence."""

PLAIN = 0.95
"""Share of the period from which what counting tells is enough, and windows are not looked at."""

WORTH = 0.5
"""Share of the period from which a fact that does not explain all of it is told."""

WhyKind = Literal["operation", "operations", "crowd", "work", "streaming", "chip", "link", "search", "nothing"]


@dataclass(frozen=True)
class Why:
    """Why no placement has a shorter period than the bound, as far as it is known.

    Attributes
    ----------
    kind : what accounts for most of the period in every placement that is as good. It is one ``operation``, several
        ``operations`` that share a chip, or a ``crowd`` of which some chip must hold several. It is all ``work``, the
        ``streaming`` of weights, or what one ``chip`` or ``link`` is bound to do. It is ``search`` where only the
        search tells, and ``nothing`` without a bound.
    share : of the period, that this alone takes.
    chip, link : by number, or None.
    operations, tensors : what it is about; empty for ``work`` and ``search``.
    engine : what proved the bound (docs/replay.md), empty where no record of it was kept.
    sentence : all this in words.
    """

    kind: WhyKind
    share: float
    chip: int | None
    link: int | None
    operations: tuple[str, ...]
    tensors: tuple[str, ...]
    engine: str
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(told: Mapping[str, Any]) -> Why:
        """What :meth:`to_dict` gave.

        Raises
        ------
        KeyError, TypeError, ValueError : it is not of that form.
        """
        given = {f.name: told[f.name] for f in fields(Why)}
        for name in ("operations", "tensors"):
            given[name] = tuple(map(str, given[name]))
        if not isinstance(given["sentence"], str) or not 0 <= float(given["share"]) <= 1:
            raise ValueError("no sentence, or no share")
        return Why(**given)


def names_text(names: Sequence[str], graph: Graph | None = None) -> str:
    """The first few names, quoted, and how many more there are; operations of a graph with their kinds."""
    told = repr if graph is None else lambda name: graph.told(graph.index[name])
    shown = ", ".join(map(told, names[:SHOWN]))
    more = len(names) - SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def proved_by(steps: Sequence[ProofStep], graph: Graph) -> tuple[str, str]:
    """Name of the engine that proved a bound, and how it did, in words; two empty texts without a record.

    Parameters
    ----------
    steps : a claim for all orders of the kinds, or one for each order.
    """
    if not steps:
        return "", ""
    step = max(steps, key=lambda s: -s.below if math.isfinite(s.below) else -math.inf)  # the weakest decides
    said = _in_words(step, graph)
    if not step.kinds and "order of the kinds" not in said and engine_of(step) != GIVEN:
        said = f"in every order of the kinds, {said}"
    if len(steps) > 1:
        said = f"each of the {len(steps)} orders of the kinds has a proof; in the one that allows most, {said}"
    return engine_of(step), said


def engine_of(step: ProofStep) -> str:
    """The engine at the ground of a claim that only passes on another one."""
    while step.engine in PASSED_ON and step.rests_on:
        step = step.rests_on[0]
    return step.engine


def _in_words(step: ProofStep, graph: Graph) -> str:
    if step.engine in PASSED_ON:
        ground = f"{_in_words(step.rests_on[0], graph)}, and " if step.rests_on else ""
        return ground + PASSED_ON[step.engine]
    tell = TOLD.get(step.engine)
    said = f"the search step {step.engine!r} proved it" if tell is None else tell(step, graph)
    joined = step.evidence.get("joined", ())
    if joined:
        said += f"; it used that {_count(len(joined), 'set')} of operations cannot be torn apart within such a period"
    for below in step.rests_on:
        said += f"; {_in_words(below, graph)}"
    return said


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _ideals(step: ProofStep, graph: Graph) -> str:
    out = len(step.evidence.get("left_out", ()))
    said = "all ways to cut the model into consecutive blocks, one a chip, were gone through"
    return said + (f" ({out} of {graph.n} operations left out, which only allows more)" if out else "")


def _model(step: ProofStep, graph: Graph) -> str:
    first, last = (np.asarray(step.evidence[name]) for name in ("first", "last"))
    fixed = int((first == last).sum())
    wide = float((last - first + 1)[last > first].mean()) if fixed < len(first) else 1.0
    rest = f", the others {wide:.1f} on average" if fixed < len(first) else ""
    return (
        f"within such a period {fixed} of {graph.n} operations have one possible chip{rest}; "
        "HiGHS, an integer programming solver, excluded every combination"
    )


def _around(step: ProofStep, graph: Graph) -> str:
    names = [graph.names[v] for v in step.evidence.get("around", ())]
    return (
        f"whatever the chip of {names_text(names, graph)} does besides, computing and transfers take it as long: "
        "HiGHS tried every set of operations that it can hold"
    )


def _crowds(step: ProofStep, graph: Graph) -> str:
    names = [graph.names[v] for v in step.evidence.get("around", ())]
    return (
        f"some chip must hold several of the {len(names)} heaviest operations ({names_text(names, graph)}), and HiGHS "
        "told what that takes with their transfers"
    )


def _told(words: str) -> Callable[[ProofStep, Graph], str]:
    return lambda step, graph: words


TOLD: Mapping[str, Callable[[ProofStep, Graph], str]] = {
    "work": _told("counting the work proves it"),
    "counting": _told("counting shows that nothing fits"),
    "windows": _told(
        "within such a period some operation has no chip left: what must run before it overfills the chips up to its "
        "own, or what must run behind it those from its own on"
    ),
    "ideals": _ideals,
    "stretches": _told("the model was cut where all data passes one operation, and every cut of each stretch tried"),
    "frontiers": _told("operations were placed one after the other, and every state that still matters was kept"),
    "down-sets": _told("every set of operations that the first chips can hold was gone through, chip after chip"),
    "down-sets of any order": _told(
        "every set of operations that the first chips can hold was gone through, in every order of the kinds"
    ),
    "model": _model,
    "blocks": _around,
    "crowds": _crowds,
    GIVEN: lambda step, graph: f"the bound was given by {step.evidence.get('source', 'the caller')}",
    "block capacity": _told("HiGHS told how much a chip can compute at most beside its transfers"),
}
"""How each engine proves a bound; the names are those of docs/replay.md."""

PASSED_ON: Mapping[str, str] = {
    "values that can occur": "no sum of operation times lies between that and the bound",
    "static memory": "schedules can only make it longer",
    "all orders": "that holds for every order of the kinds",
}
"""Engines that rest on another step, and what they add to it."""


def open_text(gap: float) -> str:
    """What is not proved, for the end of a sentence."""
    return f"; the last {gap_text(gap)} of the period are open: nothing is proved about them"
