"""Answers that were saved: the JSON of a solve, read back for the model and the package that it was asked of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from partition.arguments import number, whole
from partition.errors import InvalidAssignment
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.placement import Placement
from partition.problem.wishes import Wishes
from partition.readers.json_fields import parse_file
from partition.readers.load import open_dimensions
from partition.results.progress import Progress
from partition.results.result import Result
from partition.results.why import Why
from partition.scoring.cost import evaluate_placement
from partition.scoring.goals import UNITS, Reached, value_of

TOLERANCE = 1e-9
"""Relative difference up to which a saved value and the placement's own are the same."""


def placement_of(data: Mapping[str, Any], graph: Graph, hardware: Hardware) -> tuple[Placement, Hardware]:
    """The placement of an answer, and the package as the answer has it: order of the kinds, places of the stages.

    Raises
    ------
    InvalidAssignment : the answer is for another model or package.
    """
    placement = Placement.from_answer(graph, data, chips=hardware.chips)
    package = package_of(data, hardware)
    if package is None:
        raise InvalidAssignment(f"the answer is for another package than {hardware.name!r}")
    return placement, package


def package_of(data: Mapping[str, Any], hardware: Hardware) -> Hardware | None:
    """The package as an answer has it: order of the kinds, places of the stages; None if it is of another package."""
    names = [kind.name for kind in hardware.kinds]
    kinds, positions = data.get("kinds") or [], data.get("positions") or []
    try:
        order = tuple(names.index(kind) for kind in kinds) or hardware.kind_of_chip
        free = hardware.kind_order == "free"
        if (sorted(order) != sorted(hardware.kind_of_chip)) if free else (order != hardware.kind_of_chip):
            return None
        if positions and not hardware.identical_chips and tuple(positions) != hardware.stage_positions:
            return None
        return replace(hardware, kind_of_chip=order, positions=tuple(positions) or hardware.positions)
    except (TypeError, ValueError):
        return None


def result_of(answer: str | PathLike[str] | Mapping[str, Any], graph: Graph, hardware: Hardware) -> Result:
    """The result that ``to_json`` wrote; every figure is computed anew, the bounds are those of the file.

    Parameters
    ----------
    answer : path of the file, or the object itself (``json.loads(text)``).
    graph, hardware : what was asked; the answer holds neither.

    Raises
    ------
    InvalidAssignment : the answer is for another model or package, or its figures are not those of its placement.
    InvalidInput : the file cannot be read.
    """
    data = answer if isinstance(answer, Mapping) else parse_file(Path(answer))
    seconds, seed = _figure(data, "seconds"), int(_figure(data, "seed"))
    if data.get("status") == "infeasible":
        if data.get("fingerprint") != graph.fingerprint:
            raise InvalidAssignment(f"the answer is not for {graph.name!r}: another model, version or dimensions")
        return Result.infeasible(graph, hardware, reason=str(data.get("reason", "")), seconds=seconds, seed=seed)
    if data.get("status") not in ("optimal", "feasible") or data.get("hardware") != hardware.name:
        raise InvalidAssignment(f"this is no answer of a solve on {hardware.name!r}; solve again, or name its package")
    placement, hardware = placement_of(data, graph, hardware)
    cost = evaluate_placement(graph, hardware, placement)
    period, bound = float(cost.period[0]), _figure(data, "bound")
    goals = tuple(_reached(row, placement, cost) for row in data.get("goals") or ())
    if not math.isclose(period, _figure(data, "period"), rel_tol=TOLERANCE, abs_tol=0.0) or bound > period:
        raise InvalidAssignment(
            f"on {hardware.name!r} the placement has a period of {period:.9g}, and the answer says otherwise: it is of "
            "another package, or of another version of this program; solve again"
        )
    return Result(
        graph=graph,
        hardware=hardware,
        placement=placement,
        status=data["status"],
        period=period,
        bound=bound,
        seconds=seconds,
        seed=seed,
        history=tuple(_progress(row) for row in data.get("history") or ()),
        cost=cost,
        interrupted=bool(data.get("interrupted")),
        goals=goals,
        work=data.get("work"),
        faults=tuple(map(str, data.get("faults") or ())),
        inputs=_inputs(data),
        wishes=wishes_of(data),
        why=_why(data),
    )


def _inputs(data: Mapping[str, Any]) -> int | None:
    told = data.get("batch")
    return None if told is None else whole("the batch of the answer", dict(told).get("inputs"), least=1)


def _why(data: Mapping[str, Any]) -> Why | None:
    told = data.get("why")
    if told is None:
        return None
    try:
        return Why.from_dict(told)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidAssignment("'why' of the answer is not of the form a solve writes") from error


def dims_of(data: Mapping[str, Any], model: str | PathLike[str]) -> dict[str, int]:
    """Values of the symbolic dimensions that an answer was made with, of those that the model has.

    Raises
    ------
    InvalidInput : they are not of the form a solve writes, or the model cannot be read.
    """
    told = data.get("dims") or {}
    if not isinstance(told, Mapping) or any(type(value) is not int for value in told.values()):
        raise InvalidAssignment("the dimensions of the answer are not of the form a solve writes")
    return {name: told[name] for name in open_dimensions(str(model)) if name in told} if told else {}


def wishes_of(data: Mapping[str, Any]) -> Wishes | None:
    """What was wished of the placement of an answer.

    Raises
    ------
    InvalidInput : it is not of the form a solve writes.
    """
    told = data.get("wishes")
    if told is None:
        return None
    if not isinstance(told, Mapping):
        raise InvalidAssignment("the wishes of the answer are not of the form a solve writes")
    return Wishes.from_mapping(told, "the answer")


def _figure(data: Mapping[str, Any], key: str) -> float:
    if key not in data:
        raise InvalidAssignment(f"the answer has no {key!r}: it is no JSON of a solve")
    return number(f"{key!r} of the answer", data[key])


def _reached(row: Any, placement: Placement, cost: Any) -> Reached:
    """What is said of a goal; its value must be that of the placement."""
    if not isinstance(row, Mapping) or row.get("goal") not in UNITS:
        raise InvalidAssignment("a goal of the answer is not of the form a solve writes")
    if row["goal"] == "moves":  # from a placement that the answer does not hold
        return Reached("moves", _figure(row, "value"), _figure(row, "bound"))
    value, bound = value_of(placement, cost, row["goal"]), _figure(row, "bound")
    if not math.isclose(value, _figure(row, "value"), rel_tol=TOLERANCE) or bound > value * (1 + TOLERANCE):
        raise InvalidAssignment(f"the placement's {row['goal']} is {value:.9g}, and the answer says otherwise")
    return Reached(row["goal"], value, min(bound, value))


def _progress(row: Any) -> Progress:
    try:
        bound = math.inf if row["bound"] is None else float(row["bound"])
        return Progress(float(row["seconds"]), str(row["phase"]), row["period"], bound, row["gap"])
    except (TypeError, KeyError, ValueError) as error:
        raise InvalidAssignment("the history of the answer is not of the form a solve writes") from error


Result.from_json = staticmethod(result_of)
