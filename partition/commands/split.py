"""The command ``split``: one ONNX model per chip."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from partition.commands.exits import EXIT_RULE_BROKEN, one_sentence_errors, say
from partition.commands.options import answer_argument, dim_option, json_option, model_argument
from partition.commands.outputs import OutputFolder


@click.command()
@model_argument
@answer_argument
@click.option("--output", "-o", "folder", type=OutputFolder(), required=True, help="New or empty folder for the parts.")
@click.option("--verify", is_flag=True, help="Run the parts and the whole with onnxruntime and compare all outputs.")
@click.option("--seed", default=0, show_default=True, help="Of the random inputs.")
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
    seed: int,
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
    from partition.readers.json_fields import parse_file
    from partition.split import split_model, verify_parts

    manifest = split_model(model, parse_file(Path(answer)), folder, dims=dims, force=force)
    compared = verify_parts(model, folder, seed=seed, optimised=optimised) if verify else []
    if as_json:
        rows = [{**vars(c), "equal": c.equal} for c in compared]
        click.echo(json.dumps({"parts": [part.file for part in manifest.parts], "compared": rows}))
    else:
        for part in manifest.parts:
            moved = sum(port.bytes for port in part.outputs if port.chips)
            click.echo(
                f"{part.file}: {part.operations} operations, {part.weight_bytes / 2**20:.1f} MB of weights, "
                f"{len(part.inputs)} inputs, {len(part.outputs)} outputs, sends {moved / 2**20:.2f} MB"
            )
        for row in compared:
            how = "bit for bit" if row.identical else f"largest relative difference {row.difference:.2g}"
            say(f"output {row.output}: {'equal' if row.equal else 'DIFFERENT'}, {how}")
    sys.exit(0 if all(row.equal for row in compared) else EXIT_RULE_BROKEN)
