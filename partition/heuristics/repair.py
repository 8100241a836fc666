"""Constraint repair: from probabilities, or from candidates that may break the rules, to valid placements.

The two modes are those of the constraint solver of Xie et al. (MLSys 2022): *SAMPLE* draws the chip of each operation
from given probabilities restricted to what the earlier decisions leave; *FIX* keeps a candidate's chip where
it is still possible and draws the rest. A whole batch is decided at once, level by level
(:mod:`partition.heuristics.decision_levels`).

How the rules are kept: *acyclic dataflow*: the chips left to a node are an interval between its decided ancestors
and descendants, which is never empty. *Memory*: chips without room are left out, and so are intervals without room
for what must lie between two decided nodes; where nothing is left, the row begins again in another order. *No
skipping*: an empty chip gets the first node of the next used one. *Triangle*: tensors are relayed where that is
allowed; else a row that breaks the rule is moved down to the next assignment in which every edge spans at most one
chip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from partition.arrays import BoolArray, FloatArray, IntArray, any_of
from partition.errors import InvalidAssignment
from partition.heuristics.completion import relays_for_triangle
from partition.heuristics.decision_levels import DecisionLevel, Precedence, plan
from partition.heuristics.draws import Draws
from partition.heuristics.restoration import Restoration
from partition.heuristics.room import Drawn, MemoryRule
from partition.instance.contract import contract
from partition.instance.instance import Instance
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.scoring.batches import validated_assignments
from partition.scoring.cost import CostModel
from partition.scoring.rules import violated

RESTARTS = 8
"""Times a row that ran into a dead end begins again in another order before it is given up."""

ORDERS = 32
"""Random orders that one :class:`Repair` draws before it uses them again: planning one takes as long as 50 rows."""

WASTE = 0.05
"""Share of every chip's SRAM, per restart, that draws take to be lost to weights that do not fit together."""


@dataclass(frozen=True, eq=False)
class Repaired:
    """A batch of ``B`` repaired rows.

    Attributes
    ----------
    chips : (B, N) home chip of every node of the instance.
    replicas, relays : (k, 3) rows (batch row, operation or tensor, chip) as the cost model takes them. Where
        relays cost nothing (:attr:`Instance.triangle_by_relays`) they are left to :meth:`placement`.
    valid : (B,) bool; False for a row that was given up.
    restarts : dead ends met, over all rows.
    """

    instance: Instance
    chips: IntArray
    replicas: IntArray
    relays: IntArray
    valid: BoolArray
    restarts: int = 0
    model: CostModel = field(repr=False, kw_only=True)

    @property
    def assignments(self) -> IntArray:
        """(B, n) home chip of every operation."""
        return np.asarray(self.chips[:, self.instance.node_of])

    def period(self) -> FloatArray:
        """(B,) period in the hardware's time unit; infinite for rows that were given up."""
        if len(self.replicas) or len(self.relays):
            period = self.model.evaluate(self.assignments, self.replicas, self.relays).period
        else:
            period = self.model.period(self.assignments)
        return np.where(self.valid, period, np.inf)

    def placement(self, row: int) -> Placement:
        """One row, with the relays that the triangle rule asks for."""
        hw = self.instance.hardware
        assignment = self.assignments[row][None]
        replicas = _row(self.replicas, row)
        relays = _row(self.relays, row)
        if hw.rules.triangle and hw.relays_allowed:
            relays = relays_for_triangle(self.model.transfers, hw, assignment, replicas, relays)
        return Placement(assignment[0], replicas[:, 1:], relays[:, 1:])


def _row(rows: IntArray, row: int) -> IntArray:
    found = rows[rows[:, 0] == row].copy()
    found[:, 0] = 0
    return np.asarray(found)


