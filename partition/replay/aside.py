"""What units that are left out cost chips all the same, where no edge of the order binds them.

Any chip may have such a unit, whatever the others hold. A chip that has it takes its time, receives what it reads and
sends what is read elsewhere. A chip that has not sends it what its neighbours there make, and receives for them what it
makes. Either is a part of the chip's load if transfers are serial, so the lesser of the two is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from partition.arrays import BoolArray, FloatArray, IntArray
from partition.replay.units import Units


@dataclass(frozen=True, eq=False)
class AsideHeld:
    """Of sets of kept units: whether each has the maker of a tensor, and how many of its kept readers; (I, T) each."""

    made: BoolArray
    read: NDArray[np.int16]

    def of(self, rows: IntArray) -> AsideHeld:
        """Those of some sets."""
        return AsideHeld(self.made[rows], self.read[rows])


class Aside:
    """Tensors between kept units and such units left out.

    A tensor that several of them read is charged for one. One that is read by what is left out for another reason is
    not charged.

    Parameters
    ----------
    kept, left : units that sets are made of, and that are left out.
    times, moved : in ticks; (K, U) and (T,), free ones last.
    """

    def __init__(self, units: Units, kept: list[int], left: list[int], times: FloatArray, moved: IntArray) -> None:
        bound = {u for edge in units.edges for u in edge}
        column = {u: i for i, u in enumerate(u for u in left if u not in bound)}
        place = {u: i for i, u in enumerate(kept)}
        rows: list[tuple[int, int, int, list[int]]] = []  # unit left out, ticks, its kept maker or -1, its kept readers
        for (_, u, readers), ticks in zip(units.free, moved[len(units.tensors) :].tolist(), strict=True):
            plain = [place[w] for w in readers if w in place]
            asking = [column[w] for w in readers if w in column]
            if u in column and plain:
                rows.append((column[u], ticks, -1, plain))
            elif u in place and asking and len(plain) + len(asking) == len(readers):
                rows.append((asking[0], ticks, place[u], plain))
        self.maker = np.array([maker for _, _, maker, _ in rows], dtype=np.int64)
        self.degree = np.array([len(plain) for *_, plain in rows], dtype=np.int16)
        self.ticks = np.zeros((len(rows), len(column)))
        for i, (unit, ticks, _, _) in enumerate(rows):
            self.ticks[i, unit] = ticks
        pairs = [(w, i) for i, (*_, plain) in enumerate(rows) for w in plain]
        shape = len(kept), len(rows)
        ones = np.ones(len(pairs), np.float32)
        self.reader = sp.csr_array((ones, ([w for w, _ in pairs], [i for _, i in pairs])), shape=shape)
        self.time = times[:, list(column)]

    def held(self, member: NDArray[np.float32]) -> AsideHeld:
        """What sets (I, kept) hold of these tensors' ends."""
        made = (member[:, self.maker] > 0) & (self.maker >= 0)
        return AsideHeld(made, np.asarray(member @ self.reader).astype(np.int16))

    def least(self, kind: int, before: AsideHeld, after: AsideHeld) -> FloatArray:
        """(P,) ticks that a chip of a kind which pays for transfers spends at least, with what ``after`` has more."""
        made, read = after.made & ~before.made, after.read - before.read
        own = self.maker < 0
        with_it = np.where(own, read < self.degree, ~made & (read == 0))
        without = np.where(own, read > 0, made & (read == self.degree))
        return np.asarray(np.minimum(with_it @ self.ticks + self.time[kind], without @ self.ticks).sum(axis=1))
