"""The command line of mcm-partition: solve, bound, inspect, check, split, simulate, export, train, compare, ...

Heavy imports stay inside the commands, so that --help answers at once.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from partition.commands.calibrate import calibrate
from partition.commands.profile import profile
from partition.commands.run import run as run_parts
from partition.commands.train import compare, train

if TYPE_CHECKING:
    from partition.problem.graph import Graph
    from partition.problem.hardware import Hardware
    from partition.problem.placement import Placement
    from partition.solve.bench import BenchRow

EXIT_RULE_BROKEN, EXIT_BAD_INPUT, EXIT_INFEASIBLE, EXIT_NO_SOLUTION, EXIT_TROUBLE, EXIT_INTERRUPTED = 1, 2, 3, 4, 5, 130


def _one_sentence_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn the library's exceptions into one line on stderr and the exit code that belongs to them."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        from partition.errors import Infeasible, InvalidInput, NoSolutionInTime, PartitionError

        try:
            with _terminated_like_interrupted():
                command(*args, **kwargs)
        except InvalidInput as error:
            _fail(error, EXIT_BAD_INPUT)
        except Infeasible as error:
            _fail(error, EXIT_INFEASIBLE)
        except NoSolutionInTime as error:
            _fail(error, EXIT_NO_SOLUTION)
        except PartitionError as error:
            _fail(error, 1)
        except MemoryError:
            _fail("out of memory", 1)
        except KeyboardInterrupt:
            _fail("interrupted", EXIT_INTERRUPTED)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(0)

    return wrapped


def _fail(error: object, code: int) -> None:
    _say(f"error: {' '.join(str(error).split())}", err=True)
    sys.exit(code)


def _say(line: str, *, err: bool = False) -> None:
    """One line for people: names in it come from files, and a terminal must not obey them."""
    from partition.text import printable

    click.echo(printable(line), err=err)


def _parse_dims(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    dims = {}
    for value in values:
        name, equals, size = value.rpartition("=")
        if not equals or not name or not size.lstrip("-").isdigit():
            raise click.BadParameter(f"{value!r} is not of the form NAME=INTEGER, such as seq=128")
        dims[name] = int(size)
    return dims


def _offer(names: Callable[[], list[str]]) -> Callable[..., list[CompletionItem]]:
    """Completes names, and files beside them."""

    def complete(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
        found = [CompletionItem(name) for name in names() if name.startswith(begun)]
        return [*found, CompletionItem(begun, type="file")]

    return complete


def _model_names() -> list[str]:
    from partition.models import MODELS

    return list(MODELS)


def _packages() -> list[str]:
    from partition.problem.hardware_files import presets

    return [name.replace("RxC", "4x4").replace("N", "8") for name, _ in presets()]


_model = click.argument("model", shell_complete=_offer(_model_names))
_hw = click.option(
    "--hw",
    "hw",
    metavar="HW",
    shell_complete=_offer(_packages),
    help="ring36, ringN, chainN (with settings: ring36:transfers=serial) or a TOML file.",
)
_dim = click.option(
    "--dim",
    "dims",
    multiple=True,
    callback=_parse_dims,
    metavar="NAME=INT",
    help="Value of a symbolic dimension of an ONNX model; repeatable.",
)
_format = click.option(
    "--format",
    "format_",
    type=click.Choice(["builtin", "onnx", "json", "device-placement"]),
    help="Format of MODEL; by default guessed from its content.",
)
_max_cpus = click.option(
    "--max-cpus", type=int, help="CPU devices of a device-placement file, instead of its own maxCPUs."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")

_times = click.option("--times", type=click.Path(), help="Measured times of operations: CSV, JSON or a trace.")


_time_limit = click.option(
    "--time-limit",
    type=float,
    metavar="SECONDS",
    help="Return the best answer and bound after this long; 60 by default, none with --work-limit.",
)
_work_limit = click.option(
    "--work-limit",
    type=float,
    metavar="UNITS",
    help="Return them after this much work, about a second each: the same answer on every run.",
)


@dataclass(frozen=True)
class _Origin:
    """Where the model and the package come from: the options that most commands share."""

    hw: str | None
    dims: dict[str, int]
    format: str | None
    max_cpus: int | None
    times: str | None


def _source(command: Callable[..., None]) -> Callable[..., None]:
    """Add those options and hand them over as ``origin``."""

    @wraps(command)
    def wrapped(
        *args: Any,
        hw: str | None,
        dims: dict[str, int],
        format_: str | None,
        max_cpus: int | None,
        times: str | None,
        **kwargs: Any,
    ) -> None:
        command(*args, origin=_Origin(hw, dims, format_, max_cpus, times), **kwargs)

    for option in (_times, _max_cpus, _format, _dim, _hw):
        wrapped = option(wrapped)
    return wrapped


def _read_config(context: click.Context, _: click.Parameter, path: str | None) -> None:
    """Defaults of options from a TOML file: a table per command, ``[solve]`` ``time_limit = 30``."""
    chosen = Path(path or CONFIG)
    if path is None and not chosen.is_file():
        return
    from partition.files import read_toml

    try:
        data = read_toml(chosen)
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"cannot read {str(chosen)!r}: {error}") from error
    group = context.command
    assert isinstance(group, click.Group)
    for command, values in data.items():
        if command not in group.commands or not isinstance(values, dict):
            raise click.BadParameter(f"{str(chosen)!r} has a section {command!r}, which is no command")
        known = {option.name: option for option in group.commands[command].params if isinstance(option, click.Option)}
        for name, value in values.items():
            if name not in known:
                raise click.BadParameter(f"{str(chosen)!r}: {command} has no option {name!r}")
            if path is None and name in WRITING:  # the folder may hold someone else's files
                raise click.BadParameter(
                    f"{str(chosen)!r}: {command}.{name} says where to write; use --config to allow"
                )
            items = value if known[name].multiple and isinstance(value, list) else [value]
            if not all(isinstance(item, str | int | float) for item in items):
                raise click.BadParameter(f"{str(chosen)!r}: {command}.{name} is not of the form of that option")
    context.default_map = data


CONFIG = "mcm-partition.toml"
WRITING = frozenset({"output", "folder", "force", "report", "trace", "plot", "checkpoint", "curve"})
"""Options that name files to write; a configuration that merely lies in the folder may not set them."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "MCM_PARTITION"})
@click.version_option(package_name="mcm-partition", prog_name="mcm-partition")
@click.option(
    "--config",
    type=click.Path(),
    callback=_read_config,
    is_eager=True,
    expose_value=False,
    help=f"TOML file with defaults, a table per command; {CONFIG} in this folder by default.",
)
def main() -> None:
    """Decide which chip of a Multi-Chip-Module runs which operation of an ML model, with a proof of how good it is.

    MODEL is a built-in name (bert-large, bert-large:seq=384), an ONNX file, a PyTorch
    program (.pt2) or a JSON file.

    \b
    Examples:
      mcm-partition solve bert-large --hw ring36
      mcm-partition solve model.onnx --hw ring8 --dim batch=1 --dim seq=128 --json
      mcm-partition inspect resnet50 --hw ring4

    Every option also has an environment variable: MCM_PARTITION_SOLVE_TIME_LIMIT=30.
    """


