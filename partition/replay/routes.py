"""The links that a tensor crosses from one chip to another, and where the stages of a pipeline stand."""

from __future__ import annotations

from partition.replay.question import ReplayQuestion

Link = tuple[int, int]


def places(question: ReplayQuestion) -> tuple[int, ...]:
    """Where each stage stands if nobody moves it: as given, or one neighbour after another, to and fro on a mesh."""
    if question.positions or question.topology != "mesh":
        return question.positions or tuple(range(question.chips))
    width = int(question.link["columns"])
    rows = [list(range(first, first + width)) for first in range(0, question.chips, width)]
    return tuple(chip for r, row in enumerate(rows) for chip in (row[::-1] if r % 2 else row))


def stages_may_move(question: ReplayQuestion) -> bool:
    """Whether the stages may stand anywhere: on routes, where all chips are alike."""
    return question.routed and len(set(question.of_chip)) == 1


def crossed(question: ReplayQuestion, where: tuple[int, ...], home: int, chips: set[int]) -> set[Link]:
    """The links that a tensor crosses from its home to these chips; ``where`` each stage stands."""
    if question.routed:
        return {link for chip in chips for link in _route(question, where[home], where[chip])}
    if not question.in_line:
        return set()
    farthest = max((chip - home) % question.chips for chip in chips)
    return {((home + i) % question.chips, (home + i + 1) % question.chips) for i in range(farthest)}


def _route(question: ReplayQuestion, here: int, goal: int) -> list[Link]:
    found = []
    while here != goal:
        if question.topology == "mesh":
            width = int(question.link["columns"])
            if here % width != goal % width:
                there = here + (1 if goal % width > here % width else -1)
            else:
                there = here + (width if goal > here else -width)
        elif question.topology == "biring":
            up = (goal - here) % question.chips
            there = (here + (1 if 2 * up <= question.chips else -1)) % question.chips
        else:
            there = here + (1 if goal > here else -1)
        found.append((here, there))
        here = there
    return found
