"""The command ``run``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence

import click

from partition.commands.exits import one_sentence_errors
from partition.commands.options import json_option, quiet_option
from partition.commands.outputs import OutputFile


def _cores(_: click.Context, __: click.Parameter, given: str | None) -> list[int] | None:
    """``0,1`` as numbers; ``none`` leaves stages free."""
    if given is None:
        return None
    if given == "none":
        return []
    if not all(part.isdecimal() for part in given.split(",")):
        raise click.BadParameter(f"{given!r} is not of the form 0,1 or none")
    return [int(part) for part in given.split(",")]


@click.command()
@click.argument("folder", type=click.Path())
@click.option("--inputs", default=100, show_default=True, help="Length of the stream.")
@click.option(
    "--buffers", type=int, help="Inputs for which a tensor can wait between stages; by default their distance."
)
@click.option("--cores", callback=_cores, metavar="N,N,...", help="That stages take in turn; all by default, or none.")
@click.option("--optimised", is_flag=True, help="Let onnxruntime fuse operators within the parts.")
@click.option("--values", type=click.Path(), help="NPZ file with the model's inputs by name; drawn by default.")
@click.option("--seed", default=0, show_default=True, help="Of the values drawn.")
@click.option("--patience", default=120.0, show_default=True, help="Seconds without progress that count as hanging.")
@click.option("--trace", type=OutputFile(), help="Write a timeline for ui.perfetto.dev, operations included.")
@click.option("--record", default=8, show_default=True, help="Inputs in the timeline.")
@quiet_option
@json_option
@one_sentence_errors
def run(
    folder: str,
    inputs: int,
    buffers: int | None,
    cores: list[int] | None,
    optimised: bool,
    values: str | None,
    seed: int,
    patience: float,
    trace: str | None,
    record: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run the parts in FOLDER (written by split) as a pipeline, a process each, and measure it.

    Exit codes: 0 done, 1 a stage failed (it is named), 2 bad input, 130 interrupted.

    \b
    Example:
      mcm-partition split model.onnx result.json -o parts
      mcm-partition run parts --inputs 200 --trace trace.json
    """
    from partition.pipeline import run as stream
    from partition.pipeline import to_perfetto
    from partition.results.display import Display
    from partition.split import load_inputs
    from partition.text import printable

    given = [load_inputs(values)] if values else []
    with contextlib.ExitStack() as stack:
        display = None if quiet else stack.enter_context(Display())

        def show(done: Sequence[int], total: int) -> None:
            assert display is not None
            tenth = 10 * min(done) // total
            display.show(f"input {min(done)} of {total}; stages are at {', '.join(map(str, done))}", key=tenth)

        found = stream(
            folder,
            inputs=inputs,
            buffers=buffers,
            cores=cores,
            optimised=optimised,
            values=given,
            seed=seed,
            record=record if trace else 0,
            patience=patience,
            on_progress=None if quiet else show,
        )
    if trace:
        to_perfetto(found, trace)
    click.echo(json.dumps(found.to_dict()) if as_json else "\n".join(map(printable, found.to_table().splitlines())))
