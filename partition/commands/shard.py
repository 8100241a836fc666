"""The command ``shard``: an ONNX model with operations in parts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from partition.commands.exits import EXIT_RULE_BROKEN, one_sentence_errors, say
from partition.commands.options import (
    InputOptions,
    load,
    model_argument,
    parse_parts,
    quiet_option,
    source_options,
    time_limit_option,
)
from partition.commands.outputs import OutputFile
from partition.errors import InvalidInput

if TYPE_CHECKING:
    from partition.problem.cut_axis import PartCount


@click.command()
@model_argument
@click.option("--output", "-o", required=True, type=OutputFile(), help="The ONNX file to write.")
@click.option(
    "--part",
    "parts",
    multiple=True,
    callback=parse_parts,
    metavar="NAME=K[:AXIS]",
    help="Cut this operation in K parts, along an axis if you name it; repeatable. By default what pays on --hw.",
)
@click.option("--apart", is_flag=True, help="Results that end in parts leave in parts, as result#0, result#1, ...")
@click.option("--verify", is_flag=True, help="Run both models with onnxruntime and compare all outputs.")
@quiet_option
@time_limit_option
@source_options
@one_sentence_errors
def shard(
    model: str, output: str, parts: dict[str, PartCount], apart: bool, verify: bool, quiet: bool,
    time_limit: float | None, origin: InputOptions,
) -> None:  # fmt: skip
    """Write the ONNX file MODEL with operations in parts: an ordinary ONNX model that computes the same.

    Exit codes: 0 done, 1 the parts do not compute what the model does, 2 bad input.

    \b
    Example:
      mcm-partition shard model.onnx --hw ring8 -o parts.onnx
      mcm-partition solve parts.onnx --hw ring8 -o result.json
    """
    from partition.shards.onnx_files import save, verify_same
    from partition.shards.onnx_model import shard_onnx

    if origin.beside or origin.rate is not None:
        raise InvalidInput("several models cannot be cut into parts at once; leave out --beside and --rate")
    chosen = parts or _that_pay(model, apart, time_limit, origin, quiet)
    save(shard_onnx(model, chosen, dims=origin.dims, apart=apart), output)
    say(
        f"{output}: "
        + (
            ", ".join(f"{name} in {k}".replace(":", " by ") for name, k in chosen.items())
            or "no parts pay; the model as it is"
        )
    )
    compared = verify_same(model, output, dims=origin.dims) if verify else []
    for row in compared:
        say(row.sentence())
    if not all(row.equal for row in compared):
        sys.exit(EXIT_RULE_BROKEN)


def _that_pay(
    model: str, apart: bool, time_limit: float | None, origin: InputOptions, quiet: bool
) -> dict[str, PartCount]:
    """The parts that make the period of the model on the package shorter."""
    from partition.results.display import Display
    from partition.solve.front import partition

    if origin.hw is None:
        raise InvalidInput("name the package that the parts are for (--hw ring8), or the parts (--part conv1=4)")
    graph, hardware = load(model, origin)
    with Display(unit=hardware.time_unit, quiet=quiet) as display:
        result = partition(
            graph, hardware, time_limit=time_limit, shard="apart" if apart else "auto", on_progress=display
        )
    say(str(result), err=True)
    return dict(result.shards.parts) if result.shards is not None else {}
