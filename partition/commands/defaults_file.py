"""Defaults of options from a TOML file, a table per command."""

from __future__ import annotations

from pathlib import Path

import click

from partition.commands.outputs import OutputFile, OutputFolder
from partition.files import read_toml

CONFIG = "mcm-partition.toml"
"""Read where it lies in the folder and ``--config`` names no other."""


def read_config(context: click.Context, _: click.Parameter, path: str | None) -> None:
    """Defaults of options from a TOML file: a table per command, ``[solve]`` ``time_limit = 30``."""
    chosen = Path(path or CONFIG)
    if path is None and not chosen.is_file():
        return
    try:
        data = read_toml(chosen)
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"cannot read {str(chosen)!r}: {error}") from error
    group = context.command
    assert isinstance(group, click.Group)
    for name, values in data.items():
        command = group.get_command(context, name)
        if command is None or not isinstance(values, dict):
            raise click.BadParameter(f"{str(chosen)!r} has a section {name!r}, which is no command")
        _check_table(command, values, str(chosen), may_write=path is not None)
    context.default_map = data


def _check_table(command: click.Command, values: dict[str, object], file: str, *, may_write: bool) -> None:
    """Refuse what is no option of the command, or not of its form."""
    known = {option.name: option for option in command.params if isinstance(option, click.Option)}
    for name, value in values.items():
        if name not in known:
            raise click.BadParameter(f"{file!r}: {command.name} has no option {name!r}")
        writes = isinstance(known[name].type, OutputFile | OutputFolder) or name == "force"
        if not may_write and writes:  # the folder may hold someone else's files
            raise click.BadParameter(f"{file!r}: {command.name}.{name} says where to write; use --config to allow")
        items = value if known[name].multiple and isinstance(value, list) else [value]
        if not all(isinstance(item, str | int | float) for item in items):
            raise click.BadParameter(f"{file!r}: {command.name}.{name} is not of the form of that option")
