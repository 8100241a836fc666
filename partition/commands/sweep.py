"""The command ``sweep``: one model on many packages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from partition.commands.exits import EXIT_INTERRUPTED, fail, one_sentence_errors
from partition.commands.options import (
    dim_option,
    format_option,
    json_option,
    model_argument,
    quiet_option,
    seed_option,
    time_limit_option,
    work_limit_option,
)
from partition.commands.outputs import OutputFile, OutputFolder
from partition.errors import InvalidInput

if TYPE_CHECKING:
    from partition.solve.sweep_known import Known

VALUES = "chips=8,16,24"


@click.command()
@model_argument
@click.option("--hw", "packages", multiple=True, metavar="HW", help="Package to vary, as for solve; repeatable.")
@click.option(
    "--over", "axes", multiple=True, metavar="NAME=VALUES",
    help=f"A setting and its values, {VALUES}: chips, or a setting of --hw; repeatable.",
)  # fmt: skip
@click.option("--grid", type=click.Path(), help="TOML file with a table [grid]: a setting and the list of its values.")
@click.option("--cache", type=OutputFolder(), help="Folder that keeps what searches find; a sweep goes on from there.")
@time_limit_option
@work_limit_option
@click.option("--gap", default=1e-4, show_default=True, help="Relative gap at which a design is settled.")
@seed_option
@click.option("--workers", default=1, show_default=True, help="Searches side by side, a process each.")
@click.option("--wave", type=int, help="Designs that are chosen together; as many as workers by default.")
@click.option("--pareto", is_flag=True, help="Print only the designs that no other beats.")
@click.option("--csv", "csv_file", type=OutputFile(), help="Also write a line for each design to this file.")
@click.option("--output", "-o", type=OutputFile(), help="Also write the JSON to this file.")
@json_option
@quiet_option
@format_option
@dim_option
@one_sentence_errors
def sweep(
    model: str,
    packages: tuple[str, ...],
    axes: tuple[str, ...],
    grid: str | None,
    cache: str | None,
    time_limit: float | None,
    work_limit: float | None,
    gap: float,
    seed: int,
    workers: int,
    wave: int | None,
    pareto: bool,
    csv_file: str | None,
    output: str | None,
    as_json: bool,
    quiet: bool,
    format_: str | None,
    dims: dict[str, int],
) -> None:
    """Solve MODEL on a grid of packages, each search with what those before have found.

    A design that others settle is not searched. Limits are for each search. Exit codes: 0 done, 2 bad input, 130
    interrupted (the rows known so far are printed).

    \b
    Examples:
      mcm-partition sweep resnet50 --hw ring8 --over chips=4,8,16 --over link_bandwidth=8e9,16e9 --csv designs.csv
      mcm-partition sweep model.onnx --hw ring8 --grid grid.toml --cache answers --workers 2
    """
    from dataclasses import replace

    from partition.readers.load import load_model
    from partition.results.display import Display
    from partition.solve.sweep import Sweep

    source = load_model(model, format=format_, dims=dims)
    wanted = dict(_read_grid(grid)) if grid is not None else {}
    for name, values in map(_axis, axes):
        if name in wanted:
            raise InvalidInput(f"{name} is given twice; give all its values in one --over")
        wanted[name] = values
    base: Any = list(packages) or [source.hardware]
    if base == [None]:
        raise InvalidInput(f"{model!r} brings no hardware; add --hw, for example --hw ring36")
    searched = Sweep(source, cache=cache, time_limit=time_limit, work_limit=work_limit, gap=gap, seed=seed)
    with Display(quiet=quiet) as display:

        def tell(known: Known) -> None:
            settled = int(known.settled.sum())
            display.show(f"{settled} of {len(known.designs)} designs settled; {len(known.waiting)} to go", key=settled)

        found = searched.over(base, wanted, workers=workers, wave=wave, on_progress=tell)
    if csv_file is not None:
        found.to_csv(csv_file)
    if output is not None:
        found.to_json(output)
    shown = replace(found, rows=found.pareto()) if pareto else found
    click.echo(shown.to_json() if as_json else shown.to_table())
    if found.interrupted:
        fail("interrupted; what is known of the designs is printed", EXIT_INTERRUPTED)


def _axis(text: str) -> tuple[str, list[Any]]:
    """``NAME=V,V`` as a setting and its values."""
    from partition.problem.hardware_files import setting

    name, equals, values = text.partition("=")
    parts = [part for part in values.split(",") if part.strip()]
    if not equals or not name.strip() or not parts:
        raise InvalidInput(f"--over {text!r} is not of the form NAME=VALUES, such as {VALUES}")
    found = [setting(f"{name}={part}")[1] for part in parts]
    return name.strip(), [_whole(value) for value in found] if name.strip() == "chips" else found


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_grid(path: str) -> Mapping[str, list[Any]]:
    """The table ``[grid]`` of a TOML file."""
    from partition.files import read_toml

    try:
        data = read_toml(Path(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"cannot read the grid {path!r}: {reason}") from error
    table = data.get("grid")
    if set(data) != {"grid"} or not isinstance(table, dict) or not all(isinstance(v, list) for v in table.values()):
        raise InvalidInput(f"{path!r} is no grid; give a table [grid] with a setting and a list of its values a line")
    return table
