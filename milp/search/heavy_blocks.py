"""Bounds from single chips: the cheapest block around heavy nodes, and what pigeonhole sets cost."""

from __future__ import annotations

from functools import partial

import numpy as np

from milp import budget
from milp.chip_bounds.capacity import BlockCapacity, alone
from milp.chip_bounds.pigeonholes import Shares, heaviest_crowd
from milp.state.grounds import by_blocks
from milp.state.names import Doing
from milp.state.run import Phase, Run
from milp.tolerances import CROWD_FROM, MARGIN, REPEATED_GAIN
from partition.arrays import FloatArray

PATIENCE = 8
"""Nodes in a row that do not raise the bound before the phase ends."""

CROWD_PATIENCE = 2
"""Questions in a row that were not settled before the set is asked about as a whole."""


def block_capacity(run: Run) -> BlockCapacity | None:
    """What tells about single blocks, where every chip is such a block; shared through :meth:`Run.kept`."""
    rules = run.tightening.known[0].rules
    return BlockCapacity(run.instance, rules) if BlockCapacity.applies(run.instance) else None


def _applies(run: Run) -> bool:
    return run.kept(block_capacity) is not None


def _blocks(run: Run) -> None:
    """The cheapest valid block around the heaviest nodes in turn, while that raises the bound; then crowds."""
    incumbent, capacity = run.incumbent, run.kept(block_capacity)
    assert capacity is not None
    until = run.stop.seconds + run.share(budget.BLOCKS)
    cost, fruitless = alone(run.instance), 0
    for node in _heaviest_first(run.instance.fastest, cost):
        if cost[node] <= incumbent.lower:
            continue
        if fruitless >= PATIENCE or run.stop() or incumbent.closed or run.stop.seconds > until:
            break
        before = incumbent.lower
        upper = incumbent.upper * (1 - MARGIN)
        limit = min(budget.FIRST_SLICE, until - run.stop.seconds)
        found = capacity.cheapest(node, upper=upper, time_limit=limit, stop=run.stop, seed=run.seed)
        because = partial(by_blocks, "blocks", run.instance, [node])
        incumbent.prove(min(found.bound, upper), within=upper, because=because)
        fruitless = 0 if incumbent.lower > before * (1 + REPEATED_GAIN) else fruitless + 1
    run.kept(CrowdQuestions).ask(run.share(budget.CROWDS), together=False)


def _heaviest_first(time: FloatArray, cost: FloatArray) -> list[int]:
    """All nodes, by their times and by what they cost with a chip to themselves, in turns.

    Parameters
    ----------
    time, cost : (N,) units of the instance.
    """
    orders = [np.argsort(-weight, kind="stable") for weight in (cost, time)]
    return list(dict.fromkeys(np.stack(orders, axis=1).ravel().tolist()))


class CrowdQuestions:
    """What heavy nodes cost in blocks as crowded as some must be; asked again whenever there is time.

    One by one tells more; together it is one question, where single ones are too hard.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.capacity = run, run.kept(block_capacity)
        crowd = heaviest_crowd(run.instance) if self.capacity is not None else None
        self.shares = Shares(run.instance, crowd) if crowd is not None else None
        self.too_hard = 0  # questions about single nodes in a row that were not settled

    def ask(self, seconds: float, *, together: bool = True) -> None:
        """Raise the bound by such questions, for so many seconds; and by the long one about all ``together``, if so."""
        incumbent, stop = self.run.incumbent, self.run.stop
        if self.shares is None or self.shares.crowd.work < CROWD_FROM * incumbent.lower:
            return
        until = stop.seconds + seconds
        asked = np.zeros(self.run.instance.nodes, dtype=bool)
        while not (incumbent.closed or stop()) and stop.seconds < until:
            upper, left = incumbent.upper * (1 - MARGIN), until - stop.seconds
            if self.too_hard >= CROWD_PATIENCE:
                if together:
                    self._ask_together(self.shares, upper, left)
                return
            more = self.shares.next(max(self.shares.bound(), incumbent.lower), asked)
            if more is None:
                if not asked.any():
                    self.shares = None
                return
            node, missing = more
            asked[node] = True
            limit = max(budget.CROWD_QUESTION, left / missing)
            self._ask_one(self.shares, node, upper, limit)

    def _ask_one(self, shares: Shares, node: int, upper: float, limit: float) -> None:
        assert self.capacity is not None
        run = self.run
        settled = shares.ask(node, self.capacity, upper=upper, time_limit=limit, stop=run.stop, seed=run.seed)
        self.too_hard = 0 if settled else self.too_hard + 1
        self._prove(shares, upper)

    def _ask_together(self, shares: Shares, upper: float, limit: float) -> None:
        assert self.capacity is not None
        run = self.run
        settled = shares.ask_together(self.capacity, upper=upper, time_limit=limit, stop=run.stop, seed=run.seed)
        self._prove(shares, upper)
        if settled:
            self.shares = None

    def _prove(self, shares: Shares, upper: float) -> None:
        crowd = np.flatnonzero(shares.crowd.nodes).tolist()
        because = partial(by_blocks, "crowds", self.run.instance, crowd)
        self.run.incumbent.prove(min(shares.bound(), upper), within=shares.within, because=because)


BLOCKS = Phase(Doing.BLOCKS, _applies, _blocks)
