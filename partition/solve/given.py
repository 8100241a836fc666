"""What the front door accepts for a model, a package, a start and a callback, and what the search works with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from partition.errors import InvalidAssignment, InvalidInput
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.hardware_files import load_hardware
from partition.problem.placement import Placement
from partition.readers.load import Source, load_model
from partition.results.progress import Progress
from partition.results.result import Result
from partition.scoring.rules import check
from partition.stopping import Stop
from partition.text import shown

Model = Graph | Source | str | os.PathLike[str]
Package = Hardware | str | os.PathLike[str] | None
Start = Placement | Result | Mapping[str, int] | None


def opened(model: Model, package: Package) -> tuple[Graph, Hardware]:
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


def start_from(graph: Graph, hw: Hardware, given: Start) -> Placement | None:
    """The warm start as a placement, or None if there is none or it breaks a rule."""
    if isinstance(given, Result):
        given = given.placement if given.graph.fingerprint == graph.fingerprint else given.assignment or None
    if given is None:
        return None
    if isinstance(given, Mapping):
        given = Placement.from_names(graph, given, chips=hw.chips)
    if not isinstance(given, Placement):
        raise InvalidAssignment(f"{shown(given)} is no start; give a Result, a Placement, or operation name -> chip")
    if len(given.assignment) != graph.n:
        raise InvalidAssignment(
            f"the warm start places {len(given.assignment)} operations, but graph {graph.name!r} has {graph.n}"
        )
    return None if check(graph, hw, given) else given


class Listener:
    """The caller's callback, which may end the search by returning True, and whose exceptions are the caller's own."""

    def __init__(self, callback: Callable[[Progress], object], stop: Stop) -> None:
        if not callable(callback):
            raise InvalidInput(f"on_progress is {shown(callback)}; give a function of one Progress")
        self.callback, self.stop = callback, stop
        self.raised: Exception | None = None

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
