"""What sweeps found, kept in a folder: a file for every search, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from partition.errors import InvalidInput, PartitionError
from partition.files import LARGEST_JSON, read_bounded, write_atomically
from partition.problem.graph import Graph
from partition.problem.hardware import Hardware
from partition.problem.hardware_toml import from_toml, to_toml
from partition.problem.placement import Placement
from partition.scoring.cost import evaluate_placement
from partition.scoring.rules import check
from partition.solve.sweep_known import Found, FoundStatus
from partition.version import VERSION

FORMAT, WRITTEN_AS = "mcm-partition-sweep", 2

NOTHING_SPENT: Mapping[str, float | None] = {"time_limit": 0.0, "work_limit": 0.0}
"""Limits of an answer that has to be found again."""


class Cache:
    """A folder of answers about one graph, in a folder of their own.

    Parameters
    ----------
    folder : made where it does not exist.

    Raises
    ------
    InvalidInput : the folder cannot be made.
    """

    def __init__(self, folder: str | PathLike[str], graph: Graph) -> None:
        self.graph, self.identity = graph, identity(graph)
        self.folder = Path(folder) / self.identity[:16]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(f"cannot keep answers in {str(folder)!r}: {error.strerror or error}") from error

    def keep(self, found: Found, limits: Mapping[str, float | None]) -> None:
        """Write what a search within ``limits`` found, in place of what was kept for the same package.

        Raises
        ------
        InvalidInput : the file cannot be written.
        """
        write_atomically(self._path(found.hardware), json.dumps(self._sealed(found, limits), allow_nan=False) + "\n")

    def read(self) -> Iterator[tuple[Found, Mapping[str, float | None]]]:
        """All that is kept, with the limits of each search, in an order that does not depend on when it was written.

        Every placement is checked and scored anew. Bounds of another version of the program are not believed. What
        cannot be read is left out, with a warning.
        """
        for path in sorted(self.folder.glob("*.json")):
            try:
                data = json.loads(read_bounded(path, LARGEST_JSON))
                if data != self._seal({key: value for key, value in data.items() if key != "fingerprint"}):
                    raise ValueError("its fingerprint does not fit its content")
                yield self._found(data), data["limits"] if data["program"] == VERSION else NOTHING_SPENT
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, PartitionError) as error:
                reason = getattr(error, "strerror", None) or error
                warnings.warn(f"{str(path)!r} is not used: {reason}", stacklevel=2)

    def _path(self, hardware: Hardware) -> Path:
        return self.folder / f"{hashlib.sha256(to_toml(hardware).encode()).hexdigest()[:32]}.json"

    def _sealed(self, found: Found, limits: Mapping[str, float | None]) -> dict[str, Any]:
        placement = found.placement
        return self._seal(
            {
                "format": FORMAT,
                "written_as": WRITTEN_AS,
                "program": VERSION,
                "graph": self.identity,
                "hardware": to_toml(found.hardware),
                "limits": dict(limits),
                "status": found.status,
                "bound": None if math.isinf(found.bound) else found.bound,
                "kind_of_chip": list(found.placed.kind_of_chip),
                "positions": list(found.placed.positions),
                "assignment": None if placement is None else placement.assignment.tolist(),
                "replicas": [] if placement is None else placement.replicas.tolist(),
                "relays": [] if placement is None else placement.relays.tolist(),
                "seconds": found.seconds,
                "work": found.work,
                "reason": found.reason,
                "faults": list(found.faults),
                "given_by": None if found.given_by is None else to_toml(found.given_by),
            }
        )

    @staticmethod
    def _seal(data: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(data, sort_keys=True, allow_nan=False)
        return data | {"fingerprint": hashlib.sha256(text.encode()).hexdigest()}

    def _found(self, data: dict[str, Any]) -> Found:
        if (data["format"], data["written_as"], data["graph"]) != (FORMAT, WRITTEN_AS, self.identity):
            raise ValueError("it is of another model, or of another kind")
        hardware = from_toml(data["hardware"])
        placed, placement, period = hardware, None, math.inf
        if data["assignment"] is not None:
            placed = replace(hardware, kind_of_chip=data["kind_of_chip"], positions=data["positions"])
            placement = Placement(np.array(data["assignment"]), np.array(data["replicas"]), np.array(data["relays"]))
            if check(self.graph, placed, placement):
                raise ValueError("its placement breaks a rule")
            period = float(evaluate_placement(self.graph, placed, placement).period[0])
        status: FoundStatus = data["status"]
        found = Found(
            hardware=hardware,
            placed=placed,
            status=status,
            placement=placement,
            period=period,
            bound=math.inf if data["bound"] is None else float(data["bound"]),
            seconds=float(data["seconds"]),
            work=data["work"],
            reason=str(data["reason"]),
            faults=tuple(map(str, data["faults"])),
            given_by=None if data["given_by"] is None else from_toml(data["given_by"]),
        )
        return found if data["program"] == VERSION else found.without_proof()


def identity(graph: Graph) -> str:
    """A hash of all of a graph that an answer depends on, measured times and least weights too."""
    digest = hashlib.sha256(graph.fingerprint.encode())
    for name in sorted(graph.profiled_times):
        digest.update(name.encode() + graph.profiled_times[name].tobytes())
    if graph.least is not None:
        digest.update(graph.lightest.fingerprint.encode())
    return digest.hexdigest()
