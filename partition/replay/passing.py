"""What a chip must pass on under the triangle rule: tensors made before it and read behind it, with no way around.

On its way from its producer's chip to a reader's such a tensor goes, in one step, from a chip before to a chip behind.
Let both have a unit that lies on a path of edges with one of the chip's own. Then there is a path beside that step,
which the rule forbids. So the chip receives the tensor and sends it on, unless some unit of the graph lies on no path
with any of the chip's. Where nothing may be relayed, it cannot be there.

A unit that may be replicated counts as one on no path. Units before the tensor's producer, or behind all its readers,
are on none of the chips in between.
"""

from __future__ import annotations

import numpy as np

from partition.arrays import BoolArray, IntArray
from partition.replay.question import IN_LINE, ReplayQuestion
from partition.replay.units import Units


def relays_exist(question: ReplayQuestion) -> bool:
    """Whether chips may forward tensors."""
    return question.rules["relays"] and question.topology in IN_LINE


def applies(question: ReplayQuestion) -> bool:
    """Whether a tensor can be kept from going around a chip."""
    relays = relays_exist(question)
    forward = all(question.constrains(tensor.producer, w) for tensor in question.tensors for w in tensor.readers)
    rules = question.rules["triangle"] and question.rules["acyclic"] and question.chips > 2
    return rules and forward and not question.routed and (question.rules["no_skipping"] or not relays)


class Passing:
    """Which tensors blocks of kept units must pass on.

    Parameters
    ----------
    units : with their order, of a question that :func:`applies`.
    kept : those that blocks are made of, as columns.
    tensors : of each tensor, the unit that makes it and the units that read it.

    Attributes
    ----------
    relays : whether tensors may be relayed.
    """

    def __init__(self, units: Units, kept: list[int], tensors: list[tuple[int, tuple[int, ...]]]) -> None:
        before = units.before
        assert before is not None
        on_path = before | before.T
        on_path[sorted(units.copied)] = False
        self.near = on_path[:, kept].astype(np.float32)  # (U, kept)
        self.relays = relays_exist(units.question)
        self.around = np.zeros((units.count, len(tensors)), dtype=np.float32)
        for t, (u, read) in enumerate(tensors):
            if self.relays:
                ahead = before[u].copy()
                ahead[u] = False
                behind = np.array(before[:, list(read)].all(axis=1))
                behind[list(read)] = False
                self.around[:, t] = ~(ahead | behind)
            else:
                self.around[[u, *read], t] = True

    def forced(self, blocks: BoolArray, tensors: IntArray) -> BoolArray:
        """(P, len(tensors)) whether a block must pass on each tensor, if that is made before and read behind it.

        Parameters
        ----------
        blocks : (P, kept) the units of each block.
        """
        apart = (blocks.astype(np.float32) @ self.near.T == 0).astype(np.float32)
        return np.asarray(apart @ self.around[:, tensors] == 0)
