"""Beams with one constant alone: how short a period they find from sliced orders, in so many units of work.

    python benchmarks/beams.py randwire:8:acyclic randwire:16:acyclic --price 0.5 --work 15
    python benchmarks/beams.py towers:16:rules --price 0.5 --price 2 --work 5

A question is a model, a number of chips and a regime of the test-bed (benchmarks/testbed.py). The price is what a unit
of transfer time that crosses a boundary counts for, in a chip's time. Nothing but slicing and separations runs before.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import click
from testbed import REGIMES

from milp.search.beams import Arm, BeamSearch
from milp.search.first_placements import SEEDS
from milp.search.period import search
from milp.search.separations import SEPARATIONS
from milp.state.incumbent import Incumbent
from milp.state.run import Run
from partition import load_hardware, load_model
from partition.instance.contract import contract
from partition.stopping import Stop


def found(question: str, price: float, work: float) -> tuple[float, float]:
    """Period after slicing, and after beams, in seconds."""
    model, chips, regime = question.rsplit(":", 2)
    instance = contract(load_model(model).graph, load_hardware(f"ring{chips}:{REGIMES[regime]}"))
    stop = Stop(work_limit=float("inf"))
    incumbent = Incumbent(instance, 1e-4, lambda: stop.work, None)
    run = Run.begin(instance, incumbent, stop)
    search(run, phases=[SEEDS, SEPARATIONS])
    before = incumbent.period
    BeamSearch(run, [Arm(price)]).work(work, work)
    return before, incumbent.period


@click.command()
@click.argument("questions", nargs=-1, required=True)
@click.option("--price", "prices", multiple=True, default=(0.5,), show_default=True)
@click.option("--work", default=15.0, show_default=True, help="Units of work for the beams.")
def main(questions: tuple[str, ...], prices: tuple[float, ...], work: float) -> None:
    """Print a row for each question and price."""
    print("| question | price | sliced | beams |\n| --- | ---: | ---: | ---: |")
    for question in questions:
        for price in prices:
            before, after = found(question, price, work)
            print(f"| {question} | {price:g} | {before:.6g} | {after:.6g} |", flush=True)


if __name__ == "__main__":
    main()
