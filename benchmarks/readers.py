"""The readers on other people's models: read or refused in a sentence, every byte against a run, what was guessed.

    python benchmarks/readers.py                     # all sections that can run here
    python benchmarks/readers.py onnx --only silero  # one section, models whose name contains a word

A section is a module ``readers_<name>.py`` beside this file with ``TITLE``, ``HEAD`` (the columns) and ``rows(only)``,
which yields for each model the cells and whether it is as it must be. Each says at its top what to install.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests"), str(HERE)]

import click

SECTIONS = tuple(sorted(path.stem.removeprefix("readers_") for path in HERE.glob("readers_*.py")))


@click.command()
@click.argument("sections", nargs=-1, type=click.Choice(SECTIONS))
@click.option("--only", default="", help="Only models whose name contains this.")
def main(sections: tuple[str, ...], only: str) -> None:
    """Print a table per section; exit code 1 if a model is not as it must be."""
    bad = 0
    for name in sections or SECTIONS:
        section = importlib.import_module(f"readers_{name}")
        print(f"\n{section.TITLE}\n")
        print("| " + " | ".join(section.HEAD) + " |")
        print("| " + " | ".join("---" for _ in section.HEAD) + " |", flush=True)
        for cells, right in section.rows(only):
            bad += not right
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
