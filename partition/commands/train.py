"""The commands of the learned half for the command line; cli.py registers them."""

from __future__ import annotations

import json
import shlex
import sys
import time
from typing import Any

import click

CALIBRATION_SECONDS = 5.0
"""For the solver on each validation task when a policy's confidence is calibrated."""


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
@click.option("--seed", default=0, show_default=True, help="Seed of every random choice.")
@click.option("--jobs", default=1, show_default=True, help="Processes that play rollouts.")
@click.option("--checkpoint", type=click.Path(), help="Keep the state of the run here, and go on from it if it exists.")
@click.option("--curve", type=click.Path(), help="Write the learning curve to this JSON file.")
@click.option("--output", "-o", type=click.Path(), required=True, help="Write the best policy to this .npz file.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
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
    from dataclasses import asdict, replace

    from learned.policy.pretrained import load_policy
    from learned.training.calibration import calibrated
    from learned.training.corpus import specs
    from learned.training.ppo import Settings
    from learned.training.runs import Plan, Progress, Task, usable
    from learned.training.runs import train as run_training
    from partition.files import write_atomically
    from partition.solve.front import partition
    from partition.text import printable

    def say(text: str) -> None:
        if not quiet:
            click.echo(printable(text), err=True)

    def report(p: Progress) -> None:
        if p.iteration == 1 or p.iteration % 10 == 0 or p.validation is not None:
            checked = "" if p.validation is None else f"  validation {p.validation:.4f}"
            say(
                f"iteration {p.iteration:>5}  samples {p.samples:>8}  reward {p.reward:.3f}  best {p.best:.3f}{checked}"
            )

    broken: list[str] = []

    def skip(task: Task, error: Exception) -> None:
        broken.append(str(task))
        say(f"skipped {task}: {' '.join(str(error).split())}")

    begun = time.perf_counter()
    packages = hw or ("ring4", "ring8", "ring16", "ring36")
    tasks = usable([Task(m, h) for m in models or specs("training") for h in packages], skip)
    validation = usable([Task(m, h) for m in specs("validation") for h in packages], skip) if not models else []
    say(f"training on {len(tasks)} tasks, {len(broken)} skipped, {len(validation)} for validation")
    settings = Settings(graphs=graphs, rollouts=rollouts, rounds=rounds, rate=rate)
    plan = Plan(tuple(tasks), tuple(validation), iterations, settings, seed=seed, every=every, jobs=jobs)
    run = run_training(
        plan,
        start=load_policy(start),
        checkpoint=checkpoint,
        on_progress=report,
        on_retry=lambda error: say(f"a worker died, its rollouts are played again ({error})"),
    )
    seconds = time.perf_counter() - begun
    policy = run.best or run.policy
    if validation:
        say("calibrating the policy's confidence on the validation tasks")
        policy = calibrated(policy, validation, settings, solve=partition, seconds=CALIBRATION_SECONDS, seed=seed)
    command = shlex.join(["python", "cli.py", *sys.argv[1:]])
    note = f"{command}; seed {seed}, {run.samples} samples, {seconds:.0f} s, validation {run.best_score:.4f}"
    replace(policy, note=note).save(output)
    if curve is not None:
        points: list[dict[str, Any]] = [asdict(p) for p in run.curve]
        write_atomically(curve, json.dumps({"note": note, "skipped": broken, "curve": points}) + "\n")
    say(f"wrote {output}: {note}")


@click.command()
@click.argument("model")
@click.option("--hw", "hw", metavar="HW", required=True, help="Package, as for solve.")
@click.option("--samples", default=1000, show_default=True, help="Of every method.")
@click.option("--seeds", default=5, show_default=True, help="Runs of every method.")
@click.option("--methods", metavar="A,B,...", help="By default all: random, balanced, annealing, greedy, slicing, ...")
@click.option(
    "--policy", default="pretrained", show_default=True, metavar="POLICY", help="pretrained, none, or a policy file."
)
@click.option("--time-limit", default=60.0, show_default=True, help="Seconds for the solver's proof; 0 leaves it out.")
@click.option("--jobs", default=1, show_default=True, help="Processes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.option("--output", "-o", type=click.Path(), help="Also write the JSON to this file.")
@click.option("--plot", type=click.Path(), help="Write a PNG of throughput against samples and seconds.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
def compare(
    model: str,
    hw: str,
    samples: int,
    seeds: int,
    methods: str | None,
    policy: str,
    time_limit: float,
    jobs: int,
    as_json: bool,
    output: str | None,
    plot: str | None,
    quiet: bool,
) -> None:
    """Compare ways to place MODEL: random search, annealing, heuristics, policies; all with the same repair and budget.

    \b
    Example:
      mcm-partition compare bert-large --hw ring36 --samples 2000 --plot bert.png
    """
    from learned.comparison.comparison import METHODS, validate_request
    from learned.comparison.comparison import compare as run_comparison
    from learned.policy.pretrained import load_policy
    from partition.files import write_atomically
    from partition.problem.hardware_files import load_hardware
    from partition.readers.load import load_model
    from partition.solve.front import partition
    from partition.text import printable

    def say(text: str) -> None:
        if not quiet:
            click.echo(printable(text), err=True)

    graph, hardware = load_model(model).graph, load_hardware(hw)
    chosen = tuple(methods.split(",")) if methods else METHODS
    given = load_policy(policy)
    validate_request(samples, range(seeds), chosen)
    reference = None
    if time_limit > 0:
        reference = partition(graph, hardware, time_limit=time_limit)
        say(reference.verdict())
    comparison = run_comparison(
        graph,
        hardware,
        samples=samples,
        seeds=range(seeds),
        methods=chosen,
        policy=given,
        reference=reference,
        jobs=jobs,
        on_run=say,
    )
    text = json.dumps(comparison.to_dict(), allow_nan=False)
    if output is not None:
        write_atomically(output, text + "\n")
    if plot is not None:
        from learned.comparison.plots import save_figure

        save_figure(comparison, plot)
    click.echo(text if as_json else comparison.to_table())
