"""What the answers of a sweep say about its other designs, and which design to search next."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from milp.tolerances import RESOLUTION, ROUNDING
from partition.arrays import BoolArray, FloatArray, IntArray, any_of
from partition.errors import RefutedBound
from partition.problem.chip_kind import MEMORY_SLACK
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware, override
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.scoring.cost import Cost, CostModel
from partition.scoring.generosity import factors
from partition.scoring.rules import check

FoundStatus = Literal["optimal", "feasible", "infeasible", "none"]

NOBODY = -1
"""Number of the answer where none says anything."""


@dataclass(frozen=True, eq=False)
class Found:
    """What is known of one package after a search.

    Attributes
    ----------
    hardware : as asked.
    placed : the same with kinds and stages where the placement has them.
    status : as of a result; ``none`` where the limit came before any valid placement.
    placement, period : the best; None and infinity if there is none.
    bound : proved; infinite if infeasible.
    seconds, work : of the search; work where that was limited.
    reason : why it is infeasible.
    faults : what went wrong without harm.
    interrupted : the caller ended the search.
    given_by : the package whose answer the search was given a bound of; its own bound may rest on that one.
    """

    hardware: Hardware
    placed: Hardware
    status: FoundStatus
    placement: Placement | None = None
    period: float = math.inf
    bound: float = 0.0
    seconds: float = 0.0
    work: float | None = None
    reason: str = ""
    faults: tuple[str, ...] = ()
    interrupted: bool = False
    given_by: Hardware | None = None

    def without_proof(self) -> Found:
        """The same answer where nothing of what it proved is believed."""
        status: FoundStatus = "none" if self.placement is None else "feasible"
        return replace(self, status=status, bound=0.0, given_by=None)


@dataclass(frozen=True, eq=False)
class Best:
    """The best placement known on a design, on the package as the placement has it; ``source`` is whose it is."""

    placement: Placement
    hardware: Hardware
    cost: Cost
    source: int

    @property
    def period(self) -> float:
        """Of the placement, in the hardware's time unit."""
        return float(self.cost.period[0])


