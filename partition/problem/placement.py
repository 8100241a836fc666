"""A placement: where every operation runs, what is replicated and what is relayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from partition.arrays import IntArray
from partition.errors import InvalidAssignment
from partition.problem.graph import Graph
from partition.text import shown

MOST_CHIPS = 4096


def _no_pairs() -> IntArray:
    return np.zeros((0, 2), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Placement:
    """A solution of the problem in docs/problem.md.

    Attributes
    ----------
    assignment : (n,) int, home chip of every operation.
    replicas : (r, 2) int, pairs (operation, further chip), sorted.
    relays : (k, 2) int, pairs (tensor, forwarding chip), sorted.
    """

    assignment: IntArray
    replicas: IntArray = field(default_factory=_no_pairs)
    relays: IntArray = field(default_factory=_no_pairs)

    def __repr__(self) -> str:
        chips = len(np.unique(self.assignment))
        more = f"{len(self.replicas)} replicas, {len(self.relays)} relays"
        return f"<Placement of {len(self.assignment)} operations on {chips} chips, {more}>"

    def __post_init__(self) -> None:
        assignment = np.array(self.assignment, dtype=np.int64)
        assignment.setflags(write=False)
        object.__setattr__(self, "assignment", assignment)
        for name in ("replicas", "relays"):
            pairs = np.unique(np.array(getattr(self, name), dtype=np.int64).reshape(-1, 2), axis=0)
            pairs.setflags(write=False)
            object.__setattr__(self, name, pairs)

    @property
    def replica_rows(self) -> IntArray:
        """(r, 3) rows (0, operation, chip): the replicas of a batch of one."""
        return _in_row_zero(self.replicas)

    @property
    def relay_rows(self) -> IntArray:
        """(k, 3) rows (0, tensor, chip): the relays of a batch of one."""
        return _in_row_zero(self.relays)

    @staticmethod
    def from_names(
        graph: Graph,
        assignment: Mapping[str, int],
        replicas: Mapping[str, list[int]] | None = None,
        relays: list[tuple[str, int]] | None = None,
        *,
        chips: int,
    ) -> Placement:
        """Build from names, as in the command line's JSON.

        Raises
        ------
        InvalidAssignment : an operation or tensor is unknown, missing, or on a chip outside ``0..chips-1``.
        """
        tensors = {name: t for t, name in enumerate(graph.tensor_names)}
        for name in assignment:
            if name not in graph.index:
                raise InvalidAssignment(
                    f"the assignment places operation {name!r}, which graph {graph.name!r} does not have"
                )
        missing = [name for name in graph.names if name not in assignment]
        if missing:
            raise InvalidAssignment(
                f"the assignment lacks operation {missing[0]!r} ({len(missing)} of {graph.n} are missing)"
            )
        chip = np.array([_chip(name, assignment[name], chips) for name in graph.names])
        copies = [(name, c) for name, further in (replicas or {}).items() for c in further]
        for name, _ in copies:
            if name not in graph.index:
                raise InvalidAssignment(f"a replica names operation {name!r}, which graph {graph.name!r} does not have")
        for name, _ in relays or []:
            if name not in tensors:
                raise InvalidAssignment(f"a relay names tensor {name!r}, which graph {graph.name!r} does not have")
        return Placement(
            chip,
            np.array([(graph.index[name], _chip(name, c, chips)) for name, c in copies], dtype=np.int64).reshape(-1, 2),
            np.array([(tensors[name], _chip(name, c, chips)) for name, c in relays or []], dtype=np.int64).reshape(
                -1, 2
            ),
        )

    @staticmethod
    def from_answer(graph: Graph, answer: Mapping[str, Any], *, chips: int | None = None) -> Placement:
        """From the JSON object of a solve, or from a bare map of operation names to chips.

        Parameters
        ----------
        chips : of the package; by default what the answer says.

        Raises
        ------
        InvalidAssignment : the answer is for another model or another version of it, or not of the form a solve writes.
        """
        if answer.get("status") == "infeasible":
            raise InvalidAssignment("this answer is infeasible: there is no placement in it")
        if isinstance(answer.get("rows"), list) and "searches" in answer:
            raise InvalidAssignment("this is a sweep, without placements; solve the design first, and give that answer")
        if not isinstance(answer.get("assignment"), Mapping):
            answer = {"assignment": answer}
        told = answer.get("fingerprint")
        if told is not None and told != graph.fingerprint:
            raise InvalidAssignment(
                f"the answer is for {shown(answer.get('model', 'another model'))} with fingerprint {shown(told)}, but "
                f"{graph.name!r} has {graph.fingerprint}: another model, version or dimensions; solve again"
            )
        count = chips if chips is not None else answer.get("chips", MOST_CHIPS)
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_CHIPS:
            raise InvalidAssignment(f"the answer is for {shown(count)} chips; a package has 1 to {MOST_CHIPS}")
        try:
            relays = [(str(tensor), chip) for tensor, chip in answer.get("relays") or []]
            replicas = {name: list(further) for name, further in (answer.get("replicas") or {}).items()}
        except (TypeError, ValueError, AttributeError) as error:
            raise InvalidAssignment("replicas or relays of the answer are not of the form a solve writes") from error
        return Placement.from_names(graph, answer["assignment"], replicas, relays, chips=count)


def _chip(name: str, chip: object, chips: int) -> int:
    if isinstance(chip, bool) or not isinstance(chip, int | np.integer):
        raise InvalidAssignment(f"{name!r} is assigned to {shown(chip)}; a chip is an integer 0..{chips - 1}")
    if not 0 <= chip < chips:
        raise InvalidAssignment(f"{name!r} is assigned to chip {shown(chip)}, but the package has chips 0..{chips - 1}")
    return int(chip)


def _in_row_zero(pairs: IntArray) -> IntArray:
    return np.concatenate([np.zeros((len(pairs), 1), dtype=np.int64), pairs], axis=1)
