"""The command ``export``: the MILP as a file for another solver."""

from __future__ import annotations

import click

from partition.commands.exits import one_sentence_errors
from partition.commands.options import InputOptions, load, model_argument, source_options
from partition.commands.outputs import OutputFile


@click.command()
@model_argument
@click.option("--output", "-o", required=True, type=OutputFile(), help="File to write, ending in .lp or .mps.")
@click.option("--threshold", type=float, help="Only placements with a period up to this; makes the model much smaller.")
@source_options
@one_sentence_errors
def export(model: str, output: str, threshold: float | None, origin: InputOptions) -> None:
    """Write the MILP of MODEL on HW as LP or MPS for another solver.

    \b
    Example:
      mcm-partition export resnet50 --hw ring4 -o model.mps
    """
    from milp.export import write_model

    graph, hardware = load(model, origin)
    write_model(graph, hardware, output, threshold=threshold)
