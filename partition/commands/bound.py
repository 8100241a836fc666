"""The command ``bound``: the lower bound and the methods that proved it."""

from __future__ import annotations

import json

import click

from partition.commands.exits import EXIT_INFEASIBLE, fail, one_sentence_errors, say
from partition.commands.options import (
    InputOptions,
    json_option,
    load,
    model_argument,
    seed_option,
    source_options,
    time_limit_option,
    work_limit_option,
)


@click.command()
@model_argument
@json_option
@time_limit_option
@work_limit_option
@click.option("--gap", default=1e-4, show_default=True, help="Relative gap at which to stop.")
@seed_option
@click.option("--strict", is_flag=True, help="Refuse a model of which costs or shapes are guessed.")
@source_options
@one_sentence_errors
def bound(
    model: str,
    as_json: bool,
    time_limit: float | None,
    work_limit: float | None,
    gap: float,
    seed: int,
    strict: bool,
    origin: InputOptions,
) -> None:
    """Prove how short a period of MODEL on HW can be, and say which method proved what.

    The methods are those of docs/proof.md, in the order in which they were better than all before them.

    \b
    Example:
      mcm-partition bound randwire --hw ring16
    """
    from partition.amounts import time_text
    from partition.solve.front import partition, validate_limits

    validate_limits(time_limit, gap, work_limit)
    graph, hardware = load(model, origin)
    result = partition(graph, hardware, time_limit=time_limit, work_limit=work_limit, gap=gap, seed=seed, strict=strict)
    if result.status == "infeasible":
        fail(f"infeasible: {result.reason}", EXIT_INFEASIBLE)
    if as_json:
        data = result.to_dict()
        keys = ("model", "hardware", "bound", "period", "gap", "seconds", "time_unit", "guesses", "proofs")
        click.echo(json.dumps({key: data[key] for key in keys}))
        return
    for proof in result.proofs:
        say(f"{proof.phase:<14} {time_text(proof.bound, hardware.time_unit):>10} after {proof.seconds:.2f} s")
    click.echo(result.verdict())
