"""The command ``bench``: many models on many packages, one table."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from partition.commands.exits import EXIT_INTERRUPTED, fail, one_sentence_errors
from partition.commands.options import json_option, quiet_option, seed_option

if TYPE_CHECKING:
    from partition.solve.bench import BenchRow


@click.command()
@click.argument("names", metavar="MODEL...", nargs=-1, required=True)
@click.option("--hw", "packages", multiple=True, required=True, metavar="HW", help="Package; repeatable.")
@click.option(
    "--time-limit", default=60.0, show_default=True, metavar="SECONDS", help="For each model on each package."
)
@seed_option
@click.option("--jobs", default=1, show_default=True, help="Solves side by side, a process each.")
@json_option
@quiet_option
@one_sentence_errors
def bench(
    names: tuple[str, ...],
    packages: tuple[str, ...],
    time_limit: float,
    seed: int,
    jobs: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Solve every MODEL on every package and print a table.

    \b
    Examples:
      mcm-partition bench bert-large resnet50 unet --hw ring16 --hw ring36 --time-limit 20 --jobs 2
    """
    from partition.results.display import Display
    from partition.solve.bench import bench as solve_all
    from partition.solve.bench import geometric_mean_quality

    asked = [f"{model} on {package}" for model in names for package in packages]
    rows: list[BenchRow] = []
    interrupted = False
    with Display(limit=f" (at most {time_limit:g} s each)", quiet=quiet) as display:

        def tell() -> None:
            if len(rows) < len(asked):
                display.show(f"{len(rows)} of {len(asked)} done; now {asked[len(rows)]}", key=len(rows))

        try:
            tell()
            for row in solve_all(names, packages, time_limit=time_limit, seed=seed, jobs=jobs):
                if not (as_json or rows):
                    click.echo(LINE.format("model", "package", "ops", "status", "period", "bound", "gap", "s"))
                rows.append(row)
                if not as_json:
                    click.echo(_line(row))
                tell()
        except KeyboardInterrupt:
            if not rows:
                raise
            interrupted = True
    mean = geometric_mean_quality(rows)
    if as_json:
        click.echo(json.dumps({"rows": [asdict(row) for row in rows], "geometric_mean_quality": mean}))
    elif mean is not None:
        click.echo(f"geometric mean of bound / period: {mean:.4f}")
    if interrupted or rows[-1].interrupted:
        fail(f"interrupted; {len(asked) - len(rows)} of {len(asked)} were not solved", EXIT_INTERRUPTED)


LINE = "{:<20} {:<12} {:>5} {:<8} {:>9} {:>9} {:>5} {:>5}"
"""A row of the table, in 80 columns where names are not long."""


def _line(row: BenchRow) -> str:
    from partition.amounts import time_text

    gap = "-" if row.quality is None else f"{100 * (1 - row.quality):.1f}%"
    period, bound = ("-" if x is None else time_text(x, row.time_unit) for x in (row.period, row.bound))
    return LINE.format(row.model, row.hardware, row.operations, row.status, period, bound, gap, f"{row.seconds:.1f}")
