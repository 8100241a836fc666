"""What an answer rests on that nobody knows: operations whose cost or shape the reader had to guess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.problem import Problem

NAMED = 3
"""Operations that the sentence names."""


@dataclass(frozen=True)
class Guesses:
    """The guessed operations of a model on a package.

    Attributes
    ----------
    operations : their names, those that take longest first.
    total : operations of the model.
    share : of the time of all operations, each on the kind of chip that is fastest at it; from 0 to 1.
    """

    operations: tuple[str, ...]
    total: int
    share: float

    def sentence(self) -> str:
        """How many, how much of the time, and which."""
        named = ", ".join(map(repr, self.operations[:NAMED]))
        more = ", ..." if len(self.operations) > NAMED else ""
        return (
            f"{len(self.operations)} of {self.total} operations have guessed costs or shapes, "
            f"{100 * self.share:.3g}% of the time of all ({named}{more})"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"operations": list(self.operations), "share_of_time": self.share}


def find_guesses(graph: Graph, hardware: Hardware) -> Guesses | None:
    """What was guessed of the graph; None if nothing was."""
    if not graph.guessed:
        return None
    times = Problem.of(graph, hardware).fastest
    times = np.where(np.isfinite(times), times, 0.0)
    guessed = np.array([graph.index[name] for name in graph.guessed])
    dearest = guessed[np.argsort(-times[guessed], kind="stable")]
    share = float(times[guessed].sum() / times.sum()) if times.sum() > 0 else 0.0
    return Guesses(tuple(graph.names[v] for v in dearest.tolist()), graph.n, share)
