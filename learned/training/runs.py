"""Training over many graphs: seeded, resumable bit for bit, rollouts spread over processes with joblib."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from joblib import delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from learned.policy.features import NodeFeatures
from learned.policy.network import Adam, Array
from learned.policy.policy import Policy, arrays_below, load_arrays, save_arrays
from learned.policy.rollouts import Environment, Rollout, State, elite_of, play
from learned.training.explore import explore
from learned.training.ppo import Settings, update
from partition.arguments import MOST_INPUTS, MOST_PROCESSES, whole
from partition.errors import InvalidInput
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.hardware_files import load_hardware
from partition.processes import side_by_side
from partition.readers.load import load_model

LARGEST_CHECKPOINT = 2**32
"""Bytes of a checkpoint, unpacked: it holds placements of every task."""

ATTEMPTS = 3
"""Times the rollouts of an iteration are begun when worker processes die."""

CACHED = 512
"""Environments that one process keeps."""


@dataclass(frozen=True)
class Task:
    """A model on a package, by name or file: what is sent to workers."""

    model: str
    hardware: str

    def __str__(self) -> str:
        return f"{self.model} on {self.hardware}"

    def load(self) -> tuple[Graph, Hardware]:
        """Read both."""
        return load_model(self.model).graph, load_hardware(self.hardware)


@lru_cache(CACHED)
def environment_of(task: Task) -> Environment:
    """The environment of a task, built once per process."""
    return Environment(*task.load())


def usable(tasks: Iterable[Task], on_broken: Callable[[Task, Exception], None]) -> list[Task]:
    """The tasks that can be played; the others are named to ``on_broken`` and skipped."""
    kept = []
    for task in tasks:
        try:
            environment = environment_of(task)
            if not environment.repair.sample(environment.balanced(0.5), 4, np.random.default_rng(0)).valid.any():
                raise InvalidInput("no placement that keeps the rules was found")
        except Exception as error:  # whatever is wrong with one file must not end hours of training
            on_broken(task, error)
        else:
            kept.append(task)
    return kept


@dataclass(frozen=True)
class TrainingProgress:
    """After an iteration: samples so far, mean and best reward in the last round of it, and the validation score."""

    iteration: int
    samples: int
    reward: float
    best: float
    validation: float | None


@dataclass(frozen=True)
class Plan:
    """What to train on, and how long.

    Attributes
    ----------
    tasks, validation : the second decides which checkpoint is kept.
    iterations, seed, settings : as named.
    every : iterations between validations (and checkpoints).
    validation_samples : per validation task.
    jobs : processes, and threads of the update.
    """

    tasks: tuple[Task, ...]
    validation: tuple[Task, ...]
    iterations: int
    settings: Settings = field(default_factory=Settings)
    seed: int = 0
    every: int = 20
    validation_samples: int = 160
    jobs: int = 1

    def __post_init__(self) -> None:
        for name in ("iterations", "every", "validation_samples"):
            whole(name, getattr(self, name), least=1, most=MOST_INPUTS)
        whole("jobs", self.jobs, least=1, most=MOST_PROCESSES)
        whole("seed", self.seed)
        if not self.tasks:
            raise InvalidInput("there is no model left to train on")

    def identity(self) -> str:
        """What a checkpoint must agree on to be resumed; the length of the run and the jobs may change."""
        what = asdict(replace(self, iterations=1, jobs=1))
        return json.dumps(what, sort_keys=True)


@dataclass(eq=False)
class TrainingRun:
    """The state of a training run; everything in it is in a checkpoint."""

    policy: Policy
    adam: Adam
    iteration: int = 0
    samples: int = 0
    best: Policy | None = None
    best_score: float = -1.0
    elites: dict[str, State] = field(default_factory=dict)
    curve: list[TrainingProgress] = field(default_factory=list)
    interrupted: bool = False

    def kept(self) -> TrainingRun:
        """The run as it stands now, which further training leaves alone."""
        adam = replace(self.adam, first=dict(self.adam.first), second=dict(self.adam.second))
        return replace(self, policy=self.policy.copy(), adam=adam, elites=dict(self.elites), curve=list(self.curve))


def train(
    plan: Plan,
    *,
    start: Policy | None = None,
    checkpoint: str | PathLike[str] | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    on_retry: Callable[[Exception], None] | None = None,
) -> TrainingRun:
    """Train over the tasks of a plan, from ``start`` or from scratch; goes on from ``checkpoint`` where that exists.

    Ctrl-C ends it as it was after the last whole iteration, and sets ``interrupted``. The checkpoint is written then,
    so that the run can go on.

    Raises
    ------
    InvalidInput : the checkpoint is of another plan, or cannot be read.
    """
    run = _begin(plan, start, checkpoint)
    done = run.kept()
    try:
        while run.iteration < plan.iterations:
            iterate(plan, run, on_retry)
            due = run.iteration % plan.every == 0 or run.iteration == plan.iterations
            if due:
                _validate(plan, run)
            done = run.kept()
            if checkpoint is not None and due:
                save_arrays(checkpoint, _checkpoint(plan, done))
            if on_progress is not None:
                on_progress(done.curve[-1])
    except KeyboardInterrupt:
        done.interrupted = True
        if checkpoint is not None and done.iteration:
            save_arrays(checkpoint, _checkpoint(plan, done))
    return done


def _begin(plan: Plan, start: Policy | None, checkpoint: str | PathLike[str] | None) -> TrainingRun:
    if checkpoint is not None and Path(checkpoint).exists():
        arrays = load_arrays(checkpoint, LARGEST_CHECKPOINT)
        try:
            return _resume(plan, arrays, str(checkpoint))
        except (KeyError, TypeError, RecursionError, json.JSONDecodeError) as error:
            raise InvalidInput(f"{checkpoint}: not a checkpoint ({error}); choose another file") from error
    if start is None:
        features: list[NodeFeatures] = [environment_of(task).features for task in plan.tasks]
        start = Policy.new(features, np.random.default_rng((plan.seed, 0)))
    return TrainingRun(start.copy(), Adam(rate=plan.settings.rate))


def iterate(plan: Plan, run: TrainingRun, on_retry: Callable[[Exception], None] | None) -> None:
    """Play a few tasks, learn from them. All random numbers follow from the seed and the iteration."""
    rng = np.random.default_rng((plan.seed, 1 + run.iteration))
    count = min(plan.settings.graphs, len(plan.tasks))
    chosen = [plan.tasks[i] for i in rng.choice(len(plan.tasks), size=count, replace=False)]
    seeds = rng.integers(2**63, size=count).tolist()
    calls = [
        (task, run.policy, run.elites.get(str(task)), plan.settings, seed)
        for task, seed in zip(chosen, seeds, strict=True)
    ]
    played = _played(calls, plan.jobs, on_retry)
    done = 1 - run.iteration / plan.iterations
    run.adam.rate = plan.settings.rate * done
    for task, rounds in zip(chosen, played, strict=True):
        elite = run.elites.get(str(task))
        for rollout in rounds:
            elite = elite_of(elite, rollout.after, plan.settings.rollouts)
        assert elite is not None
        run.elites[str(task)] = elite
        run.samples += sum(len(rollout.reward) for rollout in rounds)
    environments = [(environment_of(task), rounds) for task, rounds in zip(chosen, played, strict=True)]
    entropy = plan.settings.entropy * done
    update(run.policy, run.adam, environments, plan.settings, entropy, rng, jobs=plan.jobs)
    run.iteration += 1
    rewards = [rounds[-1].reward for rounds in played]
    mean, best = float(np.mean([r.mean() for r in rewards])), float(np.mean([r.max() for r in rewards]))
    run.curve.append(TrainingProgress(run.iteration, run.samples, mean, best, None))


def _played(
    calls: Sequence[tuple[Any, ...]], jobs: int, on_retry: Callable[[Exception], None] | None
) -> list[list[Rollout]]:
    """The rollouts of all calls. If a worker dies they are played anew; what was played before is not counted."""
    for attempt in range(ATTEMPTS):
        try:
            return list(side_by_side((delayed(played_task)(*call) for call in calls), jobs))
        except (TerminatedWorkerError, OSError) as error:
            if attempt == ATTEMPTS - 1:
                raise
            if on_retry is not None:
                on_retry(error)
    raise AssertionError


def played_task(task: Task, policy: Policy, elite: State | None, settings: Settings, seed: int) -> list[Rollout]:
    environment = environment_of(task)
    environment.repair.forget_orders()  # which orders were drawn before depends on what this process played
    rng = np.random.default_rng(seed)
    fix = settings.credit == "proposed"
    return play(policy, environment, settings.rollouts, settings.rounds, rng, elite=elite, fix=fix)


def _validate(plan: Plan, run: TrainingRun) -> None:
    """Keep the policy if its zero-shot samples on the validation tasks are the best so far."""
    tasks = plan.validation or plan.tasks[:1]
    calls = (delayed(zero_shot)(task, run.policy, plan.settings, plan.validation_samples, plan.seed) for task in tasks)
    scores = list(side_by_side(calls, plan.jobs))
    score = float(np.exp(np.mean(np.log(np.maximum(scores, 1e-12)))))
    run.curve[-1] = replace(run.curve[-1], validation=score)
    if score > run.best_score:
        run.best, run.best_score = run.policy.copy(), score


def zero_shot(task: Task, policy: Policy, settings: Settings, samples: int, seed: int) -> float:
    """Best reward among the samples of a policy that does not learn."""
    environment = environment_of(task)
    environment.repair.forget_orders()
    periods = np.concatenate(
        list(explore(policy, environment, samples, np.random.default_rng(seed), settings, learn=False))
    )
    return float(environment.instance.unit / periods.min())


# --- checkpoints ----------------------------------------------------------------------------------------------


def _checkpoint(plan: Plan, run: TrainingRun) -> dict[str, Array]:
    arrays: dict[str, Any] = {f"policy {name}": value for name, value in run.policy.saved().items()}
    if run.best is not None:
        arrays |= {f"best {name}": value for name, value in run.best.saved().items()}
    arrays |= {f"first {name}": value for name, value in run.adam.first.items()}
    arrays |= {f"second {name}": value for name, value in run.adam.second.items()}
    for task, elite in run.elites.items():
        arrays |= {f"elite {name} {task}": value for name, value in elite.arrays().items()}
    state = {
        "plan": plan.identity(),
        "iteration": run.iteration,
        "samples": run.samples,
        "steps": run.adam.steps,
        "best_score": run.best_score,
        "curve": [asdict(p) for p in run.curve],
        "elites": list(run.elites),
    }
    return arrays | {"format": run.policy.saved()["format"], "state": np.array(json.dumps(state))}


def _resume(plan: Plan, arrays: dict[str, Array], path: str) -> TrainingRun:
    if "state" not in arrays:
        raise InvalidInput(f"{path}: a policy, not a checkpoint of a training run; give it as the policy to start from")
    state = json.loads(str(arrays["state"]))
    if state["plan"] != plan.identity():
        raise InvalidInput(
            f"{path}: a checkpoint of another run (models, settings or seed differ); choose another file"
        )
    part = partial(arrays_below, arrays)
    adam = Adam(rate=plan.settings.rate, steps=state["steps"], first=part("first "), second=part("second "))
    return TrainingRun(
        policy=Policy.from_arrays(part("policy "), path),
        adam=adam,
        iteration=state["iteration"],
        samples=state["samples"],
        best=Policy.from_arrays(part("best "), path) if part("best ") else None,
        best_score=state["best_score"],
        elites={task: State.of({f: arrays[f"elite {f} {task}"] for f in State.FIELDS}) for task in state["elites"]},
        curve=[TrainingProgress(**p) for p in state["curve"]],
    )
