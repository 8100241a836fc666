"""What a search says it is doing: the names that progress, ``bound`` and reports show."""

from __future__ import annotations

from enum import StrEnum


class Doing(StrEnum):
    """The phases and what stands around them, in their order."""

    START = "start"
    WORK = "work"
    GIVEN = "given bound"
    STATIC_MEMORY = "static memory"
    ANY_ORDER = "down-sets of any order"
    WISHES = "wishes"
    SEEDS = "seeds"
    SAMPLES = "samples"
    FEASIBILITY = "feasibility"
    DOWN_SETS = "down-sets"
    SEPARATIONS = "separations"
    FEW_IDEALS = "few ideals"
    BLOCKS = "blocks"
    MILP = "milp"
    IDEALS = "ideals"
    BEAMS = "beams"
    TABU = "tabu"
    STRETCHES = "stretches"
    FRONTIERS = "frontiers"
    ADVICE = "advice"
    THRESHOLDS = "thresholds"
    NEIGHBOURHOODS = "neighbourhoods"
    FIXINGS = "fixings"
    GOALS = "goals"