@main.command()
@_model
@_json
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
@_time_limit
@_work_limit
@click.option(
    "--gap", default=1e-4, show_default=True, help="Relative gap at which to stop and call the answer optimal."
)
@click.option("--seed", default=0, show_default=True, help="Seed of every random choice.")
@click.option("--warm-start", type=click.Path(), help="JSON of an earlier solve, or a name -> chip map, to start from.")
@click.option(
    "--policy", default="none", show_default=True, metavar="POLICY", help="Adviser: pretrained, none, or a policy file."
)
@click.option(
    "--objective",
    default="period",
    show_default=True,
    metavar="GOALS",
    help="period, chips, traffic, energy or latency; several with commas, best first: period,traffic.",
)
@click.option("--workers", default=1, show_default=True, help="Searches side by side, a process each.")
@click.option("--confirm", is_flag=True, help="Ask a second solver, OR-Tools CP-SAT, to refute the bound.")
@click.option("--throughput", type=float, help="Required inputs per time unit, e.g. with --objective chips.")
@click.option("--output", "-o", type=click.Path(), help="Also write the JSON to this file.")
@click.option("--report", type=click.Path(), help="Also write a self-contained HTML page about the result.")
@_source
@_one_sentence_errors
def solve(
    model: str,
    as_json: bool,
    quiet: bool,
    time_limit: float | None,
    work_limit: float | None,
    gap: float,
    seed: int,
    warm_start: str | None,
    policy: str,
    objective: str,
    workers: int,
    confirm: bool,
    throughput: float | None,
    output: str | None,
    report: str | None,
    origin: _Origin,
) -> None:
    """Partition MODEL over the chips of HW.

    Exit codes: 0 solved, 2 bad input, 3 proved infeasible, 4 no valid assignment in time, 5 an answer with trouble (it
    could not be written everywhere, or an error of the library cut the search short; stderr says more). Ctrl-C and
    SIGTERM print the best answer so far with its bound, code 0; before the first answer the code is 130.

    \b
    Examples:
      mcm-partition solve model.onnx --hw ring8 --dim batch=1 -o result.json --report report.html
      mcm-partition solve resnet50 --hw ring16 --objective chips,energy --throughput 2000
    """
    from partition.errors import SearchFault
    from partition.files import check_writable
    from partition.results.display import Display
    from partition.solve.front import partition, validate_limits

    validate_limits(time_limit, gap, work_limit)
    for path in filter(None, (output, report)):
        check_writable(path)
    graph, hardware = _load(model, origin)
    start = _read_placement(warm_start, graph, hardware) if warm_start else None
    with contextlib.ExitStack() as stack:
        caught = stack.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always", SearchFault)
        display = None if quiet else stack.enter_context(Display(unit=hardware.time_unit))
        result = partition(
            graph,
            hardware,
            time_limit=time_limit,
            work_limit=work_limit,
            gap=gap,
            seed=seed,
            warm_start=start,
            policy=policy,
            objective=objective,
            throughput=throughput,
            workers=workers,
            confirm=confirm,
            on_progress=display,
        )
    deliveries: list[Callable[[], object]] = [lambda: click.echo(result.to_json() if as_json else result.to_table())]
    if report:
        told = _command_line(click.get_current_context())
        deliveries.insert(0, lambda: result.to_html(report, command=told))
    if output:
        deliveries.insert(0, lambda: result.to_json(output))
    troubles = [str(warning.message) for warning in caught] + _deliver(deliveries)
    if result.confirmation is not None and result.confirmation.verdict != "confirmed":
        click.echo(f"warning: bound {result.confirmation.sentence(hardware.time_unit)}", err=True)
    for trouble in troubles:
        click.echo(f"error: {trouble}", err=True)
    if troubles:
        sys.exit(EXIT_TROUBLE)
    if result.status == "infeasible":
        _fail(f"infeasible: {result.reason}", EXIT_INFEASIBLE)


