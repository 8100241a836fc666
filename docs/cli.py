"""Write docs/cli.md from the commands: ``python docs/cli.py``; a test holds the page against it."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import click

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from partition.commands.main import main

ARGUMENTS = {
    "MODEL": "Built-in name (bert-large, bert-large:seq=384), or a file: ONNX, PyTorch (.pt2), JSON and others.",
    "MODELS": "The same, as many as wanted; those that come with the project by default.",
    "ANSWER": "JSON that solve wrote.",
    "ASSIGNMENT": "JSON that solve wrote, or a map of names to chips.",
    "NAME": "A preset, such as ring36; all are listed without one.",
    "PROOF": "File that solve --proof wrote.",
    "FOLDER": "Folder that split wrote.",
}
"""What stands for itself, without an option; the command line has no words for it."""


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
    told = [(names, said or ARGUMENTS[names.strip("[].")]) for names, said in rows]
    cells = [f"| `{names}` | {_escaped(said)} |" for names, said in told]
    return ["| option | what it does |", "| --- | --- |", *cells]


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    (ROOT / "docs" / "cli.md").write_text(page())
