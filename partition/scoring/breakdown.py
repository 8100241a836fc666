"""What the load of each chip and link is made of: the operations that run there, and the tensors that pass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from partition.arrays import FloatArray, IntArray, runs
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.scoring.transfers import TransferModel, Transfers


@dataclass(frozen=True, eq=False)
class Parts:
    """Operations or tensors by number, (k,), and what each takes of one chip, port or link, (k,) in the time unit."""

    rows: IntArray
    times: FloatArray

    @property
    def total(self) -> float:
        """What all of them take."""
        return float(self.times.sum())


@dataclass(frozen=True, eq=False)
class Breakdown:
    """The loads of one placement, taken apart; the parts of a load add up to what the cost model says of it."""

    problem: Problem
    placement: Placement

    @cached_property
    def moved(self) -> Transfers:
        """Every receive once."""
        placement = self.placement
        model = self.problem.kept(TransferModel.on)
        return model.find(placement.assignment[None], placement.replica_rows, placement.relay_rows)

    def compute(self, chip: int) -> Parts:
        """Operations that run on a chip, replicas among them, and their times there."""
        copies = self.placement.replicas[self.placement.replicas[:, 1] == chip, 0]
        rows = np.concatenate([np.flatnonzero(self.placement.assignment == chip), copies])
        return Parts(rows, self.problem.times[self.problem.hardware.kind_of_chip[chip], rows])

    def receive(self, chip: int) -> Parts:
        """Tensors that a chip receives."""
        rows = self.moved.tensor[self.moved.chip == chip]
        return Parts(rows, self.problem.transfer_times[rows] * self.problem.hardware.transfers_charged[chip])

    def send(self, chip: int) -> Parts:
        """Tensors that a chip sends, each once."""
        rows = np.unique(self.moved.tensor[self.moved.source == chip])
        return Parts(rows, self.problem.transfer_times[rows] * self.problem.hardware.transfers_charged[chip])

    def link(self, link: int) -> Parts:
        """Tensors that cross a link."""
        tensor, crossed = self.crossings
        rows = tensor[crossed == link]
        return Parts(rows, self.problem.transfer_times[rows])

    @cached_property
    def crossings(self) -> tuple[IntArray, IntArray]:
        """Tensors (k,) and the links that they cross (k,), each pair once."""
        hardware, moved = self.problem.hardware, self.moved
        if not hardware.links or not len(moved.tensor):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        if hardware.routed:
            routes = self.problem.routes
            pair = moved.home * hardware.chips + moved.chip
            count = np.diff(routes.ptr)[pair]
            tensor, link = np.repeat(moved.tensor, count), routes.link[runs(routes.ptr[pair], count)]
        else:
            distance = (moved.chip - moved.home) % hardware.chips
            hop = runs(np.zeros(len(distance), dtype=np.int64), distance)
            tensor = np.repeat(moved.tensor, distance)
            link = (np.repeat(moved.home, distance) + hop) % hardware.chips
        found = np.unique(np.stack([tensor, link]), axis=1)
        return found[0], found[1]
