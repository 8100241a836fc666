"""The commands ``models`` and ``hardware``: what is built in."""

from __future__ import annotations

import json

import click

from partition.commands.exits import one_sentence_errors
from partition.commands.options import json_option


@click.command()
@json_option
@one_sentence_errors
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


@click.command()
@click.argument("name", required=False)
@json_option
@one_sentence_errors
def hardware(name: str | None, as_json: bool) -> None:
    """List the hardware presets, or describe one (as TOML to start your own file from).

    \b
    Example:
      mcm-partition hardware ring36 > my_package.toml
    """
    from partition.problem.hardware_files import load_hardware, presets
    from partition.problem.hardware_toml import to_toml
    from partition.results.description import describe_hardware

    if name is None:
        rows = [{"name": preset, "description": text} for preset, text in presets()]
        click.echo(json.dumps(rows) if as_json else "\n".join(f"{r['name']:<8} {r['description']}" for r in rows))
        return
    loaded = load_hardware(name)
    click.echo(json.dumps(describe_hardware(loaded)) if as_json else to_toml(loaded).rstrip())
