"""What crosses the boundaries of down-sets: the nodes that a chip is filled with, and the tensors between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from milp.search.downsets.names import RandomNames, mixed, names_of_amounts
from milp.search.downsets.tasks import Words, packed
from partition.arrays import BoolArray, FloatArray, IntArray, csr, ranks, runs, sums
from partition.instance.instance import Instance


@dataclass(frozen=True, eq=False)
class Lists:
    """A list of numbers for each of several things (CSR)."""

    ptr: IntArray
    column: IntArray

    @staticmethod
    def of(count: int, row: IntArray, column: IntArray) -> Lists:
        """From pairs in any order; equal pairs count once."""
        return Lists(*csr(count, row, column))

    def along(self, things: IntArray) -> tuple[IntArray, IntArray]:
        """(E,) places in ``things`` and (E,) the numbers of the thing there, one list after the other."""
        size = self.ptr[things + 1] - self.ptr[things]
        return np.repeat(np.arange(len(things)), size), self.column[runs(self.ptr[things], size)]


@dataclass(frozen=True, eq=False)
class Flow:
    """Nodes that chips are filled with, in order of the chips, and what they send one another.

    Replicable nodes are left out: they take next to nothing, and run wherever they are read. Tensors of theirs, and
    tensors that only they read, are left out with them.

    Attributes
    ----------
    node : (N,) nodes of the instance, numbered topologically; all other arrays count in their places.
    time : (C, N) on each chip, in units of the instance; infinite where the chip cannot run the node.
    fastest : (N,) on the chip that runs the node fastest.
    edges : (E, 2) pairs that must not go back.
    tensor : (M,) tensors of the instance.
    tau, producer, degree : (M,) transfer time, producer and number of readers of each tensor.
    relayable : (M,) bool, whether it may be relayed.
    reads : tensors that each node reads.
    weights : (N,) bytes of private weights.
    shared : shared weights that each node uses.
    shared_bytes : (Q,).
    """

    node: IntArray
    time: FloatArray
    fastest: FloatArray
    edges: IntArray
    tensor: IntArray
    tau: FloatArray
    producer: IntArray
    degree: IntArray
    relayable: BoolArray
    reads: Lists
    weights: FloatArray
    shared: Lists
    shared_bytes: FloatArray

    @staticmethod
    def of(instance: Instance) -> Flow:
        """The nodes of an instance whose tensors only move forward."""
        node = np.flatnonzero(~instance.replicable)
        place = np.full(instance.nodes, -1)
        place[node] = np.arange(len(node))
        tensor = np.repeat(np.arange(instance.tensors), np.diff(instance.reader_ptr))
        seen = (place[instance.source[tensor]] >= 0) & (place[instance.readers] >= 0)
        old, tensor = np.unique(tensor[seen], return_inverse=True)
        reader = place[instance.readers[seen]]
        reads = Lists.of(len(node), reader, tensor)
        edges = place[instance.edges]
        weight = np.repeat(np.arange(len(instance.shared_bytes)), np.diff(instance.shared_ptr))
        kinds = instance.hardware.kind_array()
        time = np.where(instance.supported, instance.time, np.inf)[:, node][kinds]
        return Flow(
            node=node,
            time=time,
            fastest=time.min(axis=0),
            edges=edges[(edges >= 0).all(axis=1)],
            tensor=old,
            tau=instance.tau[old],
            producer=place[instance.source[old]],
            degree=np.bincount(reads.column, minlength=len(old)),
            relayable=instance.relayable[old] & instance.hardware.relays_allowed,
            reads=reads,
            weights=instance.weights[node],
            shared=Lists.of(len(node), place[instance.shared_nodes], weight),
            shared_bytes=instance.shared_bytes,
        )

    @property
    def count(self) -> int:
        """Number of nodes ``N``."""
        return len(self.node)

    @property
    def words(self) -> int:
        """64-bit words of a set of nodes ``W``."""
        return -(-self.count // 64)

    @cached_property
    def bit(self) -> Words:
        """(N, W) the set of each node alone."""
        return packed(np.eye(self.count, dtype=bool))

    @cached_property
    def needed(self) -> Words:
        """(N, W) direct predecessors of each node."""
        before = np.zeros((self.count, self.count), dtype=bool)
        before[self.edges[:, 1], self.edges[:, 0]] = True
        return packed(before)

    @cached_property
    def successors(self) -> Lists:
        """Direct successors of each node."""
        return Lists.of(self.count, self.edges[:, 0], self.edges[:, 1])

    @cached_property
    def sent(self) -> FloatArray:
        """(N,) transfer time of all tensors of each node."""
        return sums(self.producer, self.tau, self.count)

    @cached_property
    def readers(self) -> Lists:
        """Nodes that read each tensor."""
        reader = np.repeat(np.arange(self.count), np.diff(self.reads.ptr))
        return Lists.of(len(self.tau), self.reads.column, reader)

    @cached_property
    def reader_set(self) -> Words:
        """(M, W) nodes that read each tensor."""
        read = np.zeros((len(self.tau), self.count), dtype=bool)
        read[np.repeat(np.arange(len(self.tau)), np.diff(self.readers.ptr)), self.readers.column] = True
        return packed(read)

    @cached_property
    def descendants(self) -> Words:
        """(N, W) nodes that come after each node, itself not among them."""
        found = np.zeros((self.count, self.words), np.uint64)
        for u, v in self.edges[np.argsort(-self.edges[:, 0], kind="stable")].tolist():  # numbered topologically
            found[u] |= found[v] | self.bit[v]
        return found

    @cached_property
    def beyond(self) -> Words:
        """(M, W) nodes that read each tensor, and all that come after them."""
        found = self.reader_set.copy()
        tensor = np.repeat(np.arange(len(self.tau)), np.diff(self.readers.ptr))
        np.bitwise_or.at(found, tensor, self.descendants[self.readers.column])
        return found

    @cached_property
    def likeness(self) -> RandomNames:
        """(N,) random bits, the same for nodes that look alike, as far as one can see along the edges.

        Colours are refined from those of neighbours (Weisfeiler and Leman, 1968) until no more of them appear.
        """
        readers = np.repeat(np.arange(self.count), np.diff(self.reads.ptr))
        tau, made = names_of_amounts(self.tau)[self.reads.column], self.producer[self.reads.column]
        colour = names_of_amounts(self.sent) * np.uint64(3) + names_of_amounts(self.weights)
        for time in self.time:
            colour = mixed(colour) + names_of_amounts(time)
        place, weight = self.shared.along(np.arange(self.count))
        np.add.at(colour, place, names_of_amounts(self.shared_bytes)[weight])
        distinct = 0
        while len(np.unique(colour)) > distinct:
            distinct = len(np.unique(colour))
            arrived, sent = np.zeros_like(colour), np.zeros_like(colour)
            np.add.at(arrived, readers, mixed(colour[made] + tau))
            np.add.at(sent, made, mixed(colour[readers] ^ tau))
            colour = mixed(colour + mixed(arrived) + np.uint64(3) * mixed(sent + np.uint64(1)))
        return colour

    def unread(self, done: BoolArray) -> IntArray:
        """(S, M) readers of each tensor that are not in the sets ``done`` (S, N)."""
        if not len(self.tau):
            return np.zeros((len(done), 0), np.int32)
        read = np.add.reduceat(done[:, self.readers.column], self.readers.ptr[:-1], axis=1, dtype=np.int32)
        return np.asarray(self.degree.astype(np.int32) - read)

    def eligible(self, done: BoolArray) -> BoolArray:
        """(S, N) nodes outside the sets ``done`` (S, N) all of whose predecessors are inside."""
        missing = np.zeros(done.shape, dtype=bool)
        for v, u in _layers(self.edges):
            missing[:, v] |= ~done[:, u]
        return np.asarray(~done & ~missing)


def _layers(edges: IntArray) -> list[tuple[IntArray, IntArray]]:
    """Edges (E, 2) in portions that have each reader once: (readers, sources)."""
    order = np.argsort(edges[:, 1], kind="stable")
    source, reader = edges[order].T
    rank = ranks(reader)
    return [(reader[rank == k], source[rank == k]) for k in range(int(rank.max(initial=-1)) + 1)]
