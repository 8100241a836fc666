"""Chips of different kinds whose order along the pipeline is free: every order is a problem, all share one bound."""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from milp import budget
from milp.ideals.program import best_chain
from milp.search.any_order import any_order
from milp.search.downsets.engine import LineSearch
from milp.search.downsets.phase import free_transfers, share_of_time
from milp.search.dynamic_programs import complete_chain
from milp.search.first_placements import slice_orders
from milp.search.period import PHASES, search, trivial_bound
from milp.state.advice import Advice
from milp.state.attainable import SCOPE as GRID
from milp.state.grounds import by_ideals
from milp.state.incumbent import Incumbent
from milp.state.names import Doing
from milp.state.run import Phase, Run
from milp.tolerances import EXACTNESS, ROUNDING
from partition.errors import RefutedBound
from partition.instance.contract import contract
from partition.instance.features import ABSORBED, PERIOD_ALONE, Scope, named
from partition.instance.instance import Instance
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.results.lower_bound import LowerBound
from partition.results.progress import Progress
from partition.results.proof_steps import Because, ProofStep
from partition.stopping import Stop

SCOPE = Scope(
    engine="kind orders",
    claims="a bound for every order of the kinds",
    covers=ABSORBED
    | named(
        "CHAIN RING ROUTES CROSSBAR MAIN_MEMORY OVERLAPPED SERIAL ACYCLIC ANY_ORDER NO_SKIPPING SKIPPING "
        "TRIANGLE LIMITED_MEMORY DYNAMIC_MEMORY REPLICAS RELAYS MIXED_KINDS FREE_ORDER UNSUPPORTED "
        "FREE_TRANSFERS SHARED_WEIGHTS FREE_EDGES ZERO_TIMES CUTS STREAMING STREAMING_IN_TURN"
    ),
    refuses={
        **PERIOD_ALONE,
    },
)


ORDER_LIMIT = 300
"""Most different orders of the kinds that are searched one by one."""

BEST_ORDERS = 3
"""Of more orders than can be listed, those that are searched one by one: the best found."""


@dataclass(eq=False)
class OrdersProgress:
    """What is known about the search of all orders, at any moment of it.

    Attributes
    ----------
    incumbents : one for each order.
    impossible : those proved to have no valid placement.
    floor : a bound for all orders at once, in the hardware's time unit; infinite if no order has a valid placement.
    listed : whether every order that matters is among them; otherwise those that a placement was found for, and the
        given one.
    claim : behind the floor, where claims are kept.
    given : a bound that was proved elsewhere, or None.
    """

    incumbents: list[Incumbent]
    impossible: set[int] = field(default_factory=set)
    floor: float = 0.0
    listed: bool = True
    claim: ProofStep | None = None
    given: LowerBound | None = None

    @property
    def possible(self) -> list[Incumbent]:
        """Of the orders that may have a valid placement."""
        return [incumbent for i, incumbent in enumerate(self.incumbents) if i not in self.impossible]

    @property
    def feasible(self) -> bool:
        """False if no order has a valid placement."""
        return self.floor < float("inf") and (bool(self.possible) or not self.listed)

    @property
    def settled(self) -> bool:
        """Whether nothing is left to find or to prove in any order."""
        _share(self.incumbents)
        if not self.feasible:
            return True
        if self.listed:
            return all(incumbent.closed for incumbent in self.possible)
        best = self.incumbent
        if best.limit is not None and self.bound > best.limit:
            return True
        if best.limit_open or not best.known:
            return False
        return best.enough or best.period - self.bound <= best.gap_wanted * best.period

    @property
    def proof(self) -> tuple[ProofStep, ...]:
        """The claim for all orders at once, or one for every order; empty where claims are not kept."""
        least = min((inc.bound for inc in self.possible), default=float("inf")) if self.listed else 0.0
        if self.claim is not None and self.floor >= least:
            return (self.claim,)
        return tuple(inc.claim for inc in self.incumbents if inc.claim is not None) if self.listed else ()

    def raise_floor(self, period: float, because: Because | None = None) -> None:
        """No order has a shorter period than this, in the hardware's time unit; infinite if none has any."""
        before, plain = self.floor, period
        if period < float("inf"):
            grid = self.incumbents[0].grid
            safe = period * (1 - EXACTNESS)
            period = safe if grid is None else grid.up(safe)
        self.floor = max(self.floor, period)
        if self.floor > before and self.incumbents[0].keeps_steps:
            self.claim = self._claim(plain * (1 - EXACTNESS), because)
        if self.floor < float("inf"):
            for incumbent in self.incumbents:
                incumbent.prove(self.floor / incumbent.instance.unit, exact=True, because=self.for_all_orders)

    def believe(self, given: LowerBound) -> None:
        """Take a bound that was proved elsewhere."""
        self.given = given
        for incumbent in self.incumbents:
            incumbent.enter(Doing.GIVEN)
        self.raise_floor(given.below, lambda: given.step)

    def for_all_orders(self) -> ProofStep:
        """The claim of one order that rests on that for all."""
        return ProofStep("all orders", rests_on=() if self.claim is None else (self.claim,))

    def _claim(self, plain: float, because: Because | None) -> ProofStep:
        step = (because() if because is not None else ProofStep(Doing.ANY_ORDER.value)).about(plain, ())
        return step if self.floor <= plain else ProofStep(GRID.engine, self.floor, rests_on=(step,))

    @property
    def incumbent(self) -> Incumbent:
        """Of the order with the least period (of any order if there is no placement)."""
        return min(self.possible or self.incumbents, key=lambda inc: inc.period)

    def heed(self) -> None:
        """Withdraw a bound for all orders that a placement refutes."""
        period = self.incumbent.period
        if period >= self.floor * (1 - ROUNDING):
            return
        refuted, self.floor, self.claim = self.floor, 0.0, None
        if self.given is not None and refuted <= self.given.below:
            return  # the incumbents have told
        warnings.warn(
            f"a valid placement of period {period:.9g} refutes the bound {refuted:.9g} over all orders of the kinds, "
            "which is withdrawn; please report this model and package",
            RefutedBound,
            stacklevel=3,
        )

    @property
    def bound(self) -> float:
        """Proved for all orders, in the hardware's time unit; without what a placement has refuted."""
        self.heed()
        least = min((inc.bound for inc in self.possible), default=float("inf")) if self.listed else 0.0
        return min(max(self.floor, least), self.incumbent.period)


