"""Pigeonholes: what the heavy nodes cost that chips must share, once the transfers of what they share are counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from milp.chip_bounds.capacity import BlockCapacity, alone
from milp.tolerances import ROUNDING, SAME_LOAD
from partition.arrays import BoolArray
from partition.instance.features import ABSORBED, PERIOD_ALONE, PORTS_FOR_ROUTES, Feature, Scope, named
from partition.instance.instance import Instance
from partition.stopping import Stop

SCOPE = Scope(
    engine="crowds",
    claims="what some chip holds of heavy nodes, and what that costs",
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


MOST_IN_CROWD = 100
"""Nodes on one chip up to which crowds are looked at; of more, the even share of the work is as good a bound."""


@dataclass(frozen=True, eq=False)
class Crowd:
    """(N,) nodes of which some chip must hold ``count``; the least ``work`` of so many, in units of the instance."""

    nodes: BoolArray
    count: int
    work: float


def heaviest_crowd(instance: Instance) -> Crowd | None:
    """The crowd of most work, by the pigeonhole principle; None if no chip must hold two."""
    if not SCOPE.admits(instance.features):
        return None
    chips = instance.chips
    order = np.argsort(-np.where(instance.replicable, -1.0, instance.fastest), kind="stable")
    order = order[: int((~instance.replicable).sum())]
    work = instance.fastest[order]
    best: tuple[int, int, float] | None = None
    for others in range(1, min(MOST_IN_CROWD, (len(order) - 1) // chips + 1)):
        size = int(np.searchsorted(-work, -work[others * chips], side="right"))  # all that take as long count as well
        count = -(-size // chips)
        least = float(work[size - count : size].sum())
        if best is None or least > best[2]:
            best = size, count, least
    if best is None:
        return None
    size, count, least = best
    nodes = np.zeros(instance.nodes, dtype=bool)
    nodes[order[:size]] = True
    return Crowd(nodes, count, least)


class Shares:
    """Pigeonholes in fractions: every node of a crowd takes a share of its chip, and there are only so many chips.

    Fix a period ``T``. A node is *dear* if no valid block within ``T`` holds it and ``count`` or more of the crowd. It
    takes ``1 / (count - 1)`` of its chip. Any other node takes ``1 / most``, where ``most`` of the crowd at most fit
    into ``T`` by their work. No chip of a placement within ``T`` gives away more than itself. So where the shares add
    up to more than the chips, there is no such placement.

    Attributes
    ----------
    least : (N,) lower bound on the load of blocks that hold the node and ``count`` or more of the crowd.
    found : (N,) load of the cheapest such block found. It only tells which nodes are worth asking about.
    together : lower bound on the load of blocks that hold ``count`` of those nodes that cost most, just so many of them
        that some chip must.
    within : the largest period that a question was about, to which HiGHS's tolerances are relative.
    """

    def __init__(self, instance: Instance, crowd: Crowd) -> None:
        self.crowd, self.chips = crowd, instance.chips
        self.size = int(crowd.nodes.sum())
        self.work = np.cumsum(np.sort(instance.fastest[crowd.nodes]))
        self.least = np.where(crowd.nodes, crowd.work, -np.inf)
        self.found = np.where(crowd.nodes, np.inf, -np.inf)
        self.together = 0.0
        self.within = 0.0
        self.order = np.argsort(-alone(instance), kind="stable")

    def bound(self) -> float:
        """The least period that the shares do not exclude, in units of the instance."""
        steps = np.unique(np.concatenate([self.least[self.crowd.nodes], self.work]))
        for period in steps[steps >= self.crowd.work].tolist():
            if int((self.least > period).sum()) < self.dear(period):
                return max(float(period), self.together)
        return np.inf

    def dear(self, period: float) -> int:
        """How many nodes must be dear for the shares to exclude the period."""
        few = self.crowd.count - 1
        most = int(np.searchsorted(self.work, period * (1 + ROUNDING), side="right"))
        if most <= few:
            return 0
        # dear / few + (size - dear) / most > chips, in integers
        return max(0, few * (self.chips * most - self.size) // (most - few) + 1)

    def next(self, bound: float, asked: BoolArray) -> tuple[int, int] | None:
        """The node to ask about for a better ``bound``, none of ``asked`` (N,), and how many questions that takes.

        None where no further question can help.
        """
        hopeful = self.found > bound * (1 + SAME_LOAD)
        above = self.least > bound
        dear = self.dear(bound)
        if int((hopeful | above).sum()) < dear:
            return None
        open_ = self.order[(hopeful & ~above & ~asked)[self.order]]
        return (int(open_[0]), max(1, dear - int(above.sum()))) if len(open_) else None

    def ask(
        self, node: int, capacity: BlockCapacity, *, upper: float, time_limit: float, stop: Stop, seed: int = 0
    ) -> bool:
        """Look for the cheapest block around a node as crowded as some must be, of placements better than ``upper``.

        Returns
        -------
        Whether the question was settled.
        """
        crowd = self.crowd
        self.within = max(self.within, upper)
        block = capacity.cheapest(
            node, upper=upper, time_limit=time_limit, stop=stop, seed=seed, crowd=crowd.nodes, count=crowd.count
        )
        self.least[node] = max(self.least[node], block.bound)
        if block.nodes is not None:
            held = block.nodes & crowd.nodes
            self.found[held] = np.minimum(self.found[held], block.load)
        return block.settled

    def ask_together(
        self, capacity: BlockCapacity, *, upper: float, time_limit: float, stop: Stop, seed: int = 0
    ) -> bool:
        """The same for any nodes: one question that takes long where the nodes are many, but never tells nothing."""
        count = self.crowd.count
        crowd = np.zeros(len(self.least), dtype=bool)
        crowd[self.order[self.crowd.nodes[self.order]][: (count - 1) * self.chips + 1]] = True
        self.within = max(self.within, upper)
        block = capacity.cheapest(
            None, upper=upper, time_limit=time_limit, stop=stop, seed=seed, crowd=crowd, count=count
        )
        self.together = max(self.together, block.bound)
        return block.settled
