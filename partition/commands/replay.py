"""The command ``replay``: prove again what a solve has proved, from its file."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from partition.commands.exits import one_sentence_errors, say
from partition.commands.options import json_option

if TYPE_CHECKING:
    from partition.replay.replaying import Replayed

EXIT_REJECTED, EXIT_TRUST = 1, 6


@click.command()
@click.argument("proof", type=click.Path())
@json_option
@click.option(
    "--time-limit",
    type=float,
    help="Seconds of processor time; five times the solve's by default, and 20 at least.",
)
@one_sentence_errors
def replay(proof: str, as_json: bool, time_limit: float | None) -> None:
    """Prove again what PROOF (written by solve --proof) says, by arithmetic that shares nothing with the search.

    Exit codes: 0 every step is proved or decided by the second solver, 1 the proof is rejected, 2 bad input, 6 accepted
    but for the steps named, which are taken on trust. The second solver for thresholds of HiGHS is OR-Tools
    (the extra confirm); without it more of them are taken on trust.

    \b
    Examples:
      mcm-partition solve resnet50 --hw ring16 --proof proof.json
      mcm-partition replay proof.json
    """
    from partition.arguments import number
    from partition.replay.replaying import replay as replayed

    if time_limit is not None:
        number("the time limit", time_limit, "seconds", above=0.0)
    found = replayed(proof, seconds=time_limit)
    if as_json:
        click.echo(json.dumps(found.to_dict()))
    else:
        _tell(found)
    sys.exit({"accepted": 0, "rejected": EXIT_REJECTED}.get(found.verdict, EXIT_TRUST))


def _tell(found: Replayed) -> None:
    """A line a step, what is on trust, and the verdict last."""
    for step in found.judgements:
        say(f"step {step.number:<3} {step.engine:<22} {step.verdict:<14} {step.how} ({step.seconds:.2f} s)")
    for goal in found.goals:
        say(f"goal {goal.goal:<27} {goal.verdict:<14} {goal.how} ({goal.seconds:.2f} s)")
    if found.thresholds:
        say(f"thresholds of HiGHS decided again: {found.decided} of {found.thresholds}")
    for reason in found.reasons:
        say(f"rejected: {reason}")
    for trusted in found.trusted:
        say(f"on trust: {trusted}")
    say(found.sentence())
