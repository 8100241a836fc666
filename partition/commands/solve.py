"""The command ``solve``: the front door on the command line."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import click

from partition.commands.exits import EXIT_INFEASIBLE, EXIT_TROUBLE, fail, one_sentence_errors, say
from partition.commands.options import (
    InputOptions,
    chip_option,
    json_option,
    load,
    model_argument,
    parse_shards,
    quiet_option,
    read_start,
    seed_option,
    source_options,
    time_limit_option,
    work_limit_option,
)
from partition.commands.outputs import OutputFile
from partition.commands.wishes import wish_options
from partition.errors import InvalidInput, SearchFault

if TYPE_CHECKING:
    from partition.problem.wishes import Wishes
    from partition.results.result import Result


@click.command()
@model_argument
@json_option
@quiet_option
@time_limit_option
@work_limit_option
@click.option(
    "--gap", default=1e-4, show_default=True, help="Relative gap at which to stop and call the answer optimal."
)
@seed_option
@click.option("--warm-start", type=click.Path(), help="JSON of an earlier solve, or a name -> chip map, to start from.")
@click.option("--stability", type=click.Path(), help="Earlier answer, from which as few operations as possible move.")
@click.option(
    "--policy",
    default="none",
    show_default=True,
    metavar="POLICY",
    help="Adviser: pretrained, none, or the file of a policy or of a guide.",
)
@click.option(
    "--objective",
    default="period",
    show_default=True,
    metavar="GOALS",
    help="period, chips, traffic, energy or latency; several with commas, best first: period,traffic.",
)
@click.option("--workers", default=1, show_default=True, help="Searches side by side, a process each.")
@click.option(
    "--shard", "shards", multiple=True, metavar="auto|apart|NAME=K[:AXIS]",
    help="Operations in parts on several chips: auto for as many as pay, apart if results may leave in parts too, or "
    "NAME=K, repeatable (docs/shards.md).",
)  # fmt: skip
@click.option("--confirm", is_flag=True, help="Ask a second solver, OR-Tools CP-SAT, to refute the bound.")
@click.option("--strict", is_flag=True, help="Refuse a model of which costs or shapes are guessed.")
@click.option("--batch", type=int, help="Also tell the time of a batch of so many inputs, with fill and drain.")
@click.option("--throughput", type=float, help="Required inputs per time unit, e.g. with --objective chips.")
@chip_option
@click.option("--output", "-o", type=OutputFile(), help="Also write the JSON to this file.")
@click.option("--proof", type=OutputFile(), help="Also write what proves the bound, for the command replay.")
@click.option("--report", type=OutputFile(), help="Also write a self-contained HTML page about the result.")
@source_options
@one_sentence_errors
@wish_options
def solve(
    model: str,
    as_json: bool,
    quiet: bool,
    time_limit: float | None,
    work_limit: float | None,
    gap: float,
    seed: int,
    warm_start: str | None,
    stability: str | None,
    policy: str,
    objective: str,
    workers: int,
    shards: tuple[str, ...],
    wishes: Wishes,
    chips: tuple[int, ...],
    confirm: bool,
    strict: bool,
    batch: int | None,
    throughput: float | None,
    output: str | None,
    proof: str | None,
    report: str | None,
    origin: InputOptions,
) -> None:
    """Partition MODEL over the chips of HW.

    Exit codes: 0 solved, 2 bad input, 3 proved infeasible, 4 no valid assignment in time, 5 an answer with trouble (it
    could not be written everywhere, or a step of the search failed; stderr says more). Ctrl-C and
    SIGTERM print the best answer so far with its bound, code 0; before the first answer the code is 130.

    \b
    Examples:
      mcm-partition solve model.onnx --hw ring8 --dim batch=1 -o result.json --report report.html
      mcm-partition solve resnet50 --hw ring16 --objective chips,energy --throughput 2000
      mcm-partition solve resnet50 --hw ring8 --chip 3
    """
    from partition.results.display import Display
    from partition.solve.front import partition, seconds_allowed, validate_limits

    validate_limits(time_limit, gap, work_limit)
    graph, hardware = load(model, origin)
    _check_chips(chips, hardware.chips, as_json)
    start = read_start(warm_start, graph, hardware) if warm_start is not None else None
    limit = seconds_allowed(time_limit, work_limit)
    with _faults() as faults, Display(unit=hardware.time_unit, limit=limit, quiet=quiet) as display:
        result = partition(
            graph,
            hardware,
            time_limit=time_limit,
            work_limit=work_limit,
            gap=gap,
            seed=seed,
            warm_start=start,
            stability=read_start(stability, graph, hardware) if stability is not None else None,
            policy=policy,
            objective=objective,
            throughput=throughput,
            batch=batch,
            workers=workers,
            confirm=confirm,
            shard=parse_shards(shards),
            **wishes.to_dict(),
            strict=strict,
            proof=proof is not None,
            on_progress=display,
        )
    troubles = _deliver(_deliveries(result, output, proof, report, as_json, chips))
    _end(result, [*faults, *troubles], as_json)


def _check_chips(chips: tuple[int, ...], count: int, as_json: bool) -> None:
    """InvalidInput unless the package has the chips that ``--chip`` names, and there is a table to show them in."""
    from partition.arguments import whole

    if chips and as_json:
        raise InvalidInput("--chip is for the table; with --json give it to check")
    for chip in chips:
        whole("the chip", chip, most=count - 1)


@contextlib.contextmanager
def _faults() -> Iterator[list[str]]:
    """Within, errors of the library that an answer survives are kept, and are in the list at the end."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SearchFault)
        yield told
    told += [str(warning.message) for warning in caught]