def orders(hardware: Hardware) -> list[Hardware]:
    """The package with its kinds in every order that matters, the given one first; none if there are too many."""
    if hardware.kind_order == "fixed" or hardware.identical_chips:
        return [hardware]
    found = list(itertools.islice(_permutations(hardware.kind_of_chip), ORDER_LIMIT + 1))
    if len(found) > ORDER_LIMIT:
        return []
    found.sort(key=lambda kinds: kinds != hardware.kind_of_chip)
    return [replace(hardware, kind_of_chip=kinds) for kinds in found]


def _permutations(kinds: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Distinct permutations of a multiset."""
    if not kinds:
        yield ()
        return
    for kind in sorted(Counter(kinds)):
        at = kinds.index(kind)
        for rest in _permutations(kinds[:at] + kinds[at + 1 :]):
            yield (kind, *rest)


@dataclass(frozen=True)
class Target:
    """When the search is done.

    Attributes
    ----------
    gap : relative gap that is small enough.
    limit : the largest period that counts, in the hardware's time unit; None if all do.
    enough : any period within the limit will do, instead of the best.
    keeps_steps : the claims behind bounds are kept, for a proof that can be replayed.
    given : a bound that was proved elsewhere, or None.
    """

    gap: float
    limit: float | None = None
    enough: bool = False
    keeps_steps: bool = False
    given: LowerBound | None = None


@dataclass(frozen=True, eq=False)
class Means:
    """What the search of each order works with.

    Attributes
    ----------
    seed : of every random choice.
    starts : placements known from elsewhere.
    advice : what makes an adviser for an order, or None.
    phases : see :data:`milp.search.period.PHASES`.
    """

    seed: int = 0
    starts: Sequence[Placement] = ()
    advice: Callable[[Instance], Advice] | None = None
    phases: Sequence[Phase] = PHASES


def search_orders(
    graph: Graph,
    hardware: Hardware,
    target: Target,
    means: Means,
    stop: Stop,
    *,
    report: Callable[[Progress], None] | None = None,
    watch: Callable[[OrdersProgress], None] | None = None,
) -> OrdersProgress:
    """Search every order of the chips' kinds until all are closed or time is up; no fault loses what is known.

    Parameters
    ----------
    report : given each better period or bound, and each phase that begins.
    watch : given the outcome before the search begins, to look at it from another thread.
    """
    packages = orders(hardware)
    listed = bool(packages)

    def start(hw: Hardware) -> Incumbent:
        instance = contract(graph, hw.ports_only())
        incumbent = Incumbent(instance, target.gap, lambda: stop.elapsed, report, hw, keeps_steps=target.keeps_steps)
        incumbent.limit, incumbent.enough = target.limit, target.enough
        return incumbent

    outcome = OrdersProgress([start(hw) for hw in packages or [hardware]], listed=listed)
    if watch is not None:
        watch(outcome)
    if target.given is not None:
        outcome.believe(target.given)
    together = None
    if len(packages) != 1:
        _work(outcome)
        with stop.surviving("the search of all orders at once"):
            together = _by_downsets(outcome, start, stop)
            if listed and not (outcome.settled or stop()):
                period, because = _all_orders_at_once(outcome.incumbents, stop, means.seed)
                outcome.raise_floor(period, because)
    if not outcome.settled:
        part = stop if listed else stop.part(budget.ONE_BY_ONE)
        _one_by_one(outcome, means, part)
    if together is not None and not (listed or outcome.settled):
        with stop.surviving("the search of all orders at once"):
            together.cap(outcome.incumbent.period)
            together.run(stop, lambda: outcome.settled)
    _share(outcome.incumbents)
    return outcome


def _work(outcome: OrdersProgress) -> None:
    """What work and the heaviest nodes say holds in every order, as no order changes how many chips each kind has."""
    first = outcome.incumbents[0]
    first.enter(Doing.WORK)
    outcome.raise_floor(trivial_bound(first.instance) * first.instance.unit, lambda: ProofStep("work"))


def _by_downsets(outcome: OrdersProgress, start: Callable[[Hardware], Incumbent], stop: Stop) -> LineSearch | None:
    """Search all orders at once by down-sets, where transfers are free or the orders too many for anything else."""
    first = outcome.incumbents[0]
    if outcome.listed and not free_transfers(first.instance):
        return None
    known = {incumbent.hardware.kind_of_chip: incumbent for incumbent in outcome.incumbents}

    def of_kinds(kinds: tuple[int, ...]) -> Incumbent:
        if kinds not in known:
            known[kinds] = start(replace(first.hardware, kind_of_chip=kinds))
            outcome.incumbents.append(known[kinds])
        known[kinds].enter(Doing.ANY_ORDER)
        _share(outcome.incumbents)
        return known[kinds]

    search = any_order(first, of_kinds, outcome.raise_floor, stop)
    if search is not None:
        whole = free_transfers(first.instance) and not outcome.listed
        share = max(budget.ANY_ORDER, share_of_time(first.instance)) if whole else budget.ANY_ORDER
        search.run(stop.part(share), lambda: outcome.settled)
    return search


def _one_by_one(outcome: OrdersProgress, means: Means, stop: Stop) -> None:
    """Search the orders that are known, each against the best period of all, twice."""
    ended: set[int] = set()  # orders whose limit lies too near to their best period to tell more
    incumbents = outcome.incumbents
    for final in (False, True):
        waiting = [i for i, inc in enumerate(incumbents) if not (inc.closed and inc.known)]
        settled = outcome.impossible | ended
        waiting = sorted((i for i in waiting if i not in settled), key=lambda i: incumbents[i].period)
        if not outcome.listed:
            waiting = waiting[:BEST_ORDERS]
        for place, i in enumerate(waiting):
            share = 1.0 if final or len(waiting) == 1 else budget.FIRST_PASS
            if _search_order(outcome, i, means, stop, share / (len(waiting) - place)):
                ended.add(i)


def _search_order(outcome: OrdersProgress, number: int, means: Means, stop: Stop, share: float) -> bool:
    """Search one order within a share of what is left; whether its limit lies too near to its best to tell more."""
    incumbent = outcome.incumbents[number]
    with stop.surviving(lambda: incumbent.phase):
        _share(outcome.incumbents)
        outcome.heed()
        incumbent.phase = "all orders"  # the step that proved it
        incumbent.prove(outcome.floor / incumbent.instance.unit, exact=True, because=outcome.for_all_orders)
        if incumbent.closed or stop():
            return False
        part = stop.part(share)
        guide = None if means.advice is None else means.advice(incumbent.instance)
        run = Run.begin(incumbent.instance, incumbent, part, seed=means.seed, advice=guide)
        if search(run, starts=means.starts, phases=means.phases):
            return incumbent.limit_open and not part()
        outcome.impossible.add(number)
    return False


def _share(incumbents: list[Incumbent]) -> None:
    """Tell every order the best period of all."""
    best = min(inc.period for inc in incumbents)
    for incumbent in incumbents:
        incumbent.rival = best


def _all_orders_at_once(incumbents: list[Incumbent], stop: Stop, seed: int) -> tuple[float, Because | None]:
    """Seeds for every order, and the exact program over ideals with the kinds used so far as its state."""
    runs = [Run.begin(incumbent.instance, incumbent, stop, seed=seed) for incumbent in incumbents]
    for run in runs:
        _share(incumbents)
        run.incumbent.enter(Doing.SEEDS)
        slice_orders(run, orders=2)
    _share(incumbents)
    first = incumbents[0]
    if not first.known or stop():
        return 0.0, None
    threshold = first.upper * (1 - EXACTNESS)
    chain = best_chain(first.instance, threshold, stop=stop)
    if chain is None:
        return 0.0, None
    if chain.chip is not None:
        for run in runs:
            if run.instance.hardware.kind_of_chip == chain.kind_of_chip:
                complete_chain(run, chain.chip)
    because = partial(by_ideals, first.instance, first.instance, chain.kept, chain.chip)
    return min(chain.period, threshold) * (1 - EXACTNESS) * first.instance.unit, because
