"""The command ``profile``."""

from __future__ import annotations

import json

import click


def parse_dims(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    """``NAME=INTEGER`` of every ``--dim``."""
    dims = {}
    for value in values:
        name, equals, size = value.rpartition("=")
        if not equals or not name or not size.lstrip("-").isdigit():
            raise click.BadParameter(f"{value!r} is not of the form NAME=INTEGER, such as seq=128")
        dims[name] = int(size)
    return dims


dim = click.option(
    "--dim", "dims", multiple=True, callback=parse_dims, metavar="NAME=INT", help="Value of a symbolic dimension."
)
optimised_option = click.option(
    "--optimised", is_flag=True, help="Let onnxruntime fuse operators; a kernel's time is split among them."
)
seconds_option = click.option("--seconds", default=20.0, show_default=True, help="Stop measuring a model after this.")


@click.command()
@click.argument("model", type=click.Path())
@click.option("--output", "-o", required=True, type=click.Path(), help="CSV for --times.")
@click.option("--runs", default=20, show_default=True, help="Measured runs.")
@seconds_option
@click.option("--seed", default=0, show_default=True, help="Of the random inputs.")
@click.option("--overhead", type=float, help="Seconds of a node besides its kernel, instead of this model's own.")
@optimised_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@dim
def profile(
    model: str,
    output: str,
    runs: int,
    seconds: float,
    seed: int,
    overhead: float | None,
    optimised: bool,
    as_json: bool,
    dims: dict[str, int],
) -> None:
    """Measure the ONNX file MODEL operation by operation with onnxruntime's profiler, on one thread.

    \b
    Example:
      mcm-partition profile model.onnx -o times.csv
      mcm-partition solve model.onnx --hw cpu2 --times times.csv
    """
    from partition.files import check_writable, write_atomically
    from partition.pipeline.profile import profile as measure
    from partition.text import printable

    check_writable(output)
    found = measure(model, dims=dims, optimised=optimised, runs=runs, seconds=seconds, seed=seed, overhead=overhead)
    write_atomically(output, found.to_csv())
    if as_json:
        figures = {k: v for k, v in vars(found).items() if k not in ("graph", "seconds", "spread")}
        click.echo(json.dumps({"model": found.graph.name, **figures}))
    else:
        click.echo(printable(found.summary()))
