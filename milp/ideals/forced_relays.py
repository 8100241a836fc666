"""Tensors that a block must relay: those that pass over it and cannot get around it without breaking the triangle rule.

A tensor goes from chip to chip, from its producer's home over relays to its reader. Let some of these chips come before
block ``B`` in the order, and later ones behind it. One step then goes from a chip ``p`` before to a chip ``q`` behind.
The triangle rule excludes it if ``p`` leads to ``B`` and ``B`` to ``q``. ``p`` leads to ``B`` as soon as one of its
nodes is an ancestor of a node of ``B``; likewise ``B`` to ``q``. So the tensor gets around ``B`` only by chips all of
whose nodes are incomparable with all of ``B``. No such chip, no way around: ``B`` receives and sends the tensor. In
networks that are a line of layers with skips beside it, that holds for every block.

Nodes before the tensor's producer, or behind all its readers, are on no chip between them. Replicable nodes are
comparable with nothing, as a reader may have its replica.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import and_

import numpy as np
from numpy.typing import NDArray

from milp.ideals.leaving_out import KeptTransfers
from partition.arrays import BoolArray, IntArray
from partition.instance.features import ABSORBED, PERIOD_ALONE, PORTS_FOR_ROUTES, Feature, Scope, named
from partition.instance.instance import Instance

SCOPE = Scope(
    engine="forced relays",
    claims="tensors that a block must relay",
    covers=ABSORBED
    | named(
        "CHAIN RING CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC NO_SKIPPING SKIPPING TRIANGLE "
        "LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS RELAYS MIXED_KINDS FREE_ORDER UNSUPPORTED FREE_TRANSFERS "
        "SHARED_WEIGHTS FREE_EDGES ZERO_TIMES CUTS STREAMING STREAMING_IN_TURN"
    ),
    refuses={
        **PERIOD_ALONE,
        Feature.ROUTES: PORTS_FOR_ROUTES,
        Feature.ANY_ORDER: "chips before a block are not before it in the chip graph",
    },
)


LIMIT = 100_000_000
"""Most entries (nodes x tensors) worth looking at."""


@dataclass(frozen=True, eq=False)
class ForcedRelays:
    """Which tensors each block must relay.

    Attributes
    ----------
    near : (U, words) kept nodes comparable with a node, as bits; one row for all nodes with the same ones.
    around : (U, R) whether a chip with such a node alone can be on the way of a tensor.
    possible : (R,) whether a block may relay the tensor at all; otherwise it must not lie between.
    exempt : (R,) tensors of which some reader, itself or on the way, is beyond the triangle rule: never forced.
    """

    near: NDArray[np.uint64]
    around: BoolArray
    possible: BoolArray
    exempt: BoolArray

    def of(self, blocks: NDArray[np.uint64], rows: IntArray) -> BoolArray:
        """(J, len(rows)) whether a block must relay each of some tensors that pass over all of them.

        Parameters
        ----------
        blocks : (J, words) their kept nodes, as bits.
        rows : tensors.
        """
        around = self.around[:, rows]
        some = around.any(axis=1)
        apart = np.ones((len(blocks), int(some.sum())), dtype=bool)
        for word in range(blocks.shape[1]):
            apart &= (blocks[:, word, None] & self.near[some, word]) == 0
        ways = apart.astype(np.float32) @ around[some].astype(np.float32)
        return np.asarray((ways == 0) & ~self.exempt[rows])


def forced_relays(instance: Instance, nodes: IntArray, moved: KeptTransfers) -> ForcedRelays | None:
    """What blocks of ``nodes`` must relay of the tensors between them, or None where nothing forces them.

    An empty chip, where there may be any, relays what it likes.
    """
    hw = instance.hardware
    rules = hw.rules
    if not (rules.triangle and SCOPE.admits(instance.features)) or instance.triangle_by_relays or instance.chips < 3:
        return None
    if (hw.relays_allowed and not rules.no_skipping) or instance.nodes * max(len(moved.tau), 1) > LIMIT:
        return None
    ancestors, descendants = _reach(instance)
    width = (len(nodes) + 63) // 64
    near = np.zeros((instance.nodes, width * 64), dtype=np.uint8)
    for v in range(instance.nodes):
        near[v, : len(nodes)] = _flags(ancestors[v] | descendants[v] | 1 << v, instance.nodes)[nodes]
    near[instance.replicable] = 0
    around = np.zeros((instance.nodes, len(moved.tau)), dtype=bool)
    readers = np.split(moved.reader, np.searchsorted(moved.row, np.arange(1, len(moved.tau))))
    for row, source in enumerate(moved.source.tolist()):
        read = readers[row].tolist()
        if hw.relays_allowed or not moved.direct[row]:
            behind = reduce(and_, (descendants[w] for w in read))
            around[:, row] = ~_flags(ancestors[source] | behind, instance.nodes).astype(bool)
        else:
            around[[source, *read], row] = True
    words = np.packbits(near, axis=1, bitorder="little").view(np.uint64)
    distinct, group = np.unique(words, axis=0, return_inverse=True)
    together = np.zeros((len(distinct), len(moved.tau)), dtype=bool)
    np.logical_or.at(together, group.reshape(-1), around)
    return ForcedRelays(distinct, together, ~moved.direct | hw.relays_allowed, moved.both_ways)


def _reach(instance: Instance) -> tuple[list[int], list[int]]:
    """Per node its ancestors and descendants over edges of the triangle rule, as bits."""
    tensor = np.repeat(np.arange(instance.tensors), np.diff(instance.reader_ptr))
    binding = instance.reader_constrains
    edges = np.stack([instance.source[tensor], instance.readers])[:, binding]
    ancestors, descendants = [0] * instance.nodes, [0] * instance.nodes
    for u, w in edges[:, np.argsort(edges[1], kind="stable")].T.tolist():  # nodes are numbered topologically
        ancestors[w] |= ancestors[u] | 1 << u
    for u, w in edges[:, np.argsort(-edges[0], kind="stable")].T.tolist():
        descendants[u] |= descendants[w] | 1 << w
    return ancestors, descendants


def _flags(mask: int, count: int) -> NDArray[np.uint8]:
    """(count,) the bits of ``mask``."""
    raw = np.frombuffer(mask.to_bytes((count + 7) // 8, "little"), dtype=np.uint8)
    return np.unpackbits(raw, bitorder="little", count=count)
