"""Does asking engines at the truth notice a mistake in one? The mutants of tests/engine_mutants.py, one by one.

    python benchmarks/mutate_engines.py --seconds 120

Every mutant is put into a copy of the checkout, where its engine is asked for so long; a wrong answer is noticed.
Prints each mutant and what became of it, and how many were noticed. A mutant that is not noticed may still be right:
some inequalities only sharpen others.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import click
from engine_mutants import MUTANTS, Mutant

COPIED = ("partition", "milp", "learned", "tests", "benchmarks")


def noticed(mutant: Mutant, seconds: float, first_seed: int) -> str | None:
    """The wrong answer that gives the mutant away, None if there is none in time."""
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__"))
        path = Path(folder) / mutant.path
        text = path.read_text(encoding="utf-8")
        assert text.count(mutant.line) == 1, f"{mutant.path} does not have {mutant.line!r} once"
        path.write_text(text.replace(mutant.line, mutant.instead), encoding="utf-8")
        command = [
            sys.executable, "benchmarks/engines_at_truth.py", "--engine", mutant.engine, "--first-seed",
            str(first_seed), "--questions", "1000000", "--seconds", str(seconds), "--trials", "800", "--until-wrong",
            "--stratified",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=folder, env={"PYTHONPATH": folder}, capture_output=True, text=True)
    lines = done.stdout.splitlines() or done.stderr.splitlines()
    return lines[0] if done.returncode else None


@click.command()
@click.option("--seconds", default=120.0, show_default=True, help="Of processor time, for each mutant.")
@click.option("--first-seed", default=0, show_default=True)
@click.option("--engine", "engines", multiple=True, help="The mutants of this engine alone; may be repeated.")
@click.option("--only", multiple=True, help="Those alone that put this instead; may be repeated.")
def main(seconds: float, first_seed: int, engines: tuple[str, ...], only: tuple[str, ...]) -> None:
    """Try all and count."""
    chosen = [mutant for mutant in MUTANTS if not engines or mutant.engine in engines]
    chosen = [mutant for mutant in chosen if not only or any(text in mutant.instead for text in only)]
    found = 0
    for mutant in chosen:
        how = noticed(mutant, seconds, first_seed)
        found += how is not None
        print(f"{'noticed' if how else 'SURVIVED':<9} {mutant.engine}: {mutant.instead}  {how or ''}"[:200], flush=True)
    print(f"{found} of {len(chosen)} noticed within {seconds:g} s each")


if __name__ == "__main__":
    main()
