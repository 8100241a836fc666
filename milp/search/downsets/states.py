"""Down-sets as rows of arrays, and where to find one by its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from milp.search.downsets.names import RandomNames
from milp.search.downsets.tasks import Words
from partition.arrays import BoolArray, IntArray

MOST_BITS = 22
"""Of a name, the leading bits that the table of names in use looks at."""

SPREAD = 4
"""Entries of that table for each name, as a power of two."""


@dataclass(frozen=True, eq=False)
class Aligned:
    """Arrays that have one row each for the same things."""

    def take(self, rows: IntArray | BoolArray) -> Self:
        """Some of the things."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The things of all parts, of which there is one at least, one after the other."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


@dataclass(frozen=True, eq=False)
class States(Aligned):
    """Down-sets, each with the station that is filled next once all of its tasks are done.

    Attributes
    ----------
    done, eligible : (S, W) tasks that are done, and those that are not but all of whose predecessors are.
    ends : (S, W) tasks that are done, but none of whose successors is.
    mode, load : (S,) mode of the open station (:class:`milp.search.downsets.line.Line`), and its load in ticks.
    need : (S, P) what the undone tasks need in each measure.
    urgency : (S,) sum over the undone tasks of what the guide says each is worth (:mod:`guides`).
    name : (S,) 64 random bits for each down-set.
    parent, task, placed : (S,) row of the state in the layer before, the task added to it, and the mode it went to.
    """

    done: Words
    eligible: Words
    ends: Words
    mode: IntArray
    load: IntArray
    need: IntArray
    urgency: IntArray
    name: RandomNames
    parent: IntArray
    task: IntArray
    placed: IntArray

    def __len__(self) -> int:
        return len(self.mode)


class Index:
    """Rows by their names.

    Parameters
    ----------
    names : (S,) one or more, any of them several times.
    """

    def __init__(self, names: RandomNames) -> None:
        self._order = np.argsort(names, kind="stable")
        self._sorted = names[self._order]
        bits = min(MOST_BITS, len(names).bit_length() + SPREAD)
        self._shift = np.uint64(64 - bits)
        self._used = np.zeros(1 << bits, dtype=bool)
        self._used[(names >> self._shift).astype(np.int64)] = True

    def find(self, names: RandomNames) -> tuple[IntArray, IntArray]:
        """(places of the names that some row has, the first row that has each)."""
        maybe = np.flatnonzero(self._used[(names >> self._shift).astype(np.int64)])
        wanted = names[maybe]
        at = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        found = self._sorted[at] == wanted
        return maybe[found], self._order[at[found]]
