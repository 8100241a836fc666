"""One question to HiGHS: write the model, narrow it, solve it, read the answer.

:func:`write` is the only place that meets an impossible row, :meth:`Written.solve` the only one that reads columns.
Where the goal is not the period, every model is written anew.
:func:`ask` puts a question about the goal of a run and offers what comes of it to the incumbent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np

from milp.formulation.build import build
from milp.formulation.building_time import leaves_time
from milp.formulation.choices import Choices, Goal
from milp.formulation.linear import ImpossibleRow
from milp.formulation.memory_cuts import MemoryCut, MemoryCuts
from milp.solver.highs import Outcome, solve
from milp.solver.matrix import COVERED, MatrixModel, compile_model
from milp.solver.reading import placement_of
from milp.state.grounds import by_model
from milp.state.run import Run
from milp.windows.windows import Windows
from partition.arrays import FloatArray
from partition.instance.instance import Instance
from partition.problem.placement import Placement
from partition.stopping import Stop

MODEL_LIMIT = 40_000
"""Most binaries for which the whole tightened model is built; beyond it, neighbourhoods alone."""

WASTE, SPARE = 2, 5_000
"""A kept model is built anew where it has this many times as many binaries as needed, and so many more."""

AnswerStatus = Literal["windows", "rows", "infeasible", "optimal", "limit", "error"]


@dataclass(frozen=True)
class Answer:
    """What became of a question.

    Attributes
    ----------
    status : str
        ``"windows"``: some node has no chip left. ``"rows"``: a row cannot hold whatever the columns. All others are
        those of :class:`milp.solver.highs.Outcome`.
    placement : Placement or None
        The best one found.
    bound : float
        Proved of the objective, in units of the instance; -inf if nothing is.
    helped : bool
        Whether the incumbent is better for it, or has learnt a cut.
    """

    status: AnswerStatus
    placement: Placement | None = None
    bound: float = -np.inf
    helped: bool = False

    @property
    def excluded(self) -> bool:
        """Whether it is proved that no placement fits the question."""
        return self.status in ("windows", "rows", "infeasible")


@dataclass(frozen=True, eq=False)
class Written:
    """A model over windows, compiled, and what it takes to read it.

    Attributes
    ----------
    instance, windows : what it was written for.
    model : MatrixModel
        As first compiled.
    cuts : int
        How many memory cuts it has.
    """

    instance: Instance
    windows: Windows
    model: MatrixModel
    cuts: int = 0

    def placement(self, values: FloatArray) -> Placement:
        """The placement that the values (columns,) of all columns stand for."""
        return placement_of(self.instance, self.windows, self.model, values)

    def solve(
        self,
        *,
        seconds: float,
        stop: Stop,
        seed: int,
        part: MatrixModel | None = None,
        minimise: bool = True,
        offer: Callable[[Placement], object] | None = None,
        on_bound: Callable[[float], None] | None = None,
    ) -> Outcome:
        """Solve the model, or a ``part`` of it; the outcome's ``x`` has all columns of the model first compiled.

        Parameters
        ----------
        offer : given every better placement while HiGHS runs.
        on_bound : given every better bound while HiGHS runs.
        """
        solved = self.model if part is None else part

        def found(x: FloatArray) -> None:
            assert offer is not None
            offer(self.placement(solved.full(x)))

        outcome = solve(
            solved,
            time_limit=seconds,
            stop=stop,
            seed=seed,
            minimise=minimise,
            on_incumbent=None if offer is None else found,
            on_bound=on_bound,
        )
        return outcome if outcome.x is None else replace(outcome, x=solved.full(outcome.x))


def write(
    instance: Instance,
    windows: Windows,
    *,
    stop: Stop | None = None,
    upper: float | None = None,
    goal: Goal = "period",
    caps: Mapping[Goal, float] | None = None,
    cuts: Sequence[MemoryCut] = (),
    choices: Choices | None = None,
    limited: Sequence[int] | None = None,
) -> Written | None:
    """The model over windows, compiled; None if a row of it cannot hold. See :func:`milp.formulation.build.build`."""
    try:
        model = build(instance, windows, choices=choices, upper=upper, limited=limited, goal=goal, caps=caps, cuts=cuts)
        return Written(instance, windows, compile_model(model, stop), len(cuts))
    except ImpossibleRow:
        return None


@dataclass(eq=False)
class _KeptModels:
    """Models of one run over windows that lose nothing; each serves every smaller threshold, until there are cuts."""

    models: list[tuple[float, Written]] = field(default_factory=list)

    def covering(self, run: Run, threshold: float, instance: Instance, windows: Windows) -> Written | None:
        """The smallest model that covers the threshold, written anew where that saves much."""
        cuts = run.incumbent.cuts.known
        self.models = [(most, each) for most, each in self.models if each.cuts == len(cuts)]
        covering = [
            (most, each)
            for most, each in self.models
            if threshold <= most <= COVERED * threshold and each.instance is instance
        ]
        best = min(covering, key=lambda kept: kept[0], default=(0.0, None))[1]
        if best is None or best.windows.free > WASTE * windows.free + SPARE:
            best = write(instance, windows, stop=run.stop, upper=threshold, cuts=cuts)
            if best is not None:
                self.models.append((threshold, best))
        return best


def _kept(_: Run) -> _KeptModels:
    return _KeptModels()


def _model_of(
    run: Run, windows: Windows, instance: Instance, upper: float | None, period: float | None, lossless: bool
) -> tuple[Written, MatrixModel] | None:
    """The model of a question and the part of it that is solved; None if a row cannot hold. See :func:`ask`."""
    limit, aim, cuts = upper if period is None else period, run.incumbent.aim, run.incumbent.cuts.known
    if aim.goal != "period" or aim.caps:
        caps, within = aim.caps, aim.period
        if aim.goal == "period":
            within = limit
        elif upper is not None:
            caps = {**caps, aim.goal: upper}
        written = write(instance, windows, stop=run.stop, upper=within, goal=aim.goal, caps=caps, cuts=cuts)
        return None if written is None else (written, written.model)
    if not lossless or limit is None:
        written = write(instance, windows, stop=run.stop, upper=limit, cuts=cuts)
        return None if written is None else (written, written.model)
    written = run.kept(_kept).covering(run, limit, instance, windows)
    part = None if written is None else written.model.narrowed(windows, period=period, upper=upper)
    return None if written is None or part is None else (written, part)


def ask(
    run: Run,
    windows: Windows,
    *,
    instance: Instance | None = None,
    upper: float | None = None,
    period: float | None = None,
    minimise: bool = True,
    lossless: bool = False,
    eager: bool = False,
    seconds: float,
) -> Answer:
    """Ask HiGHS about placements within windows, and offer what it finds to the incumbent.

    The model minimises the goal of the incumbent and keeps its limits on others.

    Parameters
    ----------
    windows : of the nodes of ``instance``.
    instance : the run's own by default, or one tightened for the threshold.
    upper : largest value of the goal that is of interest, in units of the model.
    period : asks for any placement within this period, instead of the best below ``upper``.
    minimise : False asks for any placement.
    lossless : whether every placement that matters is within the windows; the model then serves smaller thresholds.
    eager : offer placements while HiGHS runs, and prove its bounds at once if that is ``lossless``.
    seconds : on the clock of the search.

    Returns
    -------
    Answer
        ``excluded`` is for the caller to prove: it is about these windows alone.
    """
    incumbent, instance = run.incumbent, instance or run.instance
    if windows.empty:
        return Answer("windows")
    chosen = _model_of(run, windows, instance, upper, period, lossless)
    if chosen is None:
        return Answer("rows")
    written, part = chosen

    def prove(bound: float) -> None:
        if np.isfinite(bound) and upper is not None:
            because = partial(by_model, run.instance, instance, windows)
            incumbent.prove(min(bound, upper), within=upper, because=because)

    before, known = incumbent.value, len(incumbent.cuts)
    outcome = written.solve(
        part=part,
        seconds=min(seconds, run.stop.remaining),
        stop=run.stop,
        seed=run.seed,
        minimise=minimise,
        offer=incumbent.offer if eager else None,
        on_bound=prove if eager and lossless else None,
    )
    placement = None if outcome.x is None else written.placement(outcome.x)
    if placement is not None:
        incumbent.offer(placement)
    helped = incumbent.value < before or len(incumbent.cuts) > known
    return Answer(outcome.status, placement, outcome.bound, helped)


def rounds(cuts: MemoryCuts) -> Iterator[int]:
    """Once, and again as long as what was found in the last round broke dynamic memory and taught cuts."""
    learnt = -1
    while learnt < len(cuts):
        learnt = len(cuts)
        yield learnt


def affordable(instance: Instance, windows: Windows, stop: Stop) -> bool:
    """Whether building the model over these windows leaves time to solve it."""
    triangle = Choices.lossless(instance).triangle
    return windows.free <= MODEL_LIMIT and leaves_time(instance, windows, stop, triangle=triangle)
