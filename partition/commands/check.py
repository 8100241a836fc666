"""The command ``check``: any assignment against every rule."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from partition.commands.exits import EXIT_RULE_BROKEN, one_sentence_errors, say
from partition.commands.options import (
    InputOptions,
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
@json_option
@source_options
@one_sentence_errors
@wish_options
def check(model: str, assignment: str, as_json: bool, wishes: Wishes, origin: InputOptions) -> None:
    """Check ASSIGNMENT (JSON of a solve, or a name -> chip map) against every rule and wish, and cost it.

    Wishes are those that the solve was asked for, and those given here.

    Exit codes: 0 valid, 1 a rule is broken, 2 bad input.

    \b
    Example:
      mcm-partition check bert-large result.json --hw ring36
    """
    from partition.amounts import time_text
    from partition.scoring import rules
    from partition.scoring.cost import evaluate_placement

    graph, hardware = load(model, origin)
    graph, placement, hardware = read_placement(assignment, graph, hardware)
    violations = rules.check(graph, hardware, placement, read_wishes(assignment).joined(wishes))
    period = float(evaluate_placement(graph, hardware, placement).period[0])
    if as_json:
        rows = [vars(violation) for violation in violations]
        finite = period if period < float("inf") else None
        click.echo(json.dumps({"valid": not violations, "period": finite, "violations": rows}))
    else:
        for violation in violations:
            say(f"{violation.rule}: {violation.message}")
        verdict = "valid" if not violations else f"{len(violations)} violations"
        say(f"{verdict}; period {time_text(period, hardware.time_unit)}")
    sys.exit(EXIT_RULE_BROKEN if violations else 0)
