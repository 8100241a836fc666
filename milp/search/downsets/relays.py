"""The triangle rule while chips are filled one after the other: which chips lead to which, and who relays what.

A chip that receives from chips ``p`` and ``q`` breaks the rule where ``p`` leads to ``q``: nothing that comes later
mends that. A tensor passes by a chip ``c`` without harm unless its sender leads to ``c`` and ``c`` leads to a reader.
It leads to one where a node of ``c`` is an ancestor of the reader. Then ``c`` relays the tensor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milp.search.downsets.boundaries import Boundaries
from milp.search.downsets.tasks import Words, holds
from milp.search.downsets.transfers import Flow
from partition.arrays import BoolArray, FloatArray, IntArray, sums

MOST_CHIPS = 64
"""Chips are bits of a word."""


@dataclass(frozen=True, eq=False)
class Ends:
    """Blocks that may end now.

    Attributes
    ----------
    root : (R,) row of the boundary where each begins.
    done, below : (R, W) nodes done with it, and descendants of its nodes.
    unread : (R, M) readers of each tensor that are not done.
    got : (R, M) bool, tensors that it receives.
    inputs, above : (R,) chips that it receives from, and chips that lead to those, as bits.
    """

    root: IntArray
    done: Words
    below: Words
    unread: IntArray
    got: BoolArray
    inputs: NDArray[np.uint64]
    above: NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Relayed:
    """What blocks relay.

    Attributes
    ----------
    legal : (R,) whether each block can end at all.
    receive, send : (R,) transfer time on top.
    source, above : of the boundaries behind them.
    """

    legal: BoolArray
    receive: FloatArray
    send: FloatArray
    source: NDArray[np.int8]
    above: NDArray[np.uint64]


def relayed(flow: Flow, begun: Boundaries, ends: Ends, chip: int, *, eagerly: bool) -> Relayed:
    """What blocks on a chip relay, each behind the boundary ``begun`` where it begins.

    Eagerly they also relay what they read themselves and what is read again later: no later chip then needs to receive
    from their sender, so that it may receive from them as well.
    """
    count = len(ends.root)
    source = begun.source[ends.root]
    before = holds(begun.done[:, flow.producer >> 6], flow.producer)
    row, tensor = np.nonzero(before[ends.root] & (ends.unread > 0))
    sender = source[row, tensor].astype(np.uint64)
    leads = ((ends.inputs | ends.above)[row] >> sender) & np.uint64(1) > 0
    row, tensor, sender = row[leads], tensor[leads], sender[leads]
    chosen = ends.got[row, tensor] & flow.relayable[tensor] if eagerly else np.zeros(len(row), dtype=bool)
    left, below = flow.reader_set[tensor] & ~ends.done[row], ends.below.copy()
    while True:  # what a chip relays makes it lead to more readers
        np.bitwise_or.at(below, row[chosen], flow.beyond[tensor[chosen]])
        more = ~chosen & ((left & below[row]) != 0).any(axis=1)
        if not more.any():
            break
        chosen |= more
    row, tensor, sender = row[chosen], tensor[chosen], sender[chosen]
    tau = flow.tau[tensor]
    inputs, above = ends.inputs.copy(), ends.above.copy()
    np.bitwise_or.at(inputs, row, np.uint64(1) << sender)
    np.bitwise_or.at(above, row, begun.above[ends.root[row], sender.astype(np.int64)])
    legal = (inputs & above) == 0
    legal[row[~flow.relayable[tensor]]] = False
    made = holds(ends.done[:, flow.producer >> 6], flow.producer)
    source[made & ~before[ends.root]] = chip
    source[row, tensor] = chip
    lead = begun.above[ends.root]
    lead[:, chip] = inputs | above
    return Relayed(legal, sums(row, tau * ~ends.got[row, tensor], count), sums(row, tau, count), source, lead)
