"""How much sooner bounds could rise, if a search knew beforehand which questions raise them.

    python benchmarks/best_questions.py
    python benchmarks/best_questions.py --work 60 --only randwire

Every question to an engine that proves bounds is logged: what work it took, and the bound behind it. The dual integral
is the mean of (least period - bound) / least period over the work of all questions. The oracle asks only questions
that raised the bound, in the order that makes the integral least; it ends with the same bound. It pays for each what
that took in the log, so it may count on what earlier questions left behind. That makes it better than anybody can be.
A second oracle pays for the first question to an engine, too, where it asks a later one alone.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import click
import numpy as np
from policy_in_solver import HARD

import milp.search.bisection
import milp.search.dynamic_programs
import milp.search.whole_model
from milp.chip_bounds.capacity import BlockCapacity
from milp.chip_bounds.pigeonholes import Shares
from milp.frontiers.program import Frontiers
from milp.ideals.stretches import Stretches
from milp.search.kind_orders import OrdersProgress
from milp.state.names import Doing
from milp.windows.tightening import Tightening
from partition import NoSolutionInTime, load_hardware, load_model
from partition.solve.question import Question
from partition.solve.search_once import answer
from partition.stopping import Stop

TIGHTENS = Tightening.at
"""What disproves a threshold in its own phase, and in others helps to find placements."""

CHOOSES = (Stretches, "promising")
"""What looks for the next question; its work is that question's."""

ASKS: tuple[tuple[Any, str], ...] = (
    CHOOSES,
    (Stretches, "ask"),
    (Frontiers, "decide"),
    (BlockCapacity, "cheapest"),
    (BlockCapacity, "most_work"),
    (Shares, "ask"),
    (Shares, "ask_together"),
    (Tightening, "at"),
    (milp.search.dynamic_programs, "best_chain"),
    (milp.search.whole_model, "ask"),
    (milp.search.bisection, "ask"),
    (milp.search.bisection, "bisect"),
)
"""Where questions about bounds are asked."""


@dataclass
class Asked:
    """A question: who was asked, the work it took, and the bound behind it."""

    engine: str
    cost: float
    bound: float = 0.0


