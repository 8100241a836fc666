"""The memory rule while rows of placements are being decided: what room is left on every chip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partition.arrays import BoolArray, FloatArray, IntArray, sums
from partition.heuristics.decision_levels import Bounds
from partition.heuristics.draws import ChipRows, Draws
from partition.instance.instance import Instance
from partition.problem.chip_kind import MEMORY_SLACK


@dataclass(frozen=True, eq=False)
class MemoryRule:
    """Capacity (C,) bytes; private weights (N,); shared weights as pairs (node, weight) sorted by node."""

    capacity: FloatArray
    weights: FloatArray
    shared_bytes: FloatArray
    shared_ptr: IntArray
    shared_of: IntArray

    @staticmethod
    def of(instance: Instance, nodes: IntArray) -> MemoryRule | None:
        """The rule for ``nodes``, or None where it cannot bind."""
        capacity = instance.hardware.room
        everything = instance.weights.sum() + instance.shared_bytes.sum()
        if everything <= capacity.min():
            return None
        weights = np.zeros(instance.nodes)
        weights[nodes] = instance.weights[nodes]
        weight_of = np.repeat(np.arange(len(instance.shared_bytes)), np.diff(instance.shared_ptr))
        by_node = np.argsort(instance.shared_nodes, kind="stable")
        ptr = np.searchsorted(instance.shared_nodes[by_node], np.arange(instance.nodes + 1))
        return MemoryRule(capacity * (1 + MEMORY_SLACK), weights, instance.shared_bytes, ptr, weight_of[by_node])

    def start(self, rows: int) -> Room:
        """Empty chips."""
        return Room(self, rows)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Chips drawn for the nodes of a level.

    Attributes
    ----------
    nodes : (k,) of the level.
    chips : (k, R) drawn for each row.
    lo, hi : (k, R) the first and the last chip that each may have.
    """

    nodes: IntArray
    chips: ChipRows
    lo: ChipRows
    hi: ChipRows


