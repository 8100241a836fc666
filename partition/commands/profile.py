"""The command ``profile``."""

from __future__ import annotations

import json

import click

from partition.commands.exits import one_sentence_errors, say
from partition.commands.options import dim_option, json_option, quiet_option
from partition.commands.outputs import OutputFile
from partition.files import write_atomically

optimised_option = click.option(
    "--optimised", is_flag=True, help="Let onnxruntime fuse operators; a kernel's time is split among them."
)
seconds_option = click.option("--seconds", default=20.0, show_default=True, help="Stop measuring a model after this.")


@click.command()
@click.argument("model", type=click.Path())
@click.option("--output", "-o", required=True, type=OutputFile(), help="CSV for --times.")
@click.option("--runs", default=20, show_default=True, help="Measured runs.")
@seconds_option
@click.option("--seed", default=0, show_default=True, help="Of the random inputs.")
@click.option("--overhead", type=float, help="Seconds of a node besides its kernel, instead of this model's own.")
@optimised_option
@quiet_option
@json_option
@dim_option
@one_sentence_errors
def profile(
    model: str,
    output: str,
    runs: int,
    seconds: float,
    seed: int,
    overhead: float | None,
    optimised: bool,
    quiet: bool,
    as_json: bool,
    dims: dict[str, int],
) -> None:
    """Measure the ONNX file MODEL operation by operation with onnxruntime's profiler, on one thread.

    \b
    Example:
      mcm-partition profile model.onnx -o times.csv
      mcm-partition solve model.onnx --hw cpu2 --times times.csv
    """
    from partition.pipeline.profile import profile as measure
    from partition.results.display import Display

    with Display(quiet=quiet) as display:
        found = measure(
            model,
            dims=dims,
            optimised=optimised,
            runs=runs,
            seconds=seconds,
            seed=seed,
            overhead=overhead,
            on_progress=display.tell,
        )
    write_atomically(output, found.to_csv())
    if as_json:
        figures = {k: v for k, v in vars(found).items() if k not in ("graph", "seconds", "spread")}
        click.echo(json.dumps({"model": found.graph.name, **figures}))
    else:
        say(found.summary())