class Known:
    """Answers for packages, and what follows for designs; answers are numbered, designs behind those from before.

    Parameters
    ----------
    before : answers from earlier.
    designs : the packages of the sweep.
    gap : at which a design is settled.
    tried : answers from earlier, by number, whose search had no less time or work than one has now.

    Attributes
    ----------
    lower : (D,) the best bound of every design; infinite where nothing fits.
    source_of_lower : (D,) the answer that it follows from, :data:`NOBODY` where there is none.
    upper : (D,) the best period known of every design.
    withdrawn : answers whose proof is no longer believed.
    """

    def __init__(
        self,
        graph: Graph,
        before: Sequence[Found],
        designs: Sequence[Hardware],
        gap: float,
        tried: Collection[int] = (),
    ) -> None:
        self.graph, self.designs, self.gap = graph, tuple(designs), max(gap, RESOLUTION)
        self.first = len(before)
        packages = [*(each.hardware for each in before), *designs]
        self._problems: dict[Hardware, Problem] = {each: Problem.of(graph, each) for each in packages}
        self.factors = factors(graph, packages, designs)
        self.found: dict[int, Found] = {}
        self._tried = set(tried)
        self.withdrawn: set[int] = set()
        self.best: list[Best | None] = [None] * len(designs)
        least = np.array([self._problem(each).least_period for each in designs]) * (1 - ROUNDING)
        self._base = np.where(np.isfinite(least), least, 0.0)
        self._told = np.zeros((len(packages), len(designs)))
        self.upper = np.full(len(designs), math.inf)
        self._compare()
        for number, each in enumerate(before):
            self._learn(number, each)

    # --- what follows ---------------------------------------------------------------------------------------

    @property
    def settled(self) -> BoolArray:
        """(D,) whether the gap is closed, or nothing fits."""
        return np.asarray(np.isinf(self.lower) | (self.upper * (1 - self.gap) <= self.lower))

    @property
    def waiting(self) -> IntArray:
        """Designs that are neither settled nor searched, and that a search may tell something about."""
        searched = np.array([self.first + i in self.found for i in range(len(self.designs))], dtype=bool)
        return np.flatnonzero(~(self.settled | searched | (self.outdone & self.unproved)))

    @property
    def outdone(self) -> BoolArray:
        """(D,) whether a search that found nothing shorter had all placements of a design to choose from, and more."""
        few = self._open
        periods = np.array([self.found[number].period for number in few])
        covers = self.factors[few] <= 1.0 + ROUNDING
        return any_of(covers & (self.upper * (1 - self.gap) <= periods[:, None]), 0)

    @property
    def unproved(self) -> BoolArray:
        """(D,) whether a search that proved no more had fewer placements to exclude, all of them of a design."""
        few = [number for number in self._open if number >= self.first]
        bounds = np.array([self.found[number].bound for number in few])
        covered = self.factors[self.first :, [number - self.first for number in few]] <= 1.0 + ROUNDING
        return any_of(covered & (bounds * (1 - self.gap) <= self.lower[:, None]), 1)

    @property
    def _open(self) -> list[int]:
        """Searches that ended with a placement and a gap, for all that one may spend now."""
        return [number for number in sorted(self._tried) if self.found[number].status == "feasible"]

    # --- learning -------------------------------------------------------------------------------------------

    def learn(self, number: int, found: Found) -> None:
        """Take the answer of a search, and see what its placement is worth on the other designs."""
        self._tried.add(number)
        self._learn(number, found)

    def _learn(self, number: int, found: Found) -> None:
        self.found[number] = found
        barren = found.status == "infeasible"
        own = self.graph.least is None or number >= self.first  # of least weights, "nothing fits" is not passed on
        if barren and self.graph.least is not None:
            self.factors[number, np.arange(len(self.designs)) != number - self.first] = math.inf
        self._tell(number, 0.0 if barren else found.bound, barren and own)
        if found.placement is not None:
            self._try(number, found, found.placement)
        self._heed()

    def _tell(self, number: int, bound: float, barren: bool) -> None:
        """Take what an answer says about each design: about its own in full, others less a margin for rounding."""
        factors, own = self.factors[number], number - self.first
        told = bound / factors * (1 - ROUNDING)
        if barren:
            told[np.isfinite(factors)] = math.inf
        if own >= 0:
            told[own] = math.inf if barren else bound
        self._told[number] = told
        self._compare()

    def _compare(self) -> None:
        """See which answer says most about each design."""
        designs = np.arange(len(self.designs))
        most, own = self._told.max(axis=0), self.first + designs
        strongest = np.where(self._told[own, designs] >= most, own, self._told.argmax(axis=0))
        self.lower: FloatArray = np.maximum(most, self._base)
        self.source_of_lower: IntArray = np.where(most > self._base, strongest, NOBODY)

    def _try(self, number: int, found: Found, placement: Placement) -> None:
        """Offer a placement to every design on which it could be better."""
        costs: dict[Hardware, Cost] = {}
        no_better = found.period / self.factors[number] >= self.upper  # on any design where it is valid
        skipped = self.settled | no_better
        for i, design in enumerate(self.designs):
            if skipped[i] and self.first + i != number:
                continue
            package = placed_like(design, found.placed, placement)
            if package is None:
                continue
            # What a placement costs does not depend on SRAM, unless weights are streamed.
            bare = package if package.streams else override(package, {"sram_bytes": math.inf})
            if bare not in costs:
                costs[bare] = self._problem(bare).kept(CostModel).evaluate_placement(placement)
            cost, best = costs[bare], self.best[i]
            fits = (cost.sram[0] <= package.room * (1 + MEMORY_SLACK)).all()
            better = best is None or float(cost.period[0]) < best.period
            if fits and better and not check(self.graph, package, placement):
                self.best[i] = Best(placement, package, cost, number)
                self.upper[i] = cost.period[0]

    def _problem(self, package: Hardware) -> Problem:
        return self._problems.setdefault(package, Problem.of(self.graph, package))

    def _heed(self) -> None:
        """Believe no answer whose bound a placement refutes."""
        while True:
            false = np.flatnonzero(self.upper < self.lower * (1 - ROUNDING))
            if not len(false):
                return
            design = int(false[0])
            liar = int(self.source_of_lower[design])
            if liar == NOBODY:  # what needs no search
                self._base[design] = 0.0
                self._compare()
            else:
                self._withdraw(liar)
            whose = self.designs[design] if liar == NOBODY else self.found[liar].hardware
            warnings.warn(
                f"a valid placement on {self.designs[design].name!r} refutes what was proved for "
                f"{whose.name!r}, which is withdrawn; please report this model and package",
                RefutedBound,
                stacklevel=3,
            )

    def _withdraw(self, number: int) -> None:
        """Believe neither an answer nor those that were given its bound."""
        self.withdrawn.add(number)
        self._tried.discard(number)
        self.found[number] = self.found[number].without_proof()
        self._tell(number, 0.0, False)
        for other, found in list(self.found.items()):
            if found.given_by == self.found[number].hardware:
                self._withdraw(other)

    # --- what to search next --------------------------------------------------------------------------------

    def choose(self, count: int) -> list[int]:
        """Up to ``count`` designs to search side by side, those first that tell nothing about one another."""
        chosen: list[int] = []
        waiting = self.waiting
        more = self.factors[self.first :] <= 1.0 + ROUNDING
        related = more | more.T
        while len(chosen) < count:
            apart = np.array([i for i in waiting if not related[i, chosen].any()], dtype=np.int64)
            left = apart if len(apart) else np.setdiff1d(waiting, chosen)
            if not len(left):
                return chosen
            chosen.append(self._next(left, more))
        return chosen

    def _next(self, waiting: IntArray, more: BoolArray) -> int:
        """One that no waiting design is more generous than; among these the one that most others are below.

        Its bound holds for all of them. The proof is easiest there, and those below seldom need more than a placement.
        Last come designs that are :attr:`outdone`, which lack a proof. Of those the stingiest is first: if there is no
        proof there, those between have none either.
        """
        hopeful = ~self.outdone[waiting]
        if not hopeful.any():
            return self._uppermost(waiting, more.T)
        return self._uppermost(waiting[hopeful], more)

    @staticmethod
    def _uppermost(waiting: IntArray, more: BoolArray) -> int:
        among = more[waiting][:, waiting]
        topmost = ~(among & ~among.T).any(axis=0)
        return int(waiting[np.argmax(np.where(topmost, among.sum(axis=1), 0))])


def placed_like(design: Hardware, placed: Hardware, placement: Placement) -> Hardware | None:
    """The design with kinds and stages in the places that a placement on another package had; None if too small."""
    used = int(max(_chips_of(placement))) + 1
    if used > design.chips:
        return None
    if design.kind_order == "free" and not design.identical_chips:
        order = tuple(placed.kinds[k].name for k in placed.kind_of_chip)
        names = [kind.name for kind in design.kinds]
        if sorted(order) == sorted(names[k] for k in design.kind_of_chip):
            return replace(design, kind_of_chip=tuple(names.index(name) for name in order))
    same = placed.interconnect.topology == design.interconnect.topology
    if design.routed and design.identical_chips and same and placed.chips <= design.chips:
        grows = placed.chips == design.chips or design.interconnect.topology == "bichain"
        if grows and placed.routed:
            return replace(design, positions=(*placed.stage_positions, *range(placed.chips, design.chips)))
    return design


def _chips_of(placement: Placement) -> Iterator[int]:
    yield int(placement.assignment.max(initial=0))
    for pairs in (placement.replicas, placement.relays):
        yield int(pairs[:, 1].max(initial=0)) if len(pairs) else 0