class Repair:
    """Repairs batches for one instance.

    Parameters
    ----------
    instance : from :func:`partition.instance.contract.contract`.
    exact : last resort for rows that ran into dead ends to the end: the nearest valid placement for probabilities
        (N, C), or None; :class:`milp.nearest.NearestPlacement` is one.
    """

    def __init__(self, instance: Instance, exact: Callable[[FloatArray], Placement | None] | None = None) -> None:
        self.instance, self.exact = instance, exact
        hw = instance.hardware
        self.model = instance.problem.kept(CostModel)
        self.by_relays = instance.triangle_by_relays or not hw.rules.triangle
        derived = instance.replicable if not self.by_relays else np.zeros(instance.nodes, dtype=bool)
        self.nodes = np.flatnonzero(~derived)
        self.precedence = Precedence(instance, self.nodes)
        self.memory = MemoryRule.of(instance, self.nodes)
        self.restoration = Restoration(instance, derived, self.precedence.edges)
        self._plans: list[list[DecisionLevel]] = []

    @staticmethod
    def of(graph: Graph, hardware: Hardware) -> Repair:
        """For a graph on a package."""
        return Repair(contract(graph, hardware))

    def of_nodes(self, assignments: ArrayLike) -> IntArray:
        """(B, N) chips of nodes for :meth:`fix`, from assignments of operations (B, n): that of each node's longest.

        Raises
        ------
        InvalidAssignment : wrong shape, or a chip that the package does not have.
        """
        chips = validated_assignments(self.instance.graph, self.instance.hardware, assignments)
        return np.asarray(chips[:, self.instance.representatives])

    def sample(
        self,
        probabilities: FloatArray,
        rows: int,
        rng: np.random.Generator,
        *,
        restarts: int = RESTARTS,
    ) -> Repaired:
        """SAMPLE: draw ``rows`` valid placements.

        Parameters
        ----------
        probabilities : (N, C), or (B, N, C) with ``rows = B``, of each node's chip; they need not add up to 1.
        """
        return self._repair(None, probabilities, rows, rng, restarts)

    def fix(
        self,
        candidates: IntArray,
        rng: np.random.Generator,
        probabilities: FloatArray | None = None,
        *,
        restarts: int = RESTARTS,
    ) -> Repaired:
        """FIX: keep each candidate's chips where the rules allow it; a candidate that breaks none stays as it is.

        Parameters
        ----------
        candidates : (B, N) int.
        probabilities : (N, C) or (B, N, C), what the rest is drawn from; uniform by default.
        """
        candidates = np.asarray(candidates, dtype=np.int64)
        if candidates.ndim != 2 or candidates.shape[1] != self.instance.nodes:
            raise InvalidAssignment(f"candidates have shape {candidates.shape}; give (B, {self.instance.nodes})")
        if candidates.size and not 0 <= candidates.min() <= candidates.max() < self.instance.chips:
            raise InvalidAssignment(f"candidates name chips outside 0..{self.instance.chips - 1}")
        if probabilities is None:
            probabilities = np.ones((self.instance.nodes, self.instance.chips))
        return self._repair(candidates, probabilities, len(candidates), rng, restarts)

    # --- a batch --------------------------------------------------------------------------------------------

    def _repair(
        self,
        candidates: IntArray | None,
        probabilities: FloatArray,
        rows: int,
        rng: np.random.Generator,
        restarts: int,
    ) -> Repaired:
        draws = Draws.of(probabilities, self.instance.nodes, self.instance.chips, rows)
        found = self._attempt(candidates, draws, np.arange(rows), rng, 0)
        met = 0
        for attempt in range(restarts):
            again = np.flatnonzero(~found.valid)
            if not len(again):
                break
            met += len(again)
            more = self._attempt(candidates, draws, again, rng, attempt + 1)
            found = _replaced(found, again, more)
        if self.exact is not None and not found.valid.all():
            found = self._resolved(found, self.exact, candidates, draws)
        return Repaired(self.instance, found.chips, found.replicas, found.relays, found.valid, met, model=self.model)

    def _resolved(
        self,
        found: Repaired,
        exact: Callable[[FloatArray], Placement | None],
        candidates: IntArray | None,
        draws: Draws,
    ) -> Repaired:
        """The rows given up, solved exactly: once for all where they share their probabilities."""
        rows = np.flatnonzero(~found.valid)
        alike = candidates is None and draws.probabilities.shape[1] == 1
        for row in (rows[:1] if alike else rows).tolist():
            wanted = draws.probabilities[:, min(row, draws.probabilities.shape[1] - 1)]
            if candidates is not None:  # a candidate's chip outweighs all others
                wanted = wanted / wanted.sum(axis=1, keepdims=True)
                wanted[np.arange(self.instance.nodes), candidates[row]] += self.instance.nodes
            placement = exact(wanted)
            if placement is None:
                continue
            more = Repaired(
                self.instance,
                self.instance.chip_of_nodes(placement)[None],
                placement.replica_rows,
                placement.relay_rows,
                np.ones(1, dtype=bool),
                model=self.model,
            )
            for same in rows.tolist() if alike else [row]:
                found = _replaced(found, np.array([same]), more)
        return found

    def forget_orders(self) -> None:
        """Draw random orders anew, so that what follows depends on the generator alone."""
        self._plans.clear()

    def _plan(self, rng: np.random.Generator) -> list[DecisionLevel]:
        """Levels of a random order; from the ``ORDERS``-th on, of one of those drawn before."""
        if len(self._plans) < ORDERS:
            self._plans.append(plan(self.precedence, rng.permutation(self.nodes)))
            return self._plans[-1]
        return self._plans[int(rng.integers(ORDERS))]

    def _heavy_first(self, rng: np.random.Generator) -> list[DecisionLevel]:
        """Levels of an order in which nodes of many weights come first, random among nodes of much the same."""
        order = rng.permutation(self.nodes)
        size = np.log2(1.0 + self.instance.all_weights[order]).astype(np.int64)
        return plan(self.precedence, order[np.argsort(-size, kind="stable")])

    def _attempt(
        self,
        candidates: IntArray | None,
        draws: Draws,
        rows: IntArray,
        rng: np.random.Generator,
        attempt: int,
    ) -> Repaired:
        levels = self._plan(rng) if attempt % 2 == 0 else self._heavy_first(rng)
        chips, alive = self._decide(levels, candidates, draws, rows, rng, WASTE * attempt)
        if self.instance.hardware.rules.no_skipping:
            self.restoration.fill_empty_chips(chips)
        replicas = self.restoration.replicas(chips)
        relays = np.zeros((0, 3), dtype=np.int64)
        hw = self.instance.hardware
        if not self.by_relays:
            homes = chips[:, self.instance.node_of]
            if hw.relays_allowed:
                relays = relays_for_triangle(self.model.transfers, hw, homes, replicas, relays)
            spread = np.flatnonzero(self._violated(chips, replicas, relays)["triangle"])
            if len(spread):
                chips[spread] = self.restoration.one_chip_per_edge(chips[spread])
                replicas = self.restoration.replicas(chips)
                relays = relays[~np.isin(relays[:, 0], spread)]
        alive &= ~any_of(np.stack(list(self._violated(chips, replicas, relays).values())), 0)
        return Repaired(self.instance, chips, replicas, relays, alive, model=self.model)

    def _violated(self, chips: IntArray, replicas: IntArray, relays: IntArray) -> dict[str, BoolArray]:
        inst = self.instance
        rules = replace(inst.hardware.rules, triangle=not self.by_relays)
        homes = chips[:, inst.node_of]
        return violated(inst.graph, inst.hardware, homes, replicas, relays, rules=rules)

    def _decide(
        self,
        levels: list[DecisionLevel],
        candidates: IntArray | None,
        draws: Draws,
        rows: IntArray,
        rng: np.random.Generator,
        waste: float,
    ) -> tuple[IntArray, BoolArray]:
        """Chips (B, N) of the rows, and which met no dead end."""
        n, chips = self.instance.nodes, self.instance.chips
        decided = np.zeros((n + 2, len(rows)), dtype=np.int16)
        decided[n + 1] = chips - 1
        alive = np.ones(len(rows), dtype=bool)
        room = self.memory.start(len(rows)) if self.memory else None
        for level in levels:
            lo = np.maximum.reduceat(decided[level.below.node], level.below.ptr, axis=0)
            hi = np.minimum.reduceat(decided[level.above.node], level.above.ptr, axis=0)
            if room is not None:
                lo = np.maximum(lo, room.earliest(level.below, decided))
                hi = np.minimum(hi, room.latest(level.above, decided))
                alive &= ~any_of(lo > hi, 0)
                lo = np.minimum(lo, chips - 1)
                hi = np.maximum(lo, hi)
            first, last = lo, hi
            if room is not None and waste:
                first = np.clip(room.earliest(level.below, decided, waste), lo, hi)
                last = np.clip(room.latest(level.above, decided, waste), first, hi)
            drawn = draws.within(level.nodes, rows, first, last, rng)
            if candidates is not None:
                wanted = candidates[rows[:, None], level.nodes].T
                drawn = np.where((lo <= wanted) & (wanted <= hi), wanted, drawn)
            if room is not None:
                drawn = room.place(Drawn(level.nodes, drawn, lo, hi), draws, rows, alive, rng, gather=waste > 0)
            decided[level.nodes] = drawn
        return decided[:n].T.astype(np.int64), alive


def _replaced(found: Repaired, rows: IntArray, more: Repaired) -> Repaired:
    """``found`` with the given rows taken from ``more``."""
    chips, valid = found.chips.copy(), found.valid.copy()
    chips[rows], valid[rows] = more.chips, more.valid

    def joined(old: IntArray, new: IntArray) -> IntArray:
        new = new.copy()
        new[:, 0] = rows[new[:, 0]]
        return np.concatenate([old[~np.isin(old[:, 0], rows)], new])

    return Repaired(
        found.instance,
        chips,
        joined(found.replicas, more.replicas),
        joined(found.relays, more.relays),
        valid,
        model=found.model,
    )
