"""The best placement and the best bound so far, and the only way to change either."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import replace

from milp.formulation.memory_cuts import LEARNT, MemoryCuts
from milp.state.aim import Aim
from milp.state.attainable import SCOPE, Multiples, grid_of, multiples_of
from milp.state.names import Doing
from milp.tolerances import BOUND_SAFETY, MARGIN, RESOLUTION, ROUNDING
from partition.errors import RefutedBound
from partition.heuristics.completion import close_gaps, satisfy_triangle
from partition.instance.instance import Instance
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.problem.problem import Problem
from partition.results.progress import Progress, Proof, unrefuted
from partition.results.proof_steps import Because, ProofStep
from partition.scoring.cost import Cost, CostModel
from partition.scoring.rules import check

ADVICE = "please report this model and package"
"""What to do about a bound that is refuted, unless the caller gave it."""


class Incumbent:
    """Keeps the best checked placement, the best proved bound and the history of both.

    Every placement passes the rule checker and is scored by the cost model before it counts. Values only fall.
    Bounds rise, and are withdrawn where a placement refutes them. Where all times have a common unit, bounds are
    rounded up to values that can occur.
    Values here are in the unit of the goal (seconds, or the file's unit, for the period), not in units of the model.

    Attributes
    ----------
    aim : the goal, the period unless another is given, and limits on others.
    hardware : what placements are scored on; the instance may be of a relaxation of it (ports without links).
    value : of the best placement; infinite before the first.
    limit : largest value that counts; the search ends once none can be within it. None if all count.
    enough : whether any value within the limit will do; otherwise the best is looked for.
    grid : the values that a period can have, where that is the goal; or None.
    values : the values that the goal can have; or None.
    cost : of the best placement.
    cuts : what placements offered so far have taught about dynamic memory; every model gets them.
    rival : a value reached elsewhere (with the chips in another order): only what is better matters here.
    impossible : whether it is proved that there is no valid placement at all.
    keeps_steps : whether the claims behind bounds are kept for a proof that can be replayed.
    claim : the one behind the bound, or behind that nothing is valid; None where claims are not kept.
    """

    def __init__(
        self,
        instance: Instance,
        gap: float,
        seconds: Callable[[], float],
        report: Callable[[Progress], None] | None,
        hardware: Hardware | None = None,
        aim: Aim | None = None,
        *,
        keeps_steps: bool = False,
    ) -> None:
        self.keeps_steps = keeps_steps
        self._excluded: ProofStep | None = None
        self.instance, self.gap_wanted = instance, max(gap, RESOLUTION)
        self.aim = aim or Aim.at(instance)
        self.hardware = hardware or instance.hardware
        self.problem = Problem.of(instance.graph, self.hardware)
        self.model = self.problem.kept(CostModel)
        goal, graph, covered = self.aim.goal, instance.graph, SCOPE.admits(instance.features)
        self.grid = grid_of(graph, self.hardware) if covered and goal == "period" else None
        self.values: Multiples | None = multiples_of(goal, graph) if covered and goal != "period" else self.grid
        self.cuts = MemoryCuts(instance.graph, self.hardware)
        self.placement: Placement | None = None
        self.cost: Cost | None = None
        self.value = self.rival = float("inf")
        self.limit: float | None = None
        self.enough = False
        self.bound = 0.0
        self._proved: list[Proof] = []
        self.impossible = False
        self.phase: str = Doing.START.value
        self.history: list[Progress] = []
        self._seconds, self.report = seconds, report
        self._lock = threading.Lock()

    @property
    def gap(self) -> float:
        """(best - bound) / best; 1 while there is no placement."""
        if not self.known:
            return 1.0
        return max(0.0, self.best - self.bound) / self.best if self.best > 0 else 0.0

    @property
    def best(self) -> float:
        """The least value known, here or of a rival."""
        return min(self.value, self.rival)

    @property
    def period(self) -> float:
        """Of the best placement, whatever the goal; infinite before the first."""
        return float("inf") if self.cost is None else float(self.cost.period[0])

    @property
    def known(self) -> bool:
        """Whether any placement is known."""
        return self.placement is not None or self.rival < float("inf")

    @property
    def closed(self) -> bool:
        """Whether the question is settled: the one about the limit, if there is one, then that about the gap."""
        if self.limit is not None and self.bound > self.limit:
            return True
        if self.limit_open or not self.known:
            return False
        return self.enough or self.gap <= self.gap_wanted

    @property
    def limit_open(self) -> bool:
        """Whether a value within the limit is still to be found or to be excluded, however small the gap."""
        return self.limit is not None and self.best > self.limit >= self.bound

    @property
    def upper(self) -> float:
        """The least value known in units of the model: those of the instance, for the period."""
        return self.best / self.aim.unit

    @property
    def lower(self) -> float:
        """Best bound in units of the model."""
        return self.bound / self.aim.unit

    @property
    def target(self) -> float:
        """Largest value, in units of the model, whose impossibility settles the question.

        Where a limit is open, that is a little above it, unless the best value is too close for HiGHS to tell apart.
        """
        if self.limit is not None and self.limit_open:
            above = self.limit / self.aim.unit * (1 + 2 * BOUND_SAFETY)
            return min(above, self.upper * (1 - RESOLUTION + 1.2 * BOUND_SAFETY))
        return self._below(self.upper * (1 - self.gap_wanted + 1.2 * BOUND_SAFETY))

    @property
    def better(self) -> float:
        """Largest value, in units of the model, that counts as better than the best: a cut-off for HiGHS."""
        return self._below(self.upper * (1 - MARGIN))

    def _below(self, value: float) -> float:
        """A value below the best, or one just above all that can occur below the best, if that is less."""
        if self.values is None or not self.known:
            return value
        return min(value, self.values.below(self.best) / self.aim.unit + 2 * BOUND_SAFETY * self.upper)

    def offer(self, placement: Placement) -> bool:
        """Complete, check and score a placement; True if it is the best so far.

        Empty chips are closed up and tensors relayed where the rules ask for it.
        """
        hw, graph = self.hardware, self.instance.graph
        if hw.identical_chips and hw.rules.no_skipping:
            placement = close_gaps(placement, hw.chips)
        placement = satisfy_triangle(graph, hw, placement)
        cost = self.model.evaluate_placement(placement)
        value = self.aim.value(placement, cost)
        if not (value < self.value and self.aim.allows(placement, cost)):
            return False
        broken = check(graph, hw, placement)
        if broken:
            if all(violation.rule in LEARNT for violation in broken):
                self.cuts.learn(placement)
            return False
        with self._lock:
            self.heed(value)
            self.placement, self.value, self.cost = placement, value, cost
            self.bound = min(self.bound, value)
        self.record()
        return True

    def heed(self, value: float) -> bool:
        """Withdraw what a valid placement of this value refutes, if anything, with all that the same steps proved."""
        if value >= self.bound * (1 - ROUNDING):
            return False
        blame = self._proved[-1].step if self._proved else ""
        self._proved = unrefuted(self._proved, value)
        bound = self._proved[-1].bound if self._proved else 0.0
        warnings.warn(
            f"a valid placement of {self.aim.goal} {value:.9g} refutes the bound {self.bound:.9g}, which is withdrawn "
            f"to {bound:.9g}; {ADVICE if blame != Doing.GIVEN else 'it was given'}",
            RefutedBound,
            stacklevel=3,
        )
        self.history = [_lowered(entry, bound) for entry in self.history]
        self.bound = bound
        return True

    def move_stages(self, hardware: Hardware) -> None:
        """Score the placement on the package with its stages in other places, if that is better."""
        assert self.placement is not None
        problem = Problem.of(self.instance.graph, hardware)
        model = problem.kept(CostModel)
        cost = model.evaluate_placement(self.placement)
        period = float(cost.period[0])
        if period <= self.value:
            self.heed(period)
            self.hardware, self.problem, self.model = hardware, problem, model
            self.value, self.cost = period, cost

    def prove(self, bound: float, *, exact: bool = False, within: float = 0.0, because: Because | None = None) -> None:
        """Raise the bound, given in units of the model.

        Parameters
        ----------
        exact : whether no solver tolerance is behind it.
        within : the largest value of the model behind it: HiGHS's tolerances are relative to that.
        because : what it rests on; the phase alone by default.
        """
        margin = ROUNDING * bound if exact else BOUND_SAFETY * max(bound, within)
        safe = (bound - margin) * self.aim.unit
        plain = safe
        if safe > self.bound and self.values is not None:
            safe = self.values.up(safe)
        if safe > self.bound:
            with self._lock:
                self.bound = min(safe, self.best)
                claim = self._claim(plain, because) if self.keeps_steps else None
                self._proved.append(Proof(self.bound, self.phase.removeprefix("few "), claim))
            self.record()

    def _claim(self, plain: float, because: Because | None) -> ProofStep:
        """The claim behind the bound just proved, ``plain`` before it was rounded up to what can occur."""
        kinds = self.hardware.kind_of_chip
        step = because() if because is not None else ProofStep(self.phase.removeprefix("few "))
        step = step.about(min(plain, self.best), kinds)
        return step if self.bound <= step.below else ProofStep(SCOPE.engine, self.bound, rests_on=(step,), kinds=kinds)

    @property
    def claim(self) -> ProofStep | None:
        """See the class."""
        return self._excluded or (self._proved[-1].claim if self._proved else None)

    def exclude_all(self, because: Because | None = None) -> None:
        """No valid placement exists; whoever says so has proved it."""
        self.impossible = True
        if self.keeps_steps:
            step = because() if because is not None else ProofStep(self.phase)
            self._excluded = step.about(float("inf"), self.hardware.kind_of_chip)

    def enter(self, phase: Doing) -> None:
        """Name what happens next."""
        self.phase = phase.value
        self.record(keep=False)

    def record(self, *, keep: bool = True) -> None:
        entry = Progress(
            seconds=self._seconds(),
            phase=self.phase,
            period=self.best if self.known else None,
            bound=self.bound,
            gap=self.gap if self.known else None,
        )
        if keep:
            self.history.append(entry)
        if self.report is not None:
            self.report(entry)


def _lowered(entry: Progress, bound: float) -> Progress:
    """An entry of the history without what was withdrawn."""
    if entry.bound <= bound:
        return entry
    gap = None if entry.period is None else (entry.period - bound) / entry.period if entry.period > 0 else 0.0
    return replace(entry, bound=bound, gap=gap)
