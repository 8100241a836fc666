"""How much sooner bounds could rise, if a search knew beforehand which questions raise them.

    python benchmarks/oracle.py
    python benchmarks/oracle.py --work 60 --only randwire

Every question to an engine that proves bounds is logged: what work it took, and the bound behind it. The dual integral
is the mean of (least period - bound) / least period over the work of all questions. The oracle asks only questions
that raised the bound, in the order that makes the integral least; it ends with the same bound. It pays for each what
that took in the log. So it may count on what earlier questions left behind, and is better than anybody can be.

*Sooner* is the same of the bound's rise alone: of (last bound - bound) / last bound.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import click
import numpy as np
from policy_in_solver import HARD

import milp.search.bisection
import milp.search.dynamic_programs
import milp.search.separations
import milp.search.whole_model
from milp.chip_bounds.capacity import BlockCapacity
from milp.chip_bounds.pigeonholes import Shares
from milp.frontiers.program import Frontiers
from milp.ideals.stretches import Stretches
from milp.search.kind_orders import OrdersProgress
from partition import NoSolutionInTime, load_hardware, load_model
from partition.solve.question import Question
from partition.solve.search_once import answer
from partition.stopping import Stop

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
    (milp.search.separations, "bisect"),
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

    def around(self, of: Callable[..., Any], engine: str, chooses: bool) -> Callable[..., Any]:
        """The function, logged; within it nothing else is."""

        def logged(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
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


def best_order(first: float, found: Sequence[Asked]) -> list[Asked]:
    """Those of the questions to ask, ascending by bound, that reach the last bound with the least area.

    A shortest path: to ask for a bound from another costs the work times what is still missing of the last.
    """
    last = found[-1].bound if found else first
    ways: list[tuple[float, list[Asked]]] = []
    for i, each in enumerate(found):
        starts = [(each.cost * (last - first), [])] + [
            (ways[j][0] + each.cost * (last - found[j].bound), ways[j][1]) for j in range(i)
        ]
        cheapest = min(starts, key=lambda way: way[0])
        ways.append((cheapest[0], [*cheapest[1], each]))
    return ways[-1][1] if ways else []


def row(name: str, log: Log) -> tuple[list[str], tuple[float, float]]:
    """Cells of the table, and what is left of both integrals."""
    work, found = sum(each.cost for each in log.asked), raising(log)
    chosen = best_order(log.first, found)
    last = found[-1].bound if found else log.first
    gaps, rises = (
        [area(log.first, asked, work, top) if work > 0 else 0.0 for asked in (log.asked, found, chosen)]
        for top in (log.period, last)
    )
    left = tuple(each[-1] / each[0] if each[0] > 0 else 1.0 for each in (gaps, rises))
    cells = [name, f"{1 - log.first / log.period:.2%}", f"{1 - last / log.period:.2%}"]
    cells += [f"{work:.1f} of {log.stop.work:.1f}", f"{len(log.asked)}", f"{len(found)}", f"{len(chosen)}"]
    cells += [f"{sum(each.cost for each in chosen):.2f}", " / ".join(f"{each:.4f}" for each in gaps)]
    return [*cells, f"{1 - left[0]:.1%}", f"{1 - left[1]:.1%}"], (left[0], left[1])


HEAD = [
    "instance", "gap at first", "at last", "work on bounds", "questions", "that raised it", "the oracle asks",
    "its work", "integral: log / no vain ones / oracle", "less", "sooner",
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
    means = np.exp(np.log(np.maximum(left, 1e-6)).mean(axis=0))
    click.echo(f"\ngeometric means of what is left: {means[0]:.3f} of the integral, {means[1]:.3f} of the rise")


if __name__ == "__main__":
    main()
