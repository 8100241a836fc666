"""What the front door accepts for a model, a package, a start and a callback, and what the search works with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from milp.search.stability import Before
from partition.arguments import whole
from partition.errors import InvalidAssignment, InvalidInput
from partition.heuristics.carried import Carried, carry, placed
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.hardware_files import load_hardware
from partition.problem.placement import Placement
from partition.readers.load import Source, load_model
from partition.results.progress import Progress
from partition.results.result import Result
from partition.scoring.rules import check
from partition.solve.wished import Wished
from partition.stopping import Stop
from partition.text import shown

GivenModel = Graph | Source | str | os.PathLike[str]
GivenPackage = Hardware | str | os.PathLike[str] | None
Start = Placement | Result | Mapping[str, int] | None


def opened(model: GivenModel, package: GivenPackage) -> tuple[Graph, Hardware]:
    """The graph and the package, read where they are given by name.

    Raises
    ------
    InvalidInput : either is something else, cannot be read, or no package is given and the model brings none.
    """
    if isinstance(model, str | os.PathLike):
        model = load_model(os.fspath(model))
    graph = model.graph if isinstance(model, Source) else model
    if not isinstance(graph, Graph):
        raise InvalidInput(f"{shown(model)} is no model; give a Graph, what load_model returns, a name or a path")
    if package is None and isinstance(model, Source):
        package = model.hardware
    if isinstance(package, str | os.PathLike):
        package = load_hardware(os.fspath(package))
    if not isinstance(package, Hardware):
        raise InvalidInput(
            f"{shown(package)} is no package; give a Hardware, the name of a preset such as 'ring36', or a TOML file"
        )
    return graph, package


@dataclass(frozen=True, eq=False)
class Started:
    """What a search starts from.

    Attributes
    ----------
    placement : a valid one, or None.
    carried : where operations were, or None.
    before : where they shall stay, or None.
    """

    placement: Placement | None
    carried: Carried | None
    before: Before | None

    @staticmethod
    def of(wished: Wished, warm_start: Start, stability: Start, seed: int) -> Started:
        """From a warm start, and an answer to stay near to, which is a warm start too where there is no other.

        Raises
        ------
        InvalidInput : one of them is no start, or stages may stand anywhere.
        """
        model, searched, hw = wished.graph, wished.narrowed.graph, wished.narrowed.hardware
        if stability is not None and hw.routed:
            raise InvalidInput(
                f"stability is not offered on a {hw.interconnect.topology}, where stages may stand anywhere"
            )
        first = stability if warm_start is None else warm_start
        placement, carried = start_from(model, searched, hw, first, seed)
        if stability is None:
            return Started(placement, carried, None)
        near, kept = (placement, carried)
        if first is not stability:
            near, kept = start_from(model, searched, hw, stability, seed)
        return Started(placement, kept, None if kept is None else Before(kept.chips, near))


def start_from(
    model: Graph, searched: Graph, hw: Hardware, given: Start, seed: int
) -> tuple[Placement | None, Carried | None]:
    """The warm start as a valid placement, repaired where it has to be, and where its operations were.

    Parameters
    ----------
    model : what was asked about.
    searched, hw : the graph and the package of the search, narrowed by wishes.
    seed : of the repair.

    Returns
    -------
    None for the placement where repair found none; None for both where no start is given.

    Raises
    ------
    InvalidAssignment : it is no start, or places none of the model's operations.
    """
    if given is None:
        return None, None
    earlier = given.graph if isinstance(given, Result) else None
    full = _whole(model, given)
    homes = dict(zip(model.names, full.assignment.tolist(), strict=True)) if full is not None else _homes(given)
    carried = carry(searched, hw, homes, earlier)
    if carried.new == searched.n and homes:
        raise InvalidAssignment(f"the warm start places none of the operations of {model.name!r}")
    fits = full is not None and 0 <= full.assignment.min() <= full.assignment.max() < hw.chips
    if full is not None and fits and not check(searched, hw, full):
        return full, carried
    return (placed(searched, hw, carried, np.random.default_rng(seed)) if homes else None), carried


def _whole(model: Graph, given: Start) -> Placement | None:
    """A placement of all of the model's operations, replicas and relays included; None if it is of another graph."""
    if isinstance(given, Result):
        return given.placement if given.graph.fingerprint == model.fingerprint else None
    if not isinstance(given, Placement):
        return None
    if len(given.assignment) != model.n:
        raise InvalidAssignment(
            f"the warm start places {len(given.assignment)} operations, but graph {model.name!r} has {model.n}"
        )
    return given


def _homes(given: Start) -> dict[str, int]:
    """Operation name -> chip of an earlier result or a map."""
    if isinstance(given, Result):
        return given.assignment
    if not isinstance(given, Mapping):
        raise InvalidAssignment(f"{shown(given)} is no start; give a Result, a Placement, or operation name -> chip")
    return {name: whole(f"the chip of {shown(name)}", chip) for name, chip in given.items()}


class Listener:
    """The caller's callback, which may end the search by returning True, and whose exceptions are the caller's own."""

    def __init__(self, callback: Callable[[Progress], object], stop: Stop) -> None:
        if not callable(callback):
            raise InvalidInput(f"on_progress is {shown(callback)}; give a function of one Progress")
        self.callback, self.stop = callback, stop
        self.raised: Exception | None = None

    @staticmethod
    def end(listener: Listener | None) -> None:
        """Raise what the caller's function raised, if there is one and it did."""
        if listener is not None and listener.raised is not None:
            raise listener.raised

    def __call__(self, progress: Progress) -> None:
        """Tell the caller; nothing more after it raised something."""
        if self.raised is not None:
            return
        try:
            if self.callback(progress) is True:
                self.stop.flag.set()
        except Exception as error:
            self.raised = error
            self.stop.flag.set()
