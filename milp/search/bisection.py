"""Bisection over thresholds: "is there a valid placement with period <= T?", on slices of models compiled once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from milp import budget
from milp.search.heavy_blocks import CrowdQuestions, block_capacity
from milp.search.looking_around import look_around
from milp.solver.ask import Answer, affordable, ask
from milp.state.bisect import bisect
from milp.state.grounds import by_joining, by_model
from milp.state.names import Doing
from milp.state.run import Phase, Run, always
from milp.tolerances import CAPACITY_PRECISION, SPLIT, WINDOW_PRECISION
from milp.windows.windows import Windows
from partition.results.proof_steps import ProofStep
from partition.stopping import Stop

NEAR = 20
"""A gap of so many times the one asked for is closed in one question."""


class Bisection:
    """What is known of the thresholds between the bound and the best period.

    Attributes
    ----------
    unresolved : thresholds that were not settled in the slice of time they got.
    slice : seconds for the next one.
    try_to_close : whether the last question was answered no, so that the incumbent may well be the best.
    most : compute of a chip at most within the last threshold, in units of the instance.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.instance = run, run.instance
        self.incumbent, self.stop = run.incumbent, run.stop
        self.capacity = run.kept(block_capacity)
        self.crowd = run.kept(CrowdQuestions)
        self.unresolved: list[float] = []
        self.slice = budget.FIRST_SLICE
        self.try_to_close = False
        self.most = float("inf")

    def work(self) -> None:
        """Until the gap is closed or time is up."""
        self._windows_alone(self._plain_windows, WINDOW_PRECISION, self.stop)
        if not self.incumbent.closed:
            self._look_around(self.run.share(budget.LOOKING_AROUND))
        self.crowd.ask(self.run.share(budget.CAPACITY))
        if self.capacity is not None and not self.incumbent.closed:
            part = self.stop.limited(self.run.share(budget.CAPACITY))
            self._windows_alone(self._windows, CAPACITY_PRECISION, part)
        while not (self.incumbent.closed or self.stop()):
            if self.incumbent.limit_open and self.incumbent.target <= self.incumbent.lower:
                if self._ask_about_the_limit():
                    continue
                return  # it lies so near to the bound that a floating-point solver proves nothing more
            threshold = self._next()
            if threshold is None:
                self.unresolved.clear()
                self.slice *= 2
                self.crowd.ask(2 * self.slice)
                self._look_around(self.slice)
            elif not self._ask(threshold):
                self.unresolved.append(threshold)

    def _windows_alone(self, windows: Callable[[float], Windows], precision: float, stop: Stop) -> None:
        """Bisect for the largest threshold that the windows disprove without the full model."""

        def ask(threshold: float, low: float, high: float) -> tuple[float, float]:
            if not windows(threshold).empty:
                return low, threshold  # which may be possible, or not
            self._disprove_by_windows(threshold)
            return threshold, high

        bisect(self.incumbent.lower, self.incumbent.upper, ask, precision=precision, stop=stop)

    def _look_around(self, seconds: float) -> None:
        look_around(self.run, seconds)
        self.incumbent.enter(Doing.THRESHOLDS)

    def _next(self) -> float | None:
        """The threshold to ask about: halfway into the largest interval not yet known to be hard."""
        low, high = self.incumbent.lower, self.incumbent.target
        marks = [low, *sorted(t for t in self.unresolved if low < t < high), high]
        if len(marks) == 2:
            near = high - low < NEAR * self.incumbent.gap_wanted * high
            return high if near or self.try_to_close else low + SPLIT * (high - low)
        first, last = marks[1] - low, high - marks[-2]
        least = 2 * self.incumbent.gap_wanted * high
        if last > least and last >= first:
            return marks[-2] + SPLIT * (high - marks[-2])
        if first > least:
            return low + SPLIT * (marks[1] - low)
        return None

    def _ask(self, threshold: float) -> bool:
        """Whether the question was settled, either way; where it taught a cut, it is asked again."""
        windows = self._windows(threshold)
        if windows.empty:  # which rests on HiGHS where block capacities do
            self._disprove_by_windows(threshold)
            return True
        answer = self._put(threshold, windows, self.slice)
        if answer.excluded:
            tight = self.run.tightening.at(threshold).instance
            self.incumbent.prove(threshold, because=lambda: self._under(by_model(self.instance, tight, windows)))
        return answer.excluded or answer.helped

    def _disprove_by_windows(self, threshold: float) -> None:
        """Windows that leave a node no chip; they rest on HiGHS where block capacities do."""
        tight = self.run.tightening.at(threshold).instance
        self.incumbent.prove(
            threshold,
            exact=self.capacity is None,
            because=lambda: self._under(by_joining("windows", self.instance, tight)),
        )

    def _under(self, step: ProofStep) -> ProofStep:
        """The step with what block capacities said of the threshold, if they were asked."""
        if self.capacity is None:
            return step
        most = self.most * self.instance.unit
        return replace(step, rests_on=(ProofStep("block capacity", evidence={"most": most}),))

    def _ask_about_the_limit(self) -> bool:
        """Whether a better placement within the limit is found in all the time left; a no is not concluded."""
        assert self.incumbent.limit is not None
        threshold = self.incumbent.limit / self.instance.unit
        return self._put(threshold, self._plain_windows(threshold), self.stop.remaining).helped

    def _put(self, threshold: float, windows: Windows, seconds: float) -> Answer:
        """Ask for any placement within a threshold.

        A threshold disproved suggests that the incumbent is the best, so the next question is about closing the gap.
        """
        instance = self.run.tightening.at(threshold).instance
        if not (windows.empty or affordable(instance, windows, self.stop)):
            return Answer("limit")
        answer = ask(
            self.run, windows, instance=instance, period=threshold, minimise=False, lossless=True, seconds=seconds
        )
        if answer.status not in ("windows", "rows"):
            self.try_to_close = answer.excluded
        return answer

    def _windows(self, threshold: float) -> Windows:
        """Those of a threshold, narrower where block capacities say what a chip holds at most."""
        most = threshold
        if self.capacity is not None:
            limit = min(self.slice, self.run.share(budget.CAPACITY_QUESTION))
            most = self.capacity.most_work(threshold, time_limit=limit, stop=self.stop)
        self._charge_windows()
        self.most = most
        return self.run.tightening.at(threshold).rules.windows(threshold, most)

    def _plain_windows(self, threshold: float) -> Windows:
        self._charge_windows()
        self.most = threshold
        return self.run.tightening.at(threshold).rules.windows(threshold)

    def _charge_windows(self) -> None:
        self.stop.charge(budget.WINDOWS * self.instance.nodes**2 * self.instance.chips)


BISECTION = Phase(Doing.THRESHOLDS, always, lambda run: Bisection(run).work())