class Room:
    """Room left on the chips of a batch of ``R`` rows."""

    def __init__(self, rule: MemoryRule, rows: int) -> None:
        self.rule = rule
        self.left = np.repeat(rule.capacity[:, None], rows, axis=1)  # (C, R)
        self.held = np.zeros((rows, len(rule.capacity), len(rule.shared_bytes)), dtype=bool)

    def earliest(self, bounds: Bounds, decided: ChipRows, waste: float = 0.0) -> ChipRows:
        """(k, R) first chip such that what must lie between a node and those decided before it has room.

        ``waste`` is the share of every chip that is taken to be lost.
        """
        left = self._usable(waste)
        pairs = np.flatnonzero(bounds.between > 0)
        rows = self.left.shape[1]
        result = np.zeros((len(bounds.ptr), rows), dtype=np.int16)
        start = decided[bounds.node[pairs]]
        tight = np.argwhere(left[start, np.arange(rows)] < bounds.between[pairs, None])
        if len(tight):
            pair, row = tight.T
            first = start[pair, row]
            upto = np.cumsum(np.concatenate([np.zeros((1, rows)), left]), axis=0)
            wanted = upto[first, row] + bounds.between[pairs[pair]]
            chip = (upto[1:, row] < wanted).sum(axis=0)
            np.maximum.at(result, (_owner(bounds)[pairs[pair]], row), chip.astype(np.int16))
        return result

    def latest(self, bounds: Bounds, decided: ChipRows, waste: float = 0.0) -> ChipRows:
        """(k, R) last chip such that what must lie between a node and those decided after it has room."""
        left = self._usable(waste)
        pairs = np.flatnonzero(bounds.between > 0)
        chips, rows = self.left.shape
        result = np.full((len(bounds.ptr), rows), chips - 1, dtype=np.int16)
        start = decided[bounds.node[pairs]]
        tight = np.argwhere(left[start, np.arange(rows)] < bounds.between[pairs, None])
        if len(tight):
            pair, row = tight.T
            last = start[pair, row].astype(np.int64)
            upto = np.cumsum(np.concatenate([np.zeros((1, rows)), left]), axis=0)
            wanted = upto[last + 1, row] - bounds.between[pairs[pair]]
            chip = (upto[1:, row] <= wanted).sum(axis=0)  # chips wholly before; the sum from there on is enough
            chip = np.where(wanted < 0, -1, chip)
            np.minimum.at(result, (_owner(bounds)[pairs[pair]], row), chip.astype(np.int16))
        return result

    def _usable(self, waste: float) -> FloatArray:
        capacity = np.where(np.isinf(self.rule.capacity), 0.0, self.rule.capacity)[:, None]
        return np.maximum(self.left - waste * capacity, 0.0) if waste else self.left

    def place(
        self,
        level: Drawn,
        draws: Draws,
        rows: IntArray,
        alive: BoolArray,
        rng: np.random.Generator,
        *,
        gather: bool,
    ) -> ChipRows:
        """Take the room of a level's nodes; where it does not suffice, draw again one after the other.

        ``alive`` (R,) is set to False in rows where a node finds no chip. With ``gather``, nodes go where their shared
        weights already are, if they may.
        """
        nodes, lo, hi = level.nodes, level.lo, level.hi
        drawn = self._gathered(level, draws, rows, rng) if gather else level.chips
        rule = self.rule
        heavy = np.flatnonzero((rule.weights[nodes] > 0) | (rule.shared_ptr[nodes + 1] > rule.shared_ptr[nodes]))
        if not len(heavy):
            return drawn
        taken, held = self._taken(nodes[heavy], drawn[heavy])
        over = np.any(taken > self.left, axis=0)
        self.left[:, ~over] -= taken[:, ~over]
        self.held[~over] = held[~over]
        again = np.flatnonzero(over)
        if len(again):
            drawn = drawn.copy()
            every = np.arange(len(rule.capacity))
            for k in heavy[np.argsort(-rule.weights[nodes[heavy]], kind="stable")].tolist():
                own = rule.shared_of[rule.shared_ptr[nodes[k]] : rule.shared_ptr[nodes[k] + 1]]
                needed = rule.weights[nodes[k]] + (~self.held[again][:, :, own]) @ rule.shared_bytes[own]  # (R', C)
                allowed = (lo[k, again, None] <= every) & (every <= hi[k, again, None])
                allowed &= needed <= self.left[:, again].T
                chip = drawn[k, again]
                misfit = np.flatnonzero(~allowed[np.arange(len(again)), chip])
                if len(misfit):
                    other = draws.among(np.full(len(misfit), nodes[k]), rows[again[misfit]], allowed[misfit], rng)
                    alive[again[misfit[other < 0]]] = False
                    chip[misfit] = np.maximum(other, lo[k, again[misfit]])
                drawn[k, again] = chip
                self.left[chip, again] -= needed[np.arange(len(again)), chip]
                self.held[again[:, None], chip[:, None], own] = True
        return drawn

    def _gathered(self, level: Drawn, draws: Draws, rows: IntArray, rng: np.random.Generator) -> ChipRows:
        """Chips (k, R) where nodes go to their shared weights, if they may."""
        nodes, lo, hi, drawn = level.nodes, level.lo, level.hi, level.chips.copy()
        every = np.arange(len(self.rule.capacity))
        for k in np.flatnonzero(self.rule.shared_ptr[nodes + 1] > self.rule.shared_ptr[nodes]).tolist():
            own = self.rule.shared_of[self.rule.shared_ptr[nodes[k]] : self.rule.shared_ptr[nodes[k] + 1]]
            allowed = self.held[:, :, own].all(axis=2) & (lo[k, :, None] <= every) & (every <= hi[k, :, None])
            some = np.flatnonzero(allowed.any(axis=1))
            drawn[k, some] = draws.among(np.full(len(some), nodes[k]), rows[some], allowed[some], rng)
        return drawn

    def _taken(self, nodes: IntArray, drawn: ChipRows) -> tuple[FloatArray, BoolArray]:
        """(C, R) bytes that the nodes add, and (R, C, S) which shared weights are held then."""
        chips, rows = self.left.shape
        slot = drawn.astype(np.int64) * rows + np.arange(rows)
        weights = np.repeat(self.rule.weights[nodes], rows)
        taken = sums(slot.ravel(), weights, chips * rows).reshape(chips, rows)
        held: BoolArray = self.held
        if held.shape[2]:
            held = held.copy()
            count = self.rule.shared_ptr[nodes + 1] - self.rule.shared_ptr[nodes]
            user = np.repeat(np.arange(len(nodes)), count)
            own = np.concatenate(
                [self.rule.shared_of[self.rule.shared_ptr[v] : self.rule.shared_ptr[v + 1]] for v in nodes]
            )
            held[np.arange(rows)[:, None], drawn[user].T, own] = True
            taken = taken + ((held & ~self.held) @ self.rule.shared_bytes).T
        return taken.astype(np.float64), held


def _owner(bounds: Bounds) -> IntArray:
    """(p,) which of the level's nodes each pair bounds."""
    count = np.diff(np.concatenate([bounds.ptr, [len(bounds.node)]]))
    return np.repeat(np.arange(len(count)), count)
