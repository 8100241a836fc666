"""Teaching a guide: lessons from many instances, ranking, then evolution; seeded, and resumed where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from learned.guide.evolution import EvolutionSettings, gain, slope
from learned.guide.guide import LOSSES, PRICES, BeamGuide
from learned.guide.lessons import Lesson, lessons
from learned.guide.ranking import fit, right
from learned.guide.trials import Course, ground_of
from learned.policy.network import Adam, Array, Parameters
from learned.policy.policy import FORMAT, arrays_below, load_arrays, save_arrays
from learned.training.corpus import CORPUS
from partition.arguments import whole
from partition.errors import InvalidInput

HELD_OUT = ("recurrent", "recommender")
"""Families of the corpus' training part on which the guide is measured, so that it is not taught on them."""

PACKAGE = "transfers=serial,no_skipping=off,triangle=off,memory=off,replication=off,relays=off"
"""Rules of the packages of the corpus' models."""

FIRST_SEED = {"training": 1_000_000, "validation": 2_000_000}
"""Of drawn graphs."""

LARGEST_CHECKPOINT = 2**32
"""Bytes of a checkpoint, unpacked."""

EPOCHS, RATE = 20, 3e-3
"""Passes over the lessons, and the rate of Adam on them."""


@dataclass(frozen=True)
class TeachingPlan:
    """What to teach on, and how long.

    Attributes
    ----------
    models : of the corpus' training part, one of so many; 0 for none.
    draws : random graphs.
    validation : random graphs that decide which guide is kept.
    steps : of the evolution.
    every : steps between
        validations.
    """

    models: int = 13
    draws: int = 48
    validation: int = 10
    steps: int = 30
    every: int = 5
    seed: int = 0
    settings: EvolutionSettings = field(default_factory=EvolutionSettings)

    def __post_init__(self) -> None:
        for name in ("draws", "validation", "every"):
            whole(name, getattr(self, name), least=1)
        for name in ("models", "steps", "seed"):
            whole(name, getattr(self, name))

    def courses(self, part: str) -> list[Course]:
        """The instances of ``"training"`` or ``"validation"``."""
        first = FIRST_SEED[part] + 10_000 * self.seed
        if part == "validation":
            return [Course(seed=first + k) for k in range(self.validation)]
        usable = [m.spec for m in CORPUS if m.split == "training" and m.family not in HELD_OUT]
        chosen = usable[:: self.models] if self.models else []
        named = [Course(spec, f"ring{8 if k % 2 else 16}:{PACKAGE}") for k, spec in enumerate(chosen)]
        return [*(Course(seed=first + k) for k in range(self.draws)), *named]

    def identity(self) -> str:
        """What a checkpoint must agree on to be resumed; the number of steps may change."""
        return json.dumps(asdict(replace(self, steps=0)), sort_keys=True)


@dataclass(eq=False)
class TeachingRun:
    """The state of teaching; everything in it is in a checkpoint.

    Attributes
    ----------
    heard : courses that lessons were taken from, or that had none.
    useful : numbers of those that had some.
    guides : by name: "untrained", "ranked", "now", and "best", that of the best validation.
    scores : (step, validation) of each guide that was validated, in turn.
    """

    heard: int = 0
    lessons: list[Lesson] = field(default_factory=list)
    useful: list[int] = field(default_factory=list)
    step: int = 0
    adam: Adam = field(default_factory=Adam)
    guides: dict[str, BeamGuide] = field(default_factory=dict)
    scores: list[tuple[int, float]] = field(default_factory=list)

    @property
    def best(self) -> BeamGuide:
        """The guide to keep."""
        return self.guides["best"]


Say = Callable[[str], None]


def teach(
    plan: TeachingPlan, *, checkpoint: str | PathLike[str] | None = None, say: Say = lambda _: None
) -> TeachingRun:
    """Take lessons, rank, evolve; goes on from ``checkpoint`` where that exists.

    Raises
    ------
    InvalidInput : the checkpoint is of another plan, or cannot be read; or no instance had a lesson.
    """
    run = _resumed(plan, checkpoint) if checkpoint is not None and Path(checkpoint).exists() else TeachingRun()

    def keep() -> None:
        if checkpoint is not None:
            save_arrays(checkpoint, _arrays(plan, run))

    _listen(plan, run, keep, say)
    if not run.lessons:
        raise InvalidInput("no instance had a lesson: beams found nothing better than sliced orders; draw more graphs")
    if not run.guides:
        _rank(plan, run, say)
        keep()
    while run.step < plan.steps:
        _evolve(plan, run)
        if run.step % plan.every == 0 or run.step == plan.steps:
            _validate(plan, run, say)
            keep()
    return run


