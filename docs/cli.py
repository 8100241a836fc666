"""Write docs/cli.md from the commands: ``python docs/cli.py``; a test holds the page against it."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import click

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from partition.commands.main import main


def page() -> str:
    """The whole page."""
    context = click.Context(main, info_name="mcm-partition")
    lines = [
        "# Command line",
        "",
        "This page is written by `python docs/cli.py`. From a checkout, `python cli.py` and `python -m partition` do "
        "what `mcm-partition` does.",
        "",
    ]
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        lines += [f"## {name}", "", *_text(command), *_options(command, click.Context(command, context, name)), ""]
    return "\n".join(lines).rstrip() + "\n"


def _text(command: click.Command) -> list[str]:
    """What the command does; its examples as a block."""
    lines: list[str] = []
    within = False
    for line in inspect.cleandoc(command.help or "").replace("\b\n", "").splitlines():
        example = line.startswith("  ")
        if example and not within:
            lines.append("")
        if example != within:
            lines.append("```text")
        within = example
        lines.append(line.strip() if example else line)
    return [*lines, *(["```"] if within else []), ""]


def _options(command: click.Command, context: click.Context) -> list[str]:
    """A table of the options."""
    rows = [record for p in command.params if (record := p.get_help_record(context)) is not None]
    cells = [f"| `{names}` | {_escaped(told)} |" for names, told in rows]
    return ["| option | what it does |", "| --- | --- |", *cells]


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    (ROOT / "docs" / "cli.md").write_text(page())