@main.command()
@_model
@_json
@_time_limit
@_work_limit
@click.option("--gap", default=1e-4, show_default=True, help="Relative gap at which to stop.")
@click.option("--seed", default=0, show_default=True, help="Seed of every random choice.")
@_source
@_one_sentence_errors
def bound(
    model: str,
    as_json: bool,
    time_limit: float | None,
    work_limit: float | None,
    gap: float,
    seed: int,
    origin: _Origin,
) -> None:
    """Prove how short a period of MODEL on HW can be, and say which method proved what.

    The methods are those of docs/proof.md, in the order in which they were better than all before them.

    \b
    Example:
      mcm-partition bound randwire --hw ring16
    """
    from partition.solve.front import partition, validate_limits

    validate_limits(time_limit, gap, work_limit)
    graph, hardware = _load(model, origin)
    result = partition(graph, hardware, time_limit=time_limit, work_limit=work_limit, gap=gap, seed=seed)
    if result.status == "infeasible":
        _fail(f"infeasible: {result.reason}", EXIT_INFEASIBLE)
    if as_json:
        data = result.to_dict()
        keys = ("model", "hardware", "bound", "period", "gap", "seconds", "time_unit", "proofs")
        click.echo(json.dumps({key: data[key] for key in keys}))
        return
    for proof in result.proofs:
        _say(f"{proof.phase:<14} {proof.bound:.9g} {hardware.time_unit} after {proof.seconds:.2f} s")
    click.echo(result.verdict())


