"""Ideals of which most hold the same nodes: tables of those in which they differ, for sums and counts over all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from milp.ideals.enumeration import CHUNK, Kept, bits, member
from partition.arrays import BoolArray, FloatArray, IntArray


class Window:
    """Ideals of which most hold the same nodes: those that all hold, and a column for each node in which they differ.

    Attributes
    ----------
    common, active : (N,) bool, the nodes that all ideals hold, and those that only some hold.
    nodes : the active ones, a column each.
    """

    def __init__(self, kept: Kept, words: NDArray[np.uint64]) -> None:
        self.words = words
        common, some = np.bitwise_and.reduce(words, axis=0), np.bitwise_or.reduce(words, axis=0)
        self.varying = np.flatnonzero(common != some)
        self.inside = member((some & ~common)[None])[0] > 0
        self.nodes = kept.nodes[self.inside[: len(kept.nodes)]]
        self.active = np.zeros(len(kept.node), dtype=bool)
        self.active[self.nodes] = True
        self.common = np.zeros(len(kept.node), dtype=bool)
        self.common[kept.nodes[member(common[None])[0][: len(kept.nodes)] > 0]] = True
        self.column = np.full(len(kept.node), -1)
        self.column[self.nodes] = np.arange(len(self.nodes))

    @cached_property
    def member(self) -> NDArray[np.uint8]:
        """(I, nodes) 0 or 1, whether each ideal holds each active node."""
        return member(self.words[:, self.varying])[:, self.inside.reshape(-1, 64)[self.varying].reshape(-1)]

    def sums(self, amounts: FloatArray) -> FloatArray:
        """(I, ...) sum of ``amounts`` (nodes, ...) over the active nodes of each ideal."""
        step = CHUNK
        parts = [self.member[b : b + step].astype(np.float64) @ amounts for b in range(0, len(self.member), step)]
        return np.concatenate(parts)

    def counts(
        self, pairs: tuple[IntArray, IntArray], rows: IntArray, count: int, dtype: type = np.int16
    ) -> NDArray[Any]:
        """(I, rows) how many of the nodes paired with each of ``rows`` (of ``count``) an ideal holds."""
        number = np.full(count, -1)
        number[rows] = np.arange(len(rows))
        row, node = pairs
        row, node = number[row[number[row] >= 0]], node[number[row] >= 0]
        base: NDArray[Any] = self.held_by_all((row, node), len(rows)).astype(dtype)
        here = self.active[node]
        matrix = sp.csr_array(
            (np.ones(int(here.sum()), np.float32), (self.column[node[here]], row[here])),
            shape=(self.member.shape[1], len(rows)),
        )
        step = CHUNK
        parts = [self.member[b : b + step].astype(np.float32) @ matrix for b in range(0, len(self.member), step)]
        return np.asarray(np.concatenate(parts).astype(dtype) + base)

    def held_by_all(self, pairs: tuple[IntArray, IntArray], count: int) -> IntArray:
        """(count,) how many of the nodes paired with each row all ideals hold."""
        row, node = pairs
        return np.bincount(row[self.common[node]], minlength=count)

    def active_rows(self, pairs: tuple[IntArray, IntArray]) -> IntArray:
        """The rows that are paired with an active node."""
        return np.unique(pairs[0][self.active[pairs[1]]])


@dataclass(frozen=True, eq=False)
class Patterns:
    """Distinct sets of kept nodes, none of them empty.

    Attributes
    ----------
    pairs : (P,) and (P,) set and node.
    size, amount : of each set, its nodes and an amount.
    """

    pairs: tuple[IntArray, IntArray]
    size: IntArray
    amount: FloatArray

    def sums(self, window: Window, counts: Callable[[IntArray, IntArray], BoolArray]) -> FloatArray:
        """(I,) the amounts of the sets that count, by how many of its nodes each ideal holds and its size."""
        rows = window.active_rows(self.pairs)
        fixed = counts(window.held_by_all(self.pairs, len(self.size)), self.size)
        fixed[rows] = False
        held = window.counts(self.pairs, rows, len(self.size), np.int64)
        return np.asarray(self.amount[fixed].sum() + counts(held, self.size[rows]) @ self.amount[rows])


def patterns(masks: list[int], amounts: FloatArray, kept: Kept) -> Patterns:
    """The sets that positions in ``kept`` as bits stand for, and the sum of the amounts that share each."""
    number = {mask: i for i, mask in enumerate(dict.fromkeys(mask for mask in masks if mask))}
    pairs = [(i, place) for mask, i in number.items() for place in bits(mask)]
    row, place = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    some = [i for i, mask in enumerate(masks) if mask]
    amount = np.bincount([number[masks[i]] for i in some], weights=amounts[some], minlength=len(number))
    return Patterns((row, kept.nodes[place]), np.bincount(row, minlength=len(number)), amount.astype(np.float64))
