"""Nodes that nothing binds: no ideal need hold them, as they may be on any chip whatever the others do.

Such a node reads and sends over edges that constrain nothing. One that adds gradients has no forward part whose chip it
would share. Each doubles the ideals, so ideals are made without them. A block is charged for each the lesser of two:
what it costs to have it, or what its neighbours in the block pay to have it elsewhere. Its time does not count on a
kind of chip that streams beside compute, as it may be less than what streaming takes. Those that feed one another are
charged for together, for the cheapest of all choices.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milp.ideals.window import Window
from partition.arrays import BoolArray, FloatArray, IntArray
from partition.instance.instance import Instance
from partition.order import components

NODE_ITSELF = -1
"""Source of a tensor that the loose node makes."""

MOST_TOGETHER = 6
"""Most loose nodes that feed one another of which all choices are tried; of more, that is free of charge."""

NEVER = 1e30
"""Time of a node on a kind that cannot run it."""


def loose_nodes(instance: Instance) -> BoolArray:
    """(N,) nodes with neighbours, none of which binds them; none where a block does not pay for its transfers in turn.

    Where transfers overlap, a block with such a node and one without differ in several loads at once.
    """
    if not instance.hardware.serial:
        return np.zeros(instance.nodes, dtype=bool)
    tensor = np.repeat(np.arange(instance.tensors), np.diff(instance.reader_ptr))
    ends = np.concatenate([instance.source[tensor], instance.readers])
    found = np.zeros(instance.nodes, dtype=bool)
    found[ends] = True
    found[ends[np.tile(instance.reader_constrains, 2)]] = False
    found[instance.edges.ravel()] = False
    return found & ~instance.replicable


@dataclass(frozen=True, eq=False)
class LooseTensors:
    """Tensors that loose nodes read or make, a row for each; one that several of them read counts for the first.

    Attributes
    ----------
    nodes : (V,) the loose nodes.
    owner : (L,) which of them reads or makes each tensor.
    tau : (L,) transfer times.
    source : (L,) the kept node that makes it, or ``NODE_ITSELF``.
    readers : (P,) and (P,) row and kept node that reads it as well.
    degree : (L,) how many do.
    between : of each tensor that loose nodes alone read and make, its time, and which makes it and which read it.
    """

    nodes: IntArray
    owner: IntArray
    tau: FloatArray
    source: IntArray
    readers: tuple[IntArray, IntArray]
    degree: IntArray
    between: tuple[tuple[float, int, tuple[int, ...]], ...]

    @staticmethod
    def of(instance: Instance, kept: BoolArray, loose: BoolArray) -> LooseTensors:
        """Those of nodes ``loose`` (N,), none of them kept.

        What a node left out for another reason reads is not counted here: the tensors that pass it may be.
        """
        number = np.cumsum(loose) - 1
        rows: list[tuple[int, float, int]] = []
        pairs: list[tuple[int, int]] = []
        between: list[tuple[float, int, tuple[int, ...]]] = []
        for t, source in enumerate(instance.source.tolist()):
            readers = instance.tensor_readers(t)
            by_kept = readers[kept[readers]]
            if loose[source] and len(by_kept):
                rows.append((int(number[source]), float(instance.tau[t]), NODE_ITSELF))
            elif kept[source] and loose[readers].any() and (kept | loose)[readers].all():
                rows.append((int(number[readers[loose[readers]][0]]), float(instance.tau[t]), source))
            else:
                if loose[source] and loose[readers].any():
                    some = number[readers[loose[readers]]]
                    between.append((float(instance.tau[t]), int(number[source]), tuple(some.tolist())))
                continue
            pairs += [(len(rows) - 1, w) for w in by_kept.tolist()]
        owner, tau, sources = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.zeros(0),) * 3
        row, reader = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return LooseTensors(
            nodes=np.flatnonzero(loose),
            owner=owner.astype(np.int64),
            tau=tau.astype(float),
            source=sources.astype(np.int64),
            readers=(row, reader),
            degree=np.bincount(row, minlength=len(rows)),
            between=tuple(between),
        )

    def groups(self) -> list[IntArray]:
        """Rows of nodes that feed one another; one by one where they are too many."""
        ends = [(u, w) for _, u, readers in self.between for w in readers]
        label = components(len(self.nodes), np.array(ends, dtype=np.int64).reshape(-1, 2).T, "weak")
        found = [np.flatnonzero(label == g) for g in np.unique(label)]
        large = [group for group in found if len(group) > MOST_TOGETHER]
        return [g for g in found if len(g) <= MOST_TOGETHER] + [g[i : i + 1] for g in large for i in range(len(g))]


@dataclass(frozen=True, eq=False)
class LooseTransfers:
    """What blocks move at least for each loose node, for every distinct set of the neighbours that they hold.

    Attributes
    ----------
    having, lacking : (D, V) transfers of blocks that have each loose node, and of those that have not.
    block : (P,) which of the sets each block holds.
    """

    having: FloatArray
    lacking: FloatArray
    block: IntArray


class LooseCharges:
    """What blocks between the ideals of a window pay for loose nodes at least.

    It follows from which neighbours of those a block holds. Many blocks hold the same ones, so it is worked out for
    each set once.
    """

    def __init__(self, instance: Instance, tensors: LooseTensors, window: Window) -> None:
        made = np.flatnonzero(tensors.source >= 0)
        sources = made, tensors.source[made]
        touched = np.zeros(len(tensors.owner), dtype=bool)
        touched[window.active_rows(tensors.readers)] = touched[window.active_rows(sources)] = True
        groups = [g for g in tensors.groups() if np.isin(g, tensors.owner[touched]).any()]
        some = np.array(sorted(v for g in groups for v in g.tolist()), dtype=np.int64)
        rows = np.flatnonzero(np.isin(tensors.owner, some))
        self.makes, self.reads = (_incidence(window, pairs, rows, len(touched)) for pairs in (sources, tensors.readers))
        column = np.flatnonzero(self.makes.any(axis=1) | self.reads.any(axis=1))
        self.makes, self.reads = self.makes[column], self.reads[column]
        self.held = _packed(window.member[:, column])
        self.own, self.degree = tensors.source[rows] == NODE_ITSELF, tensors.degree[rows]
        self.paid = np.zeros((len(rows), len(some)))
        self.paid[np.arange(len(rows)), np.searchsorted(some, tensors.owner[rows])] = tensors.tau[rows]
        nodes = tensors.nodes[some]
        time = np.where(instance.compute_hides[:, None], 0.0, instance.time)
        self.time = np.where(instance.supported, time, NEVER)[:, nodes]
        self.single = np.searchsorted(some, [g[0] for g in groups if len(g) == 1])
        self.together = [
            (np.searchsorted(some, g), *_choices(g.tolist(), tensors.between)) for g in groups if len(g) > 1
        ]

    def transfers(self, begin: IntArray, end: IntArray) -> LooseTransfers:
        """Transfers of blocks between ideals, ``begin`` (P,) and ``end`` (P,), that have loose nodes or have not.

        A tensor costs a block that makes it if somebody elsewhere reads it, and any other if somebody there does; what
        its kept readers make the block pay anyway is not counted.
        """
        sets, block = _distinct(self.held[end] & ~self.held[begin])
        inside = np.unpackbits(sets.view(np.uint8), axis=1, bitorder="little")[:, : len(self.makes)].astype(np.float32)
        source, read = inside @ self.makes > 0, inside @ self.reads
        none, every = read == 0, read == self.degree
        having = np.where(self.own, ~every, ~source & none)
        lacking = np.where(self.own, ~none, source & every)
        return LooseTransfers(having @ self.paid, lacking @ self.paid, block)

    def charge(self, kind: int, transfers: LooseTransfers, paid: float) -> FloatArray:
        """(P,) the least that loose nodes cost blocks on a chip of this kind, which pays for transfers or not."""
        having, lacking = transfers.having, transfers.lacking
        here, elsewhere, one = self.time[kind] + paid * having, paid * lacking, self.single
        least = np.asarray(np.minimum(here[:, one], elsewhere[:, one]).sum(axis=1))
        for group, chosen, moved in self.together:
            costs = here[:, group] @ chosen.T + elsewhere[:, group] @ (1.0 - chosen).T + paid * moved
            least = least + costs.min(axis=1)
        return np.asarray(least[transfers.block])


def _incidence(window: Window, pairs: tuple[IntArray, IntArray], rows: IntArray, count: int) -> NDArray[np.float32]:
    """(nodes, rows) 1 where an active node of the window is paired with one of ``rows`` (of ``count``)."""
    number = np.full(count, -1)
    number[rows] = np.arange(len(rows))
    row, column = number[pairs[0]], window.column[pairs[1]]
    known = (row >= 0) & (column >= 0)
    found = np.zeros((len(window.nodes), len(rows)), np.float32)
    np.add.at(found, (column[known], row[known]), 1.0)
    return found


def _packed(which: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(I, W) the columns of ``which`` (I, Z), 0 or 1, as bits of one word or more."""
    wide = np.zeros((len(which), 64 * max(1, -(-which.shape[1] // 64))), np.uint8)
    wide[:, : which.shape[1]] = which
    return np.packbits(wide, axis=1, bitorder="little").view(np.uint64)


def _distinct(sets: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], IntArray]:
    """(D, W) the different rows of ``sets`` (P, W), and (P,) which of them each row is."""
    order = np.lexsort(sets.T)
    ordered = sets[order]
    new = np.ones(len(sets), dtype=bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    place = np.empty(len(sets), np.int64)
    place[order] = np.cumsum(new) - 1
    return ordered[new], place


def _choices(
    group: list[int], between: tuple[tuple[float, int, tuple[int, ...]], ...]
) -> tuple[FloatArray, FloatArray]:
    """(A, group) every choice of nodes that a block has, 0 or 1, and (A,) what it moves of the tensors between them."""
    chosen = np.array(list(itertools.product((0.0, 1.0), repeat=len(group))))
    place = {v: i for i, v in enumerate(group)}
    moved = np.zeros(len(chosen))
    for tau, u, readers in between:
        if u in place:
            alike = [chosen[:, place[w]] == chosen[:, place[u]] for w in readers if w in place]
            moved += np.where(np.all(alike, axis=0), 0.0, tau)
    return chosen, moved
