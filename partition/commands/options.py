"""The options that commands share, and what they stand for: a model, a package, an answer."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from partition.commands.exits import say
from partition.errors import InvalidInput
from partition.problem.cut_axis import joined_parts, split_parts

if TYPE_CHECKING:
    from partition.problem.cut_axis import PartCount
    from partition.problem.graph import Graph
    from partition.problem.hardware import Hardware
    from partition.problem.placement import Placement
    from partition.problem.wishes import Wishes


def _parse_dims(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    return _numbers(values, "NAME=INTEGER, such as seq=128")


def _numbers(values: tuple[str, ...], form: str, least: float = -math.inf) -> dict[str, int]:
    """``NAME=INTEGER`` options as a map; ``form`` says how they are written."""
    found = {}
    for value in values:
        name, equals, number = value.rpartition("=")
        if not equals or not name or not re.fullmatch(r"-?\d+", number) or int(number) < least:
            raise click.BadParameter(f"{value!r} is not of the form {form}")
        found[name] = int(number)
    return found


def _parse_beside(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    found = []
    for value in values:
        name, _at, rate = value.rpartition("@")
        if name and not rate.isdecimal() and not os.path.exists(value) and _is_a_rate(name, rate):
            raise click.BadParameter(f"{value!r}: a rate is a whole number from 1, such as {name}@2")
        found.append((name, int(rate)) if name and rate.isdecimal() else (value, 1))
    return tuple(found)


def _is_a_rate(name: str, rate: str) -> bool:
    """Whether what follows the @ is meant as a rate: it is a number, or a model stands before it."""
    try:
        float(rate)
    except ValueError:
        return os.path.exists(name) or name.partition(":")[0] in _model_names()
    return True


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


model_argument = click.argument("model", shell_complete=_offer(_model_names))
answer_argument = click.argument("answer", type=click.Path())
dim_option = click.option(
    "--dim",
    "dims",
    multiple=True,
    callback=_parse_dims,
    metavar="NAME=INT",
    help="Value of a symbolic dimension of an ONNX model; repeatable.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
chip_option = click.option(
    "--chip", "chips", type=int, multiple=True, help="Say what this chip does, and how long; repeatable."
)
quiet_option = click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
seed_option = click.option("--seed", default=0, show_default=True, help="Seed of every random choice.")
time_limit_option = click.option(
    "--time-limit",
    type=float,
    metavar="SECONDS",
    help="Return the best answer and bound after this long; 60 by default, none with --work-limit.",
)
work_limit_option = click.option(
    "--work-limit",
    type=float,
    metavar="UNITS",
    help="Return them after this much work, about a second each: the same answer on every run.",
)

_hw = click.option(
    "--hw",
    "hw",
    metavar="HW",
    shell_complete=_offer(_packages),
    help="ring36, ringN, chainN or a TOML file, also with settings: ring36:transfers=serial,triangle=off.",
)
format_option = click.option(
    "--format",
    "format_",
    type=click.Choice(
        [
            "builtin",
            "onnx",
            "torch",
            "json",
            "device-placement",
            "minos",
            "line-balancing",
            "pipedream",
            "dot",
            "hmetis",
        ]
    ),
    help="Format of MODEL; by default guessed from its content.",
)
_max_cpus = click.option(
    "--max-cpus", type=int, help="CPU devices of a device-placement file, instead of its own maxCPUs."
)
_beside = click.option(
    "--beside", "beside", multiple=True, metavar="MODEL[@RATE]", callback=_parse_beside,
    help="Another model on the same package, and how many of its inputs a period takes; repeatable.",
)  # fmt: skip
_rate = click.option("--rate", type=int, help="Inputs of MODEL in a period, with --beside; 1 by default.")
_times = click.option("--times", type=click.Path(), help="Measured times of operations: CSV, JSON or a trace.")


@dataclass(frozen=True)
class InputOptions:
    """Where the model and the package come from: the options that most commands share."""

    hw: str | None
    dims: dict[str, int]
    format: str | None
    max_cpus: int | None
    times: str | None
    beside: tuple[tuple[str, int], ...] = ()
    rate: int | None = None


def source_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of an origin and hand them over as ``origin``."""

    @wraps(command)
    def wrapped(
        *args: Any,
        hw: str | None,
        dims: dict[str, int],
        format_: str | None,
        max_cpus: int | None,
        times: str | None,
        beside: tuple[tuple[str, int], ...],
        rate: int | None,
        **kwargs: Any,
    ) -> None:
        command(*args, origin=InputOptions(hw, dims, format_, max_cpus, times, beside, rate), **kwargs)

    for option in (_times, _max_cpus, format_option, dim_option, _rate, _beside, _hw):
        wrapped = option(wrapped)
    return wrapped


