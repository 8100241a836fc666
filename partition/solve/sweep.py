"""Many designs for one model: what is found out about one of them is used for all others."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

from joblib import delayed

from milp.tolerances import GAP
from partition.arguments import MOST_PROCESSES, whole
from partition.errors import InvalidHardware, InvalidInput, NoSolutionInTime
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.hardware_files import with_settings
from partition.problem.placement import Placement
from partition.processes import side_by_side
from partition.results.lower_bound import LowerBound
from partition.results.progress import Progress
from partition.results.result import Result
from partition.results.sweep_result import How, SweepResult, SweepRow, settings_of
from partition.scoring.feasibility import impossible, proved_infeasible
from partition.scoring.goals import reached_by
from partition.solve.front import search_clock, validate_limits
from partition.solve.given import GivenModel, GivenPackage, opened
from partition.solve.question import Question
from partition.solve.reasons import explained
from partition.solve.search_once import answer
from partition.solve.sweep_cache import NOTHING_SPENT, Cache
from partition.solve.sweep_known import NOBODY, Found, Known
from partition.stopping import interruptible
from partition.text import shown

Axes = Mapping[str, Sequence[Any]]
"""Setting -> its values: ``chips``, and the settings of :func:`partition.problem.hardware_files.with_settings`."""

MOST_DESIGNS = 100_000


@dataclass(frozen=True)
class _SearchTerms:
    """What every search is told."""

    time_limit: float | None
    work_limit: float | None
    gap: float
    seed: int

    @property
    def limits(self) -> dict[str, float | None]:
        """As they are kept beside an answer."""
        return {"time_limit": self.time_limit, "work_limit": self.work_limit}


class Sweep:
    """Solves one model on many packages, nearly alike, as design-space exploration and compile servers ask for.

    What a search finds is used for the packages that were not searched yet: a bound where one follows
    (docs/proof/packages.md), and a placement where it is valid. A design that these settle is not searched at all, nor
    is one between two searches that left the same gap. The period is the goal.

    Parameters
    ----------
    graph : the model, as for :func:`partition.partition`.
    cache : folder that keeps what searches find; an interrupted sweep goes on from there, and other sweeps of the same
        model begin with it. None: kept in this object alone.
    time_limit, work_limit, gap, seed : of each search, as for :func:`partition.partition`.

    Raises
    ------
    InvalidInput : the model cannot be read, an argument cannot be used, or the folder cannot be made.
    """

    def __init__(
        self,
        graph: GivenModel,
        *,
        cache: str | PathLike[str] | None = None,
        time_limit: float | None = None,
        work_limit: float | None = None,
        gap: float = GAP,
        seed: int = 0,
    ) -> None:
        validate_limits(time_limit, gap, work_limit)
        self.graph = model_of(graph)
        self.terms = _SearchTerms(time_limit, work_limit, gap, whole("seed", seed))
        self.cache = None if cache is None else Cache(cache, self.graph)
        self._kept: dict[Hardware, tuple[Found, Mapping[str, float | None]]] = {}
        for found, limits in self.cache.read() if self.cache is not None else ():
            self._kept[found.hardware] = found, limits

    def over(self, hw: GivenPackage | Iterable[GivenPackage], axes: Axes, **how: Any) -> SweepResult:
        """Solve a grid of designs: :meth:`solve` of :func:`designs`.

        Parameters
        ----------
        hw : the package to vary, or several.
        axes : setting -> values, for example ``{"chips": [8, 16], "sram_bytes": [1e8, 2e8]}``.
        how : arguments of :meth:`solve`.
        """
        packages = [hw] if hw is None or isinstance(hw, Hardware | str | PathLike) else list(hw)
        settings: list[Mapping[str, Any]] = []
        grid: list[Hardware] = []
        for package in packages:
            base = opened(self.graph, package)[1]
            named = {"hw": base.name} if len(packages) > 1 else {}
            for each, values in designs(base, axes):
                grid.append(each)
                settings.append(named | values)
        return self.solve(grid, settings=settings, **how)

    def answer(self, hw: GivenPackage) -> Result:
        """The answer for one package, with all that is known from those before, and why no period is shorter.

        Raises
        ------
        InvalidInput : the package cannot be read.
        NoSolutionInTime : the limit was reached before any valid placement was found.
        """
        row = self.solve([hw])[0]
        if row.result is None:
            raise NoSolutionInTime(f"no valid assignment of {self.graph.name!r} on {row.hardware.name!r} was found")
        return explained(row.result)

    def solve(
        self,
        packages: Sequence[GivenPackage],
        *,
        settings: Sequence[Mapping[str, Any]] | None = None,
        workers: int = 1,
        wave: int | None = None,
        on_progress: Callable[[Known], object] | None = None,
    ) -> SweepResult:
        """Solve the model on every package.

        Searches run in waves. The next wave is chosen by what the ones before have found, whatever the order in which
        they ended. So the answers depend on the size of a wave and not on how many processes there are.

        Parameters
        ----------
        settings : of each package, for the rows of the result.
        workers : processes that search side by side, by joblib: ``with joblib.parallel_config(backend="dask")`` has
            them run on a cluster. 1: in this process.
        wave : designs of a wave; as many as there are workers, if not given.
        on_progress : called with what is known so far before each wave.

        Raises
        ------
        InvalidInput : a package cannot be read, or an argument cannot be used; before anything is searched.
        """
        whole("workers", workers, least=1, most=MOST_PROCESSES)
        size = whole("wave", workers if wave is None else wave, least=1)
        asked = [opened(self.graph, package)[1] for package in packages]
        if not asked:
            raise InvalidInput("there is nothing to sweep over: give at least one package")
        begun = time.perf_counter()
        run = _OneSweep(self, asked)
        interrupted = run.go(workers, size, on_progress)
        run.forget()
        told = [
            {**values, **settings_of(hw)} for values, hw in zip(settings or itertools.repeat({}), asked, strict=False)
        ]
        rows = tuple(run.row(i, values, interrupted) for i, values in enumerate(told))
        return SweepResult(self.graph.name, rows, time.perf_counter() - begun, run.searches, run.known.gap, interrupted)

    def remember(self, found: Found, limits: Mapping[str, float | None]) -> None:
        """Keep what a search found, in the folder too."""
        self._kept[found.hardware] = found, limits
        if self.cache is not None:
            self.cache.keep(found, limits)


class _OneSweep:
    """One call of :meth:`Sweep.solve`."""

    def __init__(self, sweep: Sweep, asked: Sequence[Hardware]) -> None:
        self.sweep, self.graph, self.asked = sweep, sweep.graph, asked
        kept = sweep._kept
        done = {hw for hw in asked if hw in kept and _enough(*kept[hw], sweep.terms)}
        before = [answer for hw, answer in kept.items() if hw not in done]
        tried = [number for number, answer in enumerate(before) if _enough(*answer, sweep.terms)]
        self.known = Known(self.graph, [found for found, _ in before], asked, sweep.terms.gap, tried)
        self.how: dict[int, How] = {}
        self.searches = 0
        for i, hw in enumerate(asked):
            if hw in done:
                self._learn(i, kept[hw][0], "remembered")
            elif self.graph.least is None and (reason := impossible(self.graph, hw)) is not None:
                found = Found(hw, hw, "infeasible", bound=math.inf, reason=str(reason))
                self._learn(i, found, "counted")

    def go(self, workers: int, size: int, on_progress: Callable[[Known], object] | None) -> bool:
        """Search until every design is settled or was searched; whether the caller interrupted that."""
        while True:
            if on_progress is not None:
                on_progress(self.known)
            chosen = self.known.choose(size)
            if not chosen:
                return False
            answers: dict[int, Found] = {}
            interrupted = False
            try:
                for i, found in self._search(chosen, workers):
                    answers[i] = found
                    if found.interrupted:
                        interrupted = True
                        break
                    self.sweep.remember(found, self.sweep.terms.limits)
            except KeyboardInterrupt:
                interrupted = True
            for i in sorted(answers, key=chosen.index):
                self.searches += 1
                self._learn(i, answers[i], "searched")
            if interrupted:
                return True

    def _learn(self, design: int, found: Found, how: How) -> None:
        self.how[design] = how
        self.known.learn(self.known.first + design, found)

    def forget(self) -> None:
        """Have the sweep search again where an answer is no longer believed."""
        for number in sorted(self.known.withdrawn):
            self.sweep.remember(self.known.found[number], NOTHING_SPENT)

    def _search(self, chosen: Sequence[int], workers: int) -> Iterator[tuple[int, Found]]:
        """Designs with their answers as they are ready, all asked with what is known before the first."""
        known, terms = self.known, self.sweep.terms
        calls = [
            delayed(search_numbered)(
                i, self.graph, self.asked[i], self._start(i), self._source(i), float(known.lower[i]), terms
            )
            for i in chosen
        ]
        return side_by_side(calls, workers, in_order=False)

    def _start(self, design: int) -> Placement | None:
        """The best placement known of a design, to start from."""
        best = self.known.best[design]
        return None if best is None else best.placement

    def _source(self, design: int) -> Hardware | None:
        """The package whose answer bounds a design."""
        source = int(self.known.source_of_lower[design])
        return None if source == NOBODY else self.known.found[source].hardware

    def _name(self, number: int) -> str:
        return self.known.found[number].hardware.name

    def row(self, i: int, settings: Mapping[str, Any], interrupted: bool) -> SweepRow:
        """What is known of a design in the end."""
        known, hw = self.known, self.asked[i]
        best, lower, source = known.best[i], float(known.lower[i]), int(known.source_of_lower[i])
        own = known.found.get(known.first + i)
        how = self.how.get(i, "left" if interrupted and not known.settled[i] else "derived")
        seconds = own.seconds if own is not None and how == "searched" else 0.0
        bound_of = "" if source in (known.first + i, NOBODY) else self._name(source)
        common: dict[str, Any] = {
            "hardware": hw,
            "settings": settings,
            "seconds": seconds,
            "how": how,
            "bound_of": bound_of,
        }
        if math.isinf(lower):
            reason = self._reason(i, source)
            result = Result.infeasible(self.graph, hw, reason=reason, seconds=seconds, seed=self.sweep.terms.seed)
            return SweepRow(status="infeasible", period=None, bound=None, result=result, **common)
        if best is None:
            return SweepRow(status="none", period=None, bound=lower or None, **common)
        result = self._result(i, seconds, own)
        return SweepRow(
            status=result.status, period=result.period, bound=result.bound, result=result,
            placement_of="" if best.source == known.first + i else self._name(best.source), **common,
        )  # fmt: skip

    def _reason(self, i: int, source: int) -> str:
        own = self.known.found[source]
        if source == self.known.first + i:
            return own.reason
        return f"{proved_infeasible(self.graph, self.asked[i])}; not even on {own.hardware.name!r}"

    def _result(self, i: int, seconds: float, own: Found | None) -> Result:
        known, best = self.known, self.known.best[i]
        assert best is not None
        bound = min(float(known.lower[i]), best.period)
        gap = (best.period - bound) / best.period if best.period > 0 else 0.0
        return Result(
            graph=self.graph,
            hardware=best.hardware,
            placement=best.placement,
            status="optimal" if known.settled[i] else "feasible",
            period=best.period,
            bound=bound,
            seconds=seconds,
            seed=self.sweep.terms.seed,
            history=(Progress(seconds, "given bound", best.period, bound, gap),),
            cost=best.cost,
            goals=(reached_by(best.placement, best.cost, "period", bound),),
            work=None if own is None else own.work,
            faults=() if own is None else own.faults,
        )


def _enough(found: Found, limits: Mapping[str, float | None], terms: _SearchTerms) -> bool:
    """Whether an answer from before need not be searched again: settled, or after no less than is allowed now."""
    settled = math.isfinite(found.period) and found.period - found.bound <= terms.gap * found.period
    if found.status == "infeasible" or settled:
        return True
    pairs = [(limits.get(name), now) for name, now in terms.limits.items()]
    return all(before is now if before is None or now is None else before >= now for before, now in pairs)


def search_numbered(design: int, *question: Any) -> tuple[int, Found]:
    """The number of a design with its answer, :func:`search_design`."""
    return design, search_design(*question)


def search_design(
    graph: Graph, hw: Hardware, start: Placement | None, source: Hardware | None, bound: float, terms: _SearchTerms
) -> Found:
    """One search, in whatever process. Why its answer cannot be better is left to whoever asks for it alone.

    Parameters
    ----------
    source : the package whose answer proves ``bound``; without one no bound is given.
    """
    begun = time.perf_counter()
    given = None if source is None else LowerBound(bound, f"the answer for {source.name!r}")
    question = Question(
        graph=graph, hardware=hw, start=start, policy="none", goals=("period",), throughput=None, gap=terms.gap,
        seed=terms.seed, given=given,
    )  # fmt: skip
    clock = search_clock(terms.time_limit, terms.work_limit)
    try:
        with interruptible(clock):
            result = answer(question, clock)
    except NoSolutionInTime:
        seconds = time.perf_counter() - begun
        return Found(hw, hw, "none", bound=0.0 if given is None else given.below, seconds=seconds, given_by=source)
    return Found(
        hardware=hw,
        placed=result.hardware,
        status=result.status,
        placement=result.placement,
        period=result.period,
        bound=result.bound,
        seconds=result.seconds,
        work=result.work,
        reason=result.reason,
        faults=result.faults,
        interrupted=result.interrupted,
        given_by=source,
    )


def model_of(model: GivenModel) -> Graph:
    """The graph of what was given for a model; a package that it brings plays no part."""
    return opened(model, "ring1")[0]


def designs(hw: Hardware, axes: Axes) -> Iterator[tuple[Hardware, dict[str, Any]]]:
    """The package with every combination of the values, the last axis varied first, and what was set.

    Raises
    ------
    InvalidInput : an axis has no values, or there are too many designs.
    InvalidHardware : there is no such setting, or a value is none for it.
    """
    for name, values in axes.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise InvalidInput(f"axis {shown(name)} has {shown(values)}; give a list of values")
    count = math.prod(len(values) for values in axes.values())
    if count > MOST_DESIGNS:
        raise InvalidInput(f"the grid has {count} designs; a sweep has at most {MOST_DESIGNS}")
    for combination in itertools.product(*axes.values()):
        settings = dict(zip(axes, combination, strict=True))
        package = hw if "chips" not in settings else _with_chips(hw, settings["chips"])
        package = with_settings(package, {name: value for name, value in settings.items() if name != "chips"})
        told = ",".join(
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in settings.items()
        )
        yield replace(package, name=f"{hw.name.partition(':')[0]}:{told}" if told else hw.name), settings


def _with_chips(hw: Hardware, chips: object) -> Hardware:
    count = whole("chips", chips, least=1)
    if not hw.identical_chips or hw.interconnect.topology == "mesh":
        what = "is a mesh" if hw.identical_chips else "has chips of several kinds"
        raise InvalidHardware(f"{hw.name!r} {what}, so a number of chips does not say which; list the packages instead")
    return replace(hw, kind_of_chip=hw.kind_of_chip[:1] * count, positions=())
