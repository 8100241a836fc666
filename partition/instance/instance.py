"""The solver's view of a graph on a package: contracted nodes, merged tensors, times in units of the trivial bound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from partition.arrays import BoolArray, FloatArray, IntArray, sums
from partition.instance.features import Feature, features_of
from partition.problem.chip_kind import MEMORY_SLACK
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.problem.streaming import least_alone, least_spread

BEYOND = 2.0
"""What a transfer counts for at most that takes longer than the largest period of interest, in such periods."""

ROUNDING = 1e-9
"""Relative allowance when a node's time is compared with a period."""


@dataclass(frozen=True, eq=False)
class Instance:
    """What the formulation, the windows and the bounds work on. Everything lost by the contraction is without loss.

    Operations that must or may as well share a chip form one *node*: colocation groups, strongly connected
    components that these create, and inputs or constants read by a single operation.

    Attributes
    ----------
    graph, hardware : where it comes from.
    unit : seconds (or the file's unit) that 1.0 stands for; every time below is in this unit.
    node_of : (n,) operation -> node.
    time : (K, N) of each node on each chip kind; 0 where the kind does not support it.
    supported : (K, N) bool, whether the kind can run the node.
    weights : (N,) bytes of private weights.
    replicable : (N,) bool.
    source, tau, relayable : (M,) node that produces, transfer time and whether it may be relayed, per tensor.
    reader_ptr, readers : CSR, the nodes other than the source that read each tensor.
    reader_constrains : for each reader, whether its edge is bound by the acyclic and triangle rules.
    members : (m,) graph tensor -> the row that stands for it, or -1 where no other node reads it.
    edges : (E, 2) unique pairs (source node, reader node) that must not go back in the order of the chips.
    before : (B, 2) unique pairs of nodes of which the first has its home on an earlier chip than the second.
    shared_bytes, shared_ptr, shared_nodes : CSR of the weights that several nodes use.
    legal : the package that decides what may be replicated, where ``hardware`` is only a part of it.
    """

    graph: Graph
    hardware: Hardware
    unit: float
    node_of: IntArray
    time: FloatArray
    supported: BoolArray
    weights: FloatArray
    replicable: BoolArray
    source: IntArray
    tau: FloatArray
    relayable: BoolArray
    reader_ptr: IntArray
    readers: IntArray
    reader_constrains: BoolArray
    members: IntArray
    edges: IntArray
    before: IntArray
    shared_bytes: FloatArray
    shared_ptr: IntArray
    shared_nodes: IntArray
    legal: Hardware | None = None

    @property
    def nodes(self) -> int:
        """Number of nodes ``N``."""
        return int(self.time.shape[1])

    @property
    def tensors(self) -> int:
        """Number of tensors ``M`` that another node reads."""
        return len(self.source)

    @property
    def chips(self) -> int:
        """Number of chips ``C``."""
        return self.hardware.chips

    @cached_property
    def problem(self) -> Problem:
        """The graph on the package."""
        return Problem.of(self.graph, self.hardware)

    def within(self, period: float) -> Instance:
        """The same for all placements of at most this period, in units of the instance.

        A kind on which a node alone takes longer, or streams longer, does not support it; a tensor that takes longer
        cannot move, and its time is cut down to twice the period. So sums, and differences of sums, lose no digits to
        what cannot be.
        """
        supported = self.supported & (self.alone <= period * (1 + ROUNDING))
        return replace(
            self,
            supported=supported,
            time=np.where(supported, self.time, 0.0),
            tau=np.minimum(self.tau, BEYOND * period),
        )

    @cached_property
    def forward_only(self) -> bool:
        """Whether every tensor can only move to the same or a later chip."""
        return self.hardware.interconnect.topology == "chain" or (
            self.hardware.rules.acyclic and bool(self.reader_constrains.all())
        )

    @property
    def links_carry_cuts(self) -> bool:
        """Whether the link behind a chip carries all that crosses from it and those before it to those behind it."""
        return self.hardware.links > 0 and self.forward_only

    @cached_property
    def fastest(self) -> FloatArray:
        """(N,) time of each node on the kind of the package that runs it fastest."""
        return np.asarray(np.where(self.supported, self.time, np.inf)[self.problem.present].min(axis=0))

    @cached_property
    def features(self) -> frozenset[Feature]:
        """What the question contains, for engines to look up in what they cover."""
        return features_of(self)

    @cached_property
    def longest(self) -> float:
        """A period that no placement exceeds: every chip runs all nodes, streams, receives and sends everything."""
        return float(self.time.max(axis=0).sum() + 2 * self.tau.sum() + self.most_streaming) or 1.0

    @cached_property
    def streaming(self) -> FloatArray:
        """(C,) bytes of weights that each chip streams in a unit of time; 0 where it does not stream."""
        rate = self.hardware.stream_bandwidth
        return np.multiply(rate, self.unit, out=np.zeros_like(rate), where=rate > 0)

    @cached_property
    def streaming_of_kinds(self) -> FloatArray:
        """(K,) the same of each kind; 0 for kinds of which there is no chip."""
        found = np.zeros(len(self.hardware.kinds))
        found[self.hardware.kind_array()] = self.streaming
        return found

    @property
    def compute_hides(self) -> BoolArray:
        """(K,) whether a kind streams beside compute: more compute does not always make such a chip work longer."""
        return np.asarray((self.streaming_of_kinds > 0) & (not self.hardware.streams_in_turn))

    def room(self, period: float) -> FloatArray:
        """(C,) most bytes of weights that each chip can have within a period, in units of the instance.

        That is what the memory rule allows, or where a chip streams, its SRAM and what it can stream in a period.
        """
        room, streams = self.hardware.room * (1 + MEMORY_SLACK), self.streaming > 0
        room[streams] = self.hardware.sram_bytes[streams] + self.streaming[streams] * period
        return room

    @cached_property
    def alone(self) -> FloatArray:
        """(K, N) time of each node alone on a chip of each kind, with what it has to stream."""
        sram = np.array([kind.sram_bytes for kind in self.hardware.kinds])
        in_turn = self.hardware.streams_in_turn
        return least_alone(self.time, self.all_weights, sram, self.streaming_of_kinds, in_turn=in_turn)

    @cached_property
    def least_alone(self) -> FloatArray:
        """(N,) time of each node alone on the kind of the package that is done first with it and its streaming."""
        return np.asarray(np.where(self.supported, self.alone, np.inf)[self.problem.present].min(axis=0))

    @cached_property
    def least_spread(self) -> float:
        """What no period is below, as all work, and all that has to be streamed, is spread evenly at best."""
        weights = float(self.weights.sum() + self.shared_bytes.sum())
        work, in_turn = float(self.fastest.sum()), self.hardware.streams_in_turn
        return least_spread(work, weights, self.hardware.sram_bytes, self.streaming, in_turn=in_turn)

    @property
    def least_period(self) -> float:
        """What no period is below: the longest node, and all work spread evenly, both with what has to be streamed."""
        return max(float(self.least_alone.max()), self.least_spread, 0.0)

    @cached_property
    def most_streaming(self) -> float:
        """Time in which a chip streams what of all weights together its SRAM cannot hold, the slowest chip."""
        everything = float(self.weights.sum() + self.shared_bytes.sum())
        seconds = self.hardware.streaming_times(np.full(self.chips, everything))
        return float(seconds.max()) / self.unit

    @cached_property
    def energy(self) -> FloatArray:
        """(K, N) joules of each node on each chip kind."""
        return np.stack([sums(self.node_of, row, self.nodes) for row in self.problem.energy])

    @cached_property
    def triangle_by_relays(self) -> bool:
        """Whether relays satisfy the triangle rule at no cost to the period, so that the MILP may leave it out.

        Let transfers overlap, on a forward-only chain or ring. A relay then adds to a chip's receive and send only what
        the links beside the chip carry anyway. So where every tensor may be relayed, relaying each chip by chip joins
        neighbours only, and the period stays as it is.
        """
        hw = self.hardware
        free = not (hw.serial or hw.rules.dynamic_memory)  # buffers of a relay take room
        return hw.rules.triangle and free and hw.in_line and self.forward_only and bool(self.relayable.all())

    @cached_property
    def representatives(self) -> IntArray:
        """(N,) the operation of each node that takes longest."""
        work = self.problem.times.min(axis=0)
        order = np.lexsort((np.arange(self.graph.n), -work, self.node_of))
        return np.asarray(order[np.searchsorted(self.node_of[order], np.arange(self.nodes))])

    @cached_property
    def all_weights(self) -> FloatArray:
        """(N,) bytes of the private and shared weights that each node uses."""
        weight = np.repeat(np.arange(len(self.shared_bytes)), np.diff(self.shared_ptr))
        return self.weights + sums(self.shared_nodes, self.shared_bytes[weight], self.nodes)

    @cached_property
    def moved_bytes(self) -> FloatArray:
        """(M,) bytes of the graph tensors that each row stands for."""
        inside = self.members >= 0
        return sums(self.members[inside], self.graph.tensor_bytes[inside], self.tensors)

    @cached_property
    def footprints(self) -> FloatArray:
        """(N,) most bytes of tensors that one operation of each node reads and writes."""
        found = np.zeros(self.nodes)
        np.maximum.at(found, self.node_of, self._touched_bytes)
        return found

    @cached_property
    def _touched_bytes(self) -> FloatArray:
        graph = self.graph
        reads = np.unique(np.stack([graph.consumers, graph.edge_tensor]), axis=1)
        read = np.bincount(reads[0], weights=graph.tensor_bytes[reads[1]], minlength=graph.n)
        return np.asarray(read + np.bincount(graph.producer, weights=graph.tensor_bytes, minlength=graph.n))

    def touched_tensors(self, node: int) -> list[tuple[int, float]]:
        """(graph tensor, bytes) that the operation of largest footprint of a node reads or writes."""
        graph = self.graph
        members = np.flatnonzero(self.node_of == node)
        v = members[np.argmax(self._touched_bytes[members])]
        touched = np.concatenate([graph.edge_tensor[graph.consumers == v], np.flatnonzero(graph.producer == v)])
        touched = np.unique(touched)
        return list(zip(touched.tolist(), graph.tensor_bytes[touched].tolist(), strict=True))

    def tensor_readers(self, t: int) -> IntArray:
        """Nodes that read tensor ``t``."""
        return self.readers[self.reader_ptr[t] : self.reader_ptr[t + 1]]

    def chip_of_nodes(self, placement: Placement) -> IntArray:
        """(N,) home chip of every node under a placement that keeps each node together."""
        chip = np.empty(self.nodes, dtype=np.int64)
        chip[self.node_of] = placement.assignment
        return chip

    def lift(self, chip: IntArray, replicas: list[tuple[int, int]], relays: list[tuple[int, int]]) -> Placement:
        """The placement of operations and graph tensors for one of nodes and rows."""
        members_of_node = [(v, c) for node, c in replicas for v in np.flatnonzero(self.node_of == node)]
        members_of_row = [(t, c) for row, c in relays for t in np.flatnonzero(self.members == row)]
        return Placement(
            chip[self.node_of],
            np.array(members_of_node, dtype=np.int64).reshape(-1, 2),
            np.array(members_of_row, dtype=np.int64).reshape(-1, 2),
        )