def load(model: str, origin: InputOptions, answer: str | None = None) -> tuple[Graph, Hardware]:
    """The graph of a model, with measured times where there are any, and the package.

    Symbolic dimensions without a value have that of the file ``answer``, the JSON of a solve.
    """
    from partition.problem.hardware_files import load_hardware
    from partition.readers.load import load_model

    hardware = load_hardware(origin.hw) if origin.hw is not None else None
    rates = None
    if origin.beside:
        rates = [1 if origin.rate is None else origin.rate, *(rate for _, rate in origin.beside)]
    elif origin.rate is not None:
        raise InvalidInput("--rate is for several models; name the others with --beside")
    spec = [model, *(name for name, _ in origin.beside)] if origin.beside else model
    told = {}
    if answer is not None and isinstance(spec, str):
        from partition.readers.json_fields import parse_file
        from partition.results.saved import dims_of

        told = dims_of(parse_file(Path(answer)), spec)
    dims = {**told, **origin.dims}
    source = load_model(spec, format=origin.format, dims=dims, max_cpus=origin.max_cpus, rates=rates)
    hardware = hardware or source.hardware
    if hardware is None:
        raise InvalidInput(f"{model!r} brings no hardware; add --hw, for example --hw ring36")
    if origin.times is None:
        return source.graph, hardware
    from partition.readers.measured import times_for, with_times

    times, matched = times_for(source.graph, origin.times)
    if matched is not None:
        say(matched.report(), err=True)
    graph, missing = with_times(source.graph, times, [kind.name for kind in hardware.kinds])
    if missing:
        listed = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        say(f"{len(missing)} of {graph.n} operations have no measured time and keep their roofline: {listed}", err=True)
    return graph, hardware


def parse_parts(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, PartCount]:
    """``NAME=K`` and ``NAME=K:AXIS`` options as a map."""
    return _parts(values)


def _parts(values: tuple[str, ...]) -> dict[str, PartCount]:
    found: dict[str, PartCount] = {}
    for value in values:
        name, equals, asked = value.rpartition("=")
        try:
            parts = joined_parts(*split_parts(asked))
        except ValueError:
            parts = 0
        if not equals or not name or not parts:
            raise click.BadParameter(f"{value!r} is not of the form NAME=PARTS, such as conv1=4 or fc=4:columns")
        found[name] = parts
    return found


def parse_shards(values: tuple[str, ...]) -> str | dict[str, PartCount]:
    """What ``--shard`` asks for: nothing, automatic parts, or operations and their parts."""
    if values in ((), ("none",)):
        return "none"
    if values in (("auto",), ("apart",)):
        return values[0]
    if any(value in ("auto", "apart", "none") for value in values):
        raise InvalidInput("--shard is auto, apart, none, or NAME=K for each operation; these do not go together")
    return _parts(values)


def with_parts(graph: Graph, answer: Mapping[str, Any]) -> Graph:
    """The graph that an answer is about: with operations in parts, where the answer has some."""
    shards = answer.get("shards")
    shards = shards if isinstance(shards, Mapping) else {}
    parts = shards.get("parts")
    if not isinstance(parts, Mapping) or not parts:
        return graph
    from partition.problem.narrowed import tied
    from partition.problem.wishes import Wishes
    from partition.results.saved import wishes_of
    from partition.shards import shard

    wishes = (wishes_of(answer) or Wishes()).tying
    return shard(graph, parts, apart=bool(shards.get("apart")), kept=tied(graph, wishes.on(graph, 1))).graph


def read_placement(path: str, graph: Graph, hardware: Hardware) -> tuple[Graph, Placement, Hardware]:
    """A placement from the JSON of a solve, or from a bare map of names to chips, with its graph and package.

    An answer for this package has its kinds and stages where the search put them. One for another package is taken
    for this one as it is.
    """
    from partition.problem.placement import Placement
    from partition.readers.json_fields import parse_file
    from partition.results.saved import package_of

    data = parse_file(Path(path))
    graph = with_parts(graph, data)
    placement = Placement.from_answer(graph, data, chips=hardware.chips)
    return graph, placement, package_of(data, hardware) or hardware


def read_start(path: str, graph: Graph, hardware: Hardware) -> Placement | Mapping[str, int]:
    """A placement to start from; of an answer for another version of the model, where its operations were."""
    from partition.readers.json_fields import parse_file

    data = parse_file(Path(path))
    homes, told = data.get("assignment", data), data.get("fingerprint")
    if isinstance(homes, Mapping) and not set(homes).isdisjoint(graph.names):
        other = set(homes) != set(graph.names) if told is None else told != graph.fingerprint
        if other:
            return homes
    return read_placement(path, graph, hardware)[1]


def read_wishes(path: str) -> Wishes:
    """What the JSON of a solve says was wished of its placement."""
    from partition.problem.wishes import Wishes
    from partition.readers.json_fields import parse_file
    from partition.results.saved import wishes_of

    return wishes_of(parse_file(Path(path))) or Wishes()


def read_answer(path: str, graph: Graph, hardware: Hardware) -> tuple[Graph, Placement, Hardware]:
    """The placement of an answer with its graph, and the package as the answer has it: kinds, places of the stages."""
    from partition.readers.json_fields import parse_file
    from partition.results.saved import placement_of

    data = parse_file(Path(path))
    graph = with_parts(graph, data)
    return graph, *placement_of(data, graph, hardware)