@main.command("bench")
@click.argument("names", metavar="MODEL...", nargs=-1, required=True)
@click.option("--hw", "packages", multiple=True, required=True, metavar="HW", help="Package; repeatable.")
@click.option(
    "--time-limit", default=60.0, show_default=True, metavar="SECONDS", help="For each model on each package."
)
@click.option("--seed", default=0, show_default=True, help="Seed of every random choice.")
@click.option("--jobs", default=1, show_default=True, help="Solves side by side, a process each.")
@_json
@_one_sentence_errors
def bench_command(
    names: tuple[str, ...], packages: tuple[str, ...], time_limit: float, seed: int, jobs: int, as_json: bool
) -> None:
    """Solve every MODEL on every package and print a table.

    \b
    Examples:
      mcm-partition bench bert-large resnet50 unet --hw ring16 --hw ring36 --time-limit 20 --jobs 2
    """
    from dataclasses import asdict

    from partition.solve.bench import bench, geometric_mean_quality

    rows: list[BenchRow] = []
    line = "{:<28} {:<28} {:>7} {:>10} {:>12} {:>12} {:>8} {:>8}"
    for row in bench(names, packages, time_limit=time_limit, seed=seed, jobs=jobs):
        if not (as_json or rows):
            click.echo(line.format("model", "package", "ops", "status", "period", "bound", "gap", "s"))
        rows.append(row)
        if not as_json:
            gap = "-" if row.quality is None else f"{100 * (1 - row.quality):.3f}%"
            period, bound = ("-" if x is None else f"{x:.6g}" for x in (row.period, row.bound))
            seconds = f"{row.seconds:.1f}"
            click.echo(line.format(row.model, row.hardware, row.operations, row.status, period, bound, gap, seconds))
    mean = geometric_mean_quality(rows)
    if as_json:
        click.echo(json.dumps({"rows": [asdict(row) for row in rows], "geometric_mean_quality": mean}))
    elif mean is not None:
        click.echo(f"geometric mean of bound / period: {mean:.4f}")


@main.command()
@_model
@_json
@_source
@_one_sentence_errors
def inspect(model: str, as_json: bool, origin: _Origin) -> None:
    """MODEL and HW in numbers; with --json the graph as solved, enough to recompute every figure.

    \b
    Example:
      mcm-partition inspect resnet50 --hw ring4
    """
    from partition.results.description import describe, summary

    graph, hardware = _load(model, origin)
    click.echo(json.dumps(describe(graph, hardware)) if as_json else summary(graph, hardware))


@main.command()
@_model
@click.argument("assignment", type=click.Path())
@_json
@_source
@_one_sentence_errors
def check(model: str, assignment: str, as_json: bool, origin: _Origin) -> None:
    """Check ASSIGNMENT (JSON of a solve, or a name -> chip map) against every rule, and cost it.

    Exit codes: 0 valid, 1 a rule is broken, 2 bad input.

    \b
    Example:
      mcm-partition check bert-large result.json --hw ring36
    """
    from partition.scoring import rules
    from partition.scoring.cost import evaluate_placement

    graph, hardware = _load(model, origin)
    placement = _read_placement(assignment, graph, hardware)
    violations = rules.check(graph, hardware, placement)
    period = float(evaluate_placement(graph, hardware, placement).period[0])
    if as_json:
        rows = [vars(violation) for violation in violations]
        finite = period if period < float("inf") else None
        click.echo(json.dumps({"valid": not violations, "period": finite, "violations": rows}))
    else:
        for violation in violations:
            _say(f"{violation.rule}: {violation.message}")
        verdict = "valid" if not violations else f"{len(violations)} violations"
        _say(f"{verdict}; period {period:.6g} {hardware.time_unit}")
    sys.exit(EXIT_RULE_BROKEN if violations else 0)


@main.command()
@_model
@click.argument("answer", type=click.Path())
@click.option("--inputs", default=100, show_default=True, help="Length of the stream.")
@click.option(
    "--buffers", type=float, default=math.inf, help="Inputs for which a chip can hold a tensor; all by default."
)
@click.option("--record", default=8, show_default=True, help="Inputs shown in the trace and the picture.")
@click.option("--trace", type=click.Path(), help="Write a timeline for chrome://tracing or ui.perfetto.dev.")
@click.option("--plot", type=click.Path(), help="Write a Gantt picture (PNG, SVG or PDF).")
@_json
@_source
@_one_sentence_errors
def simulate(
    model: str,
    answer: str,
    inputs: int,
    buffers: float,
    record: int,
    trace: str | None,
    plot: str | None,
    as_json: bool,
    origin: _Origin,
) -> None:
    """Play out a stream of inputs on the package, placed as ANSWER (JSON of a solve) says, event by event.

    \b
    Example:
      mcm-partition solve resnet50 --hw ring8 -o result.json
      mcm-partition simulate resnet50 result.json --hw ring8 --trace trace.json --plot gantt.png
    """
    from partition.simulate import gantt, to_chrome_trace
    from partition.simulate import simulate as play

    graph, hardware = _load(model, origin)
    placement, hardware = _read_answer(answer, graph, hardware)
    drawn = record if trace or plot else 0
    found = play(graph, hardware, placement, inputs=inputs, buffers=buffers, record=drawn)
    if trace:
        to_chrome_trace(found, trace)
    if plot:
        _save_figure(lambda: gantt(found), plot)
    import numpy as np

    unit = hardware.time_unit
    if as_json:
        told = {name: getattr(found, name) for name in ("predicted", "period", "error", "inputs")}
        told |= {"buffers": buffers if math.isfinite(buffers) else None, "latency": float(np.median(found.latencies))}
        click.echo(json.dumps(told | {"chip_busy": found.chip_busy.tolist(), "link_busy": found.link_busy.tolist()}))
    else:
        _say(
            f"period {found.period:.6g} {unit} over {inputs} inputs, {found.predicted:.6g} predicted "
            f"({100 * found.error:+.2f}%); median latency {np.median(found.latencies):.6g} {unit}; "
            f"busiest chip {100 * found.chip_busy.max():.1f}%"
        )


