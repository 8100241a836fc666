"""Files that a command writes: refused at once where they are inputs, each other, or cannot be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from partition.errors import InvalidInput
from partition.files import check_writable


class OutputFile(click.Path):
    """The type of an option that names a file to write."""


class OutputFolder(click.Path):
    """The type of an option that names a folder to write."""


def check_outputs(context: click.Context) -> None:
    """Refuse outputs of a command that would destroy what it reads, or another output.

    Every other word of the command that is the name of a file counts as read: models, answers, packages, policies.

    Raises
    ------
    InvalidInput : two of them are one file, or a file could not be written.
    """
    outputs = [
        (parameter, Path(value))
        for parameter in context.command.params
        if isinstance(parameter.type, OutputFile | OutputFolder)
        and isinstance(value := context.params.get(parameter.name or ""), str)
    ]
    for i, (parameter, path) in enumerate(outputs):
        folder = isinstance(parameter.type, OutputFolder)
        if str(path) == "-":
            raise InvalidInput(f"{_name(parameter)} is '-': give the name of a file, or /dev/stdout")
        if not folder:
            check_writable(path)
        for other, used in [*outputs[:i], *_inputs(context)]:
            if _same(path, used) or (folder and _inside(used, path)):
                where = "lies in" if folder and not _same(path, used) else "is the same file as"
                raise InvalidInput(
                    f"{_name(other)} {str(used)!r} {where} {_name(parameter)} {str(path)!r} and would be lost; "
                    "choose another name"
                )


def _inputs(context: click.Context) -> Iterator[tuple[click.Parameter, Path]]:
    """What the command reads: every value that names a file, with or without settings behind a colon."""
    for parameter in context.command.params:
        if isinstance(parameter.type, OutputFile | OutputFolder):
            continue
        given = context.params.get(parameter.name or "")
        for value in given if isinstance(given, tuple) else [given]:
            if isinstance(value, str) and value:
                yield from ((parameter, Path(name)) for name in dict.fromkeys((value, value.partition(":")[0])))


def _name(parameter: click.Parameter) -> str:
    return parameter.human_readable_name if isinstance(parameter, click.Argument) else max(parameter.opts, key=len)


def _same(one: Path, other: Path) -> bool:
    """Whether both are one regular file, or would be; a device such as ``/dev/null`` takes what it is given."""
    try:
        if one.exists() and not one.is_file() and not one.is_dir():
            return False
        return os.path.realpath(one) == os.path.realpath(other) or (one.exists() and one.samefile(other))
    except (OSError, ValueError):
        return False


def _inside(path: Path, folder: Path) -> bool:
    try:
        return path.is_file() and Path(os.path.realpath(folder)) in Path(os.path.realpath(path)).parents
    except (OSError, ValueError):
        return False
