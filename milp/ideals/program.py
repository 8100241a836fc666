"""Exact dynamic program over ideals (down-sets), for graphs that have few of them.

Chips in order cut the nodes into a chain of nested ideals, so the best placement is a shortest path over pairs of them
(Tarnawski et al., NeurIPS 2020). Here all blocks that begin at one ideal are scored at once (milp/ideals/blocks.py).
The tables have the ideals within reach alone, so that long graphs cost little more than short ones. Replicable nodes
are left out; of the triangle rule only the relays that it forces are kept (milp/ideals/forced_relays.py). Of the links
of a ring on which tensors also go back, the one that all of those cross is kept. So the result is a bound, and its
blocks a placement to complete.

Tiny nodes (the shape computations of an exporter, say) multiply the ideals without weighing anything. Where there
are too many ideals, tiny nodes are left out as well; a block is then charged for those that lie between two of its
own nodes and so cannot be elsewhere, which keeps the bound close.

Where there are still many, levels with fewer nodes come first. The chain of a placement has an image on every level. So
an ideal needs as many chips before and behind it as its image. A chip lies between two ideals only if it can lie
between their images. A finer level looks at no others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from milp.ideals.chains import Chain, Chains
from milp.ideals.enumeration import Crossing, Kept
from milp.ideals.leaving_out import kept_nodes, transfers
from milp.ideals.levels import Elsewhere, Level
from milp.ideals.loose import loose_nodes
from milp.tolerances import COARSE, STEPS, TINY
from partition.arrays import BoolArray
from partition.instance.features import ABSORBED, PERIOD_ALONE, PORTS_FOR_ROUTES, Feature, Scope, named
from partition.instance.instance import Instance
from partition.stopping import Stop

SCOPE = Scope(
    engine="ideals",
    claims="the least period of a chain of blocks",
    covers=ABSORBED
    | named(
        "CHAIN RING CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC ANY_ORDER NO_SKIPPING SKIPPING "
        "TRIANGLE LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS RELAYS MIXED_KINDS FREE_ORDER UNSUPPORTED "
        "FREE_TRANSFERS SHARED_WEIGHTS FREE_EDGES ZERO_TIMES CUTS STREAMING STREAMING_IN_TURN"
    ),
    refuses={
        **PERIOD_ALONE,
        Feature.ROUTES: PORTS_FOR_ROUTES,
    },
)


IDEAL_LIMIT = 60_000
"""Most ideals worth enumerating."""

BITS_LIMIT = 1_000_000_000
"""Most bits (ideals x nodes) worth keeping."""

ALIVE_LIMIT = 200_000
"""Most ideals that leave enough chips to the rest between which blocks are worth looking for."""

FEW, COARSER = 3_000, 4
"""From so many ideals on, a level with this many times fewer comes first."""

STEP = 2
"""How many times more ideals the next finer level of a stretch has at least."""


def best_chain(
    instance: Instance, threshold: float, *, stop: Stop | None = None, ideal_limit: int = IDEAL_LIMIT
) -> Chain | None:
    """The best chain of ideals with a period below ``threshold``; None if there are too many, or they do not apply.

    Parameters
    ----------
    threshold : only blocks with a smaller load are looked at, in units of the instance.
    stop : asked now and then; True gives up (None).
    """
    stop = stop or Stop()
    if not Ideals.applies(instance):
        return None
    return Ideals(instance.within(threshold), threshold, stop, ideal_limit).best_chain(threshold, stop)


class Ideals:
    """The ideals of an instance on levels, each of fewer nodes than the one before, for any number of thresholds.

    Parameters
    ----------
    most : ideals that more crosses are left out where a link carries all of it.
    limit : most ideals on the first level; no level if there are more.
    among : (N,) nodes that ideals may be made of, however much work they leave out; all by default.
    always : (N,) those of them that every level has, however light.
    """

    def __init__(
        self,
        instance: Instance,
        most: float,
        stop: Stop,
        limit: int,
        among: BoolArray | None = None,
        always: BoolArray | None = None,
    ) -> None:
        self.instance, self.most = instance, most
        self.always = np.zeros(instance.nodes, dtype=bool) if always is None else always
        self.loose = loose_nodes(instance)
        found = self._from_the_finest(stop, limit) if among is None else self._from_the_coarsest(stop, limit, among)
        self.levels = [Level(instance, kept, words) for kept, words in found]  # finest first

    @staticmethod
    def applies(instance: Instance) -> bool:
        """Whether chips in order cut what the instance contains into blocks."""
        return SCOPE.admits(instance.features)

    def _all_of(self, kept: Kept, limit: int, stop: Stop) -> NDArray[np.uint64] | None:
        crossing = Crossing(transfers(self.instance, kept.node), self.most) if self.instance.links_carry_cuts else None
        return kept.enumerate(min(limit, BITS_LIMIT // len(kept.nodes)), stop, crossing)

    # Levels are nested: a finer one has all nodes of a coarser one. The nodes that matter alone would not be: with a
    # light node left out, the next one may join tensors, and is kept.

    def _from_the_finest(self, stop: Stop, limit: int) -> list[tuple[Kept, NDArray[np.uint64]]]:
        """The finest level with few enough ideals, if it leaves out next to no work, and coarser ones to prepare it."""
        found: list[tuple[Kept, NDArray[np.uint64]]] = []
        for tiny, node in self._choices((*TINY, *COARSE)):
            if stop():
                break
            if (not found and tiny > TINY[-1]) or (found and len(found[-1][1]) < FEW):
                break
            among_kept = node & found[-1][0].node if found else node
            if not among_kept.any():
                continue  # where the finer level has no loose nodes, this one may have nothing else
            kept = Kept(self.instance, among_kept, self.loose)
            words = self._all_of(kept, len(found[-1][1]) // COARSER if found else limit, stop)
            if words is not None:
                found.append((kept, words))
        return found

    def _from_the_coarsest(self, stop: Stop, limit: int, among: BoolArray) -> list[tuple[Kept, NDArray[np.uint64]]]:
        """The same whatever is left out; begun with the coarsest, as too many ideals take long to be found too many."""
        found: list[tuple[Kept, NDArray[np.uint64]]] = []
        for _, node in self._choices((*TINY[:-1], *STEPS)[::-1], among):
            if stop():
                break
            kept = Kept(self.instance, node | found[-1][0].node if found else node)
            words = self._all_of(kept, limit, stop)
            if words is None:
                break
            while found and len(words) < STEP * len(found[-1][1]):
                found.pop()
            found.append((kept, words))
        return [level for i, level in enumerate(found[::-1]) if i == 0 or len(found[-i][1]) >= FEW]

    def _choices(self, limits: Sequence[float], among: BoolArray | None = None) -> Iterator[tuple[float, BoolArray]]:
        """Different sets of nodes that matter, and the time below which others do not."""
        tried: BoolArray | None = None
        for tiny in limits:
            node = kept_nodes(self.instance, tiny)
            choices = [node, node & ~self.loose] if among is None else [(node & among) | self.always]
            for chosen in choices:
                if chosen.any() and (tried is None or not np.array_equal(chosen, tried)):
                    tried = chosen
                    yield tiny, chosen

    def best_chain(self, threshold: float, stop: Stop) -> Chain | None:
        """See :func:`best_chain`; None also if there is no level."""
        if np.isinf(self.instance.within(threshold).fastest).any():
            return Chain(float("inf"), None)
        chains = self.solve(threshold, stop)
        return None if chains is None else chains.best

    def solve(
        self,
        threshold: float,
        stop: Stop,
        elsewhere: Sequence[Elsewhere] = (),
        limit: int = ALIVE_LIMIT,
    ) -> Chains | None:
        """All blocks below the threshold that chains may have, on the finest level that can be looked at.

        Parameters
        ----------
        elsewhere : what stretches of nodes left out take at least, in any placement that is asked about.
        limit : most ideals of a level between which blocks are worth looking for.
        """
        instance = self.instance.within(threshold)  # blocks are differences of sums
        solved: Chains | None = None
        for level in reversed(self.levels):
            if stop():
                break
            finer = Chains(instance, level, threshold, stop, solved, elsewhere)
            if len(finer.work) > limit or not finer.solve():
                break
            solved = finer
            if solved.best is not None and solved.best.chip is None:
                break  # none exists
        return solved
