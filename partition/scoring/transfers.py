"""What moves between chips under a batch of placements: every receive once, with the chip it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partition.arrays import BoolArray, IntArray, runs
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware


@dataclass(frozen=True, eq=False)
class Transfers:
    """The receives of a batch, one entry each, sorted by batch row, tensor and chip.

    Attributes
    ----------
    batch, tensor, chip, source : (R,) int; ``chip`` receives ``tensor`` from ``source``.
    home : (R,) int, home chip of the tensor's producer.
    constrains : (R,) bool, whether the receive counts for the triangle rule.
    """

    batch: IntArray
    tensor: IntArray
    chip: IntArray
    source: IntArray
    home: IntArray
    constrains: BoolArray


class TransferModel:
    """Finds the transfers of assignments of one graph; precomputes what does not depend on them."""

    def __init__(self, graph: Graph, chips: int) -> None:
        self.graph, self.chips = graph, chips
        self.chip_type: Any = np.int8 if chips <= 127 else np.int32
        self.edge_constrains = graph.edge_constrains

    @staticmethod
    def on(graph: Graph, hardware: Hardware) -> TransferModel:
        """For the chips of a package."""
        return TransferModel(graph, hardware.chips)

    @cached_property
    def _replica_reads(self) -> tuple[IntArray, IntArray]:
        """CSR of edges by consumer: ``edges[ptr[v]:ptr[v + 1]]`` are those that ``v`` reads."""
        by_consumer = np.argsort(self.graph.consumers, kind="stable")
        ptr = np.searchsorted(self.graph.consumers[by_consumer], np.arange(self.graph.n + 1))
        return ptr, by_consumer

    def find(
        self, assignments: NDArray[np.integer], replicas: IntArray | None = None, relays: IntArray | None = None
    ) -> Transfers:
        """Transfers of ``assignments`` (B, n), with rows (k, 3) of replicas and relays as in the cost model."""
        by_operation: NDArray[np.int32] = np.ascontiguousarray(
            assignments.T, dtype=self.chip_type
        )  # (n, B): rows copy fast
        source, target = by_operation[self.graph.edge_source], by_operation[self.graph.consumers]
        edge, batch = np.nonzero(source != target)
        home = source[edge, batch].astype(np.int64)
        chip = target[edge, batch].astype(np.int64)
        if replicas is not None and len(replicas):
            edge, batch, home, chip = self._with_replicas(by_operation, replicas, edge, batch, home, chip)
        tensor = self.graph.edge_tensor[edge]
        constrains = self.edge_constrains[edge]
        if relays is not None and len(relays):
            batch = np.concatenate([batch, relays[:, 0]])
            tensor = np.concatenate([tensor, relays[:, 1]])
            chip = np.concatenate([chip, relays[:, 2]])
            at = by_operation[self.graph.producer[relays[:, 1]], relays[:, 0]]
            home = np.concatenate([home, at.astype(np.int64)])
            constrains = np.concatenate([constrains, np.ones(len(relays), dtype=bool)])
        found = self._once(batch, tensor, chip, home, constrains)
        if relays is None or not len(relays):
            return found
        return self._from_relays(found, relays)

    def _with_replicas(
        self,
        by_operation: NDArray[np.signedinteger],
        replicas: IntArray,
        edge: IntArray,
        batch: IntArray,
        home: IntArray,
        chip: IntArray,
    ) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Replicas read as well, and nobody receives what an instance beside it produces."""
        ptr, edges = self._replica_reads
        count = (ptr[1:] - ptr[:-1])[replicas[:, 1]]
        which = np.repeat(np.arange(len(replicas)), count)
        more = edges[runs(ptr[replicas[:, 1]], count)]
        edge, batch = np.concatenate([edge, more]), np.concatenate([batch, replicas[which, 0]])
        chip = np.concatenate([chip, replicas[which, 2]])
        producer = self.graph.edge_source[edge]
        home = np.concatenate([home, by_operation[producer[len(home) :], batch[len(home) :]].astype(np.int64)])
        size = self.graph.n * self.chips
        held = replicas[:, 0] * size + replicas[:, 1] * self.chips + replicas[:, 2]
        beside = np.isin(batch * size + producer * self.chips + chip, held) | (home == chip)
        return edge[~beside], batch[~beside], home[~beside], chip[~beside]

    def _once(
        self, batch: IntArray, tensor: IntArray, chip: IntArray, home: IntArray, constrains: BoolArray
    ) -> Transfers:
        key = (batch * self.graph.m + tensor) * self.chips + chip
        order = np.argsort(key, kind="stable")
        key = key[order]
        first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, np.int64)
        counts = np.logical_or.reduceat(constrains[order], first) if len(key) else np.zeros(0, bool)
        order = order[first]
        return Transfers(batch[order], tensor[order], chip[order], home[order], home[order], counts)

    def _from_relays(self, found: Transfers, relays: IntArray) -> Transfers:
        """The source of a receive is the last relay before it, or the home."""
        row = relays[:, 0] * self.graph.m + relays[:, 1]
        relay_key = np.sort(row * self.chips + relays[:, 2])
        tensor_row = found.batch * self.graph.m + found.tensor
        before = np.searchsorted(relay_key, tensor_row * self.chips + found.chip) - 1
        relay = relay_key[np.maximum(before, 0)]
        relayed = (before >= 0) & (relay // self.chips == tensor_row)
        source = np.where(relayed, relay % self.chips, found.home)
        return Transfers(found.batch, found.tensor, found.chip, source, found.home, found.constrains)
