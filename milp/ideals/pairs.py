"""Which pairs of nested ideals are worth scoring: between which two of them one chip can lie.

Where a coarser level has been solved, only the ideals are looked at whose images a block of that level leads to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from milp.ideals.enumeration import CHUNK, Kept, member
from partition.arrays import IntArray, runs

MANY = 1 << 30
"""Chips to an ideal that cannot be reached."""

PORTION = 250_000
"""Pairs looked at at a time."""


class Reach:
    """Of a level that has been solved: fewest chips before and behind each ideal, and where blocks end.

    Parameters
    ----------
    kept : the nodes of the level.
    words : (I, words) its ideals as bits.
    before, behind : (I,); many: not at all.
    starts, ends : ideals at which blocks begin, and for each of them those at which such blocks end.
    """

    def __init__(
        self,
        kept: Kept,
        words: NDArray[np.uint64],
        before: IntArray,
        behind: IntArray,
        starts: Sequence[int],
        ends: Sequence[NDArray[np.int32]],
    ) -> None:
        self.kept, self.words, self.before, self.behind = kept, words, before, behind
        # An ideal is its own image's end too: a chip can lie between two ideals with the same image.
        own = np.arange(len(words), dtype=np.int32)
        begin = np.concatenate([own, np.repeat(np.array(starts, dtype=np.int32), [len(each) for each in ends])])
        order = np.argsort(begin, kind="stable")
        self.ends = np.concatenate([own, *ends])[order]
        self.ptr = np.searchsorted(begin[order], np.arange(len(words) + 1))

    def images(self, kept: Kept, words: NDArray[np.uint64]) -> IntArray:
        """(I,) the images of a finer level's ideals on this one, -1 where that is none of its ideals."""
        assert not (self.kept.node & ~kept.node).any(), "a coarser level has no nodes of its own"
        place = kept.place[self.kept.nodes]
        width = words.shape[1]
        shared = np.zeros(64 * width, dtype=np.uint8)
        shared[place] = 1
        image = words & np.packbits(shared, bitorder="little").view(np.uint64)
        row_of: dict[bytes, int] = {}
        for begin in range(0, len(self.words), CHUNK):
            wide = np.zeros((min(CHUNK, len(self.words) - begin), 64 * width), dtype=np.uint8)
            wide[:, place] = member(self.words[begin : begin + CHUNK])[:, : len(place)]
            for i, row in enumerate(np.packbits(wide, axis=1, bitorder="little")):
                row_of[row.tobytes()] = begin + i
        return np.fromiter((row_of.get(each.tobytes(), -1) for each in image), np.int64, len(image))


class Candidates:
    """Pairs of a level's ideals that one chip may lie between, as far as numbers of chips and inclusion tell.

    Parameters
    ----------
    words : (I, words) the ideals as bits, subsets first.
    before, behind : (I,) chips that each needs at least.
    coarser : a level solved before.
    image : (I,) the ideals' images on it.
    """

    def __init__(
        self,
        words: NDArray[np.uint64],
        before: IntArray,
        behind: IntArray,
        chips: int,
        coarser: Reach | None,
        image: IntArray,
    ) -> None:
        self.words, self.before, self.behind, self.chips = words, before, behind, chips
        self.coarser, self.image = coarser, image
        if coarser is not None:
            self.members = np.argsort(image, kind="stable")
            self.ptr = np.searchsorted(image[self.members], np.arange(len(coarser.words) + 1))
            size = np.diff(self.ptr)[coarser.ends]
            self.after_image = np.diff(np.concatenate([[0], np.cumsum(size)])[coarser.ptr])

    def portions(self, starts: IntArray, end: int) -> Iterator[IntArray]:
        """``starts`` in order, so many at a time as have a good number of pairs before ``end`` to look at."""
        pairs = end - starts
        if self.coarser is not None:
            pairs = np.minimum(pairs, self.after_image[self.image[starts]])
        total = np.cumsum(pairs)
        first = 0
        while first < len(starts):
            done = total[first - 1] if first else 0
            last = max(first + 1, int(np.searchsorted(total, done + PORTION, side="right")))
            yield starts[first:last]
            first = last

    def after(self, starts: IntArray, reach: IntArray) -> tuple[IntArray, IntArray]:
        """Pairs of one of ``starts`` (S,) and an ideal that contains it, before ``reach`` (S,), by start."""
        if self.coarser is not None and self.after_image[self.image[starts]].sum() < (reach - starts).sum():
            image = self.image[starts]
            size = np.diff(self.coarser.ptr)[image]
            ends = self.coarser.ends[runs(self.coarser.ptr[image], size)]
            many = np.diff(self.ptr)[ends]
            later = self.members[runs(self.ptr[ends], many)]
            count = np.bincount(np.repeat(np.arange(len(starts)), size), weights=many, minlength=len(starts))
            count = count.astype(np.int64)
        else:
            count = reach - starts - 1
            later = runs(starts + 1, count)
        which = np.repeat(np.arange(len(starts), dtype=np.int32), count)
        # Word by word: most pairs drop out at the first words that differ.
        some = np.bitwise_or.reduce(self.words[starts], axis=0)
        every = np.bitwise_and.reduce(self.words[starts[0] : int(reach.max())], axis=0)
        for word in np.flatnonzero(some & ~every)[::-1]:
            column = self.words[:, word]
            held = column[starts][which]
            inside = np.flatnonzero((column[later] & held) == held)
            which, later = which[inside], later[inside]
        fits = (later > starts[which]) & (later < reach[which])
        fits &= self.behind[later] < (self.chips - self.before[starts])[which]
        return starts[which[fits]], later[fits]
