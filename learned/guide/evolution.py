"""Evolution of a guide: its parameters move along what helped beams to a shorter period (Salimans et al., 2017).

Gradients of the search itself do not exist. Parameters are changed at random and the other way round. Both are tried on
the same instances with the same number of blocks expanded. The difference of what they reached weighs the change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learned.guide.guide import BeamGuide
from learned.guide.trials import Course, ground_of, reached
from milp.search.beams import Arm
from partition.arguments import number, whole
from partition.arrays import FloatArray


@dataclass(frozen=True)
class EvolutionSettings:
    """Everything that can be set, in one place.

    Attributes
    ----------
    pairs : changes tried each way in one step.
    courses : instances each is tried on.
    spread : standard deviation of a change.
    rate : of Adam on all parameters.
    expansions, width : of a trial: blocks expanded, and the first width of the beams.
    """

    pairs: int = 5
    courses: int = 2
    spread: float = 0.05
    rate: float = 0.02
    expansions: int = 8_000
    width: int = 8

    def __post_init__(self) -> None:
        for name in ("pairs", "courses", "expansions", "width"):
            whole(name, getattr(self, name), least=1)
        for name in ("spread", "rate"):
            number(name, getattr(self, name), above=0.0)


def gain(guide: BeamGuide, course: Course, settings: EvolutionSettings) -> float:
    """By what factor, as a logarithm, the period becomes shorter than the sliced one."""
    ground = ground_of(course)
    found = reached(ground, [Arm(opinion=guide)], settings.expansions, settings.width)
    return float(np.log(ground.period / found.period))


def slope(guide: BeamGuide, courses: list[Course], settings: EvolutionSettings, rng: np.random.Generator) -> FloatArray:
    """(parameters,) an estimate of where gains rise, of the order of 1; zeros where no change mattered.

    Gains are compared within each course, in standard deviations, so that every course weighs the same.
    """
    at = guide.vector()
    changes = rng.standard_normal((settings.pairs, len(at)))
    gains = np.zeros((settings.pairs, 2, len(courses)))
    for p, change in enumerate(changes):
        for way, sign in enumerate((1.0, -1.0)):
            changed = guide.with_vector(at + sign * settings.spread * change)
            gains[p, way] = [gain(changed, course, settings) for course in courses]
    spread = gains.std(axis=(0, 1))
    scaled = (gains[:, 0] - gains[:, 1]) / np.where(spread > 0, spread, 1.0)
    return np.asarray(scaled.mean(axis=1) @ changes / (2 * settings.pairs))
