"""The command ``split``: one ONNX model per chip."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import click

from partition.commands.exits import EXIT_RULE_BROKEN, one_sentence_errors, say
from partition.commands.options import answer_argument, dim_option, json_option, model_argument
from partition.commands.outputs import OutputFolder
from partition.extras import require


@click.command()
@model_argument
@answer_argument
@click.option("--output", "-o", "folder", type=OutputFolder(), required=True, help="New or empty folder for the parts.")
@click.option("--verify", is_flag=True, help="Run the parts and the whole with onnxruntime and compare all outputs.")
@click.option("--inputs", type=click.Path(), metavar="NPZ", help="Values of the model's inputs, by name; else drawn.")
@click.option("--seed", default=0, show_default=True, help="Of the random inputs.")
@click.option("--seeds", default=1, show_default=True, help="Draw inputs this often, and compare each time.")
@click.option("--optimised", is_flag=True, help="Let onnxruntime fuse operators when it verifies.")
@click.option("--force", is_flag=True, help="Replace the folder if it is there.")
@json_option
@dim_option
@one_sentence_errors
def split(
    model: str,
    answer: str,
    folder: str,
    verify: bool,
    inputs: str | None,
    seed: int,
    seeds: int,
    optimised: bool,
    force: bool,
    as_json: bool,
    dims: dict[str, int],
) -> None:
    """Cut the ONNX file MODEL into one ONNX model per chip, as ANSWER (JSON of a solve) says.

    Exit codes: 0 done, 1 the parts do not compute what the model does, 2 bad input.

    \b
    Example:
      mcm-partition solve model.onnx --hw ring4 -o result.json
      mcm-partition split model.onnx result.json -o parts --verify
    """
    require("splitting ONNX models", "run" if verify else "onnx")  # of both steps at once, before the first
    from partition.amounts import bytes_text
    from partition.readers.json_fields import parse_file
    from partition.split import load_inputs, split_model, verify_parts

    values = load_inputs(inputs) if inputs is not None else None
    manifest = split_model(model, parse_file(Path(answer)), folder, dims=dims, inputs=values, force=force)
    compared = []
    if verify:
        compared = verify_parts(model, folder, seed=seed, seeds=seeds, inputs=values, optimised=optimised)
    if as_json:
        rows = [
            {**vars(c), "difference": c.difference if math.isfinite(c.difference) else None, "equal": c.equal}
            for c in compared
        ]
        click.echo(json.dumps({"parts": [part.file for part in manifest.parts], "compared": rows}))
    else:
        for part in manifest.parts:
            moved = sum(port.bytes for port in part.outputs if port.chips)
            counts = [(part.operations, "operation"), (len(part.inputs), "input"), (len(part.outputs), "output")]
            operations, reads, makes = (f"{count} {what}{'s' * (count != 1)}" for count, what in counts)
            copies = f" ({len(part.replicas)} of them copies)" if part.replicas else ""
            click.echo(
                f"{part.file}: {operations}{copies}, {bytes_text(part.weight_bytes)} of weights, "
                f"{reads}, {makes}, sends {bytes_text(moved)}"
            )
        for row in compared:
            say(row.sentence())
    constant = [f"{row.output!r} ({row.constant})" for row in compared if row.constant]
    if constant:
        say(
            f"warning: {', '.join(constant)} did not vary, so that being equal proves little; give other values with "
            "--inputs, or draw more with --seeds",
            err=True,
        )
    sys.exit(0 if all(row.equal for row in compared) else EXIT_RULE_BROKEN)
