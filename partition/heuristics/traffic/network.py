"""What placements of little traffic are made of: nodes with loads, tensors with bytes, and what each chip holds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from partition.arrays import BoolArray, FloatArray, IntArray, csr, sums
from partition.instance.instance import Instance
from partition.instance.orders import Adjacency


@dataclass(frozen=True, eq=False)
class Network:
    """Nodes to be put on chips ``0..C-1`` such that no edge goes back.

    Attributes
    ----------
    time : (C, N) of each node on each chip, in units of ``limit``.
    limit : most time of a chip.
    weights : (N,) bytes.
    room : (C,) most bytes of a chip.
    lo, hi : (N,) first and last chip of each node.
    source : (M,) producer of each tensor.
    size : (M,) its bytes.
    ptr, readers : CSR of its readers.
    linked : whether bytes count once for each link on the way to the farthest reader, else once for each chip that
        receives them.
    """

    time: FloatArray
    limit: float
    weights: FloatArray
    room: FloatArray
    lo: IntArray
    hi: IntArray
    source: IntArray
    size: FloatArray
    ptr: IntArray
    readers: IntArray
    linked: bool

    @staticmethod
    def of(instance: Instance, lo: IntArray, hi: IntArray, limit: float, chips: int) -> Network:
        """The first chips of an instance, with windows of its nodes and a limit on the period in its units."""
        hardware = instance.hardware
        kinds = hardware.kind_array()[:chips]
        return Network(
            time=instance.time[kinds],
            limit=limit,
            weights=instance.weights,
            room=instance.room(limit)[:chips],
            lo=lo,
            hi=hi,
            source=instance.source,
            size=instance.moved_bytes,
            ptr=instance.reader_ptr,
            readers=instance.readers,
            linked=hardware.links > 0,
        )

    @property
    def nodes(self) -> int:
        """``N``."""
        return int(self.time.shape[1])

    @property
    def chips(self) -> int:
        """``C``."""
        return int(self.time.shape[0])

    @cached_property
    def tensor(self) -> IntArray:
        """(R,) tensor of every entry of ``readers``."""
        return np.repeat(np.arange(len(self.source)), np.diff(self.ptr))

    @cached_property
    def edges(self) -> IntArray:
        """(E, 2) pairs (producer, reader), sorted."""
        return np.unique(np.stack([self.source[self.tensor], self.readers], axis=1), axis=0)

    @cached_property
    def adjacency(self) -> Adjacency:
        """The nodes before and behind each node."""
        return Adjacency(self.nodes, self.edges)

    @cached_property
    def made(self) -> list[list[int]]:
        """The tensors that each node produces."""
        return _listed(*csr(self.nodes, self.source, np.arange(len(self.source))))

    @cached_property
    def read(self) -> list[list[int]]:
        """The tensors that each node reads."""
        return _listed(*csr(self.nodes, self.readers, self.tensor))

    @cached_property
    def neighbours(self) -> tuple[IntArray, IntArray]:
        """CSR of the nodes at the other end of an edge."""
        both = np.concatenate([self.edges, self.edges[:, ::-1]])
        return csr(self.nodes, both[:, 0], both[:, 1])

    def traffic(self, chip: IntArray) -> float:
        """Bytes times links, or bytes received, of a placement (N,)."""
        at, home = chip[self.readers], chip[self.source]
        if self.linked:
            farthest = np.maximum.reduceat(at, self.ptr[:-1]) if len(self.source) else at
            return float(self.size @ np.maximum(farthest - home, 0))
        received = np.unique(np.stack([self.tensor, at])[:, at != home[self.tensor]], axis=1)
        return float(self.size[received[0]].sum())

    def held(self, chip: IntArray) -> tuple[FloatArray, FloatArray]:
        """(C,) time and bytes of every chip."""
        time = sums(chip, self.time[chip, np.arange(self.nodes)], self.chips)
        return time, sums(chip, self.weights, self.chips)

    def fits(self, chip: IntArray) -> bool:
        """Whether a placement keeps edges, windows and the limits of time and weights."""
        time, weights = self.held(chip)
        return bool(
            (chip[self.edges[:, 0]] <= chip[self.edges[:, 1]]).all()
            and ((self.lo <= chip) & (chip <= self.hi)).all()
            and (time <= self.limit).all()
            and (weights <= self.room).all()
        )

    def among(self, inside: BoolArray, chips: range) -> Network:
        """The part that lies inside, on some chips; tensors keep the readers inside."""
        index = np.cumsum(inside) - 1
        kept = inside[self.readers] & inside[self.source[self.tensor]]
        sent, tensor = np.unique(self.tensor[kept], return_inverse=True)
        ptr, readers = csr(len(sent), tensor, index[self.readers[kept]])
        return Network(
            time=self.time[chips.start : chips.stop, inside],
            limit=self.limit,
            weights=self.weights[inside],
            room=self.room[chips.start : chips.stop],
            lo=np.clip(self.lo[inside] - chips.start, 0, len(chips) - 1),
            hi=np.clip(self.hi[inside] - chips.start, 0, len(chips) - 1),
            source=index[self.source[sent]],
            size=self.size[sent],
            ptr=ptr,
            readers=readers,
            linked=self.linked,
        )


def _listed(ptr: IntArray, column: IntArray) -> list[list[int]]:
    """The rows of a CSR."""
    return [row.tolist() for row in np.split(column, ptr[1:-1])]
