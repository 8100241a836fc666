"""The command ``inspect``: model and package in numbers."""

from __future__ import annotations

import json

import click

from partition.commands.exits import one_sentence_errors
from partition.commands.options import InputOptions, json_option, load, model_argument, source_options


@click.command()
@model_argument
@json_option
@source_options
@one_sentence_errors
def inspect(model: str, as_json: bool, origin: InputOptions) -> None:
    """MODEL and HW in numbers; with --json the graph as solved, enough to recompute every figure.

    \b
    Example:
      mcm-partition inspect resnet50 --hw ring4
    """
    from partition.results.description import describe, summary

    graph, hardware = load(model, origin)
    click.echo(json.dumps(describe(graph, hardware)) if as_json else summary(graph, hardware))