def _listen(plan: TeachingPlan, run: TeachingRun, keep: Callable[[], None], say: Say) -> None:
    """Lessons of all courses that were not heard yet."""
    courses = plan.courses("training")
    for number in range(run.heard, len(courses)):
        found = lessons(ground_of(courses[number]), np.random.default_rng([plan.seed, number]))
        run.lessons += found
        run.useful += [number] if found else []
        run.heard = number + 1
        pairs = sum(len(lesson.lost) for lesson in found)
        say(f"lesson {number + 1} of {len(courses)}, {courses[number]}: {pairs} pairs")
        if run.heard % 10 == 0 or run.heard == len(courses):
            keep()


def _rank(plan: TeachingPlan, run: TeachingRun, say: Say) -> None:
    """A new guide, taught on the pairs."""
    tables = {
        PRICES: np.concatenate([lesson.tensors for lesson in run.lessons]),
        LOSSES: np.concatenate([part for lesson in run.lessons for part in (lesson.better, lesson.worse)]),
    }
    rng = np.random.default_rng([plan.seed, run.heard])
    untrained = BeamGuide.new(rng, tables)
    ranked = fit(untrained, run.lessons, EPOCHS, RATE, rng)
    run.guides = {"untrained": untrained, "ranked": ranked}
    run.adam = Adam(rate=plan.settings.rate)
    for name, guide in (("untrained", untrained), ("ranked", ranked)):
        say(f"{name}: {right(guide, run.lessons):.1%} of the pairs told apart")
        run.guides["now"] = guide
        _validate(plan, run, say)
    run.guides["now"] = run.best


def _evolve(plan: TeachingPlan, run: TeachingRun) -> None:
    """One step on instances drawn from those that had a lesson."""
    rng = np.random.default_rng([plan.seed, 1, run.step])
    courses = plan.courses("training")
    chosen = rng.choice(run.useful, min(plan.settings.courses, len(run.useful)), replace=False)
    uphill = slope(run.guides["now"], [courses[k] for k in chosen], plan.settings, rng)
    parameters: Parameters = {"vector": run.guides["now"].vector()}
    run.adam.step(parameters, {"vector": -uphill})
    run.guides["now"] = run.guides["now"].with_vector(np.asarray(parameters["vector"], dtype=np.float64))
    run.step += 1


def _validate(plan: TeachingPlan, run: TeachingRun, say: Say) -> None:
    """Score the guide on the validation part; keep it if none was better."""
    score = float(np.mean([gain(run.guides["now"], course, plan.settings) for course in plan.courses("validation")]))
    if not run.scores or score > max(s for _, s in run.scores):
        run.guides["best"] = run.guides["now"]
    run.scores.append((run.step, score))
    say(f"step {run.step}: validation {score:.4f}")


# --- checkpoints ----------------------------------------------------------------------------------------------


def _arrays(plan: TeachingPlan, run: TeachingRun) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    for number, lesson in enumerate(run.lessons):
        arrays |= {f"lesson {number} {part.name}": getattr(lesson, part.name) for part in fields(Lesson)}
    for name, guide in run.guides.items():
        arrays |= {f"guide {name} {key}": value for key, value in guide.arrays().items()}
    for moment in ("first", "second"):
        arrays |= {f"{moment} {name}": value for name, value in getattr(run.adam, moment).items()}
    state = {
        "plan": plan.identity(),
        "heard": run.heard,
        "lessons": len(run.lessons),
        "useful": run.useful,
        "step": run.step,
        "adam": run.adam.steps,
        "guides": list(run.guides),
        "scores": run.scores,
    }
    return arrays | {"format": np.array(FORMAT), "state": np.array(json.dumps(state))}


def _resumed(plan: TeachingPlan, path: str | PathLike[str]) -> TeachingRun:
    arrays = load_arrays(path, LARGEST_CHECKPOINT)
    state = json.loads(str(arrays.get("state", "{}")))
    if state.get("plan") != plan.identity():
        raise InvalidInput(f"{path}: not a checkpoint of this plan (instances, settings or seed); choose another file")
    part: Callable[[str], dict[str, Any]] = partial(arrays_below, arrays)
    heard = [Lesson(**part(f"lesson {number} ")) for number in range(state["lessons"])]
    guides = {name: BeamGuide.from_arrays(part(f"guide {name} "), str(path)) for name in state["guides"]}
    adam = Adam(rate=plan.settings.rate, steps=state["adam"], first=part("first "), second=part("second "))
    scores = [(int(step), float(score)) for step, score in state["scores"]]
    return TeachingRun(state["heard"], heard, state["useful"], state["step"], adam, guides, scores)
