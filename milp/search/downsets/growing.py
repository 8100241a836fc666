"""Blocks that a beam fills a chip with: as they are, and with one node more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milp.search.downsets.states import Aligned
from milp.search.downsets.tasks import Words
from partition.arrays import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Children(Aligned):
    """Blocks with one node more than the block in row ``parent``: (K,) each; see :class:`GrowingBlocks`."""

    parent: IntArray
    node: IntArray
    root: IntArray
    name: NDArray[np.uint64]
    work: FloatArray
    size: FloatArray
    cut: FloatArray
    toll: FloatArray
    compute: FloatArray
    receive: FloatArray
    send: FloatArray
    held: FloatArray
    inputs: NDArray[np.uint64]
    above: NDArray[np.uint64]
    marks: FloatArray


@dataclass(frozen=True, eq=False)
class GrowingBlocks:
    """Blocks that grow.

    Attributes
    ----------
    last : what is one number for each block. ``root`` is the row of the boundary where it begins; ``name``, ``work``,
        ``size``, ``cut`` and ``toll`` are of the boundary where it would end now; ``compute``, ``receive`` and ``send``
        are its loads, ``held`` its bytes of weights; ``inputs`` and ``above`` are the chips that it receives from, and
        those that lead to these, as bits; ``marks`` is what a guide sees.
    done, below : (S, W) nodes done, and descendants of its nodes where the triangle rule asks for them.
    eligible : (S, N) bool, nodes that may come next.
    unread : (S, M) readers of each tensor that are not done.
    got : (S, M) bool, tensors that the block receives.
    shared : (S, Q) bool, shared weights that it holds.
    """

    last: Children
    done: Words
    below: Words
    eligible: BoolArray
    unread: IntArray
    got: BoolArray
    shared: BoolArray