@main.command()
@_model
@click.argument("answer", type=click.Path())
@click.option("--output", "-o", "folder", required=True, type=click.Path(), help="Folder for the parts; new or empty.")
@click.option("--verify", is_flag=True, help="Run the parts and the whole with onnxruntime and compare all outputs.")
@click.option("--seed", default=0, show_default=True, help="Of the random inputs.")
@click.option("--optimised", is_flag=True, help="Let onnxruntime fuse operators when it verifies.")
@click.option("--force", is_flag=True, help="Replace the folder if it is there.")
@_json
@_dim
@_one_sentence_errors
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
            _say(f"output {row.output}: {'equal' if row.equal else 'DIFFERENT'}, {how}")
    sys.exit(0 if all(row.equal for row in compared) else EXIT_RULE_BROKEN)


@main.command()
@_model
@click.option("--output", "-o", required=True, type=click.Path(), help="File to write, ending in .lp or .mps.")
@click.option("--threshold", type=float, help="Only placements with a period up to this; makes the model much smaller.")
@_source
@_one_sentence_errors
def export(model: str, output: str, threshold: float | None, origin: _Origin) -> None:
    """Write the MILP of MODEL on HW as LP or MPS for another solver.

    \b
    Example:
      mcm-partition export resnet50 --hw ring4 -o model.mps
    """
    from milp.export import write_model

    graph, hardware = _load(model, origin)
    write_model(graph, hardware, output, threshold=threshold)


@main.command()
@_json
@_one_sentence_errors
def models(as_json: bool) -> None:
    """List the built-in models and their parameters.

    \b
    Example:
      mcm-partition solve bert-large:seq=384 --hw ring36
    """
    from partition.models import MODELS

    rows = [{"name": name, "description": m.description, "parameters": dict(m.defaults)} for name, m in MODELS.items()]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        parameters = ", ".join(f"{key}={value}" for key, value in MODELS[str(row["name"])].defaults.items())
        click.echo(f"{row['name']:<12} {row['description']}\n{'':<12} {parameters}")


@main.command()
@click.argument("name", required=False)
@_json
@_one_sentence_errors
def hardware(name: str | None, as_json: bool) -> None:
    """List the hardware presets, or describe one (as TOML to start your own file from).

    \b
    Example:
      mcm-partition hardware ring36 > my_package.toml
    """
    from partition.problem.hardware_files import load_hardware, presets, to_toml
    from partition.results.description import describe_hardware

    if name is None:
        rows = [{"name": preset, "description": text} for preset, text in presets()]
        click.echo(json.dumps(rows) if as_json else "\n".join(f"{r['name']:<8} {r['description']}" for r in rows))
        return
    loaded = load_hardware(name)
    click.echo(json.dumps(describe_hardware(loaded)) if as_json else to_toml(loaded).rstrip())


def _command_line(context: click.Context) -> str:
    """The command with all that was set, by the command line, the environment or a file of defaults."""
    words = [] if context.parent is None else [context.parent.info_name or "mcm-partition"]
    if words and words[0].endswith(".py"):
        words.insert(0, "python")
    words.append(context.info_name or "")
    for parameter in context.command.params:
        name, value = parameter.name or "", context.params.get(parameter.name or "")
        if isinstance(parameter, click.Argument):
            words.append(str(value))
        elif context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            option = max(parameter.opts, key=len)
            if isinstance(value, dict):
                words += [word for key, size in value.items() for word in (option, f"{key}={size}")]
            else:
                words += [option] if value is True else [option, str(value)]
    return shlex.join(words)