@dataclass(eq=False)
class Log:
    """The questions of one search.

    Attributes
    ----------
    first : the bound before the first question.
    period : the best found.
    """

    stop: Stop
    progress: OrdersProgress | None = None
    asked: list[Asked] = field(default_factory=list)
    first: float = 0.0
    period: float = np.inf
    _inside: bool = False

    def watch(self, progress: OrdersProgress) -> None:
        self.progress = progress

    def bound(self) -> float:
        assert self.progress is not None
        return self.progress.bound

    def _phase(self) -> str:
        assert self.progress is not None
        return self.progress.incumbent.phase

    def around(self, of: Callable[..., Any], engine: str, chooses: bool) -> Callable[..., Any]:
        """The function, logged; within it nothing else is."""

        def logged(*args: Any, **kwargs: Any) -> Any:
            if self._inside or (of is TIGHTENS and self._phase() != Doing.SEPARATIONS):
                return of(*args, **kwargs)
            self.close()
            begun, self._inside = self.stop.work, True
            try:
                return of(*args, **kwargs)
            finally:
                self._inside = False
                cost = self.stop.work - begun
                if self.asked and self.asked[-1].engine == "":
                    cost += self.asked.pop().cost
                self.asked.append(Asked("" if chooses else engine, cost))

        return logged

    def close(self) -> None:
        """Note the bound behind the last question, as the next one begins."""
        if self.asked:
            self.asked[-1].bound = self.bound()
        else:
            self.first = self.bound()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Within, questions are logged."""
        usual = [(owner, name, getattr(owner, name)) for owner, name in ASKS]
        for owner, name, of in usual:
            engine = f"{getattr(owner, '__name__', '').rpartition('.')[2]}.{name}"
            setattr(owner, name, self.around(of, engine, (owner, name) == CHOOSES))
        try:
            yield
        finally:
            for owner, name, of in usual:
                setattr(owner, name, of)


def logged(model: str, hardware: str, work: float) -> Log:
    """Search, and log the questions."""
    graph, hw = load_model(model).graph, load_hardware(hardware)
    log = Log(Stop(work_limit=work))
    question = Question(graph, hw, None, "none", ("period",), None, gap=1e-4, seed=0)
    with log.listening(), contextlib.suppress(NoSolutionInTime):
        log.period = answer(question, log.stop, watch=log.watch).period
    log.close()
    return log


def area(first: float, asked: Sequence[Asked], work: float, top: float) -> float:
    """The mean of (top - bound) / top over the work, questions in this order and nothing behind them."""
    bound, spent, total = first, 0.0, 0.0
    for each in asked:
        total += each.cost * (top - bound)
        spent, bound = spent + each.cost, max(bound, each.bound)
    return (total + (work - spent) * (top - bound)) / (work * top)


def raising(log: Log) -> list[Asked]:
    """The questions that raised the bound, in the order asked."""
    best, found = log.first, []
    for each in log.asked:
        if each.bound > best:
            found.append(each)
            best = each.bound
    return found


def orders(log: Log, *, prepared: bool) -> Iterator[list[Asked]]:
    """Every choice among the questions that raised the bound, ascending by bound, that ends with the last bound.

    Parameters
    ----------
    prepared : whether a question costs no more where the first to its engine is left out.
    """
    first = {each.engine: each for each in reversed(log.asked)}
    found = raising(log)
    for count in range(len(found)):
        for some in itertools.combinations(found[:-1], count):
            chosen, known = [], set()
            for each in (*some, found[-1]):
                before = first[each.engine]
                free = prepared or each is before or each.engine in known
                chosen.append(each if free else replace(each, cost=each.cost + before.cost))
                known.add(each.engine)
            yield chosen


def row(name: str, log: Log) -> tuple[list[str], list[float]]:
    """Cells of the table, and what each oracle leaves of the integral."""
    work, found = sum(each.cost for each in log.asked), raising(log)

    def integral(asked: Sequence[Asked]) -> float:
        return area(log.first, asked, work, log.period) if work > 0 else 0.0

    whole = integral(log.asked)
    least = [min(map(integral, orders(log, prepared=free)), default=whole) for free in (True, False)]
    last = found[-1].bound if found else log.first
    cells = [name, f"{1 - log.first / log.period:.2%}", f"{1 - last / log.period:.2%}"]
    cells += [f"{work:.1f} of {log.stop.work:.1f}", f"{len(found)} of {len(log.asked)}", f"{whole:.4f}"]
    cells += [f"{each:.4f}" for each in (integral(found), *least)]
    return [*cells, *(f"{1 - each / whole:.1%}" for each in least)], [each / whole for each in least]


HEAD = [
    "instance", "gap at first", "at last", "work on bounds", "questions that raised it", "integral", "no vain ones",
    "oracle", "oracle that prepares", "less", "less, prepares",
]  # fmt: skip


@click.command()
@click.option("--work", default=20.0, show_default=True, help="Units of work an instance.")
@click.option("--only", default="", help="Only instances with this in their names.")
def main(work: float, only: str) -> None:
    """Print a row for each open instance, and what is left of the integrals in the mean."""
    click.echo(f"| {' | '.join(HEAD)} |\n| --- |{' ---: |' * (len(HEAD) - 1)}")
    left = []
    for model, hardware in HARD:
        if only in f"{model} x {hardware}":
            cells, each = row(f"{model} x {hardware}", logged(model, hardware, work))
            click.echo(f"| {' | '.join(cells)} |")
            left.append(each)
    means = np.exp(np.log(left).mean(axis=0))
    click.echo(f"\ngeometric means of what is left: {means[0]:.3f}, and {means[1]:.3f} where the oracle prepares")


if __name__ == "__main__":
    main()
