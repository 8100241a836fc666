"""The command ``calibrate``."""

from __future__ import annotations

import json

import click

from partition.commands.exits import one_sentence_errors, say
from partition.commands.options import dim_option, json_option, quiet_option
from partition.commands.outputs import OutputFile
from partition.commands.profile import optimised_option, seconds_option
from partition.errors import InvalidInput
from partition.extras import require
from partition.files import check_writable, write_atomically


@click.command()
@click.argument("models", nargs=-1, type=click.Path())
@click.option("--output", "-o", type=OutputFile(), help="Hardware TOML to write; by default the one that cpuN uses.")
@click.option("--chips", default=2, show_default=True, help="Chips in that file.")
@click.option("--name", default="cpu", show_default=True, help="Of the kind of chip.")
@click.option(
    "--times", type=click.Path(), help="Times of the one MODEL's operations, measured elsewhere (CSV or trace)."
)
@click.option("--transfers", type=click.Path(), help="CSV bytes,seconds of transfers, measured elsewhere.")
@seconds_option
@optimised_option
@quiet_option
@json_option
@dim_option
@one_sentence_errors
def calibrate(
    models: tuple[str, ...],
    output: str | None,
    chips: int,
    name: str,
    times: str | None,
    transfers: str | None,
    seconds: float,
    optimised: bool,
    quiet: bool,
    as_json: bool,
    dims: dict[str, int],
) -> None:
    """Fit a kind of chip and a link to measurements, and write them as a hardware file.

    Profiles MODELS (ONNX files; by default a suite of operations of many kinds) and transfers between two processes on
    this machine, unless --times and --transfers bring measurements of another one. Without MODELS that takes about a
    minute, and longer where other work runs.

    \b
    Example:
      mcm-partition calibrate
      mcm-partition solve model.onnx --hw cpu2
      mcm-partition calibrate model.onnx --times npu.csv --transfers npu_link.csv --name npu --chips 8 -o npu.toml
    """
    require("calibrating", "run")  # before a model is read for --times, which asks for less
    from partition.pipeline.calibration import calibrate as fit
    from partition.pipeline.calibration import read_transfers
    from partition.problem.hardware_files import calibration_file
    from partition.problem.placement import MOST_CHIPS
    from partition.readers.load import load_model
    from partition.readers.measured import times_for, with_times
    from partition.results.display import Display

    if not 1 <= chips <= MOST_CHIPS:
        raise InvalidInput(f"chips is {chips}; a package has 1 to {MOST_CHIPS}")
    target = calibration_file() if output is None else output
    if output is None:
        calibration_file().parent.mkdir(parents=True, exist_ok=True)
    check_writable(target)
    measured = None
    if times is not None:
        if len(models) != 1:
            raise InvalidInput("--times belong to one model; give the model that they were measured on")
        graph = load_model(models[0], dims=dims).graph
        given, matched = times_for(graph, times)
        if matched is not None:
            say(matched.report(), err=True)
        measured = with_times(graph, given, [name])[0].profiled_times[name]
    moved = read_transfers(transfers) if transfers is not None else None
    with Display(quiet=quiet) as display:
        found = fit(
            models,
            dims=dims,
            times=measured,
            transfers=moved,
            optimised=optimised,
            seconds=seconds,
            name=name,
            on_progress=display.tell,
        )
    write_atomically(target, found.to_toml(chips, f"{name}{chips}"))
    if as_json:
        kind, link = found.kind, found.link
        figures = {key: getattr(kind.kind, key) for key in ("peak_flops", "sram_bandwidth", "op_overhead_s")}
        errors = {"error": kind.error, "error90": kind.error90, "total": kind.total, "operations": kind.operations}
        click.echo(json.dumps({"file": str(target), "kind": figures | errors, "link": vars(link)}))
    else:
        for line in (found.kind.sentence(), found.link.sentence(), f"written to {target}"):
            say(line)