def _load(model: str, origin: _Origin) -> tuple[Graph, Hardware]:
    from partition.errors import InvalidInput
    from partition.problem.hardware_files import load_hardware
    from partition.readers.load import load_model

    hardware = load_hardware(origin.hw) if origin.hw is not None else None
    source = load_model(model, format=origin.format, dims=origin.dims, max_cpus=origin.max_cpus)
    hardware = hardware or source.hardware
    if hardware is None:
        raise InvalidInput(f"{model!r} brings no hardware; add --hw, for example --hw ring36")
    if origin.times is None:
        return source.graph, hardware
    from partition.readers.measured import times_for, with_times

    times, matched = times_for(source.graph, origin.times)
    if matched is not None:
        _say(matched.report(), err=True)
    graph, missing = with_times(source.graph, times, [kind.name for kind in hardware.kinds])
    if missing:
        listed = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        _say(
            f"{len(missing)} of {graph.n} operations have no measured time and keep their roofline: {listed}", err=True
        )
    return graph, hardware


def _read_placement(path: str, graph: Graph, hardware: Hardware) -> Placement:
    """A placement from the JSON of a solve, or from a bare map of names to chips."""
    from partition.problem.placement import Placement
    from partition.readers.json_fields import parse_file

    return Placement.from_answer(graph, parse_file(Path(path)), chips=hardware.chips)


def _read_answer(path: str, graph: Graph, hardware: Hardware) -> tuple[Placement, Hardware]:
    """The placement of an answer, and the package as the answer has it: order of the kinds, places of the stages."""
    from partition.errors import InvalidAssignment
    from partition.problem.placement import Placement
    from partition.readers.json_fields import parse_file

    data = parse_file(Path(path))
    placement = Placement.from_answer(graph, data, chips=hardware.chips)
    names = [kind.name for kind in hardware.kinds]
    kinds, positions = data.get("kinds"), data.get("positions")
    try:
        if kinds:
            if len(kinds) != hardware.chips:
                raise ValueError("another number of chips")
            hardware = replace(hardware, kind_of_chip=tuple(names.index(kind) for kind in kinds))
        if positions:
            hardware = replace(hardware, positions=tuple(positions))
    except (TypeError, ValueError) as error:
        raise InvalidAssignment(f"{path!r} is an answer for another package than {hardware.name!r}") from error
    return placement, hardware


def _save_figure(draw: Callable[[], Any], path: str) -> None:
    """Draw with matplotlib, without a screen, and write the picture."""
    from partition.errors import InvalidInput
    from partition.files import write_atomically

    try:
        import matplotlib
    except ImportError as error:
        raise InvalidInput("pictures need matplotlib; pip install 'mcm-partition[plot]'") from error
    matplotlib.use("Agg")
    picture = io.BytesIO()
    try:
        draw().figure.savefig(picture, dpi=120, format=Path(path).suffix.lstrip(".") or None)
    except ValueError as error:
        raise InvalidInput(f"cannot write {path!r}: {error}") from error
    write_atomically(path, picture.getvalue())


def _deliver(deliveries: list[Callable[[], object]]) -> list[str]:
    """Try every way out of an answer, whatever becomes of the others; what went wrong."""
    from partition.errors import InvalidInput

    troubles = []
    for deliver in deliveries:
        try:
            deliver()
        except BrokenPipeError:
            raise  # nobody reads on: that is no trouble
        except InvalidInput as error:
            troubles.append(str(error))
        except OSError as error:
            troubles.append(f"cannot print the answer: {error.strerror or error}")
            _give_up_stdout()
    return troubles


def _give_up_stdout() -> None:
    """What could not be printed cannot be printed at the end of the program either."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does; a solve, with the best answer so far."""

    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    try:
        previous = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


for _command in (train, compare, profile, run_parts, calibrate):
    assert _command.callback is not None
    _command.callback = _one_sentence_errors(_command.callback)
    main.add_command(_command)


def run() -> None:
    """The command line as a program: its exit code tells the truth even if a HiGHS run had to be left behind."""
    code: object
    try:
        code = main(standalone_mode=False)  # which would call Ctrl-C before a command begins a failure
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("error: interrupted", err=True)
        code = EXIT_INTERRUPTED
    except SystemExit as ended:
        code = ended.code
    status = code if isinstance(code, int) else int(code is not None)
    if "milp.solver.highs" not in sys.modules:  # nothing was solved
        sys.exit(status)
    from milp.solver.highs import leave

    leave(status)


if __name__ == "__main__":
    run()
