"""What every chip runs and what moves between them, in an order in which the chips can run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import numpy as np

from partition.errors import InvalidAssignment
from partition.problem.graph import Graph
from partition.problem.placement import Placement
from partition.scoring.transfers import TransferModel


@dataclass(frozen=True, eq=False)
class Flows:
    """A placement, chip by chip.

    Attributes
    ----------
    graph, placement : the question and its answer.
    chips : how many there are up to the last one used.
    here : for every chip the operations that run there, replicas included.
    sent : (tensor, source) -> chips that receive it from there.
    source : (tensor, chip) -> chip that sends it.
    order : chips that run or hand on anything but inputs that they alone would read, sources before receivers.
    """

    graph: Graph
    placement: Placement
    chips: int
    here: tuple[frozenset[int], ...]
    sent: Mapping[tuple[int, int], list[int]]
    source: Mapping[tuple[int, int], int]
    order: tuple[int, ...]

    @staticmethod
    def of(graph: Graph, placement: Placement) -> Flows:
        """From a placement.

        Raises
        ------
        InvalidAssignment : the chips feed one another in a circle.
        """
        chips = int(max([placement.assignment.max(), *placement.replicas[:, 1], *placement.relays[:, 1]])) + 1
        here: list[set[int]] = [set() for _ in range(chips)]
        for v, c in [*enumerate(placement.assignment.tolist()), *placement.replicas.tolist()]:
            here[c].add(v)
        moved = TransferModel(graph, chips).find(
            placement.assignment[None], placement.replica_rows, placement.relay_rows
        )
        sent: dict[tuple[int, int], list[int]] = defaultdict(list)
        source: dict[tuple[int, int], int] = {}
        for t, c, a in zip(moved.tensor.tolist(), moved.chip.tolist(), moved.source.tolist(), strict=True):
            sent[t, a].append(c)
            source[t, c] = a
        inputs = set(np.flatnonzero(graph.is_source).tolist())
        senders = {a for _, a in sent}
        works = [bool(here[c] - inputs) or c in senders for c in range(chips)]
        order = tuple(c for c in _order(here, source) if works[c])
        return Flows(graph, placement, chips, tuple(map(frozenset, here)), dict(sent), source, order)


def _order(here: list[set[int]], source: Mapping[tuple[int, int], int]) -> list[int]:
    sorter: TopologicalSorter[int] = TopologicalSorter({c: () for c in range(len(here)) if here[c]})
    for (_, chip), sender in source.items():
        sorter.add(chip, sender)
    try:
        sorter.prepare()
    except CycleError as error:
        raise InvalidAssignment(
            "the chips feed one another in a circle, so the parts cannot run one after the other; "
            "partition with the acyclic rule"
        ) from error
    order: list[int] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        sorter.done(*ready)
        order += ready
    return order
