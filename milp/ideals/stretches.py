"""Stretches of the graph between waists: what each takes of the chips at least, and whether all fit together.

A waist is a node that is comparable with all others, so nothing passes it by. A chip whose block holds a waist ends the
stretch before it and receives what crosses into that. It also begins the stretch behind it and sends what crosses out
of that. Its load is a sum with a part for each stretch. All other chips that have nodes of a stretch have none of
another. So a placement below a threshold ``T`` takes of each stretch ``usage``: ``T`` for every chip of its own, and
the parts of the chips it shares; the sum over all stretches stays below what the chips have to give. The least usage is
a shortest path over the ideals of one stretch alone, with all others left out. Each is told what the others take at
least, which leaves it fewer chips.

Wide stretches have too many ideals. The narrow ones among them will do: ``usage`` is the time of all nodes and twice
what crosses an ideal at least (sent and received). So chains through wide ideals take more than can be had, or at least
so much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from milp import budget
from milp.ideals.chains import Chain, Chains
from milp.ideals.leaving_out import segments
from milp.ideals.levels import Elsewhere
from milp.ideals.program import ALIVE_LIMIT, Ideals
from milp.ideals.program import SCOPE as CHAINS
from milp.tolerances import PART, ROUNDING, WIDER
from partition.arrays import BoolArray
from partition.instance.features import Scope
from partition.instance.instance import Instance
from partition.stopping import Stop

SCOPE = Scope(
    engine="stretches",
    claims="what parts of the graph between waists take of the chips",
    covers=CHAINS.covers,  # a stretch is looked at by chains of blocks, and what is added holds wherever they do
    refuses=CHAINS.refuses,
)

STRETCHES = 3
"""Most stretches looked at, the heaviest ones."""

MOST_IDEALS = 1_000_000
"""Most ideals of a stretch worth enumerating; most leave too few chips and are dropped at once."""

FEW_IDEALS, FEW_ALIVE = 50_000, 5_000
"""The same at first sight, and most of those that leave enough chips."""

NARROWEST = 9
"""First sight begins with ideals that less crosses than can be, by as many times a factor of sqrt(2)."""

THRESHOLDS = 40
"""Thresholds among which the most promising is chosen."""

POWER = 1.5
"""Effort for a threshold: a power of the ideals that leave enough chips."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """Nodes between two waists.

    Attributes
    ----------
    nodes : (N,) bool.
    first, last : the waists beside it, -1 where there is none.
    work : time of its nodes.
    before, behind : of all nodes up to the first waist, and from the last one on.
    """

    nodes: BoolArray
    first: int
    last: int
    work: float
    before: float
    behind: float


@dataclass(frozen=True)
class StretchVerdict:
    """What was found about a threshold.

    Attributes
    ----------
    bound : no placement has a smaller period. If that is the threshold, it is disproved.
    chain : the best chain of the heaviest stretch, on the finest level looked at.
    finest : whether that is the finest of all, so that a smaller threshold will hardly be disproved.
    """

    bound: float
    chain: Chain | None = None
    finest: bool = False


class Stretches:
    """The heaviest stretches of an instance, heaviest first, for any number of thresholds.

    Parameters
    ----------
    most : the largest of the thresholds.
    spare : stretches that take less than this with all they may transfer are not looked at.
    """

    def __init__(self, instance: Instance, most: float, spare: float) -> None:
        self.instance, self.most = instance, most
        hardware = instance.hardware
        self.waists, nodes = segments(instance)
        self.time = np.where(instance.replicable | np.isinf(instance.fastest), 0.0, instance.fastest)
        sent = np.bincount(instance.source, weights=instance.tau, minlength=instance.nodes)
        self.found = [
            self._stretch(each)
            for each in nodes[:STRETCHES]
            if (self.time + 2 * sent)[each].sum() > spare and (self.waists | each).mean() <= PART
        ]
        self.bounds = np.zeros(instance.nodes, dtype=bool)
        self.bounds[[v for s in self.found for v in (s.first, s.last) if v >= 0]] = True
        self.rest = float(self.time.sum()) - sum(s.work for s in self.found)
        self.charged = hardware.transfers_add_up
        self.by_width = self.charged and instance.links_carry_cuts
        self.least_width = float(sent[self.waists].max(initial=0.0))  # chains may end a chip at any waist
        self._ideals: dict[tuple[int, float, int], Ideals] = {}
        self.usage = [s.work for s in self.found]  # of the threshold asked about
        self._seen = self._elsewhere(0)
        self._rate = 0.0  # seconds for a unit of effort, once measured

    @staticmethod
    def applies(instance: Instance) -> bool:
        """Whether what passes a waist is known."""
        return SCOPE.admits(instance.features)

    def _stretch(self, nodes: BoolArray) -> Stretch:
        waists, inside = np.flatnonzero(self.waists), np.flatnonzero(nodes)
        first = int(waists[waists < inside[0]].max(initial=-1))  # nodes are numbered topologically
        last = int(waists[waists > inside[-1]].min(initial=len(nodes)))
        work, before, behind = (float(self.time[part].sum()) for part in (nodes, slice(first + 1), slice(last, None)))
        return Stretch(nodes, first, last if last < len(nodes) else -1, work, before, behind)

    def promising(self, low: float, high: float, seconds: float, stop: Stop) -> float | None:
        """The threshold between two to ask about next, in that many seconds; None if all take too long.

        At first what raises the bound ``low`` most for its time, which also tells how long things take, then what
        raises it most.
        """
        tried = np.linspace(low, high, THRESHOLDS + 2)[1:-1]
        effort = np.array([self._effort(float(threshold), stop) for threshold in tried])
        expected = effort * (self._rate or budget.STRETCH_EFFORT)
        gain = np.where((effort > 0) & (expected <= seconds), tried - low, 0.0)
        best = int(np.argmax(gain if self._rate else gain / (expected + budget.STRETCH_OVERHEAD)))
        return float(tried[best]) if gain[best] > 0 else None

    def _effort(self, threshold: float, stop: Stop) -> float:
        """What the heaviest stretch takes; 0 without any level of ideals."""
        levels = self._ideals_of(0, self.most, MOST_IDEALS, stop).levels
        effort = 0.0
        for level in levels[1:] or levels:  # coarser levels leave few ideals of the finest one
            before, behind = level.chips_needed(self.instance, threshold, self._seen)
            effort += float((before + behind <= self.instance.chips).sum()) ** POWER
        return effort

    def ask(self, threshold: float, stop: Stop) -> StretchVerdict:
        """Whether all stretches fit into chips that have less than ``threshold`` to give each."""
        self.usage = [s.work for s in self.found]
        stretches = range(len(self.found))
        for i in stretches if self.by_width else ():
            self.usage[i] = self._at_first_sight(i, threshold, stop)
            if self.usage[i] > self._room(i, threshold):
                return StretchVerdict(threshold)
        self._seen = self._elsewhere(0)
        verdict = StretchVerdict(0.0)
        for i in stretches:
            if stop():
                break
            begun = stop.seconds
            self.usage[i], chain, finest = self._look(i, threshold, self._width(i, threshold), MOST_IDEALS, stop)
            effort = self._effort(threshold, stop) if i == 0 else 0.0
            if effort > 0:
                self._rate = (stop.seconds - begun) / effort
            if self.usage[i] > self._room(i, threshold):
                return StretchVerdict(threshold)
            bound = min(chain.period, threshold) if chain is not None else 0.0
            verdict = (
                StretchVerdict(bound, chain, finest) if i == 0 else replace(verdict, bound=max(verdict.bound, bound))
            )
        return verdict

    def _room(self, i: int, threshold: float) -> float:
        """What chips have to give to a stretch."""
        others = sum(used for j, used in enumerate(self.usage) if j != i)
        return self.instance.chips * threshold * (1 + ROUNDING) - self.rest - others

    def _elsewhere(self, i: int) -> list[Elsewhere]:
        """What all stretches but one take."""
        return [
            Elsewhere(other.first, other.last, used - other.work)
            for j, (other, used) in enumerate(zip(self.found, self.usage, strict=True))
            if j != i
        ]

    def _width(self, i: int, threshold: float) -> float:
        """What may cross ideals of a stretch: chains through wider ones take more than there is room for."""
        width = (self._room(i, threshold) - self.found[i].work) / 2 * WIDER
        return max(width, self.least_width) if self.by_width and width < threshold else self.most

    def _at_first_sight(self, i: int, threshold: float, stop: Stop) -> float:
        """The least usage of a stretch as far as narrow ideals tell that are few."""
        least, work, enough = self.usage[i], self.found[i].work, self._width(i, threshold)
        for k in range(NARROWEST, -1, -1):
            width = max(self.most / 2 ** (k / 2), self.least_width)
            if work + 2 * width <= least:
                continue
            found, *_ = self._look(i, threshold, width, FEW_IDEALS, stop)
            least = max(least, found)
            if width >= enough or least < work + 2 * width or stop():
                break
        return least

    def _look(self, i: int, threshold: float, width: float, limit: int, stop: Stop) -> tuple[float, Chain | None, bool]:
        """The least usage of a stretch, its best chain if that may be as wide as can be, and if that is the finest."""
        stretch, least = self.found[i], self.usage[i]
        ideals = self._ideals_of(i, width, limit, stop)
        alive = FEW_ALIVE if limit == FEW_IDEALS else ALIVE_LIMIT
        chains = ideals.solve(threshold, stop, self._elsewhere(i), alive)
        if chains is None or chains.best is None:
            return least, None, False
        least = np.inf if chains.best.chip is None else max(least, self._least_usage(stretch, chains, threshold))
        if width < threshold:
            return min(least, max(self.usage[i], stretch.work + 2 * width)), None, False
        return least, chains.best, chains.level is ideals.levels[0]

    def _ideals_of(self, i: int, width: float, limit: int, stop: Stop) -> Ideals:
        key = i, width, limit
        if key not in self._ideals:
            nodes = self.waists | self.found[i].nodes
            self._ideals[key] = Ideals(self.instance, width, stop, limit, nodes, self.bounds)
        return self._ideals[key]

    def _least_usage(self, stretch: Stretch, chains: Chains, threshold: float) -> float:
        """The shortest path through the ideals of a stretch."""
        level, rows = chains.level, chains.rows
        count = len(rows)
        cut = level.cut[rows] if self.charged else np.zeros(count)
        began = level.before[rows] - stretch.before + cut  # part of the chip whose block ends here
        ended = level.behind[rows] - stretch.behind + cut  # part of the chip whose block begins here
        left, right = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        if stretch.first >= 0:
            left = ~level.holds(stretch.first)[rows]
        if stretch.last >= 0:
            right = level.holds(stretch.last)[rows]
        inside = ~(left | right)
        enters, leaves = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        enters[0], leaves[-1] = inside[0], inside[-1]
        more = np.full(count, np.inf)  # after chips of its own
        least = np.inf
        for i, ends in zip(chains.starts, chains.ends, strict=True):
            if left[i]:
                enters[ends] |= inside[ends]
                least = min(least, stretch.work) if right[ends].any() else least
            elif inside[i]:
                own = ends[inside[ends]]
                reached = min(more[i], began[i] if enters[i] else np.inf) + threshold
                more[own] = np.minimum(more[own], reached)
                leaves[i] |= bool(right[ends].any())
        least = min(least, float((more + ended)[leaves].min(initial=np.inf)))
        both = enters & leaves
        once = np.maximum(began + ended, stretch.work + 2 * cut)[both]
        return min(least, float(once.min(initial=np.inf)))
