"""The command ``check``: any assignment against every rule."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from partition.commands.exits import EXIT_RULE_BROKEN, one_sentence_errors, say
from partition.commands.options import (
    InputOptions,
    chip_option,
    json_option,
    load,
    model_argument,
    read_placement,
    read_wishes,
    source_options,
)
from partition.commands.wishes import wish_options

if TYPE_CHECKING:
    from partition.problem.wishes import Wishes


@click.command()
@model_argument
@click.argument("assignment", type=click.Path())
@chip_option
@json_option
@source_options
@one_sentence_errors
@wish_options
def check(
    model: str, assignment: str, chips: tuple[int, ...], as_json: bool, wishes: Wishes, origin: InputOptions
) -> None:
    """Check ASSIGNMENT (JSON of a solve, or a name -> chip map) against every rule and wish, and cost it.

    Wishes are those that the solve was asked for, and those given here.

    Exit codes: 0 valid, 1 a rule is broken, 2 bad input.

    \b
    Examples:
      mcm-partition check bert-large result.json --hw ring36
      mcm-partition check bert-large result.json --hw ring36 --chip 3
    """
    from partition.amounts import time_text
    from partition.problem.problem import Problem
    from partition.results.chip_load import ChipLoad
    from partition.scoring import rules
    from partition.scoring.cost import evaluate_placement

    graph, hardware = load(model, origin, assignment)
    graph, placement, hardware = read_placement(assignment, graph, hardware)
    violations = rules.check(graph, hardware, placement, read_wishes(assignment).joined(wishes))
    cost = evaluate_placement(graph, hardware, placement)
    period = float(cost.period[0])
    problem = Problem.of(graph, hardware)
    asked = [ChipLoad.of(problem, placement, cost, chip) for chip in chips]
    if as_json:
        rows = [vars(violation) for violation in violations]
        finite = period if period < float("inf") else None
        told = {"chips": [found.to_dict() for found in asked]} if asked else {}
        click.echo(json.dumps({"valid": not violations, "period": finite, "violations": rows, **told}))
    else:
        for violation in violations:
            say(f"{violation.rule}: {violation.message}")
        for found in asked:
            for line in found.to_table().splitlines():
                say(line)
        verdict = "valid" if not violations else f"{len(violations)} violations"
        say(f"{verdict}; period {time_text(period, hardware.time_unit)}")
    sys.exit(EXIT_RULE_BROKEN if violations else 0)
