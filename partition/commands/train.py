"""The command ``train``: a policy from many models, or fine-tuned on one."""

from __future__ import annotations

import json
import shlex
import sys
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from partition.commands.exits import EXIT_INTERRUPTED, fail, one_sentence_errors, say
from partition.commands.options import quiet_option, seed_option
from partition.commands.outputs import OutputFile
from partition.files import write_atomically

if TYPE_CHECKING:
    from learned.policy.policy import Policy
    from learned.training.runs import Plan, Task, TrainingProgress, TrainingRun

CALIBRATION_SECONDS = 5.0
"""For the solver on each validation task when a policy's confidence is calibrated."""

PACKAGES = ("ring4", "ring8", "ring16", "ring36")
"""Trained on where none is named."""


@click.command()
@click.argument("models", nargs=-1)
@click.option("--hw", "hw", multiple=True, metavar="HW", help="Package; repeatable. By default ring4, 8, 16 and 36.")
@click.option(
    "--start", default="none", show_default=True, metavar="POLICY", help="pretrained, none, or a policy file."
)
@click.option("--iterations", default=100, show_default=True, help="Updates of the policy.")
@click.option("--graphs", default=8, show_default=True, help="Models per iteration.")
@click.option("--rollouts", default=20, show_default=True, help="Rollouts per model and round.")
@click.option("--rounds", default=4, show_default=True, help="Proposals per rollout, each seeing the one before.")
@click.option("--rate", default=1e-3, show_default=True, help="Learning rate of Adam, falling to 0 over the run.")
@click.option("--every", default=20, show_default=True, help="Iterations between validations and checkpoints.")
@seed_option
@click.option("--jobs", default=1, show_default=True, help="Processes that play rollouts.")
@click.option("--checkpoint", type=OutputFile(), help="Keep the state of the run here, and go on from it if it exists.")
@click.option("--curve", type=OutputFile(), help="Write the learning curve to this JSON file.")
@click.option("--output", "-o", type=OutputFile(), required=True, help="Write the best policy to this .npz file.")
@quiet_option
@one_sentence_errors
def train(
    models: tuple[str, ...],
    hw: tuple[str, ...],
    start: str,
    iterations: int,
    graphs: int,
    rollouts: int,
    rounds: int,
    rate: float,
    every: int,
    seed: int,
    jobs: int,
    checkpoint: str | None,
    curve: str | None,
    output: str,
    quiet: bool,
) -> None:
    """Train a policy on MODELS (built-in names or files; by default on the training part of the corpus).

    Many models: pre-training, the checkpoint chosen on the validation part of the corpus. With --start: fine-tuning.

    \b
    Examples:
      mcm-partition train --iterations 600 --checkpoint run.npz -o policy.npz
      mcm-partition train bert-large --hw ring36 --start pretrained --iterations 25 -o bert.npz
    """
    from learned.policy.pretrained import load_policy
    from learned.training.ppo import Settings
    from learned.training.runs import Plan
    from learned.training.runs import train as run_training

    log = _Log(quiet)
    begun = time.perf_counter()
    settings = Settings(graphs=graphs, rollouts=rollouts, rounds=rounds, rate=rate)
    tasks, validation, broken = _tasks(models, hw or PACKAGES, log)
    plan = Plan(tuple(tasks), tuple(validation), iterations, settings, seed=seed, every=every, jobs=jobs)
    run = run_training(
        plan,
        start=load_policy(start),
        checkpoint=checkpoint,
        on_progress=log.iteration,
        on_retry=lambda error: log(f"a worker died, its rollouts are played again ({error})"),
    )
    if not run.iteration:
        fail(
            f"interrupted before the first of {iterations} iterations was done: nothing was learned, and {output} was "
            "not written",
            EXIT_INTERRUPTED,
        )
    note = _note(run, seed, time.perf_counter() - begun)
    replace(_finished(run, plan, log), note=note).save(output)
    if curve is not None:
        points = [asdict(p) for p in run.curve]
        write_atomically(curve, json.dumps({"note": note, "skipped": broken, "curve": points}) + "\n")
    log(f"wrote {output}: {note}")
    if run.interrupted:
        fail(
            f"interrupted after {run.iteration} of {iterations} iterations; {output} holds what was learned"
            + ("" if checkpoint is None else f", and {checkpoint} goes on from there"),
            EXIT_INTERRUPTED,
        )


class _Log:
    """Progress of a run, a line each, on stderr."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    def __call__(self, text: str) -> None:
        if not self.quiet:
            say(text, err=True)

    def iteration(self, p: TrainingProgress) -> None:
        """Every tenth iteration, and those that were validated."""
        if p.iteration == 1 or p.iteration % 10 == 0 or p.validation is not None:
            checked = "" if p.validation is None else f"  validation {p.validation:.4f}"
            self(
                f"iteration {p.iteration:>5}  samples {p.samples:>8}  reward {p.reward:.3f}  best {p.best:.3f}{checked}"
            )


def _tasks(models: tuple[str, ...], packages: tuple[str, ...], log: _Log) -> tuple[list[Task], list[Task], list[str]]:
    """What to train on, what to validate on, and the names of what had to be skipped."""
    from learned.training.corpus import specs
    from learned.training.runs import Task, usable

    broken: list[str] = []

    def skip(task: Task, error: Exception) -> None:
        broken.append(str(task))
        log(f"skipped {task}: {' '.join(str(error).split())}")

    tasks = usable([Task(m, h) for m in models or specs("training") for h in packages], skip)
    validation = usable([Task(m, h) for m in specs("validation") for h in packages], skip) if not models else []
    log(f"tasks to train on: {len(tasks)}; {len(broken)} skipped, {len(validation)} for validation")
    return tasks, validation, broken


def _finished(run: TrainingRun, plan: Plan, log: _Log) -> Policy:
    """The best policy of a run; calibrated where there is something to calibrate it on."""
    from learned.training.calibration import calibrated
    from partition.solve.front import partition

    policy = run.best or run.policy
    if run.interrupted or not plan.validation:
        return policy
    log("calibrating the policy's confidence on the validation tasks")
    return calibrated(
        policy, plan.validation, plan.settings, solve=partition, seconds=CALIBRATION_SECONDS, seed=plan.seed
    )


def _note(run: TrainingRun, seed: int, seconds: float) -> str:
    """Where a policy comes from, for its file."""
    command = shlex.join(["mcm-partition", *sys.argv[1:]])
    return f"{command}; seed {seed}, {run.samples} samples, {seconds:.0f} s, validation {run.best_score:.4f}"
