"""Who gets the next share of the work: an upper confidence bound for what each way gains for what it costs.

UCB1 (Auer, Cesa-Bianchi and Fischer, Machine Learning, 2002) for gains that wane, so that old ones count less (Garivier
and Moulines, ALT 2011), and for turns that cost unequally (Ding, Qin, Zhang and Liu, AAAI 2013). It draws nothing.
"""

from __future__ import annotations

import math

from milp.tolerances import CURIOSITY, MEMORY


class Bandit:
    """Turns of several ways.

    Parameters
    ----------
    ways : int
        Number of ways; they have their first turns in this order.
    """

    def __init__(self, ways: int) -> None:
        self.turns, self.gained = [0.0] * ways, [0.0] * ways

    def choose(self, costs: list[float]) -> int:
        """The way that promises most for its next turn's cost; the first of equals."""
        if 0.0 in self.turns:
            return self.turns.index(0.0)
        known = math.log1p(sum(self.turns))
        index = [
            (gained / turns + CURIOSITY * math.sqrt(known / turns)) / cost
            for gained, turns, cost in zip(self.gained, self.turns, costs, strict=True)
        ]
        return index.index(max(index))

    def learn(self, way: int, gain: float) -> None:
        """Remember what a turn gained, from 0 to 1; what was gained before counts less from now on."""
        self.turns = [MEMORY * turns for turns in self.turns]
        self.gained = [MEMORY * gained for gained in self.gained]
        self.turns[way] += 1.0
        self.gained[way] += gain