def _end(result: Result, troubles: list[str], as_json: bool) -> None:
    """Say on stderr what a reader of the answer must know, and choose the exit code."""
    if result.confirmation is not None and result.confirmation.verdict != "confirmed":
        say(f"warning: bound {result.confirmation.sentence(result.hardware.time_unit)}", err=True)
    for trouble in troubles:
        click.echo(f"error: {trouble}", err=True)
    if troubles:
        sys.exit(EXIT_TROUBLE)
    if result.status == "infeasible":
        fail(f"infeasible: {result.reason}" if as_json else "infeasible", EXIT_INFEASIBLE)  # a table has the reason


def _deliveries(
    result: Result, output: str | None, proof: str | None, report: str | None, as_json: bool, chips: tuple[int, ...]
) -> Iterator[Callable[[], object]]:
    """The ways out of an answer that were asked for: files first, then stdout."""
    if output:
        yield lambda: result.to_json(output)
    if proof:
        from partition.results.proof_file import write_proof

        yield lambda: write_proof(result, proof)
    if report:
        told = _command_line(click.get_current_context())
        yield lambda: result.to_html(report, command=told)
    yield lambda: click.echo(result.to_json() if as_json else result.to_table(chips=chips))


def _deliver(deliveries: Iterable[Callable[[], object]]) -> list[str]:
    """Try every way out of an answer, whatever becomes of the others; what went wrong."""
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
            words += _spelled(max(parameter.opts, key=len), value)
    return shlex.join(words)


def _spelled(option: str, value: object) -> list[str]:
    """An option as it is written, repeated where it was."""
    if value is True:
        return [option]
    if isinstance(value, dict):
        return [word for key, size in value.items() for word in (option, f"{key}={size}")]
    if not isinstance(value, list | tuple):
        return [option, str(value)]
    words = []
    for each in value:
        if isinstance(each, tuple) and option == "--cut":
            words += [option, *each]
        elif isinstance(each, tuple):  # a name, and a rate or chips
            name, told = each
            numbers = ",".join(map(str, told)) if isinstance(told, list) else str(told)
            words += [option, f"{name}{'@' if option == '--beside' else '='}{numbers}"]
        else:
            words += [option, str(each)]
    return words
