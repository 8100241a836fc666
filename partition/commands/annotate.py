"""The command ``annotate``: one ONNX model with the stage of every node."""

from __future__ import annotations

from pathlib import Path

import click

from partition.commands.exits import one_sentence_errors, say
from partition.commands.options import answer_argument, dim_option, model_argument
from partition.commands.outputs import OutputFile


@click.command()
@model_argument
@answer_argument
@click.option("--output", "-o", "target", type=OutputFile(), required=True, help="ONNX file to write.")
@dim_option
@one_sentence_errors
def annotate(model: str, answer: str, target: str, dims: dict[str, int]) -> None:
    """Write the ONNX file MODEL whole, each node with its pipeline stage, as ANSWER (JSON of a solve) says.

    The file has ONNX's device configurations (IR version 11): a device for each chip, and the chip as the stage of
    a node. ANSWER must have no replicas and no relays. Exit codes: 0 done, 2 bad input.

    \b
    Example:
      mcm-partition solve model.onnx --hw ring4:replication=off,relays=off -o result.json
      mcm-partition annotate model.onnx result.json -o annotated.onnx
    """
    from partition.readers.json_fields import parse_file
    from partition.split import annotate_model

    stages = annotate_model(model, parse_file(Path(answer)), target, dims=dims)
    say(f"{target}: {stages} nodes carry a pipeline stage")
